//! Multi-head attention of the rows of each segment over all rows of the same segment, themselves included, or over those up
//! to themselves.

use crate::autograd::tape::{Grads, Graph, Op, Values, grow};
use crate::autograd::var::{Index, Saved, Var};
pub use dmran_kernels::pooling::Mask;
use dmran_kernels::pooling::{self as kernel, Pool};

struct SelfAttention {
    q: Var,
    keys: Var,
    values: Var,
    rows: Index,
    heads: usize,
    mask: Mask,
    /// Weights, segment by segment `[n, heads, n]`.
    saved: Saved,
    y: Var,
}

/// A segment: its rows' elements and its weights.
struct Segment {
    offsets: [u32; 2],
    elements: std::ops::Range<usize>,
    weights: std::ops::Range<usize>,
}

fn segments(offsets: &[u32], d: usize, heads: usize) -> impl Iterator<Item = Segment> + '_ {
    let mut at = 0;
    crate::autograd::ops::segments(offsets).map(move |rows| {
        let n = rows.len();
        let weights = at..at + n * heads * n;
        at = weights.end;
        Segment { offsets: [0, n as u32], elements: rows.start * d..rows.end * d, weights }
    })
}

impl Segment {
    /// The rows of a segment attend like so many candidates.
    fn pool(&self, d: usize, heads: usize, mask: Mask) -> Pool<'_> {
        Pool { d, heads, candidates: self.offsets[1] as usize, offsets: &self.offsets, mask }
    }
}

impl Op for SelfAttention {
    fn backward(&self, v: Values<'_>, grads: &mut Grads<'_>, scratch: &mut Vec<f32>) {
        let d = self.y.cols;
        let (q, keys, values) = (v.get(self.q), v.get(self.keys), v.get(self.values));
        let (dy, [dq, dkeys, dvalues]) = grads.pull(self.y, [self.q, self.keys, self.values]);
        let saved = v.saved(self.saved);
        for segment in segments(v.ids(self.rows), d, self.heads) {
            let pool = segment.pool(d, self.heads, self.mask);
            let (rows, w) = (segment.elements.clone(), &saved[segment.weights.clone()]);
            let dw = grow(scratch, w.len());
            dw.fill(0.0);
            let dvalues = &mut dvalues[rows.clone()];
            kernel::pool_rows_backward(v.level, &pool, w, &values[rows.clone()], &dy[rows.clone()], dw, dvalues);
            let (dq, dkeys) = (&mut dq[rows.clone()], &mut dkeys[rows.clone()]);
            kernel::weights_backward(v.level, &pool, &q[rows.clone()], &keys[rows], w, dw, dq, dkeys);
        }
    }
}

/// `softmax(q keys^T / sqrt(d / heads)) values` within each segment of `rows`, head by head; all are `[n, d]`. With
/// [`Mask::Causal`] a row attends to the rows of its segment up to itself.
///
/// # Panics
/// If the shapes differ, `heads` does not divide d, or two of the inputs are the same variable.
pub fn self_attention(g: &mut Graph<'_>, [q, keys, values]: [Var; 3], rows: Index, heads: usize, mask: Mask) -> Var {
    assert!(q.shape() == keys.shape() && keys.shape() == values.shape(), "self_attention");
    let d = q.cols;
    let y = g.alloc(q.rows, d);
    let weights = segments(g.indices(rows), d, heads).last().map_or(0, |s| s.weights.end);
    let saved = g.save(weights);
    g.compute(y, Some(saved), |v, out| {
        let (q, keys, values) = (v.get(q), v.get(keys), v.get(values));
        for segment in segments(v.ids(rows), d, heads) {
            let pool = segment.pool(d, heads, mask);
            let rows = segment.elements.clone();
            let w = &mut out.saved[segment.weights.clone()];
            let scratch = grow(out.scratch, pool.scratch_len());
            kernel::weights(v.level, &pool, &q[rows.clone()], &keys[rows.clone()], w, scratch);
            kernel::pool_rows(v.level, &pool, w, &values[rows.clone()], false, &mut out.y[rows]);
        }
    });
    g.push(SelfAttention { q, keys, values, rows, heads, mask, saved, y });
    y
}

#[cfg(test)]
mod tests {
    use super::{Mask, self_attention};
    use crate::autograd::tape::{Engine, Graph, Tape};
    use crate::autograd::{check, reference};
    use dmran_kernels::Level;

    #[test]
    fn gradients() {
        for mask in [Mask::Full, Mask::Causal] {
            for (d, heads) in [(4, 2), (18, 1)] {
                check::gradients(&[[6, d], [6, d], [6, d]], Engine::Fused, |g, x| {
                    let rows = g.index([0, 3, 3, 4, 6]);
                    let inputs = [0, 1, 2].map(|i| g.param(x[i]));
                    vec![self_attention(g, inputs, rows, heads, mask)]
                });
            }
        }
    }

    #[test]
    fn as_composed_of_primitives() {
        let (n, d, heads) = (20, 32, 4);
        let (params, x) = check::inputs(&[[n, d], [n, d], [n, d]], 5);
        let mut tape = Tape::default();
        for level in Level::available() {
            for mask in [Mask::Full, Mask::Causal] {
                let g = &mut Graph::new(&params, &mut tape, Engine::Fused, *level);
                let rows = g.index([0u32, 1, 18, 20]);
                let inputs = [0, 1, 2].map(|i| params.var(x[i]));
                let fused = self_attention(g, inputs, rows, heads, mask);
                let want = reference::self_attention(g, inputs, rows, heads, mask);
                for (got, want) in g.value(fused).iter().zip(g.value(want)) {
                    assert!((got - want).abs() < 1e-6, "{level} {mask:?}: {got} is not {want}");
                }
            }
        }
    }
}
