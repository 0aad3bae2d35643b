//! Following a run from outside, and keeping what it has come to.

use super::{EpochReport, Fit, Halving};
use crate::train::loss::Terms;
use crate::train::ranks::cost::Traffic;
use crate::train::run_folder::RunFolderError;
use crate::train::trainer::{StepReport, TrainError};

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Epoch, counted from 1.
    pub epoch: usize,
    /// Epochs of the run.
    pub epochs: usize,
    /// Samples of this epoch that are done.
    pub done: usize,
    /// Samples of an epoch.
    pub samples: usize,
    /// Terms of the loss, means over the epoch so far.
    pub terms: Terms,
    /// Their weighted sum.
    pub loss: f64,
    /// The last step.
    pub step: StepReport,
    /// What this rank sent to the others in it.
    pub sent: Traffic,
}

/// Follows a run from outside.
pub trait Watch {
    /// After each step; `false` ends the run.
    fn step(&mut self, _progress: &Progress) -> bool {
        true
    }
    /// After each epoch's evaluation; `false` ends the run.
    fn epoch(&mut self, _report: &EpochReport) -> bool {
        true
    }
    /// After a divergence, before the epoch is taken again with half the learning rate.
    fn halved(&mut self, _halving: &Halving) {}
}

/// Watches nothing.
impl Watch for () {}

/// Keeps what a run has come to, so that it can go on from there: a [`RunFolder`](crate::train::RunFolder).
pub trait Keep {
    /// Whether the run is to be kept now, between two steps of an epoch.
    fn due(&mut self) -> bool {
        false
    }

    /// Keeps the run: at the end of each epoch, and where [`Keep::due`] asks for it, of several ranks that of any. All of them keep
    /// together.
    ///
    /// # Errors
    /// If it cannot be kept; that ends the run.
    fn keep(&mut self, _run: &mut Fit<'_>) -> Result<(), RunFolderError> {
        Ok(())
    }
}

/// Keeps nothing.
impl Keep for () {}

/// Why a run ended before its time.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FitError {
    /// A step could not be taken.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// It diverged again and again.
    #[error("the learning rate was halved {times} times, and still: {source}")]
    StillDiverges {
        /// How often.
        times: usize,
        /// The last divergence.
        source: TrainError,
    },
    /// What the run has come to could not be kept.
    #[error(transparent)]
    Keep(#[from] RunFolderError),
}

/// Why a run has no more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// All epochs are done.
    Epochs,
    /// So many epochs in a row were no better.
    Patience,
}
