//! Writing a file so that a reader finds the old content or the new, whatever happens in between.

use super::target;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// How many free names to try before giving up.
const ATTEMPTS: usize = 100;

/// What [`write_atomically_on`] asks of a file system: the seam at which tests let every single call fail.
pub trait Storage: Send + Sync {
    /// Creates a file that does not exist yet, to write.
    ///
    /// # Errors
    /// What the operating system answers, `AlreadyExists` among it.
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn StorageFile>>;

    /// Gives a file another name in the same folder; a file of that name is replaced.
    ///
    /// # Errors
    /// What the operating system answers.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// What the operating system answers.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names in a folder durable.
    ///
    /// # Errors
    /// What the operating system answers.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;
}

/// A file of a [`Storage`].
pub trait StorageFile: Write {
    /// Makes the content durable.
    ///
    /// # Errors
    /// What the operating system answers.
    fn sync(&mut self) -> io::Result<()>;
}

/// The file system itself.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Storage for Disk {
    fn create_new(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        Ok(Box::new(OpenOptions::new().write(true).create_new(true).open(path)?))
    }

    /// Refuses to take away what is no plain file, or is read-only; the new file has the permissions of the old one.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        if let Some(old) = target::replaceable(to)? {
            fs::set_permissions(from, old.permissions())?;
        }
        fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    /// Elsewhere than on Unix a folder cannot be opened as a file: nothing is done there.
    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        if cfg!(unix) {
            File::open(folder)?.sync_all()?;
        }
        Ok(())
    }
}

impl StorageFile for File {
    fn sync(&mut self) -> io::Result<()> {
        self.sync_all()
    }
}

/// Writes `path` by way of a temporary file in the same folder: written, synced to the disk, renamed, and the folder
/// synced. Where anything fails, what stood at `path` still stands there and the temporary file is removed.
///
/// Only a plain file that is not read-only is replaced: no symbolic link, folder, device, pipe or socket.
///
/// A power cut can leave the temporary file behind: `.NAME.PROCESS-NUMBER.tmp` (see [`is_temporary`]).
///
/// # Errors
/// What the operating system or `content` answers.
pub fn write_atomically(path: &Path, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    write_atomically_on(&Disk, path, content)
}

