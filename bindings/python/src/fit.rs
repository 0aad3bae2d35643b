//! Training on a thread of its own: the caller's thread passes on what happens and listens for Ctrl-C.

use crate::errors::{in_python, of_data, of_save, of_session};
use crate::histories::Histories;
use crate::model::Fitted;
use crate::settings::config;
use crate::source::{IdKind, Source};
use dmran::data::{DataError, Opened};
use dmran::metrics::Estimate;
use dmran::model::Kind;
use dmran::scorer::Model;
use dmran::train::checkpoint::Allowed;
use dmran::train::evaluate::{Figures, Rated};
use dmran::train::fit::{EpochReport, Halving, Progress, Watch};
use dmran::train::memory::Bytes;
use dmran::train::run_folder::RunOptions;
use dmran::train::session::{Keeping, Note, SaveError, SessionError, Trained, Weight};
use dmran::train::{Config, Session};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use serde_json::{Map, Value, json};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

/// How often Ctrl-C is looked for.
const POLL: Duration = Duration::from_millis(50);
/// How long a training that was asked to stop is waited for.
const PATIENCE: Duration = Duration::from_millis(600);
/// Time between two reports of progress.
const PROGRESS: Duration = Duration::from_millis(100);

/// What the training tells the caller's thread.
enum Message {
    /// Epoch, epochs, samples done and all, loss.
    Step(usize, usize, usize, usize, f64),
    /// An epoch's report; the answer says whether to go on.
    Epoch(Box<EpochReport>, Sender<bool>),
    Note(bool, String),
    Done(Box<Result<Outcome, Failure>>),
}

/// What a training came to.
struct Outcome {
    trained: Trained,
    opened: Opened,
    kinds: [IdKind; 2],
    /// Where the run is kept, the model is too.
    saved: Option<PathBuf>,
}

enum Failure {
    Data(DataError),
    Session(SessionError),
    Save(PathBuf, SaveError),
    /// Somebody asked for it.
    Stopped,
}

impl From<SessionError> for Failure {
    fn from(error: SessionError) -> Failure {
        Failure::Session(error)
    }
}

/// Reports to the caller's thread.
struct Reporter {
    to: Sender<Message>,
    stop: Arc<AtomicBool>,
    last: Instant,
}

