//! Makes the runs that are missing, several side by side, and keeps each as soon as it is finished.

use super::record::{CREATED_BY, Epoch, Record, RivalTest, Test, Times};
use super::{ExperimentError, Spec, slices};
use crate::data::{Log, learned_events};
use crate::model::Kind;
use crate::train::evaluate::{Exam, Scorer};
use crate::train::fit::{EpochReport, Watch};
use crate::train::rivals::MostPopular;
use crate::train::start;
use dmran_kernels::Level;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

/// How runs are made. Nothing in here changes a result.
#[derive(Clone, Copy, Debug)]
pub struct Means {
    /// Tier of instructions.
    pub level: Level,
    /// Threads of all runs together; 0 = one a core.
    pub threads: usize,
    /// Runs side by side; 0 = as many as threads. A step gains less than twofold from two threads, so that two runs
    /// of one thread are done before two runs of two threads, one after the other.
    pub jobs: usize,
}

/// A run has ended, or had been made before.
#[derive(Clone, Copy, Debug)]
pub struct Done<'a> {
    /// Which.
    pub spec: &'a Spec,
    /// What came out.
    pub record: &'a Record,
    /// Whether it was trained now.
    pub fresh: bool,
    /// Runs that are there.
    pub done: usize,
    /// Runs asked for.
    pub all: usize,
    /// Seconds that the others will take, judged by those that are made.
    pub seconds_left: Option<f64>,
}

