//! The loops over candidates.

use super::Vanilla;
use crate::gate;
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
/// Most sums of whole vectors at a time.
const MOST_SUMS: usize = 16;

/// Lines of scratch for a user with so many rows.
pub(super) const fn scratch_lines(d: usize, rows: usize, rows_hat: usize) -> usize {
    (d + rows + rows_hat + LANES) * MOST_VECTORS + 3 * MOST_SUMS
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
        let mut first = 0;
        for (score, bias) in score.chunks_mut(width).zip(bias.chunks(width)) {
            let end = first + bias.len();
            let next = end..(end + width).min(n);
            let block = Block { user, c, first, next, bias, score, lines };
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
        let Self { user, c, first, next, bias, score, lines } = self;
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
        weights::<S, V>(s, d, user.m, block, w);
        if let Some(f) = &user.feature {
            weights::<S, V>(s, d, f.mhat, block, what);
        }
        partial.fill([0.0; LANES]);
        let step = next.len().div_ceil(d.div_ceil(LANES));
        let mut next = next;
        for at in (0..d).step_by(LANES) {
            for i in next.by_ref().take(step) {
                prefetch(c.row(i));
            }
            let dims = Dims { user, w, what, block, at, end: d.min(at + LANES) };
            if many_registers::<S>() {
                dims.add_dots::<S, 8, V>(s, partial, lines);
            } else {
                dims.add_dots::<S, 4, V>(s, partial, lines);
            }
        }
        for (v, (score, bias)) in score.chunks_mut(LANES).zip(bias.chunks(LANES)).enumerate() {
            let sum = s.add(reduce(s, &partial[v..], V), load(s, bias));
            store(s, sum, score);
        }
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
        // As many chains as the registers hold: with fewer than 8 the multipliers wait for results.
        j += match rows - j {
            1 => scores::<S, 1, V>(s, d, keys, block, w),
            2 => scores::<S, 2, V>(s, d, keys, block, w),
            3 => scores::<S, 3, V>(s, d, keys, block, w),
            4 => scores::<S, 4, V>(s, d, keys, block, w),
            10.. if many_registers::<S>() => scores::<S, 10, V>(s, d, keys, block, w),
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
    let acc = tile::strided::<S, R, V>(s, (keys, d, 1), (block.as_flattened(), V * LANES), d, [[s.zero(); V]; R]);
    let scale = s.splat(1.0 / (d as f32).sqrt());
    let w = &mut w[..R * V];
    for r in 0..R {
        for v in 0..V {
            s.store(s.mul(acc[r][v], scale), &mut w[r * V + v]);
        }
    }
    R
}

/// The dimensions `at..end`, at most 16, of a block.
struct Dims<'a> {
    user: &'a Vanilla<'a>,
    w: &'a [[f32; LANES]],
    what: &'a [[f32; LANES]],
    block: &'a [[f32; LANES]],
    at: usize,
    end: usize,
}

impl Dims<'_> {
    /// Adds `h_c * c` to the partial sums of [`crate::small::dot`], `T` dimensions at a time.
    #[inline(always)]
    fn add_dots<S: Simd, const T: usize, const V: usize>(
        &self,
        s: S,
        partial: &mut [[f32; LANES]],
        scratch: &mut [[f32; LANES]],
    ) {
        let mut t = self.at;
        while t < self.end {
            let partial = &mut partial[(t - self.at) * V..];
            t += match self.end - t {
                n if n >= T => self.tile::<S, T, V>(s, t, partial, scratch),
                _ => self.tile::<S, 1, V>(s, t, partial, scratch),
            };
        }
    }

    /// The `T` dimensions from `t`: pooled rows, the gate, and the product with the candidate.
    #[inline(always)]
    fn tile<S: Simd, const T: usize, const V: usize>(
        &self,
        s: S,
        t: usize,
        partial: &mut [[f32; LANES]],
        scratch: &mut [[f32; LANES]],
    ) -> usize {
        // The sums go through memory: their registers are needed for the next ones.
        let (h, scratch) = scratch.split_at_mut(T * V);
        let (hhat, scratch) = scratch.split_at_mut(T * V);
        let z = &mut scratch[..T * V];
        let c = &self.block[t * V..][..T * V];
        let zero = [[s.zero(); V]; T];
        store_all::<S, T, V>(s, self.pool::<S, T, V>(s, self.w, self.user.m, t, zero), h);
        let Some(f) = &self.user.feature else {
            for ((h, c), partial) in h.iter().zip(c).zip(partial) {
                s.store(s.mul_add(s.load(h), s.load(c), s.load(partial)), partial);
            }
            return T;
        };
        store_all::<S, T, V>(s, self.pool::<S, T, V>(s, self.what, f.mhat, t, zero), hhat);
        let mut sums = zero;
        for (sums, &bias) in sums.iter_mut().zip(&f.gate_bias[t..]) {
            *sums = [s.splat(bias); V];
        }
        sums = self.pool::<S, T, V>(s, self.w, f.gate_m, t, sums);
        sums = self.pool::<S, T, V>(s, self.what, f.gate_mhat, t, sums);
        store_all::<S, T, V>(s, sums, z);
        let gated = Gated { z, h, hhat, c };
        let mut k = 0;
        while k < T * V {
            k += if T * V - k >= 4 {
                gated.add_dots::<S, 4>(s, partial, k)
            } else {
                gated.add_dots::<S, 1>(s, partial, k)
            };
        }
        T
    }

    /// `start + sum_j w[j] * y[j, t..t + T]`, in the order of j.
    #[inline(always)]
    fn pool<S: Simd, const T: usize, const V: usize>(
        &self,
        s: S,
        w: &[[f32; LANES]],
        y: &[f32],
        t: usize,
        start: [[S::F32; V]; T],
    ) -> [[S::F32; V]; T] {
        let rows = w.len() / V;
        tile::strided::<S, T, V>(s, (&y[t..], 1, self.user.d), (w.as_flattened(), V * LANES), rows, start)
    }
}

#[inline(always)]
fn store_all<S: Simd, const T: usize, const V: usize>(s: S, sums: [[S::F32; V]; T], to: &mut [[f32; LANES]]) {
    let to = &mut to[..T * V];
    for i in 0..T {
        for v in 0..V {
            s.store(sums[i][v], &mut to[i * V + v]);
        }
    }
}

/// Lines before the gate, and those of the candidates.
struct Gated<'a> {
    z: &'a [[f32; LANES]],
    h: &'a [[f32; LANES]],
    hhat: &'a [[f32; LANES]],
    c: &'a [[f32; LANES]],
}

impl Gated<'_> {
    /// Adds the `h_c * c` of `N` lines from `k` to the partial sums.
    #[inline(always)]
    fn add_dots<S: Simd, const N: usize>(&self, s: S, partial: &mut [[f32; LANES]], k: usize) -> usize {
        let (z, h, hhat) = (&self.z[k..k + N], &self.h[k..k + N], &self.hhat[k..k + N]);
        let (c, partial) = (&self.c[k..k + N], &mut partial[k..k + N]);
        let mut f = [s.zero(); N];
        for i in 0..N {
            f[i] = s.load(&z[i]);
        }
        f = math::sigmoid_each(s, f);
        for i in 0..N {
            let hc = gate::mix(s, f[i], s.load(&h[i]), s.load(&hhat[i]));
            s.store(s.mul_add(hc, s.load(&c[i]), s.load(&partial[i])), &mut partial[i]);
        }
        N
    }
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
