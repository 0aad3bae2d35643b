//! Eq 18, 19 over rows of candidates: `L = k * sum over rows of (ln sum_j e^{s_j} - s_0)`.

use crate::autograd::tape::{Grads, Graph, Op, Values};
use crate::autograd::var::{Saved, Var};
use dmran_kernels::{loss as kernel, naive};

struct CrossEntropy {
    s: Var,
    y: Var,
    /// The gradient, which the forward pass computes on its way.
    saved: Saved,
}

impl Op for CrossEntropy {
    /// `dL/ds_j = k (p_j - [j = 0])`.
    fn backward(&self, values: Values<'_>, grads: &mut Grads<'_>, _: &mut Vec<f32>) {
        let (dy, [ds]) = grads.pull(self.y, [self.s]);
        ds.iter_mut().zip(values.saved(self.saved)).for_each(|(d, g)| *d += dy[0] * g);
    }
}

/// Cross-entropy of the softmax over each row of scores `s` `[B, C]`, whose column 0 is the target, summed and
/// multiplied by `k`: `[1, 1]`. Scores of [`MASKED`](dmran_kernels::loss::MASKED) or below do not count.
pub fn cross_entropy(g: &mut Graph<'_>, s: Var, k: f32) -> Var {
    let y = g.alloc(1, 1);
    let saved = g.save(s.len());
    let fused = g.engine == crate::autograd::tape::Engine::Fused;
    g.compute(y, Some(saved), |v, out| {
        out.y[0] = if fused {
            kernel::cross_entropy(v.level, v.get(s), s.cols, k, out.saved) as f32
        } else {
            naive::loss::cross_entropy(v.level, v.get(s), s.cols, k, out.saved) as f32
        };
    });
    g.push(CrossEntropy { s, y, saved });
    y
}

#[cfg(test)]
mod tests {
    use crate::autograd::check;
    use crate::autograd::tape::Engine;
    use dmran_kernels::loss::MASKED;

    #[test]
    fn values_and_gradients() {
        let f = |g: &mut crate::autograd::tape::Graph<'_>, x: &[crate::autograd::params::ParamId]| {
            super::cross_entropy(g, g.param(x[0]), 0.5)
        };
        for engine in [Engine::Naive, Engine::Fused] {
            let got = check::forward(&[[1, 4]], &[3.0; 4], engine, f);
            assert!((got[0] - 0.5 * 4f32.ln()).abs() < 1e-6);
            assert_eq!(check::forward(&[[1, 1]], &[7.0], engine, f), [0.0], "nothing but the target");
            assert_eq!(check::forward(&[[1, 3]], &[-1e4, 1e4, 0.0], engine, f), [1e4]);
            assert_eq!(check::forward(&[[1, 3]], &[-1e4, MASKED, MASKED], engine, f), [0.0], "all others are masked");
            assert!(check::forward(&[[1, 2]], &[f32::NAN, 0.0], engine, f)[0].is_nan());
            assert!(check::forward(&[[1, 2]], &[0.0, f32::NAN], engine, f)[0].is_nan());
            check::gradients(&[[3, 2]], engine, |g, x| vec![f(g, x)]);
            check::gradients(&[[2, 37]], engine, |g, x| vec![f(g, x)]);
        }
    }
}