/// The records of `specs`, in their order: those kept in `folder`, and the others trained now and kept there. The same
/// run asked for twice is made once. `tell` is called after each run.
///
/// # Errors
/// The first run that could not be made, or file that could not be read or written; what is finished is kept.
pub fn all(
    specs: &[Spec],
    log: &Log,
    folder: &Path,
    means: Means,
    tell: &(dyn Fn(Done<'_>) + Sync),
) -> Result<Vec<Record>, ExperimentError> {
    let hash = format!("{:016x}", log.hash());
    std::fs::create_dir_all(folder).map_err(ExperimentError::file(folder))?;
    let paths: Vec<PathBuf> = specs.iter().map(|spec| folder.join(spec.file_name(&hash))).collect();
    let mut unique: Vec<usize> = Vec::new();
    for (i, path) in paths.iter().enumerate() {
        if !unique.iter().any(|at| paths[*at] == *path) {
            unique.push(i);
        }
    }
    let mut records: Vec<Option<Record>> = vec![None; specs.len()];
    let mut missing = Vec::new();
    for &i in &unique {
        match Record::load(&paths[i], &specs[i], &hash)? {
            Some(record) => records[i] = Some(record),
            None => missing.push(i),
        }
    }
    let kept = unique.len() - missing.len();
    for (done, i) in unique.iter().filter(|i| !missing.contains(i)).enumerate() {
        if let Some(record) = &records[*i] {
            tell(Done {
                spec: &specs[*i],
                record,
                fresh: false,
                done: done + 1,
                all: unique.len(),
                seconds_left: None,
            });
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let threads = if means.threads == 0 { cores } else { means.threads };
    let jobs = if means.jobs == 0 { threads } else { means.jobs }.min(missing.len()).max(1);
    let (next, made) = (AtomicUsize::new(0), Mutex::new((Vec::new(), None)));
    let started = Instant::now();
    let work = || {
        loop {
            let Some(&i) = missing.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
            let result = make(&specs[i], log, &hash, means.level, (threads / jobs).max(1), jobs)
                .and_then(|record| record.save(&paths[i]));
            let mut made = made.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            match result {
                Ok(record) => {
                    let count = made.0.len() + 1;
                    let each = started.elapsed().as_secs_f64() / count as f64;
                    let left = Some(each * (missing.len() - count) as f64);
                    let (done, all) = (kept + count, unique.len());
                    tell(Done { spec: &specs[i], record: &record, fresh: true, done, all, seconds_left: left });
                    made.0.push((i, record));
                }
                Err(error) => {
                    // No further run is begun.
                    next.store(missing.len(), Ordering::Relaxed);
                    made.1.get_or_insert(error);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..jobs {
            scope.spawn(work);
        }
        work();
    });
    let (fresh, error) = made.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    if let Some(error) = error {
        return Err(error);
    }
    for (i, record) in fresh {
        records[i] = Some(record);
    }
    let found = |path: &PathBuf| unique.iter().find(|at| paths[**at] == *path).and_then(|at| records[*at].clone());
    Ok(paths.iter().filter_map(found).collect())
}

/// Ends a run after `patience` epochs without a better one.
struct Patience {
    patience: usize,
    waited: usize,
}

impl Watch for Patience {
    fn epoch(&mut self, report: &EpochReport) -> bool {
        self.waited = if report.best { 0 } else { self.waited + 1 };
        self.patience == 0 || self.waited < self.patience
    }
}

/// All that a table may show of a model.
fn measured(exam: &Exam<'_>, scorer: &mut (impl Scorer + ?Sized)) -> Test {
    let ranks = exam.ranks(scorer);
    let figures = exam.figures_of(scorer, &ranks);
    let k = figures.ranking.first_cutoff().unwrap_or(0);
    Test::of(&figures, slices::of(exam.dataset(), exam.popularity(), &ranks, k))
}

fn rivals(exam: &Exam<'_>) -> Vec<RivalTest> {
    exam.each_rival(|name, scorer| RivalTest { name: name.into(), test: measured(exam, scorer) })
}

/// Trains and measures one run.
fn make(
    spec: &Spec,
    log: &Log,
    hash: &str,
    level: Level,
    threads: usize,
    side_by_side: usize,
) -> Result<Record, ExperimentError> {
    let mut config = spec.config.clone();
    config.train.threads = threads;
    let started = Instant::now();
    let mut record = Record {
        created_by: CREATED_BY.into(),
        model: config.train.model,
        variant: super::Row::of(&config).variant,
        protocol: config.eval.protocol,
        seed: config.train.seed,
        data_hash: hash.into(),
        settings: spec.settings(),
        weights: 0,
        samples: 0,
        picked_by: config.train.early_stop_metric,
        epochs: Vec::new(),
        best_epoch: None,
        failure: None,
        test: None,
        rivals: Vec::new(),
        times: Times { threads, side_by_side, level: level.to_string(), ..Times::default() },
    };
    let dataset = &log.dataset;
    if config.train.model == Kind::MostPopular {
        if spec.test {
            let exam = Exam::new(dataset, &config);
            let mut popular = MostPopular::new(dataset, &learned_events(dataset, config.eval.split()));
            record.test = Some(measured(&exam, &mut popular));
            record.rivals = rivals(&exam);
        }
    } else {
        let mut fit =
            start(config, dataset, level).map_err(|source| ExperimentError::Start { run: spec.title(), source })?;
        (record.weights, record.samples) = (fit.trainer.model().params().count(), fit.train().len());
        // A run that diverges is a result too; what was best before stands.
        record.failure = fit.run(&mut Patience { patience: spec.patience, waited: 0 }).err().map(|e| e.to_string());
        record.epochs = fit.state.reports.iter().map(|report| Epoch::of(report, record.picked_by)).collect();
        record.best_epoch = fit.state.best.as_ref().map(|best| best.epoch);
        if spec.test && record.best_epoch.is_some() {
            fit.restore_best();
            let exam = fit.exam();
            record.test = Some(measured(&exam, &mut fit.trainer));
            record.rivals = fit.trainer.pool().install(|| rivals(&exam));
        }
    }
    let times = &mut record.times;
    times.training = record.epochs.iter().fold(0.0, |sum, e| sum + e.seconds);
    times.total = started.elapsed().as_secs_f64();
    times.samples_per_second = (record.samples * record.epochs.len()) as f64 / times.training.max(1e-9);
    Ok(record)
}
