//! Rows of tables: gathers into batches, and gradients scattered back.

use crate::level::Level;
use crate::simd::{Kernel, Simd};
use crate::small::add;

/// Which columns of a wider matrix a row takes: row i starts at `i * stride + first`.
///
/// Item vectors `[V ; C]` are two gathers into the halves of one matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Columns {
    /// Width of the wider matrix.
    pub stride: usize,
    /// The first column.
    pub first: usize,
}

impl Columns {
    /// A matrix that is exactly `width` wide.
    pub fn all(width: usize) -> Self {
        Self { stride: width, first: 0 }
    }

    fn check(self, width: usize, ids: &[u32], wide: usize, table: usize) {
        assert!(width > 0, "a row must be at least 1 wide");
        assert!(
            self.first + width <= self.stride,
            "columns {}..{} of a matrix of width {}",
            self.first,
            self.first + width,
            self.stride
        );
        assert_eq!(wide, ids.len() * self.stride, "{} ids do not fit a matrix of {wide} values", ids.len());
        assert_eq!(table % width, 0, "{table} values are not rows of width {width}");
        if let Some(id) = ids.iter().find(|&&id| id as usize >= table / width) {
            panic!("row {id} of a table of {} rows", table / width);
        }
    }
}

/// `dst[i, columns] = table[ids[i], :]`: `table` `[_, width]`, `dst` `[ids.len(), at.stride]`.
///
/// # Panics
/// If an id is beyond the table or the lengths do not fit.
pub fn gather(level: Level, table: &[f32], width: usize, ids: &[u32], dst: &mut [f32], at: Columns) {
    at.check(width, ids, dst.len(), table.len());
    level.dispatch(Gather { table, width, ids, dst, at });
}

/// `table[ids[i], :] += src[i, columns]` in the order of i: ids may repeat.
///
/// # Panics
/// If an id is beyond the table or the lengths do not fit.
pub fn scatter_add(level: Level, src: &[f32], at: Columns, ids: &[u32], width: usize, table: &mut [f32]) {
    at.check(width, ids, src.len(), table.len());
    level.dispatch(ScatterAdd { src, at, ids, width, table });
}

struct Gather<'a> {
    table: &'a [f32],
    width: usize,
    ids: &'a [u32],
    dst: &'a mut [f32],
    at: Columns,
}

impl Kernel for Gather<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _s: S) {
        let Self { table, width, ids, dst, at } = self;
        for (dst, &id) in dst.chunks_exact_mut(at.stride).zip(ids) {
            dst[at.first..at.first + width].copy_from_slice(&table[id as usize * width..][..width]);
        }
    }
}

struct ScatterAdd<'a> {
    src: &'a [f32],
    at: Columns,
    ids: &'a [u32],
    width: usize,
    table: &'a mut [f32],
}

impl Kernel for ScatterAdd<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { src, at, ids, width, table } = self;
        for (src, &id) in src.chunks_exact(at.stride).zip(ids) {
            add(s, &src[at.first..at.first + width], &mut table[id as usize * width..][..width]);
        }
    }
}
