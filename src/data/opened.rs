//! A log together with what to call it.

use super::{BUNDLED_NAME, DataError, DataReport, Log, ReadOptions, bundled, read, read_all, read_from};
use std::io;
use std::path::{Path, PathBuf};

/// A log that was read, and what to call it.
#[derive(Debug, Clone)]
pub struct Opened {
    /// The log.
    pub log: Log,
    /// What messages and the model's card call it: of a file the name without its folder.
    pub name: String,
    /// The files that it was read from, as they were asked for; empty for the bundled log and for events from elsewhere.
    pub files: Vec<PathBuf>,
}

/// Reads a log: files, folders or patterns, as one; `-` is standard input. No file at all is the bundled log.
///
/// # Errors
/// As of [`read`], and for standard input among several files, and for options of the bundled log.
pub fn open(files: &[PathBuf], options: &ReadOptions) -> Result<Opened, DataError> {
    let (log, name) = match files {
        [] if *options != ReadOptions::default() => {
            return Err(DataError::Options(
                "the bundled log is read as it is: settings of how a log is read need a FILE".into(),
            ));
        }
        [] => (bundled()?, BUNDLED_NAME.to_owned()),
        [file] if file == Path::new("-") => (read_from(io::stdin().lock(), "stdin", options)?, "stdin".to_owned()),
        [file] => (read(file, options)?, name_of(file)),
        [first, ..] if files.iter().any(|file| file == Path::new("-")) => {
            return Err(DataError::Options(format!(
                "{}: standard input cannot be one of several files",
                first.display()
            )));
        }
        [first, others @ ..] => {
            let name = format!("{} and {} more", name_of(first), others.len());
            (read_all(files, options)?, name)
        }
    };
    Ok(Opened { log, name, files: files.to_vec() })
}

fn name_of(file: &Path) -> String {
    file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned()
}

impl Opened {
    /// A log that comes from no file, by this name.
    pub fn named(log: Log, name: impl Into<String>) -> Opened {
        Opened { log, name: name.into(), files: Vec::new() }
    }

    /// The log's fingerprint as text.
    pub fn hash(&self) -> String {
        format!("{:016x}", self.log.hash())
    }

    /// The log in one line.
    pub fn summary(&self) -> String {
        let report = DataReport::new(&self.log);
        let mut text =
            format!("{}: {} users, {} items, {} events", self.name, report.users, report.items, report.interactions);
        if report.categories > 0 {
            text += &format!(", {} categories", report.categories);
        }
        text += &match &report.time {
            Some(time) => format!(", {} to {}", time.first_date, time.last_date),
            None => ", order only".into(),
        };
        text
    }
}
