//! A product whose packed side stays in the first level cache while many rows pass once.

use super::{Matrix, MatrixMut, Output, finish_tile, start_tile};
use crate::simd::tile::{self, with_tile};
use crate::simd::{Kernel, LANES, Simd};
use std::ops::Range;

/// `y = start + x W` for some rows of x and y, as [`super::gemm`], for few enough panels of W that all of them, with the rows
/// of a tile, are in the first level cache. The next tile's rows are asked for ahead of time, also those after the last:
/// they may come from memory.
pub(crate) struct Sweep<'a> {
    pub x: Matrix<'a>,
    pub rows: Range<usize>,
    /// As [`super::gemm`] takes it.
    pub packed: &'a [f32],
    pub y: MatrixMut<'a>,
    pub output: Output<'a>,
}

impl Kernel for Sweep<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { x, rows, packed, mut y, output } = self;
        let (k, panels) = (x.cols, y.cols.div_ceil(LANES));
        assert_eq!(packed.len(), panels * k * LANES, "a packed matrix of [{k}, {}]", y.cols);
        assert!(rows.end <= x.rows && rows.end <= y.rows, "rows {rows:?} of {} and {}", x.rows, y.rows);
        let mut panel = 0;
        while panel < panels {
            let vectors = tile::vectors::<S>(rows.len(), panels - panel);
            let w = &packed[panel * k * LANES..][..vectors * k * LANES];
            for (first, count) in tile::row_tiles::<S>(rows.len()) {
                let at = (rows.start + first, panel * LANES);
                with_tile!(S, count, vectors, sweep_tile(s, x, w, &mut y, at, output));
            }
            panel += vectors;
        }
    }
}

/// The tile of `R` rows from `row` and `16 C` columns from `col`.
#[inline(always)]
fn sweep_tile<S: Simd, const R: usize, const C: usize>(
    s: S,
    x: Matrix<'_>,
    w: &[f32],
    y: &mut MatrixMut<'_>,
    (row, col): (usize, usize),
    output: Output<'_>,
) {
    let k = x.cols;
    let acc = start_tile::<S, R, C>(s, y, (row, col), output);
    let x = (&x.data[row * x.stride..], x.stride);
    let acc = tile::packed_ahead::<S, R, C>(s, x, (w, k * LANES), k, acc);
    finish_tile(s, acc, y, (row, col), output);
}
