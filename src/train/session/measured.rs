//! A model's figures on a log that it was not necessarily trained on.

use super::{SessionError, check_times};
use crate::data::{Dataset, Opened};
use crate::metrics::Ranked;
use crate::model::export::from_model;
use crate::scorer::Model;
use crate::train::config::Config;
use crate::train::evaluate::{Exam, Figures, Rated};
use crate::train::stamp::Stamp;
use crate::train::trainer::{TrainError, Trainer};
use dmran_kernels::Level;

/// What was measured.
pub struct Measured {
    /// What it was measured by.
    pub stamp: Stamp,
    /// Each user's full ranking.
    pub ranks: Vec<Ranked>,
    /// The figures.
    pub figures: Figures,
    /// Those of its rivals.
    pub rivals: Vec<Rated>,
}

/// A trainer with a model's numbers: whole batches of users go faster through the training forward, and its scores have the
/// scorer's very bits.
///
/// # Errors
/// [`SessionError::Level`]; [`SessionError::Trainer`] where threads cannot be started.
pub fn trainer_of(model: &Model, config: &Config) -> Result<Trainer, SessionError> {
    let dmran = from_model(model).map_err(SessionError::Settings)?;
    let wrong = |error: TrainError| SessionError::Trainer(error);
    Trainer::new(Box::new(dmran), config.model.clone(), config.train.clone(), Level::from_env()?).map_err(wrong)
}

/// The figures of a model and of its rivals on the test set of `dataset`, the log in the model's ids.
///
/// # Errors
/// [`SessionError::NeedsTimes`], [`SessionError::NobodyToTest`].
pub fn measure(
    trainer: &mut Trainer,
    dataset: &Dataset,
    config: &Config,
    opened: &Opened,
) -> Result<Measured, SessionError> {
    check_times(opened, config.eval.protocol)?;
    let exam = Exam::new(dataset, config);
    if exam.is_empty() {
        return Err(SessionError::NobodyToTest { log: opened.name.clone() });
    }
    let ranks = exam.ranks(trainer);
    let figures = exam.figures_of(trainer, &ranks);
    let rivals = trainer.pool().install(|| exam.rivals());
    Ok(Measured { stamp: Stamp::new(config, dataset, opened.hash()), ranks, figures, rivals })
}
