//! Blocks of whole records, worked on side by side and put back in order.
//!
//! One thread reads and cuts, the others parse. A record never lies in two blocks, and what comes of a block depends on
//! the block alone, so that results do not depend on the number of threads or on where blocks end.

use std::io::Read;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};

use super::batch::{Batch, Interners};
use super::error::DataError;
use super::options::{OnError, ReadOptions};
use super::source::Source;

/// Text of whole records.
pub(crate) struct Block {
    pub text: Vec<u8>,
}

/// How far whole records go in a text; `last` tells that nothing follows it.
pub(crate) trait Cut: Sync {
    fn whole(&self, text: &[u8], last: bool) -> usize;
}

/// Records that are lines.
pub(crate) struct Lines;

impl Cut for Lines {
    fn whole(&self, text: &[u8], last: bool) -> usize {
        if last { text.len() } else { memchr::memrchr(b'\n', text).map_or(0, |at| at + 1) }
    }
}

/// Cuts a source into blocks.
struct Blocks<'s, 'a, C> {
    source: &'s mut Source<'a>,
    cut: &'s C,
    /// What was read beyond the last block.
    rest: Vec<u8>,
    ended: bool,
    /// Line breaks so far.
    lines: u64,
}

impl<C: Cut> Blocks<'_, '_, C> {
    fn next(&mut self) -> Result<Option<Block>, DataError> {
        let mut text = std::mem::take(&mut self.rest);
        let block = self.source.block();
        let mut wanted = block;
        loop {
            if !self.ended {
                let more = wanted.saturating_sub(text.len()).max(block / 4).max(1);
                text.reserve_exact(more + 1);
                let got = self.source.by_ref().take(more as u64).read_to_end(&mut text);
                let got = got.map_err(|error| self.source.error(error))?;
                self.ended = got < more;
            }
            if text.is_empty() {
                return Ok(None);
            }
            let end = self.cut.whole(&text, self.ended);
            if end > 0 {
                self.rest = text.split_off(end);
                self.lines += memchr::memchr_iter(b'\n', &text).count() as u64;
                return Ok(Some(Block { text }));
            }
            if text.len() as u64 > self.source.limit() {
                return Err(self.source.too_long(self.lines + 1));
            }
            wanted = text.len() * 2;
        }
    }
}

/// Parses all of a source; gives the batches in the order of the file.
///
/// With [`OnError::Fail`] no block is begun after one with a malformed line was seen: the first malformed line of the file
/// is in one of the batches all the same, since blocks are begun in order.
pub(crate) fn parse_all<C: Cut>(
    source: &mut Source<'_>,
    lines_before: u64,
    cut: &C,
    options: &ReadOptions,
    interners: &Interners,
    parse: impl Fn(&Block, &mut Batch) -> Result<(), DataError> + Sync,
) -> Result<Vec<Batch>, DataError> {
    let mut blocks = Blocks { source, cut, rest: Vec::new(), ended: false, lines: lines_before };
    let one = |block: &Block| -> Result<Batch, DataError> {
        let mut batch = Batch::default();
        let parsed = parse(block, &mut batch);
        batch.lines = memchr::memchr_iter(b'\n', &block.text).count() as u64;
        parsed?;
        batch.intern(interners)?;
        Ok(batch)
    };
    let is_end = |result: &Result<Batch, DataError>| match result {
        Ok(batch) => options.on_error == OnError::Fail && batch.skipped.count > 0,
        Err(_) => true,
    };
    let mut results: Vec<(usize, Result<Batch, DataError>)> = Vec::new();
    let mut failed = None;
    let workers = rayon::current_num_threads();
    if workers < 2 {
        loop {
            match blocks.next() {
                Ok(Some(block)) => {
                    let result = one(&block);
                    let end = is_end(&result);
                    results.push((results.len(), result));
                    if end {
                        break;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
    } else {
        let stop = AtomicBool::new(false);
        let done = Mutex::new(&mut results);
        let (send, receive) = mpsc::sync_channel::<(usize, Block)>(1);
        let receive = Mutex::new(receive);
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    loop {
                        let next = receive.lock().unwrap_or_else(PoisonError::into_inner).recv();
                        let Ok((number, block)) = next else { return };
                        let result = one(&block);
                        if is_end(&result) {
                            stop.store(true, Ordering::Relaxed);
                        }
                        done.lock().unwrap_or_else(PoisonError::into_inner).push((number, result));
                    }
                });
            }
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                match blocks.next() {
                    Ok(Some(block)) => {
                        if send.send((number, block)).is_err() {
                            break;
                        }
                        number += 1;
                    }
                    Ok(None) => break,
                    Err(error) => {
                        failed = Some(error);
                        break;
                    }
                }
            }
            drop(send);
        });
        results.sort_by_key(|(number, _)| *number);
    }
    // An error of the source comes after all that was read before it.
    let mut batches = Vec::with_capacity(results.len());
    for (_, result) in results {
        let end = is_end(&result);
        batches.push(result?);
        if end {
            return Ok(batches);
        }
    }
    failed.map_or(Ok(batches), Err)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_end_with_lines_and_nothing_is_lost() {
        let text: Vec<u8> = (0..400_000).flat_map(|i| format!("line {i}\n").into_bytes()).collect();
        let mut source = Source::new(&text[..], "test".into()).unwrap();
        let mut blocks = Blocks { source: &mut source, cut: &Lines, rest: Vec::new(), ended: false, lines: 0 };
        let mut got: Vec<u8> = Vec::new();
        let mut count = 0;
        while let Some(block) = blocks.next().unwrap() {
            assert_eq!(block.text.last(), Some(&b'\n'));
            got.extend(&block.text);
            count += 1;
        }
        assert!(got == text && count > 2);
        assert_eq!(blocks.lines, 400_000);
    }

    #[test]
    fn a_record_without_end_is_an_error() {
        let text = [b"short\n".as_slice(), &[b'x'; 9_000_000]].concat();
        let mut source = Source::with_limit(text.as_slice(), "test".into(), 100_000).unwrap();
        let mut blocks = Blocks { source: &mut source, cut: &Lines, rest: Vec::new(), ended: false, lines: 0 };
        assert_eq!(blocks.next().unwrap().unwrap().text, b"short\n");
        let error = blocks.next().map(drop).unwrap_err();
        assert!(matches!(error, DataError::RecordTooLong { line: 2, .. }), "{error}");
    }
}
