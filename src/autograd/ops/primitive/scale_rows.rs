//! `y_i = w_i x_i`: each row times its own weight.

use crate::autograd::tape::{Grads, Graph, Op, Values};
use crate::autograd::var::Var;

struct ScaleRows {
    x: Var,
    w: Var,
    y: Var,
}

impl Op for ScaleRows {
    fn backward(&self, values: Values<'_>, grads: &mut Grads<'_>, _: &mut Vec<f32>) {
        let (dy, [dx, dw]) = grads.pull(self.y, [self.x, self.w]);
        let (x, w) = (values.view(self.x), values.get(self.w));
        for (i, (dy, mut dx)) in self.y.view(dy).rows().into_iter().zip(self.x.view_mut(dx).rows_mut()).enumerate() {
            dx.scaled_add(w[i], &dy);
            dw[i] += dy.dot(&x.row(i));
        }
    }
}

/// Rows of `x` `[n, d]` times the weights `w` `[n, 1]`.
///
/// # Panics
/// If `w` is not one column with a row for each row of `x`.
pub fn scale_rows(g: &mut Graph<'_>, x: Var, w: Var) -> Var {
    assert_eq!(w.shape(), [x.rows, 1], "scale_rows");
    let y = g.alloc(x.rows, x.cols);
    g.compute(y, None, |v, out| {
        let (x, w) = (v.view(x), v.get(w));
        for (i, mut row) in y.view_mut(out.y).rows_mut().into_iter().enumerate() {
            row.zip_mut_with(&x.row(i), |y, x| *y = w[i] * x);
        }
    });
    g.push(ScaleRows { x, w, y });
    y
}

#[cfg(test)]
mod tests {
    use crate::autograd::check;
    use crate::autograd::tape::Engine;

    #[test]
    fn values_and_gradients() {
        let f = |g: &mut crate::autograd::tape::Graph<'_>, x: &[crate::autograd::params::ParamId]| {
            super::scale_rows(g, g.param(x[0]), g.param(x[1]))
        };
        let got = check::forward(&[[2, 2], [2, 1]], &[1.0, 2.0, 3.0, 4.0, 10.0, -1.0], Engine::Naive, f);
        assert_eq!(got, [10.0, 20.0, -3.0, -4.0]);
        check::gradients(&[[3, 5], [3, 1]], Engine::Naive, |g, x| vec![f(g, x)]);
    }
}
