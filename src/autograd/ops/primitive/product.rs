//! Products with a dense weight on either engine, for ops that keep their own loops.

use crate::autograd::params::ParamId;
use crate::autograd::reference::gemm::gemm;
use crate::autograd::tape::{Engine, Values};
use dmran_kernels::gemm::{self as packed, Matrix, MatrixMut, Output};
use ndarray::{ArrayView2, ArrayViewMut2};

/// A weight `W` `[n, k]` and the engine that multiplies by it.
#[derive(Clone, Copy, Debug)]
pub(in crate::autograd::ops) struct Product {
    pub w: ParamId,
    pub engine: Engine,
}

fn view(data: &[f32], cols: usize) -> ArrayView2<'_, f32> {
    ArrayView2::from_shape((data.len() / cols, cols), data).expect("whole rows")
}

fn view_mut(data: &mut [f32], cols: usize) -> ArrayViewMut2<'_, f32> {
    ArrayViewMut2::from_shape((data.len() / cols, cols), data).expect("whole rows")
}

impl Product {
    /// `y = x W^T`, or `y += x W^T`.
    pub fn times(self, v: Values<'_>, x: &[f32], y: &mut [f32], accumulate: bool) {
        let [n, k] = v.params.var(self.w).shape();
        match self.engine {
            Engine::Fused => {
                let output = if accumulate { Output::ACCUMULATE } else { Output::OVERWRITE };
                let (x, y) = (Matrix::new(x, x.len() / k, k), MatrixMut::new(y, y.len() / n, n));
                packed::gemm(v.level, x, v.params.weight(self.w).transposed, y, output);
            }
            Engine::Naive => {
                let w = view(v.params.get(self.w), k);
                gemm(1.0, view(x, k), w.t(), f32::from(accumulate), view_mut(y, n));
            }
        }
    }

    /// `dx = dy W`.
    pub fn back(self, v: Values<'_>, dy: &[f32], dx: &mut [f32]) {
        let [n, k] = v.params.var(self.w).shape();
        match self.engine {
            Engine::Fused => {
                let (dy, dx) = (Matrix::new(dy, dy.len() / n, n), MatrixMut::new(dx, dx.len() / k, k));
                packed::gemm(v.level, dy, v.params.weight(self.w).straight, dx, Output::OVERWRITE);
            }
            Engine::Naive => gemm(1.0, view(dy, n), view(v.params.get(self.w), k), 0.0, view_mut(dx, k)),
        }
    }

    /// `dW += dy^T x`.
    pub fn add_gradient(self, v: Values<'_>, dy: &[f32], x: &[f32], dw: &mut [f32]) {
        let [n, k] = v.params.var(self.w).shape();
        match self.engine {
            Engine::Fused => {
                let (dy, x) = (Matrix::new(dy, dy.len() / n, n), Matrix::new(x, x.len() / k, k));
                packed::gemm_tn(v.level, dy, x, MatrixMut::new(dw, n, k), true);
            }
            Engine::Naive => gemm(1.0, view(dy, n).t(), view(x, k), 1.0, view_mut(dw, k)),
        }
    }
}
