//! `y = tanh(x)`.

use super::unary::{Unary, apply};
use crate::autograd::tape::Graph;
use crate::autograd::var::Var;

struct Tanh;

impl Unary for Tanh {
    fn value(x: f32) -> f32 {
        x.tanh()
    }
    fn derivative(x: f32, _: f32) -> f32 {
        // 1 - y^2 would lose its digits where y is near 1.
        let e = (-2.0 * x.abs()).exp();
        4.0 * e / ((1.0 + e) * (1.0 + e))
    }
}

/// `y = tanh(x)`.
pub fn tanh(g: &mut Graph<'_>, x: Var) -> Var {
    apply::<Tanh>(g, x)
}

#[cfg(test)]
mod tests {
    use crate::autograd::check;
    use crate::autograd::tape::Engine;

    #[test]
    fn values_and_gradients() {
        let f = |g: &mut crate::autograd::tape::Graph<'_>, x: &[crate::autograd::params::ParamId]| {
            super::tanh(g, g.param(x[0]))
        };
        let got = check::forward(&[[1, 3]], &[-1.0, 0.0, 2.5], Engine::Naive, f);
        for (got, want) in got.iter().zip([-0.761_594_2, 0.0, 0.986_614_3]) {
            assert!((got - want).abs() < 1e-6, "{got} is not {want}");
        }
        check::gradients(&[[3, 5]], Engine::Naive, |g, x| vec![super::tanh(g, g.param(x[0]))]);
    }
}
