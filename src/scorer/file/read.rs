//! Reading a model: every rule of the file is checked before the model is given out.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use super::super::aligned::Aligned;
use super::super::card::{Card, CardSource};
use super::super::compact::{Compact, Precision};
use super::super::ids::Ids;
use super::super::model::{Model, Tensor, Weights, check_finite, check_item_category};
use super::error::ModelFileError;
use super::header::{ENTRY_BYTES, Entry, HEADER_BYTES, Header, MAX_SECTIONS, align, decode_index};
use super::sections::{Content, SETTINGS_BYTES, SETTINGS_SECTION, Section, check_index, decode_settings};
use crate::durable::checksum::Checksum;
use crate::spec::layout::{Counts, TensorSpec};
use crate::spec::settings::Settings;

const CHUNK: usize = 16 * 1024;

impl Model {
    /// Reads a model file into memory.
    ///
    /// # Errors
    /// The first rule that the file breaks. A path that is not a regular file is refused without opening it, so a
    /// named pipe does not block.
    pub fn load(path: impl AsRef<Path>) -> Result<Model, ModelFileError> {
        let path = path.as_ref();
        let (file, length) = open(path)?;
        read_model(file, length, Some(path), |_, _| None)
    }

    /// Reads a model from the bytes of its file.
    ///
    /// # Errors
    /// The first rule that the bytes break.
    pub fn from_bytes(bytes: &[u8]) -> Result<Model, ModelFileError> {
        read_model(bytes, bytes.len() as u64, None, |_, _| None)
    }

    /// Loads a model by mapping its file into memory (feature `mmap`): the tensors stay in the file and are shared by
    /// all processes that map it. All checks are made, so the whole file is read once.
    ///
    /// **Caveat.** The file must not be changed in place or cut while the model lives: its weights would change
    /// unnoticed, or the process would be stopped by the operating system. Replacing it by rename, as
    /// [`Model::save`] does, is safe: the old content lives on as long as it is mapped.
    ///
    /// # Errors
    /// As [`Model::load`].
    #[cfg(feature = "mmap")]
    pub fn map(path: impl AsRef<Path>) -> Result<Model, ModelFileError> {
        use super::super::map::{Map, MappedWeights};
        let path = path.as_ref();
        let (file, length) = open(path)?;
        if length == 0 {
            return Err(ModelFileError::Empty);
        }
        let map =
            Map::open(&file).map_err(|error| ModelFileError::Io { action: "map", path: path.to_owned(), error })?;
        let bytes = map.bytes();
        read_model(bytes, bytes.len() as u64, Some(path), |offset, length| {
            MappedWeights::new(&map, offset, length).map(Weights::Mapped)
        })
    }
}

/// Opens a regular file and tells its length.
fn open(path: &Path) -> Result<(File, u64), ModelFileError> {
    let io = |action| move |error| ModelFileError::Io { action, path: path.to_owned(), error };
    let check = |metadata: &fs::Metadata| match metadata.is_file() {
        true => Ok(()),
        false => Err(ModelFileError::NotAFile { path: path.to_owned(), found: kind_of(metadata) }),
    };
    check(&fs::metadata(path).map_err(io("open"))?)?;
    let file = File::open(path).map_err(io("open"))?;
    let metadata = file.metadata().map_err(io("open"))?;
    check(&metadata)?;
    Ok((file, metadata.len()))
}

fn kind_of(metadata: &fs::Metadata) -> &'static str {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = metadata.file_type();
        if kind.is_fifo() {
            return "a named pipe";
        }
        if kind.is_socket() {
            return "a socket";
        }
        if kind.is_char_device() || kind.is_block_device() {
            return "a device";
        }
    }
    match metadata.is_dir() {
        true => "a folder",
        false => "not a regular file",
    }
}

