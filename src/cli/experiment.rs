//! `dmran experiment`: the paper's tables and figures.

use super::bundled::BundledFlag;
use super::data_flags::{self, DataFlags};
use super::failure::Failure;
use super::outputs::Outputs;
use super::trials::{self, RunFlags, SettingFlags};
use super::{command, note};
use clap::ValueEnum;
use dmran::data::{DataReport, Negatives, Opened, Protocol, Split, train_samples};
use dmran::experiment::record::CREATED_BY;
use dmran::experiment::rows::{self, Row};
use dmran::experiment::summary::Cell;
use dmran::experiment::{Record, Report, Spec, figures, runs, slices, tables};
use dmran::model::Kind;
use dmran::scorer::Variant;
use dmran::train::session::{check_samples, check_times};
use dmran_kernels::Level;
use serde_json::json;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Which experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// What is in the data, beside the paper's data sets.
    Table1,
    /// All models on the test set, beside the paper's figures; training time.
    Table2,
    /// AUC along training, all models.
    Figure3,
    /// AUC along training, DMRAN and its variants.
    Figure4,
    /// AUC on the test set by hops.
    Figure5,
    /// The top ten by groups: length of history, popularity of the target, time since the last event, category.
    Slices,
}

/// Whose epoch is picked how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Protocols {
    /// Pick the epoch on each user's second to last event, test on the last.
    Honest,
    /// Pick the epoch on the test set, as the paper does.
    Paper,
    /// Both of these, one after the other.
    Both,
    /// One moment for everybody: learn before it, test on each user's first event after it.
    Time,
}

/// Flags of `experiment`.
#[derive(clap::Args)]
pub struct Args {
    /// Which of the paper's tables and figures
    #[arg(value_enum)]
    what: What,
    /// The logs, one or more
    #[arg(long, value_name = "FILE", num_args = 1..)]
    data: Vec<PathBuf>,
    #[command(flatten)]
    bundled: BundledFlag,
    /// Amazon's meta files, one for each of --data: where categories come from
    #[arg(long, value_name = "FILE", num_args = 1..)]
    category_data: Vec<PathBuf>,
    /// Runs of each model, with seeds --seed, --seed + 1, ...
    #[arg(long, value_name = "N", default_value_t = 3)]
    runs: u64,
    /// How the best epoch is picked
    #[arg(long, value_enum, default_value_t = Protocols::Honest)]
    protocol: Protocols,
    /// Which models, comma separated: dmran, dmran-no-time, dmran-item, dmran-feature, bpr-mf, bi-lstm,
    /// bi-lstm-attention, cnn-pooling, atrank, sasrec, most-popular [default: what the paper's table or figure has, and
    /// sasrec]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    models: Vec<Row>,
    /// The hops of figure5, comma separated
    #[arg(long, value_name = "LIST", value_delimiter = ',', default_values_t = [2, 5, 8, 10, 15, 20])]
    hops_list: Vec<usize>,
    #[command(flatten)]
    how: RunFlags,
    #[command(flatten)]
    log: DataFlags,
    #[command(flatten)]
    flags: SettingFlags,
}

