//! Runs that survive: the run folder, going on where a run stopped, and what ends a run before its time.

use super::data_flags::Opened;
use super::failure::Failure;
use super::watch::Screen;
use super::{card, note, signals};
use dmran::data::Protocol;
use dmran::scorer::Model;
use dmran::train::checkpoint::{Allowed, CheckpointError, Identity};
use dmran::train::fit::{EpochReport, Finish, Fit, FitError, Halving, Progress, Watch};
use dmran::train::memory::Bytes;
use dmran::train::run_folder::{RunFolderError, RunOptions, Started};
use dmran::train::stamp::Stamp;
use dmran::train::trainer::TrainError;
use dmran::train::{Config, Memory, RunFolder};
use dmran_kernels::Level;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where a run is kept, and its limits.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Surviving")]
pub struct RunFlags {
    /// Folder of the run: settings, metrics, checkpoints, model. The same command goes on where the run stopped
    #[arg(long, value_name = "DIR")]
    pub run: Option<PathBuf>,
    /// What may differ from the run's beginning: epochs, patience, simd (threads and output may always)
    #[arg(long, value_name = "KEY", value_delimiter = ',', requires = "run")]
    pub allow: Vec<Allowed>,
    /// Checkpoints to keep in the run folder
    #[arg(long, value_name = "N", default_value = "3", value_parser = clap::value_parser!(u16).range(1..))]
    keep_checkpoints: u16,
    /// Minutes between checkpoints within an epoch (each epoch's end has one anyway); 0 = after every step
    #[arg(long, value_name = "MINUTES", default_value = "10", value_parser = minutes)]
    checkpoint_minutes: Duration,
    /// Refuse to start a run that would take more memory, for instance 500MiB or 2GiB
    #[arg(long, value_name = "BYTES")]
    max_memory: Option<Bytes>,
}

/// The length of the newest checkpoint in a run folder, 0 without one.
fn newest_length(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder.join("checkpoints")).into_iter().flatten().flatten();
    let lengths = entries.filter_map(|entry| Some((entry.file_name(), entry.metadata().ok()?.len())));
    lengths.max().map_or(0, |(_, length)| length)
}

fn minutes(text: &str) -> Result<Duration, String> {
    let minutes: f64 = text.parse().map_err(|_| "a number of minutes".to_owned())?;
    Duration::try_from_secs_f64(minutes * 60.0).map_err(|error| error.to_string())
}

impl RunFlags {
    /// Where the model goes.
    pub fn out(&self, asked: Option<&Path>) -> PathBuf {
        match (asked, &self.run) {
            (Some(out), _) => out.to_owned(),
            (None, Some(folder)) => folder.join("model.dmran"),
            (None, None) => "model.dmran".into(),
        }
    }

    /// How much memory the run will take. More than is allowed is refused before any of it is taken.
    pub fn memory(&self, model: &str, config: &Config, opened: &Opened, level: Level) -> Result<Memory, Failure> {
        let wrong = |error: &dyn std::error::Error| Failure::Input(error.to_string());
        let dataset = &opened.log.dataset;
        let least = Memory::least(config, dataset);
        if let Some(most) = self.max_memory.filter(|most| least > most.0) {
            let least = Bytes(least);
            return Err(Failure::Input(format!("the parameters alone take {least}; --max-memory allows {most}")));
        }
        let newest = self.run.as_deref().map_or(0, newest_length);
        let memory = Memory::estimate(model, config, dataset, level, newest);
        let memory = memory.map_err(|error| wrong(&error))?;
        match self.max_memory {
            Some(most) if memory.peak() > most.0 => Err(Failure::Input(format!(
                "the run would take about {memory}; --max-memory allows {most}. Smaller --d, --batch, --hops, \
                 --history-cap or --shards take less, and so does --optimizer sgd"
            ))),
            _ => Ok(memory),
        }
    }
}

/// A run on its way, in a folder or without one.
pub struct Run {
    folder: Option<RunFolder>,
}

impl Run {
    /// Opens the run folder, if one is asked for, and puts `fit` to where its run stopped.
    pub fn begin(flags: &RunFlags, fit: &mut Fit<'_>, opened: &Opened, tell: impl Fn(String)) -> Result<Run, Failure> {
        let Some(path) = &flags.run else { return Ok(Run { folder: None }) };
        let options = RunOptions { keep: flags.keep_checkpoints.into(), every: flags.checkpoint_minutes };
        let mut folder = RunFolder::open(path, options)?;
        if let Started::Resumed { from, skipped } = folder.start(fit, Identity::of(&opened.log), &flags.allow)? {
            // Said in any case: some of the work is lost.
            skipped.iter().for_each(|(path, error)| note(format_args!("{}: {error}", path.display())));
            let what = if skipped.is_empty() { "going on" } else { "going on with the one before" };
            let (epoch, samples, of) = (fit.state.epoch + 1, fit.state.position, fit.train().len());
            match fit.finish() {
                None => tell(format!("{what}: {}, epoch {epoch}, {samples} of {of} samples", from.display())),
                Some(_) if !skipped.is_empty() => tell(format!("{what}: {}", from.display())),
                Some(_) => {}
            }
        }
        folder.write_stamp(&Stamp::new(fit.config(), &opened.log.dataset, opened.hash()))?;
        Ok(Run { folder: Some(folder) })
    }

