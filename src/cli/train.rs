//! `dmran train`: a model from a log.

use super::base::BaseFlags;
use super::bundled::{BundledFlag, Piped};
use super::data_flags::{self, DataFlags, Opened, named};
use super::failure::Failure;
use super::note;
use super::outputs::{self, Holds, Outputs};
use super::run::{self, Run, RunFlags};
use super::settings::{Everything, RecipeFlags, SettingsFlags, gather};
use super::show;
use super::watch::Screen;
use super::{card, page, print_config, signals};
use dmran::data::{Protocol, Sample};
use dmran::model::Kind;
use dmran::model::export::{Labels, to_model};
use dmran::scorer::{Card, Ids, Model};
use dmran::train::evaluate::Exam;
use dmran::train::fit::Fit;
use dmran::train::memory::{Bytes, peak_so_far};
use dmran::train::{Config, start};
use dmran_kernels::Level;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Flags of `train`.
#[derive(clap::Args)]
pub struct Args {
    /// The log: files, folders or patterns, as one (CSV, TSV, JSON Lines, Parquet, Amazon reviews, one user a line; plain,
    /// .gz or .zst); - is standard input. Without it, and
    /// without flags that hint at a log of one's own, the bundled household-goods log
    files: Vec<PathBuf>,
    #[command(flatten)]
    bundled: BundledFlag,
    /// What to train: dmran, or one of its rivals bpr-mf, bi-lstm, bi-lstm-attention, cnn-pooling, atrank, sasrec,
    /// most-popular, which are measured but not written to a model file [default: dmran]
    #[arg(long, value_name = "NAME", value_parser = named::<Kind>())]
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
    settings: SettingsFlags<Everything>,
    #[command(flatten)]
    run: RunFlags,
}

