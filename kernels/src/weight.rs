//! The weight of a dense layer, as a training step shares it.

use crate::gemm::{Matrix, MatrixMut, Output, gemm, gemm_tn};
use crate::level::Level;

/// `W [n, k]` of `y = x W^T`: as rows, and packed once a step for both directions.
///
/// The naive twins read `rows` only, the fused forward `transposed`, the fused backward `straight`:
/// what a caller never uses may be left empty.
#[derive(Clone, Copy, Debug)]
pub struct Weight<'a> {
    /// Width of y.
    pub n: usize,
    /// Width of x.
    pub k: usize,
    /// `[n, k]`, row-major.
    pub rows: &'a [f32],
    /// What [`crate::gemm::pack_transposed`] made of `rows`: for `y = x W^T`.
    pub transposed: &'a [f32],
    /// What [`crate::gemm::pack`] made of `rows`: for `dx = dy W`.
    pub straight: &'a [f32],
}

impl Weight<'_> {
    /// `y = x W^T`, `x` `[rows, k]`, `y` `[rows, n]`.
    pub(crate) fn apply(&self, level: Level, x: &[f32], y: &mut [f32], output: Output) {
        let rows = y.len() / self.n;
        gemm(level, Matrix::new(x, rows, self.k), self.transposed, MatrixMut::new(y, rows, self.n), output);
    }

    /// `dx = dy W`, or `+=`: `dy` `[rows, n]`, `dx` `[rows, k]`.
    pub(crate) fn apply_transposed(&self, level: Level, dy: &[f32], dx: &mut [f32], output: Output) {
        let rows = dx.len() / self.k;
        gemm(level, Matrix::new(dy, rows, self.n), self.straight, MatrixMut::new(dx, rows, self.k), output);
    }

    /// `dW += dy^T x`: `dy` `[rows, n]`, `x` `[rows, k]`, `dw` `[n, k]`.
    pub(crate) fn add_gradient(&self, level: Level, dy: &[f32], x: &[f32], dw: &mut [f32]) {
        let rows = dy.len() / self.n;
        let (dy, x) = (Matrix::new(dy, rows, self.n), Matrix::new(x, rows, self.k));
        gemm_tn(level, dy, x, MatrixMut::new(dw, self.n, self.k), true);
    }

    /// Checks the shape.
    ///
    /// # Panics
    /// If it is not `[n, k]`, both at least 1.
    pub(crate) fn expect(&self, name: &str, n: usize, k: usize) {
        assert!(n > 0 && k > 0, "{name} must not be empty");
        assert_eq!((self.n, self.k), (n, k), "{name} has the wrong shape");
    }
}