/// Makes the runs that are missing and writes the results.
pub fn run(args: &Args) -> Result<(), Failure> {
    trials::check_runs(args.runs)?;
    if !args.category_data.is_empty() && args.category_data.len() != args.data.len() {
        return Err(Failure::Input(format!(
            "--category-data names {} files and --data {}: one for each is needed",
            args.category_data.len(),
            args.data.len()
        )));
    }
    for row in args.rows(true) {
        // Wrong settings are told before a log is read.
        args.flags.config(Some(row.kind))?;
    }
    let level = Level::from_env()?;
    let name = args.what.to_possible_value().map_or(String::new(), |value| value.get_name().to_owned());
    args.bundled.log(&args.data, &format!("dmran experiment {name} --data LOG"))?;
    args.outputs()?.results(&args.how.out, &name, None)?;
    let folder = trials::make_folder(&args.how.out)?;
    let logs = args.open()?;

    let mut all = Report { markdown: args.heading(), ..Report::default() };
    let (mut results, mut times) = (Vec::new(), Vec::new());
    if args.what == What::Table1 {
        let reports: Vec<DataReport> = logs.iter().map(|opened| DataReport::new(&opened.log)).collect();
        let hashes: Vec<String> = logs.iter().map(Opened::hash).collect();
        let data: Vec<(&str, &str, &DataReport)> =
            logs.iter().zip(&hashes).zip(&reports).map(|((log, hash), report)| (&*log.name, &**hash, report)).collect();
        let report = tables::table1(&data);
        all.markdown += &format!("\n{}", report.markdown);
        all.results = json!({ "experiment": name, "data": report.results });
    } else {
        for opened in &logs {
            let chart = if logs.len() > 1 { format!("{name}-{}", stem(&opened.name)) } else { name.clone() };
            let cells = args.cells(opened, &folder, level)?;
            let data = DataReport::new(&opened.log);
            let report = match args.what {
                What::Table2 => tables::table2(&data, &cells),
                What::Slices => slices::page(&cells),
                What::Figure3 => figures::curves(&chart, "AUC along training", &cells),
                What::Figure4 => figures::curves(&chart, "AUC along training: DMRAN and its variants", &cells),
                _ => figures::figure5(&chart, &data, &cells),
            };
            all.markdown += &format!("\n## {}\n{}", opened.summary(), report.markdown);
            all.charts.extend(report.charts);
            let about = tables::data_json(&opened.name, &opened.hash(), &data);
            results.push(json!({ "data": about, "results": report.results }));
            times.push(json!({ "data": opened.name, "runs": report.times }));
        }
        all.results = json!({ "experiment": name, "results": results });
        if args.what == What::Table2 {
            all.times = times.into();
        }
    }
    trials::write(&args.how.out, &name, &all)?;
    let mut out = io::stdout().lock();
    write!(out, "{}", all.markdown)?;
    writeln!(out, "\nThe results are in {}.", args.how.out.join(format!("{name}.md")).display())?;
    Ok(())
}

impl Args {
    fn outputs(&self) -> Result<Outputs, Failure> {
        let mut options = self.flags.config(None)?.data;
        self.log.apply(&mut options);
        let others = self.category_data.iter().chain(&options.meta).chain(&self.flags.recipe.config);
        Outputs::beside(&self.data, others.map(|file| Some(&**file)))
    }

    fn open(&self) -> Result<Vec<Opened>, Failure> {
        let mut options = self.flags.config(None)?.data;
        self.log.apply(&mut options);
        if self.data.is_empty() {
            return Ok(vec![data_flags::open_silently(&[], &options)?]);
        }
        let mut logs = Vec::new();
        for (i, file) in self.data.iter().enumerate() {
            let mut options = options.clone();
            if let Some(meta) = self.category_data.get(i) {
                options.meta = Some(meta.clone());
            }
            let opened = data_flags::open_silently(std::slice::from_ref(file), &options)?;
            if !self.how.quiet {
                data_flags::tell_choices(&opened);
            }
            logs.push(opened);
        }
        Ok(logs)
    }

    /// The models to run; a variant without time says nothing where nobody has time.
    fn rows(&self, has_time: bool) -> Vec<Row> {
        let of = |kind, variant| Row { kind, variant };
        let mut list = match self.what {
            _ if !self.models.is_empty() => self.models.clone(),
            What::Table1 => vec![],
            What::Table2 => rows::all(),
            What::Figure3 => {
                rows::all().into_iter().filter(|row| row.variant == Variant::Full && row.kind.is_trained()).collect()
            }
            What::Figure4 => rows::all().into_iter().filter(|row| row.kind == Kind::Dmran).collect(),
            What::Figure5 => vec![rows::FULL],
            What::Slices => rows::COMPARED.to_vec(),
        };
        list.retain(|row| {
            (has_time || *row != of(Kind::Dmran, Variant::NoTime))
                && (self.what == What::Table2 || row.kind.is_trained())
        });
        list
    }

