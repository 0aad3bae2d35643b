//! Runs that survive: the run folder, going on where a run stopped, and what ends a run before its time.

use super::failure::Failure;
use super::signals;
use super::watch::Screen;
use dmran::scorer::{Model, Precision};
use dmran::train::checkpoint::Allowed;
use dmran::train::fit::{EpochReport, Finish, Halving, Progress, Watch};
use dmran::train::memory::Bytes;
use dmran::train::ranks::cost::{RowsRead, Step, Traffic};
use dmran::train::run_folder::RunOptions;
use dmran::train::session::{Keeping, Run};
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
    pub max_memory: Option<Bytes>,
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

    /// Where the run is kept, as the flags say.
    pub fn keeping(&self) -> Option<Keeping> {
        let options = RunOptions { keep: self.keep_checkpoints.into(), every: self.checkpoint_minutes };
        self.run.as_ref().map(|folder| Keeping { folder: folder.clone(), options, allow: self.allow.clone() })
    }
}

/// What to say of a run that has no more to do, and whose model stands at `out` already.
pub fn done(run: &Run<'_>, out: &Path, table: Precision, tell: impl Fn(String)) -> Option<String> {
    let (Some(folder), Some(finish)) = (run.folder(), run.fit.finish()) else { return None };
    let epochs = run.fit.state.epoch;
    let why = match finish {
        Finish::Epochs => format!("{epochs} epochs"),
        Finish::Patience => format!("{epochs} epochs, the last {} no better", run.fit.config().train.patience),
    };
    let finished = format!("The run in {} is finished: {why}.", folder.display());
    if Model::load(out).is_ok_and(|model| run.made(&model) && model.precision() == table) {
        return Some(format!("{finished}\nThe model is in {}.", out.display()));
    }
    tell(format!("{finished} Its model is not in {} with tables of {table}: writing it", out.display()));
    None
}

/// Trains to the end; a signal, a divergence or a full disk ends it before.
pub fn train(run: &mut Run<'_>, screen: &mut Screen) -> Result<(), Failure> {
    if run.fit.finish().is_some() {
        signals::end_at_once();
        return Ok(());
    }
    let leads = run.fit.trainer.team().leads();
    let result = run.train(&mut UntilSignal { screen, leads });
    // All ranks of a team stop, whichever of them was told to. With an error nobody asks the others.
    let mut stopped = signals::received();
    if result.is_ok() {
        let asked = run.fit.trainer.team_mut().most(signals::number(stopped));
        stopped = signals::signal(asked);
    }
    if result.is_err() || stopped.is_some() {
        screen.clear();
    }
    result?;
    let Some(signal) = stopped else {
        // Nothing that follows is lost with the process: a folder has it all, and without one nobody waits for it.
        signals::end_at_once();
        return Ok(());
    };
    run.keep()?;
    let (epoch, step) = (run.fit.state.epoch + 1, run.fit.trainer.optimizer.step);
    let kept = match run.folder() {
        Some(folder) => {
            format!("{} has a checkpoint: the same command goes on from there", folder.display())
        }
        None => "nothing was saved (with --run DIR a run can go on)".into(),
    };
    let message = format!("stopped by {} in epoch {epoch} after step {step}; {kept}", signal.name);
    Err(Failure::Stopped { message, code: signal.code })
}

/// What the ranks of a team have sent each other, each on average, and what it should be. All of them ask.
pub fn sent(run: &mut Run<'_>) -> String {
    let (Traffic { bytes, messages }, steps) = run.fit.sent();
    let (steps, step) = (steps.max(1) as f64, run.fit.trainer.sizes());
    let rows = step.tables.iter().map(|read| read.by_rank);
    let mine: Vec<f64> = [bytes as f64, messages as f64].into_iter().chain(rows).collect();
    let all = run.fit.trainer.team_mut().gather_f64(&mine);
    let mean = |at: usize| all.iter().skip(at).step_by(mine.len()).sum::<f64>() / step.ranks as f64;
    let read = |(at, read): (usize, &RowsRead)| RowsRead { by_rank: mean(2 + at), ..*read };
    let formula = Step { tables: step.tables.iter().enumerate().map(read).collect(), ..step.clone() }.bytes();
    let (bytes, messages) = (mean(0) / steps, mean(1) / steps);
    format!(
        "{} ranks: each sent {bytes:.0} bytes in {messages:.0} messages a step; by formula {formula:.0} in the last step",
        step.ranks
    )
}

/// A screen that ends the training when a signal has come.
struct UntilSignal<'a> {
    screen: &'a mut Screen,
    /// Whether this rank speaks.
    leads: bool,
}

impl Watch for UntilSignal<'_> {
    fn step(&mut self, progress: &Progress) -> bool {
        self.screen.step(progress) && signals::received().is_none()
    }

    fn epoch(&mut self, report: &EpochReport) -> bool {
        self.screen.epoch(report) && signals::received().is_none()
    }

    fn halved(&mut self, halving: &Halving) {
        if self.leads {
            self.screen.halved(halving);
        }
    }
}
