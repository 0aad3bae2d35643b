//! A trained model with the histories of the users that it was trained on.

use crate::arrow::Table;
use crate::errors::{in_python, of_data, of_file, of_mapping, of_scorer, of_session};
use crate::histories::{Histories, Wish};
use crate::source::{IdKind, Source};
use arrow_array::{ArrayRef, Float32Array, Int64Array, RecordBatch};
use dmran::data::{Dataset, Vocabulary};
use dmran::model::Mapped;
use dmran::scorer::{Event, Model, Rules, Scorer, ScorerOptions, Scratch};
use dmran::train::session::{config_of, measure, trainer_of};
use numpy::{PyArray1, PyArray2, PyArrayMethods};
use pyo3::exceptions::{PyKeyError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList};
use rayon::ThreadPool;
use rayon::prelude::*;
use std::path::PathBuf;
use std::sync::Arc;

/// A model that is ready to recommend.
#[pyclass(frozen, module = "dmran._dmran")]
pub struct Fitted {
    scorer: Arc<Scorer>,
    item_kind: IdKind,
    histories: Option<Histories>,
    pool: ThreadPool,
    threads: usize,
}

impl Fitted {
    pub fn new(model: Model, item_kind: IdKind, histories: Option<Histories>, threads: usize) -> PyResult<Fitted> {
        let scorer = Scorer::with_options(model, ScorerOptions::default()).map_err(of_scorer)?;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.map_err(|error| PyRuntimeError::new_err(format!("cannot start threads: {error}")))?;
        Ok(Fitted { scorer: Arc::new(scorer), item_kind, histories, pool, threads })
    }

    fn model(&self) -> &Model {
        self.scorer.model()
    }

    fn known(&self) -> PyResult<&Histories> {
        self.histories.as_ref().ok_or_else(|| {
            PyValueError::new_err(
                "a model file holds no users: give their histories to recommend_histories, or fit in this process",
            )
        })
    }

    /// The items' indices; KeyError names those that the model does not know.
    fn items_of(&self, names: &[String]) -> PyResult<Vec<u32>> {
        find(names, "items", |name| self.scorer.items().find(name))
    }

    fn histories_of(&self, py: Python<'_>, source: Source, columns: &str) -> PyResult<(Histories, Vec<String>)> {
        let options = config_of(self.model()).data.without_cleaning();
        let options = changed(options, columns)?;
        let (opened, [kind, _]) = source.read_detached(py, &options)?;
        let mapped = Mapped::of(&opened.log, self.model()).map_err(|error| of_data(&error))?;
        let notes = mapped.check(&opened, self.model()).map_err(|error| of_mapping(&error))?;
        let histories = Histories { users: opened.log.users, kind, events: mapped.dataset };
        Ok((histories, notes.iter().map(|note| in_python(&note.to_string())).collect()))
    }

    fn advise(&self, py: Python<'_>, histories: &Histories, users: &[u32], wish: &Wish) -> PyResult<(Table, usize)> {
        let ranked = py.detach(|| self.pool.install(|| histories.rank(&self.scorer, users, wish)));
        let silent = ranked.iter().filter(|list| list.is_none()).count();
        let rows = users.iter().zip(&ranked).filter_map(|(user, list)| Some((*user, list.as_ref()?)));
        let rows = rows.flat_map(|(user, list)| (1i64..).zip(list).map(move |(rank, best)| (user, rank, best)));
        let users = histories.kind.column(rows.clone().map(|(user, ..)| histories.users.name(user)));
        let items = self.scorer.items();
        let named = |item: u32| items.get(item as usize).unwrap_or_default();
        let columns: [(&str, ArrayRef); 4] = [
            ("user", users),
            ("item", self.item_kind.column(rows.clone().map(|(_, _, best)| named(best.item)))),
            ("score", Arc::new(Float32Array::from_iter_values(rows.clone().map(|(_, _, best)| best.score)))),
            ("rank", Arc::new(Int64Array::from_iter_values(rows.map(|(_, rank, _)| rank)))),
        ];
        Ok((Table::new(RecordBatch::try_from_iter(columns))?, silent))
    }

