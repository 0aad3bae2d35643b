//! `y = max(x, 0)`; its slope at 0 is taken as 0.

use super::unary::{Unary, apply};
use crate::autograd::tape::Graph;
use crate::autograd::var::Var;

struct Relu;

impl Unary for Relu {
    fn value(x: f32) -> f32 {
        if x > 0.0 || x.is_nan() { x } else { 0.0 }
    }
    fn derivative(_: f32, y: f32) -> f32 {
        if y > 0.0 { 1.0 } else { 0.0 }
    }
}

/// `y = max(x, 0)`; its slope at 0 is taken as 0.
pub fn relu(g: &mut Graph<'_>, x: Var) -> Var {
    apply::<Relu>(g, x)
}

#[cfg(test)]
mod tests {
    use crate::autograd::check;
    use crate::autograd::tape::Engine;

    #[test]
    fn values_and_gradients() {
        let f = |g: &mut crate::autograd::tape::Graph<'_>, x: &[crate::autograd::params::ParamId]| {
            super::relu(g, g.param(x[0]))
        };
        let got = check::forward(&[[1, 3]], &[-1.0, 0.0, 2.5], Engine::Naive, f);
        for (got, want) in got.iter().zip([0.0, 0.0, 2.5]) {
            assert!((got - want).abs() < 1e-6, "{got} is not {want}");
        }
        check::gradients(&[[3, 5]], Engine::Naive, |g, x| vec![super::relu(g, g.param(x[0]))]);
    }
}
