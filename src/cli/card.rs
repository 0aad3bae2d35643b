//! The model card of a trained model. Nothing in it depends on the moment, the machine or the number of threads, so
//! that the same run gives the same file.

use super::data_flags::Opened;
use super::show;
use dmran::data::Protocol;
use dmran::scorer::{Card, Metric};
use dmran::train::fit::{Figures, Fit};
use std::ffi::OsString;

/// Flags that cannot change the model, with the number of values that follow them.
const OUTSIDE: [(&str, usize); 12] = [
    ("--jobs", 1),
    ("--report", 1),
    ("--out", 1),
    ("-o", 1),
    ("--threads", 1),
    ("--quiet", 0),
    ("-q", 0),
    ("--run", 1),
    ("--allow", 1),
    ("--keep-checkpoints", 1),
    ("--checkpoint-minutes", 1),
    ("--max-memory", 1),
];

/// The settings as the card has them.
pub fn settings(fit: &Fit<'_>) -> Result<String, toml::ser::Error> {
    let mut config = fit.config().clone();
    config.train.threads = 0;
    toml::to_string(&config)
}

/// The card of a finished run.
pub fn card(fit: &Fit<'_>, opened: &Opened, figures: &Figures) -> Result<Card, toml::ser::Error> {
    let config = fit.config();
    let mut metrics = Vec::new();
    if let Some(best) = &fit.state.best {
        let set = if config.eval.protocol == Protocol::Paper { "test" } else { "validation" };
        metrics.push(Metric {
            name: format!("best epoch, by {set} {}", config.train.early_stop_metric),
            value: best.epoch as f64,
            standard_error: None,
        });
        metrics.push(Metric { name: format!("{set} AUC"), value: best.auc, standard_error: None });
    }
    for (name, estimate) in show::rows(figures) {
        let standard_error = Some(estimate.se).filter(|se| se.is_finite());
        metrics.push(Metric { name: format!("test {name}"), value: estimate.mean, standard_error });
    }
    metrics.retain(|metric| metric.value.is_finite());
    Ok(Card {
        created_by: concat!("dmran ", env!("CARGO_PKG_VERSION")).into(),
        command: command(std::env::args_os().skip(1)),
        config: settings(fit)?,
        data_summary: opened.summary(),
        data_hash: opened.hash(),
        seed: config.train.seed,
        metrics,
    })
}

/// The command as it was typed, without the flags that cannot change the model.
pub fn command(args: impl Iterator<Item = OsString>) -> String {
    let mut out = String::from("dmran");
    let mut skip = 0;
    for arg in args {
        if skip > 0 {
            skip -= 1;
            continue;
        }
        let arg = arg.to_string_lossy();
        let (flag, joined) = arg.split_once('=').map_or((&*arg, false), |(flag, _)| (flag, true));
        if let Some((_, values)) = OUTSIDE.iter().find(|(name, _)| *name == flag) {
            skip = if joined { 0 } else { *values };
            continue;
        }
        out.push(' ');
        if arg.is_empty() || arg.contains(|c: char| !(c.is_alphanumeric() || "-_./=,:+".contains(c))) {
            out += &format!("'{}'", arg.replace('\'', "'\\''"));
        } else {
            out += &arg;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_what_makes_the_model() {
        let line = |text: &[&str]| command(text.iter().map(OsString::from));
        assert_eq!(
            line(&["train", "--out", "x", "a.csv", "--threads=3", "-q", "--d", "16"]),
            "dmran train a.csv --d 16"
        );
        assert_eq!(line(&["train", "--delimiter", ";", "it's"]), "dmran train --delimiter ';' 'it'\\''s'");
    }
}
