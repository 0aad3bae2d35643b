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
    level.dispatch(CompactScores { hc, c, bias, score });
}

struct CompactScores<'a> {
    hc: &'a [f32],
    c: CompactRows<'a>,
    bias: &'a [f32],
    score: &'a mut [f32],
}

impl Kernel for CompactScores<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { hc, c, bias, score } = self;
        let to = score.iter_mut().zip(bias);
        match c {
            CompactRows::Bf16(rows) => {
                for (row, (score, bias)) in rows.chunks_exact(hc.len()).zip(to) {
                    *score = dot(s, hc, row, Halves) + bias;
                }
            }
            CompactRows::Int8 { codes, scales } => {
                let rows = codes.chunks_exact(hc.len()).zip(scales);
                for ((row, scale), (score, bias)) in rows.zip(to) {
                    *score = dot(s, hc, row, Codes(s.splat(*scale))) + bias;
                }
            }
        }
    }
}

/// How the elements of a row are widened.
trait Widen<S: Simd>: Copy {
    type Stored: Copy + Default;
    fn widen(self, s: S, x: &[Self::Stored; LANES]) -> S::F32;
}

#[derive(Clone, Copy)]
struct Halves;

impl<S: Simd> Widen<S> for Halves {
    type Stored = u16;

    #[inline(always)]
    fn widen(self, s: S, x: &[u16; LANES]) -> S::F32 {
        s.widen_bf16(x)
    }
}

/// The row's scale in every lane.
#[derive(Clone, Copy)]
struct Codes<V>(V);

impl<S: Simd> Widen<S> for Codes<S::F32> {
    type Stored = i8;

    #[inline(always)]
    fn widen(self, s: S, x: &[i8; LANES]) -> S::F32 {
        s.mul(self.0, s.widen_i8(x))
    }
}

/// [`crate::small::dot`] with a row that is widened as it is read.
#[inline(always)]
fn dot<S: Simd, W: Widen<S>>(s: S, hc: &[f32], row: &[W::Stored], form: W) -> f32 {
    let ((hs, h_rest), (cs, c_rest)) = (hc.as_chunks::<LANES>(), row.as_chunks::<LANES>());
    let cs = &cs[..hs.len()];
    let mut acc = s.zero();
    for i in 0..hs.len() {
        acc = s.mul_add(s.load(&hs[i]), form.widen(s, &cs[i]), acc);
    }
    if !h_rest.is_empty() {
        acc = s.mul_add(s.load_partial(h_rest), form.widen(s, &padded(c_rest)), acc);
    }
    s.reduce_sum(acc)
}

/// At most 16 elements, and zeros.
#[inline(always)]
fn padded<T: Copy + Default>(x: &[T]) -> [T; LANES] {
    let mut lanes = [T::default(); LANES];
    lanes[..x.len()].copy_from_slice(x);
    lanes
}
