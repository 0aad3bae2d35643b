//! The loops over candidates.

use super::Vanilla;
use super::ahead::Places;
use super::dims::{Dims, Line, Partial, Pipeline, Room};
use super::tables::{self, TILE, Tables};
use crate::level::Level;
use crate::math;
use crate::simd::tile::{self, Lanes};
use crate::simd::{AHEAD, Kernel, LANES, Simd, prefetch_once};
use crate::small::{Rows, aligned, dot, load, store};
use crate::transpose::transpose_lanes;
use std::ops::Range;

pub(super) struct VanillaScores<'a> {
    pub user: &'a Vanilla<'a>,
    pub c: Rows<'a>,
    pub bias: &'a [f32],
    pub score: &'a mut [f32],
    pub scratch: &'a mut [f32],
}

/// Most vectors of 16 candidates in a block.
pub(super) const MOST_VECTORS: usize = 3;

/// Whether there are registers for 16 sums of whole vectors, and to spare.
const fn many_registers<S: Simd>() -> bool {
    matches!(S::LEVEL, Level::Avx512)
}

/// How many of `left` rows the registers take at a time, as many chains as they hold: with fewer than 8 the multipliers
/// wait for results.
const fn group<S: Simd>(left: usize) -> usize {
    match left {
        10.. if many_registers::<S>() => 10,
        9 if many_registers::<S>() => 9,
        5.. => 5,
        _ => left,
    }
}

/// Lines of scratch for a user with so many rows.
pub(super) const fn scratch_lines(d: usize, rows: usize, rows_hat: usize) -> usize {
    (d.next_multiple_of(TILE) + rows + rows_hat) * MOST_VECTORS + tables::scratch_len(d, rows, rows_hat).div_ceil(LANES)
}

impl Kernel for VanillaScores<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { user, c, bias, score, scratch } = self;
        let vectors = if many_registers::<S>() { MOST_VECTORS } else { 1 };
        let (d, n) = (user.d, bias.len());
        let first = Places::new(c, 0..n.min(vectors * LANES));
        for t in (0..d).step_by(LANES) {
            for i in 0..n.min(vectors * LANES) {
                first.fetch(i, t);
            }
        }
        let (rows, rows_hat) = user.rows();
        let (lines, _) = aligned(scratch).as_chunks_mut::<LANES>();
        let (tables, lines) = lines.split_at_mut(tables::scratch_len(d, rows, rows_hat).div_ceil(LANES));
        let tables = &Tables::new(s, user, tables.as_flattened_mut());
        // Candidates of the blocks that all vectors are needed for.
        let most = match n % (vectors * LANES) {
            rest if rest > (vectors - 1) * LANES => n,
            rest => n - rest,
        };
        let mut blocks = Blocks { d, tables, c, bias, score, lines };
        if !many_registers::<S>() {
            return blocks.run::<S, 1>(s, 0..n);
        }
        if most > 0 {
            blocks.run::<S, MOST_VECTORS>(s, 0..most);
        }
        match (n - most).div_ceil(LANES) {
            0 => {}
            1 => blocks.run::<S, 1>(s, most..n),
            _ => blocks.run::<S, 2>(s, most..n),
        }
    }
}

/// Candidates that are computed in blocks, one a lane.
struct Blocks<'a, 'b> {
    d: usize,
    tables: &'a Tables<'a>,
    c: Rows<'a>,
    bias: &'a [f32],
    score: &'b mut [f32],
    /// Scratch.
    lines: &'b mut [[f32; LANES]],
}

impl Blocks<'_, '_> {
    /// The candidates `range`, `16 V` at a time.
    #[inline(always)]
    fn run<S: Simd, const V: usize>(&mut self, s: S, range: Range<usize>) {
        let Self { d, tables, c, .. } = *self;
        let (lines, _) = self.lines.as_chunks_mut::<V>();
        let (block, lines) = lines.split_at_mut(d.next_multiple_of(TILE));
        let (w, lines) = lines.split_at_mut(tables.others[0]);
        let what = &mut lines[..tables.others[1]];
        let (score, bias) = (&mut self.score[range.clone()], &self.bias[range.clone()]);
        let mut room = Room::new();
        let mut pipeline = Pipeline::new(d, &mut room);

        let mut here = Places::new(c, range.start..range.end.min(range.start + V * LANES));
        for first in range.clone().step_by(V * LANES) {
            let end = range.end.min(first + V * LANES);
            let next = Places::new(c, end..(end + V * LANES).min(self.bias.len()));
            for v in 0..(end - first).div_ceil(LANES) {
                let lanes = Lanes::new(here.table, d, here.starts[v * LANES..].iter().copied());
                let block = &mut block[..d].as_flattened_mut().as_flattened_mut()[v * LANES..];
                transpose_lanes(s, &lanes, d, block, V * LANES);
            }
            block[d..].fill([[0.0; LANES]; V]);
            weights::<S, V, 0>(s, d, tables, block, w);
            if tables.gated {
                weights::<S, V, 1>(s, d, tables, block, what);
            }
            let [w, what] = [&*w, &*what].map(|w| w.as_flattened().as_flattened());
            let dims = Dims { tables, w, what, block, next: &next };
            pipeline.add_dots(s, &dims);
            let done = first - range.start;
            if done > 0 {
                let done = done - V * LANES..done;
                add_up(s, pipeline.finished, &bias[done.clone()], &mut score[done]);
            }
            if end == range.end {
                add_up(s, pipeline.finish(s, &dims), &bias[done..], &mut score[done..]);
            }
            here = next;
        }
    }
}