/// Reads `file_bytes` bytes. `place(offset, values)` may give a tensor's storage, where it is already in memory;
/// otherwise it is copied.
fn read_model(
    read: impl Read,
    file_bytes: u64,
    path: Option<&Path>,
    place: impl Fn(u64, usize) -> Option<Weights>,
) -> Result<Model, ModelFileError> {
    let mut input = Input { read, path };
    let mut start = [0; HEADER_BYTES];
    let start = &mut start[..file_bytes.min(HEADER_BYTES as u64) as usize];
    input.fill(start)?;
    let header = Header::decode(start, file_bytes)?;

    let mut index = [0; MAX_SECTIONS * ENTRY_BYTES];
    let index = &mut index[..header.sections * ENTRY_BYTES];
    input.fill(index)?;
    let entries = decode_index(index, &header)?;

    let settings = read_settings(&mut input, &entries)?;
    let sections = check_index(header.version, &settings, &entries)?;

    let mut items = Ids::default();
    let mut categories = Ids::default();
    let mut item_category = Vec::new();
    let mut card = Card::default();
    let mut tensors = Vec::with_capacity(sections.len());
    for (section, entry) in sections.iter().zip(&entries).skip(1) {
        input.section(section, entry, |part| {
            match section.content {
                Content::Settings => {}
                Content::Items => items = part.ids(section)?,
                Content::Categories => categories = part.ids(section)?,
                Content::ItemCategory => {
                    item_category = part.words(items.len(), u32::from_le_bytes)?;
                    check_item_category(&item_category, items.len(), categories.len())?;
                }
                Content::Card => card = Card::decode(part)?,
                Content::Tensor(spec) => {
                    let length = (entry.length / 4) as usize;
                    let weights = part.weights(&spec, length, place(entry.offset, length))?;
                    tensors.push(Tensor::new(spec, weights));
                }
                Content::Compact(spec, precision) => {
                    let compact = part.compact(precision, section.dims.map(|dim| dim as usize))?;
                    let tensor = Tensor::of_compact(spec, compact);
                    check_finite(spec.name, tensor.values())?;
                    tensors.push(tensor);
                }
            }
            Ok(())
        })?;
    }
    let counts = Counts { items: items.len(), categories: categories.len() };
    debug_assert_eq!(tensors.len(), crate::spec::layout::expected_tensors(&settings, counts).len());
    Ok(Model::from_checked(settings, items, categories, item_category, card, tensors))
}

/// The settings come first: what else must be there follows from them.
fn read_settings<R: Read>(input: &mut Input<'_, R>, entries: &[Entry]) -> Result<Settings, ModelFileError> {
    let name = SETTINGS_SECTION.name();
    let entry = entries.first().filter(|entry| entry.is_named(name));
    let Some(entry) = entry else {
        return Err(ModelFileError::SectionName {
            section: 0,
            expected: name,
            found: entries.first().map(Entry::name).unwrap_or_default(),
        });
    };
    if entry.length != SETTINGS_BYTES as u64 {
        return Err(ModelFileError::SectionLength {
            section: name,
            expected: SETTINGS_BYTES as u64,
            found: entry.length,
        });
    }
    input.section(&SETTINGS_SECTION, entry, |part| {
        let mut bytes = [0; SETTINGS_BYTES];
        part.take(&mut bytes)?;
        Ok(decode_settings(&bytes)?)
    })
}

/// The bytes of a file from its beginning to its end.
struct Input<'a, R> {
    read: R,
    path: Option<&'a Path>,
}

impl<R: Read> Input<'_, R> {
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), ModelFileError> {
        self.read.read_exact(buffer).map_err(|error| self.error(error))
    }

    fn error(&self, error: io::Error) -> ModelFileError {
        ModelFileError::Io {
            action: "read",
            path: self.path.unwrap_or(Path::new("(bytes in memory)")).to_owned(),
            error,
        }
    }

    /// Reads one section and its padding. A wrong checksum is reported before anything that `decode` dislikes.
    fn section<T>(
        &mut self,
        section: &Section,
        entry: &Entry,
        decode: impl FnOnce(&mut Part<'_, '_, R>) -> Result<T, ModelFileError>,
    ) -> Result<T, ModelFileError> {
        let name = section.name();
        let mut part = Part { input: self, left: entry.length, checksum: Checksum::new() };
        let decoded = decode(&mut part);
        part.drain()?;
        let computed = part.checksum.finish();
        if computed != entry.checksum {
            return Err(ModelFileError::SectionChecksum { section: name, stored: entry.checksum, computed });
        }
        let padding = align(entry.length).map_or(0, |end| end - entry.length) as usize;
        let mut bytes = [0; 64];
        self.fill(&mut bytes[..padding])?;
        if bytes.iter().any(|&b| b != 0) {
            return Err(ModelFileError::Padding { section: name });
        }
        decoded
    }
}

