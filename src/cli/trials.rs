//! What `experiment` and `search` share: flags of how many runs are made and how, progress, files.

use super::failure::Failure;
use super::note;
use super::settings::{ButSplitting, RecipeFlags, SettingsFlags};
use dmran::data::Protocol;
use dmran::durable::write_atomically;
use dmran::experiment::record::Measure;
use dmran::experiment::runs::{Done, Means};
use dmran::experiment::{Report, Spec};
use dmran::model::Kind;
use dmran::train::Config;
use dmran_kernels::Level;
use std::path::{Path, PathBuf};

/// Epochs without a better one after which a run ends, where neither flag nor file says.
const PATIENCE: usize = 2;

/// How many runs are made, and how.
#[derive(clap::Args)]
#[command(next_help_heading = "Runs")]
pub struct RunFlags {
    /// Folder of results; finished runs are kept in its `runs` and used again
    #[arg(long, short, value_name = "DIR", default_value = "results")]
    pub out: PathBuf,
    /// Runs side by side; 0 = as many as threads. Results do not depend on it
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub jobs: usize,
    /// Show nothing on the way, only the results
    #[arg(long, short)]
    pub quiet: bool,
}

/// All settings of a run.
#[derive(clap::Args)]
pub struct SettingFlags {
    #[command(flatten)]
    pub recipe: RecipeFlags,
    #[command(flatten)]
    pub settings: SettingsFlags<ButSplitting>,
}

impl SettingFlags {
    /// The settings for a model (`None`: the file's): preset, file, flags.
    pub fn config(&self, kind: Option<Kind>) -> Result<Config, Failure> {
        let mut config = self.recipe.config(kind)?;
        let text = self.recipe.text()?;
        // It was read before, so it is TOML.
        let file: toml::Table = toml::from_str(&text).unwrap_or_default();
        let says = |section: &str, key: &str| file.get(section).is_some_and(|section| section.get(key).is_some());
        if !says("train", "patience") {
            config.train.patience = PATIENCE;
        }
        self.settings.apply(&mut config)?;
        config.validate()?;
        Ok(config)
    }

    /// How runs are made.
    pub fn means(&self, level: Level, config: &Config, jobs: usize) -> Means {
        Means { level, threads: config.train.threads, jobs }
    }
}

/// The number of runs, checked.
pub fn check_runs(runs: u64) -> Result<(), Failure> {
    match runs {
        1..=1000 => Ok(()),
        _ => Err(Failure::Input(format!("--runs {runs}: it must be 1 to 1000"))),
    }
}

/// A run for each of `runs` seeds, counted up from the settings' own.
pub fn seeds(config: &Config, runs: u64, test: bool) -> Vec<Spec> {
    let spec = |seed| {
        let mut config = config.clone();
        config.train.seed = seed;
        Spec { patience: config.train.patience, config, test }
    };
    (0..runs).map(|i| spec(config.train.seed.saturating_add(i))).collect()
}

/// A line for a run that has ended.
pub fn tell(done: Done<'_>) {
    let Done { spec, record, fresh, done, all, seconds_left } = done;
    let name = spec.title();
    if !fresh {
        return note(format_args!("[{done}/{all}] {name}: kept from before"));
    }
    let mut line = format!("[{done}/{all}] {name}:");
    match (&record.failure, record.best_epoch) {
        (Some(failure), None) => line += &format!(" {failure}"),
        (_, best) => {
            if let Some(best) = best {
                let metric = record.picked_by;
                let on = if record.protocol == Protocol::Paper { "test" } else { "validation" };
                let validation: Measure = record.validation();
                line += &format!(" {on} {metric} {validation} (epoch {best} of {}),", record.epochs.len());
            }
            if let Some(test) = &record.test {
                line += &format!(" test AUC {}, NDCG@{} {},", test.auc, test.k, test.ndcg);
            }
            line += &format!(" {:.1} s", record.times.total);
        }
    }
    match seconds_left {
        Some(left) if left >= 90.0 => line += &format!("; about {:.0} min left", left / 60.0),
        Some(left) if left >= 1.0 => line += &format!("; about {left:.0} s left"),
        _ => {}
    }
    note(line);
}

/// Makes the folder of results, so that a wrong name is known before anything is trained.
pub fn make_folder(out: &Path) -> Result<PathBuf, Failure> {
    let runs = out.join("runs");
    std::fs::create_dir_all(&runs).map_err(|error| Failure::Input(format!("--out {}: {error}", out.display())))?;
    Ok(runs)
}

/// Writes a report's files into `out`: `NAME.json`, `NAME.md`, `NAME-times.json`, charts.
pub fn write(out: &Path, name: &str, report: &Report) -> Result<(), Failure> {
    let json = |value: &serde_json::Value| serde_json::to_string_pretty(value).map(|text| text + "\n");
    let mut files =
        vec![(format!("{name}.json"), json(&report.results)?), (format!("{name}.md"), report.markdown.clone())];
    if !report.times.is_null() {
        files.push((format!("{name}-times.json"), json(&report.times)?));
    }
    files.extend(report.charts.iter().map(|(chart, svg)| (format!("{chart}.svg"), svg.clone())));
    for (file, content) in files {
        save(&out.join(file), &content)?;
    }
    Ok(())
}

/// Writes a file whole or not at all.
pub fn save(path: &Path, content: &str) -> Result<(), Failure> {
    write_atomically(path, |out| out.write_all(content.as_bytes()))
        .map_err(|error| Failure::Other(format!("{}: {error}", path.display())))
}
