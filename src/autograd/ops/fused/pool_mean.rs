//! Eq 14, 15 `mean`: the mean of each sample's rows, the same for all of its candidates.

use crate::autograd::tape::{Grads, Graph, Op, Values, grow};
use crate::autograd::var::{Index, Var};
use dmran_kernels::pooling as kernel;

struct PoolMean {
    x: Var,
    rows: Index,
    per: usize,
    h: Var,
}

impl Op for PoolMean {
    fn backward(&self, v: Values<'_>, grads: &mut Grads<'_>, scratch: &mut Vec<f32>) {
        let d = self.x.cols;
        let (dh, [dx]) = grads.pull(self.h, [self.x]);
        let sums = grow(scratch, self.h.len() / self.per);
        for (sum, candidates) in sums.chunks_mut(d).zip(dh.chunks(self.per * d)) {
            sum.copy_from_slice(&candidates[..d]);
            for dh in candidates[d..].chunks(d) {
                sum.iter_mut().zip(dh).for_each(|(s, g)| *s += g);
            }
        }
        kernel::mean_backward(v.level, d, v.ids(self.rows), sums, dx);
    }
}

/// The mean of the rows of each sample's segment of `x`, once for each of its `per` candidates: `[B per, d]`.
///
/// # Panics
/// If the shapes do not fit or `per` is 0.
pub fn pool_mean(g: &mut Graph<'_>, x: Var, rows: Index, per: usize) -> Var {
    let h = g.alloc((rows.len - 1) * per, x.cols);
    g.compute(h, None, |v, out| {
        let means = grow(out.scratch, (rows.len - 1) * x.cols);
        kernel::mean(v.level, x.cols, v.ids(rows), v.get(x), means);
        for (mean, candidates) in means.chunks(x.cols).zip(out.y.chunks_mut(per * x.cols)) {
            candidates.chunks_mut(x.cols).for_each(|h| h.copy_from_slice(mean));
        }
    });
    g.push(PoolMean { x, rows, per, h });
    h
}

#[cfg(test)]
mod tests {
    use crate::autograd::check;
    use crate::autograd::tape::Engine;

    #[test]
    fn values_and_gradients() {
        let f = |g: &mut crate::autograd::tape::Graph<'_>, x: &[crate::autograd::params::ParamId]| {
            let rows = g.index([0, 2, 3]);
            super::pool_mean(g, g.param(x[0]), rows, 2)
        };
        let got = check::forward(&[[3, 1]], &[1.0, 2.0, 5.0], Engine::Fused, f);
        assert_eq!(got, [1.5, 1.5, 5.0, 5.0]);
        check::gradients(&[[3, 5]], Engine::Fused, |g, x| vec![f(g, x)]);
    }
}
