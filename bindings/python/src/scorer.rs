//! The scorer for services: indices in, scores out, numpy arrays without copies, any number of threads.

use crate::errors::{of_file, of_scorer};
use dmran::scorer::{self, Event, Model, ScorerOptions, Scratch};
use numpy::{PyArray1, PyArrayMethods, PyReadonlyArray1, PyReadwriteArray1};
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// What the scorer was made from, for other processes.
enum Origin {
    Mapped(PathBuf),
    Bytes,
}

/// A model for services: thread-safe, with items by their indices.
#[pyclass(frozen, module = "dmran._dmran")]
pub struct Scorer {
    scorer: scorer::Scorer,
    /// Buffers that are not in use.
    scratches: Mutex<Vec<Scratch>>,
    origin: Origin,
}

/// A best item: its index and its score.
type Best<'py> = (Bound<'py, PyArray1<u32>>, Bound<'py, PyArray1<f32>>);

fn wrong(error: impl std::fmt::Display) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// A history by its indices.
struct History<'py> {
    items: PyReadonlyArray1<'py, u32>,
    times: Option<PyReadonlyArray1<'py, i64>>,
    now: i64,
}

impl<'py> History<'py> {
    fn new(
        items: PyReadonlyArray1<'py, u32>,
        times: Option<PyReadonlyArray1<'py, i64>>,
        now: Option<i64>,
    ) -> PyResult<History<'py>> {
        let last = match &times {
            Some(times) => {
                let times = times.as_slice().map_err(wrong)?;
                if times.len() != items.as_slice().map_err(wrong)?.len() {
                    return Err(PyValueError::new_err("one time for each item of the history is needed"));
                }
                times.last().copied()
            }
            None => None,
        };
        Ok(History { items, times, now: now.or(last).unwrap_or(0) })
    }

    fn events(&self) -> PyResult<Vec<Event>> {
        let items = self.items.as_slice().map_err(wrong)?;
        let times = self.times.as_ref().map(|times| times.as_slice()).transpose().map_err(wrong)?;
        let time = |at: usize| times.map_or(self.now, |times| times[at]);
        Ok(items.iter().enumerate().map(|(at, item)| Event { item: *item, time: time(at) }).collect())
    }
}

impl Scorer {
    fn new(model: Model, origin: Origin, lean: bool) -> PyResult<Scorer> {
        let options = ScorerOptions { precompute: lean.then_some(false), ..ScorerOptions::default() };
        let scorer = scorer::Scorer::with_options(model, options).map_err(of_scorer)?;
        Ok(Scorer { scorer, scratches: Mutex::default(), origin })
    }

    /// Runs `work` with buffers of its own.
    fn with<R>(&self, work: impl FnOnce(&scorer::Scorer, &mut Scratch) -> R) -> R {
        let lend = || self.scratches.lock().unwrap_or_else(PoisonError::into_inner);
        let scratch = lend().pop();
        let mut scratch = scratch.unwrap_or_default();
        let result = work(&self.scorer, &mut scratch);
        lend().push(scratch);
        result
    }
}

#[pymethods]
impl Scorer {
    #[new]
    #[pyo3(signature = (path, *, mmap = false, lean = false))]
    fn load(py: Python<'_>, path: PathBuf, mmap: bool, lean: bool) -> PyResult<Scorer> {
        let model = py.detach(|| if mmap { Model::map(&path) } else { Model::load(&path) });
        let model = model.map_err(|error| of_file(&path, &error))?;
        let origin = if mmap { Origin::Mapped(std::path::absolute(&path).unwrap_or(path)) } else { Origin::Bytes };
        py.detach(|| Scorer::new(model, origin, lean))
    }

    /// From the bytes of a model file.
    #[staticmethod]
    #[pyo3(signature = (data, *, lean = false))]
    fn from_bytes(py: Python<'_>, data: &[u8], lean: bool) -> PyResult<Scorer> {
        let model = Model::from_bytes(data).map_err(wrong)?;
        py.detach(|| Scorer::new(model, Origin::Bytes, lean))
    }

