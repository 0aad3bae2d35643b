//! Bytes of a log: opened, decompressed, without byte order mark.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, ErrorKind, Read};
use std::path::Path;

use super::containers;
use super::error::DataError;

/// Longest record, in bytes: what an unclosed quote or a file without line breaks may cost.
pub(crate) const MAX_RECORD: u64 = 64 << 20;

/// How much is looked at to tell the format, the columns and the way times are written.
const PREFIX: usize = 1 << 20;

/// Bytes that are parsed at once: enough that handing them over costs nothing, few enough for the caches.
const BLOCK: usize = 2 << 20;

/// What the compressed stream is read through.
const BUFFER: usize = 256 << 10;

/// An opened log: decompressed text.
///
/// As a reader, it leaves out a leading byte order mark, ends the last line even where the file does not, and turns
/// carriage returns into line breaks in a file that has no others.
pub(crate) struct Source<'a> {
    file: String,
    compressed: bool,
    /// The first bytes, for a look before reading starts.
    prefix: Cursor<Vec<u8>>,
    /// Whether there is more than the prefix.
    more: bool,
    rest: Box<dyn Read + 'a>,
    limit: u64,
    block: usize,
    carriage_returns: bool,
    last: u8,
    ended: bool,
}

/// Opens a file, whatever its compression.
pub(crate) fn open(path: &Path) -> Result<Source<'static>, DataError> {
    Source::new(open_file(path)?, path.display().to_string())
}

/// Opens a file as it is.
pub(crate) fn open_file(path: &Path) -> Result<File, DataError> {
    let failed = |source: io::Error| match source.kind() {
        ErrorKind::NotFound => DataError::NotFound { path: path.into() },
        _ => DataError::Io { file: path.display().to_string(), source },
    };
    if std::fs::metadata(path).map_err(failed)?.is_dir() {
        return Err(DataError::Directory { path: path.into() });
    }
    File::open(path).map_err(failed)
}

impl<'a> Source<'a> {
    /// Takes any stream; `file` is what messages call it.
    pub(crate) fn new(input: impl Read + 'a, file: String) -> Result<Self, DataError> {
        Self::with_limit(input, file, MAX_RECORD)
    }

    /// As [`new`](Self::new), with another bound on the length of a record.
    pub(crate) fn with_limit(input: impl Read + 'a, file: String, limit: u64) -> Result<Self, DataError> {
        let mut input = BufReader::with_capacity(BUFFER, input);
        let mut head = Vec::with_capacity(512);
        (&mut input).take(512).read_to_end(&mut head).map_err(|source| DataError::Io { file: file.clone(), source })?;
        containers::refuse(&file, &head)?;
        let (zstd, gzip) = (head.starts_with(containers::ZSTD), head.starts_with(containers::GZIP));
        let raw = Cursor::new(head).chain(input);
        let rest: Box<dyn Read + 'a> = if gzip {
            // Several members one after the other are one text, as for gunzip.
            Box::new(flate2::bufread::MultiGzDecoder::new(raw))
        } else if zstd {
            let decoder = zstd::stream::read::Decoder::with_buffer(raw)
                .map_err(|source| DataError::Io { file: file.clone(), source })?;
            Box::new(decoder)
        } else {
            Box::new(raw)
        };
        let mut source = Self {
            file,
            compressed: gzip || zstd,
            prefix: Cursor::new(Vec::new()),
            more: true,
            rest,
            limit,
            block: BLOCK,
            carriage_returns: false,
            last: b'\n',
            ended: false,
        };
        source.fill_prefix()?;
        Ok(source)
    }

    fn fill_prefix(&mut self) -> Result<(), DataError> {
        let mut bytes = Vec::new();
        if let Err(error) = (&mut self.rest).take(PREFIX as u64).read_to_end(&mut bytes) {
            return Err(self.error(error));
        }
        self.more = bytes.len() == PREFIX;
        if self.compressed {
            containers::refuse(&self.file, &bytes)?;
            if containers::is_compressed(&bytes) {
                let fix = format!("take one of them off: zcat (or zstdcat) {} | dmran COMMAND -", self.file);
                return Err(DataError::Container { file: self.file.clone(), what: "compressed twice", fix });
            }
        }
        if bytes.starts_with(b"\xef\xbb\xbf") {
            bytes.drain(..3);
        }
        self.carriage_returns = memchr::memchr(b'\n', &bytes).is_none() && memchr::memchr(b'\r', &bytes).is_some();
        self.prefix = Cursor::new(bytes);
        self.break_lines();
        Ok(())
    }

    fn break_lines(&mut self) {
        if self.carriage_returns {
            self.prefix.get_mut().iter_mut().filter(|byte| **byte == b'\r').for_each(|byte| *byte = b'\n');
        }
    }

    /// What messages call the file.
    pub(crate) fn file(&self) -> &str {
        &self.file
    }

    /// The first bytes of the text, and whether they are all of it.
    pub(crate) fn head(&self) -> (&[u8], bool) {
        (self.prefix.get_ref(), !self.more)
    }

    /// Starts reading behind so many bytes of the [`head`](Self::head).
    pub(crate) fn skip(&mut self, bytes: usize) {
        self.prefix.set_position(bytes as u64);
        self.last = b'\n';
    }

    /// The first line that is not blank (as much of it as was looked at), or `None` where the
    /// first bytes hold none.
    pub(crate) fn first_line(&self) -> Option<&[u8]> {
        let lines = self.prefix.get_ref().split(|&byte| byte == b'\n');
        lines.map(<[u8]>::trim_ascii).find(|line| !line.is_empty())
    }

    /// The same to be parsed in blocks of another size; what comes out is the same.
    #[cfg(test)]
    pub(crate) fn in_blocks(self, block: usize) -> Self {
        Self { block, ..self }
    }

    /// Bytes that are parsed at once, about.
    pub(crate) fn block(&self) -> usize {
        self.block
    }

    /// Longest record, in bytes.
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// The error for a record that is longer; `line` is where it starts.
    pub(crate) fn too_long(&self, line: u64) -> DataError {
        DataError::RecordTooLong { file: self.file.clone(), line, limit: self.limit }
    }

    /// Says what an I/O error means for this file.
    pub(crate) fn error(&self, error: io::Error) -> DataError {
        let file = self.file.clone();
        if self.compressed && error.kind() == ErrorKind::UnexpectedEof {
            DataError::Truncated { file }
        } else if self.compressed && error.raw_os_error().is_none() {
            DataError::Corrupt { file, reason: error.to_string() }
        } else {
            DataError::Io { file, source: error }
        }
    }
}

