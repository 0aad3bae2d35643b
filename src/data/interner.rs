//! Names as numbers while a log is read, by several threads at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use ahash::RandomState;

use super::error::DataError;
use super::vocabulary::{self, Vocabulary};

/// Parts that are locked one by one; a batch of names takes them in turn, which also keeps one part's table in the cache.
const SHARDS: usize = 64;

/// Names that are looked up together. Their places are loaded first, one beside the other: with a large vocabulary each
/// look-up would wait for the memory twice.
const GROUP: usize = 32;

/// Stands for "no name".
pub(crate) const NONE: u32 = u32::MAX;

/// Names that wait for their numbers.
#[derive(Default)]
pub(crate) struct Names {
    text: Vec<u8>,
    ends: Vec<usize>,
}

impl Names {
    pub(crate) fn push(&mut self, name: &str) {
        self.text.extend_from_slice(name.as_bytes());
        self.ends.push(self.text.len());
    }

    /// A place without a name; its number is `NONE`.
    pub(crate) fn push_none(&mut self) {
        self.ends.push(self.text.len());
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    fn get(&self, index: usize) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.text[start..self.ends[index]]
    }
}

/// Gives names numbers; becomes a [`Vocabulary`] at the end.
///
/// The numbers depend on which thread comes first. They never leave this room's users: the ids of a log follow the byte
/// order of the names. The hash is keyed at random, so a log made to collide does not slow reading down.
pub(crate) struct Interner {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
    what: &'static str,
    /// Most names of one shard.
    limit: usize,
    /// Where the next batch of names begins.
    turns: AtomicUsize,
}

/// Open addressing over one text: no allocation per name.
struct Shard {
    /// One name after the other: its number in this shard, its length (four bytes each), and its text.
    text: Vec<u8>,
    count: usize,
    /// The upper half of a name's hash above its place in the text, or `FREE`; the length is a power of two, and at most
    /// half of it is used. The lower bits of that half say where a name belongs.
    table: Vec<u64>,
}

const FREE: u64 = u64::MAX;

/// Bytes before a name in the text.
const HEAD: usize = 8;

impl Interner {
    /// `what` names the things in the error when there are too many.
    pub(crate) fn new(what: &'static str) -> Self {
        Self::with_limit(what, u32::MAX as usize / SHARDS)
    }

    fn with_limit(what: &'static str, limit: usize) -> Self {
        let shard = || Mutex::new(Shard { text: Vec::new(), count: 0, table: vec![FREE; 16] });
        let shards = std::iter::repeat_with(shard).take(SHARDS).collect();
        Self { shards, hasher: RandomState::new(), what, limit, turns: AtomicUsize::new(0) }
    }

    /// The numbers of names, appended to `out`; the names are taken. The empty name has the number `NONE`: it is nobody's.
    pub(crate) fn intern(&self, names: &mut Names, out: &mut Vec<u32>) -> Result<(), DataError> {
        let count = names.ends.len();
        let hashes: Vec<u64> = (0..count).map(|index| self.hasher.hash_one(names.get(index))).collect();
        // A counting sort by shard.
        let mut starts = [0usize; SHARDS + 1];
        hashes.iter().for_each(|hash| starts[shard_of(*hash) + 1] += 1);
        for shard in 0..SHARDS {
            starts[shard + 1] += starts[shard];
        }
        let mut order = vec![0u32; count];
        let mut next = starts;
        for (index, hash) in hashes.iter().enumerate() {
            let shard = shard_of(*hash);
            order[next[shard]] = index as u32;
            next[shard] += 1;
        }
        let base = out.len();
        out.resize(base + count, NONE);
        // Threads begin at different shards, so that they do not queue for the same ones.
        let first = self.turns.fetch_add(23, Ordering::Relaxed);
        for turn in 0..SHARDS {
            let at = (first + turn) % SHARDS;
            let shard = &self.shards[at];
            let indices = &order[starts[at]..starts[at + 1]];
            if indices.is_empty() {
                continue;
            }
            let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
            for group in indices.chunks(GROUP) {
                shard.load(group.iter().map(|index| hashes[*index as usize]));
                for index in group {
                    let index = *index as usize;
                    if names.get(index).is_empty() {
                        continue;
                    }
                    let local = shard.intern(names.get(index), hashes[index], self.limit);
                    let local = local.ok_or_else(|| self.too_many())?;
                    out[base + index] = (local * SHARDS + at) as u32;
                }
            }
        }
        *names = Names::default();
        Ok(())
    }

