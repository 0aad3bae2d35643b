//! The products of weight gradients: `a^T b` over many rows.

use super::{Matrix, MatrixMut, load_tile, store_tile};
use crate::simd::tile::{self, with_tile};
use crate::simd::{Kernel, LANES, Simd};
use crate::small::Lines;
use std::cell::RefCell;
use std::ops::Range;

pub(super) struct GemmTn<'a> {
    pub(super) a: Matrix<'a>,
    pub(super) b: Matrix<'a>,
    pub(super) c: MatrixMut<'a>,
    pub(super) accumulate: bool,
}

/// Rows of a block: few enough that what is packed of both sides stays in the second level cache.
const BLOCK_ROWS: usize = 256;
/// Column tiles of `a` that are taken together.
const BLOCK_TILES: usize = 22;
/// Most rows of a block that are read as they are, where they lie well: a tile's column of them stays in the first level cache.
const DIRECT_ROWS: usize = 96;
/// Rows of the highest register tile of any level.
const MOST_ROWS: usize = 6;
/// Lines of a packed row of `a`: an odd number, so that a column of them is spread over the cache.
const A_LINES: usize = (BLOCK_TILES * MOST_ROWS).div_ceil(LANES) | 1;
/// Most vectors in a row of a tile.
const MOST_VECTORS: usize = 4;

impl Kernel for GemmTn<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let (rows, m, n) = (self.a.rows, self.a.cols, self.b.cols);
        assert_eq!(rows, self.b.rows, "a^T b of {rows} and {} rows", self.b.rows);
        assert_eq!((m, n), (self.c.rows, self.c.cols), "a^T b and its result differ in shape");
        if rows == 0 {
            if !self.accumulate {
                (0..m).for_each(|i| self.c.row_mut(i).fill(0.0));
            }
            return;
        }
        PACKED.with_borrow_mut(|packed| s.call(Blocks { product: self, packed }));
    }
}

thread_local! {
    /// Kept from call to call: zeros for every product would cost more than a small one.
    static PACKED: RefCell<Box<Packed>> = RefCell::new(Box::new(Packed { a: Lines([[0.0; LANES]; _]), b: Lines([[0.0; LANES]; _]) }));
}

pub(super) fn prepare_thread() {
    PACKED.with_borrow(|_| ());
}

/// All blocks of a product.
struct Blocks<'a, 'p> {
    product: GemmTn<'a>,
    packed: &'p mut Packed,
}

impl Kernel for Blocks<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { mut product, packed } = self;
        let (rows, m) = (product.a.rows, product.a.cols);
        let block = rows.div_ceil(rows.div_ceil(BLOCK_ROWS));
        for row in (0..rows).step_by(block) {
            for tile in (0..m.div_ceil(S::TILE_ROWS)).step_by(BLOCK_TILES) {
                let tiles = tile::row_tiles::<S>(m).skip(tile).take(BLOCK_TILES);
                product.block(s, row..rows.min(row + block), tiles, packed);
            }
        }
    }
}

/// Copies of a block of both sides: rows a power of two apart would share a few sets of the cache.
struct Packed {
    /// `[k, A_LINES]`.
    a: Lines<{ BLOCK_ROWS * A_LINES }>,
    /// One panel, `[k, lines]`.
    b: Lines<{ BLOCK_ROWS * MOST_VECTORS }>,
}

