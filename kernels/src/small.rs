//! Products of matrices that are too small to pack: a few hops, candidates or events on one side.
//!
//! The order of every sum depends on the sum's own terms only, never on the tile that it is computed in:
//! a sample gives the same bits alone and in a batch.

use crate::simd::{Kernel, LANES, Simd, tile};

/// Rows of a matrix, or the columns `first..first + width` of them; `ids` looks rows up.
#[derive(Clone, Copy)]
pub(crate) struct Rows<'a> {
    pub data: &'a [f32],
    pub ids: Option<&'a [u32]>,
    pub first: usize,
    pub stride: usize,
    pub width: usize,
}

impl<'a> Rows<'a> {
    /// All rows of `data`, which is `[_, d]`.
    #[inline(always)]
    pub fn new(data: &'a [f32], d: usize) -> Self {
        Self { data, ids: None, first: 0, stride: d, width: d }
    }

    /// The rows that `ids` names.
    #[inline(always)]
    pub fn lookup(data: &'a [f32], ids: &'a [u32], d: usize) -> Self {
        Self { ids: Some(ids), ..Self::new(data, d) }
    }

    #[inline(always)]
    pub fn row(self, i: usize) -> &'a [f32] {
        &self.data[self.start(i)..][..self.width]
    }

    /// Where row `i` begins in `data`.
    #[inline(always)]
    pub fn start(self, i: usize) -> usize {
        self.first + self.ids.map_or(i, |ids| ids[i] as usize) * self.stride
    }
}

/// As [`Rows`], to be written.
pub(crate) struct RowsMut<'a> {
    pub data: &'a mut [f32],
    pub ids: Option<&'a [u32]>,
    pub first: usize,
    pub stride: usize,
    pub width: usize,
}

impl<'a> RowsMut<'a> {
    /// All rows of `data`, which is `[_, d]`.
    #[inline(always)]
    pub fn new(data: &'a mut [f32], d: usize) -> Self {
        Self { data, ids: None, first: 0, stride: d, width: d }
    }

    #[inline(always)]
    pub fn row(&mut self, i: usize) -> &mut [f32] {
        let i = self.ids.map_or(i, |ids| ids[i] as usize);
        &mut self.data[self.first + i * self.stride..][..self.width]
    }
}

/// Coefficients: `(i, t)` stands at `data[i * row + t * term]`.
#[derive(Clone, Copy)]
pub(crate) struct Coefs<'a> {
    pub data: &'a [f32],
    pub row: usize,
    pub term: usize,
}

/// What [`combine`] does with what `out` holds.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Old {
    /// Overwritten.
    Forget,
    /// The finished sum is added to it, row after row: looked-up rows may repeat.
    Add,
}

/// `out[i, :] = sum_t coefs(i, t) * src[t, :]` for `i < m`, `t < terms`, with the old values treated as `old` says.
///
/// One chain of `mul_add` in the order of `t`.
#[inline(always)]
pub(crate) fn combine<S: Simd>(s: S, (m, terms): (usize, usize), coefs: Coefs, src: Rows, out: &mut RowsMut, old: Old) {
    // A function of its own: the tiles are much code, and there are many callers.
    s.call(Combine { m, terms, coefs, src, out, old });
}

struct Combine<'a, 'o, 'r> {
    m: usize,
    terms: usize,
    coefs: Coefs<'a>,
    src: Rows<'a>,
    out: &'o mut RowsMut<'r>,
    old: Old,
}

impl Kernel for Combine<'_, '_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { m, terms, coefs, src, out, old } = self;
        let mut i = 0;
        while i < m {
            i += match m - i {
                1 => combine_tile::<S, 1>(s, i, terms, coefs, src, out, old),
                2 => combine_tile::<S, 2>(s, i, terms, coefs, src, out, old),
                3 => combine_tile::<S, 3>(s, i, terms, coefs, src, out, old),
                4 => combine_tile::<S, 4>(s, i, terms, coefs, src, out, old),
                _ => combine_tile::<S, 5>(s, i, terms, coefs, src, out, old),
            }
        }
    }
}