    /// Makes or reads every run on a log.
    fn cells(&self, opened: &Opened, folder: &Path, level: Level) -> Result<Vec<Cell>, Failure> {
        let dataset = &opened.log.dataset;
        let protocols = match self.protocol {
            Protocols::Honest => vec![Protocol::Honest],
            Protocols::Paper => vec![Protocol::Paper],
            Protocols::Both => vec![Protocol::Honest, Protocol::Paper],
            Protocols::Time => vec![Protocol::Time],
        };
        let rows = self.rows(dataset.has_time());
        if !self.how.quiet {
            note(opened.summary());
        }
        let negatives = Negatives::new(dataset);
        for protocol in &protocols {
            check_times(opened, *protocol)?;
            let split = Split { protocol: *protocol, ..self.flags.config(None)?.eval.split() };
            let mut train = train_samples(dataset, split);
            train.retain(|sample| negatives.available(sample.user) > 0);
            check_samples(&train, *protocol, None, opened)?;
        }
        // Cells with the runs that they are made of.
        let mut cells: Vec<(Cell, Vec<Spec>)> = Vec::new();
        for protocol in protocols {
            for row in &rows {
                let hops = if self.what == What::Figure5 { &self.hops_list[..] } else { &[0] };
                for hops in hops {
                    let mut config = self.flags.config(Some(row.kind))?;
                    row.apply(&mut config);
                    if self.what == What::Figure5 {
                        config.model.hops = *hops;
                    }
                    config.eval.protocol = protocol;
                    config.adapt(dataset);
                    config.validate()?;
                    let hops = config.model.hops;
                    let specs = trials::seeds(&config, self.runs, true);
                    cells.push((Cell { row: *row, protocol, hops, records: Vec::new() }, specs));
                }
            }
        }
        // Seed by seed, so that a stopped experiment has something of every model.
        let mut order: Vec<(u64, usize)> = Vec::new();
        for run in 0..self.runs {
            order.extend((0..cells.len()).map(|cell| (run, cell)));
        }
        let specs: Vec<Spec> = order.iter().map(|(run, cell)| cells[*cell].1[*run as usize].clone()).collect();
        let means = self.flags.means(level, &self.flags.config(None)?, self.how.jobs);
        let quiet = self.how.quiet;
        let tell = |done: runs::Done<'_>| {
            if !quiet {
                trials::tell(done);
            }
        };
        let records: Vec<Record> = runs::all(&specs, &opened.log, folder, means, &tell)?;
        for ((_, cell), record) in order.into_iter().zip(records) {
            cells[cell].0.records.push(record);
        }
        Ok(cells.into_iter().map(|(cell, _)| cell).collect())
    }

    /// What was asked, for the top of the report.
    fn heading(&self) -> String {
        let title = match self.what {
            What::Table1 => "Table 1: the data",
            What::Table2 => "Table 2: all models",
            What::Figure3 => "Figure 3: AUC along training",
            What::Figure4 => "Figure 4: DMRAN and its variants along training",
            What::Figure5 => "Figure 5: AUC by hops",
            What::Slices => "The top ten by groups",
        };
        let command = command::typed();
        let mut text = format!("# {title}\n\n`{command}` ({CREATED_BY})\n");
        if self.what != What::Table1 {
            let config = self.flags.config(None).unwrap_or_default();
            let preset = config.preset;
            let spread = match self.runs {
                1 => "One run a model; mean ± standard error over users.".into(),
                runs => format!("{runs} runs a model; mean ± standard error over the seeds."),
            };
            let patience = match config.train.patience {
                0 => "Every run takes all of its epochs".into(),
                epochs => format!("A run ends after {epochs} epochs without a better one"),
            };
            text += &format!("\nPreset {preset}. {spread} {patience}; figures are those of its best epoch.\n");
        }
        text
    }
}

/// A file's name as a part of other names.
fn stem(name: &str) -> String {
    let first = name.split('.').find(|part| !part.is_empty()).unwrap_or("data");
    first.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_become_parts_of_names() {
        assert_eq!(stem("amazon-beauty-5core.tsv.gz"), "amazon-beauty-5core");
        assert_eq!((&*stem("../a b.csv"), &*stem("a b.csv"), &*stem("")), ("_a_b", "a_b", "data"));
    }
}
