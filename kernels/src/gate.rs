//! The fusion gate (equation 16) and the score (17), on flat rows.

use crate::level::Level;
use crate::math::{MAGIC, one_plus_power};
use crate::segment;
use crate::simd::tile::{Meanwhile, all_steps};
use crate::simd::{Kernel, LANES, Simd};
use crate::small::{add_scaled, dot, load, store};

/// Equation 16: `f = sigmoid(z)`, `hc = f * h + (1 - f) * hhat`, where z is `W_f1 h + W_f2 hhat + b_f`.
///
/// All slices have the same length. `hc` is computed as `f * (h - hhat) + hhat`, rounded once after the difference:
/// [`crate::score`] repeats it.
///
/// # Panics
/// If the lengths differ.
pub fn forward(level: Level, z: &[f32], h: &[f32], hhat: &[f32], f: &mut [f32], hc: &mut [f32]) {
    same_len(&[z.len(), h.len(), hhat.len(), f.len(), hc.len()]);
    level.dispatch(Forward { z, h, hhat, f, hc });
}

/// The gradients of [`forward`], all added to.
///
/// # Panics
/// If the lengths differ.
#[allow(clippy::too_many_arguments)]
pub fn backward(
    level: Level,
    h: &[f32],
    hhat: &[f32],
    f: &[f32],
    dhc: &[f32],
    dz: &mut [f32],
    dh: &mut [f32],
    dhhat: &mut [f32],
) {
    same_len(&[f.len(), h.len(), hhat.len(), dhc.len(), dz.len(), dh.len(), dhhat.len()]);
    level.dispatch(Backward { h, hhat, f, dhc, dz, dh, dhhat });
}

/// Equation 17: `score[i] = x[i, :] . c[i, :] + bias[i]`, rows of width `d`.
///
/// The order of the sum: 16 partial sums (dimension t goes to sum `t % 16`), added up as
/// [`Simd::reduce_sum`] does, then the bias.
///
/// # Panics
/// If the lengths do not fit each other.
pub fn dot_rows(level: Level, d: usize, x: &[f32], c: &[f32], bias: &[f32], score: &mut [f32]) {
    same_len(&[x.len(), c.len()]);
    same_len(&[segment::rows(x.len(), d), bias.len(), score.len()]);
    level.dispatch(DotRows { d, x, c, bias, score });
}

/// The gradients of [`dot_rows`], all added to.
///
/// # Panics
/// If the lengths do not fit each other.
#[allow(clippy::too_many_arguments)]
pub fn dot_rows_backward(
    level: Level,
    d: usize,
    x: &[f32],
    c: &[f32],
    dscore: &[f32],
    dx: &mut [f32],
    dc: &mut [f32],
    dbias: &mut [f32],
) {
    same_len(&[x.len(), c.len(), dx.len(), dc.len()]);
    same_len(&[segment::rows(x.len(), d), dscore.len(), dbias.len()]);
    level.dispatch(DotRowsBackward { d, x, c, dscore, dx, dc, dbias });
}

fn same_len(lens: &[usize]) {
    assert!(lens.windows(2).all(|w| w[0] == w[1]), "slices of different lengths: {lens:?}");
}

/// The gate of 16 elements: (f, hc).
#[inline(always)]
pub(crate) fn fuse<S: Simd>(s: S, z: S::F32, h: S::F32, hhat: S::F32) -> (S::F32, S::F32) {
    let mut sigmoid = Sigmoids::new(s, [z]);
    all_steps(s, &mut sigmoid);
    let [f] = sigmoid.f;
    (f, mix(s, f, h, hhat))
}

/// 2^r for `|r| <= 1/2`, from the highest power down (error 9.2e-8).
#[allow(clippy::approx_constant, reason = "fitted: near ln 2, but not it")]
const POWER_OF_2: [f32; 6] = [1.326_465_9e-3, 9.671_566e-3, 5.550_734_3e-2, 0.240_222_41, 0.693_147, 1.0];

/// The gate's sigmoids of some vectors, within 1.5e-7 of the exact ones.
///
/// `1 / (1 + 2^y)` with `y = -z log2 e`, rounded: [`crate::math::sigmoid`] is as exact relative to results near 0 too, for
/// more multiplications. `y = n + r` with `|r| <= 1/2`, a polynomial for 2^r, and n into the exponent bits. In steps, which
/// [`crate::score`] puts between those of sums.
pub(crate) struct Sigmoids<S: Simd, const N: usize> {
    /// y, then r.
    r: [S::F32; N],
    /// As [`one_plus_power`] takes it.
    power: [S::F32; N],
    /// What becomes the result.
    pub f: [S::F32; N],
}

impl<S: Simd, const N: usize> Sigmoids<S, N> {
    /// To be computed by all its steps.
    #[inline(always)]
    pub fn new(s: S, z: [S::F32; N]) -> Self {
        let zero = [s.zero(); N];
        Self { r: z, power: zero, f: zero }
    }