    fn wish(
        &self,
        k: usize,
        filter_viewed: bool,
        items: Option<Vec<String>>,
        exclude: &[String],
        now: Option<i64>,
    ) -> PyResult<Wish> {
        let mut rules = Rules::default();
        if !exclude.is_empty() {
            rules = rules.without(self.model(), self.items_of(exclude)?);
        }
        if let Some(items) = items {
            rules = rules.only(self.model(), self.items_of(&items)?);
        }
        Ok(Wish { k, filter_viewed, rules, now })
    }

    /// The events of a history that is given by names.
    fn events<'a>(
        &self,
        history: &'a [String],
        times: &[i64],
        now: Option<i64>,
    ) -> PyResult<(Vec<Event<&'a str>>, i64)> {
        if !times.is_empty() && times.len() != history.len() {
            return Err(PyValueError::new_err(format!("{} times for {} items", times.len(), history.len())));
        }
        let mut order: Vec<usize> = (0..history.len()).collect();
        order.sort_by_key(|at| times.get(*at));
        let now = now.or(times.iter().copied().max()).unwrap_or(0);
        let event = |at: usize| Event { item: &*history[at], time: times.get(at).copied().unwrap_or(now) };
        let events = order.into_iter().map(event).filter(|event| event.time <= now).collect();
        Ok((events, now))
    }
}

/// Read options with other columns in them, JSON as in `[data]`.
fn changed(options: dmran::data::ReadOptions, columns: &str) -> PyResult<dmran::data::ReadOptions> {
    let mut config = dmran::train::Config::default();
    config.data = options;
    let changes = serde_json::from_str(columns).map_err(|error| PyValueError::new_err(error.to_string()))?;
    let changed = config.changed(changes).map_err(|error| PyValueError::new_err(in_python(error.message())))?;
    Ok(changed.data)
}

fn find(names: &[String], what: &str, id: impl Fn(&str) -> Option<u32>) -> PyResult<Vec<u32>> {
    let found: Vec<Option<u32>> = names.iter().map(|name| id(name)).collect();
    let unknown: Vec<&String> = names.iter().zip(&found).filter(|(_, id)| id.is_none()).map(|(name, _)| name).collect();
    match unknown.len() {
        0 => Ok(found.into_iter().flatten().collect()),
        n => {
            let some: Vec<String> = unknown.iter().take(5).map(|name| format!("{name:?}")).collect();
            let more = if n > 5 { format!(" and {} more", n - 5) } else { String::new() };
            Err(PyKeyError::new_err(format!("unknown {what}: {}{more}", some.join(", "))))
        }
    }
}

#[pymethods]
impl Fitted {
    /// Reads a model file.
    #[staticmethod]
    fn load(py: Python<'_>, path: PathBuf, mmap: bool, ids: &str, threads: usize) -> PyResult<Fitted> {
        let model = py.detach(|| if mmap { Model::map(&path) } else { Model::load(&path) });
        Fitted::new(model.map_err(|error| of_file(&path, &error))?, IdKind::of(ids)?, None, threads)
    }

    /// Reads the bytes of a model file, with what [`Fitted::state`] gave beside them.
    #[staticmethod]
    fn from_state(
        py: Python<'_>,
        bytes: &[u8],
        state: Option<&Bound<'_, PyDict>>,
        ids: &str,
        threads: usize,
    ) -> PyResult<Fitted> {
        let model = py.detach(|| Model::from_bytes(bytes)).map_err(|error| PyValueError::new_err(error.to_string()))?;
        let histories = state
            .map(|state| -> PyResult<Histories> {
                let get =
                    |key: &str| state.get_item(key)?.ok_or_else(|| PyValueError::new_err(format!("{key} is missing")));
                let users: Vec<String> = get("users")?.extract()?;
                let numbers = |key: &str| get(key)?.extract::<numpy::PyReadonlyArray1<'_, i64>>().map_err(PyErr::from);
                let (offsets, items, times) = (numbers("offsets")?, numbers("items")?, numbers("times")?);
                let offsets = offsets.as_array().iter().map(|x| *x as usize).collect();
                let items = items.as_array().iter().map(|x| *x as u32).collect();
                let counts = model.counts();
                let events = Dataset::from_parts(
                    offsets,
                    items,
                    times.as_array().to_vec(),
                    model.item_category().to_vec(),
                    counts.items,
                    counts.categories,
                );
                Ok(Histories {
                    users: Vocabulary::from_names(users),
                    kind: IdKind::of(&get("kind")?.extract::<String>()?)?,
                    events: events.map_err(|error| of_data(&error))?,
                })
            })
            .transpose()?;
        Fitted::new(model, IdKind::of(ids)?, histories, threads)
    }

