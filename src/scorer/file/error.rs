//! What can be wrong with a model file: one variant for each rule that it can break.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;

use super::super::card::CardError;
use super::super::ids::IdsError;
use super::header::{HEADER_BYTES, VERSION};
use crate::spec::layout::Shape;
use crate::spec::settings::SettingsError;

/// Why a model cannot be read, built or written.
#[derive(Debug)]
#[non_exhaustive]
pub enum ModelFileError {
    /// The operating system refused.
    Io {
        /// What was tried: `open`, `read`, `write`.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// Its answer.
        error: io::Error,
    },
    /// The path leads to something that is not a regular file. It is not opened.
    NotAFile {
        /// The path.
        path: PathBuf,
        /// What it is: `a folder`, `a named pipe`, ...
        found: &'static str,
    },
    /// The file has no bytes.
    Empty,
    /// The file does not begin as a model does.
    NotAModel {
        /// What it looks like, where that is known.
        looks_like: Option<&'static str>,
    },
    /// The file begins as a model but ends inside the header.
    TooShort {
        /// Its length.
        length: u64,
    },
    /// The byte order mark is wrong.
    ByteOrder {
        /// The mark found.
        found: [u8; 4],
    },
    /// The version is not the one that this program reads.
    Version {
        /// The version found.
        found: u32,
    },
    /// The header's checksum is wrong.
    HeaderChecksum {
        /// The checksum in the header.
        stored: u64,
        /// The checksum of its bytes.
        computed: u64,
    },
    /// Bytes of the header that must be zero are not.
    Reserved,
    /// The model is of another kind than this program scores.
    Kind {
        /// The kind found.
        found: String,
    },
    /// The file is shorter than its header says.
    Truncated {
        /// Length in the header.
        expected: u64,
        /// Length of the file.
        found: u64,
    },
    /// The file is longer than its header says.
    TrailingBytes {
        /// Length in the header.
        expected: u64,
        /// Length of the file.
        found: u64,
    },
    /// A model cannot have so many sections, or they do not fit into the file.
    SectionCount {
        /// The number found.
        found: u32,
        /// The most that could be.
        limit: u64,
    },
    /// The index's checksum is wrong.
    IndexChecksum {
        /// The checksum in the header.
        stored: u64,
        /// The checksum of the index.
        computed: u64,
    },
    /// A section does not begin at a multiple of 64.
    Unaligned {
        /// Which section, from 0.
        section: usize,
        /// Where it begins.
        offset: u64,
    },
    /// A section begins before the one before it has ended.
    Overlap {
        /// Which section, from 0.
        section: usize,
        /// Where it begins.
        offset: u64,
        /// Where it should begin.
        expected: u64,
    },
    /// Unused bytes lie before a section.
    Gap {
        /// Which section, from 0.
        section: usize,
        /// Where it begins.
        offset: u64,
        /// Where it should begin.
        expected: u64,
    },
    /// A section ends after the file does.
    BeyondEnd {
        /// Which section, from 0.
        section: usize,
        /// Where it begins.
        offset: u64,
        /// Its length.
        length: u64,
        /// Length of the file.
        file: u64,
    },
    /// The sections end before the file does.
    Unclaimed {
        /// Where the last section ends, with its padding.
        end: u64,
        /// Length of the file.
        file: u64,
    },
    /// Another section stands where the settings demand this one.
    SectionName {
        /// Which section, from 0.
        section: usize,
        /// The name demanded, or `nothing` past the last one.
        expected: &'static str,
        /// The name found, or `nothing`.
        found: String,
    },
    /// A section has not the rank and dimensions that settings and counts demand.
    SectionShape {
        /// The section.
        section: &'static str,
        /// Dimensions demanded.
        expected: Vec<u64>,
        /// Dimensions found (unused ones are 0).
        found: Vec<u64>,
    },
    /// A section's length is not what its dimensions take.
    SectionLength {
        /// The section.
        section: &'static str,
        /// Bytes that its dimensions take.
        expected: u64,
        /// Bytes found.
        found: u64,
    },
    /// A section's dimensions multiply to more than a number can hold.
    Overflow {
        /// The section.
        section: &'static str,
    },
    /// A section is larger than this machine can address.
    TooLarge {
        /// The section.
        section: &'static str,
        /// Its bytes.
        bytes: u64,
    },
    /// A section's checksum is wrong.
    SectionChecksum {
        /// The section.
        section: &'static str,
        /// The checksum in the index.
        stored: u64,
        /// The checksum of its bytes.
        computed: u64,
    },
    /// The bytes between a section and the next are not all zero.
    Padding {
        /// The section before them.
        section: &'static str,
    },
    /// The settings break a rule.
    Settings(SettingsError),
    /// The card breaks a rule.
    Card(CardError),
    /// The ids of items or categories break a rule.
    Ids {
        /// `items` or `categories`.
        section: &'static str,
        /// The rule.
        error: IdsError,
    },
    /// There is no item or, in a model with categories, no category.
    NoIds {
        /// `items` or `categories`.
        section: &'static str,
    },
    /// Categories are there although the settings have none.
    UnexpectedCategories,
    /// Not every item has one category.
    CategoryCount {
        /// Number of items.
        items: usize,
        /// Number of item categories.
        found: usize,
    },
    /// An item's category does not exist.
    CategoryIndex {
        /// Which item, from 0.
        item: usize,
        /// Its category.
        category: u32,
        /// How many categories there are.
        categories: usize,
    },
    /// A weight is NaN or infinite.
    NotFinite {
        /// The tensor.
        tensor: &'static str,
        /// Which number of it, row-major from 0.
        index: usize,
        /// The number.
        value: f32,
    },
    /// A tensor that the settings demand was not given (building a model).
    MissingTensor {
        /// Its name.
        tensor: &'static str,
    },
    /// A tensor was given that the settings do not know, or one was given twice (building a model).
    UnknownTensor {
        /// Its name.
        tensor: String,
    },
    /// A tensor has the wrong number of values (building a model).
    TensorLength {
        /// Its name.
        tensor: &'static str,
        /// The shape that the settings demand.
        expected: Shape,
        /// How many values it has.
        found: usize,
    },
}