    /// What to say of a run that has no more to do, and whose model stands at `out` already.
    pub fn done(&self, fit: &Fit<'_>, opened: &Opened, out: &Path, tell: impl Fn(String)) -> Option<String> {
        let (Some(folder), Some(finish)) = (&self.folder, fit.finish()) else { return None };
        let epochs = fit.state.epoch;
        let why = match finish {
            Finish::Epochs => format!("{epochs} epochs"),
            Finish::Patience => format!("{epochs} epochs, the last {} no better", fit.config().train.patience),
        };
        let finished = format!("The run in {} is finished: {why}.", folder.path().display());
        let is_ours = |model: Model| {
            let card = model.card();
            card::settings(fit).is_ok_and(|config| card.config == config) && card.data_hash == opened.hash()
        };
        if Model::load(out).is_ok_and(is_ours) {
            return Some(format!("{finished}\nThe model is in {}.", out.display()));
        }
        tell(format!("{finished} Its model is not in {}: writing it", out.display()));
        None
    }

    /// Trains to the end; a signal, a divergence or a full disk ends it before.
    pub fn train(&mut self, fit: &mut Fit<'_>, screen: &mut Screen) -> Result<(), Failure> {
        if fit.finish().is_some() {
            signals::end_at_once();
            return Ok(());
        }
        let mut watch = UntilSignal { screen };
        let result = match &mut self.folder {
            Some(folder) => fit.run_keeping(&mut watch, folder),
            None => fit.run(&mut watch),
        };
        let stopped = signals::received();
        if result.is_err() || stopped.is_some() {
            screen.clear();
        }
        if let Err(error) = result {
            return Err(self.explain(error, fit));
        }
        let Some(signal) = stopped else {
            // Nothing that follows is lost with the process: a folder has it all, and without one nobody waits for it.
            signals::end_at_once();
            return Ok(());
        };
        let (epoch, step) = (fit.state.epoch + 1, fit.trainer.optimizer.step);
        let message = match &mut self.folder {
            Some(folder) => {
                folder.save(fit)?;
                let folder = folder.path().display();
                format!(
                    "stopped by {} in epoch {epoch} after step {step}; {folder} has a checkpoint: the same command goes \
                     on from there",
                    signal.name
                )
            }
            None => format!(
                "stopped by {} in epoch {epoch} after step {step}; nothing was saved (with --run DIR a run can go on)",
                signal.name
            ),
        };
        Err(Failure::Stopped { message, code: signal.code })
    }

    /// An error with what the person at the terminal can do about it.
    fn explain(&self, error: FitError, fit: &Fit<'_>) -> Failure {
        let diverged = matches!(&error, FitError::Train(TrainError::Diverged { .. }) | FitError::StillDiverges { .. });
        let Failure::Other(mut message) = Failure::from(error) else {
            return Failure::Other("the run ended".into());
        };
        if diverged && fit.state.halvings.is_empty() {
            message += " --on-nan halve-lr tries it by itself.";
        }
        if let (true, Some(folder)) = (diverged, &self.folder) {
            let kept = folder.checkpoints().ok().and_then(|all| all.last().cloned());
            message += &match kept {
                Some(path) => format!("\n{} is untouched.", path.display()),
                None => "\nThere was no checkpoint yet.".into(),
            };
        }
        Failure::Other(message)
    }
}

/// What the epochs are measured on.
pub fn measured_on(protocol: Protocol) -> &'static str {
    if protocol == Protocol::Paper { "test" } else { "validation" }
}

/// A screen that ends the training when a signal has come.
struct UntilSignal<'a> {
    screen: &'a mut Screen,
}

impl Watch for UntilSignal<'_> {
    fn step(&mut self, progress: &Progress) -> bool {
        self.screen.step(progress) && signals::received().is_none()
    }

    fn epoch(&mut self, report: &EpochReport) -> bool {
        self.screen.epoch(report) && signals::received().is_none()
    }

    fn halved(&mut self, halving: &Halving) {
        self.screen.halved(halving);
    }
}

impl From<FitError> for Failure {
    fn from(error: FitError) -> Failure {
        match error {
            FitError::Keep(error) => error.into(),
            error => Failure::Other(error.to_string()),
        }
    }
}

impl From<RunFolderError> for Failure {
    fn from(error: RunFolderError) -> Failure {
        use CheckpointError::{Config, Data, Shapes, Vocabulary};
        match &error {
            RunFolderError::Foreign { .. }
            | RunFolderError::Checkpoint { error: Config(_) | Data(_) | Vocabulary(_) | Shapes { .. }, .. } => {
                Failure::Input(error.to_string())
            }
            _ => Failure::Other(error.to_string()),
        }
    }
}
