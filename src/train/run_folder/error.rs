//! What can go wrong with a run folder.

use crate::train::checkpoint::CheckpointError;
use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};

/// Why a run folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunFolderError {
    /// An operation on a file or folder.
    #[error("cannot {action} {}: {error}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the operating system answered.
        error: io::Error,
    },
    /// Another trainer works there.
    #[error("{}: another trainer is working in this run folder", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// The folder holds something else.
    #[error("{}: is not empty and is no run folder", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
    },
    /// A checkpoint could not be written; what was there before still is.
    #[error("cannot write the checkpoint {}: {error}{}", path.display(), still(before.as_deref()))]
    Save {
        /// The checkpoint.
        path: PathBuf,
        /// What the operating system answered.
        error: io::Error,
        /// The newest checkpoint before it.
        before: Option<PathBuf>,
    },
    /// There are checkpoints, and not one of them can be read.
    #[error("no checkpoint can be read, and nothing was changed:{}", list(skipped))]
    NoneLoads {
        /// Each with its error, newest first.
        skipped: Vec<(PathBuf, CheckpointError)>,
    },
    /// A checkpoint that this run cannot go on from.
    #[error("{}: {error}", path.display())]
    Checkpoint {
        /// The checkpoint.
        path: PathBuf,
        /// Why not.
        #[source]
        error: CheckpointError,
    },
    /// Settings or metrics that no text can stand for.
    #[error("cannot write settings or metrics as text: {0}")]
    Text(String),
}

impl RunFolderError {
    /// For `map_err`.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> RunFolderError {
        move |error| RunFolderError::Io { action, path: path.to_owned(), error }
    }
}

fn still(before: Option<&Path>) -> String {
    match before {
        Some(path) => {
            format!("\n{} is untouched: once the cause is removed, the same command goes on from there", path.display())
        }
        None => "\nthere was none before it".into(),
    }
}

fn list(skipped: &[(PathBuf, CheckpointError)]) -> String {
    skipped.iter().fold(String::new(), |mut text, (path, error)| {
        let _ = write!(text, "\n  {}: {error}", path.display());
        text
    })
}
