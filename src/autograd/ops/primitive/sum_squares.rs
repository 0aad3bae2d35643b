//! `y = k * sum of x^2` (the l2 terms of eq 20-22), summed in 64 bits.

use crate::autograd::tape::{Engine, Grads, Graph, Op, Values};
use crate::autograd::var::Var;
use dmran_kernels::{loss, optim};

struct SumSquares {
    x: Var,
    y: Var,
    k: f32,
}

impl Op for SumSquares {
    fn backward(&self, values: Values<'_>, grads: &mut Grads<'_>, _: &mut Vec<f32>) {
        let (dy, [dx]) = grads.pull(self.y, [self.x]);
        let k = 2.0 * self.k * dy[0];
        optim::add_scaled(values.level, dx, k, values.get(self.x));
    }
}

/// `k` times the sum of the squares of all entries: `[1, 1]`.
pub fn sum_squares(g: &mut Graph<'_>, x: Var, k: f32) -> Var {
    let (y, engine) = (g.alloc(1, 1), g.engine);
    g.compute(y, None, |v, out| {
        let sum = match engine {
            Engine::Fused => loss::sum_squares(v.level, v.get(x)),
            Engine::Naive => v.get(x).iter().map(|x| f64::from(*x) * f64::from(*x)).sum(),
        };
        out.y[0] = (f64::from(k) * sum) as f32;
    });
    g.push(SumSquares { x, y, k });
    y
}

#[cfg(test)]
mod tests {
    use crate::autograd::check;
    use crate::autograd::tape::Engine;

    #[test]
    fn values_and_gradients() {
        let f = |g: &mut crate::autograd::tape::Graph<'_>, x: &[crate::autograd::params::ParamId]| {
            super::sum_squares(g, g.param(x[0]), 0.5)
        };
        for engine in [Engine::Naive, Engine::Fused] {
            assert_eq!(check::forward(&[[1, 2]], &[3.0, 4.0], engine, f), [12.5]);
        }
        for engine in [Engine::Naive, Engine::Fused] {
            check::gradients(&[[3, 5]], engine, |g, x| vec![f(g, x)]);
        }
    }
}
