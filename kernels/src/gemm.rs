//! Small dense products with a prepacked right side, and the products of weight gradients.
//!
//! A weight `W [n_out, n_in]` is packed once a step into panels of 16 columns: [`pack_transposed`] for `y = x W^T`,
//! [`pack`] for `dx = dy W`. The packed format is the same on every level.
//!
//! Every element of a result is one chain of multiply-adds over k in ascending order, whatever the number of rows and the
//! shape of the register tile. So a row has the same bits alone or in a batch, and the FMA levels agree bit for bit.

mod matrix;
mod sweep;
mod transposed;

pub use matrix::{Matrix, MatrixMut};

use crate::level::Level;
use crate::simd::tile::{self, with_tile};
use crate::simd::{Kernel, LANES, Simd, load_at, store_at};
pub(crate) use sweep::Sweep;
use transposed::{GemmTn, GemmTnNear};

/// What [`gemm`] does with the product: `y = relu?(start + x W)`, where the start of each chain is 0, `y`, the bias or `y + bias`,
/// or what its row says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Output<'a> {
    accumulate: bool,
    /// `y` is added to the finished chain.
    add: bool,
    bias: Option<&'a [f32]>,
    /// What all chains of a row start from, where there is nothing else.
    rows: Option<&'a [f32]>,
    relu: bool,
}

impl<'a> Output<'a> {
    /// `y = x W`
    pub const OVERWRITE: Self = Self { accumulate: false, add: false, bias: None, rows: None, relu: false };
    /// `y += x W`
    pub const ACCUMULATE: Self = Self { accumulate: true, ..Self::OVERWRITE };
    /// `y += x W`, with the bits of a product by itself that is then added.
    pub const ADD: Self = Self { add: true, ..Self::OVERWRITE };
    /// Adds a row of `n` elements to every row.
    #[inline]
    pub const fn bias(self, bias: &'a [f32]) -> Self {
        Self { bias: Some(bias), ..self }
    }
    /// `y = starts + x W`, where row `i` starts from `starts[i]` in all columns.
    #[inline]
    pub const fn from_rows(starts: &'a [f32]) -> Self {
        Self { rows: Some(starts), ..Self::OVERWRITE }
    }
    /// Replaces negative results by 0; NaN stays.
    #[inline]
    pub const fn relu(self) -> Self {
        Self { relu: true, ..self }
    }
    /// What the chain of row `i` and column `j` starts from, where `y` is the element's old value.
    pub(crate) fn start(&self, y: f32, i: usize, j: usize) -> f64 {
        let old = if self.accumulate || self.add { f64::from(y) } else { 0.0 };
        let row = self.rows.map_or(0.0, |rows| f64::from(rows[i]));
        old + row + self.bias.map_or(0.0, |b| f64::from(b[j]))
    }
    pub(crate) fn has_relu(&self) -> bool {
        self.relu
    }
}

/// Elements of a packed matrix with `k` rows and `n` columns: `ceil(n / 16)` panels of `k * 16`.
#[inline]
pub const fn packed_len(k: usize, n: usize) -> usize {
    n.div_ceil(LANES) * LANES * k
}

/// Packs `W^T` for [`gemm`]: `y [rows, n_out] = x [rows, n_in] W^T`. `w` is `[n_out, n_in]`, `out` has `packed_len(n_in, n_out)`.
///
/// # Panics
/// If a length is wrong.
pub fn pack_transposed(w: &[f32], n_out: usize, n_in: usize, out: &mut [f32]) {
    assert_eq!(w.len(), n_out * n_in, "a weight of [{n_out}, {n_in}]");
    assert_eq!(out.len(), packed_len(n_in, n_out), "the packed transpose of [{n_out}, {n_in}]");
    if n_in == 0 {
        return;
    }
    for (panel, rows) in out.chunks_exact_mut(n_in * LANES).zip(w.chunks(n_in * LANES)) {
        let (panel, _) = panel.as_chunks_mut::<LANES>();
        if rows.len() < n_in * LANES {
            panel.fill([0.0; LANES]);
        }
        for (lane, row) in rows.chunks_exact(n_in).enumerate() {
            for (line, &x) in panel.iter_mut().zip(row) {
                line[lane] = x;
            }
        }
    }
}

