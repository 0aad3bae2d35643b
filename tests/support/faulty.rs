//! A storage on which one call fails.

use dmran::durable::{Disk, Storage, StorageFile};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Lets one call fail, counted over creating, writing, syncing, renaming and syncing the folder.
#[derive(Clone)]
pub struct Faulty {
    left: Arc<AtomicUsize>,
    fault: Fault,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// Takes half of the bytes and says so: no error at all.
    Short,
    /// Takes no bytes.
    Nothing,
    /// An error of the operating system.
    Errno(i32),
}

impl Faulty {
    pub fn new(fault: Fault) -> Faulty {
        Faulty { left: Arc::default(), fault }
    }

    /// Call number `count` from now on fails; 0 = none.
    pub fn strike_at(&self, count: usize) {
        self.left.store(count, Ordering::SeqCst);
    }

    pub fn has_struck(&self) -> bool {
        self.left.load(Ordering::SeqCst) == 0
    }

    fn strike(&self) -> bool {
        self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)) == Ok(1)
    }

    fn call(&self) -> io::Result<()> {
        match (self.strike(), self.fault) {
            (true, Fault::Errno(code)) => Err(io::Error::from_raw_os_error(code)),
            _ => Ok(()),
        }
    }
}

struct FaultyFile(Box<dyn StorageFile>, Faulty);

impl Write for FaultyFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match (self.1.strike(), self.1.fault) {
            (false, _) => self.0.write(bytes),
            (true, Fault::Nothing) => Ok(0),
            (true, fault) => {
                // Half of it reaches the disk in any case.
                let taken = self.0.write(&bytes[..bytes.len().div_ceil(2)])?;
                match fault {
                    Fault::Errno(code) => Err(io::Error::from_raw_os_error(code)),
                    _ => Ok(taken),
                }
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl StorageFile for FaultyFile {
    fn sync(&mut self) -> io::Result<()> {
        self.1.call()?;
        self.0.sync()
    }
}

impl Storage for Faulty {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        self.call()?;
        Ok(Box::new(FaultyFile(Disk.create_new(path)?, self.clone())))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call()?;
        Disk.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        Disk.remove(path)
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.call()?;
        Disk.sync_folder(folder)
    }
}
