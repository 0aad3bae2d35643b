//! BPR: `L = k * sum of -ln sigmoid(s_pos - s_neg)` over the negatives.

use crate::autograd::tape::{Grads, Graph, Op, Values};
use crate::autograd::var::Var;

struct Bpr {
    s: Var,
    y: Var,
    k: f32,
}

impl Op for Bpr {
    /// With `x = s_pos - s_neg`: `dL/dx = k (sigmoid(x) - 1)`.
    fn backward(&self, values: Values<'_>, grads: &mut Grads<'_>, _: &mut Vec<f32>) {
        let (dy, [ds]) = grads.pull(self.y, [self.s]);
        for (s, d) in values.get(self.s).chunks(self.s.cols).zip(ds.chunks_mut(self.s.cols)) {
            for c in 1..s.len() {
                let dx = -dy[0] * self.k / (1.0 + (s[0] - s[c]).exp());
                d[0] += dx;
                d[c] -= dx;
            }
        }
    }
}

/// Bayesian personalised ranking loss of scores `s` `[B, C]`, column 0 the positive: `[1, 1]`.
pub fn bpr(g: &mut Graph<'_>, s: Var, k: f32) -> Var {
    let y = g.alloc(1, 1);
    g.compute(y, None, |v, out| {
        let mut sum = 0.0f64;
        for row in v.get(s).chunks(s.cols) {
            for negative in &row[1..] {
                let x = f64::from(row[0]) - f64::from(*negative);
                sum += (-x).max(0.0) + (-x.abs()).exp().ln_1p();
            }
        }
        out.y[0] = (f64::from(k) * sum) as f32;
    });
    g.push(Bpr { s, y, k });
    y
}

#[cfg(test)]
mod tests {
    use crate::autograd::check;
    use crate::autograd::tape::Engine;

    #[test]
    fn values_and_gradients() {
        let f = |g: &mut crate::autograd::tape::Graph<'_>, x: &[crate::autograd::params::ParamId]| {
            super::bpr(g, g.param(x[0]), 0.5)
        };
        let got = check::forward(&[[1, 2]], &[3.0, 3.0], Engine::Naive, f);
        assert!((got[0] - 0.5 * 2f32.ln()).abs() < 1e-7);
        assert_eq!(check::forward(&[[1, 2]], &[-200.0, 300.0], Engine::Naive, f), [250.0]);
        check::gradients(&[[3, 2]], Engine::Naive, |g, x| vec![f(g, x)]);
        check::gradients(&[[2, 4]], Engine::Naive, |g, x| vec![f(g, x)]);
    }
}
