//! `Y = A B`.

use crate::autograd::params::ParamId;
use crate::autograd::reference::gemm::gemm;
use crate::autograd::tape::{Grads, Graph, Op, Values};
use crate::autograd::var::Var;
use dmran_kernels::gemm::{self as packed, Matrix, MatrixMut, Output};

/// `Y = A W` with a packed weight W.
struct Packed {
    a: Var,
    w: ParamId,
    y: Var,
}

impl Op for Packed {
    fn backward(&self, v: Values<'_>, grads: &mut Grads<'_>, _: &mut Vec<f32>) {
        let (w, a, y) = (v.params.var(self.w), self.a, self.y);
        let (dy, [da, dw]) = grads.pull(y, [a, w]);
        let dy = Matrix::new(dy, y.rows, y.cols);
        let da = MatrixMut::new(da, a.rows, a.cols);
        packed::gemm(v.level, dy, v.params.weight(self.w).transposed, da, Output::ACCUMULATE);
        packed::gemm_tn(v.level, Matrix::new(v.get(a), a.rows, a.cols), dy, MatrixMut::new(dw, w.rows, w.cols), true);
    }
}

/// The product of `a` `[m, k]` and the packed weight `w` `[k, n]`, on the kernels: `[m, n]`.
///
/// # Panics
/// If the inner sizes differ or `w` is not packed.
pub fn matmul_packed(g: &mut Graph<'_>, a: Var, w: ParamId) -> Var {
    let y = g.alloc(a.rows, g.param(w).cols);
    g.compute(y, None, |v, out| {
        let (a, y) = (Matrix::new(v.get(a), a.rows, a.cols), MatrixMut::new(out.y, y.rows, y.cols));
        packed::gemm(v.level, a, v.params.weight(w).straight, y, Output::OVERWRITE);
    });
    g.push(Packed { a, w, y });
    y
}

struct Matmul {
    a: Var,
    b: Var,
    y: Var,
}

impl Op for Matmul {
    fn backward(&self, values: Values<'_>, grads: &mut Grads<'_>, _: &mut Vec<f32>) {
        let (dy, [da, db]) = grads.pull(self.y, [self.a, self.b]);
        let dy = self.y.view(dy);
        gemm(1.0, dy, values.view(self.b).t(), 1.0, self.a.view_mut(da));
        gemm(1.0, values.view(self.a).t(), dy, 1.0, self.b.view_mut(db));
    }
}

/// The product of `a` `[m, k]` and `b` `[k, n]`: `[m, n]`.
///
/// # Panics
/// If the inner sizes differ.
pub fn matmul(g: &mut Graph<'_>, a: Var, b: Var) -> Var {
    assert_eq!(a.cols, b.rows, "matmul: {:?} by {:?}", a.shape(), b.shape());
    let y = g.alloc(a.rows, b.cols);
    g.compute(y, None, |v, out| gemm(1.0, v.view(a), v.view(b), 0.0, y.view_mut(out.y)));
    g.push(Matmul { a, b, y });
    y
}

#[cfg(test)]
mod tests {
    use crate::autograd::check;
    use crate::autograd::tape::Engine;

    #[test]
    fn values_and_gradients() {
        let f = |g: &mut crate::autograd::tape::Graph<'_>, x: &[crate::autograd::params::ParamId]| {
            super::matmul(g, g.param(x[0]), g.param(x[1]))
        };
        let got = check::forward(&[[1, 2], [2, 1]], &[1.0, 2.0, 3.0, 4.0], Engine::Naive, f);
        assert_eq!(got, [11.0]);
        check::gradients(&[[3, 4], [4, 2]], Engine::Naive, |g, x| vec![f(g, x)]);
        let f = |g: &mut crate::autograd::tape::Graph<'_>, x: &[crate::autograd::params::ParamId]| {
            super::matmul_packed(g, g.param(x[0]), x[1])
        };
        assert_eq!(check::forward(&[[1, 2], [2, 1]], &[1.0, 2.0, 3.0, 4.0], Engine::Fused, f), [11.0]);
        check::gradients(&[[3, 4], [4, 2]], Engine::Fused, |g, x| vec![f(g, x)]);
    }
}
