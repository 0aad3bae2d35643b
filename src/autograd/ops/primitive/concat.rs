//! `y = [a ; b]`: rows side by side.

use crate::autograd::tape::{Grads, Graph, Op, Values};
use crate::autograd::var::Var;

struct Concat {
    parts: [Var; 2],
    y: Var,
}

impl Op for Concat {
    fn backward(&self, _: Values<'_>, grads: &mut Grads<'_>, _: &mut Vec<f32>) {
        let mut first = 0;
        // One input at a time: `[a ; a]` is legal.
        for x in self.parts {
            let (dy, [dx]) = grads.pull(self.y, [x]);
            for (dx, dy) in dx.chunks_exact_mut(x.cols).zip(dy.chunks_exact(self.y.cols)) {
                dx.iter_mut().zip(&dy[first..]).for_each(|(d, g)| *d += g);
            }
            first += x.cols;
        }
    }
}

/// Rows of `a` `[n, p]` and `b` `[n, q]` side by side: `[n, p + q]`.
///
/// # Panics
/// If the numbers of rows differ.
pub fn concat(g: &mut Graph<'_>, a: Var, b: Var) -> Var {
    assert_eq!(a.rows, b.rows, "concat");
    let y = g.alloc(a.rows, a.cols + b.cols);
    g.compute(y, None, |v, out| {
        let parts = v.get(a).chunks_exact(a.cols).zip(v.get(b).chunks_exact(b.cols));
        for (y, (a, b)) in out.y.chunks_exact_mut(y.cols).zip(parts) {
            let (left, right) = y.split_at_mut(a.len());
            left.copy_from_slice(a);
            right.copy_from_slice(b);
        }
    });
    g.push(Concat { parts: [a, b], y });
    y
}

#[cfg(test)]
mod tests {
    use crate::autograd::check;
    use crate::autograd::tape::Engine;

    #[test]
    fn values_and_gradients() {
        let got = check::forward(&[[2, 1], [2, 2]], &[1., 2., 3., 4., 5., 6.], Engine::Naive, |g, x| {
            super::concat(g, g.param(x[0]), g.param(x[1]))
        });
        assert_eq!(got, [1., 3., 4., 2., 5., 6.]);
        check::gradients(&[[3, 5], [3, 2]], Engine::Naive, |g, x| {
            let y = super::concat(g, g.param(x[0]), g.param(x[1]));
            vec![super::concat(g, y, y)]
        });
    }
}