    /// The items' ids; an item's index is its place here.
    #[getter]
    fn items(&self) -> Vec<&str> {
        self.scorer.items().iter().collect()
    }

    fn __len__(&self) -> usize {
        self.scorer.items().len()
    }

    /// The indices of ids.
    fn find<'py>(&self, py: Python<'py>, ids: Vec<String>) -> PyResult<Bound<'py, PyArray1<u32>>> {
        let find = |id: &String| {
            self.scorer.items().find(id).ok_or_else(|| PyKeyError::new_err(format!("unknown item: {id:?}")))
        };
        Ok(PyArray1::from_vec(py, ids.iter().map(find).collect::<PyResult<Vec<_>>>()?))
    }

    /// The scores of candidates for a history.
    #[pyo3(signature = (history, candidates, *, times = None, now = None, out = None))]
    fn score<'py>(
        &self,
        py: Python<'py>,
        history: PyReadonlyArray1<'py, u32>,
        candidates: PyReadonlyArray1<'py, u32>,
        times: Option<PyReadonlyArray1<'py, i64>>,
        now: Option<i64>,
        out: Option<Bound<'py, PyArray1<f32>>>,
    ) -> PyResult<Bound<'py, PyArray1<f32>>> {
        let history = History::new(history, times, now)?;
        let (events, now) = (history.events()?, history.now);
        let candidates = candidates.as_slice().map_err(wrong)?;
        let out = out.unwrap_or_else(|| PyArray1::zeros(py, [candidates.len()], false));
        let mut scores: PyReadwriteArray1<'_, f32> = out.try_readwrite().map_err(wrong)?;
        let scores = scores.as_slice_mut().map_err(wrong)?;
        py.detach(|| self.with(|scorer, scratch| scorer.encode(&events, now, scratch).score(candidates, scores)))
            .map_err(wrong)?;
        Ok(out)
    }

    /// The best items for a history.
    #[pyo3(signature = (history, k = 10, *, times = None, now = None, filter_viewed = true, exclude = None))]
    #[allow(clippy::too_many_arguments)]
    fn top_k<'py>(
        &self,
        py: Python<'py>,
        history: PyReadonlyArray1<'py, u32>,
        k: usize,
        times: Option<PyReadonlyArray1<'py, i64>>,
        now: Option<i64>,
        filter_viewed: bool,
        exclude: Option<PyReadonlyArray1<'py, u32>>,
    ) -> PyResult<Best<'py>> {
        let history = History::new(history, times, now)?;
        let (events, now) = (history.events()?, history.now);
        let mut without = match &exclude {
            Some(exclude) => exclude.as_slice().map_err(wrong)?.to_vec(),
            None => Vec::new(),
        };
        if filter_viewed {
            without.extend(events.iter().map(|event| event.item));
        }
        let best = py.detach(|| {
            let mut best = Vec::new();
            self.with(|scorer, scratch| scorer.encode(&events, now, scratch).top_k(k, &without, &mut best));
            best
        });
        let items = PyArray1::from_iter(py, best.iter().map(|best| best.item));
        Ok((items, PyArray1::from_iter(py, best.iter().map(|best| best.score))))
    }

    /// A mapped scorer goes by its path, so that processes share the mapping; any other one by its bytes.
    fn __reduce__<'py>(slf: &Bound<'py, Self>) -> PyResult<(Bound<'py, PyAny>, Bound<'py, PyTuple>)> {
        let py = slf.py();
        let this = slf.get();
        let make = py.import("dmran._tables")?.getattr("scorer_of")?;
        let from = match &this.origin {
            Origin::Mapped(path) => path.as_os_str().into_pyobject(py)?.into_any(),
            Origin::Bytes => PyBytes::new(py, &py.detach(|| this.scorer.model().to_bytes())).into_any(),
        };
        let lean = !this.scorer.is_precomputed();
        Ok((make, PyTuple::new(py, [from, lean.into_pyobject(py)?.to_owned().into_any()])?))
    }
}
