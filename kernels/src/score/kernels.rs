//! The loops over candidates.

use super::dims::Dims;
use super::tables::{self, Side, Tables};
use super::{Vanilla, group, many_registers};
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
const MOST_VECTORS: usize = 3;

/// Lines of scratch for a user with so many rows.
pub(super) const fn scratch_lines(d: usize, rows: usize, rows_hat: usize) -> usize {
    (d + rows + rows_hat + LANES + Dims::SCRATCH) * MOST_VECTORS
        + tables::scratch_len(d, rows, rows_hat).div_ceil(LANES)
}

impl Kernel for VanillaScores<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { user, c, bias, score, scratch } = self;
        let vectors = if many_registers::<S>() { MOST_VECTORS } else { 1 };
        let (width, n) = (vectors * LANES, bias.len());
        for i in 0..n.min(width) {
            prefetch_once(c.row(i));
        }
        let (d, (rows, rows_hat)) = (user.d, user.rows());
        let (lines, _) = aligned(scratch).as_chunks_mut::<LANES>();
        let (tables, lines) = lines.split_at_mut(tables::scratch_len(d, rows, rows_hat).div_ceil(LANES));
        let tables = &Tables::new(s, user, tables.as_flattened_mut());
        let mut first = 0;
        for (score, bias) in score.chunks_mut(width).zip(bias.chunks(width)) {
            let end = first + bias.len();
            let next = end..(end + width).min(n);
            let block = Block { tables, c, first, next, bias, score, lines };
            match bias.len().div_ceil(LANES) {
                3.. if many_registers::<S>() => block.run::<S, MOST_VECTORS>(s),
                2 if many_registers::<S>() => block.run::<S, 2>(s),
                _ => block.run::<S, 1>(s),
            }
            first = end;
        }
    }
}

/// Candidates that are computed together, one a lane.
struct Block<'a, 'b> {
    tables: &'a Tables<'a>,
    c: Rows<'a>,
    /// The row of the first.
    first: usize,
    /// Rows of the block after this one: they are fetched while this one is computed.
    next: Range<usize>,
    bias: &'a [f32],
    score: &'b mut [f32],
    /// Scratch.
    lines: &'b mut [[f32; LANES]],
}

impl Block<'_, '_> {
    /// At most `16 V` candidates.
    #[inline(always)]
    fn run<S: Simd, const V: usize>(self, s: S) {
        let Self { tables, c, first, next, bias, score, lines } = self;
        let d = tables.d;
        let rows = tables.side.rows.rest.len() / d;
        let rows_hat = tables.gated.map_or(0, |g| g.side.rows.rest.len() / d);
        let (block, lines) = lines.split_at_mut(d * V);
        let (w, lines) = lines.split_at_mut((rows + rows_hat) * V);
        let (partial, lines) = lines.split_at_mut(LANES * V);
        let (w, what) = w.split_at_mut(rows * V);

        for v in 0..bias.len().div_ceil(LANES) {
            let lanes = first + v * LANES..first + bias.len().min((v + 1) * LANES);
            let lanes = Lanes::new(c.data, d, lanes.map(|i| c.start(i)));
            transpose_lanes(s, &lanes, d, &mut block.as_flattened_mut()[v * LANES..], V * LANES);
        }
        weights::<S, V>(s, d, &tables.side, block, w);
        if let Some(gated) = &tables.gated {
            weights::<S, V>(s, d, &gated.side, block, what);
        }
        partial.fill([0.0; LANES]);
        let dims = Dims { tables, w, what, block, c, next };
        dims.add_dots::<S, V>(s, partial, lines);
        for (v, (score, bias)) in score.chunks_mut(LANES).zip(bias.chunks(LANES)).enumerate() {
            let sum = s.add(reduce(s, &partial[v..], V), load(s, bias));
            store(s, sum, score);
        }
    }
}

/// `pooling::weights` with candidates in the lanes: `w[j - 1, lane]` of the rows `j > 0`. The first row's score is 0.
#[inline(always)]
fn weights<S: Simd, const V: usize>(s: S, d: usize, side: &Side, block: &[[f32; LANES]], w: &mut [[f32; LANES]]) {
    let rows = w.len() / V;
    let mut j = 0;
    while j < rows {
        let keys = &side.keys[j * d..];
        let w = &mut w[j * V..];
        j += match group::<S>(rows - j) {
            1 => scores::<S, 1, V>(s, d, keys, block, w),
            2 => scores::<S, 2, V>(s, d, keys, block, w),
            3 => scores::<S, 3, V>(s, d, keys, block, w),
            4 => scores::<S, 4, V>(s, d, keys, block, w),
            9 if many_registers::<S>() => scores::<S, 9, V>(s, d, keys, block, w),
            10 if many_registers::<S>() => scores::<S, 10, V>(s, d, keys, block, w),
            _ => scores::<S, 5, V>(s, d, keys, block, w),
        };
    }
    let (w, _) = w.as_chunks_mut::<V>();
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

/// The scaled scores of `R` rows.
#[inline(always)]
fn scores<S: Simd, const R: usize, const V: usize>(
    s: S,
    d: usize,
    keys: &[f32],
    block: &[[f32; LANES]],
    w: &mut [[f32; LANES]],
) -> usize {
    let acc = tile::strided::<S, R, V>(s, (keys, 1, R), (block.as_flattened(), V * LANES), d, [[s.zero(); V]; R]);
    let scale = s.splat(1.0 / (d as f32).sqrt());
    let w = &mut w[..R * V];
    for r in 0..R {
        for v in 0..V {
            s.store(s.mul(acc[r][v], scale), &mut w[r * V + v]);
        }
    }
    R
}

/// Adds up the 16 partial sums of each lane, `step` lines apart, in the order of [`Simd::reduce_sum`].
#[inline(always)]
fn reduce<S: Simd>(s: S, partial: &[[f32; LANES]], step: usize) -> S::F32 {
    let mut sums = [s.zero(); LANES];
    for (sum, partial) in sums.iter_mut().zip(partial.iter().step_by(step)) {
        *sum = s.load(partial);
    }
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            sums[i] = s.add(sums[i], sums[i + half]);
        }
    }
    sums[0]
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
                prefetch_once(self.c.row((i + AHEAD).min(n - 1)));
            }
            *score = dot(s, self.hc, self.c.row(i)) + bias;
        }
    }
}