impl fmt::Display for ModelFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { action, path, error } => {
                write!(f, "cannot {action} {}: {error}", path.display())
            }
            Self::NotAFile { path, found } => {
                write!(f, "{} is {found}, not a model file", path.display())
            }
            Self::Empty => write!(f, "not a model: the file is empty"),
            Self::NotAModel { looks_like: None } => {
                write!(f, "not a model: the file does not begin as a model does")
            }
            Self::NotAModel { looks_like: Some(what) } => {
                write!(f, "not a model: the file looks like {what}")
            }
            Self::TooShort { length } => {
                write!(f, "the file ends after {length} bytes, inside its header of {HEADER_BYTES}")
            }
            Self::ByteOrder { found } => {
                write!(f, "byte order mark {found:02x?}; models are little-endian (04 03 02 01)")
            }
            Self::Version { found } if *found > VERSION => {
                write!(
                    f,
                    "the model has version {found}, newer than version {VERSION}, the newest that this program reads"
                )
            }
            Self::Version { found } => {
                write!(f, "the model has version {found}; this program reads versions 1 to {VERSION}")
            }
            Self::HeaderChecksum { stored, computed } => {
                write!(f, "the header is damaged: checksum {computed:016x}, but {stored:016x} is stored")
            }
            Self::Reserved => write!(f, "reserved bytes of the header are not zero"),
            Self::Kind { found } => write!(f, "the file holds a model of kind {found:?}; only \"dmran\" can be scored"),
            Self::Truncated { expected, found } => {
                write!(f, "the file is cut short: {found} bytes of the {expected} that its header states")
            }
            Self::TrailingBytes { expected, found } => write!(
                f,
                "the file has {found} bytes, {} more than the {expected} that its header states",
                found.saturating_sub(*expected)
            ),
            Self::SectionCount { found, limit } => {
                write!(f, "{found} sections; between 1 and {limit} are possible")
            }
            Self::IndexChecksum { stored, computed } => {
                write!(f, "the index is damaged: checksum {computed:016x}, but {stored:016x} is stored")
            }
            Self::Unaligned { section, offset } => {
                write!(f, "section {section} begins at byte {offset}, which is not a multiple of 64")
            }
            Self::Overlap { section, offset, expected } => {
                write!(f, "section {section} begins at byte {offset}, inside what comes before it; expected {expected}")
            }
            Self::Gap { section, offset, expected } => {
                write!(f, "section {section} begins at byte {offset} and leaves a gap; expected {expected}")
            }
            Self::BeyondEnd { section, offset, length, file } => write!(
                f,
                "section {section} of {length} bytes at byte {offset} does not fit into a file of {file} bytes"
            ),
            Self::Unclaimed { end, file } => write!(f, "the sections end at byte {end}, but the file has {file} bytes"),
            Self::SectionName { section, expected, found } => {
                write!(f, "section {section} is {found:?}; the settings demand {expected:?} there")
            }
            Self::SectionShape { section, expected, found } => {
                write!(f, "section {section:?} has the dimensions {found:?}; the settings demand {expected:?}")
            }
            Self::SectionLength { section, expected, found } => {
                write!(f, "section {section:?} has {found} bytes; its dimensions take {expected}")
            }
            Self::Overflow { section } => {
                write!(f, "the dimensions of section {section:?} overflow")
            }
            Self::TooLarge { section, bytes } => {
                write!(f, "section {section:?} has {bytes} bytes, more than this machine can address")
            }
            Self::SectionChecksum { section, stored, computed } => {
                write!(f, "section {section:?} is damaged: checksum {computed:016x}, but {stored:016x} is stored")
            }
            Self::Padding { section } => {
                write!(f, "the padding after section {section:?} is not zero")
            }
            Self::Settings(error) => write!(f, "settings: {error}"),
            Self::Card(error) => write!(f, "model card: {error}"),
            Self::Ids { section, error } => write!(f, "ids of {section}: {error}"),
            Self::NoIds { section } => write!(f, "the model has no {section}"),
            Self::UnexpectedCategories => {
                write!(f, "categories are given, but the settings have none")
            }
            Self::CategoryCount { items, found } => {
                write!(f, "{items} items, but categories for {found} of them")
            }
            Self::CategoryIndex { item, category, categories } => {
                write!(f, "item {item} has category {category}, but there are {categories} categories")
            }
            Self::NotFinite { tensor, index, value } => {
                write!(f, "tensor {tensor} has the value {value} at index {index}; weights must be finite")
            }
            Self::MissingTensor { tensor } => write!(f, "tensor {tensor} is missing"),
            Self::UnknownTensor { tensor } => {
                write!(f, "tensor {tensor} does not belong to the model or is there twice")
            }
            Self::TensorLength { tensor, expected, found } => {
                write!(f, "tensor {tensor} has {found} values; its shape is {expected}")
            }
        }
    }
}

impl Error for ModelFileError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { error, .. } => Some(error),
            Self::Settings(error) => Some(error),
            Self::Card(error) => Some(error),
            Self::Ids { error, .. } => Some(error),
            _ => None,
        }
    }
}

impl From<SettingsError> for ModelFileError {
    fn from(error: SettingsError) -> Self {
        Self::Settings(error)
    }
}

impl From<CardError> for ModelFileError {
    fn from(error: CardError) -> Self {
        Self::Card(error)
    }
}
