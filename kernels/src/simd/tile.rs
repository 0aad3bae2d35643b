//! Register tiles of matrix products: the only loops that read through pointers.
//!
//! Every element of a tile is one chain of [`Simd::mul_add`] over k in ascending order, whatever the size of the tile.

// Loops over a tile count their vectors: without link time optimisation the adaptors of iterators are calls, around which every
// vector register is saved.
#![allow(clippy::needless_range_loop)]

use super::{LANES, Simd, prefetch_line};

/// `acc[r][c] += sum_k x[r][k] * w[c][k]`, where `w` is packed: panel c starts at `c * panel`, and its row k has 16 columns.
///
/// # Panics
/// If `x` is shorter than `R` rows of `k` elements that start `stride` apart, or `w` shorter than `C` panels of `16 k`.
#[inline(always)]
pub(crate) fn packed<S: Simd, const R: usize, const C: usize>(
    s: S,
    (x, stride): (&[f32], usize),
    (w, panel): (&[f32], usize),
    k: usize,
    mut acc: [[S::F32; C]; R],
) -> [[S::F32; C]; R] {
    assert!(R > 0 && C > 0 && x.len() >= (R - 1) * stride + k && w.len() >= (C - 1) * panel + k * LANES);
    let (x, w) = (x.as_ptr(), w.as_ptr());
    let whole = k - k % UNROLL;
    for i in (0..whole).step_by(UNROLL) {
        for i in i..i + UNROLL {
            // SAFETY: i < k, so the assertion covers the reads.
            unsafe { packed_step(s, (x.add(i), stride), (w.add(i * LANES), panel), &mut acc) };
        }
    }
    for i in whole..k {
        // SAFETY: i < k, so the assertion covers the reads.
        unsafe { packed_step(s, (x.add(i), stride), (w.add(i * LANES), panel), &mut acc) };
    }
    acc
}

/// As [`packed`]; meanwhile asks for the `R` rows of `x` after these.
///
/// # Panics
/// As [`packed`].
#[inline(always)]
pub(crate) fn packed_ahead<S: Simd, const R: usize, const C: usize>(
    s: S,
    (x, stride): (&[f32], usize),
    (w, panel): (&[f32], usize),
    k: usize,
    mut acc: [[S::F32; C]; R],
) -> [[S::F32; C]; R] {
    assert!(R > 0 && C > 0 && x.len() >= (R - 1) * stride + k && w.len() >= (C - 1) * panel + k * LANES);
    let (start, w) = (x.as_ptr(), w.as_ptr());
    let whole = k - k % LANES;
    for line in (0..whole).step_by(LANES) {
        for r in R..2 * R {
            prefetch_line(x, r * stride + line);
        }
        for part in (line..line + LANES).step_by(UNROLL) {
            for i in part..part + UNROLL {
                // SAFETY: i < k, so the assertion covers the reads.
                unsafe { packed_step(s, (start.add(i), stride), (w.add(i * LANES), panel), &mut acc) };
            }
        }
    }
    for i in whole..k {
        // SAFETY: i < k, so the assertion covers the reads.
        unsafe { packed_step(s, (start.add(i), stride), (w.add(i * LANES), panel), &mut acc) };
    }
    acc
}

/// Rounds of a loop over k that are written out: short loops otherwise lose much to their end, which is mispredicted.
const UNROLL: usize = 4;

/// One k of [`packed`].
///
/// # Safety
/// `x[r * stride]` for `r < R` and `w[c * panel..][..16]` for `c < C` must be readable.
#[inline(always)]
unsafe fn packed_step<S: Simd, const R: usize, const C: usize>(
    s: S,
    (x, stride): (*const f32, usize),
    (w, panel): (*const f32, usize),
    acc: &mut [[S::F32; C]; R],
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut b = [s.zero(); C];
        for (c, b) in b.iter_mut().enumerate() {
            *b = s.load_ptr(w.add(c * panel));
        }
        for (r, acc) in acc.iter_mut().enumerate() {
            let a = s.splat(*x.add(r * stride));
            for c in 0..C {
                acc[c] = s.mul_add(a, b[c], acc[c]);
            }
        }
    }
}