    /// The number of one name.
    pub(crate) fn intern_one(&self, name: &str) -> Result<u32, DataError> {
        let hash = self.hasher.hash_one(name.as_bytes());
        let at = shard_of(hash);
        let mut shard = self.shards[at].lock().unwrap_or_else(PoisonError::into_inner);
        let local = shard.intern(name.as_bytes(), hash, self.limit).ok_or_else(|| self.too_many())?;
        Ok((local * SHARDS + at) as u32)
    }

    fn too_many(&self) -> DataError {
        DataError::TooMany { what: self.what, limit: self.limit.saturating_mul(SHARDS) }
    }

    /// The vocabulary of the names whose numbers `keep` accepts, and the id of each number (`NONE` for those left out).
    pub(crate) fn into_vocabulary(self, keep: impl Fn(u32) -> bool) -> (Vocabulary, Vec<u32>) {
        let shards: Vec<Shard> =
            self.shards.into_iter().map(|shard| shard.into_inner().unwrap_or_else(PoisonError::into_inner)).collect();
        let largest = shards.iter().map(|shard| shard.count).max().unwrap_or(0);
        let mut names: Vec<(&str, u32)> = Vec::with_capacity(shards.iter().map(|shard| shard.count).sum());
        for (at, shard) in shards.iter().enumerate() {
            let numbered = shard.names().zip(0..).map(|(name, local)| (name, (local * SHARDS + at) as u32));
            names.extend(numbered.filter(|(_, number)| keep(*number)));
        }
        let vocabulary = vocabulary::sorted(&mut names);
        let mut ids = vec![NONE; largest * SHARDS];
        for (id, (_, number)) in names.iter().enumerate() {
            ids[*number as usize] = id as u32;
        }
        (vocabulary, ids)
    }
}

fn shard_of(hash: u64) -> usize {
    (hash >> 58) as usize
}

impl Shard {
    /// All names in the order of their numbers.
    fn names(&self) -> impl Iterator<Item = &str> {
        let mut place = 0;
        std::iter::from_fn(move || {
            let (_, name) = self.at(place)?;
            place += HEAD + name.len();
            // They were UTF-8 when they came.
            Some(std::str::from_utf8(name).unwrap_or_default())
        })
    }

    /// The number and the name at a place of the text.
    fn at(&self, place: usize) -> Option<(u32, &[u8])> {
        let (number, rest) = self.text.get(place..)?.split_first_chunk()?;
        let (length, rest) = rest.split_first_chunk()?;
        Some((u32::from_le_bytes(*number), rest.get(..u32::from_le_bytes(*length) as usize)?))
    }

    /// Loads into the cache what the names of these hashes will be compared with.
    fn load(&self, hashes: impl Iterator<Item = u64> + Clone) {
        let mask = self.table.len() - 1;
        let first = |hash: u64| (hash >> 32) as usize & mask;
        let mut entries = [FREE; GROUP];
        entries.iter_mut().zip(hashes.clone()).for_each(|(entry, hash)| *entry = self.table[first(hash)]);
        let mut loaded = 0;
        for (entry, hash) in entries.into_iter().zip(hashes) {
            let (mut entry, mut slot) = (entry, first(hash));
            while entry != FREE && entry >> 32 != hash >> 32 {
                slot = (slot + 1) & mask;
                entry = self.table[slot];
            }
            // A name may lie on the border of two cache lines.
            let place = entry as u32 as usize;
            let byte = |at: usize| self.text.get(at).copied().unwrap_or_default();
            loaded ^= byte(place) ^ byte(place + HEAD + 12);
        }
        std::hint::black_box(loaded);
    }

