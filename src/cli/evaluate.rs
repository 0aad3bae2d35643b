//! `dmran evaluate`: a model's figures on a log.

use super::bundled::BundledFlag;
use super::data_flags::{self, DataFlags};
use super::failure::{Failure, unreadable};
use super::outputs::Outputs;
use super::settings::{ComputeFlags, EvalFlags};
use super::{note, per_user, show};
use dmran::data::{Dataset, Opened, Protocol};
use dmran::model::Mapped;
use dmran::model::export::from_model;
use dmran::scorer::{Level, Model};
use dmran::train::checkpoint::{Allowed, Identity};
use dmran::train::config::TrainConfig;
use dmran::train::evaluate::Exam;
use dmran::train::fit::{Figures, Rated};
use dmran::train::run_folder::RunOptions;
use dmran::train::session::{check_times, config_of};
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
    eval: EvalFlags,
    #[command(flatten)]
    compute: ComputeFlags,
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
    figures: Measures,
}

/// Figures of the model and its rivals.
struct Measures {
    stamp: Stamp,
    ours: Figures,
    rivals: Vec<Rated>,
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
        self.data.apply(&mut config.data);
        self.eval.apply(config);
        self.compute.apply(config);
        if !config.eval.protocol.measures() {
            return Err(Failure::Input(format!(
                "{}: was trained on every event (--protocol none), so there is nothing to measure it by; --protocol honest \
                 measures it on events that it has learned from, which makes it look better than it is",
                self.model.display()
            )));
        }
        Ok(config.validate()?)
    }
}

/// The figures of a model file.
fn of_model(args: &Args) -> Result<Measured, Failure> {
    let model = Model::load(&args.model).map_err(unreadable(&args.model))?;
    let mut config = config_of(&model);
    args.apply(&mut config)?;
    let opened = data_flags::open(args.log()?, &config.data)?;
    let mapped = Mapped::of(&opened.log, &model)?;
    let same_log_as_in_training = Mapped::is_training_log(&opened, &model);
    let another = Mapped::another_log(&opened, &model);
    another.iter().for_each(|what| note(format_args!("note: {what}")));
    mapped.check(&opened, &model)?.iter().for_each(|what| note(format_args!("note: {what}")));
    let Mapped { dataset, unknown_items, unknown_events } = mapped;
    // Whole batches of users go faster through the training forward; its scores have the scorer's very bits.
    let dmran = from_model(&model).map_err(|error| Failure::Other(error.to_string()))?;
    let mut trainer = Trainer::new(Box::new(dmran), config.model.clone(), config.train.clone(), Level::from_env()?)?;
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
) -> Result<Measures, Failure> {
    check_times(opened, config.eval.protocol)?;
    let exam = Exam::new(dataset, config);
    if exam.is_empty() {
        return Err(Failure::Input(format!(
            "{}: nobody to test on: no user has two events that the model knows and lacks an item",
            opened.name
        )));
    }
    let ranks = exam.ranks(trainer);
    if let Some(path) = &args.per_user {
        per_user::write(path, &ranks, &opened.log, item)?;
    }
    let ours = exam.figures_of(trainer, &ranks);
    let rivals = trainer.pool().install(|| exam.rivals());
    Ok(Measures { stamp: Stamp::new(config, dataset, opened.hash()), ours, rivals })
}

fn print(args: &Args, measured: &Measured) -> Result<(), Failure> {
    let Measured { opened, title, figures, .. } = measured;
    let Measures { stamp, ours, rivals } = figures;
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