/// Vectors that [`combine`] takes at a time where there are registers for their sums.
const WIDE: usize = 4;

#[inline(always)]
fn combine_tile<S: Simd, const H: usize>(
    s: S,
    first: usize,
    terms: usize,
    coefs: Coefs,
    src: Rows,
    out: &mut RowsMut,
    old: Old,
) -> usize {
    // Without terms there may be no rows to point at.
    let contiguous = terms > 0 && src.ids.is_none();
    let mut at = 0;
    while at < src.width {
        let left = src.width - at;
        // Several vectors at a time, where there are registers: the sums of one are too few to keep the multipliers busy.
        if contiguous && S::TILE_VECTORS > 2 && left >= WIDE * LANES {
            combine_columns::<S, H, WIDE>(s, first, terms, coefs, src, at, out, old);
            at += WIDE * LANES;
        } else if contiguous && left >= LANES {
            combine_columns::<S, H, 1>(s, first, terms, coefs, src, at, out, old);
            at += LANES;
        } else {
            let end = (at + LANES).min(src.width);
            let mut acc = [s.zero(); H];
            for t in 0..terms {
                let x = load(s, &src.row(t)[at..end]);
                for (h, acc) in acc.iter_mut().enumerate() {
                    let c = coefs.data[(first + h) * coefs.row + t * coefs.term];
                    *acc = s.mul_add(s.splat(c), x, *acc);
                }
            }
            for (h, acc) in acc.into_iter().enumerate() {
                let row = &mut out.row(first + h)[at..end];
                let v = if old == Old::Add { s.add(load(s, row), acc) } else { acc };
                store(s, v, row);
            }
            at = end;
        }
    }
    H
}

/// The `C` whole vectors from column `at` of [`combine_tile`], where the rows of `src` lie one after the other.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn combine_columns<S: Simd, const H: usize, const C: usize>(
    s: S,
    first: usize,
    terms: usize,
    coefs: Coefs,
    src: Rows,
    at: usize,
    out: &mut RowsMut,
    old: Old,
) {
    let coefs = (&coefs.data[first * coefs.row..], coefs.row, coefs.term);
    let columns = (&src.data[src.first + at..], src.stride);
    let acc = tile::strided::<S, H, C>(s, coefs, columns, terms, [[s.zero(); C]; H]);
    for (h, acc) in acc.into_iter().enumerate() {
        let row = &mut out.row(first + h)[at..][..C * LANES];
        for (c, acc) in acc.into_iter().enumerate() {
            let to = &mut row[c * LANES..];
            let v = if old == Old::Add { s.add(s.load(to), acc) } else { acc };
            s.store(v, to);
        }
    }
}

/// `out[i * stride + h] += x[i, :] . y[h, :]` for `i < m`, `h < n`.
#[inline(always)]
pub(crate) fn add_dots<S: Simd>(s: S, (m, n): (usize, usize), x: Rows, y: Rows, out: &mut [f32], stride: usize) {
    s.call(AddDots { m, n, x, y, out, stride });
}

struct AddDots<'a> {
    m: usize,
    n: usize,
    x: Rows<'a>,
    y: Rows<'a>,
    out: &'a mut [f32],
    stride: usize,
}

impl Kernel for AddDots<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { m, n, x, y, out, stride } = self;
        for i in 0..m {
            let x = x.row(i);
            let out = &mut out[i * stride..][..n];
            let mut h = 0;
            while h < n {
                h += match n - h {
                    1 => dots_tile::<S, 1>(s, x, y, h, out),
                    2 => dots_tile::<S, 2>(s, x, y, h, out),
                    3 => dots_tile::<S, 3>(s, x, y, h, out),
                    4 => dots_tile::<S, 4>(s, x, y, h, out),
                    _ => dots_tile::<S, 5>(s, x, y, h, out),
                }
            }
        }
    }
}

