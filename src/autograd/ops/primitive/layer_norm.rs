//! Layer normalisation: `y = (x - mean) / sqrt(var + eps) * gain + bias`, row by row.

use crate::autograd::tape::{Grads, Graph, Op, Values};
use crate::autograd::var::Var;

struct LayerNorm {
    x: Var,
    gain: Var,
    bias: Var,
    y: Var,
    eps: f32,
}

/// Mean and `1 / sqrt(var + eps)` of a row.
fn moments(x: &[f32], eps: f32) -> (f32, f32) {
    let n = x.len() as f32;
    let mean = x.iter().sum::<f32>() / n;
    let var = x.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / n;
    (mean, 1.0 / (var + eps).sqrt())
}

impl Op for LayerNorm {
    /// With `z = (x - mean) rstd` and `dz = dy * gain`: `dx = rstd (dz - mean(dz) - z mean(dz z))`.
    fn backward(&self, values: Values<'_>, grads: &mut Grads<'_>, _: &mut Vec<f32>) {
        let d = self.x.cols;
        let gain = values.get(self.gain);
        let (dy, [dx, dgain, dbias]) = grads.pull(self.y, [self.x, self.gain, self.bias]);
        for ((x, dy), dx) in values.get(self.x).chunks(d).zip(dy.chunks(d)).zip(dx.chunks_mut(d)) {
            let (mean, rstd) = moments(x, self.eps);
            let z = |k: usize| (x[k] - mean) * rstd;
            let (mut sum, mut dot) = (0.0, 0.0);
            for k in 0..d {
                sum += dy[k] * gain[k];
                dot += dy[k] * gain[k] * z(k);
                dgain[k] += dy[k] * z(k);
                dbias[k] += dy[k];
            }
            for k in 0..d {
                dx[k] += rstd * (dy[k] * gain[k] - (sum + z(k) * dot) / d as f32);
            }
        }
    }
}

/// Normalises each row of `x` `[n, d]`; `gain` and `bias` have `d` entries.
///
/// # Panics
/// If `gain` or `bias` has another length.
pub fn layer_norm(g: &mut Graph<'_>, x: Var, gain: Var, bias: Var, eps: f32) -> Var {
    assert!(gain.len() == x.cols && bias.len() == x.cols, "layer_norm");
    let (y, d) = (g.alloc(x.rows, x.cols), x.cols);
    g.compute(y, None, |v, out| {
        let (gain, bias) = (v.get(gain), v.get(bias));
        for (x, y) in v.get(x).chunks(d).zip(out.y.chunks_mut(d)) {
            let (mean, rstd) = moments(x, eps);
            for k in 0..d {
                y[k] = (x[k] - mean) * rstd * gain[k] + bias[k];
            }
        }
    });
    g.push(LayerNorm { x, gain, bias, y, eps });
    y
}

#[cfg(test)]
mod tests {
    use crate::autograd::check;
    use crate::autograd::tape::Engine;

    #[test]
    fn values_and_gradients() {
        let f = |g: &mut crate::autograd::tape::Graph<'_>, x: &[crate::autograd::params::ParamId]| {
            super::layer_norm(g, g.param(x[0]), g.param(x[1]), g.param(x[2]), 1e-5)
        };
        let got = check::forward(&[[1, 2], [1, 2], [1, 2]], &[1., 3., 2., 2., 0.5, 0.5], Engine::Naive, f);
        assert!((got[0] + 1.5).abs() < 1e-4 && (got[1] - 2.5).abs() < 1e-4, "{got:?}");
        check::gradients(&[[3, 5], [1, 5], [1, 5]], Engine::Naive, |g, x| vec![f(g, x)]);
    }
}
