//! The loops over candidates.

use super::Vanilla;
use super::dims::Dims;
use crate::level::Level;
use crate::math;
use crate::simd::tile::{self, Lanes};
use crate::simd::{AHEAD, Kernel, LANES, Simd, prefetch};
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
const MOST_VECTORS: usize = 2;

/// Lines of scratch for a user with so many rows.
pub(super) const fn scratch_lines(d: usize, rows: usize, rows_hat: usize) -> usize {
    (d + rows + rows_hat + LANES) * MOST_VECTORS + Dims::SCRATCH + keys_lines(d, rows) + keys_lines(d, rows_hat)
}

/// Lines of [`pack_keys`].
const fn keys_lines(d: usize, rows: usize) -> usize {
    (rows * d).div_ceil(LANES) + 1
}

/// Whether there are registers for 16 sums of whole vectors, and to spare.
const fn many_registers<S: Simd>() -> bool {
    matches!(S::LEVEL, Level::Avx512)
}

impl Kernel for VanillaScores<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { user, c, bias, score, scratch } = self;
        let vectors = if many_registers::<S>() { MOST_VECTORS } else { 1 };
        let (width, n) = (vectors * LANES, bias.len());
        let (lines, _) = aligned(scratch).as_chunks_mut::<LANES>();
        for i in 0..n.min(width) {
            prefetch(c.row(i));
        }
        let d = user.d;
        let (keys, lines) = lines.split_at_mut(keys_lines(d, user.m.len() / d));
        pack_keys(s, d, user.m, keys.as_flattened_mut());
        let mhat = user.feature.map_or(&[][..], |f| f.mhat);
        let (keys_hat, lines) = lines.split_at_mut(keys_lines(d, mhat.len() / d));
        pack_keys(s, d, mhat, keys_hat.as_flattened_mut());
        let keys = [keys.as_flattened(), keys_hat.as_flattened()];
        let mut first = 0;
        for (score, bias) in score.chunks_mut(width).zip(bias.chunks(width)) {
            let end = first + bias.len();
            let next = end..(end + width).min(n);
            let block = Block { user, keys, c, first, next, bias, score, lines };
            if many_registers::<S>() && bias.len() > LANES {
                block.run::<S, MOST_VECTORS>(s);
            } else {
                block.run::<S, 1>(s);
            }
            first = end;
        }
    }
}

/// Candidates that are computed together, one a lane.
struct Block<'a, 'b> {
    user: &'a Vanilla<'a>,
    /// M and Mhat as [`pack_keys`] lays them out.
    keys: [&'a [f32]; 2],
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
        let Self { user, keys, c, first, next, bias, score, lines } = self;
        let d = user.d;
        let rows = user.m.len() / d;
        let rows_hat = user.feature.map_or(0, |f| f.mhat.len() / d);
        let (block, lines) = lines.split_at_mut(d * V);
        let (w, lines) = lines.split_at_mut((rows + rows_hat) * V);
        let (partial, lines) = lines.split_at_mut(LANES * V);
        let (w, what) = w.split_at_mut(rows * V);

        for v in 0..bias.len().div_ceil(LANES) {
            let lanes = first + v * LANES..first + bias.len().min((v + 1) * LANES);
            let lanes = Lanes::new(lanes.map(|i| c.row(i)));
            transpose_lanes(s, &lanes, d, &mut block.as_flattened_mut()[v * LANES..], V * LANES);
        }
        weights::<S, V>(s, d, keys[0], block, w);
        weights::<S, V>(s, d, keys[1], block, what);
        partial.fill([0.0; LANES]);
        let dims = Dims { user, w, what, block, c, next };
        if many_registers::<S>() {
            dims.add_dots::<S, 8, V>(s, partial, lines);
        } else {
            dims.add_dots::<S, 4, V>(s, partial, lines);
        }
        for (v, (score, bias)) in score.chunks_mut(LANES).zip(bias.chunks(LANES)).enumerate() {
            let sum = s.add(reduce(s, &partial[v..], V), load(s, bias));
            store(s, sum, score);
        }
    }
}

/// How many of `left` rows the registers take at a time, as many chains as they hold: with fewer than 8 the multipliers
/// wait for results.
const fn group<S: Simd>(left: usize) -> usize {
    match left {
        10.. if many_registers::<S>() => 10,
        5.. => 5,
        _ => left,
    }
}

/// The rows of `keys`, by [`group`]: `[d, rows of the group]`. Side by side, as they are read: in rows some cache lines
/// apart they would all lie in one bank of the first level cache.
#[inline(always)]
fn pack_keys<S: Simd>(s: S, d: usize, keys: &[f32], out: &mut [f32]) {
    let rows = keys.len() / d;
    let mut j = 0;
    while j < rows {
        let n = group::<S>(rows - j);
        let lanes = Lanes::new(keys[j * d..(j + n) * d].chunks_exact(d));
        for at in (0..d).step_by(LANES) {
            let columns = s.transpose(lanes.load(s, at, d));
            for (t, column) in columns.into_iter().enumerate().take(d - at) {
                // What stands beyond the n is overwritten by the next.
                s.store(column, &mut out[j * d + (at + t) * n..]);
            }
        }
        j += n;
    }
}

/// `pooling::weights` with candidates in the lanes: `w[j, lane]`.
#[inline(always)]
fn weights<S: Simd, const V: usize>(s: S, d: usize, keys: &[f32], block: &[[f32; LANES]], w: &mut [[f32; LANES]]) {
    let rows = w.len() / V;
    let mut j = 0;
    while j < rows {
        let keys = &keys[j * d..];
        let w = &mut w[j * V..];
        j += match group::<S>(rows - j) {
            1 => scores::<S, 1, V>(s, d, keys, block, w),
            2 => scores::<S, 2, V>(s, d, keys, block, w),
            3 => scores::<S, 3, V>(s, d, keys, block, w),
            4 => scores::<S, 4, V>(s, d, keys, block, w),
            10 if many_registers::<S>() => scores::<S, 10, V>(s, d, keys, block, w),
            _ => scores::<S, 5, V>(s, d, keys, block, w),
        };
    }
    let (w, _) = w.as_chunks_mut::<V>();
    for v in 0..V {
        let mut max = s.splat(f32::NEG_INFINITY);
        for w in &*w {
            max = s.max(max, s.load(&w[v]));
        }
        let mut sum = s.zero();
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
                prefetch(self.c.row((i + AHEAD).min(n - 1)));
            }
            *score = dot(s, self.hc, self.c.row(i)) + bias;
        }
    }
}