#[inline(always)]
fn dots_tile<S: Simd, const H: usize>(s: S, x: &[f32], y: Rows, first: usize, out: &mut [f32]) -> usize {
    let mut acc = [s.zero(); H];
    let mut at = 0;
    if y.ids.is_none() {
        at = x.len() - x.len() % LANES;
        acc = tile::dots(s, &x[..at], (&y.data[y.first + first * y.stride..], y.stride));
    }
    while at < x.len() {
        let end = (at + LANES).min(x.len());
        let v = load(s, &x[at..end]);
        for (h, acc) in acc.iter_mut().enumerate() {
            *acc = s.mul_add(v, load(s, &y.row(first + h)[at..end]), *acc);
        }
        at = end;
    }
    for (h, acc) in acc.into_iter().enumerate() {
        out[first + h] += s.reduce_sum(acc);
    }
    H
}

/// `x . y`, as 16 partial sums that [`Simd::reduce_sum`] adds up: the order that [`crate::score`] repeats.
#[inline(always)]
pub(crate) fn dot<S: Simd>(s: S, x: &[f32], y: &[f32]) -> f32 {
    let mut acc = s.zero();
    let ((xs, x_rest), (ys, y_rest)) = (x.as_chunks::<LANES>(), y[..x.len()].as_chunks::<LANES>());
    let ys = &ys[..xs.len()];
    for i in 0..xs.len() {
        acc = s.mul_add(s.load(&xs[i]), s.load(&ys[i]), acc);
    }
    if !x_rest.is_empty() {
        acc = s.mul_add(s.load_partial(x_rest), s.load_partial(y_rest), acc);
    }
    s.reduce_sum(acc)
}

/// `y += x`.
#[inline(always)]
pub(crate) fn add<S: Simd>(s: S, x: &[f32], y: &mut [f32]) {
    let ((xs, x_rest), (ys, y_rest)) = (x.as_chunks::<LANES>(), y[..x.len()].as_chunks_mut::<LANES>());
    let ys = &mut ys[..xs.len()];
    for i in 0..xs.len() {
        s.store(s.add(s.load(&ys[i]), s.load(&xs[i])), &mut ys[i]);
    }
    if !y_rest.is_empty() {
        s.store_partial(s.add(s.load_partial(y_rest), s.load_partial(x_rest)), y_rest);
    }
}

/// `y += c * x`.
#[inline(always)]
pub(crate) fn add_scaled<S: Simd>(s: S, c: f32, x: &[f32], y: &mut [f32]) {
    let c = s.splat(c);
    let ((xs, x_rest), (ys, y_rest)) = (x.as_chunks::<LANES>(), y[..x.len()].as_chunks_mut::<LANES>());
    let ys = &mut ys[..xs.len()];
    for i in 0..xs.len() {
        s.store(s.mul_add(c, s.load(&xs[i]), s.load(&ys[i])), &mut ys[i]);
    }
    if !y_rest.is_empty() {
        s.store_partial(s.mul_add(c, s.load_partial(x_rest), s.load_partial(y_rest)), y_rest);
    }
}

/// Floats that [`aligned`] may skip.
pub(crate) const ALIGN_SLACK: usize = LANES - 1;

/// The part of `scratch` from the first cache line on: vectors there never straddle two lines.
#[inline]
pub(crate) fn aligned(scratch: &mut [f32]) -> &mut [f32] {
    let skip = scratch.as_ptr().align_offset(64).min(scratch.len());
    &mut scratch[skip..]
}

/// Lines of 16 floats on cache line borders.
#[repr(align(64))]
pub(crate) struct Lines<const N: usize>(pub [[f32; LANES]; N]);

/// At most 16 elements.
#[inline(always)]
pub(crate) fn load<S: Simd>(s: S, x: &[f32]) -> S::F32 {
    if x.len() == LANES { s.load(x) } else { s.load_partial(x) }
}

/// To at most 16 elements.
#[inline(always)]
pub(crate) fn store<S: Simd>(s: S, v: S::F32, out: &mut [f32]) {
    if out.len() == LANES { s.store(v, out) } else { s.store_partial(v, out) }
}
