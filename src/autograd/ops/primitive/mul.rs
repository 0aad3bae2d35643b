//! `y = a * b`, elementwise (Hadamard).

use crate::autograd::tape::{Grads, Graph, Op, Values};
use crate::autograd::var::Var;

struct Mul {
    a: Var,
    b: Var,
    y: Var,
}

impl Op for Mul {
    fn backward(&self, values: Values<'_>, grads: &mut Grads<'_>, _: &mut Vec<f32>) {
        // One input at a time: `a * a` is legal.
        for (x, other) in [(self.a, self.b), (self.b, self.a)] {
            let (dy, [dx]) = grads.pull(self.y, [x]);
            ndarray::Zip::from(x.view_mut(dx))
                .and(self.y.view(dy))
                .and(values.view(other))
                .for_each(|d, g, o| *d += g * o);
        }
    }
}

/// `a * b`, elementwise.
///
/// # Panics
/// If the shapes differ.
pub fn mul(g: &mut Graph<'_>, a: Var, b: Var) -> Var {
    assert_eq!(a.shape(), b.shape(), "mul");
    let y = g.alloc(a.rows, a.cols);
    g.compute(y, None, |v, out| {
        ndarray::Zip::from(y.view_mut(out.y)).and(v.view(a)).and(v.view(b)).for_each(|y, a, b| *y = a * b);
    });
    g.push(Mul { a, b, y });
    y
}

#[cfg(test)]
mod tests {
    use crate::autograd::check;
    use crate::autograd::tape::Engine;

    #[test]
    fn values_and_gradients() {
        let got = check::forward(&[[1, 2], [1, 2]], &[1.0, 2.0, 0.5, -3.0], Engine::Naive, |g, x| {
            super::mul(g, g.param(x[0]), g.param(x[1]))
        });
        assert_eq!(got, [0.5, -6.0]);
        check::gradients(&[[3, 5], [3, 5]], Engine::Naive, |g, x| {
            let y = super::mul(g, g.param(x[0]), g.param(x[1]));
            vec![super::mul(g, y, y)]
        });
    }
}
