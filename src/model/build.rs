//! Every model by its name on the command line.

use super::Model;
use super::registry::{ENTRIES, Kind};
use crate::scorer::{Settings, SettingsError};

/// What a data set says about a model's tables.
#[derive(Clone, Debug, Default)]
pub struct Sizes {
    /// Number of users.
    pub users: usize,
    /// Number of items.
    pub items: usize,
    /// Number of categories.
    pub categories: usize,
    /// Category of each item; may be empty where the settings ask for none.
    pub item_category: Vec<u32>,
}

/// Where the weights start.
#[derive(Clone, Copy, Debug)]
pub struct Start {
    /// Seed of all starting values.
    pub seed: u64,
    /// Standard deviation of the tables' normal starting values; `None` is the model's own start: normal with 0.01 for
    /// DMRAN, uniform after Glorot over the table's whole shape for the baselines, as in ATRank's code.
    pub table_std: Option<f32>,
}

/// Why a model could not be built.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// There is no model of that name.
    #[error("there is no model {name:?}; choose one of: {}", names())]
    Unknown {
        /// The name asked for.
        name: String,
    },
    /// The settings break a rule.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

/// A model with its starting values. The baselines read `d`, `item_bias`, `categories` and, where they use time,
/// `time` and `buckets`; ATRank also `heads`, `head_ff_width` and `head_eps`; SASRec `layers`, `heads`, `history_cap` and
/// `block_eps`.
///
/// # Errors
/// If there is no model of that name, or the settings break a rule.
///
/// # Panics
/// If `settings.categories` is set and `sizes` does not name one category for each item.
pub fn build(name: &str, settings: &Settings, sizes: &Sizes, start: Start) -> Result<Box<dyn Model>, BuildError> {
    settings.validate()?;
    let entry = ENTRIES.iter().find(|entry| entry.name == name);
    let make = entry.and_then(|entry| entry.build).ok_or_else(|| BuildError::Unknown { name: name.to_owned() })?;
    make(settings, sizes, start)
}

/// The names of the models that are trained.
fn names() -> String {
    Kind::trained().map(Kind::name).collect::<Vec<_>>().join(", ")
}