/// Packs `W` itself for [`gemm`]: `dx [rows, n_in] = dy [rows, n_out] W`. `w` is `[n_out, n_in]`, `out` has `packed_len(n_out, n_in)`.
///
/// # Panics
/// If a length is wrong.
pub fn pack(w: &[f32], n_out: usize, n_in: usize, out: &mut [f32]) {
    assert_eq!(w.len(), n_out * n_in, "a weight of [{n_out}, {n_in}]");
    assert_eq!(out.len(), packed_len(n_out, n_in), "the packed form of [{n_out}, {n_in}]");
    if n_out == 0 {
        return;
    }
    for (p, panel) in out.chunks_exact_mut(n_out * LANES).enumerate() {
        let from = p * LANES;
        let width = LANES.min(n_in - from);
        let (panel, _) = panel.as_chunks_mut::<LANES>();
        for (line, row) in panel.iter_mut().zip(w.chunks_exact(n_in)) {
            line[..width].copy_from_slice(&row[from..from + width]);
            line[width..].fill(0.0);
        }
    }
}

/// `y [rows, n] = x [rows, k] W`, with `W [k, n]` packed by [`pack`] or [`pack_transposed`].
///
/// # Panics
/// If the numbers of rows differ, `packed` or the bias has a wrong length, or this CPU lacks `level`.
pub fn gemm(level: Level, x: Matrix<'_>, packed: &[f32], y: MatrixMut<'_>, output: Output<'_>) {
    level.dispatch(Gemm { x, packed, y, output });
}

/// `c [m, n] = a^T b` for `a [rows, m]` and `b [rows, n]`; with `accumulate`, `c += a^T b`. Meant for many rows.
///
/// # Panics
/// If the shapes do not fit each other, or this CPU lacks `level`.
pub fn gemm_tn(level: Level, a: Matrix<'_>, b: Matrix<'_>, c: MatrixMut<'_>, accumulate: bool) {
    level.dispatch(GemmTn { a, b, c, accumulate });
}

/// Allocates now what [`gemm_tn`] keeps for the calling thread, instead of in its first call there.
pub fn prepare_thread() {
    transposed::prepare_thread();
}

struct Gemm<'a> {
    x: Matrix<'a>,
    packed: &'a [f32],
    y: MatrixMut<'a>,
    output: Output<'a>,
}

impl Kernel for Gemm<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { x, packed, mut y, output } = self;
        let (rows, k, n) = (x.rows, x.cols, y.cols);
        assert_eq!(rows, y.rows, "a product of {rows} rows into {}", y.rows);
        assert_eq!(packed.len(), packed_len(k, n), "a packed matrix of [{k}, {n}]");
        if let Some(bias) = output.bias {
            assert_eq!(bias.len(), n, "a bias for {n} columns");
        }
        if let Some(starts) = output.rows {
            assert_eq!(starts.len(), rows, "starts for {rows} rows");
        }
        // A block of rows that stays in half of a first level cache while the panels pass.
        let block = (4096 / k.max(1)).clamp(S::TILE_ROWS, 240).next_multiple_of(S::TILE_ROWS);
        let mut row = 0;
        while row < rows {
            let end = rows.min(row + block);
            let mut panel = 0;
            let panels = n.div_ceil(LANES);
            while panel < panels {
                let vectors = tile::vectors::<S>(end - row, panels - panel);
                let w = &packed[panel * k * LANES..][..vectors * k * LANES];
                for (first, count) in tile::row_tiles::<S>(end - row) {
                    let at = (row + first, panel * LANES);
                    with_tile!(S, count, vectors, gemm_tile(s, x, w, &mut y, at, output));
                }
                panel += vectors;
            }
            row = end;
        }
    }
}

/// The tile of `R` rows from `row` and `16 C` columns from `col`.
#[inline(always)]
fn gemm_tile<S: Simd, const R: usize, const C: usize>(
    s: S,
    x: Matrix<'_>,
    w: &[f32],
    y: &mut MatrixMut<'_>,
    (row, col): (usize, usize),
    output: Output<'_>,
) {
    let k = x.cols;
    let acc = start_tile(s, y, (row, col), output);
    let x = (&x.data[row * x.stride..], x.stride);
    let acc = tile::packed::<S, R, C>(s, x, (w, k * LANES), k, acc);
    finish_tile(s, acc, y, (row, col), output);
}

