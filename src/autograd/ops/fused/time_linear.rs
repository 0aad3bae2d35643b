//! Eq 1, 2: `H = X W_v^T + T'[bucket]` in one pass.

use crate::autograd::params::ParamId;
use crate::autograd::tape::{Grads, Graph, Op, Values};
use crate::autograd::var::{Index, Var};
use dmran_kernels::item_attention::{LinearTime, linear_time, linear_time_backward};

struct TimeLinear {
    x: Var,
    w_v: ParamId,
    t1: ParamId,
    bucket: Index,
    h: Var,
}

impl TimeLinear {
    fn layer<'a>(&self, v: Values<'a>) -> LinearTime<'a> {
        LinearTime {
            d: self.h.cols,
            x: v.get(self.x),
            bucket: v.ids(self.bucket),
            t1: v.params.get(self.t1),
            w_v: v.params.weight(self.w_v),
        }
    }
}

impl Op for TimeLinear {
    fn backward(&self, v: Values<'_>, grads: &mut Grads<'_>, _: &mut Vec<f32>) {
        let weights = [self.w_v, self.t1].map(|id| v.params.var(id));
        let (dh, [dx, dw_v, dt1]) = grads.pull(self.h, [self.x, weights[0], weights[1]]);
        linear_time_backward(v.level, &self.layer(v), dh, dx, dw_v, dt1);
    }
}

/// H `[N, d]` of the item vectors `x` `[N, d]` and their time buckets; `t1` is T' `[K, d]`.
///
/// # Panics
/// If the shapes do not fit or a bucket is not below K.
pub fn time_linear(g: &mut Graph<'_>, x: Var, w_v: ParamId, t1: ParamId, bucket: Index) -> Var {
    let h = g.alloc(x.rows, x.cols);
    let op = TimeLinear { x, w_v, t1, bucket, h };
    g.compute(h, None, |v, out| linear_time(v.level, &op.layer(v), out.y));
    g.push(op);
    h
}

#[cfg(test)]
mod tests {
    use crate::autograd::check;
    use crate::autograd::tape::Engine;

    #[test]
    fn gradients() {
        check::gradients(&[[4, 3], [3, 3], [2, 3]], Engine::Fused, |g, x| {
            let bucket = g.index([1, 0, 1, 1]);
            vec![super::time_linear(g, g.param(x[0]), x[1], x[2], bucket)]
        });
    }
}