/// `acc[r][c] += sum_k a(r, k) * b[k][16 c ..]`, where `a(r, k)` stands at `a[r * row + k * term]`: a tile of `a^T b` with
/// `row` 1, of `a b` with `term` 1.
///
/// # Panics
/// If `a` or `b`, whose `k` rows of `16 C` start `stride_b` apart, is too short.
#[inline(always)]
pub(crate) fn strided<S: Simd, const R: usize, const C: usize>(
    s: S,
    (a, row, term): (&[f32], usize, usize),
    (b, stride_b): (&[f32], usize),
    k: usize,
    mut acc: [[S::F32; C]; R],
) -> [[S::F32; C]; R] {
    if k == 0 {
        return acc;
    }
    assert!(a.len() > (R - 1) * row + (k - 1) * term && b.len() >= (k - 1) * stride_b + C * LANES);
    let (mut a, mut b) = (a.as_ptr(), b.as_ptr());
    for _ in 0..k / UNROLL {
        for _ in 0..UNROLL {
            // SAFETY: in round i < k, `a` and `b` point at term i of their slices, so the assertion covers the reads.
            unsafe { strided_step(s, (a, row), b, &mut acc) };
            // After the last round these may point past the end; nothing is read there.
            a = a.wrapping_add(term);
            b = b.wrapping_add(stride_b);
        }
    }
    for _ in 0..k % UNROLL {
        // SAFETY: as above.
        unsafe { strided_step(s, (a, row), b, &mut acc) };
        a = a.wrapping_add(term);
        b = b.wrapping_add(stride_b);
    }
    acc
}

/// Something in [`MEANWHILE`] steps that is done between the terms of a sum, which it leaves alone: long chains of
/// operations, one step after the other, then wait for nothing.
pub(crate) trait Meanwhile<S: Simd> {
    /// Step `I` of [`MEANWHILE`].
    fn step<const I: usize>(&mut self, s: S);

    /// `sum`, [in order](Simd::in_order) with what step `I` made. Left alone, compilers put all steps behind the sum.
    fn tie<const I: usize>(&mut self, s: S, sum: S::F32) -> S::F32;
}

/// The steps of a [`Meanwhile`].
pub(crate) const MEANWHILE: usize = 8;

/// Does all steps of `other` now.
#[inline(always)]
pub(crate) fn all_steps<S: Simd>(s: S, other: &mut impl Meanwhile<S>) {
    other.step::<0>(s);
    other.step::<1>(s);
    other.step::<2>(s);
    other.step::<3>(s);
    other.step::<4>(s);
    other.step::<5>(s);
    other.step::<6>(s);
    other.step::<7>(s);
}

/// [`strided`], with one step of `other` after each of the first terms.
///
/// # Panics
/// As [`strided`].
#[inline(always)]
pub(crate) fn strided_while<S: Simd, const R: usize, const C: usize>(
    s: S,
    (a, row, term): (&[f32], usize, usize),
    (b, stride_b): (&[f32], usize),
    k: usize,
    mut acc: [[S::F32; C]; R],
    other: &mut impl Meanwhile<S>,
) -> [[S::F32; C]; R] {
    if k < MEANWHILE {
        all_steps(s, other);
        return strided(s, (a, row, term), (b, stride_b), k, acc);
    }
    assert!(a.len() > (R - 1) * row + (k - 1) * term && b.len() >= (k - 1) * stride_b + C * LANES);
    let (mut at, mut bt) = (a.as_ptr(), b.as_ptr());
    macro_rules! terms {
        ($($step:literal)+) => {$(
            // SAFETY: `at` and `bt` point at term $step < k of their slices, so the assertion covers the reads.
            unsafe { strided_step(s, (at, row), bt, &mut acc) };
            other.step::<$step>(s);
            acc[0][0] = other.tie::<$step>(s, acc[0][0]);
            (at, bt) = (at.wrapping_add(term), bt.wrapping_add(stride_b));
        )+};
    }
    terms!(0 1 2 3 4 5 6 7);
    for _ in MEANWHILE..k {
        // SAFETY: as above.
        unsafe { strided_step(s, (at, row), bt, &mut acc) };
        (at, bt) = (at.wrapping_add(term), bt.wrapping_add(stride_b));
    }
    acc
}

