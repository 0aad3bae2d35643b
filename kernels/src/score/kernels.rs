//! The loops over candidates.

use super::{Feature, Vanilla};
use crate::gate;
use crate::level::Level;
use crate::math;
use crate::simd::{Kernel, LANES, Simd};
use crate::small::{Lines, aligned, dot, load, store};
use crate::transpose::transpose_rows;

pub(super) struct VanillaScores<'a> {
    pub user: &'a Vanilla<'a>,
    pub c: &'a [f32],
    pub bias: &'a [f32],
    pub score: &'a mut [f32],
    pub scratch: &'a mut [f32],
}

impl Kernel for VanillaScores<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { user, c, bias, score, scratch } = self;
        let d = user.d;
        let (block, scratch) = aligned(scratch).split_at_mut(d * LANES);
        let (w, scratch) = scratch.split_at_mut(user.m.len() / d * LANES);
        let (partial, scratch) = scratch.split_at_mut(LANES * LANES);
        let rows_hat = user.feature.map_or(0, |f| f.mhat.len() / d);
        let what = &mut scratch[..rows_hat * LANES];
        let scores = score.chunks_mut(LANES).zip(bias.chunks(LANES));
        for (c, (score, bias)) in c.chunks(LANES * d).zip(scores) {
            transpose_rows(s, c, d, block);
            weights(s, d, user.m, block, w);
            partial.fill(0.0);
            match &user.feature {
                None => pooled_dots(s, d, user.m, w, block, partial),
                Some(f) => {
                    weights(s, d, f.mhat, block, what);
                    let sides = Sides { d, m: user.m, f, w, what, block };
                    gated_dots(s, &sides, partial);
                }
            }
            let v = s.add(reduce(s, partial), load(s, bias));
            store(s, v, score);
        }
    }
}

/// `pooling::weights` with candidates in the lanes: `w[j, lane]`.
#[inline(always)]
fn weights<S: Simd>(s: S, d: usize, keys: &[f32], block: &[f32], w: &mut [f32]) {
    let rows = keys.len() / d;
    let mut j = 0;
    while j < rows {
        let keys = &keys[j * d..];
        let w = &mut w[j * LANES..];
        j += match rows - j {
            1 => scores::<S, 1>(s, d, keys, block, w),
            2 => scores::<S, 2>(s, d, keys, block, w),
            3 => scores::<S, 3>(s, d, keys, block, w),
            4 => scores::<S, 4>(s, d, keys, block, w),
            _ => scores::<S, 5>(s, d, keys, block, w),
        };
    }
    let mut max = s.splat(f32::NEG_INFINITY);
    for w in w.chunks_exact(LANES) {
        max = s.max(max, s.load(w));
    }
    let mut sum = s.zero();
    for w in w.chunks_exact_mut(LANES) {
        let e = math::exp_nonpositive(s, s.sub(s.load(w), max));
        sum = s.add(sum, e);
        s.store(e, w);
    }
    let scale = s.div(s.splat(1.0), sum);
    for w in w.chunks_exact_mut(LANES) {
        s.store(s.mul(s.load(w), scale), w);
    }
}

/// The scaled scores of `R` rows.
#[inline(always)]
fn scores<S: Simd, const R: usize>(s: S, d: usize, keys: &[f32], block: &[f32], w: &mut [f32]) -> usize {
    let mut acc = [s.zero(); R];
    let rows: [&[f32]; R] = core::array::from_fn(|j| &keys[j * d..][..d]);
    let (block, _) = block.as_chunks::<LANES>();
    for (t, c) in block[..d].iter().enumerate() {
        let c = s.load(c);
        for (acc, row) in acc.iter_mut().zip(rows) {
            *acc = s.mul_add(s.splat(row[t]), c, *acc);
        }
    }
    let scale = s.splat(1.0 / (d as f32).sqrt());
    for (acc, w) in acc.into_iter().zip(w.chunks_exact_mut(LANES)) {
        s.store(s.mul(acc, scale), w);
    }
    R
}

/// What the gated half of a block reads.
struct Sides<'a> {
    d: usize,
    m: &'a [f32],
    f: &'a Feature<'a>,
    w: &'a [f32],
    what: &'a [f32],
    block: &'a [f32],
}

