//! Residual, layer norm, feed forward, residual, layer norm: the block after eq 12 and the end of the ATRank head.

use crate::autograd::params::ParamId;
use crate::autograd::tape::{Grads, Graph, Op, Values, grow};
use crate::autograd::var::{Saved, Var};
use dmran_kernels::{feed_forward as ff, norm};

/// `y = LN(x + residual)`.
struct Norm {
    x: Var,
    residual: Option<Var>,
    gain: ParamId,
    bias: ParamId,
    eps: f32,
    /// Normalised rows, then one `1 / sqrt(var + eps)` a row.
    saved: Saved,
    y: Var,
}

impl Norm {
    fn layer<'a>(&self, v: Values<'a>) -> norm::LayerNorm<'a> {
        norm::LayerNorm { gain: v.params.get(self.gain), bias: v.params.get(self.bias), eps: self.eps }
    }
}

impl Op for Norm {
    fn backward(&self, v: Values<'_>, grads: &mut Grads<'_>, _: &mut Vec<f32>) {
        let (xhat, rstd) = v.saved(self.saved).split_at(self.x.len());
        let [gain, bias] = [self.gain, self.bias].map(|id| v.params.var(id));
        match self.residual {
            Some(residual) => {
                let (dy, [dx, dresidual, dgain, dbias]) = grads.pull(self.y, [self.x, residual, gain, bias]);
                let mut grads = norm::Gradients { dx, dresidual: Some(dresidual), dgain, dbias };
                norm::backward(v.level, &self.layer(v), xhat, rstd, dy, &mut grads);
            }
            None => {
                let (dy, [dx, dgain, dbias]) = grads.pull(self.y, [self.x, gain, bias]);
                let mut grads = norm::Gradients { dx, dresidual: None, dgain, dbias };
                norm::backward(v.level, &self.layer(v), xhat, rstd, dy, &mut grads);
            }
        }
    }
}

/// Layer norm of `x` or of `x + residual`, row by row.
///
/// # Panics
/// If the shapes do not fit.
pub fn norm(g: &mut Graph<'_>, x: Var, residual: Option<Var>, gain: ParamId, bias: ParamId, eps: f32) -> Var {
    let y = g.alloc(x.rows, x.cols);
    let saved = g.save(x.len() + x.rows);
    let op = Norm { x, residual, gain, bias, eps, saved, y };
    g.compute(y, Some(saved), |v, out| {
        let (xhat, rstd) = out.saved.split_at_mut(x.len());
        norm::forward(v.level, &op.layer(v), v.get(x), residual.map(|r| v.get(r)), xhat, rstd, out.y);
    });
    g.push(op);
    y
}

/// `y = x + W_2 relu(W_1 x + b_1) + b_2`.
struct FeedForward {
    x: Var,
    w: [ParamId; 4],
    saved: Saved,
    y: Var,
}

impl FeedForward {
    fn layer<'a>(&self, v: Values<'a>) -> ff::FeedForward<'a> {
        let [w1, b1, w2, b2] = self.w;
        ff::FeedForward {
            w1: v.params.weight(w1),
            b1: Some(v.params.get(b1)),
            w2: v.params.weight(w2),
            b2: Some(v.params.get(b2)),
        }
    }
}

impl Op for FeedForward {
    fn backward(&self, v: Values<'_>, grads: &mut Grads<'_>, scratch: &mut Vec<f32>) {
        let layer = self.layer(v);
        let [w1, b1, w2, b2] = self.w.map(|id| v.params.var(id));
        let (dy, [dx, dw1, db1, dw2, db2]) = grads.pull(self.y, [self.x, w1, b1, w2, b2]);
        let mut grads = ff::Gradients { dx, dw1, db1: Some(db1), dw2, db2: Some(db2) };
        let scratch = grow(scratch, ff::scratch_len(&layer, self.x.rows));
        ff::backward(v.level, &layer, v.get(self.x), v.saved(self.saved), dy, &mut grads, scratch);
    }
}

/// `x + W_2 relu(W_1 x + b_1) + b_2`; `w` is `W_1, b_1, W_2, b_2`.
///
/// # Panics
/// If the shapes do not fit.
pub fn feed_forward(g: &mut Graph<'_>, x: Var, w: [ParamId; 4]) -> Var {
    let y = g.alloc(x.rows, x.cols);
    let saved = g.save(x.rows * g.param(w[0]).rows);
    let op = FeedForward { x, w, saved, y };
    g.compute(y, Some(saved), |v, out| ff::forward(v.level, &op.layer(v), v.get(x), out.saved, out.y));
    g.push(op);
    y
}

/// `LN(X + W_2 relu(W_1 X + b_1) + b_2)` with `X = LN(x + residual)`; `norms` are gain and bias of the inner norm, then
/// of the outer one, `w` is `W_1, b_1, W_2, b_2`.
///
/// # Panics
/// If the shapes do not fit.
pub fn norm_feed_forward(
    g: &mut Graph<'_>,
    x: Var,
    residual: Var,
    norms: [ParamId; 4],
    w: [ParamId; 4],
    eps: f32,
) -> Var {
    let inner = norm(g, x, Some(residual), norms[0], norms[1], eps);
    let fed = feed_forward(g, inner, w);
    norm(g, fed, None, norms[2], norms[3], eps)
}

/// The block after eq 12: `Mhat'` of M and Mhat.
///
/// # Panics
/// If the shapes do not fit.
pub fn transformer(g: &mut Graph<'_>, m: Var, mhat: Var, norms: [ParamId; 4], w: [ParamId; 4], eps: f32) -> Var {
    norm_feed_forward(g, mhat, m, norms, w, eps)
}

#[cfg(test)]
mod tests {
    use super::transformer;
    use crate::autograd::tape::Engine;
    use crate::autograd::{check, reference};

    #[rustfmt::skip]
    const SHAPES: [[usize; 2]; 10] = [
        [3, 4], [3, 4], [1, 4], [1, 4], [1, 4], [1, 4], [2, 4], [1, 2], [4, 2], [1, 4],
    ];

    #[test]
    fn gradients() {
        check::gradients(&SHAPES, Engine::Fused, |g, x| {
            let norms = [x[2], x[3], x[4], x[5]];
            vec![transformer(g, g.param(x[0]), g.param(x[1]), norms, [x[6], x[7], x[8], x[9]], 1e-2)]
        });
    }

    #[test]
    fn as_the_naive_composition() {
        let (params, x) = check::inputs(&SHAPES, 5);
        let mut tape = crate::autograd::tape::Tape::default();
        for level in dmran_kernels::Level::available() {
            let g = &mut crate::autograd::tape::Graph::new(&params, &mut tape, Engine::Fused, *level);
            let v = |i: usize| params.var(x[i]);
            let fused = transformer(g, v(0), v(1), [x[2], x[3], x[4], x[5]], [x[6], x[7], x[8], x[9]], 1e-2);
            let norms = [v(2), v(3), v(4), v(5)];
            let naive = reference::transformer(g, v(0), v(1), norms, [v(6), v(7), v(8), v(9)], 1e-2);
            for (got, want) in g.value(fused).iter().zip(g.value(naive)) {
                assert!((got - want).abs() < 2e-6, "{level}: {got} is not {want}");
            }
        }
    }
}
