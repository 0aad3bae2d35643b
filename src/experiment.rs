//! The paper's experiments (its Tables 1 and 2, Figures 3 to 5) and the search for settings.
//!
//! A [`Spec`] says what to train; [`runs`] trains what is missing and keeps each run as a [`Record`], one JSON file;
//! [`tables`], [`figures`] and [`search`] read records and write Markdown, JSON and SVG.

pub mod figures;
pub mod paper;
pub mod record;
pub mod rows;
pub mod runs;
pub mod search;
pub mod slices;
pub mod space;
pub mod spec;
pub mod summary;
pub mod tables;

pub use record::Record;
pub use rows::Row;
pub use spec::Spec;

use crate::train::start::StartError;
use std::io;
use std::path::{Path, PathBuf};

/// Why an experiment stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExperimentError {
    /// A run could not be made.
    #[error("{run}: {source}")]
    Start {
        /// The run's name.
        run: String,
        /// The cause.
        source: StartError,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// A run's file is not one.
    #[error("{}: not the record of a run ({why}); remove it to train that run again", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// What to search makes no sense.
    #[error("[search] {0}")]
    Search(String),
}

impl ExperimentError {
    fn file(path: &Path) -> impl FnOnce(io::Error) -> ExperimentError {
        let path = path.to_owned();
        move |source| ExperimentError::File { path, source }
    }
}

/// What an experiment leaves behind, before it is written to files.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Figures that depend on data, settings and seeds alone: the same bytes each time.
    pub results: serde_json::Value,
    /// What the runs took; `null` where nothing was trained.
    pub times: serde_json::Value,
    /// Everything to read, times too.
    pub markdown: String,
    /// Charts: name without ending, SVG.
    pub charts: Vec<(String, String)>,
}