/// The section being read.
struct Part<'a, 'p, R> {
    input: &'a mut Input<'p, R>,
    left: u64,
    checksum: Checksum,
}

impl<R: Read> Part<'_, '_, R> {
    /// Fills `buffer`. The index has been checked, so `left` is at least as long wherever dimensions say so.
    fn take(&mut self, buffer: &mut [u8]) -> Result<(), ModelFileError> {
        if buffer.len() as u64 > self.left {
            return Err(self.input.error(io::ErrorKind::UnexpectedEof.into()));
        }
        self.input.fill(buffer)?;
        self.checksum.update(buffer);
        self.left -= buffer.len() as u64;
        Ok(())
    }

    fn drain(&mut self) -> Result<(), ModelFileError> {
        let mut buffer = [0; CHUNK];
        while self.left > 0 {
            let piece = self.left.min(CHUNK as u64) as usize;
            self.take(&mut buffer[..piece])?;
        }
        Ok(())
    }

    /// `count` bytes, in pieces of a multiple of 4 but for the last, to `each`.
    fn bytes(&mut self, count: usize, mut each: impl FnMut(&[u8])) -> Result<(), ModelFileError> {
        let mut buffer = [0; CHUNK];
        let mut left = count;
        while left > 0 {
            let bytes = &mut buffer[..left.min(CHUNK)];
            self.take(bytes)?;
            each(bytes);
            left -= bytes.len();
        }
        Ok(())
    }

    /// `count` numbers of 4 bytes each, in pieces, to `each`.
    fn pieces(&mut self, count: usize, mut each: impl FnMut(&[[u8; 4]])) -> Result<(), ModelFileError> {
        self.bytes(4 * count, |piece| each(piece.as_chunks::<4>().0))
    }

    fn words<T>(&mut self, count: usize, from_bytes: impl Fn([u8; 4]) -> T) -> Result<Vec<T>, ModelFileError> {
        let mut words = Vec::with_capacity(count);
        self.pieces(count, |piece| words.extend(piece.iter().map(|&word| from_bytes(word))))?;
        Ok(words)
    }

    fn ids(&mut self, section: &Section) -> Result<Ids, ModelFileError> {
        let error = |error| ModelFileError::Ids { section: section.name(), error };
        // Both dimensions fit a u32, and the section's length has been checked.
        let [count, bytes] = section.dims.map(|dim| dim as usize);
        let offsets = self.words(count + 1, u32::from_le_bytes)?;
        let mut text = vec![0; bytes];
        self.take(&mut text)?;
        Ids::from_raw(offsets, text).map_err(error)
    }

    fn weights(
        &mut self,
        spec: &TensorSpec,
        length: usize,
        placed: Option<Weights>,
    ) -> Result<Weights, ModelFileError> {
        let weights = match placed {
            Some(weights) => {
                self.drain()?;
                weights
            }
            None => {
                let mut values = Aligned::with_capacity(length);
                self.pieces(length, |piece| values.extend(piece.iter().map(|&word| f32::from_le_bytes(word))))?;
                Weights::Owned(values)
            }
        };
        check_finite(spec.name, &weights)?;
        Ok(weights)
    }
}

impl<R: Read> Part<'_, '_, R> {
    /// A table of `rows` of `width`.
    fn compact(&mut self, precision: Precision, [rows, width]: [usize; 2]) -> Result<Compact, ModelFileError> {
        if precision == Precision::Int8 {
            let scales = self.words(rows, f32::from_le_bytes)?;
            let mut codes = Vec::with_capacity(rows * width);
            self.bytes(rows * width, |piece| codes.extend(piece.iter().map(|&byte| byte as i8)))?;
            return Ok(Compact::Int8 { codes, scales });
        }
        let mut halves = Vec::with_capacity(rows * width);
        self.bytes(2 * rows * width, |piece| {
            halves.extend(piece.as_chunks::<2>().0.iter().map(|&half| u16::from_le_bytes(half)));
        })?;
        Ok(Compact::Bf16(halves))
    }
}

impl<R: Read> CardSource for Part<'_, '_, R> {
    type Error = ModelFileError;

    fn left(&self) -> u64 {
        self.left
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), ModelFileError> {
        self.take(buffer)
    }
}
