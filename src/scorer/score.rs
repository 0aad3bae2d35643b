//! Scores of candidates (eq 14 to 17), block by block.

use std::ops::Range;

use dmran_kernels::pooling::{self, Mask, Pool};
use dmran_kernels::score::{self, Candidates};
use dmran_kernels::{Level, gate};

use super::encode::{State, fuse, offsets};
use super::network::AtrankHead;
use super::packed::{NormWork, fit, grow};
use super::serve::Scorer;
use super::user::{ScoreError, User};
use crate::spec::settings::Head;

/// Candidates of a block that are gathered: their vectors stay in the second level cache.
const GATHERED_BLOCK: usize = 256;
/// Candidates of a block that are read in place.
const BLOCK: usize = 4096;
/// As [`GATHERED_BLOCK`], for the head with several buffers a candidate.
const ATRANK_BLOCK: usize = 64;

/// Buffers of one block of candidates.
#[derive(Debug, Clone, Default)]
pub(super) struct CandidateWork {
    c: Vec<f32>,
    bias: Vec<f32>,
    pub scores: Vec<f32>,
    head: HeadWork,
}

#[derive(Debug, Clone, Default)]
pub(super) struct HeadWork {
    kernel: Vec<f32>,
    query: Vec<f32>,
    weights: Vec<f32>,
    pooled: Vec<f32>,
    norm: NormWork,
    /// h and hhat of the block.
    pub h: [Vec<f32>; 2],
    z: Vec<f32>,
    f: Vec<f32>,
    h_c: Vec<f32>,
}

impl User<'_> {
    /// The scores of `candidates` (indices in [`Scorer::items`], in any order, repeated or not), eq 17: the higher the
    /// likelier; `1 / (1 + e^-score)` is the trained probability. A candidate's score has the same bits whatever the
    /// other candidates are.
    ///
    /// # Errors
    /// [`ScoreError`] for an index that is no item, or where `scores` has another length than `candidates`; `scores`
    /// is then unchanged.
    pub fn score(&mut self, candidates: &[u32], scores: &mut [f32]) -> Result<(), ScoreError> {
        if candidates.len() != scores.len() {
            return Err(ScoreError::Length { candidates: candidates.len(), scores: scores.len() });
        }
        let items = self.scorer.items().len();
        let fits = |&item: &u32| (item as usize) < items;
        // The largest first: a search that may end early is not vectorised.
        if candidates.iter().max().is_some_and(|largest| !fits(largest))
            && let Some(position) = candidates.iter().position(|item| !fits(item))
        {
            return Err(ScoreError::NoSuchItem { position, item: candidates[position], items });
        }
        let (scorer, user, work) = (self.scorer, &self.scratch.state, &mut self.scratch.work.candidates);
        let block = scorer.block();
        for (ids, scores) in candidates.chunks(block).zip(scores.chunks_mut(block)) {
            scorer.score_listed(user, ids, scores, work);
        }
        Ok(())
    }

    /// The scores of all items, in the order of [`Scorer::items`].
    ///
    /// # Errors
    /// [`ScoreError::Length`] if there is not room for exactly one score an item.
    pub fn score_all(&mut self, scores: &mut [f32]) -> Result<(), ScoreError> {
        let items = self.scorer.items().len();
        if scores.len() != items {
            return Err(ScoreError::Length { candidates: items, scores: scores.len() });
        }
        let (scorer, user, work) = (self.scorer, &self.scratch.state, &mut self.scratch.work.candidates);
        let block = scorer.block();
        for (part, scores) in scores.chunks_mut(block).enumerate() {
            let start = part * block;
            scorer.score_range(user, start..start + scores.len(), scores, work);
        }
        Ok(())
    }
}

impl Scorer {
    /// The item vectors as one table, for heads that read candidates from it in place.
    fn reads_in_place(&self) -> Option<&[f32]> {
        self.whole_table().filter(|_| self.settings().head != Head::Atrank)
    }

    /// Candidates that are scored at a time.
    pub(super) fn block(&self) -> usize {
        if self.reads_in_place().is_some() { BLOCK } else { GATHERED_BLOCK }
    }

    /// Scores of at most [`Scorer::block`] items by their indices.
    pub(super) fn score_listed(&self, user: &State, ids: &[u32], scores: &mut [f32], work: &mut CandidateWork) {
        let indices = || ids.iter().map(|&id| id as usize);
        let bias = fit(&mut work.bias, scores.len());
        match self.item_biases() {
            Some(all) => bias.iter_mut().zip(indices()).for_each(|(bias, id)| *bias = all[id]),
            None => bias.fill(0.0),
        }
        let c = match self.reads_in_place() {
            Some(table) => Candidates { table, ids: Some(ids) },
            None => self.gathered(user, indices(), &mut work.c),
        };
        self.score_block(user, c, None, bias, scores, &mut work.head);
    }

    /// Scores of at most [`Scorer::block`] neighbouring items: read from the table in place, where there is one.
    pub(super) fn score_range(&self, user: &State, range: Range<usize>, scores: &mut [f32], work: &mut CandidateWork) {
        let bias = match self.item_biases() {
            Some(all) => &all[range.clone()],
            None => {
                let bias = fit(&mut work.bias, range.len());
                bias.fill(0.0);
                bias
            }
        };
        if self.has_user_vectors()
            && !user.items.is_empty()
            && let Some((rows, second)) = self.stored_rows(range.clone())
        {
            score::fixed_stored(self.level(), &user.h_c, rows, second, bias, scores);
            return;
        }
        let d = self.settings().d;
        let c = match self.whole_table() {
            Some(table) => table[range.start * d..range.end * d].into(),
            None => self.gathered(user, range.clone(), &mut work.c),
        };
        self.score_block(user, c, Some(range.start), bias, scores, &mut work.head);
    }

