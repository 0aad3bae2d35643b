//! `dmran train`: a model from a log.

use super::base::{self, BaseFlags};
use super::bundled::{BundledFlag, Piped};
use super::convert::forms;
use super::data_flags::{self, DataFlags, named};
use super::failure::Failure;
use super::machines::Machines;
use super::outputs::{self, Holds, Outputs};
use super::run::{self, RunFlags};
use super::settings::{Everything, RecipeFlags, SettingsFlags, apply_all, gather};
use super::simulate::SimulateFlags;
use super::watch::Screen;
use super::{command, note, page, print_config, show, signals};
use dmran::model::Kind;
use dmran::scorer::{Model, Precision};
use dmran::train::memory::{Bytes, peak_so_far};
use dmran::train::ranks::Team;
use dmran::train::session::{Base, Note, Weight};
use dmran::train::{Config, Session};
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
    /// What to train: dmran, or one of its rivals, which are measured but not written to a model file [default: dmran]
    #[arg(long, value_name = "NAME", value_parser = named::<Kind>())]
    model: Option<Kind>,
    /// Where the model goes (dmran alone) [default: model.dmran, in the run folder if there is one]
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// How the tables of items and categories are stored in the model file: in full, or rounded as dmran convert does it;
    /// all figures are those of f32
    #[arg(long, value_name = "FORM", value_parser = forms(), default_value = "f32")]
    table: Precision,
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
    #[command(flatten)]
    simulate: SimulateFlags,
}

impl Args {
    /// All settings: those of `base`, of another run, or of preset and file, with the flags over them.
    pub fn settings(&self, base: Option<&Base>) -> Result<Config, Failure> {
        let Args { recipe, data, settings, .. } = self;
        let like = self.base.config_like()?;
        let takes_epochs =
            like.is_some() || base.is_some() || recipe.config.is_some() || settings.has("train", "epochs");
        let mut config = match (base, like) {
            (Some(base), _) => base::config(base, data, settings)?,
            (None, Some(mut config)) => {
                apply_all(&mut config, data, settings)?;
                config
            }
            (None, None) => gather(recipe, self.model, data, settings)?,
        };
        check_final(&config, takes_epochs)?;
        config.train.since = self.base.since.or(config.train.since);
        Ok(config)
    }
}

/// Trains, shows the results and writes the model; as one of several processes, where a launcher has started them.
pub fn run(args: &Args) -> Result<(), Failure> {
    let (machines, team) = Machines::join()?;
    machines.leave(train(args, team))
}

