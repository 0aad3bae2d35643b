//! Errors of the library as Python's own.

use dmran::data::DataError;
use dmran::model::mapped::MapError;
use dmran::scorer::{ModelFileError, ScorerError};
use dmran::train::session::{SaveError, SessionError};
use pyo3::exceptions::{PyFileNotFoundError, PyKeyError, PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use std::io;
use std::path::Path;

/// A message with the names that settings have in Python: `--user-column NAME` is `user=`, `--max-memory` is `max_memory`.
pub fn in_python(message: &str) -> String {
    let mut out = String::new();
    let mut rest = message;
    while let Some(at) = rest.find("--") {
        let (before, flag) = rest.split_at(at);
        out += before;
        let flag = &flag[2..];
        let end = flag.find(|c: char| !(c.is_ascii_lowercase() || c == '-')).unwrap_or(flag.len());
        let name = flag[..end].trim_end_matches('-');
        rest = &flag[name.len()..];
        match name.strip_suffix("-column") {
            _ if name.is_empty() => out += "--",
            Some(role) => {
                out += role;
                out += "=";
                rest = rest.trim_start();
            }
            None => out += &name.replace('-', "_"),
        }
    }
    out + rest
}

/// Reading a log: a missing file is FileNotFoundError, a missing column KeyError, what else is wrong with it ValueError.
pub fn of_data(error: &DataError) -> PyErr {
    let text = in_python(&error.to_string());
    match error {
        DataError::NotFound { .. } | DataError::NoFiles { .. } => PyFileNotFoundError::new_err(text),
        DataError::MissingColumn { .. } => PyKeyError::new_err(text),
        DataError::Io { .. } => PyOSError::new_err(text),
        _ => PyValueError::new_err(text),
    }
}

/// A training that ended badly: as [`of_data`] for the log, ValueError for settings, RuntimeError for the work itself.
pub fn of_session(error: &SessionError) -> PyErr {
    match error {
        SessionError::Data(error) => of_data(error),
        error if error.is_input() => PyValueError::new_err(in_python(&error.to_string())),
        error => PyRuntimeError::new_err(in_python(&error.to_string())),
    }
}

/// A log that the model knows nothing of.
pub fn of_mapping(error: &MapError) -> PyErr {
    match error {
        MapError::Data(error) => of_data(error),
        error => PyValueError::new_err(error.to_string()),
    }
}

/// A model file: FileNotFoundError, OSError, or ValueError for what is no model.
pub fn of_file(path: &Path, error: &ModelFileError) -> PyErr {
    let (path, text) = (path.display().to_string(), error.to_string());
    let text = if text.contains(&path) { text } else { format!("{path}: {text}") };
    match std::error::Error::source(error).and_then(|source| source.downcast_ref::<io::Error>()) {
        Some(error) if error.kind() == io::ErrorKind::NotFound => PyFileNotFoundError::new_err(text),
        Some(_) => PyOSError::new_err(text),
        None => PyValueError::new_err(text),
    }
}

/// Writing a model.
pub fn of_save(path: &Path, error: &SaveError) -> PyErr {
    match error {
        SaveError::File(error) => of_file(path, error),
        error => PyValueError::new_err(in_python(&error.to_string())),
    }
}

/// A scorer that could not be made.
pub fn of_scorer(error: ScorerError) -> PyErr {
    PyValueError::new_err(error.to_string())
}
