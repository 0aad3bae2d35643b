//! Bytes of a checkpoint: the header, and the payload by bincode. The only file that knows bincode.
//!
//! bincode is no longer maintained; what it is trusted with is little. A payload reaches it only after its checksum was
//! found right, with a limit on the bytes that it may take and with nothing left over at the end.

use super::parts::Manifest;
use super::{Checkpoint, CheckpointError};
use crate::durable::checksum::Checksum;
use bincode::Options;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};

const MAGIC: [u8; 8] = *b"DMRANRUN";
const VERSION: u32 = 3;
/// The version of a list of parts.
const MANIFEST: u32 = 4;
/// The header's bytes: those that the checksum covers, then the checksum.
const COVERED: usize = 24;
pub(super) const HEADER: usize = COVERED + 8;
const BUFFER: usize = 1 << 16;

fn options(limit: u64) -> impl Options {
    bincode::DefaultOptions::new().with_fixint_encoding().reject_trailing_bytes().with_limit(limit)
}

/// Writes header and payload. Goes over the content twice, for checksum and length first, so that nothing is copied.
pub(super) fn write(content: &impl Serialize, out: &mut dyn Write) -> Result<(), CheckpointError> {
    write_as(VERSION, content, out)
}

/// [`write`] for a list of parts.
pub(super) fn write_manifest(manifest: &Manifest, out: &mut dyn Write) -> Result<(), CheckpointError> {
    write_as(MANIFEST, manifest, out)
}

/// How many bytes [`write`] writes.
pub(super) fn length(content: &impl Serialize) -> Result<u64, CheckpointError> {
    let length = options(u64::MAX).serialized_size(content).map_err(|error| failed(*error))?;
    Ok(HEADER as u64 + length)
}

/// The checksum that stands in a header.
pub(super) fn checksum_of(header: &[u8]) -> u64 {
    header.get(COVERED..HEADER).map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap_or_default()))
}

fn write_as(version: u32, content: &impl Serialize, out: &mut dyn Write) -> Result<(), CheckpointError> {
    let length = options(u64::MAX).serialized_size(content).map_err(|error| failed(*error))?;
    let mut header = [0; HEADER];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&version.to_le_bytes());
    header[16..24].copy_from_slice(&length.to_le_bytes());
    let mut sum = io::BufWriter::with_capacity(BUFFER, Summing(Checksum::new()));
    sum.write_all(&header[..COVERED])?;
    options(length).serialize_into(&mut sum, content).map_err(|error| failed(*error))?;
    let sum = sum.into_inner().map_err(io::IntoInnerError::into_error)?.0.finish();
    header[COVERED..].copy_from_slice(&sum.to_le_bytes());
    out.write_all(&header)?;
    options(length).serialize_into(out, content).map_err(|error| failed(*error))
}

/// What a header says that was found right.
pub(super) struct Header {
    version: u32,
    payload: u64,
    pub checksum: u64,
}

impl Header {
    /// Whether a list of parts follows.
    pub fn is_manifest(&self) -> bool {
        self.version == MANIFEST
    }
}

/// Reads `file`, which is `length` bytes long, and stands before its payload then.
pub(super) fn open(file: &mut (impl Read + Seek), length: u64) -> Result<Header, CheckpointError> {
    let mut header = [0; HEADER];
    let known = length.min(HEADER as u64) as usize;
    file.read_exact(&mut header[..known])?;
    let field = |at: usize| u64::from_le_bytes(header[at..at + 8].try_into().unwrap_or_default());
    if header[..8] != MAGIC {
        return Err(CheckpointError::NotACheckpoint);
    }
    let (payload, expected) = (field(16), field(COVERED));
    let whole = payload.saturating_add(HEADER as u64);
    if known < HEADER || length < whole {
        let expected = if known < HEADER { HEADER as u64 } else { whole };
        return Err(CheckpointError::Cut { found: length, expected });
    }
    if length > whole {
        return Err(CheckpointError::Trailing { extra: length - whole });
    }
    let mut sum = Summing(Checksum::new());
    sum.write_all(&header[..COVERED])?;
    let summed = io::copy(&mut BufReader::with_capacity(BUFFER, &mut *file).take(payload), &mut sum)?;
    if summed < payload {
        return Err(CheckpointError::Cut { found: HEADER as u64 + summed, expected: whole });
    }
    let found = sum.0.finish();
    if found != expected {
        return Err(CheckpointError::Checksum { found, expected });
    }
    // Length and checksum stand where they are in every version: a damaged number is not taken for a newer version.
    let version = u32::from_le_bytes(header[8..12].try_into().unwrap_or_default());
    if version != VERSION && version != MANIFEST {
        return Err(CheckpointError::Version { found: version, known: VERSION });
    }
    if header[12..16] != [0; 4] {
        return Err(CheckpointError::Payload("bytes 12 to 15 of the header are not 0".into()));
    }
    file.seek(SeekFrom::Start(HEADER as u64))?;
    Ok(Header { version, payload, checksum: expected })
}

/// The checkpoint that follows a header.
pub(super) fn checkpoint(file: &mut impl Read, header: &Header) -> Result<Checkpoint, CheckpointError> {
    if header.is_manifest() {
        return Err(CheckpointError::Payload("this is the list of a checkpoint's parts".into()));
    }
    content(file, header)
}

/// The list of parts that follows a header.
pub(super) fn manifest(file: &mut impl Read, header: &Header) -> Result<Manifest, CheckpointError> {
    content(file, header)
}

fn content<T: DeserializeOwned>(file: &mut impl Read, header: &Header) -> Result<T, CheckpointError> {
    let payload = header.payload;
    let mut content = BufReader::with_capacity(BUFFER, file).take(payload);
    let read = options(payload).deserialize_from(&mut content).map_err(|error| failed(*error))?;
    // bincode rejects trailing bytes of slices only.
    match io::copy(&mut content, &mut io::sink())? {
        0 => Ok(read),
        extra => Err(CheckpointError::Trailing { extra }),
    }
}

/// Gives a header the length and the checksum of the bytes that follow it, whatever they are: for fuzzers, which would
/// never get past the checksum.
pub fn repair(file: &mut [u8]) {
    let Some(payload) = file.len().checked_sub(HEADER) else { return };
    file[16..24].copy_from_slice(&(payload as u64).to_le_bytes());
    let mut sum = Checksum::new();
    sum.update(&file[..COVERED]);
    sum.update(&file[HEADER..]);
    file[COVERED..HEADER].copy_from_slice(&sum.finish().to_le_bytes());
}

fn failed(error: bincode::ErrorKind) -> CheckpointError {
    match error {
        bincode::ErrorKind::Io(error) if error.kind() != io::ErrorKind::UnexpectedEof => CheckpointError::Io(error),
        error => CheckpointError::Payload(error.to_string()),
    }
}

/// Takes bytes for their checksum alone.
struct Summing(Checksum);

impl Write for Summing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
