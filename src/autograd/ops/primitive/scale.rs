//! `y = k x + c` with constants `k` and `c`.

use crate::autograd::tape::{Grads, Graph, Op, Values};
use crate::autograd::var::Var;

struct Scale {
    x: Var,
    y: Var,
    k: f32,
}

impl Op for Scale {
    fn backward(&self, _: Values<'_>, grads: &mut Grads<'_>, _: &mut Vec<f32>) {
        let (dy, [dx]) = grads.pull(self.y, [self.x]);
        self.x.view_mut(dx).zip_mut_with(&self.y.view(dy), |d, g| *d += self.k * g);
    }
}

/// `k x + c` for constants `k`, `c`.
pub fn scale(g: &mut Graph<'_>, x: Var, k: f32, c: f32) -> Var {
    let y = g.alloc(x.rows, x.cols);
    g.compute(y, None, |v, out| {
        ndarray::Zip::from(y.view_mut(out.y)).and(v.view(x)).for_each(|y, x| *y = k * x + c);
    });
    g.push(Scale { x, y, k });
    y
}

#[cfg(test)]
mod tests {
    use crate::autograd::check;
    use crate::autograd::tape::Engine;

    #[test]
    fn values_and_gradients() {
        let f = |g: &mut crate::autograd::tape::Graph<'_>, x: &[crate::autograd::params::ParamId]| {
            super::scale(g, g.param(x[0]), -2.0, 1.0)
        };
        assert_eq!(check::forward(&[[1, 2]], &[1.0, 0.5], Engine::Naive, f), [-1.0, 0.0]);
        check::gradients(&[[3, 5]], Engine::Naive, |g, x| vec![f(g, x)]);
    }
}
