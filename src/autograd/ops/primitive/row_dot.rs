//! `s_i = x_i . y_i (+ b_i)`: inner products of paired rows (eq 17).

use crate::autograd::tape::{Grads, Graph, Op, Values};
use crate::autograd::var::Var;

struct RowDot {
    a: Var,
    b: Var,
    y: Var,
}

impl Op for RowDot {
    fn backward(&self, values: Values<'_>, grads: &mut Grads<'_>, _: &mut Vec<f32>) {
        for (x, other) in [(self.a, self.b), (self.b, self.a)] {
            let (dy, [dx]) = grads.pull(self.y, [x]);
            let other = values.view(other);
            for (i, mut row) in x.view_mut(dx).rows_mut().into_iter().enumerate() {
                row.scaled_add(dy[i], &other.row(i));
            }
        }
    }
}

/// Inner products of the rows of `a` and `b`, both `[n, d]`; the result is `[n, 1]`.
///
/// # Panics
/// If the shapes differ.
pub fn row_dot(g: &mut Graph<'_>, a: Var, b: Var) -> Var {
    assert_eq!(a.shape(), b.shape(), "row_dot");
    let y = g.alloc(a.rows, 1);
    g.compute(y, None, |v, out| {
        let (a, b) = (v.view(a), v.view(b));
        for (i, y) in out.y.iter_mut().enumerate() {
            *y = a.row(i).dot(&b.row(i));
        }
    });
    g.push(RowDot { a, b, y });
    y
}

#[cfg(test)]
mod tests {
    use crate::autograd::check;
    use crate::autograd::tape::Engine;

    #[test]
    fn values_and_gradients() {
        let f = |g: &mut crate::autograd::tape::Graph<'_>, x: &[crate::autograd::params::ParamId]| {
            super::row_dot(g, g.param(x[0]), g.param(x[1]))
        };
        let got = check::forward(&[[2, 2], [2, 2]], &[1., 2., 3., 4., 5., 6., 7., 8.], Engine::Naive, f);
        assert_eq!(got, [17.0, 53.0]);
        check::gradients(&[[3, 5], [3, 5]], Engine::Naive, |g, x| vec![f(g, x)]);
    }
}
