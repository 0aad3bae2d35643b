//! Every model by its name on the command line.

use super::{AtRank, BiLstm, BprMf, CnnPooling, Dmran, Model, SasRec, init};
use crate::scorer::{Settings, SettingsError};

/// The models that [`build`] knows.
pub const NAMES: [&str; 7] = ["dmran", "bpr-mf", "bi-lstm", "bi-lstm-attention", "cnn-pooling", "atrank", "sasrec"];

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
    #[error("there is no model {name:?}; choose one of: {}", NAMES.join(", "))]
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
    Ok(match name {
        "dmran" => {
            let Sizes { items, categories, .. } = *sizes;
            let of = if settings.categories { sizes.item_category.clone() } else { vec![] };
            let mut model = Dmran::new(settings.clone(), items, categories, of)?;
            init::initialise(model.params_mut(), start.table_std.unwrap_or(0.01), start.seed);
            Box::new(model)
        }
        "bpr-mf" => Box::new(BprMf::new(settings, sizes, start)),
        "bi-lstm" => Box::new(BiLstm::new(settings, sizes, start, false)),
        "bi-lstm-attention" => Box::new(BiLstm::new(settings, sizes, start, true)),
        "cnn-pooling" => Box::new(CnnPooling::new(settings, sizes, start)),
        "atrank" => Box::new(AtRank::new(settings, sizes, start)?),
        "sasrec" => Box::new(SasRec::new(settings, sizes, start)?),
        _ => return Err(BuildError::Unknown { name: name.to_owned() }),
    })
}
