//! Eq 14, 15 `vanilla`: `h = softmax(c X^T / sqrt(d)) X`.

use super::pool_atrank::{Attend, attend};
use crate::autograd::tape::Graph;
use crate::autograd::var::{Index, Var};

/// What each candidate reads from its own sample's rows.
#[derive(Clone, Copy, Debug)]
pub struct Pooled {
    /// The result, `[B C, d]`.
    pub h: Var,
    /// The softmax's weights, in the kernel's layout.
    pub weights: Var,
}

/// Each candidate's reading of the rows of its sample: `x` `[rows, d]` in segments, `c` `[B C, d]` with the same
/// number of candidates for each sample.
///
/// # Panics
/// If the shapes do not fit.
pub fn pool_vanilla(g: &mut Graph<'_>, x: Var, c: Var, rows: Index) -> Pooled {
    attend(g, Attend { q: c, keys: x, values: x, rows, heads: 1 })
}

#[cfg(test)]
mod tests {
    use super::pool_vanilla;
    use crate::autograd::tape::Engine;
    use crate::autograd::{check, reference};

    #[test]
    fn gradients() {
        check::gradients(&[[4, 5], [4, 5]], Engine::Fused, |g, x| {
            let rows = g.index([0, 3, 4]);
            vec![pool_vanilla(g, g.param(x[0]), g.param(x[1]), rows).h]
        });
    }

    #[test]
    fn as_the_naive_composition() {
        let (params, x) = check::inputs(&[[4, 5], [4, 5]], 5);
        let mut tape = crate::autograd::tape::Tape::default();
        for level in dmran_kernels::Level::available() {
            let g = &mut crate::autograd::tape::Graph::new(&params, &mut tape, Engine::Fused, *level);
            let (rows, candidates) = (g.index([0, 3, 4]), g.index([0, 2, 4]));
            let fused = pool_vanilla(g, g.param(x[0]), g.param(x[1]), rows).h;
            let naive = reference::pool_vanilla(g, g.param(x[0]), g.param(x[1]), rows, candidates);
            for (got, want) in g.value(fused).iter().zip(g.value(naive)) {
                assert!((got - want).abs() < 1e-6, "{level}: {got} is not {want}");
            }
        }
    }
}
