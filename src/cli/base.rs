//! `train --from`: going on from a trained model with a newer log.

use super::data_flags::{DataFlags, Opened};
use super::failure::{Failure, unreadable};
use super::mapped;
use super::moment::moment;
use super::note;
use super::settings::{Everything, SettingsFlags, apply_all};
use dmran::data::Log;
use dmran::model::Kind;
use dmran::scorer::{Model, Settings};
use dmran::train::Config;
use dmran::train::incremental::{Growth, fingerprint};
use std::path::PathBuf;

/// What the training goes on from.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Going on from a model")]
pub struct BaseFlags {
    /// Go on from this model: its items keep what they have learned, new ones start from the average of their category.
    /// Settings are the model's; one epoch at the learning rate of its last one, unless --epochs and --lr say otherwise
    #[arg(long, value_name = "FILE", conflicts_with_all = ["config", "preset"])]
    pub from: Option<PathBuf>,
    /// Learn to predict only events after this time, in seconds since 1970; earlier ones are history
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = moment)]
    pub since: Option<i64>,
}

/// The model that a training goes on from.
pub struct Base {
    path: PathBuf,
    /// The model.
    pub model: Model,
}

impl BaseFlags {
    /// Reads the model, if one is named.
    pub fn load(&self, kind: Option<Kind>) -> Result<Option<Base>, Failure> {
        let Some(path) = &self.from else { return Ok(None) };
        if let Some(kind) = kind.filter(|kind| *kind != Kind::Dmran) {
            return Err(Failure::Input(format!("--from {}: holds dmran, not {kind}", path.display())));
        }
        let model = Model::load(path).map_err(unreadable(path))?;
        Ok(Some(Base { path: path.clone(), model }))
    }
}

impl Base {
    /// The model's settings with the flags over them.
    pub fn config(&self, data: &DataFlags, flags: &SettingsFlags<Everything>) -> Result<Config, Failure> {
        let mut config = mapped::config_of(&self.model);
        config.train.from = fingerprint(&self.model);
        config.train.since = None;
        config.train.threads = 0;
        if !flags.has("train", "lr") {
            config.train.lr *= config.train.decay.powi(config.train.epochs.saturating_sub(1).min(1000) as i32);
        }
        if !flags.has("train", "epochs") {
            config.train.epochs = 1;
        }
        apply_all(&mut config, data, flags)?;
        self.same(&config.model)?;
        Ok(config)
    }

    /// The model's shape cannot change.
    fn same(&self, settings: &Settings) -> Result<(), Failure> {
        if settings == self.model.settings() {
            return Ok(());
        }
        let table = |settings: &Settings| toml::Table::try_from(settings).unwrap_or_default();
        let (ours, asked) = (table(self.model.settings()), table(settings));
        let differences: Vec<String> = asked
            .iter()
            .filter(|(key, value)| ours.get(*key) != Some(*value))
            .map(|(key, value)| {
                let of_model = ours.get(key).map_or_else(|| "nothing".to_owned(), ToString::to_string);
                format!("{key} is {of_model} in the model, {value} was asked for")
            })
            .collect();
        Err(Failure::Input(format!("--from {}: {}", self.path.display(), differences.join("; "))))
    }

    /// Brings the log and the model together.
    pub fn grow(&self, opened: &mut Opened, tell: impl Fn(String)) -> Result<Growth, Failure> {
        let (path, settings) = (self.path.display(), self.model.settings());
        if settings.reads_times() && !opened.log.dataset.has_time() {
            return Err(Failure::Input(format!("{}: has no times, but {path} uses them", opened.name)));
        }
        let log: Log = opened.log.clone();
        let of_log = log.items.len();
        let (log, growth) = Growth::of(log, &self.model)
            .map_err(|error| Failure::Input(format!("{}: --from {path}: {error}", opened.name)))?;
        opened.log = log;
        if growth.new_items() == of_log {
            note(format_args!(
                "note: not one of the {of_log} items of {} is known to {path}: are ids written alike?",
                opened.name
            ));
        }
        tell(format!("going on from {path}: {} of {} items are new", growth.new_items(), opened.log.items.len()));
        Ok(growth)
    }
}
