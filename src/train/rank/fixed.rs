//! Ranking where a user's vector does not depend on the candidate: products of blocks of users and items.

use super::Request;
use super::tally::Tally;
use crate::batch::USERS;
use crate::batch::item_block::ItemBlock;
use crate::batch::products::{self, TILE};
use crate::data::Sample;
use crate::metrics::Ranked;
use crate::model::items::ItemRows;
use crate::pool::Pool;
use dmran_kernels::Level;
use rayon::prelude::*;

/// Bytes that [`fixed`] takes, but for the tapes that make the vectors.
pub(crate) fn bytes(users: usize, items: usize, d: usize, threads: usize) -> usize {
    4 * (users.min(USERS) * (d + 32) + threads * TILE * (TILE + 2 * d)) + products::bytes(items, d, threads)
}

/// Ranks on the threads of the current pool. `vectors` writes the samples' vectors, `[samples, d]`.
pub(crate) fn fixed(
    request: &Request<'_>,
    level: Level,
    catalogue: &ItemRows<'_>,
    vectors: impl Fn(&[Sample], &mut [f32]) + Sync,
) -> Vec<Ranked> {
    let Request { dataset, samples, most } = *request;
    let (d, items) = (catalogue.d(), dataset.items());
    let mut users = vec![0.0; samples.len().min(USERS) * d];
    let pool = Pool::<(ItemBlock, Vec<f32>)>::default();
    let mut out = Vec::with_capacity(samples.len());
    for samples in samples.chunks(USERS) {
        let users = &mut users[..samples.len() * d];
        let mut tallies: Vec<Tally> = samples.par_iter().map(|sample| Tally::new(dataset, *sample, most)).collect();
        // The items to find first: theirs are the scores that the others are compared with.
        users.par_chunks_mut(TILE * d).zip(tallies.par_chunks_mut(TILE)).for_each(|(users, tallies)| {
            let samples: Vec<Sample> = tallies.iter().map(Tally::sample).collect();
            vectors(&samples, users);
            pool.with(Default::default, |(targets, scores)| {
                targets.pack(catalogue, tallies.iter().map(|tally| tally.target() as usize));
                let n = tallies.len();
                scores.resize(n * n, 0.0);
                targets.scores(level, users, d, scores);
                tallies.iter_mut().enumerate().for_each(|(at, tally)| tally.expect(scores[at * n + at]));
            });
        });
        products::each_block(level, catalogue, None, users, &mut tallies, |tally, first, scores| {
            tally.take(first, scores)
        });
        out.extend(tallies.into_iter().map(|tally| tally.finish(items)));
    }
    out
}
