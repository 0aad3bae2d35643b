//! The model that a training goes on from.

use super::notes::Note;
use crate::data::Opened;
use crate::scorer::{Model, Precision, Settings};
use crate::train::config::{Config, Vanished};
use crate::train::incremental::{GrowError, Growth, fingerprint};
use std::path::{Path, PathBuf};

/// A trained model whose numbers a training goes on from.
#[derive(Debug, Clone)]
pub struct Base {
    path: PathBuf,
    model: Model,
}

/// Why a training cannot go on from a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BaseError {
    /// The settings ask for another shape.
    #[error("--from {}: {}", path.display(), differences.join("; "))]
    Differs {
        /// The model.
        path: PathBuf,
        /// What is different.
        differences: Vec<String>,
    },
    /// The model reads times, the log has none.
    #[error("{log}: has no times, but {} uses them", path.display())]
    NoTimes {
        /// The log.
        log: String,
        /// The model.
        path: PathBuf,
    },
    /// The log cannot follow the model.
    #[error("{log}: --from {}: {source}", path.display())]
    Grow {
        /// The log.
        log: String,
        /// The model.
        path: PathBuf,
        /// Why.
        source: Box<GrowError>,
    },
}

/// The settings that a model was trained with, as its card tells them; defaults where the card does not.
pub fn config_of(model: &Model) -> Config {
    let mut config = Config::from_toml(&model.card().config).unwrap_or_default();
    config.model = model.settings().clone();
    // The model has its categories, and a model file names no other files.
    config.data.meta = None;
    config
}

impl Base {
    /// A model with what to call it.
    pub fn new(path: impl Into<PathBuf>, model: Model) -> Base {
        Base { path: path.into(), model }
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// What it is called.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The settings that the training goes on with: the model's, for one more epoch at the learning rate of its last one.
    pub fn config(&self) -> Config {
        let mut config = config_of(&self.model);
        config.train.from = fingerprint(&self.model);
        config.train.since = None;
        config.train.threads = 0;
        config.train.lr *= config.train.decay.powi(config.train.epochs.saturating_sub(1).min(1000) as i32);
        config.train.epochs = 1;
        config
    }

    /// The model's shape cannot change.
    ///
    /// # Errors
    /// [`BaseError::Differs`].
    pub fn check(&self, settings: &Settings) -> Result<(), BaseError> {
        if settings == self.model.settings() {
            return Ok(());
        }
        let table = |settings: &Settings| toml::Table::try_from(settings).unwrap_or_default();
        let (ours, asked) = (table(self.model.settings()), table(settings));
        let differences = asked
            .iter()
            .filter(|(key, value)| ours.get(*key) != Some(*value))
            .map(|(key, value)| {
                let of_model = ours.get(key).map_or_else(|| "nothing".to_owned(), ToString::to_string);
                format!("{key} is {of_model} in the model, {value} was asked for")
            })
            .collect();
        Err(BaseError::Differs { path: self.path.clone(), differences })
    }

    /// Brings the log and the model together.
    pub(super) fn grow(&self, opened: &mut Opened, vanished: Vanished) -> Result<(Growth, Vec<Note>), BaseError> {
        let (log, path) = (|| opened.name.clone(), || self.path.clone());
        if self.model.settings().reads_times() && !opened.log.dataset.has_time() {
            return Err(BaseError::NoTimes { log: log(), path: path() });
        }
        let of_log = opened.log.items.len();
        let (grown, growth) = Growth::of(opened.log.clone(), &self.model, vanished)
            .map_err(|source| BaseError::Grow { log: log(), path: path(), source: source.into() })?;
        let mut notes = Vec::new();
        if growth.new_items() == of_log {
            notes.push(Note::ForeignBase { items: of_log, log: log(), base: path() });
        }
        notes.push(Note::GoingOn { base: path(), new: growth.new_items(), of: grown.items.len() });
        let precision = self.model.precision();
        if precision != Precision::F32 {
            let base = self.path.display();
            let rounded = format!(
                "the tables of {base} were rounded to {precision}: the file that was trained is the better start"
            );
            notes.push(Note::Odd(rounded));
        }
        if growth.vanished > 0 {
            let dropped = vanished == Vanished::Drop;
            notes.push(Note::Vanished { base: path(), items: growth.vanished, dropped });
        }
        opened.log = grown;
        Ok((growth, notes))
    }
}
