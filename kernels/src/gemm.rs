//! Small dense products with a prepacked right side, and the products of weight gradients.
//!
//! A weight `W [n_out, n_in]` is packed once a step into panels of 16 columns: [`pack_transposed`] for `y = x W^T`,
//! [`pack`] for `dx = dy W`. The packed format is the same on every level.
//!
//! Every element of a result is one chain of multiply-adds over k in ascending order, whatever the number of rows and the
//! shape of the register tile. So a row has the same bits alone or in a batch, and the FMA levels agree bit for bit.

use crate::level::Level;
use crate::simd::tile::{self, with_tile};
use crate::simd::{Kernel, LANES, Simd};

/// A matrix of `rows` x `cols` in row-major order, whose rows start `stride` apart.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    cols: usize,
    stride: usize,
}

/// A [`Matrix`] to write to.
#[derive(Debug)]
pub struct MatrixMut<'a> {
    data: &'a mut [f32],
    rows: usize,
    cols: usize,
    stride: usize,
}

/// Elements that a matrix of these sizes spans.
fn span(rows: usize, cols: usize, stride: usize) -> usize {
    assert!(stride >= cols, "rows of {cols} elements cannot start {stride} apart");
    if rows == 0 { 0 } else { (rows - 1) * stride + cols }
}

impl<'a> Matrix<'a> {
    /// The rows of `data`, one after the other.
    ///
    /// # Panics
    /// If `data.len()` is not `rows * cols`.
    #[inline]
    pub fn new(data: &'a [f32], rows: usize, cols: usize) -> Self {
        assert_eq!(data.len(), rows * cols, "a matrix [{rows}, {cols}] from a slice of {} elements", data.len());
        Self { data, rows, cols, stride: cols }
    }
    /// Rows that start `stride` elements apart.
    ///
    /// # Panics
    /// If `stride < cols`, or `data` is shorter than the rows.
    #[inline]
    pub fn strided(data: &'a [f32], rows: usize, cols: usize, stride: usize) -> Self {
        let need = span(rows, cols, stride);
        assert!(data.len() >= need, "[{rows}, {cols}] with stride {stride} needs {need} elements, not {}", data.len());
        Self { data, rows, cols, stride }
    }
    /// Number of rows.
    #[inline]
    pub fn rows(&self) -> usize {
        self.rows
    }
    /// Number of columns.
    #[inline]
    pub fn cols(&self) -> usize {
        self.cols
    }
    /// Row `i`.
    ///
    /// # Panics
    /// If there is no such row.
    #[inline]
    pub fn row(&self, i: usize) -> &'a [f32] {
        assert!(i < self.rows);
        &self.data[i * self.stride..][..self.cols]
    }
}

impl<'a> MatrixMut<'a> {
    /// As [`Matrix::new`].
    ///
    /// # Panics
    /// If `data.len()` is not `rows * cols`.
    #[inline]
    pub fn new(data: &'a mut [f32], rows: usize, cols: usize) -> Self {
        assert_eq!(data.len(), rows * cols, "a matrix [{rows}, {cols}] from a slice of {} elements", data.len());
        Self { data, rows, cols, stride: cols }
    }
    /// As [`Matrix::strided`].
    ///
    /// # Panics
    /// If `stride < cols`, or `data` is shorter than the rows.
    #[inline]
    pub fn strided(data: &'a mut [f32], rows: usize, cols: usize, stride: usize) -> Self {
        let need = span(rows, cols, stride);
        assert!(data.len() >= need, "[{rows}, {cols}] with stride {stride} needs {need} elements, not {}", data.len());
        Self { data, rows, cols, stride }
    }
    /// Number of rows.
    #[inline]
    pub fn rows(&self) -> usize {
        self.rows
    }
    /// Number of columns.
    #[inline]
    pub fn cols(&self) -> usize {
        self.cols
    }
    /// Row `i`.
    ///
    /// # Panics
    /// If there is no such row.
    #[inline]
    pub fn row_mut(&mut self, i: usize) -> &mut [f32] {
        assert!(i < self.rows);
        &mut self.data[i * self.stride..][..self.cols]
    }
    /// `width` elements of a row, from column `col`.
    #[inline(always)]
    fn part(&mut self, row: usize, col: usize, width: usize) -> &mut [f32] {
        &mut self.data[row * self.stride + col..][..width]
    }
}

/// What [`gemm`] does with the product: `y = relu?(start + x W)`, where the start of each chain is 0, `y`, the bias or `y + bias`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Output<'a> {
    accumulate: bool,
    bias: Option<&'a [f32]>,
    relu: bool,
}

