//! `dmran train`: a model from a log.

use super::crew::{Context, Crew};
use super::data_flags::{self, DataFlags, Opened};
use super::failure::Failure;
use super::note;
use super::run::{self, Run, RunFlags};
use super::settings::{ComputeFlags, EvalFlags, ModelFlags, TrainFlags, gather};
use super::show::{self, Names};
use super::watch::Screen;
use super::{card, print_config, signals};
use dmran::data::{Log, Protocol};
use dmran::model::export::{Labels, to_model};
use dmran::model::{Dmran, Model as _, init};
use dmran::scorer::{Ids, Model, Scored};
use dmran::train::fit::{Figures, Fit};
use dmran::train::memory::{Bytes, peak_so_far};
use dmran::train::{Config, Trainer};
use dmran_kernels::Level;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Users whose recommendations are shown as examples.
const EXAMPLES: usize = 3;
/// Recommendations for each of them.
const EXAMPLE_ITEMS: usize = 5;
/// Events of their history that are shown.
const EXAMPLE_HISTORY: usize = 4;

/// Flags of `train`.
#[derive(clap::Args)]
pub struct Args {
    /// The log: CSV, TSV, JSON Lines or Amazon reviews, plain, .gz or .zst; - is standard input. Without it the
    /// bundled household-goods log
    file: Option<PathBuf>,
    /// Where the model goes [default: model.dmran, in the run folder if there is one]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Settings as TOML; flags win over it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print all settings in force as TOML and stop
    #[arg(long)]
    print_config: bool,
    /// Show nothing on the way, only the results
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    data: DataFlags,
    #[command(flatten)]
    model: ModelFlags,
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
    let Args { data, model, train, compute, eval, .. } = args;
    let mut config = gather(args.config.as_deref(), data, model, train, *compute, eval)?;
    let mut out = io::stdout().lock();
    if args.print_config {
        let text = print_config::annotated(&config).map_err(|error| Failure::Other(error.to_string()))?;
        out.write_all(text.as_bytes())?;
        return Ok(());
    }
    let level = Level::from_env()?;
    let path = args.run.out(args.out.as_deref());
    if args.out.is_some() || args.run.run.is_none() {
        check_out(&path)?;
    }
    let opened = data_flags::open(args.file.as_deref(), &config.data)?;
    let tell = |text: String| {
        if !args.quiet {
            note(text)
        }
    };
    tell(opened.summary());
    config.adapt(&opened.log.dataset).iter().for_each(|what| tell(format!("note: {what}")));
    config.validate()?;