impl GemmTn<'_> {
    /// Adds the products of some rows to some tiles of the result's rows; the first rows overwrite, unless `accumulate`.
    #[inline(always)]
    fn block<S: Simd>(
        &mut self,
        s: S,
        rows: Range<usize>,
        tiles: impl Iterator<Item = (usize, usize)> + Clone,
        packed: &mut Packed,
    ) {
        const { assert!(S::TILE_ROWS <= MOST_ROWS) };
        let (a, b, k) = (self.a, self.b, rows.len());
        let go_on = self.accumulate || rows.start > 0;
        // Rows an odd number of lines apart are spread over the cache as they are.
        let spread = |stride: usize| stride % (2 * LANES) == LANES;
        let a_is_packed = !spread(a.stride) || k > DIRECT_ROWS;
        let start = tiles.clone().next().map_or(0, |(first, _)| first);
        let a_rows = &a.data[rows.start * a.stride..];
        let (a_side, stride_a) = if a_is_packed {
            let width = tiles.clone().map(|(_, count)| count).sum();
            copy_columns(s, (a_rows, a.stride), (start, width), &mut packed.a.0[..k * A_LINES], A_LINES);
            (packed.a.0.as_flattened(), A_LINES * LANES)
        } else {
            (&a_rows[start..], a.stride)
        };
        let panels = b.cols.div_ceil(LANES);
        let mut panel = 0;
        while panel < panels {
            let col = panel * LANES;
            let mut vectors = tile::vectors::<S>(a.cols, panels - panel).min(MOST_VECTORS);
            if col + vectors * LANES > b.cols {
                // The last panel is narrow: alone, padded with zeros by the copy.
                vectors = (vectors / 2).max(1);
            }
            let from = (&b.data[rows.start * b.stride..], b.stride);
            let width = (vectors * LANES).min(b.cols - col);
            let b_side = if spread(b.stride) && width == vectors * LANES {
                (&from.0[col..], b.stride)
            } else {
                let lines = &mut packed.b.0[..k * vectors];
                copy_columns(s, from, (col, width), lines, vectors);
                (lines.as_flattened(), vectors * LANES)
            };
            for (first, count) in tiles.clone() {
                let sides = ((&a_side[first - start..], stride_a), b_side, k);
                with_tile!(S, count, vectors, gemm_tn_tile(s, sides, &mut self.c, (first, col), go_on));
            }
            panel += vectors;
        }
    }
}

/// Copies `width` columns from `col` of rows `stride` apart to whole lines, `step` of them a row, with zeros after the last
/// column. What further lines of a row hold does not change.
#[inline(always)]
fn copy_columns<S: Simd>(
    s: S,
    (rows, stride): (&[f32], usize),
    (col, width): (usize, usize),
    lines: &mut [[f32; LANES]],
    step: usize,
) {
    for (lines, row) in lines.chunks_exact_mut(step).zip(rows.chunks(stride)) {
        let (whole, rest) = row[col..col + width].as_chunks::<LANES>();
        for (line, x) in lines.iter_mut().zip(whole) {
            s.store(s.load(x), line);
        }
        if !rest.is_empty() {
            s.store(s.load_partial(rest), &mut lines[whole.len()]);
        }
    }
}

/// Both sides from the tile's first column on, each with its stride, and the number of rows.
type Sides<'a> = ((&'a [f32], usize), (&'a [f32], usize), usize);

#[inline(always)]
fn gemm_tn_tile<S: Simd, const R: usize, const C: usize>(
    s: S,
    ((a, stride), b, k): Sides<'_>,
    out: &mut MatrixMut<'_>,
    (row, col): (usize, usize),
    go_on: bool,
) {
    let acc = if go_on { load_tile(s, out, (row, col)) } else { [[s.zero(); C]; R] };
    let acc = tile::strided::<S, R, C>(s, (a, 1, stride), b, k, acc);
    store_tile(s, acc, out, (row, col));
}

/// `c += a^T b` for sides in the second level cache whose columns are read where they lie; the width of b is whole vectors.
pub(super) struct GemmTnNear<'a> {
    pub(super) a: Matrix<'a>,
    pub(super) b: Matrix<'a>,
    pub(super) c: MatrixMut<'a>,
}

/// Rows that are summed before the next tile: so many lines of a tile's panel stay in the first level cache, even if rows
/// lie a power of two apart.
const NEAR_ROWS: usize = 64;

impl Kernel for GemmTnNear<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { a, b, mut c } = self;
        assert_eq!(a.rows, b.rows, "a^T b of {} and {} rows", a.rows, b.rows);
        assert_eq!((a.cols, b.cols), (c.rows, c.cols), "a^T b and its result differ in shape");
        let panels = b.cols / LANES;
        for row in (0..a.rows).step_by(NEAR_ROWS) {
            let k = NEAR_ROWS.min(a.rows - row);
            let (a_rows, b_rows) = (&a.data[row * a.stride..], &b.data[row * b.stride..]);
            let mut panel = 0;
            while panel < panels {
                let vectors = tile::vectors::<S>(a.cols, panels - panel).min(MOST_VECTORS);
                let col = panel * LANES;
                for (first, count) in tile::row_tiles::<S>(a.cols) {
                    let sides = ((&a_rows[first..], a.stride), (&b_rows[col..], b.stride), k);
                    with_tile!(S, count, vectors, gemm_tn_tile(s, sides, &mut c, (first, col), true));
                }
                panel += vectors;
            }
        }
    }
}
