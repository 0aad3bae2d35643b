//! A scorer shared by threads: what `recommend`, `score` and the examples of `train` rank with.

use super::failure::Failure;
use dmran::scorer::{Model, Scorer, ScorerOptions, Scratch};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::{Mutex, PoisonError};

/// A scorer with its threads and a scratch for each of them.
pub struct Crew {
    scorer: Scorer,
    pool: ThreadPool,
    scratches: Vec<Mutex<Scratch>>,
}

impl Crew {
    /// A crew of `threads`; 0 = one a core, or `RAYON_NUM_THREADS`. A `lean` one computes nothing ahead.
    pub fn new(model: Model, threads: usize, lean: bool) -> Result<Crew, Failure> {
        let precompute = lean.then_some(false);
        let scorer = Scorer::with_options(model, ScorerOptions { precompute, ..ScorerOptions::default() })?;
        let pool = ThreadPoolBuilder::new().num_threads(threads).build();
        let pool = pool.map_err(|error| Failure::Other(format!("cannot start threads: {error}")))?;
        let scratches = (0..pool.current_num_threads()).map(|_| Mutex::default()).collect();
        Ok(Crew { scorer, pool, scratches })
    }

    /// The scorer.
    pub fn scorer(&self) -> &Scorer {
        &self.scorer
    }

    /// `work` with the crew's threads.
    pub fn install<R: Send>(&self, work: impl FnOnce() -> R + Send) -> R {
        self.pool.install(work)
    }

    /// The model.
    pub fn model(&self) -> &Model {
        self.scorer.model()
    }

    /// `work` on each task, side by side; results in the order of the tasks.
    pub fn each<T: Sync, R: Send>(&self, tasks: &[T], work: impl Fn(&Scorer, &mut Scratch, &T) -> R + Sync) -> Vec<R> {
        let one = |task| {
            let mine = &self.scratches[rayon::current_thread_index().unwrap_or(0)];
            // A scratch means nothing between calls, so one that a panic left behind is as good as any.
            work(&self.scorer, &mut mine.lock().unwrap_or_else(PoisonError::into_inner), task)
        };
        self.pool.install(|| tasks.par_iter().map(one).collect())
    }
}
