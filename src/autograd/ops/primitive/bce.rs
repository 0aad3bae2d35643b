//! Eq 20: `L = k * (sum of softplus(-s) over positives + sum of softplus(s) over negatives)`.

use crate::autograd::tape::{Engine, Grads, Graph, Op, Values};
use crate::autograd::var::{Saved, Var};
use dmran_kernels::loss as kernel;

struct Bce {
    s: Var,
    y: Var,
    k: f32,
    /// The gradient, which the fused kernel computes on its way.
    saved: Option<Saved>,
}

/// `ln(1 + e^x)` without overflow.
fn softplus(x: f32) -> f32 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

impl Op for Bce {
    /// `dL/ds = k (sigmoid(s) - [positive])`.
    fn backward(&self, values: Values<'_>, grads: &mut Grads<'_>, _: &mut Vec<f32>) {
        let (dy, [ds]) = grads.pull(self.y, [self.s]);
        if let Some(saved) = self.saved {
            return ds.iter_mut().zip(values.saved(saved)).for_each(|(d, g)| *d += dy[0] * g);
        }
        for (i, (d, s)) in ds.iter_mut().zip(values.get(self.s)).enumerate() {
            let target = if i % self.s.cols == 0 { 1.0 } else { 0.0 };
            *d += dy[0] * self.k * (1.0 / (1.0 + (-s).exp()) - target);
        }
    }
}

/// Binary cross-entropy of logits `s` `[B, C]`, whose column 0 is the positive and whose other columns are
/// negatives, summed and multiplied by `k` (the mean over samples and candidates is `k = 1 / (B C)`): `[1, 1]`.
pub fn bce(g: &mut Graph<'_>, s: Var, k: f32) -> Var {
    let y = g.alloc(1, 1);
    let saved = (g.engine == Engine::Fused).then(|| g.save(s.len()));
    g.compute(y, saved, |v, out| {
        if saved.is_some() {
            out.y[0] = kernel::bce(v.level, v.get(s), s.cols, k, out.saved) as f32;
            return;
        }
        let sum: f64 =
            v.get(s).iter().enumerate().map(|(i, x)| f64::from(softplus(if i % s.cols == 0 { -x } else { *x }))).sum();
        out.y[0] = (f64::from(k) * sum) as f32;
    });
    g.push(Bce { s, y, k, saved });
    y
}

#[cfg(test)]
mod tests {
    use crate::autograd::check;
    use crate::autograd::tape::Engine;

    #[test]
    fn values_and_gradients() {
        let f = |g: &mut crate::autograd::tape::Graph<'_>, x: &[crate::autograd::params::ParamId]| {
            super::bce(g, g.param(x[0]), 0.5)
        };
        for engine in [Engine::Naive, Engine::Fused] {
            let got = check::forward(&[[1, 2]], &[0.0, 0.0], engine, f);
            assert!((got[0] - 2f32.ln()).abs() < 1e-7);
            // Far from the decision the loss is linear on the wrong side and nothing on the right one.
            assert_eq!(check::forward(&[[1, 2]], &[-200.0, 300.0], engine, f), [250.0]);
            assert_eq!(check::forward(&[[1, 2]], &[200.0, -300.0], engine, f), [0.0]);
            assert!(check::forward(&[[1, 2]], &[f32::NAN, 0.0], engine, f)[0].is_nan());
            check::gradients(&[[3, 2]], engine, |g, x| vec![f(g, x)]);
            check::gradients(&[[2, 5]], engine, |g, x| vec![f(g, x)]);
        }
    }
}
