//! `dmran evaluate`: a model's figures on a log.

use super::data_flags::{self, DataFlags};
use super::failure::{Failure, unreadable};
use super::mapped::{self, Mapped};
use super::settings::{ComputeFlags, EvalFlags};
use super::show;
use dmran::data::{Negatives, Protocol, test_samples, train_samples};
use dmran::model::export::from_model;
use dmran::scorer::{Level, Model};
use dmran::train::Trainer;
use dmran::train::evaluate::MostPopular;
use dmran::train::fit::{Figures, figures};
use serde::Serialize;
use std::io::{self, Write};
use std::path::PathBuf;

/// Flags of `evaluate`.
#[derive(clap::Args)]
pub struct Args {
    /// The model file
    model: PathBuf,
    /// The log; without it the bundled one. Settings that are not given are those of the training
    file: Option<PathBuf>,
    /// One JSON object instead of a table
    #[arg(long)]
    json: bool,
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
    model: &'a Figures,
    most_popular: &'a Figures,
}

/// Measures and prints.
pub fn run(args: &Args) -> Result<(), Failure> {
    let model = Model::load(&args.model).map_err(unreadable(&args.model))?;
    let mut config = mapped::config_of(&model);
    args.data.apply(&mut config.data);
    args.eval.apply(&mut config);
    args.compute.apply(&mut config);
    config.validate()?;
    let opened = data_flags::open(args.file.as_deref(), &config.data)?;
    let mapped = mapped::map(&opened.log, &model)?;
    let same_log_as_in_training = mapped::compare(&opened, &model, &mapped)?;
    let Mapped { dataset, unknown_items, unknown_events } = mapped;

    let protocol = config.eval.protocol;
    let negatives = Negatives::new(&dataset);
    let test = test_samples(&dataset, protocol);
    if !test.iter().any(|sample| negatives.available(sample.user) > 0) {
        return Err(Failure::Input(format!(
            "{}: nobody to test on: no user has two events that the model knows and lacks an item",
            opened.name
        )));
    }
    // Whole batches of users go faster through the training forward; its scores have the scorer's very bits.
    let dmran = from_model(&model).map_err(|error| Failure::Other(error.to_string()))?;
    let mut trainer = Trainer::new(Box::new(dmran), config.model.clone(), config.train.clone(), Level::from_env()?)?;
    let ours = figures(&mut trainer, &dataset, &negatives, &test, &config);
    let mut popular = MostPopular::new(&dataset, &train_samples(&dataset, protocol));
    let popular = figures(&mut popular, &dataset, &negatives, &test, &config);

    let mut out = io::stdout().lock();
    if args.json {
        let report = Report {
            log: &opened.name,
            log_hash: opened.hash(),
            same_log_as_in_training,
            protocol,
            unknown_items,
            unknown_events,
            model: &ours,
            most_popular: &popular,
        };
        serde_json::to_writer(&mut out, &report)?;
        writeln!(out)?;
    } else {
        write!(out, "{}\n{}", opened.summary(), show::table(&[("DMRAN", &ours), ("most popular", &popular)]))?;
    }
    Ok(())
}
