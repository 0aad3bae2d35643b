//! The losses (equations 18 to 20; BPR for the baseline) and sums of squares (equation 22), summed in `f64` from first to last.

use crate::level::Level;
use crate::math;
use crate::simd::{Kernel, LANES, Simd};
use crate::small::{load, store};

/// Equation 20: `weight *` the sum of the binary cross entropies of all scores, and its gradient, written to `dscore`.
///
/// `scores` is `[B, candidates]`: column 0 is the positive, the others are negatives. For the mean over a batch of B samples
/// `weight` is `1 / (candidates * B)`. Stable for scores of any size; a NaN among the scores gives a NaN.
///
/// # Panics
/// If `candidates` is 0 or does not divide the number of scores, or `dscore` differs in length.
pub fn bce(level: Level, scores: &[f32], candidates: usize, weight: f32, dscore: &mut [f32]) -> f64 {
    check_rows(scores, candidates, dscore);
    level.dispatch(Bce { scores, candidates, weight, dscore })
}

/// BPR: `weight *` the sum of `-ln sigmoid(positive - negative)`, and its gradients, written.
///
/// # Panics
/// If the lengths differ.
pub fn bpr(
    level: Level,
    positive: &[f32],
    negative: &[f32],
    weight: f32,
    dpositive: &mut [f32],
    dnegative: &mut [f32],
) -> f64 {
    let n = positive.len();
    assert_eq!((negative.len(), dpositive.len(), dnegative.len()), (n, n, n), "BPR's slices differ in length");
    level.dispatch(Bpr { positive, negative, weight, dpositive, dnegative })
}

/// A score that does not count in [`cross_entropy`].
pub const MASKED: f32 = f32::NEG_INFINITY;

/// Equations 18 and 19: `weight *` the sum over rows of `ln sum_j e^{s_j} - s_0`, and its gradient, written to `dscore`.
///
/// `scores` is `[B, candidates]`: column 0 is the target. Scores of [`MASKED`] do not count. Stable for scores of any size;
/// a NaN among the scores gives a NaN.
///
/// # Panics
/// If `candidates` is 0 or does not divide the number of scores, or `dscore` differs in length.
pub fn cross_entropy(level: Level, scores: &[f32], candidates: usize, weight: f32, dscore: &mut [f32]) -> f64 {
    check_rows(scores, candidates, dscore);
    level.dispatch(CrossEntropy { scores, candidates, weight, dscore })
}

/// The sum of the squares, in `f64`: 16 partial sums, added up from first to last. The same bits on every level.
pub fn sum_squares(level: Level, x: &[f32]) -> f64 {
    level.dispatch(SumSquares(x))
}

/// Checks the shapes of scores `[B, candidates]` and of their gradient.
fn check_rows(scores: &[f32], candidates: usize, dscore: &[f32]) {
    assert!(candidates > 0, "a sample needs at least one candidate");
    assert_eq!(scores.len() % candidates, 0, "{} scores for {candidates} candidates each", scores.len());
    assert_eq!(dscore.len(), scores.len(), "scores and gradients differ in length");
}

struct Bce<'a> {
    scores: &'a [f32],
    candidates: usize,
    weight: f32,
    dscore: &'a mut [f32],
}

impl Kernel for Bce<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f64 {
        let weight = s.splat(self.weight);
        let mut loss = 0.0;
        let mut column = 0;
        for (x, dx) in self.scores.chunks(LANES).zip(self.dscore.chunks_mut(LANES)) {
            // -ln sigmoid(s) = softplus(-s) for a positive, -ln(1 - sigmoid(s)) = softplus(s) for a negative.
            let mut sign = [1.0; LANES];
            for sign in &mut sign[..x.len()] {
                if column == 0 {
                    *sign = -1.0;
                }
                column = if column + 1 == self.candidates { 0 } else { column + 1 };
            }
            let sign = s.load(&sign);
            let v = s.mul(sign, load(s, x));
            store(s, s.mul(s.mul(weight, sign), math::sigmoid(s, v)), dx);
            loss += sum(s, math::softplus(s, v), x.len());
        }
        loss * f64::from(self.weight)
    }
}

struct CrossEntropy<'a> {
    scores: &'a [f32],
    candidates: usize,
    weight: f32,
    dscore: &'a mut [f32],
}

impl Kernel for CrossEntropy<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f64 {
        let mut loss = 0.0;
        for (x, dx) in self.scores.chunks_exact(self.candidates).zip(self.dscore.chunks_exact_mut(self.candidates)) {
            let mut most = s.splat(f32::MIN);
            for x in x.chunks(LANES) {
                // The rest of a last vector is the target again, which changes no maximum.
                let mut lanes = [x[0]; LANES];
                lanes[..x.len()].copy_from_slice(x);
                most = s.max(s.load(&lanes), most);
            }
            let most = s.reduce_max(most);
            let mut total = 0.0;
            for (x, dx) in x.chunks(LANES).zip(dx.chunks_mut(LANES)) {
                let e = math::exp_nonpositive(s, s.sub(load(s, x), s.splat(most)));
                store(s, e, dx);
                total += sum(s, e, x.len());
            }
            loss += total.ln() + (f64::from(most) - f64::from(x[0]));
            let share = s.splat((f64::from(self.weight) / total) as f32);
            for dx in dx.chunks_mut(LANES) {
                store(s, s.mul(load(s, dx), share), dx);
            }
            dx[0] -= self.weight;
        }
        loss * f64::from(self.weight)
    }
}

struct Bpr<'a> {
    positive: &'a [f32],
    negative: &'a [f32],
    weight: f32,
    dpositive: &'a mut [f32],
    dnegative: &'a mut [f32],
}

impl Kernel for Bpr<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f64 {
        let weight = s.splat(self.weight);
        let mut loss = 0.0;
        let read = self.positive.chunks(LANES).zip(self.negative.chunks(LANES));
        let write = self.dpositive.chunks_mut(LANES).zip(self.dnegative.chunks_mut(LANES));
        for ((positive, negative), (dpositive, dnegative)) in read.zip(write) {
            let v = s.sub(load(s, negative), load(s, positive));
            let g = s.mul(weight, math::sigmoid(s, v));
            store(s, s.sub(s.zero(), g), dpositive);
            store(s, g, dnegative);
            loss += sum(s, math::softplus(s, v), positive.len());
        }
        loss * f64::from(self.weight)
    }
}

struct SumSquares<'a>(&'a [f32]);

impl Kernel for SumSquares<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self, _s: S) -> f64 {
        let mut acc = [0.0; LANES];
        let (full, rest) = self.0.as_chunks::<LANES>();
        for x in full {
            for (acc, &x) in acc.iter_mut().zip(x) {
                let x = f64::from(x);
                *acc += x * x;
            }
        }
        for (acc, &x) in acc.iter_mut().zip(rest) {
            let x = f64::from(x);
            *acc += x * x;
        }
        let mut total = 0.0;
        for v in acc {
            total += v;
        }
        total
    }
}

/// The first `n` lanes, added in `f64`.
#[inline(always)]
fn sum<S: Simd>(s: S, v: S::F32, n: usize) -> f64 {
    let mut total = 0.0;
    for &v in &s.to_array(v)[..n] {
        total += f64::from(v);
    }
    total
}
