//! The rows of a block of candidates: where they begin, and asking for them in between other work.

use super::kernels::MOST_VECTORS;
use crate::simd::{LANES, prefetch_once};
use crate::small::Rows;
use std::ops::Range;

/// A block of candidates in their table.
#[derive(Clone, Copy)]
pub(super) struct Places<'a> {
    pub table: &'a [f32],
    /// Where the row of each begins. What is not needed repeats another.
    pub starts: [usize; MOST_VECTORS * LANES],
}

impl<'a> Places<'a> {
    /// Of the rows `rows`, or if there are none, of row 0.
    #[inline(always)]
    pub fn new(c: Rows<'a>, rows: Range<usize>) -> Self {
        let mut starts = [0; MOST_VECTORS * LANES];
        let count = rows.len();
        // No closures: what is not inlined has none of the level's instructions.
        match c.ids {
            Some(ids) => {
                for (start, &id) in starts.iter_mut().zip(&ids[rows]) {
                    *start = id as usize;
                }
            }
            None => {
                for (start, row) in starts.iter_mut().zip(rows) {
                    *start = row;
                }
            }
        }
        let first = starts[0];
        starts[count..].fill(first);
        for start in &mut starts {
            *start = c.first + *start * c.stride;
        }
        Self { table: c.data, starts }
    }

    /// Asks for the line of the `i`-th row where its dimension `t` stands.
    #[inline(always)]
    pub fn fetch(&self, i: usize, t: usize) {
        prefetch_once(self.table, self.starts[i] + t);
    }
}
