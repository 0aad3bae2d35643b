//! A whole training: a log, settings adapted to it, memory, the run, its figures, the model with its card. `dmran train`
//! is this module and what it prints.

pub mod base;
pub mod card;
pub mod command;
mod error;
mod like;
mod measured;
mod notes;
mod run;
mod samples;

use crate::data::{Opened, Protocol};
use crate::model::Kind;
use crate::scorer::{Card, Model, ModelFileError};
use crate::train::checkpoint::Allowed;
use crate::train::config::Config;
use crate::train::evaluate::{Exam, Figures, Rated};
use crate::train::fit::{EpochReport, Fit, Watch};
use crate::train::incremental::Growth;
use crate::train::memory::{Bytes, Memory, available};
use crate::train::run_folder::{RunOptions, newest_length};
use crate::train::start;
pub use base::{Base, BaseError, config_of};
use dmran_kernels::Level;
pub use error::SessionError;
pub use like::{LikeError, config_like};
pub use measured::{Measured, measure, trainer_of};
pub use notes::{Note, Weight};
pub use run::{BEFORE, Run};
pub use samples::{NothingToLearn, check_samples};
use std::path::{Path, PathBuf};

/// Where a run is kept, and what may differ from its beginning.
#[derive(Debug, Clone, Default)]
pub struct Keeping {
    /// The run folder.
    pub folder: PathBuf,
    /// When it is written.
    pub options: RunOptions,
    /// What may differ.
    pub allow: Vec<Allowed>,
}

/// A training from a log to a model.
///
/// In one go:
///
/// ```
/// use dmran::data::{Event, LogBuilder, Opened, ReadOptions};
/// use dmran::train::{Config, Session};
///
/// let mut log = LogBuilder::new(ReadOptions::default());
/// for user in ["ann", "bob", "eve"] {
///     for (at, item) in ["tea", "cup", "pot", "tin", "jug"].into_iter().enumerate() {
///         log.push(Event { user, item, time: Some(1_700_000_000 + at as i64), category: None })?;
///     }
///     log.push(Event { user, item: user, time: Some(1_700_000_009), category: None })?;
/// }
/// let config = Config::from_toml("model.d = 8\ntrain.epochs = 2")?;
///
/// let trained = Session::train(Opened::named(log.finish()?, "kitchen"), config)?;
/// let path = std::env::temp_dir().join(format!("dmran-doc-{}.dmran", std::process::id()));
/// trained.save(&path)?;
/// let model = dmran::scorer::Model::load(&path)?;
/// assert_eq!(model.card().command, "dmran train kitchen --d 8 --epochs 2");
/// # std::fs::remove_file(path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// Step by step, to follow it, to keep it in a folder, and to hear what there is to say:
///
/// ```
/// use dmran::data::{self, ReadOptions};
/// use dmran::train::fit::{EpochReport, Watch};
/// use dmran::train::{Config, Session};
///
/// struct Print;
/// impl Watch for Print {
///     fn epoch(&mut self, report: &EpochReport) -> bool {
///         println!("epoch {}: AUC {}", report.epoch, report.auc);
///         report.auc.mean < 0.99 // false ends the run
///     }
/// }
///
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let log = data::open(&["shop.csv".into()], &ReadOptions::default())?;
/// let mut session = Session::new(log, Config::default())?;
/// session.prepare()?; // settings adapted to the log
/// session.take_notes().iter().for_each(|note| eprintln!("{note}"));
/// let mut run = session.start()?;
/// run.resume()?;
/// run.train(&mut Print)?;
/// let trained = run.outcome()?;
/// println!("test AUC {}", trained.figures.auc);
/// trained.save("shop.dmran")?;
/// # Ok(())
/// # }
/// ```
pub struct Session {
    opened: Opened,
    config: Config,
    level: Level,
    command: String,
    base: Option<Base>,
    growth: Option<Growth>,
    keeping: Option<Keeping>,
    max_memory: Option<Bytes>,
    ranks: usize,
    notes: Vec<Note>,
}