    #[inline(always)]
    fn reduce(&mut self, s: S) {
        // 2^-100 is nothing beside 1, and 2^128.9 overflows, but not half of it, which is computed where it must not.
        let (low, high, minus_log2_e) = (s.splat(-100.0), s.splat(128.9), s.splat(-std::f32::consts::LOG2_E));
        let magic = s.splat(MAGIC - 1.0);
        for i in 0..N {
            // The second operand wins if unordered, so NaN passes.
            let y = s.max(low, s.min(high, s.mul(self.r[i], minus_log2_e)));
            let k = s.add(y, magic);
            let n = s.sub(k, magic);
            self.r[i] = s.sub(y, n);
            self.power[i] = s.power(k, n);
        }
        self.f = [s.splat(POWER_OF_2[0]); N];
    }

    #[inline(always)]
    fn power(&mut self, s: S, c: f32) {
        let c = s.splat(c);
        for i in 0..N {
            self.f[i] = s.mul_add(self.f[i], self.r[i], c);
        }
    }

    #[inline(always)]
    fn add_one(&mut self, s: S) {
        for i in 0..N {
            self.f[i] = one_plus_power(s, self.f[i], self.power[i], self.r[i]);
        }
    }
}

impl<S: Simd, const N: usize> Meanwhile<S> for Sigmoids<S, N> {
    #[inline(always)]
    fn step<const I: usize>(&mut self, s: S) {
        match I {
            0 => self.reduce(s),
            1..6 => self.power(s, POWER_OF_2[I]),
            6 => self.add_one(s),
            _ => {
                for f in &mut self.f {
                    *f = s.div(s.splat(1.0), *f);
                }
            }
        }
    }

    #[inline(always)]
    fn tie<const I: usize>(&mut self, s: S, mut sum: S::F32) -> S::F32 {
        for made in if I == 0 { &mut self.r } else { &mut self.f } {
            (sum, *made) = s.in_order(sum, *made);
        }
        sum
    }
}

/// `f h + (1 - f) hhat`.
#[inline(always)]
pub(crate) fn mix<S: Simd>(s: S, f: S::F32, h: S::F32, hhat: S::F32) -> S::F32 {
    s.mul_add(f, s.sub(h, hhat), hhat)
}

struct Forward<'a> {
    z: &'a [f32],
    h: &'a [f32],
    hhat: &'a [f32],
    f: &'a mut [f32],
    hc: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let read = self.z.chunks(LANES).zip(self.h.chunks(LANES)).zip(self.hhat.chunks(LANES));
        let write = self.f.chunks_mut(LANES).zip(self.hc.chunks_mut(LANES));
        for (((z, h), hhat), (f, hc)) in read.zip(write) {
            let (gate, fused) = fuse(s, load(s, z), load(s, h), load(s, hhat));
            store(s, gate, f);
            store(s, fused, hc);
        }
    }
}

struct Backward<'a> {
    h: &'a [f32],
    hhat: &'a [f32],
    f: &'a [f32],
    dhc: &'a [f32],
    dz: &'a mut [f32],
    dh: &'a mut [f32],
    dhhat: &'a mut [f32],
}

impl Kernel for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let one = s.splat(1.0);
        let mut at = 0;
        while at < self.f.len() {
            let end = (at + LANES).min(self.f.len());
            let (f, g) = (load(s, &self.f[at..end]), load(s, &self.dhc[at..end]));
            let difference = s.sub(load(s, &self.h[at..end]), load(s, &self.hhat[at..end]));
            let rest = s.sub(one, f);
            let (dz, dh, dhhat) = (&mut self.dz[at..end], &mut self.dh[at..end], &mut self.dhhat[at..end]);
            let v = s.mul_add(s.mul(g, difference), s.mul(f, rest), load(s, dz));
            store(s, v, dz);
            let v = s.mul_add(g, f, load(s, dh));
            store(s, v, dh);
            let v = s.mul_add(g, rest, load(s, dhhat));
            store(s, v, dhhat);
            at = end;
        }
    }
}

struct DotRows<'a> {
    d: usize,
    x: &'a [f32],
    c: &'a [f32],
    bias: &'a [f32],
    score: &'a mut [f32],
}

impl Kernel for DotRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let rows = self.x.chunks_exact(self.d).zip(self.c.chunks_exact(self.d));
        for ((x, c), (score, bias)) in rows.zip(self.score.iter_mut().zip(self.bias)) {
            *score = dot(s, x, c) + bias;
        }
    }
}

struct DotRowsBackward<'a> {
    d: usize,
    x: &'a [f32],
    c: &'a [f32],
    dscore: &'a [f32],
    dx: &'a mut [f32],
    dc: &'a mut [f32],
    dbias: &'a mut [f32],
}

impl Kernel for DotRowsBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let d = self.d;
        for (i, &ds) in self.dscore.iter().enumerate() {
            add_scaled(s, ds, &self.c[i * d..][..d], &mut self.dx[i * d..][..d]);
            add_scaled(s, ds, &self.x[i * d..][..d], &mut self.dc[i * d..][..d]);
            self.dbias[i] += ds;
        }
    }
}