/// The scores of a block.
#[inline(always)]
fn add_up<S: Simd, const V: usize>(s: S, partial: &Partial<V>, bias: &[f32], score: &mut [f32]) {
    let partial = partial.0.as_flattened();
    for (v, (score, bias)) in score.chunks_mut(LANES).zip(bias.chunks(LANES)).enumerate() {
        let sum = s.add(reduce(s, partial, v), load(s, bias));
        store(s, sum, score);
    }
}

/// `pooling::weights` with candidates in the lanes: `w[j - 1, lane]` of the rows `j > 0` of M, or with `SIDE` 1 of Mhat. The
/// first row's score is 0.
#[inline(always)]
fn weights<S: Simd, const V: usize, const SIDE: usize>(
    s: S,
    d: usize,
    tables: &Tables,
    block: &[Line<V>],
    w: &mut [Line<V>],
) {
    let rows = w.len();
    let mut j = 0;
    while j < rows {
        let w = &mut w[j..];
        j += match group::<S>(rows - j) {
            1 => scores::<S, 1, V, SIDE>(s, d, tables, j, block, w),
            2 => scores::<S, 2, V, SIDE>(s, d, tables, j, block, w),
            3 => scores::<S, 3, V, SIDE>(s, d, tables, j, block, w),
            4 => scores::<S, 4, V, SIDE>(s, d, tables, j, block, w),
            9 if many_registers::<S>() => scores::<S, 9, V, SIDE>(s, d, tables, j, block, w),
            10 if many_registers::<S>() => scores::<S, 10, V, SIDE>(s, d, tables, j, block, w),
            _ => scores::<S, 5, V, SIDE>(s, d, tables, j, block, w),
        };
    }
    for v in 0..V {
        let mut max = s.zero();
        for w in &*w {
            max = s.max(max, s.load(&w[v]));
        }
        let mut sum = math::exp_nonpositive(s, s.sub(s.zero(), max));
        for w in &mut *w {
            let e = math::exp_nonpositive(s, s.sub(s.load(&w[v]), max));
            sum = s.add(sum, e);
            s.store(e, &mut w[v]);
        }
        let scale = s.div(s.splat(1.0), sum);
        for w in &mut *w {
            s.store(s.mul(s.load(&w[v]), scale), &mut w[v]);
        }
    }
}

/// The scaled scores of `R` rows from `j` on.
#[inline(always)]
fn scores<S: Simd, const R: usize, const V: usize, const SIDE: usize>(
    s: S,
    d: usize,
    tables: &Tables,
    j: usize,
    block: &[Line<V>],
    w: &mut [Line<V>],
) -> usize {
    let mut acc = [[s.zero(); V]; R];
    let block = block.as_chunks::<TILE>().0;
    for (k, tile) in tables.tiles().enumerate() {
        let c = &block[k];
        let rows = &tables.side::<SIDE>(tile).rest[j * TILE..];
        let c = c.as_flattened().as_flattened();
        acc = tile::strided(s, (rows, TILE, 1), (c, V * LANES), TILE, acc);
    }
    let scale = s.splat(1.0 / (d as f32).sqrt());
    let w = &mut w[..R];
    for r in 0..R {
        for v in 0..V {
            s.store(s.mul(acc[r][v], scale), &mut w[r][v]);
        }
    }
    R
}

/// Adds up the 16 partial sums of the lanes of vector `v`, in the order of [`Simd::reduce_sum`].
#[inline(always)]
fn reduce<S: Simd, const V: usize>(s: S, partial: &[Line<V>], v: usize) -> S::F32 {
    let mut eight = [s.zero(); 8];
    for i in 0..8 {
        eight[i] = s.add(s.load(&partial[i][v]), s.load(&partial[i + 8][v]));
    }
    let [a, b, c, d, e, f, g, h] = eight;
    let [a, b, c, d] = [s.add(a, e), s.add(b, f), s.add(c, g), s.add(d, h)];
    s.add(s.add(a, c), s.add(b, d))
}

pub(super) struct FixedScores<'a> {
    pub hc: &'a [f32],
    pub c: Rows<'a>,
    pub bias: &'a [f32],
    pub score: &'a mut [f32],
}

impl Kernel for FixedScores<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let n = self.bias.len();
        for (i, (score, bias)) in self.score.iter_mut().zip(self.bias).enumerate() {
            if self.c.ids.is_some() {
                let row = self.c.start((i + AHEAD).min(n - 1));
                for t in (0..self.hc.len()).step_by(LANES) {
                    prefetch_once(self.c.data, row + t);
                }
            }
            *score = dot(s, self.hc, self.c.row(i)) + bias;
        }
    }
}
