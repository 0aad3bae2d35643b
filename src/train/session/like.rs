//! Settings of an earlier training, for one more like it.

use crate::scorer::Model;
use crate::train::config::Config;

/// Why a model's settings cannot be taken for a training like its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LikeError {
    /// Its card has no settings.
    #[error("its card tells no settings that this version knows ({why}); name them with --config")]
    Settings {
        /// What is wrong with them.
        why: String,
    },
    /// It went on from another model.
    #[error("it was itself trained from another model (--from), which a training from nothing cannot be like")]
    GoesOn,
}

/// The settings that a model was trained with, for as many epochs as its best one took. Where none was picked (a model of the
/// protocol `none`) for all of its epochs. Nothing about the number of threads or a model to go on from is taken.
///
/// # Errors
/// See [`LikeError`].
pub fn config_like(model: &Model) -> Result<Config, LikeError> {
    let card = model.card();
    let config = Config::from_toml(&card.config);
    let mut config = config.map_err(|error| LikeError::Settings { why: error.to_string() })?;
    if !config.train.from.is_empty() {
        return Err(LikeError::GoesOn);
    }
    config.train.threads = 0;
    if let Some(best) = card.metrics.iter().find(|metric| metric.name.starts_with(super::card::BEST_EPOCH)) {
        // A whole number from 1, as the card's writer had it.
        config.train.epochs = best.value as usize;
    }
    Ok(config)
}
