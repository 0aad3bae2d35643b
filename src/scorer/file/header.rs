//! The first bytes of a model file: the header and the index of sections.

use super::error::ModelFileError;
use crate::durable::checksum::checksum;

/// Not text, and damaged by any transfer that treats it as text.
pub const MAGIC: [u8; 8] = *b"\x89DMRAN\r\n";
/// The newest version that is read: tables of items in fewer bytes than `f32`. Programs that know version 1 only refuse it.
pub(crate) const VERSION: u32 = 2;
/// The version of models whose tables are `f32`: they are written as older programs read them.
pub(crate) const VERSION_F32: u32 = 1;
/// The only kind of model that the scorer knows.
pub(crate) const KIND: &[u8; 16] = b"dmran\0\0\0\0\0\0\0\0\0\0\0";
pub(crate) const HEADER_BYTES: usize = 64;
pub(crate) const ENTRY_BYTES: usize = 64;
/// More sections than any model has; keeps the index below 8 KiB.
pub(crate) const MAX_SECTIONS: usize = 96;
const ALIGNMENT: u64 = 64;
const LITTLE_ENDIAN: [u8; 4] = 0x0102_0304_u32.to_le_bytes();
const NAME_BYTES: usize = 24;

// Where each field of the header lies. The first four never move, whatever the version.
const BYTE_ORDER_AT: usize = 8;
const VERSION_AT: usize = 12;
const LENGTH_AT: usize = 16;
const COUNT_AT: usize = 24;
const ZERO_AT: usize = 28;
const INDEX_SUM_AT: usize = 32;
const KIND_AT: usize = 40;
const HEADER_SUM_AT: usize = 56;

/// `position` or the next multiple of 64 after it; `None` on overflow.
pub(crate) fn align(position: u64) -> Option<u64> {
    position.checked_next_multiple_of(ALIGNMENT)
}

fn bytes<const N: usize>(from: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&from[at..at + N]);
    out
}

fn u32_at(from: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes(from, at))
}

fn u64_at(from: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes(from, at))
}

/// What the header says about the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// [`VERSION_F32`] or [`VERSION`].
    pub(crate) version: u32,
    pub(crate) file_bytes: u64,
    pub(crate) sections: usize,
    pub(crate) index_checksum: u64,
}

impl Header {
    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        let mut put = |at: usize, field: &[u8]| out[at..at + field.len()].copy_from_slice(field);
        put(0, &MAGIC);
        put(BYTE_ORDER_AT, &LITTLE_ENDIAN);
        put(VERSION_AT, &self.version.to_le_bytes());
        put(LENGTH_AT, &self.file_bytes.to_le_bytes());
        put(COUNT_AT, &(self.sections as u32).to_le_bytes());
        put(INDEX_SUM_AT, &self.index_checksum.to_le_bytes());
        put(KIND_AT, KIND);
        let sum = checksum(&out[..HEADER_SUM_AT]);
        out[HEADER_SUM_AT..].copy_from_slice(&sum.to_le_bytes());
        out
    }

    /// Reads the first bytes (up to 64) of a file of `file_bytes`.
    pub(crate) fn decode(start: &[u8], file_bytes: u64) -> Result<Header, ModelFileError> {
        if start.is_empty() {
            return Err(ModelFileError::Empty);
        }
        let known = start.len().min(MAGIC.len());
        if start[..known] != MAGIC[..known] {
            let looks_like = looks_like(start);
            return Err(ModelFileError::NotAModel { looks_like });
        }
        if start.len() < HEADER_BYTES {
            return Err(ModelFileError::TooShort { length: file_bytes });
        }
        let found = bytes(start, BYTE_ORDER_AT);
        if found != LITTLE_ENDIAN {
            return Err(ModelFileError::ByteOrder { found });
        }
        let version = u32_at(start, VERSION_AT);
        if !(VERSION_F32..=VERSION).contains(&version) {
            return Err(ModelFileError::Version { found: version });
        }
        let stored = u64_at(start, HEADER_SUM_AT);
        let computed = checksum(&start[..HEADER_SUM_AT]);
        if stored != computed {
            return Err(ModelFileError::HeaderChecksum { stored, computed });
        }
        if u32_at(start, ZERO_AT) != 0 {
            return Err(ModelFileError::Reserved);
        }
        let kind = bytes::<16>(start, KIND_AT);
        if kind != *KIND {
            let found = unpadded(&kind);
            return Err(ModelFileError::Kind { found });
        }
        let expected = u64_at(start, LENGTH_AT);
        if file_bytes < expected {
            let found = file_bytes;
            return Err(ModelFileError::Truncated { expected, found });
        }
        if file_bytes > expected {
            let found = file_bytes;
            return Err(ModelFileError::TrailingBytes { expected, found });
        }
        let found = u32_at(start, COUNT_AT);
        let fit = (file_bytes - HEADER_BYTES as u64) / ENTRY_BYTES as u64;
        let limit = fit.min(MAX_SECTIONS as u64);
        if found == 0 || u64::from(found) > limit {
            return Err(ModelFileError::SectionCount { found, limit });
        }
        Ok(Header { version, file_bytes, sections: found as usize, index_checksum: u64_at(start, INDEX_SUM_AT) })
    }
}

/// A text that fills the rest of its field with zeros, for an error message.
fn unpadded(field: &[u8]) -> String {
    let end = field.iter().rposition(|&b| b != 0).map_or(0, |last| last + 1);
    String::from_utf8_lossy(&field[..end]).into_owned()
}

