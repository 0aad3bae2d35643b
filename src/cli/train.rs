//! `dmran train`: a model from a log.

use super::base::BaseFlags;
use super::data_flags::{self, DataFlags, Opened, named};
use super::failure::Failure;
use super::note;
use super::run::{self, Run, RunFlags};
use super::settings::{ComputeFlags, EvalFlags, ModelFlags, RecipeFlags, TrainFlags, gather};
use super::show;
use super::watch::Screen;
use super::{card, page, print_config, signals};
use dmran::data::{Log, Negatives, Protocol, Sample, test_samples, train_samples};
use dmran::model::Kind;
use dmran::model::export::{Labels, to_model};
use dmran::scorer::{Card, Ids, Model};
use dmran::train::evaluate::MostPopular;
use dmran::train::fit::{Figures, Fit, figures};
use dmran::train::memory::{Bytes, peak_so_far};
use dmran::train::{Config, start};
use dmran_kernels::Level;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Flags of `train`.
#[derive(clap::Args)]
pub struct Args {
    /// The log: CSV, TSV, JSON Lines or Amazon reviews, plain, .gz or .zst; - is standard input. Without it the
    /// bundled household-goods log
    file: Option<PathBuf>,
    /// What to train: dmran, or one of its rivals bpr-mf, bi-lstm, bi-lstm-attention, cnn-pooling, atrank, most-popular,
    /// which are measured but not written to a model file [default: dmran]
    #[arg(long, value_name = "NAME", value_parser = named::<Kind>)]
    model: Option<Kind>,
    /// Where the model goes (dmran alone) [default: model.dmran, in the run folder if there is one]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Where a page about the run goes, to be looked at with a browser [default: report.html in the run folder, if there
    /// is one]
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    #[command(flatten)]
    recipe: RecipeFlags,
    #[command(flatten)]
    base: BaseFlags,
    /// Print all settings in force as TOML and stop
    #[arg(long)]
    print_config: bool,
    /// Show nothing on the way, only the results
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    data: DataFlags,
    #[command(flatten)]
    settings: ModelFlags,
    #[command(flatten)]
    train: TrainFlags,
    #[command(flatten)]
    compute: ComputeFlags,
    #[command(flatten)]
    eval: EvalFlags,
    #[command(flatten)]
    run: RunFlags,
}

/// Trains, shows the results and writes the model.
pub fn run(args: &Args) -> Result<(), Failure> {
    let Args { recipe, data, settings, train, compute, eval, .. } = args;
    let base = args.base.load(args.model)?;
    let mut config = match &base {
        Some(base) => base.config(data, settings, train, *compute, eval)?,
        None => gather(recipe, args.model, data, settings, train, *compute, eval)?,
    };
    config.train.since = args.base.since.or(config.train.since);
    let kind = config.train.model;
    let mut out = io::stdout().lock();
    if args.print_config {
        let text = print_config::annotated(&config).map_err(|error| Failure::Other(error.to_string()))?;
        out.write_all(text.as_bytes())?;
        return Ok(());
    }
    let level = Level::from_env()?;
    let to = out_file(args, kind)?;
    let report = report_file(args)?;
    let mut opened = data_flags::open_silently(args.file.as_deref(), &config.data)?;
    if !args.quiet {
        opened.tell_choices();
    }
    let tell = |text: String| {
        if !args.quiet {
            note(text)
        }
    };
    tell(opened.summary());
    let growth = base.as_ref().map(|base| base.grow(&mut opened, tell)).transpose()?;
    if config.train.since.is_some() && !opened.log.dataset.has_time() {
        return Err(Failure::Input(format!("{}: --since needs a log with times", opened.name)));
    }
    config.adapt(&opened.log.dataset).iter().for_each(|what| tell(format!("note: {what}")));
    config.validate()?;

    if kind == Kind::MostPopular {
        return Ok(write!(out, "\n{}", show::table(&[(kind.title(), &popular(&config, &opened.log))]))?);
    }
    let memory = args.run.memory(kind.name(), &config, &opened, level)?;
    let mut fit = start(config.clone(), &opened.log.dataset, level)?;
    if let (Some(base), Some(growth)) = (&base, &growth) {
        growth.warm(fit.trainer.model_mut().params_mut(), &base.model, &opened.log);
    }
    check_samples(fit.train(), config.eval.protocol, config.train.since, &opened)?;
    signals::install().map_err(|error| Failure::Other(format!("cannot listen to signals: {error}")))?;
    tell(format!(
        "{} numbers to learn from {} samples; {} on {} threads",
        fit.trainer.model().params().count(),
        fit.train().len(),
        level,
        fit.trainer.pool().current_num_threads()
    ));
    tell(format!("memory: about {memory}"));
    let complete = (0..opened.log.dataset.users() as u32).filter(|user| fit.negatives().available(*user) == 0).count();
    if complete > 0 {
        tell(format!("note: {complete} users have every item; there is no negative for them, so they are left out"));
    }

    let mut run = Run::begin(&args.run, &mut fit, &opened, tell)?;
    if let Some(text) = to.as_deref().and_then(|to| run.done(&fit, &opened, to, tell)) {
        writeln!(out, "{text}")?;
        return Ok(());
    }
    let mut screen = Screen::new(&config.train, run::measured_on(config.eval.protocol), args.quiet);
    run.train(&mut fit, &mut screen)?;
    screen.finish("measuring on the test set");
    fit.restore_best();
    let (figures, popular) = (fit.test_figures(), fit.popular_figures());
    screen.clear();
    let best = fit.state.best.as_ref().map(|best| best.epoch);

    let card = card::card(&fit, &opened, &figures).map_err(|error| Failure::Other(error.to_string()))?;
    let model = match &to {
        Some(to) => {
            let model = finished(&fit, &opened, card.clone())?;
            model.save(to).map_err(|error| Failure::Other(error.to_string()))?;
            Some(model)
        }
        None => None,
    };
    write!(out, "\n{}", show::table(&[(kind.title(), &figures), ("most popular", &popular)]))?;
    writeln!(out, "{}", show::picked(config.eval.protocol, best))?;
    let examples = model.map(|model| page::examples_of(model, &fit, &opened)).transpose()?.unwrap_or_default();
    page::print(&mut out, &examples)?;
    writeln!(out)?;
    if let Some(to) = to {
        writeln!(out, "The model is in {}.", to.display())?;
    }
    if let Some(report) = report {
        let results = page::Results { figures: &figures, popular: &popular, examples, card: &card };
        page::write(&report, &mut fit, &opened, results)?;
        writeln!(out, "A page about the run is in {}.", report.display())?;
    }
    if let Some(peak) = peak_so_far() {
        tell(format!("memory: {} at its peak", Bytes(peak)));
    }
    Ok(())
}