/// What the chains of a tile start from.
#[inline(always)]
fn start_tile<S: Simd, const R: usize, const C: usize>(
    s: S,
    y: &MatrixMut<'_>,
    (row, col): (usize, usize),
    output: Output<'_>,
) -> [[S::F32; C]; R] {
    let mut acc = [[s.zero(); C]; R];
    if output.accumulate {
        acc = load_tile(s, y, (row, col));
    }
    if let Some(starts) = output.rows {
        let starts = &starts[row..row + R];
        for r in 0..R {
            acc[r] = [s.splat(starts[r]); C];
        }
    }
    if let Some(bias) = output.bias {
        for c in 0..C {
            let bias = load_at(s, bias, col + c * LANES);
            for acc in &mut acc {
                acc[c] = if output.accumulate || output.rows.is_some() { s.add(acc[c], bias) } else { bias };
            }
        }
    }
    acc
}

/// What is done with the finished chains of a tile.
#[inline(always)]
fn finish_tile<S: Simd, const R: usize, const C: usize>(
    s: S,
    mut acc: [[S::F32; C]; R],
    y: &mut MatrixMut<'_>,
    (row, col): (usize, usize),
    output: Output<'_>,
) {
    if output.add {
        let old: [[S::F32; C]; R] = load_tile(s, y, (row, col));
        for r in 0..R {
            for c in 0..C {
                acc[r][c] = s.add(old[r][c], acc[r][c]);
            }
        }
    }
    if output.relu {
        for row in &mut acc {
            for v in row {
                *v = s.relu(*v);
            }
        }
    }
    store_tile(s, acc, y, (row, col));
}

/// The tile of `R` rows and `16 C` columns of `y` from (row, col), with zeros beyond its last column.
#[inline(always)]
fn load_tile<S: Simd, const R: usize, const C: usize>(
    s: S,
    y: &MatrixMut<'_>,
    (row, col): (usize, usize),
) -> [[S::F32; C]; R] {
    let mut acc = [[s.zero(); C]; R];
    let from = &y.data[row * y.stride + col..];
    let width = (C * LANES).min(y.cols - col);
    if width == C * LANES {
        for (r, acc) in acc.iter_mut().enumerate() {
            let line = &from[r * y.stride..][..C * LANES];
            for (c, v) in acc.iter_mut().enumerate() {
                *v = s.load(&line[c * LANES..]);
            }
        }
    } else {
        for (r, acc) in acc.iter_mut().enumerate() {
            let line = &from[r * y.stride..][..width];
            for (c, v) in acc.iter_mut().enumerate() {
                *v = load_at(s, line, c * LANES);
            }
        }
    }
    acc
}

/// Writes what [`load_tile`] reads.
#[inline(always)]
fn store_tile<S: Simd, const R: usize, const C: usize>(
    s: S,
    acc: [[S::F32; C]; R],
    y: &mut MatrixMut<'_>,
    (row, col): (usize, usize),
) {
    let to = &mut y.data[row * y.stride + col..];
    let width = (C * LANES).min(y.cols - col);
    if width == C * LANES {
        for (r, acc) in acc.into_iter().enumerate() {
            let line = &mut to[r * y.stride..][..C * LANES];
            for (c, v) in acc.into_iter().enumerate() {
                s.store(v, &mut line[c * LANES..]);
            }
        }
    } else {
        for (r, acc) in acc.into_iter().enumerate() {
            let line = &mut to[r * y.stride..][..width];
            for (c, v) in acc.into_iter().enumerate() {
                store_at(s, v, line, c * LANES);
            }
        }
    }
}

/// [`gemm`] for a kernel that already runs on level `S`.
#[inline(always)]
pub fn gemm_in<S: Simd>(s: S, x: Matrix<'_>, packed: &[f32], y: MatrixMut<'_>, output: Output<'_>) {
    s.call(Gemm { x, packed, y, output });
}

/// [`gemm_tn`] for a kernel that already runs on level `S`.
#[inline(always)]
pub fn gemm_tn_in<S: Simd>(s: S, a: Matrix<'_>, b: Matrix<'_>, c: MatrixMut<'_>, accumulate: bool) {
    s.call(GemmTn { a, b, c, accumulate });
}

/// `c += a^T b` as [`gemm_tn_in`], for sides that are in the second level cache and lie well there: they are read in place.
#[inline(always)]
pub(crate) fn gemm_tn_near_in<S: Simd>(s: S, a: Matrix<'_>, b: Matrix<'_>, c: MatrixMut<'_>) {
    if b.cols.is_multiple_of(LANES) {
        s.call(GemmTnNear { a, b, c });
    } else {
        gemm_tn_in(s, a, b, c, true);
    }
}
