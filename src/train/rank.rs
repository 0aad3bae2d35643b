//! Full ranking: where each user's item stands among all items that the user had not had, and which items stand first.
//!
//! Scores come in blocks and are counted at once; users times items is never in memory. What a user comes to depends on
//! nobody else, so results are the same on any number of threads.

pub(crate) mod fixed;
mod of_trainer;
mod tally;

use crate::data::{Dataset, Sample};
use crate::metrics::Ranked;
use crate::pool::Pool;
use rayon::prelude::*;
use tally::Tally;

pub(crate) use of_trainer::{BLOCK, RanksBy};

/// Users that a thread takes at a time where each has its scores computed alone.
const USERS: usize = 16;

/// What is to be ranked.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// The log.
    pub dataset: &'a Dataset,
    /// The items to find.
    pub samples: &'a [Sample],
    /// How many of the first items are to be known.
    pub most: usize,
}

/// Ranks user by user on the threads of the current pool: `score` writes one sample's scores of all items. `make` makes
/// what a thread computes with.
pub(crate) fn each<T: Send>(
    request: &Request<'_>,
    make: impl Fn() -> T + Sync,
    score: impl Fn(&mut T, Sample, &mut [f32]) + Sync,
) -> Vec<Ranked> {
    let Request { dataset, samples, most } = *request;
    let items = dataset.items();
    let pool = Pool::default();
    let parts = samples.par_chunks(USERS).map(|samples| {
        pool.with(
            || (make(), vec![0.0f32; items]),
            |(state, scores)| {
                let rank = |sample: &Sample| {
                    let mut tally = Tally::new(dataset, *sample, most);
                    score(state, *sample, scores);
                    tally.expect(scores[tally.target() as usize]);
                    tally.take(0, scores);
                    tally.finish(items)
                };
                samples.iter().map(rank).collect::<Vec<_>>()
            },
        )
    });
    parts.collect::<Vec<_>>().concat()
}

/// Ranks user by user through `score`, which writes the scores of the items that it is given: for whatever has no better
/// way.
pub fn one_by_one(request: &Request<'_>, mut score: impl FnMut(Sample, &[u32], &mut [f32])) -> Vec<Ranked> {
    let Request { dataset, samples, most } = *request;
    let items: Vec<u32> = (0..dataset.items() as u32).collect();
    let mut scores = vec![0.0f32; BLOCK.min(items.len())];
    let rank = |sample: &Sample| {
        let mut tally = Tally::new(dataset, *sample, most);
        let mut own = [0.0];
        score(*sample, &[tally.target()], &mut own);
        tally.expect(own[0]);
        for block in items.chunks(BLOCK) {
            let scores = &mut scores[..block.len()];
            score(*sample, block, scores);
            tally.take(block[0], scores);
        }
        tally.finish(items.len())
    };
    samples.iter().map(rank).collect()
}
