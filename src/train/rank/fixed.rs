//! Ranking where a user's vector does not depend on the candidate: products of blocks of users and items.

use super::tally::Tally;
use super::{Pool, Request};
use crate::data::Sample;
use crate::metrics::Ranked;
use crate::model::items::ItemRows;
use dmran_kernels::Level;
use dmran_kernels::gemm::{Matrix, MatrixMut, Output, gemm, pack_transposed, packed_len};
use rayon::prelude::*;

/// Users whose vectors are in memory at a time: for each of them a block of items is packed once.
const USERS: usize = 4096;
/// Users of a product.
const TILE: usize = 32;
/// Items of a product: packed, they stay in the second level cache.
const ITEMS: usize = 512;

/// Some items, ready for products.
#[derive(Default)]
struct Packed {
    rows: Vec<f32>,
    panels: Vec<f32>,
    bias: Vec<f32>,
}

impl Packed {
    fn pack(&mut self, catalogue: &ItemRows<'_>, items: impl ExactSizeIterator<Item = usize> + Clone) {
        let (d, n) = (catalogue.d(), items.len());
        self.rows.resize(n * d, 0.0);
        catalogue.gather(items.clone(), &mut self.rows);
        self.panels.resize(packed_len(d, n), 0.0);
        pack_transposed(&self.rows, n, d, &mut self.panels);
        self.bias.clear();
        self.bias.extend(items.map(|item| catalogue.bias_of(item)));
    }

    /// Scores of the packed items for some users: `users . items + bias`, `[users, items]`. A score is one chain over
    /// the width, to which the bias is added: its bits do not depend on the other users and items.
    fn scores(&self, level: Level, users: &[f32], d: usize, scores: &mut [f32]) {
        let (n, items) = (users.len() / d, self.bias.len());
        scores.chunks_exact_mut(items).for_each(|row| row.copy_from_slice(&self.bias));
        gemm(level, Matrix::new(users, n, d), &self.panels, MatrixMut::new(scores, n, items), Output::ADD);
    }
}

/// Bytes that [`fixed`] takes, but for the tapes that make the vectors.
pub(crate) fn bytes(users: usize, items: usize, d: usize, threads: usize) -> usize {
    let (users, items) = (users.min(USERS), items.min(ITEMS));
    4 * (users * (d + 32) + 2 * items * d + threads * TILE * (items + 2 * d))
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
    let (pool, mut block) = (Pool::<(Packed, Vec<f32>)>::default(), Packed::default());
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
        for first in (0..items).step_by(ITEMS) {
            block.pack(catalogue, first..items.min(first + ITEMS));
            let (block, users) = (&block, &*users);
            users.par_chunks(TILE * d).zip(tallies.par_chunks_mut(TILE)).for_each(|(users, tallies)| {
                pool.with(Default::default, |(_, scores)| {
                    let n = block.bias.len();
                    scores.resize(tallies.len() * n, 0.0);
                    block.scores(level, users, d, scores);
                    tallies.iter_mut().zip(scores.chunks_exact_mut(n)).for_each(|(tally, scores)| {
                        tally.take(first as u32, scores);
                    });
                });
            });
        }
        out.extend(tallies.into_iter().map(|tally| tally.finish(items)));
    }
    out
}
