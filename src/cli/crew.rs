//! A scorer shared by threads: what `recommend`, `score` and the examples of `train` rank with.

use super::failure::Failure;
use dmran::scorer::{Event, Model, Scored, Scorer, ScorerOptions, Scratch};
use rayon::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};
use std::sync::{Mutex, PoisonError};

/// A scorer with its threads and a scratch for each of them.
pub struct Crew {
    scorer: Scorer,
    pool: ThreadPool,
    scratches: Vec<Mutex<Scratch>>,
}

/// What is known of a user at the moment of a recommendation.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Items in the order in which the user had them.
    pub items: &'a [u32],
    /// Their times; empty without times: they then count as of this moment.
    pub times: &'a [i64],
    /// The moment, not before the last event; of no matter without times.
    pub now: i64,
    /// Items not to recommend.
    pub exclude: &'a [u32],
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

    /// The best `k` items for each user; of equal scores the smaller id comes first.
    pub fn top(&self, contexts: &[Context<'_>], k: usize) -> Vec<Vec<Scored>> {
        self.each(contexts, |scorer, scratch, context| {
            let time = |at: usize| context.times.get(at).copied().unwrap_or(context.now);
            let event = |(at, item): (usize, &u32)| Event { item: *item, time: time(at) };
            let events: Vec<Event> = context.items.iter().enumerate().map(event).collect();
            let mut best = Vec::new();
            scorer.encode(&events, context.now, scratch).top_k(k, context.exclude, &mut best);
            best
        })
    }
}
