//! How a subcommand ends when it does not end well.

use super::note;
use dmran::data::DataError;
use dmran::experiment::ExperimentError;
use dmran::model::mapped::MapError;
use dmran::scorer::{ModelFileError, ScorerError};
use dmran::train::config::ConfigError;
use dmran::train::run_folder::RunFolderError;
use dmran::train::session::{NothingToLearn, SessionError};
use dmran::train::start::StartError;
use dmran::train::trainer::TrainError;
use dmran_kernels::level::LevelError;
use std::io;
use std::path::Path;

/// Why a subcommand stopped.
#[derive(Debug)]
pub enum Failure {
    /// What the user gave cannot be used: exit code 2.
    Input(String),
    /// Anything else: exit code 1.
    Other(String),
    /// A signal asked for it: the exit code tells which.
    Stopped {
        /// What became of the work.
        message: String,
        /// The exit code.
        code: u8,
    },
    /// The reader of the output went away (`| head`): not a failure of ours.
    Closed,
}

impl Failure {
    /// Says what happened; the exit code that tells of it.
    pub fn tell(self) -> u8 {
        let (message, code) = match self {
            Failure::Closed => return 0,
            Failure::Input(message) => (message, 2),
            Failure::Other(message) => (message, 1),
            Failure::Stopped { message, code } => {
                note(message);
                return code;
            }
        };
        note(format_args!("error: {message}"));
        code
    }

    /// Bad input.
    pub fn input(message: impl Into<String>) -> Failure {
        Failure::Input(message.into())
    }
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Failure {
        Failure::Input(error.to_string())
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        Failure::Input(error.to_string())
    }
}

impl From<LevelError> for Failure {
    fn from(error: LevelError) -> Failure {
        Failure::Input(format!("{}: {error}", dmran_kernels::level::LEVEL_VARIABLE))
    }
}

impl From<ScorerError> for Failure {
    fn from(error: ScorerError) -> Failure {
        match error {
            ScorerError::Level(error) => error.into(),
            error => Failure::Other(error.to_string()),
        }
    }
}

impl From<TrainError> for Failure {
    fn from(error: TrainError) -> Failure {
        Failure::Other(error.to_string())
    }
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Failure {
        match error.is_input() {
            true => Failure::Input(error.to_string()),
            false => Failure::Other(error.to_string()),
        }
    }
}

impl From<NothingToLearn> for Failure {
    fn from(error: NothingToLearn) -> Failure {
        Failure::Input(error.to_string())
    }
}

impl From<MapError> for Failure {
    fn from(error: MapError) -> Failure {
        Failure::Input(error.to_string())
    }
}

impl From<RunFolderError> for Failure {
    fn from(error: RunFolderError) -> Failure {
        SessionError::from(error).into()
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Failure {
        match error {
            StartError::Train(error) => error.into(),
            error => Failure::Input(error.to_string()),
        }
    }
}

impl From<ExperimentError> for Failure {
    fn from(error: ExperimentError) -> Failure {
        let message = error.to_string();
        match error {
            ExperimentError::Start { source: StartError::Train(_), .. } => Failure::Other(message),
            ExperimentError::Start { .. } | ExperimentError::Search(_) | ExperimentError::Record { .. } => {
                Failure::Input(message)
            }
            _ => Failure::Other(message),
        }
    }
}

/// Of writing results.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Failure {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::Closed,
            _ => Failure::Other(format!("cannot write the output: {error}")),
        }
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Failure {
        match error.io_error_kind() {
            Some(io::ErrorKind::BrokenPipe) => Failure::Closed,
            _ => Failure::Other(format!("cannot write the output: {error}")),
        }
    }
}

/// Reading a model: the file is the user's.
pub fn unreadable(path: &Path) -> impl FnOnce(ModelFileError) -> Failure {
    move |error| {
        let (path, message) = (path.display().to_string(), error.to_string());
        Failure::Input(if message.contains(&path) { message } else { format!("{path}: {message}") })
    }
}
