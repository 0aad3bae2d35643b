//! Rows of candidates as they are stored: in `f32` or fewer bytes, whole, or without a second part that many share.

use crate::level::Level;
use crate::simd::{Kernel, LANES, Simd};

/// Rows `[n, d]`, one after the other.
#[derive(Clone, Copy, Debug)]
pub enum StoredRows<'a> {
    /// As they are.
    F32(&'a [f32]),
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

/// What stands behind each row: one of a few rows, such as those of the items' categories.
#[derive(Clone, Copy, Debug)]
pub struct Second<'a> {
    /// `[rows, width]`.
    pub table: &'a [f32],
    /// Its width.
    pub width: usize,
    /// `[n]`: which row stands behind each candidate's own.
    pub of: &'a [u32],
}

impl Second<'_> {
    #[inline(always)]
    fn row(&self, i: usize) -> &[f32] {
        let at = self.of[i] as usize * self.width;
        &self.table[at..at + self.width]
    }
}

impl StoredRows<'_> {
    fn check(&self, d: usize, n: usize) {
        assert!(d > 0, "a candidate must be at least 1 wide");
        let (len, scales) = match self {
            Self::F32(rows) => (rows.len(), n),
            Self::Bf16(rows) => (rows.len(), n),
            Self::Int8 { codes, scales } => (codes.len(), scales.len()),
        };
        assert_eq!(len, n * d, "{n} candidates of width {d}");
        assert_eq!(scales, n, "scales of {n} candidates");
    }
}

/// [`super::fixed`] for rows that are widened as they are read: `score[i] = hc . [c[i]; second[of[i]]] + bias[i]`.
///
/// The bits of [`super::fixed`] on the widened, whole rows.
///
/// # Panics
/// If the lengths do not fit each other, a second part is not in its table, or stands behind rows whose width is no
/// multiple of 16.
pub fn fixed_stored(level: Level, hc: &[f32], c: StoredRows, second: Option<Second>, bias: &[f32], score: &mut [f32]) {
    assert_eq!(bias.len(), score.len(), "biases and scores");
    let (n, behind) = (bias.len(), second.map_or(0, |second| second.width));
    let width = hc.len().checked_sub(behind).expect("the second part is wider than the whole");
    c.check(width, n);
    if let Some(second) = second {
        assert!(width.is_multiple_of(LANES), "a second part behind {width} numbers");
        assert_eq!(second.of.len(), n, "second parts of {n} candidates");
    }
    level.dispatch(StoredScores { hc, width, c, second, bias, score });
}

struct StoredScores<'a> {
    hc: &'a [f32],
    width: usize,
    c: StoredRows<'a>,
    second: Option<Second<'a>>,
    bias: &'a [f32],
    score: &'a mut [f32],
}

impl Kernel for StoredScores<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        match self.c {
            StoredRows::F32(rows) => self.each(s, rows, Whole),
            StoredRows::Bf16(rows) => self.each(s, rows, Halves),
            StoredRows::Int8 { codes, scales } => self.each(s, codes, Codes(scales)),
        }
    }
}

impl StoredScores<'_> {
    #[inline(always)]
    fn each<S: Simd, W: Widen<S>>(&mut self, s: S, rows: &[W::Stored], form: W) {
        let (first, last) = self.hc.split_at(self.width);
        let to = self.score.iter_mut().zip(self.bias);
        for (i, (row, (score, bias))) in rows.chunks_exact(self.width).zip(to).enumerate() {
            let own = dot::<S, W>(s, first, row, form.scale(s, i), s.zero());
            let sum = match &self.second {
                Some(second) => dot::<S, Whole>(s, last, second.row(i), (), own),
                None => own,
            };
            *score = s.reduce_sum(sum) + bias;
        }
    }
}

/// How the elements of rows are widened.
trait Widen<S: Simd>: Copy {
    type Stored: Copy + Default;
    /// What a row has beside its elements.
    type Scale: Copy;
    fn scale(self, s: S, i: usize) -> Self::Scale;
    fn widen(s: S, scale: Self::Scale, x: &[Self::Stored; LANES]) -> S::F32;
}

#[derive(Clone, Copy)]
struct Whole;

impl<S: Simd> Widen<S> for Whole {
    type Stored = f32;
    type Scale = ();

    #[inline(always)]
    fn scale(self, _: S, _: usize) {}

    #[inline(always)]
    fn widen(s: S, (): (), x: &[f32; LANES]) -> S::F32 {
        s.load(x)
    }
}

#[derive(Clone, Copy)]
struct Halves;

impl<S: Simd> Widen<S> for Halves {
    type Stored = u16;
    type Scale = ();

    #[inline(always)]
    fn scale(self, _: S, _: usize) {}

    #[inline(always)]
    fn widen(s: S, (): (), x: &[u16; LANES]) -> S::F32 {
        s.widen_bf16(x)
    }
}

/// The rows' scales.
#[derive(Clone, Copy)]
struct Codes<'a>(&'a [f32]);

impl<S: Simd> Widen<S> for Codes<'_> {
    type Stored = i8;
    type Scale = S::F32;

    #[inline(always)]
    fn scale(self, s: S, i: usize) -> S::F32 {
        s.splat(self.0[i])
    }

    #[inline(always)]
    fn widen(s: S, scale: S::F32, x: &[i8; LANES]) -> S::F32 {
        s.mul(scale, s.widen_i8(x))
    }
}

/// [`crate::small::dot`] with a row that is widened as it is read, added to `acc`, and its lanes still to be summed.
#[inline(always)]
fn dot<S: Simd, W: Widen<S>>(s: S, hc: &[f32], row: &[W::Stored], scale: W::Scale, mut acc: S::F32) -> S::F32 {
    let ((hs, h_rest), (cs, c_rest)) = (hc.as_chunks::<LANES>(), row.as_chunks::<LANES>());
    let cs = &cs[..hs.len()];
    for i in 0..hs.len() {
        acc = s.mul_add(s.load(&hs[i]), W::widen(s, scale, &cs[i]), acc);
    }
    if !h_rest.is_empty() {
        acc = s.mul_add(s.load_partial(h_rest), W::widen(s, scale, &padded(c_rest)), acc);
    }
    acc
}

/// At most 16 elements, and zeros.
#[inline(always)]
fn padded<T: Copy + Default>(x: &[T]) -> [T; LANES] {
    let mut lanes = [T::default(); LANES];
    lanes[..x.len()].copy_from_slice(x);
    lanes
}
