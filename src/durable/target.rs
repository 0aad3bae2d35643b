//! What stands at a path where a file is to be written: a rename takes anything away, so it must be known before.

use std::fs::{self, FileType, Metadata, OpenOptions};
use std::io;
use std::path::Path;

/// The file at `path` that may be replaced, `None` where nothing stands there.
///
/// # Errors
/// Where something stands that a rename would take away though it is no plain file (a symbolic link, a folder, a
/// device, a pipe, a socket), where a file is marked read-only, and what the operating system answers. The superuser,
/// whom permissions do not stop, is refused like everybody.
pub(super) fn replaceable(path: &Path) -> io::Result<Option<Metadata>> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if let Some(what) = special(metadata.file_type()) {
        let fix = match fs::read_link(path) {
            Ok(to) => format!("is a symbolic link to {}: name the file itself", to.display()),
            Err(_) => format!("is {what}, a file is needed"),
        };
        return Err(refused(fix));
    }
    if metadata.permissions().readonly() {
        return Err(refused("is read-only: make it writable or choose another name"));
    }
    Ok(Some(metadata))
}

/// [`replaceable`], and whether the operating system would let it happen, as far as that can be known without doing it.
///
/// # Errors
/// As [`replaceable`]; no folder; a file that cannot be opened for writing (another user's, read-only file systems,
/// attributes); a file that is a mount point of its own, as containers bind single files.
pub(super) fn allowed(path: &Path, folder: &Path) -> io::Result<()> {
    if !folder.is_dir() {
        return Err(refused("its folder does not exist"));
    }
    if replaceable(path)?.is_none() {
        return Ok(());
    }
    // Neither truncated nor written to: only asked for.
    OpenOptions::new().write(true).open(path)?;
    if is_mount_point(path) {
        return Err(refused("is a mount point, which cannot be replaced: mount its folder and name a file in there"));
    }
    Ok(())
}

fn refused(why: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why.into())
}

/// What it is, unless it is a plain file.
fn special(kind: FileType) -> Option<&'static str> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        if kind.is_block_device() || kind.is_char_device() {
            return Some("a device");
        }
        if kind.is_fifo() {
            return Some("a pipe");
        }
        if kind.is_socket() {
            return Some("a socket");
        }
    }
    match kind {
        kind if kind.is_dir() => Some("a folder"),
        kind if kind.is_file() => None,
        _ => Some("no plain file"),
    }
}

/// Whether something is mounted on this very path. Known on Linux only.
fn is_mount_point(path: &Path) -> bool {
    let (Ok(path), Ok(table)) = (path.canonicalize(), fs::read("/proc/self/mountinfo")) else { return false };
    let path = path.as_os_str().as_encoded_bytes();
    table.split(|b| *b == b'\n').any(|line| line.split(|b| *b == b' ').nth(4).is_some_and(|at| unescaped(at) == path))
}

/// The kernel writes white space and backslashes as three octal digits.
fn unescaped(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..3).filter(|digits| *first == b'\\' && digits.iter().all(|d| (b'0'..=b'7').contains(d)));
        match digits {
            Some(digits) => {
                out.push(digits.iter().fold(0u8, |sum, d| sum.wrapping_mul(8).wrapping_add(d - b'0')));
                rest = &tail[3..];
            }
            None => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_s_way_to_write_a_path_is_read() {
        assert_eq!(unescaped(br"/a\040b\134c"), b"/a b\\c");
        assert_eq!(unescaped(br"/a\04"), br"/a\04");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn mount_points_are_told_from_folders() {
        assert!(is_mount_point(Path::new("/proc")));
        assert!(!is_mount_point(tempfile::tempdir().unwrap().path()));
    }
}