/// Trains, shows the results and writes the model.
pub fn run(args: &Args) -> Result<(), Failure> {
    let Args { recipe, data, settings, .. } = args;
    let base = args.base.load(args.model)?;
    let mut config = match &base {
        Some(base) => base.config(data, settings)?,
        None => gather(recipe, args.model, data, settings)?,
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
    let (files, piped) = log(args)?;
    let (to, report) = outputs(args, &config)?;
    let mut opened = data_flags::open_silently(files, &config.data)?;
    if !args.quiet {
        opened.tell_choices();
    }
    let tell = |text: String| {
        if !args.quiet {
            note(text)
        }
    };
    tell(opened.summary());
    if files.is_empty() && !args.bundled.is_set() {
        tell("note: no log was named, so this is the bundled one; dmran train LOG trains on yours".into());
    }
    let growth = base.as_ref().map(|base| base.grow(&mut opened, tell)).transpose()?;
    if config.train.since.is_some() && !opened.log.dataset.has_time() {
        return Err(Failure::Input(format!("{}: --since needs a log with times", opened.name)));
    }
    config.adapt(&opened.log.dataset).iter().for_each(|what| tell(format!("note: {what}")));
    config.validate()?;
    data_flags::check_times(&opened, config.eval.protocol)?;

    if kind == Kind::MostPopular {
        let rivals = Exam::new(&opened.log.dataset, &config).rivals();
        let columns: Vec<_> = rivals.iter().map(|rival| (rival.name, &rival.figures)).collect();
        return Ok(write!(out, "\n{}", show::table(&columns))?);
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
    let (figures, rivals) = fit.test_beside_rivals();
    screen.clear();
    let best = fit.state.best.as_ref().map(|best| best.epoch);

    // Whatever has come since is no less forgotten.
    piped.refuse(Duration::ZERO)?;
    let card = card::card(&fit, &opened, &figures).map_err(|error| Failure::Other(error.to_string()))?;
    let model = to.as_ref().map(|_| finished(&fit, &opened, card.clone())).transpose()?;
    let saved = to.as_deref().zip(model.as_ref()).map(|(to, model)| save(model, to));
    write!(out, "\n{}", show::table(&show::columns(kind.title(), &figures, &rivals)))?;
    writeln!(out, "{}", show::picked(config.eval.protocol, best))?;
    let examples = model.map(|model| page::examples_of(model, &fit, &opened)).transpose()?.unwrap_or_default();
    page::print(&mut out, &examples)?;
    writeln!(out)?;
    if let Some(saved) = saved {
        writeln!(out, "The model is in {}.", saved?.display())?;
    }
    if let Some(report) = report {
        let wrong = |why| Failure::Other(format!("{}: {why}", report.display()));
        outputs::free(&report, if args.report.is_some() { Holds::Page } else { Holds::Ours }).map_err(wrong)?;
        let results = page::Results { figures: &figures, rivals: &rivals, examples, card: &card };
        page::write(&report, &mut fit, &opened, results)?;
        writeln!(out, "A page about the run is in {}.", report.display())?;
    }
    if let Some(peak) = peak_so_far() {
        tell(format!("memory: {} at its peak", Bytes(peak)));
    }
    Ok(())
}

/// The log: its files, or none for the bundled one, with a look at standard input where nobody named any.
fn log(args: &Args) -> Result<(&[PathBuf], Piped), Failure> {
    if !args.files.is_empty() || args.bundled.is_set() {
        return Ok((args.bundled.log(&args.files, "")?, Piped::nothing()));
    }
    let of_ones_own = [
        ("--out", args.out.is_some()),
        ("--run", args.run.run.is_some()),
        ("--report", args.report.is_some()),
        ("--config", args.recipe.config.is_some()),
        ("--from", args.base.from.is_some()),
        ("--since", args.base.since.is_some()),
    ];
    if let Some((flag, _)) = of_ones_own.iter().find(|(_, given)| *given) {
        return Ok((args.bundled.log(&[], &format!("dmran train LOG {flag} ..."))?, Piped::nothing()));
    }
    let piped = Piped::watch("dmran train");
    piped.refuse(Piped::WAIT)?;
    Ok((&[], piped))
}

/// Where the model goes (`model.dmran` unless the user says otherwise; nowhere for a baseline) and the page about the
/// run, if anywhere: both may be written, and whatever else the run will write.
fn outputs(args: &Args, config: &Config) -> Result<(Option<PathBuf>, Option<PathBuf>), Failure> {
    let kind = config.train.model;
    if let (Some(out), true) = (&args.out, kind != Kind::Dmran) {
        return Err(Failure::Input(format!(
            "--out {}: the model file holds dmran alone; {kind} is trained and measured, and with --run its checkpoints \
             hold it",
            out.display()
        )));
    }
    let inputs = [&config.data.meta, &args.recipe.config, &args.base.from].map(|input| input.as_deref());
    let mut outputs = Outputs::beside(&args.files, inputs)?;
    let folder = args.run.run.as_deref();
    if let Some(folder) = folder {
        outputs.run_folder(folder)?;
    }
    // What goes into a folder that is still to be made has nothing in its way.
    let made = folder.filter(|folder| folder.exists());
    let to = (kind == Kind::Dmran).then(|| args.run.out(args.out.as_deref()));
    if let Some(to) = to.as_deref().filter(|_| args.out.is_some() || folder.is_none() || made.is_some()) {
        outputs.file(if args.out.is_some() || folder.is_none() { "--out" } else { "--run" }, to, Holds::Model)?;
    }
    let report = args.report.clone().or_else(|| folder.map(|folder| folder.join("report.html")));
    match (&args.report, made, &report) {
        (Some(page), ..) => outputs.file("--report", page, Holds::Page)?,
        (None, Some(_), Some(page)) => outputs.file("--run", page, Holds::Ours)?,
        _ => {}
    }
    Ok((to, report))
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
        Protocol::Time => {
            let name = &opened.name;
            return Err(Failure::Input(format!(
                "{name}: nothing to learn from: nobody has two events before the moment at which the validation begins; \
                 a later --split-at leaves more"
            )));
        }
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

/// Writes the model, where it was to go if nothing has come in its way since, and else beside it: no training is lost.
fn save(model: &Model, to: &Path) -> Result<PathBuf, Failure> {
    let write = |path: &Path| model.save(path).map_err(|error| error.to_string());
    let Err(why) = outputs::free(to, Holds::Model).and_then(|()| write(to)) else { return Ok(to.to_owned()) };
    let mut name = to.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let beside = to.with_file_name(name);
    let kept = match outputs::free(&beside, Holds::Model).and_then(|()| write(&beside)) {
        Ok(()) => format!("the model is in {}", beside.display()),
        Err(error) => format!("nor can {} be written: {error}", beside.display()),
    };
    Err(Failure::Other(format!("{}: {why}; {kept}", to.display())))
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
