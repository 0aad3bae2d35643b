//! Shapes and addresses of tensors, and their views as `ndarray` matrices.
//!
//! Every tensor of a training step is a row-major matrix of `f32` in one address space that starts with the dense
//! weights and goes on with the activations in the order of their making. A [`Var`] is such an address. It holds no
//! data, so it is free to copy, and an op's inputs always lie below its outputs, which is what lets the backward pass
//! borrow the two apart without locks or copies.

use ndarray::{ArrayView2, ArrayViewMut2};
use std::ops::Range;

/// The address and shape of a matrix `[rows, cols]` on a [`Tape`](crate::autograd::tape::Tape).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Var {
    pub(crate) start: usize,
    /// Number of rows.
    pub rows: usize,
    /// Number of columns.
    pub cols: usize,
}

impl Var {
    /// Number of elements.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.rows * self.cols
    }

    /// Shape as `[rows, cols]`.
    pub fn shape(&self) -> [usize; 2] {
        [self.rows, self.cols]
    }

    /// Where it lies in the address space: what [`backward_from`](crate::autograd::tape::Graph::backward_from) seeds.
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.len()
    }

    /// The same elements under another shape.
    ///
    /// # Panics
    /// If the number of elements differs.
    pub fn reshape(self, rows: usize, cols: usize) -> Var {
        assert_eq!(self.len(), rows * cols, "reshape of {:?} to [{rows}, {cols}]", self.shape());
        Var { start: self.start, rows, cols }
    }

    /// Views a slice of this variable's length as a matrix.
    pub(crate) fn view<'a>(&self, data: &'a [f32]) -> ArrayView2<'a, f32> {
        ArrayView2::from_shape((self.rows, self.cols), data).expect("slice of the variable's own length")
    }

    /// Views a mutable slice of this variable's length as a matrix.
    pub(crate) fn view_mut<'a>(&self, data: &'a mut [f32]) -> ArrayViewMut2<'a, f32> {
        ArrayViewMut2::from_shape((self.rows, self.cols), data).expect("slice of the variable's own length")
    }
}

/// A run of `u32` (ids, buckets, segment offsets) in a tape's index buffer.
#[derive(Clone, Copy, Debug)]
pub struct Index {
    pub(crate) start: usize,
    /// Number of entries.
    pub len: usize,
}

/// Values that a forward pass keeps for its backward pass and that have no gradient of their own.
#[derive(Clone, Copy, Debug)]
pub struct Saved {
    pub(crate) start: usize,
    pub(crate) len: usize,
}
