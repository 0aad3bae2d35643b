//! A log in a model's item ids: what the model does not know is left out and counted.

use crate::data::{DataError, Dataset, Log, Opened, remap};
use crate::scorer::Model;
use std::fmt;

/// A log's events in the ids of a model. Users keep the ids that they have in the log.
#[derive(Debug, Clone)]
pub struct Mapped {
    /// The events that the model knows.
    pub dataset: Dataset,
    /// Events of items that the model does not know.
    pub unknown_events: usize,
    /// Items of the log that the model does not know.
    pub unknown_items: usize,
}

/// What does not fit between a log and a model, though both can be used together.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mismatch {
    /// The model was trained on another log.
    AnotherLog {
        /// The log's fingerprint.
        hash: String,
        /// That of the log that the model was trained on; empty where its card does not tell.
        trained_on: String,
    },
    /// The model does not know some of the items.
    UnknownItems {
        /// How many.
        items: usize,
        /// Their events.
        events: usize,
        /// All events.
        of: usize,
    },
    /// The model reads times, but the log has none.
    NoTimes,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Mismatch::AnotherLog { hash, trained_on } => {
                let trained_on = if trained_on.is_empty() { "an unknown one" } else { trained_on };
                write!(
                    f,
                    "this is not the log that the model was trained on (fingerprint {hash}, trained on {trained_on})"
                )
            }
            Mismatch::UnknownItems { items, events, of } => {
                write!(f, "{events} of {of} events are left out: the model does not know their {items} items")
            }
            Mismatch::NoTimes => {
                f.write_str("the model uses time, but the log has none: every event counts as one of today")
            }
        }
    }
}

/// Why a log cannot be used with a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MapError {
    /// The model knows not one of its items.
    #[error("{log}: not one of its {items} items is known to the model (for example {example:?})")]
    NothingKnown {
        /// The log.
        log: String,
        /// How many items it has.
        items: usize,
        /// One of them.
        example: String,
    },
    /// The log and the model do not fit together.
    #[error(transparent)]
    Data(#[from] DataError),
}

impl Mapped {
    /// Looks the log's items up in the model, by name.
    ///
    /// # Errors
    /// [`DataError`], which no log and model that were read can cause.
    pub fn of(log: &Log, model: &Model) -> Result<Mapped, DataError> {
        let to_model: Vec<Option<u32>> = log.items.names().map(|name| model.items().find(name)).collect();
        let counts = model.counts();
        let items = remap::Items {
            items: counts.items,
            item_category: model.item_category().to_vec(),
            categories: counts.categories,
        };
        let dataset = remap::remap(&log.dataset, &to_model, items)?;
        Ok(Mapped {
            unknown_events: log.dataset.events() - dataset.events(),
            unknown_items: to_model.iter().filter(|item| item.is_none()).count(),
            dataset,
        })
    }

    /// Whether the model was trained on another log, in words.
    pub fn another_log(opened: &Opened, model: &Model) -> Option<Mismatch> {
        let (hash, trained_on) = (opened.hash(), model.card().data_hash.clone());
        (hash != trained_on).then_some(Mismatch::AnotherLog { hash, trained_on })
    }

    /// What does not fit between the log and the model.
    ///
    /// # Errors
    /// [`MapError::NothingKnown`].
    pub fn check(&self, opened: &Opened, model: &Model) -> Result<Vec<Mismatch>, MapError> {
        let log = &opened.log;
        if self.dataset.events() == 0 {
            let example = log.items.names().next().unwrap_or_default().to_owned();
            return Err(MapError::NothingKnown { log: opened.name.clone(), items: log.items.len(), example });
        }
        let mut found = Vec::new();
        if self.unknown_events > 0 {
            let (items, events, of) = (self.unknown_items, self.unknown_events, log.dataset.events());
            found.push(Mismatch::UnknownItems { items, events, of });
        }
        if model.settings().reads_times() && !log.dataset.has_time() {
            found.push(Mismatch::NoTimes);
        }
        Ok(found)
    }
}