    /// What the model file does not hold: users and their events.
    fn state<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyDict>>> {
        let Some(Histories { users, kind, events }) = &self.histories else { return Ok(None) };
        let all = || (0..events.users() as u32).map(|user| events.history(user));
        let mut offsets = vec![0i64];
        all().for_each(|history| offsets.push(offsets.last().copied().unwrap_or(0) + history.len() as i64));
        let items = all().flat_map(|history| history.items.iter().map(|item| i64::from(*item)));
        let state = PyDict::new(py);
        state.set_item("users", users.names().collect::<Vec<_>>())?;
        state.set_item("kind", kind.name())?;
        state.set_item("offsets", PyArray1::from_vec(py, offsets))?;
        state.set_item("items", PyArray1::from_iter(py, items))?;
        state.set_item("times", PyArray1::from_iter(py, all().flat_map(|history| history.times.iter().copied())))?;
        Ok(Some(state))
    }

    /// The model file.
    fn to_bytes<'py>(&self, py: Python<'py>) -> Bound<'py, PyBytes> {
        PyBytes::new(py, &py.detach(|| self.model().to_bytes()))
    }

    fn save(&self, py: Python<'_>, path: PathBuf) -> PyResult<()> {
        py.detach(|| self.model().save(&path)).map_err(|error| of_file(&path, &error))
    }

    #[getter]
    fn ids(&self) -> &'static str {
        self.item_kind.name()
    }

    #[getter]
    fn threads(&self) -> usize {
        self.threads
    }

    /// The card and the settings.
    fn card<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let card = self.model().card();
        let facts = PyDict::new(py);
        facts.set_item("created_by", &card.created_by)?;
        facts.set_item("command", &card.command)?;
        facts.set_item("config", &card.config)?;
        facts.set_item("data_summary", &card.data_summary)?;
        facts.set_item("data_hash", &card.data_hash)?;
        facts.set_item("seed", card.seed)?;
        let metrics = PyDict::new(py);
        for metric in &card.metrics {
            metrics.set_item(&metric.name, metric.value)?;
        }
        facts.set_item("metrics", metrics)?;
        Ok(facts)
    }

    fn items<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        names(py, self.item_kind, self.scorer.items().iter())
    }

    fn users<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let known = self.known()?;
        names(py, known.kind, known.users.names())
    }

    /// Recommendations for users of the training log (all of them without a list), and how many had no event to go by.
    #[allow(clippy::too_many_arguments)]
    fn recommend(
        &self,
        py: Python<'_>,
        users: Option<Vec<String>>,
        k: usize,
        filter_viewed: bool,
        items: Option<Vec<String>>,
        exclude: Vec<String>,
        now: Option<i64>,
    ) -> PyResult<(Table, usize)> {
        let known = self.known()?;
        let users = match users {
            Some(names) => find(&names, "users", |name| known.users.id(name))?,
            None => (0..known.users.len() as u32).collect(),
        };
        if now.is_some() && !known.events.has_time() {
            return Err(PyValueError::new_err("now needs a log with times"));
        }
        self.advise(py, known, &users, &self.wish(k, filter_viewed, items, &exclude, now)?)
    }

    /// Recommendations for all users of a table; what there is to note comes third.
    #[allow(clippy::too_many_arguments)]
    fn recommend_histories(
        &self,
        py: Python<'_>,
        source: &Bound<'_, PyAny>,
        name: &str,
        columns: &str,
        k: usize,
        filter_viewed: bool,
        items: Option<Vec<String>>,
        exclude: Vec<String>,
        now: Option<i64>,
    ) -> PyResult<(Table, usize, Vec<String>)> {
        let wish = self.wish(k, filter_viewed, items, &exclude, now)?;
        let (histories, notes) = self.histories_of(py, Source::of(source, name)?, columns)?;
        if now.is_some() && !histories.events.has_time() {
            return Err(PyValueError::new_err("now needs a log with times"));
        }
        let users: Vec<u32> = (0..histories.users.len() as u32).collect();
        let (table, silent) = self.advise(py, &histories, &users, &wish)?;
        Ok((table, silent, notes))
    }

    /// Scores of candidates; NaN for items that the model does not know.
    fn score<'py>(
        &self,
        py: Python<'py>,
        history: Vec<String>,
        times: Vec<i64>,
        candidates: Vec<String>,
        now: Option<i64>,
    ) -> PyResult<Bound<'py, PyArray1<f32>>> {
        let (events, now) = self.events(&history, &times, now)?;
        let known: Vec<Option<u32>> = candidates.iter().map(|name| self.scorer.items().find(name)).collect();
        let items: Vec<u32> = known.iter().flatten().copied().collect();
        let mut scores = vec![0.0; items.len()];
        let mut scratch = Scratch::new();
        let scored = self.scorer.encode(&events, now, &mut scratch).score(&items, &mut scores);
        scored.map_err(|error| PyValueError::new_err(error.to_string()))?;
        let mut scores = scores.into_iter();
        let all = known.iter().map(|item| item.and_then(|_| scores.next()).unwrap_or(f32::NAN));
        Ok(PyArray1::from_iter(py, all))
    }

    /// Why a user of the training log, or one with a history, gets an item.
    #[allow(clippy::too_many_arguments)]
    fn explain<'py>(
        &self,
        py: Python<'py>,
        user: Option<String>,
        history: Vec<String>,
        times: Vec<i64>,
        item: String,
        now: Option<i64>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let item = self.items_of(&[item])?[0];
        let mut scratch = Scratch::new();
        let (items, mut encoded) = match user {
            Some(user) => {
                let known = self.known()?;
                let user = find(&[user], "users", |name| known.users.id(name))?[0];
                let (events, now) = known.until(user, now);
                let name = |event: &Event| self.scorer.items().get(event.item as usize).unwrap_or_default().to_owned();
                (events.iter().map(name).collect::<Vec<_>>(), self.scorer.encode(&events, now, &mut scratch))
            }
            None => {
                let (events, now) = self.events(&history, &times, now)?;
                let names = events.iter().map(|event| event.item.to_owned()).collect();
                (names, self.scorer.encode(&events, now, &mut scratch))
            }
        };
        let why = encoded.explain(item).map_err(|error| PyValueError::new_err(error.to_string()))?;
        let events: [(&str, ArrayRef); 3] = [
            ("item", self.item_kind.column(why.events.iter().map(|event| &*items[event.position]))),
            ("position", Arc::new(Int64Array::from_iter_values(why.events.iter().map(|event| event.position as i64)))),
            ("share", Arc::new(Float32Array::from_iter_values(why.events.iter().map(|event| event.share)))),
        ];
        let facts = PyDict::new(py);
        facts.set_item("score", why.score)?;
        facts.set_item("bias", why.bias)?;
        facts.set_item("gate", why.gate)?;
        facts.set_item("events", Table::new(RecordBatch::try_from_iter(events))?)?;
        Ok(facts)
    }

    /// The item vectors (eq 1), `[items, d]`.
    fn item_vectors<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyArray2<f32>>> {
        let (items, d) = (self.scorer.items().len(), self.scorer.settings().d);
        let out = PyArray2::<f32>::zeros(py, [items, d], false);
        let mut rows = out.try_readwrite().map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
        let rows_of = rows.as_slice_mut().map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
        self.scorer.item_vectors(0..items as u32, rows_of);
        drop(rows);
        Ok(out)
    }

    /// The items' biases, if the model has any.
    fn item_biases<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyArray1<f32>>> {
        self.scorer.item_biases().map(|biases| PyArray1::from_slice(py, biases))
    }

    /// The vectors of all users of a table (or of the training log), `[users, d]` with NaN for those without an event that
    /// the model knows, the users, and what there is to note.
    fn user_vectors<'py>(
        &self,
        py: Python<'py>,
        source: Option<&Bound<'py, PyAny>>,
        columns: &str,
    ) -> PyResult<(Bound<'py, PyArray2<f32>>, Bound<'py, PyList>, Vec<String>)> {
        let read = source.map(|source| self.histories_of(py, Source::of(source, "table")?, columns)).transpose()?;
        let (histories, notes) = match &read {
            Some((histories, notes)) => (histories, notes.clone()),
            None => (self.known()?, Vec::new()),
        };
        let (users, d) = (histories.users.len(), self.scorer.settings().d);
        let out = PyArray2::<f32>::zeros(py, [users, d], false);
        let mut rows = out.try_readwrite().map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
        let all = rows.as_slice_mut().map_err(|error| PyRuntimeError::new_err(error.to_string()))?;
        py.detach(|| {
            let one = |scratch: &mut Scratch, (user, row): (usize, &mut [f32])| {
                let (events, now) = histories.until(user as u32, None);
                match self.scorer.encode(&events, now, scratch).vector() {
                    Some(vector) => row.copy_from_slice(vector),
                    None => row.fill(f32::NAN),
                }
            };
            let rows = all.par_chunks_exact_mut(d).enumerate();
            self.pool.install(|| rows.for_each_init(Scratch::new, one));
        });
        drop(rows);
        Ok((out, names(py, histories.kind, histories.users.names())?, notes))
    }

    /// Whether users' vectors tell their scores: the head `mean`.
    #[getter]
    fn has_user_vectors(&self) -> bool {
        self.scorer.has_user_vectors()
    }

    fn similar_items(&self, item: String, k: usize) -> PyResult<Table> {
        let item = self.items_of(&[item])?[0];
        let mut best = Vec::new();
        let found = self.scorer.similar(item, k, &Rules::default(), &mut best);
        found.map_err(|error| PyValueError::new_err(error.to_string()))?;
        let items = self.scorer.items();
        let columns: [(&str, ArrayRef); 2] = [
            ("item", self.item_kind.column(best.iter().map(|one| items.get(one.item as usize).unwrap_or_default()))),
            ("score", Arc::new(Float32Array::from_iter_values(best.iter().map(|one| one.score)))),
        ];
        Table::new(RecordBatch::try_from_iter(columns))
    }

    /// The figures on a log, as JSON, and what there is to note. `changes` are settings in place of those of the training.
    fn evaluate(
        &self,
        py: Python<'_>,
        source: &Bound<'_, PyAny>,
        name: &str,
        changes: &str,
    ) -> PyResult<(String, Vec<String>)> {
        let source = Source::of(source, name)?;
        let changes = serde_json::from_str(changes).map_err(|error| PyValueError::new_err(error.to_string()))?;
        let mut config = config_of(self.model())
            .changed(changes)
            .map_err(|error| PyValueError::new_err(in_python(error.message())))?;
        config.validate().map_err(|error| PyValueError::new_err(error.to_string()))?;
        if config.train.threads == 0 {
            config.train.threads = self.threads;
        }
        let (opened, _) = source.read_detached(py, &config.data)?;
        py.detach(|| {
            let mapped = Mapped::of(&opened.log, self.model()).map_err(|error| of_data(&error))?;
            let mut notes: Vec<String> =
                Mapped::another_log(&opened, self.model()).iter().map(ToString::to_string).collect();
            let found = mapped.check(&opened, self.model()).map_err(|error| of_mapping(&error))?;
            notes.extend(found.iter().map(ToString::to_string));
            let mut trainer = trainer_of(self.model(), &config).map_err(|error| of_session(&error))?;
            let measured =
                measure(&mut trainer, &mapped.dataset, &config, &opened).map_err(|error| of_session(&error))?;
            let report = serde_json::json!({
                "log": opened.name,
                "model": crate::fit::figures(&measured.figures),
                "rivals": crate::fit::rated(&measured.rivals),
                "protocol": measured.stamp,
                "unknown_items": mapped.unknown_items,
                "unknown_events": mapped.unknown_events,
            });
            Ok((report.to_string(), notes))
        })
    }
}

/// Ids as Python has them.
fn names<'py, 'a>(py: Python<'py>, kind: IdKind, names: impl Iterator<Item = &'a str>) -> PyResult<Bound<'py, PyList>> {
    let names: Vec<&str> = names.collect();
    if kind == IdKind::Integer {
        let numbers: Option<Vec<i64>> = names.iter().map(|name| name.parse().ok()).collect();
        if let Some(numbers) = numbers {
            return PyList::new(py, numbers);
        }
    }
    PyList::new(py, names)
}