/// What people put in a model's place by mistake.
fn looks_like(start: &[u8]) -> Option<&'static str> {
    const KNOWN: [(&[u8], &str); 8] = [
        (b"\x1f\x8b", "gzip; unpack it first"),
        (b"\x28\xb5\x2f\xfd", "zstd; unpack it first"),
        (b"PK\x03\x04", "a zip archive; unpack it first"),
        (b"version https://git-lfs", "a Git LFS pointer, not the file itself"),
        (b"\x89DMRAN\n", "a model damaged by a text-mode transfer"),
        (b"<", "an HTML or XML page"),
        (b"{", "JSON"),
        (b"[", "JSON or TOML"),
    ];
    let trimmed = start.trim_ascii_start();
    let known = KNOWN.iter().find(|(magic, _)| trimmed.starts_with(magic));
    known.map(|(_, what)| *what)
}

/// One line of the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    name: [u8; NAME_BYTES],
    /// Unused dimensions are 0.
    pub(crate) dims: [u64; 2],
    pub(crate) offset: u64,
    pub(crate) length: u64,
    pub(crate) checksum: u64,
}

impl Entry {
    /// An entry whose place and checksum are not known yet. `name` has at most 24 bytes.
    pub(crate) fn new(name: &'static str, dims: [u64; 2], length: u64) -> Entry {
        let mut padded = [0; NAME_BYTES];
        padded[..name.len()].copy_from_slice(name.as_bytes());
        Entry { name: padded, dims, offset: 0, length, checksum: 0 }
    }

    pub(crate) fn is_named(&self, name: &str) -> bool {
        let (head, tail) = self.name.split_at(name.len().min(NAME_BYTES));
        head == name.as_bytes() && tail.iter().all(|&b| b == 0)
    }

    /// The name, for an error message.
    pub(crate) fn name(&self) -> String {
        unpadded(&self.name)
    }

    pub(crate) fn encode(&self) -> [u8; ENTRY_BYTES] {
        let mut out = [0; ENTRY_BYTES];
        out[..NAME_BYTES].copy_from_slice(&self.name);
        let numbers = [self.dims[0], self.dims[1], self.offset, self.length, self.checksum];
        for (field, number) in out[NAME_BYTES..].chunks_exact_mut(8).zip(numbers) {
            field.copy_from_slice(&number.to_le_bytes());
        }
        out
    }

    pub(crate) fn decode(from: &[u8; ENTRY_BYTES]) -> Entry {
        let number = |which: usize| u64_at(from, NAME_BYTES + 8 * which);
        Entry {
            name: bytes(from, 0),
            dims: [number(0), number(1)],
            offset: number(2),
            length: number(3),
            checksum: number(4),
        }
    }
}

/// Reads the index and checks that its sections lie one after the other, aligned, and fill the file.
pub(crate) fn decode_index(index: &[u8], header: &Header) -> Result<Vec<Entry>, ModelFileError> {
    let stored = header.index_checksum;
    let computed = checksum(index);
    if stored != computed {
        return Err(ModelFileError::IndexChecksum { stored, computed });
    }
    let file = header.file_bytes;
    let (lines, _) = index.as_chunks::<ENTRY_BYTES>();
    let entries: Vec<Entry> = lines.iter().map(Entry::decode).collect();
    // Header and entries have 64 bytes each, so the first section needs no padding before it.
    let mut expected = (HEADER_BYTES + index.len()) as u64;
    for (section, entry) in entries.iter().enumerate() {
        let Entry { offset, length, .. } = *entry;
        if offset % ALIGNMENT != 0 {
            return Err(ModelFileError::Unaligned { section, offset });
        }
        if offset < expected {
            return Err(ModelFileError::Overlap { section, offset, expected });
        }
        let end = offset.checked_add(length).and_then(align);
        let Some(end) = end.filter(|&end| end <= file) else {
            return Err(ModelFileError::BeyondEnd { section, offset, length, file });
        };
        if offset > expected {
            return Err(ModelFileError::Gap { section, offset, expected });
        }
        expected = end;
    }
    if expected != file {
        return Err(ModelFileError::Unclaimed { end: expected, file });
    }
    Ok(entries)
}

/// Sets every checksum of a model file's bytes to what its content demands, as far as header and index can be
/// followed. For tests and fuzzing: it lets damaged files past the checksums.
#[doc(hidden)]
pub fn repair_checksums(file: &mut [u8]) {
    if file.len() < HEADER_BYTES {
        return;
    }
    let fit = (file.len() - HEADER_BYTES) / ENTRY_BYTES;
    let count = fit.min(u32_at(file, COUNT_AT) as usize).min(MAX_SECTIONS);
    let index_end = HEADER_BYTES + count * ENTRY_BYTES;
    for at in (HEADER_BYTES..index_end).step_by(ENTRY_BYTES) {
        let mut entry = Entry::decode(&bytes(file, at));
        let start = usize::try_from(entry.offset).ok();
        let range = start.zip(usize::try_from(entry.length).ok());
        let range = range.and_then(|(start, length)| Some(start..start.checked_add(length)?));
        if let Some(section) = range.and_then(|range| file.get(range)) {
            entry.checksum = checksum(section);
            file[at..at + ENTRY_BYTES].copy_from_slice(&entry.encode());
        }
    }
    let index_sum = checksum(&file[HEADER_BYTES..index_end]);
    file[INDEX_SUM_AT..INDEX_SUM_AT + 8].copy_from_slice(&index_sum.to_le_bytes());
    let header_sum = checksum(&file[..HEADER_SUM_AT]);
    file[HEADER_SUM_AT..HEADER_BYTES].copy_from_slice(&header_sum.to_le_bytes());
}