/// Pooled rows, gate and product with the candidate, into the 16 partial sums of [`crate::small::dot`].
///
/// 16 dimensions at a time: first all their sums, then all their gates, so that the gates' long chains of operations
/// overlap.
#[inline(always)]
fn gated_dots<S: Simd>(s: S, p: &Sides, partial: &mut [f32]) {
    let (partial, _) = partial.as_chunks_mut::<LANES>();
    let (block, _) = p.block.as_chunks::<LANES>();
    let mut sums = [const { Lines([[0.0; LANES]; LANES]) }; 4];
    let [Lines(h), Lines(z), Lines(hhat), Lines(zhat)] = &mut sums;
    let mut t = 0;
    while t < p.d {
        let n = LANES.min(p.d - t);
        pool(s, p.d, p.w, (p.m, p.f.gate_m), t, (&mut h[..n], &mut z[..n]));
        pool(s, p.d, p.what, (p.f.mhat, p.f.gate_mhat), t, (&mut hhat[..n], &mut zhat[..n]));
        let candidates = block[t..t + n].iter().zip(&p.f.gate_bias[t..t + n]);
        let sums = h.iter().zip(&*hhat).zip(z.iter().zip(&*zhat));
        for (((c, bias), ((h, hhat), (z, zhat))), partial) in candidates.zip(sums).zip(&mut *partial) {
            let z = s.add(s.add(s.splat(*bias), s.load(z)), s.load(zhat));
            let (_, hc) = gate::fuse(s, z, s.load(h), s.load(hhat));
            s.store(s.mul_add(hc, s.load(c), s.load(partial)), partial);
        }
        t += LANES;
    }
}

/// The weighted sums of the rows of two tables, in the dimensions from `t` on: one for each line of the outputs.
#[inline(always)]
fn pool<S: Simd>(
    s: S,
    d: usize,
    w: &[f32],
    tables: (&[f32], &[f32]),
    t: usize,
    (out_a, out_b): (&mut [[f32; LANES]], &mut [[f32; LANES]]),
) {
    let n = out_a.len();
    let mut i = 0;
    while i < n {
        let out = (&mut out_a[i..], &mut out_b[i..]);
        // As many chains as the registers hold: fewer than 10 leave the multipliers waiting.
        i += match n - i {
            8.. if S::LEVEL == Level::Avx512 => pool_tile::<S, 8>(s, d, w, tables, t + i, out),
            1 => pool_tile::<S, 1>(s, d, w, tables, t + i, out),
            2 | 4 => pool_tile::<S, 2>(s, d, w, tables, t + i, out),
            _ => pool_tile::<S, 3>(s, d, w, tables, t + i, out),
        };
    }
}

#[inline(always)]
fn pool_tile<S: Simd, const T: usize>(
    s: S,
    d: usize,
    w: &[f32],
    (a, b): (&[f32], &[f32]),
    t: usize,
    (out_a, out_b): (&mut [[f32; LANES]], &mut [[f32; LANES]]),
) -> usize {
    let (mut sum_a, mut sum_b) = ([s.zero(); T], [s.zero(); T]);
    let mut at = t;
    for w in w.as_chunks::<LANES>().0 {
        let w = s.load(w);
        let (a, b) = (&a[at..at + T], &b[at..at + T]);
        for i in 0..T {
            sum_a[i] = s.mul_add(w, s.splat(a[i]), sum_a[i]);
            sum_b[i] = s.mul_add(w, s.splat(b[i]), sum_b[i]);
        }
        at += d;
    }
    for i in 0..T {
        s.store(sum_a[i], &mut out_a[i]);
        s.store(sum_b[i], &mut out_b[i]);
    }
    T
}

/// As [`gated_dots`] where `h_c = h`.
#[inline(always)]
fn pooled_dots<S: Simd>(s: S, d: usize, m: &[f32], w: &[f32], block: &[f32], partial: &mut [f32]) {
    let mut t = 0;
    while t < d {
        let end = (t + 4).min(d);
        let mut sum = [s.zero(); 4];
        for (m, w) in m.chunks_exact(d).zip(w.chunks_exact(LANES)) {
            let w = s.load(w);
            for (sum, &m) in sum.iter_mut().zip(&m[t..end]) {
                *sum = s.mul_add(w, s.splat(m), *sum);
            }
        }
        for (i, h) in sum.into_iter().take(end - t).enumerate() {
            add_product(s, h, &block[(t + i) * LANES..], t + i, partial);
        }
        t = end;
    }
}

/// Adds `hc * c` of dimension `t` to its partial sum.
#[inline(always)]
fn add_product<S: Simd>(s: S, hc: S::F32, c: &[f32], t: usize, partial: &mut [f32]) {
    let partial = &mut partial[t % LANES * LANES..][..LANES];
    s.store(s.mul_add(hc, s.load(c), s.load(partial)), partial);
}

/// Adds up the 16 partial sums of each lane in the order of [`Simd::reduce_sum`].
#[inline(always)]
fn reduce<S: Simd>(s: S, partial: &[f32]) -> S::F32 {
    let mut sums = [s.zero(); LANES];
    for (sum, partial) in sums.iter_mut().zip(partial.chunks_exact(LANES)) {
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
    pub c: &'a [f32],
    pub bias: &'a [f32],
    pub score: &'a mut [f32],
}

impl Kernel for FixedScores<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let rows = self.c.chunks_exact(self.hc.len());
        for (c, (score, bias)) in rows.zip(self.score.iter_mut().zip(self.bias)) {
            *score = dot(s, self.hc, c) + bias;
        }
    }
}
