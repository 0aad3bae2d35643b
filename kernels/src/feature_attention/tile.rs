//! What forward and backward share: the tile of tanh for some pairs of rows, and its product with packed weights.

use crate::math;
use crate::simd::tile::{self, with_tile};
use crate::simd::{LANES, Simd, load_at};

/// Most pairs (i, j) in a tile.
pub(super) const TILE_PAIRS: usize = 128;
/// Most rows i in a tile that are taken relative to the first row: `r - 1` pairs each.
pub(super) const TILE_ROWS: usize = 12;
/// Segments are taken together for the products with `M` until they have this many rows.
pub(super) const GROUP_ROWS: usize = 128;
/// `|2 p|, |2 q|` up to which the exponentials and their product neither overflow nor lose bits.
const FACTOR_LIMIT: f32 = 43.0;
/// Bound of `|f|` up to which the softmax subtracts no maximum: `e^{f_ij - f_i0}` is then at most `e^64`.
const SUM_LIMIT: f32 = 32.0;

/// `d` rounded up to whole vectors.
pub(super) const fn padded(d: usize) -> usize {
    d.div_ceil(LANES) * LANES
}

/// Where rows of a tile start: an odd number of cache lines apart, so that a column of them is spread over the cache.
pub(super) const fn stride(d: usize) -> usize {
    let vectors = d.div_ceil(LANES);
    (vectors + 1 - vectors % 2) * LANES
}

/// Some pairs of one segment: rows `i..i + i_count`, each with the rows `j..j + j_count`.
#[derive(Clone, Copy)]
pub(super) struct Pairs {
    pub i: usize,
    pub i_count: usize,
    pub j: usize,
    pub j_count: usize,
    /// The first j of all: 1 where pairs are relative to row 0.
    pub first: usize,
    /// Most j at a time.
    part: usize,
    r: usize,
}

impl Pairs {
    /// The first pairs of a segment of `r` rows, j starting with `first`.
    ///
    /// Short segments: all j for as many i as fit into `target` pairs (at most [`TILE_PAIRS`]). Longer ones: one i, and
    /// the j in even parts.
    #[inline(always)]
    pub fn first(r: usize, first: usize, target: usize) -> Self {
        let others = r - first;
        let part = others.div_ceil(others.div_ceil(target.max(TILE_PAIRS / 2)));
        Self { i: 0, i_count: (target / others).clamp(1, r), j: first, j_count: part, first, part, r }
    }
    /// The pairs after these, if there are any.
    #[inline(always)]
    pub fn next(self) -> Option<Self> {
        let j = self.j + self.j_count;
        if j < self.r {
            return Some(Self { j, j_count: self.part.min(self.r - j), ..self });
        }
        let i = self.i + self.i_count;
        let i_count = self.i_count.min(self.r.saturating_sub(i));
        (i < self.r).then_some(Self { i, i_count, j: self.first, j_count: self.part, ..self })
    }
    #[inline(always)]
    pub fn count(self) -> usize {
        self.i_count * self.j_count
    }
    /// Whether these are the first j of their i.
    #[inline(always)]
    pub fn is_first(self) -> bool {
        self.j == self.first
    }
    /// Whether these are the last j of their i.
    #[inline(always)]
    pub fn is_last(self) -> bool {
        self.j + self.j_count == self.r
    }
    /// What forward kept of row i's pairs from j on, 16 columns from `at`: one block of columns of all pairs after the
    /// other. Empty where nothing is kept.
    #[inline(always)]
    pub fn kept(self, kept: &[f32], i: usize, at: usize) -> &[[f32; LANES]] {
        match kept.is_empty() {
            true => &[],
            false => &kept.as_chunks().0[self.kept_at(i, at)..][..self.j_count],
        }
    }
    /// [`Pairs::kept`], to write.
    #[inline(always)]
    pub fn kept_mut(self, kept: &mut [f32], i: usize, at: usize) -> &mut [[f32; LANES]] {
        match kept.is_empty() {
            true => &mut [],
            false => &mut kept.as_chunks_mut().0[self.kept_at(i, at)..][..self.j_count],
        }
    }
    #[inline(always)]
    fn kept_at(self, i: usize, at: usize) -> usize {
        let others = self.r - self.first;
        (at / LANES * self.r + self.i + i) * others + self.j - self.first
    }
}