/// Where the model goes: `model.dmran` unless the user says otherwise; nowhere for a baseline.
fn out_file(args: &Args, kind: Kind) -> Result<Option<PathBuf>, Failure> {
    match &args.out {
        Some(out) if kind != Kind::Dmran => Err(Failure::Input(format!(
            "--out {}: the model file holds dmran alone; {kind} is trained and measured, and with --run its checkpoints \
             hold it",
            out.display()
        ))),
        _ if kind != Kind::Dmran => Ok(None),
        out => {
            let to = args.run.out(out.as_deref());
            if out.is_some() || args.run.run.is_none() {
                check_writable("--out", &to)?;
            }
            Ok(Some(to))
        }
    }
}

/// Where the page about the run goes, if anywhere.
fn report_file(args: &Args) -> Result<Option<PathBuf>, Failure> {
    if let Some(report) = &args.report {
        check_writable("--report", report)?;
        return Ok(Some(report.clone()));
    }
    Ok(args.run.run.as_ref().map(|folder| folder.join("report.html")))
}

/// The figures of "most popular" alone.
fn popular(config: &Config, log: &Log) -> Figures {
    let (dataset, protocol) = (&log.dataset, config.eval.protocol);
    let mut popular = MostPopular::new(dataset, &train_samples(dataset, protocol));
    figures(&mut popular, dataset, &Negatives::new(dataset), &test_samples(dataset, protocol), config)
}

/// Says before the training, not after it, that a file cannot be written.
fn check_writable(flag: &str, path: &Path) -> Result<(), Failure> {
    let wrong = |why: &str| Err(Failure::Input(format!("{flag} {}: {why}", path.display())));
    if path.is_dir() {
        return wrong("is a folder, a file is needed");
    }
    match path.parent() {
        None => wrong("is no file name"),
        Some(parent) if !parent.as_os_str().is_empty() && !parent.is_dir() => wrong("its folder does not exist"),
        Some(_) => Ok(()),
    }
}

/// A log from which nothing can be learned is bad input.
pub fn check_samples(train: &[Sample], protocol: Protocol, since: Option<i64>, opened: &Opened) -> Result<(), Failure> {
    if !train.is_empty() {
        return Ok(());
    }
    if let Some(since) = since {
        let name = &opened.name;
        return Err(Failure::Input(format!(
            "{name}: nothing to learn from: no event to learn is after --since {since}"
        )));
    }
    let dataset = &opened.log.dataset;
    let longest = (0..dataset.users() as u32).map(|user| dataset.history(user).len()).max().unwrap_or(0);
    let (needed, protocol) = match protocol {
        Protocol::Paper => (3, "paper"),
        Protocol::Honest => (4, "honest"),
    };
    let why = if longest >= needed {
        "every user who has events to learn from has every item, so there is nothing to tell apart".to_owned()
    } else {
        let hint = if longest == 3 { "; with --protocol paper 3 are enough" } else { "" };
        format!(
            "the longest history has {longest} events, but the protocol \"{protocol}\" needs {needed}: one or more to \
             start from, one to learn from, and the held out ones{hint}"
        )
    };
    Err(Failure::Input(format!("{}: nothing to learn from: {why}", opened.name)))
}

/// The model as it is written, with its card.
fn finished(fit: &Fit<'_>, opened: &Opened, card: Card) -> Result<Model, Failure> {
    let other = |error: &dyn std::error::Error| Failure::Other(error.to_string());
    let log = &opened.log;
    let labels = Labels {
        items: Ids::from_sorted(log.items.names()).map_err(|error| other(&error))?,
        categories: Ids::from_sorted(log.categories.names()).map_err(|error| other(&error))?,
        item_category: log.dataset.item_categories().to_vec(),
        card,
    };
    to_model(&fit.config().model, fit.trainer.model().params(), labels).map_err(|error| other(&error))
}
