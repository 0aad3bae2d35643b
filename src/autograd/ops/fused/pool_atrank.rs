//! Eq 14, 15 `atrank`: multi-head attention of each candidate over the rows of its sample, residual, layer norm, feed
//! forward, layer norm. [`attend`] is the part that the head `vanilla` shares.

use super::dense::dense;
use super::pool_vanilla::Pooled;
use super::transformer::norm_feed_forward;
use crate::autograd::params::ParamId;
use crate::autograd::tape::{Grads, Graph, Op, Values, grow};
use crate::autograd::var::{Index, Var};
use dmran_kernels::pooling as kernel;

/// What attends over what: queries `[B C, d]` over keys and values `[rows, d]` of their own sample's segment.
#[derive(Clone, Copy, Debug)]
pub struct Attend {
    /// Queries.
    pub q: Var,
    /// Keys.
    pub keys: Var,
    /// Values; may be the keys.
    pub values: Var,
    /// Segments of keys and values.
    pub rows: Index,
    /// Heads; divides d.
    pub heads: usize,
}

struct Attention {
    args: Attend,
    weights: Var,
    h: Var,
}

impl Attend {
    fn pool<'a>(&self, v: Values<'a>) -> kernel::Pool<'a> {
        let offsets = v.ids(self.rows);
        let candidates = self.q.rows / (offsets.len() - 1).max(1);
        kernel::Pool { d: self.q.cols, heads: self.heads, candidates, offsets, mask: kernel::Mask::Full }
    }
}

impl Op for Attention {
    fn backward(&self, v: Values<'_>, grads: &mut Grads<'_>, scratch: &mut Vec<f32>) {
        let Attend { q, keys, values, .. } = self.args;
        let pool = self.args.pool(v);
        let w = v.get(self.weights);
        let dw = grow(scratch, w.len());
        dw.fill(0.0);
        // One input at a time: keys and values may be the same.
        let (dh, [dvalues]) = grads.pull(self.h, [values]);
        kernel::pool_rows_backward(v.level, &pool, w, v.get(values), dh, dw, dvalues);
        let (_, [dq, dkeys]) = grads.pull(self.h, [q, keys]);
        kernel::weights_backward(v.level, &pool, v.get(q), v.get(keys), w, dw, dq, dkeys);
    }
}

/// `softmax(q keys^T / sqrt(d / heads)) values`, head by head.
///
/// # Panics
/// If the shapes do not fit or `heads` does not divide d.
pub fn attend(g: &mut Graph<'_>, args: Attend) -> Pooled {
    let offsets = g.indices(args.rows);
    let samples = offsets.len() - 1;
    let pool = kernel::Pool {
        d: args.q.cols,
        heads: args.heads,
        candidates: args.q.rows / samples.max(1),
        offsets,
        mask: kernel::Mask::Full,
    };
    let len = pool.weights_len();
    let weights = g.alloc(len, 1);
    g.compute(weights, None, |v, out| {
        let pool = args.pool(v);
        let scratch = grow(out.scratch, pool.scratch_len());
        kernel::weights(v.level, &pool, v.get(args.q), v.get(args.keys), out.y, scratch);
    });
    let h = g.alloc(args.q.rows, args.q.cols);
    g.compute(h, None, |v, out| {
        kernel::pool_rows(v.level, &args.pool(v), v.get(weights), v.get(args.values), false, out.y);
    });
    g.push(Attention { args, weights, h });
    Pooled { h, weights }
}

/// Weights of the head, see [`pool_atrank`].
#[derive(Clone, Copy, Debug)]
pub struct Weights {
    /// `W_q, b_q, W_k, b_k, W_u, b_u`.
    pub projections: [ParamId; 6],
    /// Gain and bias of the norms before and after the feed forward part.
    pub norms: [ParamId; 4],
    /// `W_1, b_1, W_2, b_2`.
    pub feed_forward: [ParamId; 4],
    /// Heads; divides d.
    pub heads: usize,
    /// The layer norms' eps.
    pub eps: f32,
}