/// Whether every `|f|` is bounded by [`SUM_LIMIT`], from the row sums of the packed `W_s5` (false if it has a NaN).
#[inline(always)]
pub(super) fn is_bounded<S: Simd>(s: S, d: usize, w_s5: &[f32]) -> bool {
    let mut bounded = true;
    for panel in w_s5.chunks_exact(d * LANES) {
        // Sums apart, so that the additions do not wait for each other.
        let mut sums = [s.zero(); 4];
        for lines in panel.chunks(4 * LANES) {
            for (sum, line) in sums.iter_mut().zip(lines.chunks_exact(LANES)) {
                *sum = s.add(*sum, s.abs(s.load(line)));
            }
        }
        let [a, b, c, d] = sums;
        let sum = s.add(s.add(a, b), s.add(c, d));
        bounded &= s.all(s.le(sum, s.splat(SUM_LIMIT)));
    }
    bounded
}

/// Whether all rows of `m [r, d]` are equal (false if there is a NaN).
#[inline(always)]
pub(super) fn rows_are_equal(m: &[f32], d: usize) -> bool {
    let (first, others) = m.split_at(d);
    #[allow(clippy::eq_op)] // NaN
    let sound = first.iter().all(|x| x == x);
    sound && others.chunks_exact(d).all(|row| row == first)
}

/// Writes `e^{2x}` of each row of `x [r, d]` to rows of `padded(d)`; false if some `|2x|` is above [`FACTOR_LIMIT`] or NaN.
#[inline(always)]
fn factors<S: Simd>(s: S, x: &[f32], d: usize, out: &mut [f32]) -> bool {
    let mut in_range = true;
    for (x, out) in x.chunks_exact(d).zip(out.chunks_exact_mut(padded(d))) {
        for (c, out) in out.chunks_exact_mut(LANES).enumerate() {
            let x = load_at(s, x, c * LANES);
            let twice = s.add(x, x);
            in_range &= s.all(s.le(s.abs(twice), s.splat(FACTOR_LIMIT)));
            s.store(math::exp_in_range(s, twice), out);
        }
    }
    in_range
}

/// Prepares a segment's `p` and `q` `[r, d]` for [`tanh_tile`]: `e^{2x}` if both are in range, else a copy. Tells which.
#[inline(always)]
pub(super) fn prepare<S: Simd>(s: S, p: &[f32], q: &[f32], d: usize, pe: &mut [f32], qe: &mut [f32]) -> bool {
    if factors(s, p, d, pe) && factors(s, q, d, qe) {
        return true;
    }
    for (x, out) in [(p, pe), (q, qe)] {
        for (x, out) in x.chunks_exact(d).zip(out.chunks_exact_mut(padded(d))) {
            out[..d].copy_from_slice(x);
            out[d..].fill(0.0);
        }
    }
    false
}

