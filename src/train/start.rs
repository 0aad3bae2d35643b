//! From settings and a data set to a run that can begin.

use crate::data::Dataset;
use crate::model::{self, BuildError, Kind, Sizes, Start};
use crate::train::config::{Config, ConfigError};
use crate::train::trainer::TrainError;
use crate::train::{Fit, Trainer};
use dmran_kernels::Level;

/// Why a run could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A setting is out of its range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The model does not fit the settings.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The trainer could not be made.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// "Most popular" counts; it has nothing to train.
    #[error("most-popular only counts events: there is nothing to train")]
    Untrained,
}

/// The model of `config` with its starting values, and the trainer around it.
///
/// Call [`Config::adapt`] before: categories are asked for only where the data set has them.
///
/// # Errors
/// See [`StartError`].
pub fn trainer(config: &Config, dataset: &Dataset, level: Level) -> Result<Trainer, StartError> {
    config.validate()?;
    let (settings, train) = (&config.model, &config.train);
    if train.model == Kind::MostPopular {
        return Err(StartError::Untrained);
    }
    let sizes = Sizes {
        users: dataset.users(),
        items: dataset.items(),
        categories: dataset.categories(),
        item_category: dataset.item_categories().to_vec(),
    };
    let table_std = (train.init_std > 0.0).then_some(train.init_std);
    let model = model::build(train.model.name(), settings, &sizes, Start { seed: train.seed, table_std })?;
    Ok(Trainer::new(model, settings.clone(), train.clone(), level)?)
}

/// A run of `config` on `dataset` that has not begun.
///
/// # Errors
/// See [`StartError`].
pub fn start(config: Config, dataset: &Dataset, level: Level) -> Result<Fit<'_>, StartError> {
    Ok(Fit::new(trainer(&config, dataset, level)?, dataset, config))
}