/// One k of [`strided`].
///
/// # Safety
/// `a[r * row]` for `r < R` and `16 C` floats from `b` must be readable.
#[inline(always)]
unsafe fn strided_step<S: Simd, const R: usize, const C: usize>(
    s: S,
    (a, row): (*const f32, usize),
    b: *const f32,
    acc: &mut [[S::F32; C]; R],
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut v = [s.zero(); C];
        for (c, v) in v.iter_mut().enumerate() {
            *v = s.load_ptr(b.add(c * LANES));
        }
        for (r, acc) in acc.iter_mut().enumerate() {
            let a = s.splat(*a.add(r * row));
            for c in 0..C {
                acc[c] = s.mul_add(a, v[c], acc[c]);
            }
        }
    }
}

/// Sixteen rows of one width in one slice.
pub(crate) struct Lanes<'a> {
    data: &'a [f32],
    starts: [usize; LANES],
    /// What all rows have, at least.
    width: usize,
}

impl<'a> Lanes<'a> {
    /// The rows of `data` that begin at the first 16 of `starts`. If there are fewer, the first is repeated.
    ///
    /// # Panics
    /// If there are none, or one is not within `data`.
    #[inline(always)]
    pub fn new(data: &'a [f32], width: usize, mut starts: impl Iterator<Item = usize>) -> Self {
        let mut all = [starts.next().expect("a row"); LANES];
        for (to, start) in all[1..].iter_mut().zip(starts) {
            *to = start;
        }
        let mut last = 0;
        for start in all {
            last = last.max(start);
        }
        assert!(width <= data.len() && last <= data.len() - width, "a row that ends beyond its table");
        Self { data, starts: all, width }
    }

    /// What each row has from `at` on, fewer than 16 elements, and then zeros.
    ///
    /// # Panics
    /// If there are more.
    #[inline(always)]
    pub fn load_rest<S: Simd>(&self, s: S, at: usize) -> [S::F32; LANES] {
        let mut v = [s.zero(); LANES];
        for lane in 0..LANES {
            v[lane] = s.load_partial(&self.data[self.starts[lane] + at..self.starts[lane] + self.width]);
        }
        v
    }
}

/// `out[t * stride + lane] = rows[lane, t]` for `t < whole`, a multiple of 16.
///
/// # Panics
/// If the rows or `out` are shorter.
#[inline(always)]
pub(crate) fn transpose_whole<S: Simd>(s: S, rows: &Lanes, whole: usize, out: &mut [f32], stride: usize) {
    if whole == 0 {
        return;
    }
    assert!(whole.is_multiple_of(LANES) && whole <= rows.width && out.len() >= (whole - 1) * stride + LANES);
    let (data, out) = (rows.data.as_ptr(), out.as_mut_ptr());
    for at in (0..whole).step_by(LANES) {
        let mut v = [s.zero(); LANES];
        for lane in 0..LANES {
            // SAFETY: at + 16 is at most the width, which `Lanes::new` found from each start on.
            v[lane] = unsafe { s.load_ptr(data.add(rows.starts[lane] + at)) };
        }
        for (i, column) in s.transpose(v).into_iter().enumerate() {
            // SAFETY: at + i is below `whole`, so the assertion covers the write.
            unsafe { s.store_ptr(column, out.add((at + i) * stride)) };
        }
    }
}