impl<'a> Output<'a> {
    /// `y = x W`
    pub const OVERWRITE: Self = Self { accumulate: false, bias: None, relu: false };
    /// `y += x W`
    pub const ACCUMULATE: Self = Self { accumulate: true, bias: None, relu: false };
    /// Adds a row of `n` elements to every row.
    #[inline]
    pub const fn bias(self, bias: &'a [f32]) -> Self {
        Self { bias: Some(bias), ..self }
    }
    /// Replaces negative results by 0; NaN stays.
    #[inline]
    pub const fn relu(self) -> Self {
        Self { relu: true, ..self }
    }
    /// What the chain of column `j` starts from, where `y` is the element's old value.
    pub(crate) fn start(&self, y: f32, j: usize) -> f64 {
        let old = if self.accumulate { f64::from(y) } else { 0.0 };
        old + self.bias.map_or(0.0, |b| f64::from(b[j]))
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
                let mut first = row;
                while first < end {
                    let tile_rows = tile::next_rows::<S>(end, first);
                    let at = (first, panel * LANES);
                    with_tile!(S, tile_rows, vectors, gemm_tile(s, x, w, &mut y, at, output));
                    first += tile_rows;
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
    let (k, n) = (x.cols, y.cols);
    let mut acc = [[s.zero(); C]; R];
    for c in 0..C {
        let at = col + c * LANES;
        let width = LANES.min(n - at);
        let bias = match output.bias {
            Some(bias) => load(s, &bias[at..at + width]),
            None => s.zero(),
        };
        for (r, acc) in acc.iter_mut().enumerate() {
            acc[c] = match output.accumulate {
                true if output.bias.is_some() => s.add(load(s, y.part(row + r, at, width)), bias),
                true => load(s, y.part(row + r, at, width)),
                false => bias,
            };
        }
    }
    let acc = tile::packed::<S, R, C>(s, (&x.data[row * x.stride..], x.stride), (w, k * LANES), k, acc);
    for (r, acc) in acc.iter().enumerate() {
        for (c, &v) in acc.iter().enumerate() {
            let at = col + c * LANES;
            let v = if output.relu { s.relu(v) } else { v };
            store(s, v, y.part(row + r, at, LANES.min(n - at)));
        }
    }
}

struct GemmTn<'a> {
    a: Matrix<'a>,
    b: Matrix<'a>,
    c: MatrixMut<'a>,
    accumulate: bool,
}

/// Rows of a block of [`gemm_tn`]: few enough that columns of both sides stay in the first level cache.
const TN_ROWS: usize = 48;

impl Kernel for GemmTn<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { a, b, mut c, accumulate } = self;
        let (rows, m, n) = (a.rows, a.cols, b.cols);
        assert_eq!(rows, b.rows, "a^T b of {rows} and {} rows", b.rows);
        assert_eq!((m, n), (c.rows, c.cols), "a^T b is [{m}, {n}], the result [{}, {}]", c.rows, c.cols);
        let mut buffer = [0.0; TN_ROWS * LANES];
        let mut row = 0;
        // At least one round, so that no rows at all still clear the result.
        loop {
            let k = TN_ROWS.min(rows - row);
            let go_on = accumulate || row > 0;
            let panels = n.div_ceil(LANES);
            let mut panel = 0;
            while panel < panels {
                let col = panel * LANES;
                let mut vectors = tile::vectors::<S>(m, panels - panel);
                let partial = col + vectors * LANES > n;
                if partial {
                    // The last panel is narrow: do it alone, from a copy padded with zeros.
                    vectors = (vectors / 2).max(1);
                }
                let partial = col + vectors * LANES > n;
                let (b_data, b_stride) = if k == 0 {
                    (&buffer[..], LANES)
                } else if partial {
                    let (lines, _) = buffer.as_chunks_mut::<LANES>();
                    for (i, line) in lines[..k].iter_mut().enumerate() {
                        let from = &b.data[(row + i) * b.stride + col..][..n - col];
                        line[..n - col].copy_from_slice(from);
                        line[n - col..].fill(0.0);
                    }
                    (&buffer[..], LANES)
                } else {
                    (&b.data[row * b.stride + col..], b.stride)
                };
                let mut first = 0;
                while first < m {
                    let tile_rows = tile::next_rows::<S>(m, first);
                    let a_data = if k == 0 { a.data } else { &a.data[row * a.stride + first..] };
                    let sides = ((a_data, a.stride), (b_data, b_stride), k);
                    with_tile!(S, tile_rows, vectors, gemm_tn_tile(s, sides, &mut c, (first, col), go_on));
                    first += tile_rows;
                }
                panel += vectors;
            }
            row += k;
            if row >= rows {
                break;
            }
        }
    }
}

type Sides<'a> = ((&'a [f32], usize), (&'a [f32], usize), usize);

#[inline(always)]
fn gemm_tn_tile<S: Simd, const R: usize, const C: usize>(
    s: S,
    (a, b, k): Sides<'_>,
    out: &mut MatrixMut<'_>,
    (row, col): (usize, usize),
    go_on: bool,
) {
    let n = out.cols;
    let mut acc = [[s.zero(); C]; R];
    if go_on {
        for (r, acc) in acc.iter_mut().enumerate() {
            for (c, v) in acc.iter_mut().enumerate() {
                let at = col + c * LANES;
                *v = load(s, out.part(row + r, at, LANES.min(n - at)));
            }
        }
    }
    let acc = tile::transposed::<S, R, C>(s, a, b, k, acc);
    for (r, acc) in acc.iter().enumerate() {
        for (c, &v) in acc.iter().enumerate() {
            let at = col + c * LANES;
            store(s, v, out.part(row + r, at, LANES.min(n - at)));
        }
    }
}

/// All of `x`, at most 16 elements.
#[inline(always)]
fn load<S: Simd>(s: S, x: &[f32]) -> S::F32 {
    if x.len() == LANES { s.load(x) } else { s.load_partial(x) }
}

/// Fills `out`, at most 16 elements.
#[inline(always)]
fn store<S: Simd>(s: S, v: S::F32, out: &mut [f32]) {
    if out.len() == LANES { s.store(v, out) } else { s.store_partial(v, out) }
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