    let memory = args.run.memory("dmran", &config, &opened, level)?;
    let trainer = new_trainer(&config, &opened.log, level)?;
    let mut fit = Fit::new(trainer, &opened.log.dataset, config.clone());
    check_samples(&fit, &opened)?;
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
    if let Some(text) = run.done(&fit, &opened, &path, tell) {
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

    let model = finished(&fit, &opened, &figures)?;
    model.save(&path).map_err(|error| Failure::Other(error.to_string()))?;
    write!(out, "\n{}", show::table(&figures, &popular))?;
    writeln!(out, "{}", show::picked(config.eval.protocol, best))?;
    examples(&mut out, &fit, &opened.log, model)?;
    writeln!(out, "\nThe model is in {}.", path.display())?;
    if let Some(peak) = peak_so_far() {
        tell(format!("memory: {} at its peak", Bytes(peak)));
    }
    Ok(())
}

/// Says before the training, not after it, that a model cannot be written.
fn check_out(path: &Path) -> Result<(), Failure> {
    let wrong = |why: &str| Err(Failure::Input(format!("--out {}: {why}", path.display())));
    if path.is_dir() {
        return wrong("is a folder, a file is needed");
    }
    match path.parent() {
        None => wrong("is no file name"),
        Some(parent) if !parent.as_os_str().is_empty() && !parent.is_dir() => wrong("its folder does not exist"),
        Some(_) => Ok(()),
    }
}

fn new_trainer(config: &Config, log: &Log, level: Level) -> Result<Trainer, Failure> {
    let (settings, dataset) = (&config.model, &log.dataset);
    let category = if settings.categories { dataset.item_categories().to_vec() } else { Vec::new() };
    let mut model = Dmran::new(settings.clone(), dataset.items(), dataset.categories(), category)
        .map_err(|error| Failure::Input(error.to_string()))?;
    init::initialise(model.params_mut(), config.train.init_std, config.train.seed);
    Ok(Trainer::new(Box::new(model), settings.clone(), config.train.clone(), level)?)
}

/// A log from which nothing can be learned is bad input.
fn check_samples(fit: &Fit<'_>, opened: &Opened) -> Result<(), Failure> {
    if !fit.train().is_empty() {
        return Ok(());
    }
    let dataset = &opened.log.dataset;
    let longest = (0..dataset.users() as u32).map(|user| dataset.history(user).len()).max().unwrap_or(0);
    let (needed, protocol) = match fit.config().eval.protocol {
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
fn finished(fit: &Fit<'_>, opened: &Opened, figures: &Figures) -> Result<Model, Failure> {
    let other = |error: &dyn std::error::Error| Failure::Other(error.to_string());
    let log = &opened.log;
    let labels = Labels {
        items: Ids::from_sorted(log.items.names()).map_err(|error| other(&error))?,
        categories: Ids::from_sorted(log.categories.names()).map_err(|error| other(&error))?,
        item_category: log.dataset.item_categories().to_vec(),
        card: card::card(fit, opened, figures).map_err(|error| other(&error))?,
    };
    to_model(&fit.config().model, fit.trainer.model().params(), labels).map_err(|error| other(&error))
}

/// A few users before their test event: what they had, what the model would have told them, what came.
fn examples(out: &mut impl Write, fit: &Fit<'_>, log: &Log, model: Model) -> Result<(), Failure> {
    let dataset = &log.dataset;
    let open: Vec<_> = fit.test().iter().filter(|sample| sample.target as usize >= EXAMPLE_HISTORY).collect();
    // Evenly spread over the users, so that the choice is nobody's.
    let chosen: Vec<_> = (1..=EXAMPLES).filter_map(|i| open.get(i * open.len() / (EXAMPLES + 1))).collect();
    if open.len() < EXAMPLES {
        return Ok(());
    }
    let histories: Vec<_> =
        chosen.iter().map(|s| (dataset.history(s.user).before(s.target as usize, usize::MAX), s)).collect();
    let contexts: Vec<_> = histories
        .iter()
        .map(|(before, sample)| {
            let now = dataset.history(sample.user).times.get(sample.target as usize).copied().unwrap_or(0);
            Context { items: before.items, times: before.times, now, exclude: before.items }
        })
        .collect();
    let crew = Crew::new(model, fit.config().train.threads)?;
    let ranked = crew.top(&contexts, EXAMPLE_ITEMS);
    let names = Names(crew.model());
    writeln!(out, "\nFor example: what these users had before their test event, and what the model recommends then.")?;
    for ((before, sample), ranked) in histories.iter().zip(ranked) {
        writeln!(out, "\nuser {} ({} events before)", show::Plain(log.users.name(sample.user)), before.len())?;
        for item in &before.items[before.len() - EXAMPLE_HISTORY..] {
            writeln!(out, "  had        {}", names.line(*item))?;
        }
        let next = dataset.history(sample.user).items[sample.target as usize];
        for (place, Scored { item, .. }) in ranked.iter().enumerate() {
            let hit = if *item == next { "   <- came next" } else { "" };
            writeln!(out, "  advice {:>2}  {}{hit}", place + 1, names.line(*item))?;
        }
        writeln!(out, "  came next  {}", names.line(next))?;
    }
    Ok(())
}
