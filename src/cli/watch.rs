//! What a person sees while a model trains: a bar on a terminal, one line an epoch.

use super::note;
use dmran::train::config::TrainConfig;
use dmran::train::fit::{EpochReport, Halving, Progress, Watch};
use dmran::train::loss::Terms;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::fmt::Write;
use std::time::Duration;

/// Watches a run from standard error. The bar is there only where that is a terminal.
pub struct Screen {
    bar: ProgressBar,
    quiet: bool,
    /// What the epochs' AUC is measured on.
    measured_on: &'static str,
}

impl Screen {
    /// A screen for a run; `quiet` shows nothing at all.
    pub fn new(config: &TrainConfig, measured_on: &'static str, quiet: bool) -> Screen {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr_with_hz(10) };
        let bar = ProgressBar::with_draw_target(None, target);
        let rate = |state: &ProgressState, out: &mut dyn Write| {
            let _ = write!(out, "{:.0} samples/s", state.per_sec());
        };
        let style = "epoch {prefix} {bar:30} {percent:>3} %  {rate}  {msg}  {eta} left";
        // The template is ours; indicatif's default stands in for it, should it ever be refused.
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style.with_key("rate", rate));
        }
        bar.set_prefix(format!("1/{}", config.epochs));
        Screen { bar, quiet, measured_on }
    }

    /// The run is over; what follows is `what`.
    pub fn finish(&self, what: &'static str) {
        if self.bar.is_hidden() {
            return;
        }
        if let Ok(style) = ProgressStyle::with_template("{spinner} {msg}") {
            self.bar.set_style(style);
        }
        self.bar.set_message(what);
        self.bar.enable_steady_tick(Duration::from_millis(100));
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Watch for Screen {
    fn step(&mut self, progress: &Progress) -> bool {
        if !self.bar.is_hidden() {
            // One bar over all epochs, so that the time left is the run's.
            let whole = progress.epochs * progress.samples;
            self.bar.set_length(whole as u64);
            self.bar.set_prefix(format!("{}/{}", progress.epoch, progress.epochs));
            self.bar.set_message(losses(progress.loss, &progress.terms));
            self.bar.set_position(((progress.epoch - 1) * progress.samples + progress.done) as u64);
        }
        true
    }

    fn epoch(&mut self, report: &EpochReport) -> bool {
        if !self.quiet {
            let line = line(report, self.measured_on);
            self.bar.suspend(|| note(line));
        }
        true
    }

    /// Said in any case: the learning rate is no longer that of the settings.
    fn halved(&mut self, halving: &Halving) {
        let Halving { epoch, step, cause, factor } = halving;
        let step = step + 1;
        let line =
            format!("epoch {epoch:>2}  diverged at step {step}: {cause}; again with {factor} x the learning rate");
        self.bar.suspend(|| note(line));
    }
}

/// The loss and its terms before their weights.
fn losses(loss: f64, terms: &Terms) -> String {
    let mut text = format!("loss {loss:.4} (rank {:.4}, penalty {:.3}, l2 {:.3}", terms.rank, terms.penalty, terms.l2);
    if terms.l2_dense != 0.0 {
        text += &format!(", l2 of dense weights {:.3}", terms.l2_dense);
    }
    text + ")"
}

fn line(report: &EpochReport, measured_on: &str) -> String {
    let auc = if report.auc.n > 0 { format!("  {measured_on} AUC {}", report.auc) } else { String::new() };
    let top_ten = report.top_ten.map_or(String::new(), |top| format!("  HR@10 {}  NDCG@10 {}", top.hr, top.ndcg));
    format!(
        "epoch {:>2}  lr {:.4}  {}{auc}{top_ten}  {:.1} s  {:.0} samples/s{}",
        report.epoch,
        report.lr,
        losses(report.loss, &report.terms),
        report.seconds,
        report.samples_per_second,
        if report.best { "  best" } else { "" }
    )
}

/// A bar over users, where `is_seen`: results on the terminal itself would be in its way.
pub fn users_bar(users: usize, is_seen: bool) -> ProgressBar {
    let target = if is_seen { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
    let bar = ProgressBar::with_draw_target(Some(users as u64), target);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3} %  {pos} of {len} users  {eta} left") {
        bar.set_style(style);
    }
    bar
}
