//! `Y = A B`.

use crate::gemm::gemm;
use crate::tape::{Grads, Graph, Op, Values};
use crate::tensor::Var;

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
    use crate::ops::check;
    use crate::tape::Engine;

    #[test]
    fn values_and_gradients() {
        let f = |g: &mut crate::tape::Graph<'_>, x: &[crate::params::ParamId]| {
            super::matmul(g, g.param(x[0]), g.param(x[1]))
        };
        let got = check::forward(&[[1, 2], [2, 1]], &[1.0, 2.0, 3.0, 4.0], Engine::Naive, f);
        assert_eq!(got, [11.0]);
        check::gradients(&[[3, 4], [4, 2]], Engine::Naive, |g, x| vec![f(g, x)]);
    }
}
