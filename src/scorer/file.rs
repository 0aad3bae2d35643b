//! The model file: one file, everything in it, nothing outside of it.
//!
//! ```text
//! header   64 bytes: magic, byte order, version, file length, number of sections, kind, checksums
//! index    64 bytes a section: name, dimensions, offset, length, checksum
//! sections settings, items, [categories, item_category], card, then the tensors of `expected_tensors`
//! ```
//! Version 2 has the tables of items and categories in fewer bytes than `f32`: `V.bf16` (the upper halves) or `V.int8` (a
//! scale a row, then one code a number) instead of `V`, and so for `C`. Models of `f32` tables are of version 1.
//!
//! All numbers are little-endian. Every section begins at a multiple of 64, right after the one before it; the bytes
//! between are zero, and the last section's padding ends the file. A flipped bit anywhere is found: the header has a
//! checksum, the index has one (in the header), each section has one (in the index), and padding is compared with zero.
//!
//! A reader never allocates more than the file's length and 64 KiB (and, for compact tables, the widened ones): each count is held against the file's length
//! before anything is allocated for it.

pub(crate) mod error;
pub(crate) mod header;
pub(crate) mod read;
pub(crate) mod sections;
pub(crate) mod write;

pub use error::ModelFileError;
pub use header::{MAGIC, repair_checksums};
