//! `y = softmax` over the rows of each segment, in every column by itself (eq 7, eq 10).

use crate::autograd::ops::segments;
use crate::autograd::tape::{Grads, Graph, Op, Values};
use crate::autograd::var::{Index, Var};

struct SegmentSoftmax {
    x: Var,
    offsets: Index,
    y: Var,
}

impl Op for SegmentSoftmax {
    /// `dx = y * (dy - sum over the segment of y dy)`.
    fn backward(&self, values: Values<'_>, grads: &mut Grads<'_>, _: &mut Vec<f32>) {
        let (dy, [dx]) = grads.pull(self.y, [self.x]);
        let (y, dy, mut dx) = (values.view(self.y), self.y.view(dy), self.x.view_mut(dx));
        for rows in segments(values.ids(self.offsets)) {
            for c in 0..self.x.cols {
                let dot: f32 = rows.clone().map(|i| y[[i, c]] * dy[[i, c]]).sum();
                for i in rows.clone() {
                    dx[[i, c]] += y[[i, c]] * (dy[[i, c]] - dot);
                }
            }
        }
    }
}

/// Softmax down each column of each segment of rows: `offsets` has one entry more than there are segments.
pub fn segment_softmax(g: &mut Graph<'_>, x: Var, offsets: Index) -> Var {
    let y = g.alloc(x.rows, x.cols);
    g.compute(y, None, |v, out| {
        let (from, mut to) = (v.view(x), y.view_mut(out.y));
        for rows in segments(v.ids(offsets)) {
            for c in 0..x.cols {
                let top = rows.clone().fold(f32::NEG_INFINITY, |m, i| m.max(from[[i, c]]));
                let mut sum = 0.0;
                for i in rows.clone() {
                    let e = (from[[i, c]] - top).exp();
                    to[[i, c]] = e;
                    sum += e;
                }
                for i in rows.clone() {
                    to[[i, c]] /= sum;
                }
            }
        }
    });
    g.push(SegmentSoftmax { x, offsets, y });
    y
}

#[cfg(test)]
mod tests {
    use crate::autograd::check;
    use crate::autograd::tape::Engine;

    #[test]
    fn values_and_gradients() {
        let f = |g: &mut crate::autograd::tape::Graph<'_>, x: &[crate::autograd::params::ParamId]| {
            let offsets = g.index([0, 2, 2, 3]);
            super::segment_softmax(g, g.param(x[0]), offsets)
        };
        let got = check::forward(&[[3, 1]], &[1000.0, 1000.0, 4.0], Engine::Naive, f);
        assert_eq!(got, [0.5, 0.5, 1.0]);
        check::gradients(&[[3, 5]], Engine::Naive, |g, x| vec![f(g, x)]);
    }
}
