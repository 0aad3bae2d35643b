//! Rows of candidates in fewer bytes than `f32`.

use crate::level::Level;
use crate::simd::{Kernel, LANES, Simd};

/// Rows `[n, d]` in another form than `f32`, one after the other.
#[derive(Clone, Copy, Debug)]
pub enum CompactRows<'a> {
    /// The upper halves of `f32`.
    Bf16(&'a [u16]),
    /// Row i is `scales[i] * codes[i, :]`, each product rounded to `f32`.
    Int8 {
        /// `[n, d]`.
        codes: &'a [i8],
        /// `[n]`.
        scales: &'a [f32],
    },
}

impl CompactRows<'_> {
    fn check(&self, d: usize, n: usize) {
        assert!(d > 0, "a candidate must be at least 1 wide");
        let (len, scales) = match self {
            Self::Bf16(rows) => (rows.len(), n),
            Self::Int8 { codes, scales } => (codes.len(), scales.len()),
        };
        assert_eq!(len, n * d, "{n} candidates of width {d}");
        assert_eq!(scales, n, "scales of {n} candidates");
    }
}

/// [`super::fixed`] for rows that are widened as they are read: `score[i] = hc . c[i] + bias[i]`.
///
/// The bits of [`super::fixed`] on the widened rows.
///
/// # Panics
/// If the lengths do not fit each other.
pub fn fixed_compact(level: Level, hc: &[f32], c: CompactRows, bias: &[f32], score: &mut [f32]) {
    assert_eq!(bias.len(), score.len(), "biases and scores");
    c.check(hc.len(), bias.len());
    match c {
        CompactRows::Bf16(rows) => level.dispatch(Bf16Scores { hc, rows, bias, score }),
        CompactRows::Int8 { codes, scales } => level.dispatch(Int8Scores { hc, codes, scales, bias, score }),
    }
}

struct Bf16Scores<'a> {
    hc: &'a [f32],
    rows: &'a [u16],
    bias: &'a [f32],
    score: &'a mut [f32],
}

impl Kernel for Bf16Scores<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (hs, h_rest) = self.hc.as_chunks::<LANES>();
        let rows = self.rows.chunks_exact(self.hc.len());
        for ((row, bias), score) in rows.zip(self.bias).zip(self.score) {
            let (cs, c_rest) = row.as_chunks::<LANES>();
            let cs = &cs[..hs.len()];
            let mut acc = s.zero();
            for i in 0..hs.len() {
                acc = s.mul_add(s.load(&hs[i]), s.widen_bf16(&cs[i]), acc);
            }
            if !h_rest.is_empty() {
                acc = s.mul_add(s.load_partial(h_rest), s.widen_bf16(&padded(c_rest)), acc);
            }
            *score = s.reduce_sum(acc) + bias;
        }
    }
}

struct Int8Scores<'a> {
    hc: &'a [f32],
    codes: &'a [i8],
    scales: &'a [f32],
    bias: &'a [f32],
    score: &'a mut [f32],
}

impl Kernel for Int8Scores<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (hs, h_rest) = self.hc.as_chunks::<LANES>();
        let rows = self.codes.chunks_exact(self.hc.len()).zip(self.scales);
        for (((row, scale), bias), score) in rows.zip(self.bias).zip(self.score) {
            let (cs, c_rest) = row.as_chunks::<LANES>();
            let (cs, scale) = (&cs[..hs.len()], s.splat(*scale));
            let mut acc = s.zero();
            for i in 0..hs.len() {
                acc = s.mul_add(s.load(&hs[i]), s.mul(scale, s.widen_i8(&cs[i])), acc);
            }
            if !h_rest.is_empty() {
                let c = s.mul(scale, s.widen_i8(&padded(c_rest)));
                acc = s.mul_add(s.load_partial(h_rest), c, acc);
            }
            *score = s.reduce_sum(acc) + bias;
        }
    }
}

/// At most 16 elements, and zeros.
#[inline(always)]
fn padded<T: Copy + Default>(x: &[T]) -> [T; LANES] {
    let mut lanes = [T::default(); LANES];
    lanes[..x.len()].copy_from_slice(x);
    lanes
}
