//! `M_b = A_b^T X_b` for each segment b (eq 8, with A stored one row an event).

use crate::autograd::ops::segments;
use crate::autograd::reference::gemm::gemm;
use crate::autograd::tape::{Grads, Graph, Op, Values};
use crate::autograd::var::{Index, Var};
use ndarray::s;

struct SegmentTn {
    a: Var,
    x: Var,
    offsets: Index,
    y: Var,
}

impl Op for SegmentTn {
    fn backward(&self, values: Values<'_>, grads: &mut Grads<'_>, _: &mut Vec<f32>) {
        let (dy, [da, dx]) = grads.pull(self.y, [self.a, self.x]);
        let (a, x, dy) = (values.view(self.a), values.view(self.x), self.y.view(dy));
        let (mut da, mut dx) = (self.a.view_mut(da), self.x.view_mut(dx));
        let r = self.a.cols;
        for (b, rows) in segments(values.ids(self.offsets)).enumerate() {
            let dm = dy.slice(s![b * r..(b + 1) * r, ..]);
            gemm(1.0, x.slice(s![rows.clone(), ..]), dm.t(), 1.0, da.slice_mut(s![rows.clone(), ..]));
            gemm(1.0, a.slice(s![rows.clone(), ..]), dm, 1.0, dx.slice_mut(s![rows, ..]));
        }
    }
}

/// Weighted sums of rows by segment: `a` `[N, r]` holds the weights, `x` `[N, d]` the rows; the result is
/// `[B * r, d]`, `r` rows for each of the B segments.
///
/// # Panics
/// If `a` and `x` differ in rows.
pub fn segment_tn(g: &mut Graph<'_>, a: Var, x: Var, offsets: Index) -> Var {
    assert_eq!(a.rows, x.rows, "segment_tn");
    let r = a.cols;
    let y = g.alloc((offsets.len - 1) * r, x.cols);
    g.compute(y, None, |v, out| {
        let (a, x, mut to) = (v.view(a), v.view(x), y.view_mut(out.y));
        for (b, rows) in segments(v.ids(offsets)).enumerate() {
            let a = a.slice(s![rows.clone(), ..]);
            gemm(1.0, a.t(), x.slice(s![rows, ..]), 0.0, to.slice_mut(s![b * r..(b + 1) * r, ..]));
        }
    });
    g.push(SegmentTn { a, x, offsets, y });
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
            super::segment_tn(g, g.param(x[0]), g.param(x[1]), offsets)
        };
        let got = check::forward(&[[3, 1], [3, 1]], &[1.0, 2.0, 4.0, 10.0, 100.0, 5.0], Engine::Naive, f);
        assert_eq!(got, [210.0, 0.0, 20.0]);
        check::gradients(&[[3, 2], [3, 5]], Engine::Naive, |g, x| vec![f(g, x)]);
    }
}