fn train(args: &Args, team: Team) -> Result<(), Failure> {
    // Rank 0 prints and writes for all.
    let leads = team.leads();
    let quiet = args.quiet || !leads;
    let base = args.base.load(args.model)?;
    let config = args.settings(base.as_ref())?;
    let mut out = io::stdout().lock();
    if args.print_config && !leads {
        return Ok(());
    }
    if args.print_config {
        let text = print_config::annotated(&config).map_err(|error| Failure::Other(error.to_string()))?;
        out.write_all(text.as_bytes())?;
        return Ok(());
    }
    Level::from_env()?;
    let (files, piped) = log(args)?;
    let (to, report) = if leads { outputs(args, &config)? } else { (None, None) };
    let opened = data_flags::open_silently(files, &config.data)?;
    if !quiet {
        data_flags::tell_choices(&opened);
    }
    let tell = |text: String| {
        if !quiet {
            note(text)
        }
    };
    let say = |what: Vec<Note>| {
        what.iter().filter(|what| !quiet || leads && what.weight() == Weight::Loss).for_each(super::say);
    };
    let mut session = Session::new(opened, config)?.keeping(args.run.keeping()).max_memory(args.run.max_memory);
    session = session.shared_by(team.count());
    say(session.take_notes());
    if files.is_empty() && !args.bundled.is_set() {
        tell("note: no log was named, so this is the bundled one; dmran train LOG trains on yours".into());
    }
    let grown = base.map(|base| session.go_on_from(base)).unwrap_or(Ok(()));
    say(session.take_notes());
    grown?;
    let mut session = session.command(command::typed());
    let prepared = session.prepare();
    say(session.take_notes());
    prepared?;

    let kind = session.config().train.model;
    if kind == Kind::MostPopular && !leads {
        return Ok(());
    }
    if kind == Kind::MostPopular {
        let rivals = session.rivals();
        let columns: Vec<_> = rivals.iter().map(|rival| (rival.name, &rival.figures)).collect();
        return Ok(write!(out, "\n{}", show::table(&columns))?);
    }
    if args.simulate.is_set() {
        if !team.is_alone() {
            return Err(Failure::input("--simulate-ranks is for a single process, without mpirun"));
        }
        return args.simulate.run(&session, &mut out);
    }
    let mut run = session.start()?;
    signals::install().map_err(|error| Failure::Other(format!("cannot listen to signals: {error}")))?;
    let joined = run.join(team);
    say(run.take_notes());
    joined?;
    let resumed = run.resume();
    say(run.take_notes());
    resumed?;
    let done = to.as_deref().and_then(|to| run::done(&run, to, args.table, tell));
    // Rank 0 knows, the others hear it.
    if run.fit.trainer.team_mut().most(u32::from(done.is_some())) > 0 {
        return Ok(done.map_or(Ok(()), |text| writeln!(out, "{text}"))?);
    }
    let protocol = session.config().eval.protocol;
    let mut screen = Screen::new(&session.config().train, protocol.picked_on(), quiet);
    run::train(&mut run, &mut screen)?;
    if protocol.measures() {
        screen.finish("measuring on the test set");
    }
    let (figures, rivals) = run.measure();
    screen.clear();
    let sent = (run.fit.trainer.team().count() > 1).then(|| run::sent(&mut run));
    run.fit.trainer.leave();
    if !leads {
        return Ok(());
    }
    if let Some(text) = sent {
        tell(text);
    }
    let best = run.fit.state.best.as_ref().map(|best| best.epoch);

    // Whatever has come since is no less forgotten.
    piped.refuse(Duration::ZERO)?;
    let card = run.card(&figures)?;
    let model = to.as_ref().map(|_| run.model(card.clone())).transpose()?;
    let saved = to.as_deref().zip(model.as_ref()).map(|(to, model)| match args.table {
        Precision::F32 => save(model, to),
        table => save(&model.clone().with_precision(table), to),
    });
    writeln!(out)?;
    if protocol.measures() {
        write!(out, "{}", show::table(&show::columns(kind.title(), &figures, &rivals)))?;
    }
    writeln!(out, "{}", show::picked(protocol, best))?;
    let opened = session.opened();
    let examples = model.map(|model| page::examples_of(model, &run.fit, opened)).transpose()?.unwrap_or_default();
    page::print(&mut out, &examples)?;
    writeln!(out)?;
    if let Some(saved) = saved {
        writeln!(out, "The model is in {}.", saved?.display())?;
    }
    if let Some(report) = report {
        let wrong = |why| Failure::Other(format!("{}: {why}", report.display()));
        outputs::free(&report, if args.report.is_some() { Holds::Page } else { Holds::Ours }).map_err(wrong)?;
        let results = page::Results { figures: &figures, rivals: &rivals, examples, card: &card };
        page::write(&report, &mut run.fit, opened, results)?;
        writeln!(out, "A page about the run is in {}.", report.display())?;
    }
    if let Some(peak) = peak_so_far() {
        tell(format!("memory: {} at its peak", Bytes(peak)));
    }
    Ok(())
}

/// Where nothing is measured, somebody has to say how long to train, and there is nothing to report on.
fn check_final(config: &Config, takes_epochs: bool) -> Result<(), Failure> {
    if config.eval.protocol.measures() {
        return Ok(());
    }
    if !takes_epochs {
        return Err(Failure::input(
            "--protocol none measures nothing, so no epoch can be picked: give --epochs N, or --like MODEL with a model that \
             was measured, whose settings and best epoch are then taken",
        ));
    }
    if config.train.model == Kind::MostPopular {
        return Err(Failure::input(
            "--protocol none: most-popular is only measured, and nothing is held out to measure by",
        ));
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
        ("--like", args.base.like.is_some()),
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
    if args.table != Precision::F32 && kind != Kind::Dmran {
        return Err(Failure::Input(format!(
            "--table {}: {kind} has no model file, which holds dmran alone",
            args.table
        )));
    }
    let like = args.base.like();
    let inputs = [&config.data.meta, &args.recipe.config, &args.base.from, &like].map(|input| input.as_deref());
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
