//! Settings by keyword: names, ranges and errors are those of the TOML file.

use crate::errors::in_python;
use dmran::model::Kind;
use dmran::train::{Config, Preset};
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// The sections that a keyword may belong to.
const SECTIONS: [&str; 4] = ["train", "model", "eval", "data"];

/// A name of the library's, `everyday` for instance.
fn named<T: DeserializeOwned>(what: &str, name: &str) -> PyResult<T> {
    let value = Value::String(name.to_owned());
    value.try_into().map_err(|error: toml::de::Error| PyValueError::new_err(format!("{what}: {}", error.message())))
}

/// The settings of a preset and a model with the ones in `changes`, JSON by sections, in their place.
pub fn config(preset: &str, kind: &str, changes: &str) -> PyResult<Config> {
    let (preset, kind): (Preset, Kind) = (named("preset", preset)?, named("kind", kind)?);
    let changes = table(changes)?;
    let config = Config::of(preset, kind).changed(changes).map_err(|error| wrong(error.message()))?;
    config.validate().map_err(|error| wrong(&error.to_string()))?;
    Ok(config)
}

fn wrong(message: &str) -> PyErr {
    PyValueError::new_err(in_python(message))
}

fn table(json: &str) -> PyResult<Table> {
    serde_json::from_str(json).map_err(|error| PyTypeError::new_err(format!("settings: {error}")))
}

/// The section that knows a setting by its name, a value of which stands in `value` as JSON.
#[pyfunction]
pub fn place(key: &str, value: &str) -> PyResult<&'static str> {
    let value: Value = serde_json::from_str(value)
        .map_err(|_| PyTypeError::new_err(format!("{key}: a number, a text, a bool or a list of them is needed")))?;
    let defaults = Config::default();
    for section in SECTIONS {
        let inner = Table::from_iter([(key.to_owned(), value.clone())]);
        match defaults.changed(Table::from_iter([(section.to_owned(), Value::Table(inner))])) {
            Err(error) if error.message().starts_with("unknown field") => {}
            Err(error) => return Err(wrong(&format!("{key}: {}", error.message()))),
            Ok(_) => return Ok(section),
        }
    }
    let all = Table::try_from(&defaults).unwrap_or_default();
    let known = SECTIONS.iter().filter_map(|section| all.get(*section)?.as_table()).flat_map(Table::keys);
    let like = known.filter(|name| strsim(name, key) <= 2).cloned().collect::<Vec<_>>().join(" or ");
    let hint = if like.is_empty() { String::new() } else { format!("; did you mean {like}?") };
    Err(PyValueError::new_err(format!("{key}: there is no such setting{hint}")))
}

/// How many letters differ, at least.
fn strsim(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.chars().enumerate() {
            let change = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row.last().copied().unwrap_or(0)
}

/// Whether the settings can be used.
#[pyfunction]
pub fn check(preset: &str, kind: &str, changes: &str) -> PyResult<()> {
    config(preset, kind, changes).map(drop)
}

/// All settings in force, as JSON.
#[pyfunction]
pub fn all_settings(preset: &str, kind: &str, changes: &str) -> PyResult<String> {
    let config = config(preset, kind, changes)?;
    serde_json::to_string(&config).map_err(|error| PyValueError::new_err(error.to_string()))
}