    /// `None` where a name would be one too many. Names are UTF-8: they were checked when they were read.
    fn intern(&mut self, name: &[u8], hash: u64, limit: usize) -> Option<usize> {
        let mask = self.table.len() - 1;
        let tag = hash >> 32;
        let mut slot = tag as usize & mask;
        loop {
            let entry = self.table[slot];
            if entry == FREE {
                break;
            }
            if entry >> 32 == tag
                && let Some((number, known)) = self.at(entry as u32 as usize)
                && known == name
            {
                return Some(number as usize);
            }
            slot = (slot + 1) & mask;
        }
        let (local, place) = (self.count, self.text.len());
        if local >= limit || place >= u32::MAX as usize {
            return None;
        }
        self.text.extend_from_slice(&(local as u32).to_le_bytes());
        self.text.extend_from_slice(&(name.len() as u32).to_le_bytes());
        self.text.extend_from_slice(name);
        self.count += 1;
        self.table[slot] = tag << 32 | place as u64;
        if self.count * 2 > self.table.len() {
            self.grow();
        }
        Some(local)
    }

    fn grow(&mut self) {
        let size = self.table.len() * 2;
        let old = std::mem::replace(&mut self.table, vec![FREE; size]);
        for entry in old.into_iter().filter(|entry| *entry != FREE) {
            let mut slot = (entry >> 32) as usize & (size - 1);
            while self.table[slot] != FREE {
                slot = (slot + 1) & (size - 1);
            }
            self.table[slot] = entry;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn intern(interner: &Interner, names: &[String]) -> Vec<u32> {
        let (mut waiting, mut out) = (Names::default(), Vec::new());
        names.iter().for_each(|name| waiting.push(name));
        interner.intern(&mut waiting, &mut out).unwrap();
        out
    }

    #[test]
    fn ids_follow_byte_order_and_survive_growth() {
        let interner = Interner::new("users");
        let names: Vec<String> = (0..50_000).rev().map(|i| format!("u{i}")).collect();
        let numbers = intern(&interner, &names);
        assert_eq!(intern(&interner, &names), numbers, "a second time");
        assert_eq!(interner.intern_one(&names[17]).unwrap(), numbers[17]);
        let (vocabulary, ids) = interner.into_vocabulary(|_| true);
        assert_eq!(vocabulary, Vocabulary::from_names(&names));
        for (name, number) in names.iter().zip(numbers) {
            assert_eq!(vocabulary.name(ids[number as usize]), name);
        }
    }

    #[test]
    fn names_left_out_have_no_id() {
        let interner = Interner::new("items");
        let numbers = intern(&interner, &["c", "a", "d", "b"].map(String::from));
        let (vocabulary, ids) = interner.into_vocabulary(|number| number != numbers[1]);
        assert_eq!(vocabulary.names().collect::<Vec<_>>(), ["b", "c", "d"]);
        assert_eq!(numbers.iter().map(|number| ids[*number as usize]).collect::<Vec<_>>(), [1, NONE, 2, 0]);
    }

    #[test]
    fn too_many_names_is_an_error() {
        let interner = Interner::with_limit("items", 1);
        let mut failed = None;
        for i in 0..1000 {
            if let Err(error) = interner.intern_one(&i.to_string()) {
                failed = Some(error.to_string());
                break;
            }
        }
        assert_eq!(failed.unwrap(), "more than 64 items");
    }

    #[test]
    fn threads_agree_on_the_numbers() {
        let interner = Interner::new("users");
        let names: Vec<String> = (0..3000).map(|i| format!("n{}", i % 700)).collect();
        let all: Vec<Vec<u32>> = std::thread::scope(|scope| {
            let started: Vec<_> = (0..3).map(|_| scope.spawn(|| intern(&interner, &names))).collect();
            started.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(all[0], all[1]);
        assert_eq!(all[0], all[2]);
        assert_eq!(interner.into_vocabulary(|_| true).0, Vocabulary::from_names(&names));
    }
}
