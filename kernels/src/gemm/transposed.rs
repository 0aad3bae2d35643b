//! The products of weight gradients: `a^T b` over many rows.

use super::{Matrix, MatrixMut, load_tile, store_tile};
use crate::simd::tile::{self, with_tile};
use crate::simd::{Kernel, LANES, Simd, load_at};

pub(super) struct GemmTn<'a> {
    pub(super) a: Matrix<'a>,
    pub(super) b: Matrix<'a>,
    pub(super) c: MatrixMut<'a>,
    pub(super) accumulate: bool,
}

/// Rows of a block of [`gemm_tn`]: few enough that columns of both sides stay in the first level cache.
const TN_ROWS: usize = 128;
/// Most vectors in a row of a tile of [`gemm_tn`].
const TN_VECTORS: usize = 2;

impl Kernel for GemmTn<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { a, b, mut c, accumulate } = self;
        let (rows, m, n) = (a.rows, a.cols, b.cols);
        assert_eq!(rows, b.rows, "a^T b of {rows} and {} rows", b.rows);
        assert_eq!((m, n), (c.rows, c.cols), "a^T b is [{m}, {n}], the result [{}, {}]", c.rows, c.cols);
        let mut buffer = [0.0; TN_ROWS * TN_VECTORS * LANES];
        let mut row = 0;
        // At least one round, so that no rows at all still clear the result.
        loop {
            let left = rows - row;
            let k = left.div_ceil(left.div_ceil(TN_ROWS).max(1));
            let go_on = accumulate || row > 0;
            let panels = n.div_ceil(LANES);
            let mut panel = 0;
            while panel < panels {
                let col = panel * LANES;
                let mut vectors = tile::vectors::<S>(m, panels - panel).min(TN_VECTORS);
                if col + vectors * LANES > n {
                    // The last panel is narrow: alone, padded with zeros by the copy.
                    vectors = (vectors / 2).max(1);
                }
                // A copy without gaps: rows a power of two apart would share a few sets of the cache.
                let (lines, _) = buffer.as_chunks_mut::<LANES>();
                for (i, lines) in lines.chunks_exact_mut(vectors).take(k).enumerate() {
                    let from = &b.data[(row + i) * b.stride + col..][..(vectors * LANES).min(n - col)];
                    for (line, from) in lines.iter_mut().zip(from.chunks(LANES)) {
                        s.store(load_at(s, from, 0), line);
                    }
                }
                let (b_data, b_stride) = (&buffer[..], vectors * LANES);
                let a_data = if k == 0 { a.data } else { &a.data[row * a.stride..] };
                for (first, count) in tile::row_tiles::<S>(m) {
                    let a_data = if k == 0 { a_data } else { &a_data[first..] };
                    let sides = ((a_data, a.stride), (b_data, b_stride), k);
                    with_tile!(S, count, vectors, gemm_tn_tile(s, sides, &mut c, (first, col), go_on));
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
    let acc = if go_on { load_tile(s, out, (row, col)) } else { [[s.zero(); C]; R] };
    let acc = tile::transposed::<S, R, C>(s, a, b, k, acc);
    store_tile(s, acc, out, (row, col));
}
