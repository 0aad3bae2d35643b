//! `dmran search`: the best settings among those of `[search]`.

use super::bundled::BundledFlag;
use super::data_flags::{self, DataFlags};
use super::failure::Failure;
use super::outputs::{Holds, Outputs};
use super::trials::{self, RunFlags, SettingFlags};
use super::{command, note};
use dmran::data::{Negatives, Protocol, train_samples};
use dmran::experiment::record::CREATED_BY;
use dmran::experiment::search::{self, Judged};
use dmran::experiment::space::Space;
use dmran::experiment::{Spec, runs};
use dmran::model::Kind;
use dmran::train::session::check_samples;
use dmran_kernels::Level;
use serde_json::json;
use std::io::{self, Write};
use std::path::PathBuf;

/// More combinations than this are not gone through one by one.
const MOST: usize = 10_000;

/// Flags of `search`.
#[derive(clap::Args)]
pub struct Args {
    /// The log; - is standard input
    files: Vec<PathBuf>,
    #[command(flatten)]
    bundled: BundledFlag,
    /// Which model [default: the file's, or dmran]
    #[arg(long, value_name = "NAME", value_parser = data_flags::named::<Kind>())]
    model: Option<Kind>,
    /// Draw this many settings at random (by --seed) instead of trying every combination; ranges need it
    #[arg(long, value_name = "N")]
    trials: Option<usize>,
    /// Runs of each trial, with seeds --seed, --seed + 1, ...
    #[arg(long, value_name = "N", default_value_t = 1)]
    runs: u64,
    #[command(flatten)]
    how: RunFlags,
    #[command(flatten)]
    log: DataFlags,
    #[command(flatten)]
    flags: SettingFlags,
}

/// Tries what is missing and shows the best.
pub fn run(args: &Args) -> Result<(), Failure> {
    trials::check_runs(args.runs)?;
    let log = args.bundled.log(&args.files, "dmran search LOG --config FILE")?;
    let mut config = args.flags.config(args.model)?;
    args.log.apply(&mut config.data);
    if config.eval.protocol == Protocol::Paper {
        return Err(Failure::input(
            "eval.protocol is \"paper\": a search judges on the validation set, which only the protocol \"honest\" has",
        ));
    }
    if config.train.model == Kind::MostPopular {
        return Err(Failure::input("most-popular has no settings to search"));
    }
    let text = args.flags.recipe.text()?;
    let file: toml::Table = toml::from_str(&text).map_err(|error| args.flags.recipe.wrong(&error))?;
    let empty = toml::Table::new();
    let section = file.get("search").and_then(toml::Value::as_table).unwrap_or(&empty);
    let wrong = |error: &dyn std::fmt::Display| args.flags.recipe.wrong(error);
    let space = Space::read(section, &config).map_err(|error| wrong(&error))?;
    let choices = match args.trials {
        Some(0) => return Err(Failure::input("--trials 0: it must be at least 1")),
        Some(trials) => space.draw(trials, config.train.seed),
        None if !space.is_grid() => {
            return Err(wrong(&"[search] has ranges, which have no end: say how many settings to try with --trials"));
        }
        None => space.grid(MOST).ok_or_else(|| {
            wrong(&format!("[search] has more than {MOST} combinations: say how many to try with --trials"))
        })?,
    };
    // Every trial is checked before the first is made.
    search::trials(&config, &space, choices.clone()).map_err(|error| wrong(&error))?;
    let level = Level::from_env()?;
    let inputs = [&config.data.meta, &args.flags.recipe.config].map(|input| input.as_deref());
    let best = ("best.toml", Holds::Known(|start| start.starts_with(b"# Validation ")));
    Outputs::beside(&args.files, inputs)?.results(&args.how.out, "search", Some(best))?;
    let folder = trials::make_folder(&args.how.out)?;
    let opened = data_flags::open_silently(log, &config.data)?;
    if !args.how.quiet {
        data_flags::tell_choices(&opened);
    }
    let dataset = &opened.log.dataset;
    let tell = |text: String| {
        if !args.how.quiet {
            note(text);
        }
    };
    tell(opened.summary());
    config.adapt(dataset).iter().for_each(|what| tell(format!("note: {what}")));
    let negatives = Negatives::new(dataset);
    let mut train = train_samples(dataset, Protocol::Honest);
    train.retain(|sample| negatives.available(sample.user) > 0);
    check_samples(&train, Protocol::Honest, None, &opened)?;

    let mut found = search::trials(&config, &space, choices).map_err(|error| wrong(&error))?;
    // A setting that the log has no use for is taken back again.
    found.iter_mut().for_each(|trial| drop(trial.config.adapt(dataset)));
    tell(format!("{} trials; judged on the validation set, the test set is not looked at", found.len()));
    let specs: Vec<Spec> = found.iter().flat_map(|trial| trials::seeds(&trial.config, args.runs, false)).collect();
    let means = args.flags.means(level, &config, args.how.jobs);
    let progress = |done: runs::Done<'_>| {
        if !args.how.quiet {
            trials::tell(done);
        }
    };
    let records = runs::all(&specs, &opened.log, &folder, means, &progress)?;
    let mut judged: Vec<Judged> = found
        .into_iter()
        .zip(records.chunks(args.runs as usize))
        .map(|(trial, records)| Judged { trial, records: records.to_vec() })
        .collect();
    search::sort(&mut judged);

    let mut report = search::report(&space, &judged, config.train.early_stop_metric);
    let command = command::typed();
    let title = format!("# Search: {}\n\n`{command}` ({CREATED_BY})\n", config.train.model.title());
    report.markdown = format!("{title}\n{}\n\n{}", opened.summary(), report.markdown);
    let about = json!({ "name": opened.name, "hash": opened.hash() });
    report.results = json!({ "model": config.train.model.name(), "data": about, "trials": report.results });
    trials::write(&args.how.out, "search", &report)?;
    let mut out = io::stdout().lock();
    write!(out, "{}", report.markdown)?;
    match judged.first().filter(|best| best.validation().mean.is_some()) {
        Some(best) => {
            let path = args.how.out.join("best.toml");
            trials::save(&path, &search::best_toml(&space, best))?;
            let model = match config.train.model {
                Kind::Dmran => "writes that model",
                _ => "trains it again and measures it on the test set",
            };
            writeln!(out, "\n`dmran train LOG --config {}` {model}.", path.display())?;
            Ok(())
        }
        None => Err(Failure::Other("no trial could be measured: all of them diverged".into())),
    }
}