/// What a training came to.
pub struct Trained {
    /// What was trained.
    pub kind: Kind,
    /// The figures on the test set.
    pub figures: Figures,
    /// Those of its rivals.
    pub rivals: Vec<Rated>,
    /// The epochs.
    pub epochs: Vec<EpochReport>,
    /// The best of them, which the model is of; the last one where none could be measured.
    pub best_epoch: Option<usize>,
    /// Where the model comes from.
    pub card: Card,
    /// The model, where it is a DMRAN.
    pub model: Option<Model>,
    /// What there was to say, as far as nobody asked for it before.
    pub notes: Vec<Note>,
}

impl Trained {
    /// Writes the model file, whole or not at all.
    ///
    /// # Errors
    /// [`SaveError`].
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), SaveError> {
        let model = self.model.as_ref().ok_or(SaveError::Unsaved(SessionError::Unsaved(self.kind)))?;
        Ok(model.save(path)?)
    }
}

/// Why a model was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SaveError {
    /// The model is no DMRAN.
    #[error(transparent)]
    Unsaved(SessionError),
    /// What the file system answered.
    #[error(transparent)]
    File(#[from] ModelFileError),
}

impl Session {
    /// Trains with `config` on a log, from the beginning to the end.
    ///
    /// # Errors
    /// Whatever [`Session::new`] to [`Run::outcome`] answer.
    pub fn train(log: Opened, config: Config) -> Result<Trained, SessionError> {
        Session::new(log, config)?.run(&mut ())
    }

    /// A session that has not begun, on the SIMD tier of `DMRAN_SIMD` or the best one. The card will tell the command that
    /// `config` stands for ([`command::line`]).
    ///
    /// # Errors
    /// [`SessionError::Level`].
    pub fn new(opened: Opened, config: Config) -> Result<Session, SessionError> {
        let level = Level::from_env()?;
        let notes = vec![Note::Log(opened.summary())];
        let command = command::line(&opened, None, &config);
        let (base, growth, keeping, max_memory) = (None, None, None, None);
        Ok(Session { opened, config, level, command, base, growth, keeping, max_memory, ranks: 1, notes })
    }

    /// The command that the card tells, in place of the one that the settings stand for.
    #[must_use]
    pub fn command(mut self, command: String) -> Session {
        self.command = command;
        self
    }

    /// Where the run is kept.
    #[must_use]
    pub fn keeping(mut self, keeping: Option<Keeping>) -> Session {
        self.keeping = keeping;
        self
    }

    /// Runs that would take more memory are refused.
    #[must_use]
    pub fn max_memory(mut self, most: Option<Bytes>) -> Session {
        self.max_memory = most;
        self
    }

    /// How many ranks will share the run: it takes less memory then.
    #[must_use]
    pub fn shared_by(mut self, ranks: usize) -> Session {
        self.ranks = ranks;
        self
    }

    /// Goes on from a trained model; the settings should come from [`Base::config`].
    ///
    /// # Errors
    /// [`SessionError::Base`] where log, settings and model do not fit together.
    pub fn go_on_from(&mut self, base: Base) -> Result<(), SessionError> {
        base.check(&self.config.model)?;
        let (growth, notes) = base.grow(&mut self.opened, self.config.train.vanished)?;
        self.command = command::line(&self.opened, Some(&base), &self.config);
        self.notes.extend(notes);
        (self.base, self.growth) = (Some(base), Some(growth));
        Ok(())
    }

    /// The log.
    pub fn opened(&self) -> &Opened {
        &self.opened
    }

    /// The log, for whoever goes on with it.
    pub fn into_opened(self) -> Opened {
        self.opened
    }

    /// The settings; after [`Session::prepare`] those in force.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// What there is to say since this was asked last.
    pub fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    /// Adapts the settings to the log and checks them.
    ///
    /// # Errors
    /// [`SessionError::NeedsTimes`], [`SessionError::Config`].
    pub fn prepare(&mut self) -> Result<(), SessionError> {
        let needs_times = |what| SessionError::NeedsTimes { log: self.opened.name.clone(), what };
        let dataset = &self.opened.log.dataset;
        if self.config.train.since.is_some() && !dataset.has_time() {
            return Err(needs_times("--since needs a log with times"));
        }
        self.notes.extend(self.config.adapt(dataset).into_iter().map(Note::Adapted));
        self.config.validate()?;
        check_times(&self.opened, self.config.eval.protocol)
    }

