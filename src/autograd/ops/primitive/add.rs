//! `y = a + b`, where `b` has the shape of `a`.

use crate::autograd::tape::{Grads, Graph, Op, Values};
use crate::autograd::var::Var;

struct Add {
    a: Var,
    b: Var,
    y: Var,
}

impl Op for Add {
    fn backward(&self, _: Values<'_>, grads: &mut Grads<'_>, _: &mut Vec<f32>) {
        // One input at a time: `a + a` is legal.
        for x in [self.a, self.b] {
            let (dy, [dx]) = grads.pull(self.y, [x]);
            x.view_mut(dx).zip_mut_with(&self.y.view(dy), |d, g| *d += g);
        }
    }
}

/// `a + b`, elementwise.
///
/// # Panics
/// If the shapes differ.
pub fn add(g: &mut Graph<'_>, a: Var, b: Var) -> Var {
    assert_eq!(a.shape(), b.shape(), "add");
    let y = g.alloc(a.rows, a.cols);
    g.compute(y, None, |v, out| {
        ndarray::Zip::from(y.view_mut(out.y)).and(v.view(a)).and(v.view(b)).for_each(|y, a, b| *y = a + b);
    });
    g.push(Add { a, b, y });
    y
}

#[cfg(test)]
mod tests {
    use crate::autograd::check;
    use crate::autograd::tape::Engine;

    #[test]
    fn values_and_gradients() {
        let got = check::forward(&[[1, 2], [1, 2]], &[1.0, 2.0, 0.5, -3.0], Engine::Naive, |g, x| {
            super::add(g, g.param(x[0]), g.param(x[1]))
        });
        assert_eq!(got, [1.5, -1.0]);
        check::gradients(&[[3, 5], [3, 5]], Engine::Naive, |g, x| {
            let y = super::add(g, g.param(x[0]), g.param(x[1]));
            vec![super::add(g, y, y)]
        });
    }
}
