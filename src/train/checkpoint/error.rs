//! What can be wrong with a checkpoint.

use super::Difference;
use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

/// Why a checkpoint cannot be read, written or gone on from.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// The file cannot be read or written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file is something else.
    #[error("is not a checkpoint")]
    NotACheckpoint,
    /// Another version of this program wrote it.
    #[error("is a checkpoint of format {found}; this program reads format {known}{}", newer(*found, *known))]
    Version {
        /// The format found.
        found: u32,
        /// The format that is known here.
        known: u32,
    },
    /// The end is missing.
    #[error("is cut: it has {found} bytes of {expected}")]
    Cut {
        /// Bytes found.
        found: u64,
        /// Bytes that the header asks for.
        expected: u64,
    },
    /// Something stands behind the end.
    #[error("has {extra} bytes behind its end")]
    Trailing {
        /// How many.
        extra: u64,
    },
    /// Some bits are not those that were written.
    #[error("is damaged: its checksum is {found:016x} and not {expected:016x}")]
    Checksum {
        /// Computed from the content.
        found: u64,
        /// Written in the header.
        expected: u64,
    },
    /// The checksum is right, but the content is not a checkpoint's.
    #[error("cannot be understood: {0}")]
    Payload(String),
    /// Of several files one cannot be used.
    #[error(
        "cannot be used without its part {}: {error}; put that file back, or remove the checkpoint to go on from an older one",
        file.display()
    )]
    Part {
        /// Its file.
        file: PathBuf,
        /// What is wrong with it.
        error: Box<CheckpointError>,
    },
    /// A length or name is not the model's.
    #[error("is of another model: {what}: {found} in the checkpoint, {expected} in the model")]
    Shapes {
        /// What was compared.
        what: String,
        /// In the checkpoint.
        found: String,
        /// In the model.
        expected: String,
    },
    /// Settings have changed since.
    #[error("the settings are not those that the run began with:{}{}", list(.0), hint(.0))]
    Config(Vec<Difference>),
    /// The log has changed since.
    #[error("the log is not the one that the run began with:{}", list(.0))]
    Data(Vec<Difference>),
    /// The names in the log have changed since.
    #[error("the names in the log are not those that the run began with:{}", list(.0))]
    Vocabulary(Vec<Difference>),
}

impl From<CheckpointError> for io::Error {
    fn from(error: CheckpointError) -> io::Error {
        match error {
            CheckpointError::Io(error) => error,
            error => io::Error::other(error),
        }
    }
}

impl CheckpointError {
    /// Whether the file itself is unusable, so that an older one may serve.
    pub fn is_damage(&self) -> bool {
        use CheckpointError::{Checksum, Cut, Io, NotACheckpoint, Payload, Trailing};
        match self {
            CheckpointError::Part { error, .. } => error.is_damage(),
            error => {
                matches!(error, Io(_) | NotACheckpoint | Cut { .. } | Trailing { .. } | Checksum { .. } | Payload(_))
            }
        }
    }
}

fn newer(found: u32, known: u32) -> &'static str {
    if found > known { ": a newer one wrote it" } else { "" }
}

fn list(differences: &[Difference]) -> String {
    differences.iter().fold(String::new(), |mut text, difference| {
        let _ = write!(text, "\n  {difference}");
        text
    })
}

/// How to go on all the same, where that is possible.
fn hint(differences: &[Difference]) -> String {
    let allowed: Vec<&str> = differences.iter().filter_map(|d| d.allowed.map(|key| key.name())).collect();
    if allowed.len() == differences.len() {
        format!("\n--allow {} goes on with the new values", allowed.join(","))
    } else {
        "\nput them back, or give the new run a folder of its own".into()
    }
}
