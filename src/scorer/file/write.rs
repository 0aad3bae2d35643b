//! Writing a model.

use std::io::{self, Write};
use std::path::Path;

use super::super::compact::{Compact, Precision};
use super::super::model::Model;
use super::error::ModelFileError;
use super::header::{ENTRY_BYTES, Entry, HEADER_BYTES, Header, VERSION, VERSION_F32, align};
use super::sections::{Content, FreeDims, Section, encode_settings, expected_sections};
use crate::durable::checksum::{Checksum, checksum};
use crate::durable::write_atomically;

const CHUNK: usize = 16 * 1024;

impl Model {
    /// Writes the model file, whole or not at all (see [`write_atomically`]). The same model gives the same bytes.
    ///
    /// # Errors
    /// [`ModelFileError::Io`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), ModelFileError> {
        let path = path.as_ref();
        write_atomically(path, |out| self.write_to(out)).map_err(|error| ModelFileError::Io {
            action: "write",
            path: path.to_owned(),
            error,
        })
    }

    /// The model file as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let written = self.write_to(&mut out);
        debug_assert!(written.is_ok(), "writing to memory cannot fail");
        out
    }

    /// Writes the model file's bytes to `out`, which need not be a file.
    ///
    /// # Errors
    /// What `out` answers.
    pub fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        let plan = Plan::new(self)?;
        out.write_all(&plan.header.encode())?;
        out.write_all(&plan.index)?;
        for (section, length) in &plan.sections {
            self.emit(section, &plan.card, out)?;
            let padding = align(*length).map_or(0, |end| end - length);
            out.write_all(&[0; 64][..padding as usize])?;
        }
        Ok(())
    }

    fn sections(&self, card_bytes: usize) -> Vec<Section> {
        let dims = |ids: &super::super::ids::Ids| [ids.len() as u64, ids.raw().1.len() as u64];
        let free = FreeDims { items: dims(self.items()), categories: dims(self.categories()), card: card_bytes as u64 };
        expected_sections(self.settings(), self.counts(), &free, self.precision())
    }

    /// The bytes of one section, without padding.
    fn emit(&self, section: &Section, card: &[u8], out: &mut dyn Write) -> io::Result<()> {
        match section.content {
            Content::Settings => out.write_all(&encode_settings(self.settings())),
            Content::Items => emit_ids(self.items().raw(), out),
            Content::Categories => emit_ids(self.categories().raw(), out),
            Content::ItemCategory => emit_numbers(self.item_category(), u32::to_le_bytes, out),
            Content::Card => out.write_all(card),
            Content::Tensor(spec) => {
                let values = self.tensor(spec.name).unwrap_or_default();
                emit_numbers(values, f32::to_le_bytes, out)
            }
            Content::Compact(spec, _) => match self.compact(spec.name) {
                Some(Compact::Bf16(halves)) => emit_numbers(halves, u16::to_le_bytes, out),
                Some(Compact::Int8 { codes, scales }) => {
                    emit_numbers(scales, f32::to_le_bytes, out)?;
                    emit_numbers(codes, i8::to_le_bytes, out)
                }
                None => Ok(()),
            },
        }
    }
}

/// Everything that stands before the sections, and what follows.
struct Plan {
    header: Header,
    index: Vec<u8>,
    card: Vec<u8>,
    sections: Vec<(Section, u64)>,
}

impl Plan {
    /// Goes over the whole model once for the checksums.
    fn new(model: &Model) -> io::Result<Plan> {
        let card = model.card().encode();
        let sections = model.sections(card.len());
        let mut end = (HEADER_BYTES + ENTRY_BYTES * sections.len()) as u64;
        let mut index = Vec::with_capacity(ENTRY_BYTES * sections.len());
        let mut placed = Vec::with_capacity(sections.len());
        for section in sections {
            let mut sum = Summing { checksum: Checksum::new(), length: 0 };
            model.emit(&section, &card, &mut sum)?;
            let mut entry = Entry::new(section.name(), section.dims, sum.length);
            entry.offset = end;
            entry.checksum = sum.checksum.finish();
            index.extend(entry.encode());
            placed.push((section, sum.length));
            let too_long = || io::Error::other("a model of more than 2^64 bytes");
            end = end.checked_add(sum.length).and_then(align).ok_or_else(too_long)?;
        }
        let version = if model.precision() == Precision::F32 { VERSION_F32 } else { VERSION };
        let header = Header { version, file_bytes: end, sections: placed.len(), index_checksum: checksum(&index) };
        Ok(Plan { header, index, card, sections: placed })
    }
}

/// Takes bytes for their checksum and length alone.
struct Summing {
    checksum: Checksum,
    length: u64,
}

impl Write for Summing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.checksum.update(bytes);
        self.length += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn emit_ids((offsets, text): (&[u32], &[u8]), out: &mut dyn Write) -> io::Result<()> {
    emit_numbers(offsets, u32::to_le_bytes, out)?;
    out.write_all(text)
}

/// Numbers of N bytes each, converted piece by piece.
fn emit_numbers<T: Copy, const N: usize>(
    values: &[T],
    to_bytes: impl Fn(T) -> [u8; N],
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut buffer = [0; CHUNK];
    for piece in values.chunks(CHUNK / N) {
        let bytes = &mut buffer[..N * piece.len()];
        for (number, &value) in bytes.as_chunks_mut::<N>().0.iter_mut().zip(piece) {
            *number = to_bytes(value);
        }
        out.write_all(bytes)?;
    }
    Ok(())
}
