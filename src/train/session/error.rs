//! What can go wrong with a session.

use super::base::BaseError;
use super::samples::NothingToLearn;
use crate::data::DataError;
use crate::model::{BuildError, Kind};
use crate::scorer::{IdsError, ModelFileError, SettingsError};
use crate::train::checkpoint::CheckpointError;
use crate::train::config::ConfigError;
use crate::train::fit::FitError;
use crate::train::memory::{Bytes, Memory};
use crate::train::ranks::{Differs, Unshared};
use crate::train::run_folder::RunFolderError;
use crate::train::start::StartError;
use crate::train::trainer::TrainError;
use dmran_kernels::level::{LEVEL_VARIABLE, LevelError};
use std::path::PathBuf;

/// Why a session could not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The log cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// `DMRAN_SIMD` names a tier that does not exist or is not there on this CPU.
    #[error("{}: {_0}", LEVEL_VARIABLE)]
    Level(#[from] LevelError),
    /// A setting is out of its range.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// `since` or the protocol `time` on a log without times.
    #[error("{log}: {what}")]
    NeedsTimes {
        /// The log.
        log: String,
        /// What needs them.
        what: &'static str,
    },
    /// The log and the model that the training goes on from.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// The parameters alone are more than the memory that is allowed.
    #[error("the parameters alone take {least}; --max-memory allows {most}")]
    Parameters {
        /// What they take.
        least: Bytes,
        /// What is allowed.
        most: Bytes,
    },
    /// The run would take more memory than is allowed.
    #[error(
        "the run would take about {memory}; --max-memory allows {most}. Smaller --d, --batch, --hops, --history-cap or \
         --shards take less, and so does --optimizer sgd"
    )]
    TooMuchMemory {
        /// What it would take.
        memory: Box<Memory>,
        /// What is allowed.
        most: Bytes,
    },
    /// The run would take more memory than the machine has to spare, and nobody said that it may.
    #[error(
        "the run would take about {memory}; this machine has {there} to spare. --loss sampled-softmax compares with some of \
         the items instead of all, --head mean takes the least; smaller --d, --batch, --hops, --history-cap or --shards take \
         less, too. --max-memory {} begins it all the same", Bytes(memory.peak())
    )]
    MoreThanThere {
        /// What it would take.
        memory: Box<Memory>,
        /// What there is.
        there: Bytes,
    },
    /// The model does not fit the settings.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The run cannot begin.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The ranks of a team cannot share a batch's shards.
    #[error(transparent)]
    Unshared(#[from] Unshared),
    /// A rank of a team is not like the others.
    #[error(transparent)]
    Differs(#[from] Differs),
    /// There is nothing to learn from.
    #[error(transparent)]
    NothingToLearn(#[from] NothingToLearn),
    /// The folder of the run.
    #[error(transparent)]
    Folder(#[from] RunFolderError),
    /// The loss or a gradient is not finite.
    #[error("{source}{}{}", advice(*.hint), untouched(.folder))]
    Diverged {
        /// What happened.
        source: Box<FitError>,
        /// Whether the learning rate was never halved, so that `on_nan` may help.
        hint: bool,
        /// With a run folder: its newest checkpoint, if there is one.
        folder: Option<Option<PathBuf>>,
    },
    /// The run ended before its time.
    #[error(transparent)]
    Fit(FitError),
    /// Settings that no text can stand for.
    #[error(transparent)]
    Card(#[from] toml::ser::Error),
    /// Names that no model file can hold.
    #[error(transparent)]
    Ids(#[from] IdsError),
    /// Numbers that no model file can hold.
    #[error(transparent)]
    Model(#[from] ModelFileError),
    /// A model's settings that no model can have.
    #[error(transparent)]
    Settings(SettingsError),
    /// A trainer that could not be made.
    #[error(transparent)]
    Trainer(TrainError),
    /// There is no test set.
    #[error("{log}: nobody to test on: no user has two events that the model knows and lacks an item")]
    NobodyToTest {
        /// The log.
        log: String,
    },
    /// The model file holds dmran alone.
    #[error("the model file holds dmran alone; {0} is trained and measured, and its checkpoints hold it")]
    Unsaved(Kind),
}

impl SessionError {
    /// Whether what was given cannot be used, as opposed to a failure of the work itself.
    pub fn is_input(&self) -> bool {
        use CheckpointError::{Config, Data, Shapes, Vocabulary};
        match self {
            Self::Start(StartError::Train(_)) => false,
            Self::Fit(FitError::Keep(error)) | Self::Folder(error) => matches!(
                error,
                RunFolderError::Foreign { .. }
                    | RunFolderError::NoneLoads { .. }
                    | RunFolderError::Checkpoint { error: Config(_) | Data(_) | Vocabulary(_) | Shapes { .. }, .. }
            ),
            Self::Diverged { .. } | Self::Fit(_) | Self::Card(_) | Self::Ids(_) | Self::Model(_) => false,
            Self::Settings(_) | Self::Trainer(_) => false,
            _ => true,
        }
    }

    /// Whether a run ended because its loss or a gradient was not finite.
    pub(super) fn diverged(error: &FitError) -> bool {
        matches!(error, FitError::Train(TrainError::Diverged { .. }) | FitError::StillDiverges { .. })
    }
}

fn advice(there: bool) -> &'static str {
    if there { " --on-nan halve-lr tries it by itself." } else { "" }
}

fn untouched(folder: &Option<Option<PathBuf>>) -> String {
    match folder {
        None => String::new(),
        Some(Some(path)) => format!("\n{} is untouched.", path.display()),
        Some(None) => "\nThere was no checkpoint yet.".into(),
    }
}
