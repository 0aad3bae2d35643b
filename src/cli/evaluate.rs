//! `dmran evaluate`: a model's figures on a log.

use super::bundled::BundledFlag;
use super::data_flags::{self, DataFlags};
use super::failure::{Failure, unreadable};
use super::outputs::Outputs;
use super::settings::{Finished, SettingsFlags, apply_all};
use super::{note, per_user, show};
use dmran::data::{Dataset, Opened, Protocol};
use dmran::model::Mapped;
use dmran::scorer::{Level, Model};
use dmran::train::checkpoint::{Allowed, Identity};
use dmran::train::config::TrainConfig;
use dmran::train::fit::{Figures, Rated};
use dmran::train::run_folder::RunOptions;
use dmran::train::session::{self, config_of, trainer_of};
use dmran::train::stamp::Stamp;
use dmran::train::{Config, RunFolder, Trainer, start};
use serde::Serialize;
use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;

/// Flags of `evaluate`.
#[derive(clap::Args)]
pub struct Args {
    /// The model file; or a run's folder, of any model: then its best epoch, on the log that it was trained on
    model: PathBuf,
    /// The log; - is standard input. Settings that are not given are those of the training
    files: Vec<PathBuf>,
    #[command(flatten)]
    bundled: BundledFlag,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
    /// Where each user's result goes, as CSV: user, item to find, its rank, items ranked, events before
    #[arg(long, value_name = "FILE")]
    per_user: Option<PathBuf>,
    #[command(flatten)]
    data: DataFlags,
    #[command(flatten)]
    settings: SettingsFlags<Finished>,
}

#[derive(Serialize)]
struct Report<'a> {
    log: &'a str,
    log_hash: String,
    same_log_as_in_training: bool,
    protocol: Protocol,
    unknown_items: usize,
    unknown_events: usize,
    stamp: &'a Stamp,
    model: &'a Figures,
    rivals: &'a [Rated],
}

/// What was measured, on what.
struct Measured {
    opened: Opened,
    title: &'static str,
    same_log_as_in_training: bool,
    protocol: Protocol,
    unknown_items: usize,
    unknown_events: usize,
    figures: session::Measured,
}

/// Measures and prints.
pub fn run(args: &Args) -> Result<(), Failure> {
    // It writes to standard output alone.
    Outputs::beside(&args.files, [Some(&*args.model)])?;
    let measured = if args.model.is_dir() { of_run(args)? } else { of_model(args)? };
    print(args, &measured)
}

impl Args {
    fn log(&self) -> Result<&[PathBuf], Failure> {
        self.bundled.log(&self.files, &format!("dmran evaluate {} LOG", self.model.display()))
    }

    fn apply(&self, config: &mut Config) -> Result<(), Failure> {
        apply_all(config, &self.data, &self.settings)?;
        if !config.eval.protocol.measures() {
            return Err(Failure::Input(format!(
                "{}: was trained on every event (--protocol none), so there is nothing to measure it by; --protocol honest \
                 measures it on events that it has learned from, which makes it look better than it is",
                self.model.display()
            )));
        }
        Ok(())
    }
}

/// The figures of a model file.
fn of_model(args: &Args) -> Result<Measured, Failure> {
    let model = Model::load(&args.model).map_err(unreadable(&args.model))?;
    let mut config = config_of(&model);
    args.apply(&mut config)?;
    let opened = data_flags::open(args.log()?, &config.data)?;
    let mapped = Mapped::of(&opened.log, &model)?;
    let another = Mapped::another_log(&opened, &model);
    another.iter().for_each(|what| note(format_args!("note: {what}")));
    mapped.check(&opened, &model)?.iter().for_each(|what| note(format_args!("note: {what}")));
    let same_log_as_in_training = another.is_none();
    let Mapped { dataset, unknown_items, unknown_events } = mapped;
    let mut trainer = trainer_of(&model, &config)?;
    let figures = measure(args, &mut trainer, &dataset, &config, &opened, |item| {
        model.items().get(item as usize).unwrap_or_default()
    })?;
    let (title, protocol) = (config.train.model.title(), config.eval.protocol);
    Ok(Measured { opened, title, same_log_as_in_training, protocol, unknown_items, unknown_events, figures })
}

/// The figures of a run's best epoch. The numbers of a baseline belong to its users and items, so the log must be the
/// run's.
fn of_run(args: &Args) -> Result<Measured, Failure> {
    let none = || Failure::Input(format!("{}: there is no checkpoint in this folder", args.model.display()));
    if !args.model.join("checkpoints").is_dir() {
        // Opened as a run folder it would become one.
        return Err(none());
    }
    let folder = RunFolder::open(&args.model, RunOptions::default())?;
    let (path, checkpoint, _) = folder.newest()?.ok_or_else(none)?;
    let wrong = |error: &dyn Display| Failure::Input(format!("{}: {error}", path.display()));
    let trained = Config::from_toml(&checkpoint.config).map_err(|error| wrong(&error))?;
    let mut config = trained.clone();
    args.apply(&mut config)?;
    let opened = data_flags::open(args.log()?, &config.data)?;
    // The checkpoint is compared with the settings that it was trained with; the flags of this call come afterwards.
    let threads = TrainConfig { threads: config.train.threads, ..trained.train.clone() };
    let mut fit = start(Config { train: threads, ..trained }, &opened.log.dataset, Level::from_env()?)?;
    let anyhow = [Allowed::Epochs, Allowed::Patience, Allowed::Simd];
    checkpoint.resume(&mut fit, &Identity::of(&opened.log), &anyhow).map_err(|error| wrong(&error))?;
    if fit.state.best.is_none() {
        note(format_args!("note: {} has no finished epoch: these are the weights as they stand", path.display()));
    }
    fit.restore_best();
    let figures =
        measure(args, &mut fit.trainer, &opened.log.dataset, &config, &opened, |item| opened.log.items.name(item))?;
    let (title, protocol) = (config.train.model.title(), config.eval.protocol);
    let (unknown_items, unknown_events) = (0, 0);
    let same_log_as_in_training = true;
    drop(fit);
    Ok(Measured { opened, title, same_log_as_in_training, protocol, unknown_items, unknown_events, figures })
}

/// The figures of a model and of its rivals on the test set.
fn measure<'a>(
    args: &Args,
    trainer: &mut Trainer,
    dataset: &Dataset,
    config: &Config,
    opened: &Opened,
    item: impl Fn(u32) -> &'a str,
) -> Result<session::Measured, Failure> {
    let measured = session::measure(trainer, dataset, config, opened)?;
    if let Some(path) = &args.per_user {
        per_user::write(path, &measured.ranks, &opened.log, item)?;
    }
    Ok(measured)
}

fn print(args: &Args, measured: &Measured) -> Result<(), Failure> {
    let Measured { opened, title, figures, .. } = measured;
    let session::Measured { stamp, figures: ours, rivals, .. } = figures;
    let mut out = io::stdout().lock();
    if args.json {
        let report = Report {
            log: &opened.name,
            log_hash: opened.hash(),
            same_log_as_in_training: measured.same_log_as_in_training,
            protocol: measured.protocol,
            unknown_items: measured.unknown_items,
            unknown_events: measured.unknown_events,
            stamp,
            model: ours,
            rivals,
        };
        serde_json::to_writer(&mut out, &report)?;
        writeln!(out)?;
    } else {
        write!(out, "{}\n{}", opened.summary(), show::table(&show::columns(title, ours, rivals)))?;
    }
    Ok(())
}