/// With `Q = relu(c W_q^T + b_q)`, `K`, `U` alike of the rows of `x`, and a the attention's result:
/// `y = LN(c + a)`, `h = LN(y + W_2 relu(W_1 y + b_1) + b_2)`, `[B C, d]`.
///
/// # Panics
/// If the shapes do not fit or the heads do not divide d.
pub fn pool_atrank(g: &mut Graph<'_>, x: Var, c: Var, w: &Weights, rows: Index) -> Var {
    let projected = project(g, x, c, w);
    read(g, projected, c, w, rows)
}

/// Q, K and U of [`pool_atrank`].
#[derive(Clone, Copy, Debug)]
pub struct Projected {
    /// Queries `[B C, d]`.
    pub q: Var,
    /// Keys `[rows, d]`.
    pub keys: Var,
    /// Values `[rows, d]`.
    pub values: Var,
}

/// The projections of the candidates `c` and of the rows `x`.
pub(super) fn project(g: &mut Graph<'_>, x: Var, c: Var, w: &Weights) -> Projected {
    let [w_q, b_q, w_k, b_k, w_u, b_u] = w.projections;
    let q = dense(g, c, w_q, Some(b_q), true);
    let keys = dense(g, x, w_k, Some(b_k), true);
    let values = dense(g, x, w_u, Some(b_u), true);
    Projected { q, keys, values }
}

/// [`pool_atrank`] from its projections on.
///
/// # Panics
/// If the shapes do not fit or the heads do not divide d.
pub fn read(g: &mut Graph<'_>, of: Projected, c: Var, w: &Weights, rows: Index) -> Var {
    let Projected { q, keys, values } = of;
    let attended = attend(g, Attend { q, keys, values, rows, heads: w.heads }).h;
    norm_feed_forward(g, attended, c, w.norms, w.feed_forward, w.eps)
}

#[cfg(test)]
mod tests {
    use super::{Weights, pool_atrank};
    use crate::autograd::params::ParamId;
    use crate::autograd::tape::Engine;
    use crate::autograd::{check, reference};

    #[rustfmt::skip]
    const SHAPES: [[usize; 2]; 16] = [
        [4, 4], [4, 4], [4, 4], [1, 4], [4, 4], [1, 4], [4, 4], [1, 4],
        [1, 4], [1, 4], [2, 4], [1, 2], [4, 2], [1, 4], [1, 4], [1, 4],
    ];

    fn weights(x: &[ParamId]) -> Weights {
        Weights {
            projections: [x[2], x[3], x[4], x[5], x[6], x[7]],
            norms: [x[8], x[9], x[14], x[15]],
            feed_forward: [x[10], x[11], x[12], x[13]],
            heads: 2,
            eps: 1e-2,
        }
    }

    #[test]
    fn gradients() {
        check::gradients(&SHAPES, Engine::Fused, |g, x| {
            let rows = g.index([0, 3, 4]);
            vec![pool_atrank(g, g.param(x[0]), g.param(x[1]), &weights(x), rows)]
        });
    }

    #[test]
    fn as_the_naive_composition() {
        let (params, x) = check::inputs(&SHAPES, 5);
        let mut tape = crate::autograd::tape::Tape::default();
        for level in dmran_kernels::Level::available() {
            let g = &mut crate::autograd::tape::Graph::new(&params, &mut tape, Engine::Fused, *level);
            let (rows, candidates) = (g.index([0, 3, 4]), g.index([0, 2, 4]));
            let fused = pool_atrank(g, g.param(x[0]), g.param(x[1]), &weights(&x), rows);
            let v = |i: usize| params.var(x[i]);
            let w = reference::AtrankVars {
                q: [v(2), v(3)],
                k: [v(4), v(5)],
                u: [v(6), v(7)],
                ln1: [v(8), v(9)],
                ff: [v(10), v(11), v(12), v(13)],
                ln2: [v(14), v(15)],
                heads: 2,
                eps: 1e-2,
            };
            let naive = reference::pool_atrank(g, v(0), v(1), &w, rows, candidates);
            for (got, want) in g.value(fused).iter().zip(g.value(naive)) {
                assert!((got - want).abs() < 2e-6, "{level}: {got} is not {want}");
            }
        }
    }
}