impl Reporter {
    fn notes(&self, notes: Vec<Note>) {
        for note in notes {
            let _ = self.to.send(Message::Note(note.weight() > Weight::Information, in_python(&note.to_string())));
        }
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

impl Watch for Reporter {
    fn step(&mut self, at: &Progress) -> bool {
        if self.last.elapsed() >= PROGRESS || at.done == at.samples {
            self.last = Instant::now();
            let _ = self.to.send(Message::Step(at.epoch, at.epochs, at.done, at.samples, at.loss));
        }
        !self.stopped()
    }

    fn epoch(&mut self, report: &EpochReport) -> bool {
        let (answer, wait) = channel();
        let sent = self.to.send(Message::Epoch(Box::new(report.clone()), answer)).is_ok();
        sent && wait.recv().unwrap_or(false) && !self.stopped()
    }

    fn halved(&mut self, halving: &Halving) {
        let Halving { epoch, step, cause, factor } = halving;
        let text = format!("epoch {epoch} diverged at step {step}: {cause}; again with {factor} x the learning rate");
        let _ = self.to.send(Message::Note(true, text));
    }
}

/// All of the work.
fn work(
    source: Source,
    config: Config,
    keeping: Option<Keeping>,
    most: Option<Bytes>,
    mut reporter: Reporter,
) -> Result<Outcome, Failure> {
    let (opened, kinds) = source.read(&config.data).map_err(Failure::Data)?;
    reporter.notes(Note::of_skipped(&opened).into_iter().chain(Note::of_choices(&opened)).collect());
    let mut session = Session::new(opened, config)?.keeping(keeping.clone()).max_memory(most);
    let prepared = session.prepare();
    reporter.notes(session.take_notes());
    prepared?;
    let mut run = session.start()?;
    let resumed = run.resume();
    reporter.notes(run.take_notes());
    resumed?;
    run.train(&mut reporter)?;
    if reporter.stopped() {
        run.keep()?;
        return Err(Failure::Stopped);
    }
    let trained = run.outcome()?;
    let saved = keeping.filter(|_| trained.model.is_some()).map(|keeping| keeping.folder.join("model.dmran"));
    if let Some(path) = &saved {
        trained.save(path).map_err(|error| Failure::Save(path.clone(), error))?;
    }
    Ok(Outcome { trained, opened: session.into_opened(), kinds, saved })
}

/// Trains. `on_step`, `on_epoch` and `on_note` are called on this thread; `on_epoch` answers whether to go on. Gives the
/// model (none for a baseline) and the report as JSON.
#[pyfunction]
#[allow(clippy::too_many_arguments)]
pub fn fit(
    py: Python<'_>,
    preset: &str,
    kind: &str,
    changes: &str,
    source: &Bound<'_, PyAny>,
    name: &str,
    run: Option<PathBuf>,
    allow: Vec<String>,
    max_memory: Option<&str>,
    on_step: &Bound<'_, PyAny>,
    on_epoch: &Bound<'_, PyAny>,
    on_note: &Bound<'_, PyAny>,
) -> PyResult<(Option<Fitted>, String)> {
    let config = config(preset, kind, changes)?;
    let threads = config.train.threads;
    let source = Source::of(source, name)?;
    let allow =
        allow.iter().map(|key| key.parse::<Allowed>().map_err(|error| PyValueError::new_err(error.to_string())));
    let allow = allow.collect::<PyResult<Vec<_>>>()?;
    let keeping = run.map(|folder| Keeping { folder, options: RunOptions::default(), allow });
    let most = max_memory.map(|text| text.parse().map_err(PyValueError::new_err)).transpose()?;
    let (to, mut from) = channel();
    let stop = Arc::new(AtomicBool::new(false));
    let reporter = Reporter { to: to.clone(), stop: stop.clone(), last: Instant::now() };
    let job = move || {
        let result = work(source, config, keeping, most, reporter);
        let _ = to.send(Message::Done(Box::new(result)));
    };
    // As much as a program's first thread has.
    let thread = std::thread::Builder::new().name("dmran fit".into()).stack_size(8 << 20).spawn(job);
    thread.map_err(|error| PyRuntimeError::new_err(format!("cannot start a thread: {error}")))?;

    let mut failed: Option<(PyErr, Instant)> = None;
    let result = loop {
        let received: Result<Message, RecvTimeoutError>;
        (from, received) = py.detach(move || {
            let received = from.recv_timeout(POLL);
            (from, received)
        });
        let told = match received {
            Ok(Message::Done(result)) => break Some(*result),
            Err(RecvTimeoutError::Disconnected) => break None,
            Err(RecvTimeoutError::Timeout) => Ok(()),
            // After the first error nothing more is passed on.
            Ok(Message::Epoch(_, answer)) if failed.is_some() => {
                let _ = answer.send(false);
                Ok(())
            }
            Ok(_) if failed.is_some() => Ok(()),
            Ok(Message::Step(epoch, epochs, done, samples, loss)) => {
                on_step.call1((epoch, epochs, done, samples, loss)).map(drop)
            }
            Ok(Message::Note(matters, text)) => on_note.call1((matters, text)).map(drop),
            Ok(Message::Epoch(report, answer)) => {
                let text = epoch(&report).to_string();
                let go_on = on_epoch.call1((text,)).and_then(|go_on| go_on.is_truthy());
                // Before the answer: a training that ends by an error is not measured.
                stop.fetch_or(go_on.is_err(), Ordering::Relaxed);
                let _ = answer.send(*go_on.as_ref().unwrap_or(&false));
                go_on.map(drop)
            }
        };
        if let Err(error) = told.and_then(|()| py.check_signals())
            && failed.is_none()
        {
            stop.store(true, Ordering::Relaxed);
            failed = Some((error, Instant::now()));
        }
        if failed.as_ref().is_some_and(|(_, since)| since.elapsed() > PATIENCE) {
            // It ends by itself at its next step, and nobody waits for what it comes to.
            break None;
        }
    };
    if let Some((error, _)) = failed {
        return Err(error);
    }
    match result {
        Some(Ok(outcome)) => finished(py, outcome, threads),
        Some(Err(Failure::Data(error))) => Err(of_data(&error)),
        Some(Err(Failure::Session(error))) => Err(of_session(&error)),
        Some(Err(Failure::Save(path, error))) => Err(of_save(&path, &error)),
        Some(Err(Failure::Stopped)) => Err(PyRuntimeError::new_err("the training was stopped")),
        None => Err(PyRuntimeError::new_err("the training panicked: this is a defect of dmran")),
    }
}

fn finished(py: Python<'_>, outcome: Outcome, threads: usize) -> PyResult<(Option<Fitted>, String)> {
    let Outcome { trained, opened, kinds: [users, items], saved } = outcome;
    let report = report(&trained, &opened, saved).to_string();
    let Some(model) = trained.model else { return Ok((None, report)) };
    let log = opened.log;
    let histories = Histories { users: log.users, kind: users, events: log.dataset };
    let fitted = py.detach(|| -> PyResult<Fitted> {
        // As a model file's, its tables are in memory.
        let model: Model = model;
        Fitted::new(model, items, Some(histories), threads)
    })?;
    Ok((Some(fitted), report))
}

/// The figures of the baselines that nothing is trained for, as JSON.
#[pyfunction]
pub fn rivals(py: Python<'_>, preset: &str, changes: &str, source: &Bound<'_, PyAny>, name: &str) -> PyResult<String> {
    let config = config(preset, Kind::MostPopular.name(), changes)?;
    let (opened, _) = Source::of(source, name)?.read_detached(py, &config.data)?;
    py.detach(|| {
        let mut session = Session::new(opened, config).map_err(|error| of_session(&error))?;
        session.prepare().map_err(|error| of_session(&error))?;
        Ok(json!({ "rivals": rated(&session.rivals()), "log": session.opened().summary() }).to_string())
    })
}

fn report(trained: &Trained, opened: &Opened, saved: Option<PathBuf>) -> Value {
    let epochs: Vec<Value> = trained.epochs.iter().map(epoch).collect();
    json!({
        "kind": trained.kind.name(),
        "log": opened.summary(),
        "best_epoch": trained.best_epoch,
        "epochs": epochs,
        "test": figures(&trained.figures),
        "rivals": rated(&trained.rivals),
        "command": trained.card.command,
        "settings": trained.card.config,
        "saved": saved,
    })
}

/// An epoch as Python sees it.
fn epoch(report: &EpochReport) -> Value {
    let mut all = json!({
        "epoch": report.epoch,
        "lr": report.lr,
        "loss": report.loss,
        "auc": report.auc.mean,
        "auc_se": report.auc.se,
        "validation_loss": report.validation_loss.mean,
        "seconds": report.seconds,
        "samples_per_second": report.samples_per_second,
        "best": report.best,
    });
    if let (Some(top), Some(all)) = (&report.top_ten, all.as_object_mut()) {
        all.insert("hr@10".into(), json!(top.hr.mean));
        all.insert("ndcg@10".into(), json!(top.ndcg.mean));
    }
    all
}

/// Figures by their names, each with its standard error.
pub fn figures(figures: &Figures) -> Value {
    let one = |(name, Estimate { mean, se, n }): (String, Estimate)| (name, json!({ "mean": mean, "se": se, "n": n }));
    Value::Object(figures.rows().into_iter().map(one).collect())
}

/// Those of rivals by their names.
pub fn rated(rivals: &[Rated]) -> Value {
    let all: Map<String, Value> = rivals.iter().map(|rival| (rival.name.to_owned(), figures(&rival.figures))).collect();
    Value::Object(all)
}