impl Read for Source<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.ended {
            return Ok(0);
        }
        let mut count = self.prefix.read(buffer)?;
        if count == 0 {
            count = self.rest.read(buffer)?;
            if self.carriage_returns {
                buffer[..count].iter_mut().filter(|byte| **byte == b'\r').for_each(|byte| *byte = b'\n');
            }
        }
        if count == 0 {
            self.ended = true;
            if self.last == b'\n' {
                return Ok(0);
            }
            buffer[0] = b'\n';
            count = 1;
        }
        self.last = buffer[count - 1];
        Ok(count)
    }
}

/// The physical lines of a source, one at a time in one buffer.
pub(crate) struct Lines<'a> {
    reader: BufReader<Source<'a>>,
    buffer: Vec<u8>,
    line: u64,
}

impl<'a> Lines<'a> {
    pub(crate) fn new(source: Source<'a>) -> Self {
        let reader = BufReader::with_capacity(BUFFER, source);
        Self { reader, buffer: Vec::new(), line: 0 }
    }

    /// The next line that is not blank, without white space at its ends, and its number from 1.
    pub(crate) fn next_line(&mut self) -> Result<Option<(u64, &[u8])>, DataError> {
        loop {
            self.buffer.clear();
            let limit = self.reader.get_ref().limit();
            match (&mut self.reader).take(limit + 1).read_until(b'\n', &mut self.buffer) {
                Ok(0) => return Ok(None),
                Ok(length) if length as u64 > limit => return Err(self.reader.get_ref().too_long(self.line + 1)),
                Ok(_) => self.line += 1,
                Err(error) => return Err(self.reader.get_ref().error(error)),
            }
            if !self.buffer.trim_ascii().is_empty() {
                return Ok(Some((self.line, self.buffer.trim_ascii())));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(bytes: &[u8]) -> Vec<(u64, String)> {
        let mut lines = Lines::new(Source::new(bytes, "test".into()).unwrap());
        let mut out = Vec::new();
        while let Some((number, line)) = lines.next_line().unwrap() {
            out.push((number, String::from_utf8_lossy(line).into_owned()));
        }
        out
    }

    #[test]
    fn lines_are_numbered_through_blanks_and_carriage_returns() {
        let want = [(1, "a".to_string()), (4, "b".to_string())];
        assert_eq!(lines(b"\xef\xbb\xbfa\r\n\r\n \nb"), want);
        assert_eq!(lines(b""), []);
        assert_eq!(lines(b"\n\n"), []);
        let want = [(1, "a".to_string()), (3, "b".to_string())];
        assert_eq!(lines(b"a\r\rb"), want, "carriage returns alone");
    }

    #[test]
    fn a_record_without_end_is_an_error() {
        let text = [b"short\n".as_slice(), &[b'x'; 400_000]].concat();
        let source = Source::with_limit(text.as_slice(), "test".into(), 100_000).unwrap();
        let mut lines = Lines::new(source);
        assert_eq!(lines.next_line().unwrap().unwrap().0, 1);
        let error = lines.next_line().unwrap_err();
        assert!(matches!(error, DataError::RecordTooLong { line: 2, .. }), "{error}");
    }
}