/// `t [pairs, stride(d)] = tanh(p_i + q_j)` from what [`prepare`] made; `FACTORED` is what it returned. Where pairs are
/// relative to row 0, `tanh(p_i + q_0)` is subtracted and goes to `t0 [i_count, stride(d)]`.
#[inline(always)]
pub(super) fn tanh_tile<S: Simd, const FACTORED: bool>(
    s: S,
    pairs: Pairs,
    d: usize,
    (p, q): (&[f32], &[f32]),
    t: &mut [f32],
    t0: &mut [f32],
) {
    let (wide, stride) = (padded(d), stride(d));
    let base = &q[..wide];
    let q = &q[pairs.j * wide..][..pairs.j_count * wide];
    let p = &p[pairs.i * wide..][..pairs.i_count * wide];
    let tiles = t.chunks_exact_mut(pairs.j_count * stride).zip(t0.chunks_exact_mut(stride));
    for (p, (t, t0)) in p.chunks_exact(wide).zip(tiles) {
        for c in (0..wide).step_by(LANES) {
            let p = s.load(&p[c..]);
            if pairs.first == 0 {
                for (q, t) in q.chunks_exact(wide).zip(t.chunks_exact_mut(stride)) {
                    s.store(tanh_of::<S, FACTORED>(s, p, s.load(&q[c..])), &mut t[c..]);
                }
            } else {
                let first = tanh_of::<S, FACTORED>(s, p, s.load(&base[c..]));
                s.store(first, &mut t0[c..]);
                for (q, t) in q.chunks_exact(wide).zip(t.chunks_exact_mut(stride)) {
                    s.store(s.sub(tanh_of::<S, FACTORED>(s, p, s.load(&q[c..])), first), &mut t[c..]);
                }
            }
        }
    }
}

#[inline(always)]
fn tanh_of<S: Simd, const FACTORED: bool>(s: S, p: S::F32, q: S::F32) -> S::F32 {
    if FACTORED {
        let one = s.splat(1.0);
        let e = s.mul(p, q);
        s.div(s.sub(e, one), s.add(e, one))
    } else {
        math::tanh(s, s.add(p, q))
    }
}

/// `strip [rows, 16 * vectors] = x [rows, k] W` for `vectors` packed panels; rows of `x` start `stride` apart.
#[inline(always)]
pub(super) fn product<S: Simd>(
    s: S,
    (x, stride): (&[f32], usize),
    rows: usize,
    (w, k): (&[f32], usize),
    vectors: usize,
    strip: &mut [f32],
) {
    for (first, count) in tile::row_tiles::<S>(rows) {
        let x = &x[first * stride..];
        let out = &mut strip[first * vectors * LANES..][..count * vectors * LANES];
        with_tile!(S, count, vectors, product_tile(s, (x, stride), (w, k), out));
    }
}

#[inline(always)]
fn product_tile<S: Simd, const R: usize, const C: usize>(
    s: S,
    x: (&[f32], usize),
    (w, k): (&[f32], usize),
    out: &mut [f32],
) {
    let acc = tile::packed::<S, R, C>(s, x, (w, k * LANES), k, [[s.zero(); C]; R]);
    // Loops over indices: iterators over so little are not always inlined.
    let out = &mut out[..R * C * LANES];
    for r in 0..R {
        for c in 0..C {
            s.store(acc[r][c], &mut out[(r * C + c) * LANES..]);
        }
    }
}

/// The 16 columns of `x` from `at`, or the `left < 16` that its row still has where not `FULL`.
#[inline(always)]
pub(super) fn load<S: Simd, const FULL: bool>(s: S, x: &[f32], at: usize, left: usize) -> S::F32 {
    if FULL { s.load(&x[at..]) } else { s.load_partial(&x[at..at + left]) }
}

/// Writes what [`load`] reads.
#[inline(always)]
pub(super) fn store<S: Simd, const FULL: bool>(s: S, v: S::F32, out: &mut [f32], at: usize, left: usize) {
    if FULL { s.store(v, &mut out[at..]) } else { s.store_partial(v, &mut out[at..at + left]) }
}

/// The first `len` elements, and the rest.
#[inline(always)]
pub(super) fn take<'a>(scratch: &mut &'a mut [f32], len: usize) -> &'a mut [f32] {
    let (head, tail) = std::mem::take(scratch).split_at_mut(len);
    *scratch = tail;
    head
}

/// The scratch from its first cache line on ([`super::scratch_len`] has room for that).
#[inline(always)]
pub(super) fn aligned(scratch: &mut [f32]) -> &mut [f32] {
    let skip = scratch.as_ptr().align_offset(64).min(LANES);
    &mut scratch[skip..]
}
