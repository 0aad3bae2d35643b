//! Eq 7, 8 fused, without forming H: with `W_c = W_s1 W_v`, `T' = T W_t^T + b_d` and `T'' = T' W_s1^T`,
//! `A = softmax_n(W_s2 relu(W_c X^T + T''[bucket]))` and `M = (A X) W_v^T + A T'[bucket]`.

use crate::autograd::params::ParamId;
use crate::autograd::tape::{Grads, Graph, Op, Values, grow};
use crate::autograd::var::{Index, Saved, Var};
use dmran_kernels::item_attention as kernel;

/// The weights of [`item_attention`], those marked derived being products of trained ones.
#[derive(Clone, Copy, Debug)]
pub struct Weights {
    /// `W_c = W_s1 W_v` `[d, d]` (derived).
    pub w_c: ParamId,
    /// `T'` `[K, d]` (derived).
    pub t1: ParamId,
    /// `T''` `[K, d]` (derived).
    pub t2: ParamId,
    /// `W_s2` `[r, d]`.
    pub w_s2: ParamId,
    /// `W_v` `[d, d]`.
    pub w_v: ParamId,
}

struct ItemAttention {
    x: Var,
    w: Weights,
    bucket: Index,
    offsets: Index,
    a: Var,
    m: Var,
    saved: Saved,
}

impl ItemAttention {
    fn args<'a>(&self, v: Values<'a>) -> kernel::ItemAttention<'a> {
        kernel::ItemAttention {
            d: self.x.cols,
            r: self.a.cols,
            x: v.get(self.x),
            bucket: v.ids(self.bucket),
            offsets: v.ids(self.offsets),
            t1: v.params.get(self.w.t1),
            t2: v.params.get(self.w.t2),
            w_c: v.params.weight(self.w.w_c),
            w_s2: v.params.weight(self.w.w_s2),
            w_v: v.params.weight(self.w.w_v),
        }
    }

    fn scratch_len(&self, v: Values<'_>) -> usize {
        let (d, r, buckets) = (self.x.cols, self.a.cols, v.params.var(self.w.t1).rows);
        kernel::scratch_len(d, r, self.x.rows, self.offsets.len - 1, buckets)
    }
}

impl Op for ItemAttention {
    fn backward(&self, v: Values<'_>, grads: &mut Grads<'_>, scratch: &mut Vec<f32>) {
        let (g, ax) = v.saved(self.saved).split_at(self.x.len());
        let saved = kernel::Saved { g, a: v.get(self.a), ax };
        let [w_c, t1, t2, w_s2, w_v] =
            [self.w.w_c, self.w.t1, self.w.t2, self.w.w_s2, self.w.w_v].map(|id| v.params.var(id));
        // A and M lie side by side: one output.
        let out = Var { start: self.a.start, rows: 1, cols: self.a.len() + self.m.len() };
        let (dout, [dx, dw_c, dt1, dt2, dw_s2, dw_v]) = grads.pull(out, [self.x, w_c, t1, t2, w_s2, w_v]);
        let (da, dm) = dout.split_at(self.a.len());
        let mut grads = kernel::Gradients { dx, dt1, dt2, dw_c, dw_s2, dw_v };
        let scratch = grow(scratch, self.scratch_len(v));
        kernel::backward(v.level, &self.args(v), &saved, dm, da, &mut grads, scratch);
    }
}

/// A `[N, r]` (one row an event) and M `[B r, d]` of the item vectors `x` `[N, d]`, their time buckets, and the
/// histories' offsets `[B + 1]`.
///
/// # Panics
/// If the shapes do not fit or a bucket is not below K.
pub fn item_attention(g: &mut Graph<'_>, x: Var, w: &Weights, bucket: Index, offsets: Index) -> (Var, Var) {
    let (r, samples) = (g.param(w.w_s2).rows, offsets.len - 1);
    let a = g.alloc(x.rows, r);
    let m = g.alloc(samples * r, x.cols);
    let saved = g.save(x.len() + m.len());
    let op = ItemAttention { x, w: *w, bucket, offsets, a, m, saved };
    let whole = Var { start: a.start, rows: 1, cols: a.len() + m.len() };
    g.compute(whole, Some(saved), |v, out| {
        let (a, m) = out.y.split_at_mut(op.a.len());
        let (g, ax) = out.saved.split_at_mut(op.x.len());
        let mut to = kernel::Output { g, a, ax, m };
        kernel::forward(v.level, &op.args(v), &mut to, grow(out.scratch, op.scratch_len(v)));
    });
    g.push(op);
    (a, m)
}

#[cfg(test)]
mod tests {
    use super::{Weights, item_attention};
    use crate::autograd::tape::Engine;
    use crate::autograd::{check, reference};

    // X, W_c, T', T'', W_s2, W_v
    const SHAPES: [[usize; 2]; 6] = [[5, 3], [3, 3], [2, 3], [2, 3], [2, 3], [3, 3]];

    fn weights(x: &[crate::autograd::params::ParamId]) -> Weights {
        Weights { w_c: x[1], t1: x[2], t2: x[3], w_s2: x[4], w_v: x[5] }
    }

    #[test]
    fn gradients() {
        check::gradients(&SHAPES, Engine::Fused, |g, x| {
            let (bucket, offsets) = (g.index([0, 1, 1, 0, 1]), g.index([0, 3, 4, 5]));
            let (a, m) = item_attention(g, g.param(x[0]), &weights(x), bucket, offsets);
            vec![a, m]
        });
    }

    #[test]
    fn as_the_naive_composition() {
        // W_c = W_s1 W_v with W_s1 = 2 I, so that T'' = 2 T'.
        let (mut params, x) = check::inputs(&SHAPES, 5);
        let doubled: Vec<f32> = params.get(x[5]).iter().map(|w| 2.0 * w).collect();
        params.get_mut(x[1]).copy_from_slice(&doubled);
        let doubled: Vec<f32> = params.get(x[2]).iter().map(|w| 2.0 * w).collect();
        params.get_mut(x[3]).copy_from_slice(&doubled);
        params.repack();
        let mut tape = crate::autograd::tape::Tape::default();
        for level in dmran_kernels::Level::available() {
            let g = &mut crate::autograd::tape::Graph::new(&params, &mut tape, Engine::Fused, *level);
            let (bucket, offsets) = (g.index([0, 1, 1, 0, 1]), g.index([0, 3, 4, 5]));
            let (a, m) = item_attention(g, g.param(x[0]), &weights(&x), bucket, offsets);
            let h = reference::time_linear(g, g.param(x[0]), g.param(x[5]), g.param(x[2]), bucket);
            let two = g.constant(3, 3, |w| {
                w.iter_mut().enumerate().for_each(|(i, w)| *w = [2.0, 0.0][usize::from(i % 4 > 0)])
            });
            let (_, a2, m2) = reference::item_attention(g, h, two, g.param(x[4]), offsets);
            for (got, want) in [(a, a2), (m, m2)] {
                let pairs = g.value(got).iter().zip(g.value(want));
                pairs.for_each(|(got, want)| assert!((got - want).abs() < 1e-6, "{level}: {got} is not {want}"));
            }
        }
    }
}
