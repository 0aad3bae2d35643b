//! `y = 1 / (1 + e^-x)`.

use super::unary::{Unary, apply};
use crate::autograd::tape::Graph;
use crate::autograd::var::Var;

struct Sigmoid;

impl Unary for Sigmoid {
    fn value(x: f32) -> f32 {
        1.0 / (1.0 + (-x).exp())
    }
    fn derivative(x: f32, _: f32) -> f32 {
        // y (1 - y) would lose its digits where y is near 1.
        let e = (-x.abs()).exp();
        e / ((1.0 + e) * (1.0 + e))
    }
}

/// `y = 1 / (1 + e^-x)`.
pub fn sigmoid(g: &mut Graph<'_>, x: Var) -> Var {
    apply::<Sigmoid>(g, x)
}

#[cfg(test)]
mod tests {
    use crate::autograd::check;
    use crate::autograd::tape::Engine;

    #[test]
    fn values_and_gradients() {
        let f = |g: &mut crate::autograd::tape::Graph<'_>, x: &[crate::autograd::params::ParamId]| {
            super::sigmoid(g, g.param(x[0]))
        };
        let got = check::forward(&[[1, 3]], &[-1.0, 0.0, 100.0], Engine::Naive, f);
        for (got, want) in got.iter().zip([0.268_941_43, 0.5, 1.0]) {
            assert!((got - want).abs() < 1e-6, "{got} is not {want}");
        }
        check::gradients(&[[3, 5]], Engine::Naive, |g, x| vec![super::sigmoid(g, g.param(x[0]))]);
    }
}
