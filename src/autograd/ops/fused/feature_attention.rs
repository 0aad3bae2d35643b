//! Eq 9-12 fused: pairwise tanh alignment, softmax over j in each dimension, weighted sum. The exponentials of up to 16
//! hops are kept for the backward pass; of more rows nothing of size r r d is, and it computes them again.

use crate::autograd::ops::segments;
use crate::autograd::params::ParamId;
use crate::autograd::tape::{Grads, Graph, Op, Values, grow};
use crate::autograd::var::{Index, Saved, Var};
use dmran_kernels::feature_attention as kernel;

struct FeatureAttention {
    m: Var,
    /// `W_s3, W_s4, b_s2, W_s5`.
    w: [ParamId; 4],
    offsets: Index,
    mhat: Var,
    saved: Saved,
}

/// Rows of the longest segment.
fn longest(offsets: &[u32]) -> usize {
    segments(offsets).map(|rows| rows.len()).max().unwrap_or(0)
}

impl FeatureAttention {
    fn weights<'a>(&self, v: Values<'a>) -> kernel::Weights<'a> {
        let [w_s3, w_s4, b_s2, w_s5] = self.w;
        kernel::Weights {
            d: self.m.cols,
            w_s3: v.params.weight(w_s3).transposed,
            w_s4: v.params.weight(w_s4).transposed,
            w_s5: v.params.weight(w_s5).transposed,
            b_s2: v.params.get(b_s2),
        }
    }
}

impl Op for FeatureAttention {
    fn backward(&self, v: Values<'_>, grads: &mut Grads<'_>, scratch: &mut Vec<f32>) {
        let [w_s3, w_s4, b_s2, w_s5] = self.w;
        let transposed = kernel::BackwardWeights {
            w_s3: v.params.weight(w_s3).straight,
            w_s4: v.params.weight(w_s4).straight,
            w_s5: v.params.weight(w_s5).straight,
        };
        let vars = [w_s3, w_s4, w_s5, b_s2].map(|id| v.params.var(id));
        let (dmhat, [dm, dw_s3, dw_s4, dw_s5, db_s2]) =
            grads.pull(self.mhat, [self.m, vars[0], vars[1], vars[2], vars[3]]);
        let (rows, kept) = v.saved(self.saved).split_at(4 * self.m.len());
        let mut parts = rows.chunks(self.m.len().max(1));
        let mut next = || parts.next().unwrap_or(&[]);
        let offsets = v.ids(self.offsets);
        let args = kernel::Backward {
            offsets,
            m: v.get(self.m),
            mhat: v.get(self.mhat),
            saved: kernel::Saved { p: next(), q: next(), shift: next(), inverse_sum: next(), kept },
            dmhat,
            gradients: kernel::Gradients { dm, dw_s3, dw_s4, dw_s5, db_s2 },
            scratch: grow(scratch, kernel::scratch_len(self.m.cols, longest(offsets))),
        };
        kernel::backward(v.level, &self.weights(v), &transposed, args);
    }
}

/// Mhat `[rows, d]` of the rows of M in ragged segments; `w` is `W_s3, W_s4, b_s2, W_s5`.
///
/// # Panics
/// If the shapes do not fit.
pub fn feature_attention(g: &mut Graph<'_>, m: Var, w: [ParamId; 4], offsets: Index) -> Var {
    let mhat = g.alloc(m.rows, m.cols);
    let saved = g.save(4 * m.len() + kernel::kept_len(m.cols, g.indices(offsets)));
    let op = FeatureAttention { m, w, offsets, mhat, saved };
    g.compute(mhat, Some(saved), |v, out| {
        let (rows, kept) = out.saved.split_at_mut(4 * m.len());
        let mut parts = rows.chunks_mut(m.len().max(1));
        let mut next = || parts.next().unwrap_or(&mut []);
        let saved = kernel::SavedMut { p: next(), q: next(), shift: next(), inverse_sum: next(), kept };
        let offsets = v.ids(offsets);
        let scratch = grow(out.scratch, kernel::scratch_len(m.cols, longest(offsets)));
        let args = kernel::Forward { offsets, m: v.get(m), mhat: out.y, saved, scratch };
        kernel::forward(v.level, &op.weights(v), args);
    });
    g.push(op);
    mhat
}

#[cfg(test)]
mod tests {
    use super::feature_attention;
    use crate::autograd::tape::Engine;
    use crate::autograd::{check, reference};

    const SHAPES: [[usize; 2]; 5] = [[5, 3], [3, 3], [3, 3], [1, 3], [3, 3]];

    #[test]
    fn gradients() {
        check::gradients(&SHAPES, Engine::Fused, |g, x| {
            let offsets = g.index([0, 3, 4, 5]);
            vec![feature_attention(g, g.param(x[0]), [x[1], x[2], x[3], x[4]], offsets)]
        });
    }

    #[test]
    fn as_the_naive_composition() {
        let (params, x) = check::inputs(&SHAPES, 5);
        let mut tape = crate::autograd::tape::Tape::default();
        for level in dmran_kernels::Level::available() {
            let g = &mut crate::autograd::tape::Graph::new(&params, &mut tape, Engine::Fused, *level);
            let offsets = g.index([0, 3, 4, 5]);
            let fused = feature_attention(g, g.param(x[0]), [x[1], x[2], x[3], x[4]], offsets);
            let vars = [1, 2, 3, 4].map(|i| g.param(x[i]));
            let naive = reference::feature_attention(g, g.param(x[0]), vars, offsets).mhat;
            for (got, want) in g.value(fused).iter().zip(g.value(naive)) {
                assert!((got - want).abs() < 1e-6, "{level}: {got} is not {want}");
            }
        }
    }
}
