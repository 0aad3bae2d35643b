//! Files that are whole or not there: written beside their place, synced, then renamed; and the checksum that finds a flipped bit.

mod atomic;
pub(crate) mod checksum;
mod target;

pub use atomic::{Disk, Storage, StorageFile, is_temporary, rehearse, write_atomically, write_atomically_on};
