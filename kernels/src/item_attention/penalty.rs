//! The redundancy penalty (equation 21).

use crate::level::Level;
use crate::segment::{self, ranges};
use crate::simd::{Kernel, LANES, Simd};
use crate::small::{Coefs, Old, Rows, RowsMut, combine, load, store};

/// Floats of scratch that [`penalty`] and [`penalty_backward`] need.
pub fn penalty_scratch_len(r: usize) -> usize {
    r * r
}

/// Equation 21: the sum over samples of `||A A^T - I||_F^2`, with A stored event by event, `[N, r]`.
///
/// # Panics
/// If `a` is not `[N, r]` with `N` the end of `offsets`, or `scratch` is shorter than [`penalty_scratch_len`].
pub fn penalty(level: Level, r: usize, offsets: &[u32], a: &[f32], scratch: &mut [f32]) -> f64 {
    segment::check(offsets, segment::rows(a.len(), r));
    level.dispatch(Penalty { r, offsets, a, gram: &mut scratch[..r * r] })
}

/// `da += coef * 4 (A A^T - I) A`: the gradient of `coef *` [`penalty`].
///
/// # Panics
/// As [`penalty`].
pub fn penalty_backward(
    level: Level,
    r: usize,
    offsets: &[u32],
    a: &[f32],
    coef: f32,
    da: &mut [f32],
    scratch: &mut [f32],
) {
    segment::check(offsets, segment::rows(a.len(), r));
    assert_eq!(da.len(), a.len(), "A and dA differ in length");
    level.dispatch(PenaltyBackward { r, offsets, a, coef, da, gram: &mut scratch[..r * r] });
}

struct Penalty<'a> {
    r: usize,
    offsets: &'a [u32],
    a: &'a [f32],
    gram: &'a mut [f32],
}

impl Kernel for Penalty<'_> {
    type Output = f64;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f64 {
        let mut total = 0.0;
        for seg in ranges(self.offsets) {
            gram_minus_identity(s, self.r, &self.a[seg.start * self.r..seg.end * self.r], self.gram);
            let mut sample = 0.0;
            for &v in &*self.gram {
                sample += f64::from(v) * f64::from(v);
            }
            total += sample;
        }
        total
    }
}

struct PenaltyBackward<'a> {
    r: usize,
    offsets: &'a [u32],
    a: &'a [f32],
    coef: f32,
    da: &'a mut [f32],
    gram: &'a mut [f32],
}

impl Kernel for PenaltyBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { r, offsets, a, coef, da, gram } = self;
        for seg in ranges(offsets) {
            let n = seg.len();
            let at = seg.start * r..seg.end * r;
            gram_minus_identity(s, r, &a[at.clone()], gram);
            scale(s, 4.0 * coef, gram);
            // The Gram matrix is symmetric: event e's gradient is the combination of its rows by a[e, :].
            let coefs = Coefs { data: &a[at.clone()], row: r, term: 1 };
            combine(s, (n, r), coefs, Rows::new(gram, r), &mut RowsMut::new(&mut da[at], r), Old::Add);
        }
    }
}

/// `gram = A A^T - I`, `[r, r]`.
#[inline(always)]
fn gram_minus_identity<S: Simd>(s: S, r: usize, a: &[f32], gram: &mut [f32]) {
    let coefs = Coefs { data: a, row: 1, term: r };
    combine(s, (r, a.len() / r), coefs, Rows::new(a, r), &mut RowsMut::new(gram, r), Old::Forget);
    for h in 0..r {
        gram[h * r + h] -= 1.0;
    }
}

#[inline(always)]
fn scale<S: Simd>(s: S, c: f32, x: &mut [f32]) {
    for x in x.chunks_mut(LANES) {
        store(s, s.mul(s.splat(c), load(s, x)), x);
    }
}
