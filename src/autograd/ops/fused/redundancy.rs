//! Eq 21: `P = sum over samples of ||A A^T - I||_F^2`, times `k`. A is stored one row an event: `[N, r]`.

use crate::autograd::ops::segments;
use crate::autograd::reference::gemm::gemm;
use crate::autograd::tape::grow;
use crate::autograd::tape::{Engine, Grads, Graph, Op, Values};
use crate::autograd::var::{Index, Var};
use dmran_kernels::item_attention as kernel;
use ndarray::{ArrayViewMut2, s};

struct Redundancy {
    a: Var,
    offsets: Index,
    y: Var,
    k: f32,
    engine: Engine,
}

/// Writes `A_b A_b^T - I` `[r, r]` into `out`.
fn gram(a: ndarray::ArrayView2<'_, f32>, out: &mut [f32]) {
    let r = a.ncols();
    let mut view = ArrayViewMut2::from_shape((r, r), &mut out[..r * r]).expect("r * r entries");
    gemm(1.0, a.t(), a, 0.0, view.view_mut());
    view.diag_mut().mapv_inplace(|x| x - 1.0);
}

impl Op for Redundancy {
    /// `dA = 4 k (A A^T - I) A`.
    fn backward(&self, values: Values<'_>, grads: &mut Grads<'_>, scratch: &mut Vec<f32>) {
        let (dy, [da]) = grads.pull(self.y, [self.a]);
        let (r, offsets) = (self.a.cols, values.ids(self.offsets));
        if self.engine == Engine::Fused {
            let scratch = grow(scratch, kernel::penalty_scratch_len(r));
            let coef = self.k * dy[0];
            return kernel::penalty_backward(values.level, r, offsets, values.get(self.a), coef, da, scratch);
        }
        let (a, mut da) = (values.view(self.a), self.a.view_mut(da));
        let e = grow(scratch, r * r);
        for rows in segments(offsets) {
            let a = a.slice(s![rows.clone(), ..]);
            gram(a, e);
            let e = ArrayViewMut2::from_shape((r, r), &mut *e).expect("r * r entries");
            gemm(4.0 * self.k * dy[0], a, e.view(), 1.0, da.slice_mut(s![rows, ..]));
        }
    }
}

/// The penalty on hops that look at the same events, summed over samples and multiplied by `k`: `[1, 1]`.
/// An empty segment counts its constant r.
pub fn redundancy(g: &mut Graph<'_>, a: Var, offsets: Index, k: f32) -> Var {
    let (y, engine) = (g.alloc(1, 1), g.engine);
    g.compute(y, None, |v, out| {
        if engine == Engine::Fused {
            let scratch = grow(out.scratch, kernel::penalty_scratch_len(a.cols));
            out.y[0] = (f64::from(k) * kernel::penalty(v.level, a.cols, v.ids(offsets), v.get(a), scratch)) as f32;
            return;
        }
        let (a, e) = (v.view(a), grow(out.scratch, a.cols * a.cols));
        let mut sum = 0.0f64;
        for rows in segments(v.ids(offsets)) {
            gram(a.slice(s![rows, ..]), e);
            sum += e.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>();
        }
        out.y[0] = (f64::from(k) * sum) as f32;
    });
    g.push(Redundancy { a, offsets, y, k, engine });
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
            super::redundancy(g, g.param(x[0]), offsets, 0.5)
        };
        // Hops on one event each are not redundant; both hops on the only event of a history cost
        // r^2 - r = 2, and a history without events costs r = 2.
        for engine in [Engine::Naive, Engine::Fused] {
            let got = check::forward(&[[3, 2]], &[1.0, 0.0, 0.0, 1.0, 1.0, 1.0], engine, f);
            assert_eq!(got, [2.0]);
            check::gradients(&[[3, 2]], engine, |g, x| vec![f(g, x)]);
        }
    }
}
