//! `y_b = sum over the rows of segment b`.

use crate::autograd::ops::segments;
use crate::autograd::tape::{Grads, Graph, Op, Values};
use crate::autograd::var::{Index, Var};

struct SegmentSum {
    x: Var,
    offsets: Index,
    y: Var,
}

impl Op for SegmentSum {
    fn backward(&self, values: Values<'_>, grads: &mut Grads<'_>, _: &mut Vec<f32>) {
        let (dy, [dx]) = grads.pull(self.y, [self.x]);
        let (dy, mut dx) = (self.y.view(dy), self.x.view_mut(dx));
        for (b, rows) in segments(values.ids(self.offsets)).enumerate() {
            for i in rows {
                dx.row_mut(i).zip_mut_with(&dy.row(b), |d, g| *d += g);
            }
        }
    }
}

/// Sums of the rows of `x` by segment: `offsets` has one entry more than there are segments.
pub fn segment_sum(g: &mut Graph<'_>, x: Var, offsets: Index) -> Var {
    let y = g.alloc(offsets.len - 1, x.cols);
    g.compute(y, None, |v, out| {
        out.y.fill(0.0);
        let (from, mut to) = (v.view(x), y.view_mut(out.y));
        for (b, rows) in segments(v.ids(offsets)).enumerate() {
            for i in rows {
                to.row_mut(b).zip_mut_with(&from.row(i), |y, x| *y += x);
            }
        }
    });
    g.push(SegmentSum { x, offsets, y });
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
            super::segment_sum(g, g.param(x[0]), offsets)
        };
        let got = check::forward(&[[3, 1]], &[1.0, 2.0, 4.0], Engine::Naive, f);
        assert_eq!(got, [3.0, 0.0, 4.0]);
        check::gradients(&[[3, 5]], Engine::Naive, |g, x| vec![f(g, x)]);
    }
}
