//! `y = act(x W^T + b)` on packed weights, with ReLU or without: the fused engine's linear layer.

use crate::autograd::params::ParamId;
use crate::autograd::tape::{Grads, Graph, Op, Values, grow};
use crate::autograd::var::Var;
use dmran_kernels::dense::{self as kernel, Dense as Layer};

struct Dense {
    x: Var,
    w: ParamId,
    b: Option<ParamId>,
    relu: bool,
    y: Var,
}

impl Dense {
    fn layer<'a>(&self, v: Values<'a>) -> Layer<'a> {
        Layer { w: v.params.weight(self.w), bias: self.b.map(|b| v.params.get(b)), relu: self.relu }
    }
}

impl Op for Dense {
    fn backward(&self, v: Values<'_>, grads: &mut Grads<'_>, scratch: &mut Vec<f32>) {
        let layer = self.layer(v);
        let (x, y) = (v.get(self.x), v.get(self.y));
        let scratch = grow(scratch, kernel::scratch_len(&layer, self.x.rows));
        let w = v.params.var(self.w);
        match self.b.map(|b| v.params.var(b)) {
            Some(b) => {
                let (dy, [dx, dw, db]) = grads.pull(self.y, [self.x, w, b]);
                let mut grads = kernel::Gradients { dx: Some(dx), dw, db: Some(db) };
                kernel::backward(v.level, &layer, x, y, dy, &mut grads, scratch);
            }
            None => {
                let (dy, [dx, dw]) = grads.pull(self.y, [self.x, w]);
                let mut grads = kernel::Gradients { dx: Some(dx), dw, db: None };
                kernel::backward(v.level, &layer, x, y, dy, &mut grads, scratch);
            }
        }
    }
}

/// Rows of `x` `[n, in]` through the weight `w` `[out, in]`, the optional bias and, if asked for, ReLU: `[n, out]`.
///
/// # Panics
/// If the shapes do not fit or `w` is not packed.
pub fn dense(g: &mut Graph<'_>, x: Var, w: ParamId, b: Option<ParamId>, relu: bool) -> Var {
    let y = g.alloc(x.rows, g.param(w).rows);
    let op = Dense { x, w, b, relu, y };
    g.compute(y, None, |v, out| kernel::forward(v.level, &op.layer(v), v.get(x), out.y));
    g.push(op);
    y
}

#[cfg(test)]
mod tests {
    use crate::autograd::check;
    use crate::autograd::tape::Engine;

    #[test]
    fn gradients() {
        for relu in [false, true] {
            check::gradients(&[[4, 3], [5, 3], [1, 5]], Engine::Fused, |g, x| {
                vec![super::dense(g, g.param(x[0]), x[1], Some(x[2]), relu)]
            });
            check::gradients(&[[1, 17], [2, 17]], Engine::Fused, |g, x| {
                vec![super::dense(g, g.param(x[0]), x[1], None, relu)]
            });
        }
    }
}
