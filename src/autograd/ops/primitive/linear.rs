//! `y = x W^T + b` (W stored `[out, in]`, as in the paper `W x`).

use crate::autograd::ops::add_rows;
use crate::autograd::reference::gemm::gemm;
use crate::autograd::tape::{Grads, Graph, Op, Values};
use crate::autograd::var::Var;

struct Linear {
    x: Var,
    w: Var,
    b: Option<Var>,
    y: Var,
}

impl Op for Linear {
    fn backward(&self, values: Values<'_>, grads: &mut Grads<'_>, _: &mut Vec<f32>) {
        let (x, w) = (values.view(self.x), values.view(self.w));
        let (dy, [dx, dw]) = grads.pull(self.y, [self.x, self.w]);
        let dy = self.y.view(dy);
        gemm(1.0, dy, w, 1.0, self.x.view_mut(dx));
        gemm(1.0, dy.t(), x, 1.0, self.w.view_mut(dw));
        if let Some(b) = self.b {
            let (dy, [db]) = grads.pull(self.y, [b]);
            add_rows(dy, db);
        }
    }
}

/// Rows of `x` `[n, in]` through `w` `[out, in]` and the optional bias `b` (`out` entries): `[n, out]`.
///
/// # Panics
/// If the shapes do not fit.
pub fn linear(g: &mut Graph<'_>, x: Var, w: Var, b: Option<Var>) -> Var {
    assert!(x.cols == w.cols && b.is_none_or(|b| b.len() == w.rows), "linear: {:?} by {:?}", x.shape(), w.shape());
    let y = g.alloc(x.rows, w.rows);
    g.compute(y, None, |v, out| {
        let mut y = y.view_mut(out.y);
        match b {
            Some(b) => {
                y.rows_mut().into_iter().for_each(|mut row| row.assign(&b.reshape(1, w.rows).view(v.get(b)).row(0)))
            }
            None => y.fill(0.0),
        }
        gemm(1.0, v.view(x), v.view(w).t(), 1.0, y);
    });
    g.push(Linear { x, w, b, y });
    y
}

#[cfg(test)]
mod tests {
    use crate::autograd::check;
    use crate::autograd::tape::Engine;

    #[test]
    fn values_and_gradients() {
        let f = |g: &mut crate::autograd::tape::Graph<'_>, x: &[crate::autograd::params::ParamId]| {
            super::linear(g, g.param(x[0]), g.param(x[1]), Some(g.param(x[2])))
        };
        let got = check::forward(&[[1, 2], [1, 2], [1, 1]], &[1.0, 2.0, 3.0, 4.0, 0.5], Engine::Naive, f);
        assert_eq!(got, [11.5]);
        check::gradients(&[[4, 3], [5, 3], [1, 5]], Engine::Naive, |g, x| vec![f(g, x)]);
        check::gradients(&[[1, 3], [2, 3]], Engine::Naive, |g, x| {
            vec![super::linear(g, g.param(x[0]), g.param(x[1]), None)]
        });
    }
}
