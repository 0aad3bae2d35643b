//! Memory mapping (feature `mmap`): the only unsafe code of the scorer beside the C ABI.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::mem::size_of;
use std::sync::Arc;

use memmap2::Mmap;

/// A whole file in memory, read-only.
#[derive(Debug, Clone)]
pub(crate) struct Map(Arc<Mmap>);

impl Map {
    pub(crate) fn open(file: &File) -> io::Result<Map> {
        // SAFETY: the mapping is read-only and private to this type. That nobody changes or cuts the file in place
        // while it is mapped cannot be checked; it is the documented duty of the caller of `Model::map`.
        let map = unsafe { Mmap::map(file)? };
        Ok(Map(Arc::new(map)))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// Little-endian numbers inside a map, kept alive by it.
#[derive(Debug, Clone)]
pub(crate) struct MappedWeights {
    map: Map,
    offset: usize,
    length: usize,
}

impl MappedWeights {
    /// `length` numbers from byte `offset` on. `None` where they do not lie inside the map, are not aligned, or where
    /// this machine is not little-endian: then they have to be copied.
    pub(crate) fn new(map: &Map, offset: u64, length: usize) -> Option<MappedWeights> {
        let offset = usize::try_from(offset).ok()?;
        let end = offset.checked_add(length.checked_mul(size_of::<f32>())?)?;
        let bytes = map.bytes().get(offset..end)?;
        let usable = cfg!(target_endian = "little") && bytes.as_ptr().cast::<f32>().is_aligned();
        usable.then(|| MappedWeights { map: map.clone(), offset, length })
    }

    pub(crate) fn values(&self) -> &[f32] {
        let start = self.map.bytes()[self.offset..].as_ptr().cast::<f32>();
        // SAFETY: `new` has checked that `length` numbers from `offset` on lie inside the map and that the first is
        // aligned; neither the map nor these fields change afterwards. Every bit pattern is an f32. The returned
        // slice borrows `self`, which keeps the map alive.
        unsafe { std::slice::from_raw_parts(start, self.length) }
    }
}