    /// The figures of all rivals, for which nothing is trained.
    pub fn rivals(&self) -> Vec<Rated> {
        Exam::new(&self.opened.log.dataset, &self.config).rivals()
    }

    /// Estimates the memory and makes the run, which has not begun; then comes [`Run::resume`].
    ///
    /// # Errors
    /// [`SessionError::TooMuchMemory`], [`SessionError::MoreThanThere`] and the like before any of it is taken, [`SessionError::Start`],
    /// [`SessionError::NothingToLearn`].
    pub fn start(&self) -> Result<Run<'_>, SessionError> {
        let (config, dataset) = (&self.config, &self.opened.log.dataset);
        let memory = self.memory()?;
        let mut fit = start(config.clone(), dataset, self.level)?;
        self.warm(&mut fit);
        check_samples(fit.train(), config.eval.protocol, config.train.since, &self.opened)?;
        let mut notes = vec![
            Note::Begins {
                numbers: fit.trainer.model().params().count(),
                samples: fit.train().len(),
                level: self.level,
                threads: fit.trainer.pool().current_num_threads(),
            },
            Note::Memory(memory),
        ];
        let users = (0..dataset.users() as u32).filter(|user| fit.negatives().available(*user) == 0).count();
        if users > 0 {
            notes.push(Note::HaveEverything { users });
        }
        Ok(Run::new(self, fit, notes))
    }

    /// Puts the numbers of the model that the training goes on from into a run, if there is one.
    fn warm(&self, fit: &mut Fit<'_>) {
        if let (Some(base), Some(growth)) = (&self.base, &self.growth) {
            growth.warm(fit.trainer.model_mut().params_mut(), base.model(), &self.opened.log);
        }
    }

    /// How much memory the run will take. More than is allowed is refused before any of it is taken.
    fn memory(&self) -> Result<Memory, SessionError> {
        let (config, dataset) = (&self.config, &self.opened.log.dataset);
        // `start` refuses what is not trained.
        if !config.train.model.is_trained() {
            return Ok(Memory::default());
        }
        let least = Memory::least(config, dataset);
        if let Some(most) = self.max_memory.filter(|most| least > most.0) {
            return Err(SessionError::Parameters { least: Bytes(least), most });
        }
        let newest = self.keeping.as_ref().map_or(0, |keeping| newest_length(&keeping.folder));
        let memory =
            Memory::estimate(config.train.model.name(), config, dataset, self.level, newest)?.shared(self.ranks);
        match (self.max_memory, available()) {
            (Some(most), _) if memory.peak() > most.0 => {
                Err(SessionError::TooMuchMemory { memory: Box::new(memory), most })
            }
            (None, Some(there)) if memory.peak() > there => {
                Err(SessionError::MoreThanThere { memory: Box::new(memory), there: Bytes(there) })
            }
            _ => Ok(memory),
        }
    }

    /// From here to the end, followed by `watch`.
    ///
    /// # Errors
    /// Whatever [`Session::prepare`] to [`Run::outcome`] answer.
    pub fn run(mut self, watch: &mut (impl Watch + Send)) -> Result<Trained, SessionError> {
        self.prepare()?;
        let notes = self.take_notes();
        let mut run = self.start()?;
        run.resume()?;
        run.train(watch)?;
        let mut trained = run.outcome()?;
        trained.notes.splice(..0, notes);
        Ok(trained)
    }
}

/// A protocol that needs times is refused on a log without.
///
/// # Errors
/// [`SessionError::NeedsTimes`].
pub fn check_times(opened: &Opened, protocol: Protocol) -> Result<(), SessionError> {
    if protocol == Protocol::Time && !opened.log.dataset.has_time() {
        let what = "--protocol time needs a log with times; this one has only an order";
        return Err(SessionError::NeedsTimes { log: opened.name.clone(), what });
    }
    Ok(())
}