    /// The candidates' vectors side by side. A cold user's scores are the biases alone, and need none.
    fn gathered<'a>(
        &self,
        user: &State,
        ids: impl ExactSizeIterator<Item = usize>,
        buffer: &'a mut Vec<f32>,
    ) -> Candidates<'a> {
        let c = fit(buffer, ids.len() * self.settings().d);
        if !user.items.is_empty() {
            self.gather(ids, c);
        }
        Candidates::from(&*c)
    }

    /// Scores of candidates; `first` is the first one's index if they are neighbours.
    fn score_block(
        &self,
        user: &State,
        c: Candidates,
        first: Option<usize>,
        bias: &[f32],
        scores: &mut [f32],
        work: &mut HeadWork,
    ) {
        let (level, d) = (self.level(), self.settings().d);
        if user.items.is_empty() {
            scores.copy_from_slice(bias);
            return;
        }
        match self.settings().head {
            Head::Vanilla => {
                let tables = self.vanilla_tables(user);
                score::vanilla(level, &tables, c, bias, scores, grow(&mut work.kernel, tables.scratch_len()));
            }
            Head::Mean | Head::Rows => score::fixed(level, &user.h_c, c, bias, scores),
            Head::Atrank => {
                let blocks = c.table.chunks(ATRANK_BLOCK * d).zip(bias.chunks(ATRANK_BLOCK));
                for (at, ((c, bias), scores)) in blocks.zip(scores.chunks_mut(ATRANK_BLOCK)).enumerate() {
                    self.fused_rows(user, c, first.map(|first| first + at * ATRANK_BLOCK), work);
                    gate::dot_rows(level, d, &work.h_c, c, bias, scores);
                }
            }
        }
    }

    fn vanilla_tables<'a>(&'a self, user: &'a State) -> score::Vanilla<'a> {
        let d = self.settings().d;
        match (&self.network.gate, self.settings().has_item_attention()) {
            (Some(net), _) => {
                let [gate_m, gate_mhat] = user.sides.each_ref().map(|side| &side.gate[..]);
                let feature = score::Feature { mhat: &user.mx, gate_m, gate_mhat, gate_bias: &net.bias };
                score::Vanilla { d, m: &user.m, feature: Some(feature) }
            }
            (None, true) => score::Vanilla { d, m: &user.m, feature: None },
            (None, false) => score::Vanilla { d, m: &user.mx, feature: None },
        }
    }

    /// `h_c` of each candidate with the head `atrank`, into `work.h_c`; `first` is the first one's index if they are
    /// neighbours.
    pub(super) fn fused_rows(&self, user: &State, c: &[f32], first: Option<usize>, work: &mut HeadWork) {
        let level = self.level();
        let streams = user.sides.iter().zip(&self.network.heads).zip(user.streams());
        for (at, ((side, head), rows)) in streams.enumerate() {
            let Some(head) = head else { continue };
            let rows = rows.len() / self.settings().d;
            let keys_and_values = [&side.keys[..], &side.values[..]];
            read(level, head, self.settings().heads, rows, keys_and_values, c, first, work, at);
        }
        match (&self.network.gate, self.settings().has_item_attention()) {
            (Some(net), _) => {
                let [z, f, h_c] = [&mut work.z, &mut work.f, &mut work.h_c].map(|buffer| fit(buffer, c.len()));
                fuse(level, net, [&work.h[0], &work.h[1]], (z, f), h_c);
            }
            (None, true) => fit(&mut work.h_c, c.len()).copy_from_slice(&work.h[0]),
            (None, false) => fit(&mut work.h_c, c.len()).copy_from_slice(&work.h[1]),
        }
    }
}

/// Eq 14 or 15, head `atrank`: each candidate's reading of one stream, into `work.h[at]`.
#[allow(clippy::too_many_arguments)]
fn read(
    level: Level,
    head: &AtrankHead,
    heads: usize,
    rows: usize,
    [keys, values]: [&[f32]; 2],
    c: &[f32],
    first: Option<usize>,
    work: &mut HeadWork,
    at: usize,
) {
    let d = keys.len() / rows;
    let offsets = offsets(rows);
    let pool = Pool { d, heads, candidates: c.len() / d, offsets: &offsets, mask: Mask::Full };
    let query = match (&head.queries, first) {
        (Some(all), Some(first)) => &all[first * d..][..c.len()],
        _ => {
            let query = fit(&mut work.query, c.len());
            head.query.forward(level, c, true, query);
            query
        }
    };
    let weights = fit(&mut work.weights, pool.weights_len());
    pooling::weights(level, &pool, query, keys, weights, grow(&mut work.kernel, pool.scratch_len()));
    let pooled = fit(&mut work.pooled, c.len());
    pooling::pool_rows(level, &pool, weights, values, false, pooled);
    head.end.forward(level, pooled, c, &mut work.norm, fit(&mut work.h[at], c.len()));
}