/// Products of `x`, whose length is a multiple of 16, with `H` rows of `y` that start `stride` apart: 16 partial sums of each.
///
/// # Panics
/// If `x` has another length or a row of `y` is shorter.
#[inline(always)]
pub(crate) fn dots<S: Simd, const H: usize>(s: S, x: &[f32], (y, stride): (&[f32], usize)) -> [S::F32; H] {
    let mut acc = [s.zero(); H];
    assert!(x.len().is_multiple_of(LANES) && y.len() >= (H - 1) * stride + x.len());
    let (start, y) = (x.as_ptr(), y.as_ptr());
    for at in (0..x.len()).step_by(LANES) {
        // SAFETY: at + 16 is at most the length of x, so the assertion covers the reads.
        unsafe {
            let v = s.load_ptr(start.add(at));
            for (h, acc) in acc.iter_mut().enumerate() {
                *acc = s.mul_add(v, s.load_ptr(y.add(h * stride + at)), *acc);
            }
        }
    }
    acc
}

/// Calls `$f::<S, R, C>($args)` for the run-time tile `$rows` x `$vectors`, with the tiles that level `S` has registers for.
macro_rules! with_tile {
    ($s:ty, $rows:expr, $vectors:expr, $f:ident($($arg:expr),* $(,)?)) => {
        with_tile!(@match $s, $rows, $vectors, $f($($arg),*),
            (1, 1) (2, 1) (3, 1) (4, 1) (5, 1) (6, 1)
            (1, 2) (2, 2) (3, 2) (4, 2) (5, 2)
            (1, 4) (2, 4) (3, 4) (4, 4) (5, 4))
    };
    (@match $s:ty, $rows:expr, $vectors:expr, $f:ident $args:tt, $(($r:literal, $c:literal))+) => {
        match ($rows, $vectors) {
            $(($r, $c) if const { $crate::simd::tile::fits::<$s>($r, $c) } => {
                with_tile!(@call $s, $r, $c, $f $args)
            })+
            (r, c) => unreachable!("no tile of {r} x {c} vectors"),
        }
    };
    (@call $s:ty, $r:literal, $c:literal, $f:ident($($arg:expr),*)) => { $f::<$s, $r, $c>($($arg),*) };
}
pub(crate) use with_tile;

/// Whether level `S` uses tiles of `rows` x `vectors`.
pub(crate) const fn fits<S: Simd>(rows: usize, vectors: usize) -> bool {
    rows <= S::TILE_ROWS && (vectors <= S::TILE_VECTORS || (S::TILE_ROWS > 2 && rows * vectors <= 4))
}

/// Vectors in a row of the tile for a block of `rows` rows, where `left` are still to do: 1, 2 or 4.
///
/// Few rows take more vectors, so that there are enough independent chains to hide the latency of [`Simd::mul_add`].
#[inline(always)]
pub(crate) fn vectors<S: Simd>(rows: usize, left: usize) -> usize {
    let rows = rows.min(S::TILE_ROWS);
    if left >= 4 && fits::<S>(rows, 4) {
        4
    } else if left >= 2 && fits::<S>(rows, 2) {
        2
    } else {
        1
    }
}

/// Splits `0..rows` into the fewest tiles of at most `S::TILE_ROWS`, as even as possible: (first row, rows) of each.
#[inline(always)]
pub(crate) fn row_tiles<S: Simd>(rows: usize) -> RowTiles {
    let tiles = rows.div_ceil(S::TILE_ROWS);
    let low = rows / tiles.max(1);
    RowTiles { at: 0, rows, low, high: rows - low * tiles }
}

/// See [`row_tiles`].
#[derive(Clone)]
pub(crate) struct RowTiles {
    at: usize,
    rows: usize,
    /// Rows of most tiles.
    low: usize,
    /// How many of the tiles to come have one row more.
    high: usize,
}

impl Iterator for RowTiles {
    type Item = (usize, usize);
    #[inline(always)]
    fn next(&mut self) -> Option<(usize, usize)> {
        if self.at == self.rows {
            return None;
        }
        let more = usize::from(self.high > 0);
        self.high -= more;
        let tile = (self.at, self.low + more);
        self.at += tile.1;
        Some(tile)
    }
}