/// [`write_atomically`] on a storage of the caller's.
///
/// # Errors
/// What the storage or `content` answers. If syncing the folder fails, the new content stands at `path` already.
pub fn write_atomically_on(
    storage: &dyn Storage,
    path: &Path,
    content: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> io::Result<()> {
    let (temporary, file) = create_temporary(storage, path)?;
    let written = fill(file, content).and_then(|()| storage.rename(&temporary, path));
    if let Err(error) = written {
        // The first error is the one to report; the file may be gone already.
        let _ = storage.remove(&temporary);
        return Err(error);
    }
    storage.sync_folder(folder_of(path))
}

/// Does what [`write_atomically`] does, all but the content and the rename: so that a file that cannot be written is
/// known before hours of work, and not after them. What stands at `path` is left as it is.
///
/// # Errors
/// What [`write_atomically`] would answer, as far as it can be known. A disk that is full by then cannot.
pub fn rehearse(path: &Path) -> io::Result<()> {
    // A path that ends in a slash names a folder, whatever `Path` makes of it.
    let slash = path.as_os_str().as_encoded_bytes().last().is_some_and(|last| std::path::is_separator(*last as char));
    if slash || path.file_name().is_none() {
        let why = if path.is_dir() { "is a folder, a file is needed" } else { "is no file name" };
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    if path == Path::new("-") {
        let why = "would be a file of that name, not standard output: ./- if that is meant";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    target::allowed(path, folder_of(path))?;
    let (temporary, file) = create_temporary(&Disk, path)?;
    drop(file);
    fs::remove_file(temporary)
}

/// Whether `name` is one that [`write_atomically`] gives to the temporary file on the way to `target`.
pub fn is_temporary(name: &str, target: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let middle = name.strip_prefix('.').and_then(|rest| rest.strip_prefix(target)?.strip_prefix('.'));
    let numbers = middle.and_then(|rest| rest.strip_suffix(".tmp")?.split_once('-'));
    numbers.is_some_and(|(process, number)| digits(process) && digits(number))
}

fn fill(file: Box<dyn StorageFile>, content: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    let mut writer = BufWriter::with_capacity(1 << 16, file);
    match content(&mut writer) {
        Ok(()) => writer.into_inner()?.sync(),
        Err(error) => {
            // What is still in the buffer must not be written when it is dropped.
            let _ = writer.into_parts();
            Err(error)
        }
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Opens a file that did not exist before, beside `path`.
fn create_temporary(storage: &dyn Storage, path: &Path) -> io::Result<(PathBuf, Box<dyn StorageFile>)> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "the path does not end in a file name"))?;
    let mut taken = io::Error::from(io::ErrorKind::AlreadyExists);
    for _ in 0..ATTEMPTS {
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let mut temporary = std::ffi::OsString::from(".");
        temporary.push(name);
        temporary.push(format!(".{}-{number}.tmp", std::process::id()));
        let temporary = folder_of(path).join(temporary);
        match storage.create_new(&temporary) {
            Ok(file) => return Ok((temporary, file)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => taken = error,
            Err(error) => return Err(error),
        }
    }
    Err(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let entries = fs::read_dir(folder).unwrap();
        let name = |e: io::Result<fs::DirEntry>| e.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<String> = entries.map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m");
        write_atomically(&path, |w| w.write_all(b"old")).unwrap();
        let failed = write_atomically(&path, |w| {
            w.write_all(&[7; 100_000])?;
            Err(io::Error::other("no more"))
        });
        assert_eq!(failed.unwrap_err().to_string(), "no more");
        assert_eq!(fs::read(&path).unwrap(), b"old");
        write_atomically(&path, |w| w.write_all(b"new")).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(names(folder.path()), ["m"], "no temporary file stays");
    }

    #[test]
    fn a_folder_in_the_way_is_an_error_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m");
        fs::create_dir(&path).unwrap();
        assert!(write_atomically(&path, |w| w.write_all(b"x")).is_err());
        assert_eq!(names(folder.path()), ["m"]);
        assert!(write_atomically(Path::new("/"), |_| Ok(())).is_err());
        let absent = folder.path().join("absent").join("m");
        assert!(write_atomically(&absent, |_| Ok(())).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_plain_file_is_left_alone_and_permissions_stay() {
        use std::os::unix::fs::{PermissionsExt, symlink};
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        write_atomically(&at("old"), |w| w.write_all(b"old")).unwrap();
        symlink(at("old"), at("link")).unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        drop(std::os::unix::net::UnixListener::bind(at("socket")).unwrap());
        for (name, why) in [("link", "symbolic link to "), ("dangling", "link to nowhere"), ("socket", "a socket")] {
            for error in [write_atomically(&at(name), |w| w.write_all(b"new")), rehearse(&at(name))] {
                let error = error.unwrap_err().to_string();
                assert!(error.contains(why), "{name}: {error}");
            }
        }
        fs::set_permissions(at("old"), fs::Permissions::from_mode(0o600)).unwrap();
        write_atomically(&at("old"), |w| w.write_all(b"new")).unwrap();
        assert_eq!(fs::metadata(at("old")).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(at("old"), fs::Permissions::from_mode(0o444)).unwrap();
        for error in [write_atomically(&at("old"), |w| w.write_all(b"x")), rehearse(&at("old"))] {
            assert!(error.unwrap_err().to_string().contains("read-only"));
        }
        assert_eq!(fs::read(at("link")).unwrap(), b"new", "the link still stands");
        assert_eq!(names(folder.path()), ["dangling", "link", "old", "socket"]);
    }

    #[test]
    fn a_rehearsal_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m");
        rehearse(&path).unwrap();
        assert!(names(folder.path()).is_empty());
        fs::write(&path, "old").unwrap();
        rehearse(&path).unwrap();
        assert_eq!((fs::read(&path).unwrap(), names(folder.path())), (b"old".to_vec(), vec!["m".to_owned()]));
        for (path, why) in [
            ("-", "standard output"),
            ("", "no file name"),
            ("/", "a folder"),
            ("..", "a folder"),
            ("absent/", "no file name"),
        ] {
            assert!(rehearse(Path::new(path)).unwrap_err().to_string().contains(why), "{path}");
        }
        assert!(rehearse(&folder.path().join("absent/m")).unwrap_err().to_string().contains("does not exist"));
        assert!(rehearse(&folder.path().join("x".repeat(250))).is_err(), "no room for the temporary file's name");
    }

    #[test]
    fn temporary_names_are_told_from_others() {
        assert!(is_temporary(".m.12-0.tmp", "m") && is_temporary(".a.b.1-22.tmp", "a.b"));
        for other in ["m.12-0.tmp", ".m.12-0", ".m.12.tmp", ".m.-0.tmp", ".m.x-0.tmp", ".mm.1-0.tmp", ".m1-0.tmp", ""] {
            assert!(!is_temporary(other, "m"), "{other}");
        }
    }
}
