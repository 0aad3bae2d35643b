//! One-dimensional convolutions of widths 1 to W over ragged histories, ReLU, and the maximum over time.
//!
//! Filter f of width w answers the window of events t .. t + w - 1 with `sum_k W_k[f] . x_{t+k}`. Windows start at every
//! event of the history, and what lies behind its end counts as zeros, as in ATRank's code, which pads histories with
//! zeros behind their end: its maximum therefore always sees a window of nothing but zeros as well, and so does this
//! one. With m the largest answer or 0, whichever is more: `y[f] = relu(m + b[f])`.
//!
//! The weights lie by tap: tap k is the part that meets the k-th event of a window, for all widths above k.

use crate::autograd::ops::primitive::product::Product;
use crate::autograd::ops::recurrent::steps::{Steps, StepsView};
use crate::autograd::params::ParamId;
use crate::autograd::tape::{Grads, Graph, Op, Values, grow};
use crate::autograd::var::{Saved, Var};
use dmran_kernels::simd::{Kernel, LANES, Simd, load_at, store_at};

/// Marks that the window of zeros was the largest.
const ZEROS: f32 = -1.0;

struct ConvMax<const W: usize> {
    x: Var,
    taps: [ParamId; W],
    bias: ParamId,
    steps: Steps,
    /// Step of each maximum `[B, W F]`, or [`ZEROS`].
    saved: Saved,
    y: Var,
}

impl<const W: usize> Op for ConvMax<W> {
    fn backward(&self, v: Values<'_>, grads: &mut Grads<'_>, scratch: &mut Vec<f32>) {
        let filters = self.y.cols;
        let steps = self.steps.view(v);
        let dz = grow(scratch, self.y.len());
        let (dy, [db]) = grads.pull(self.y, [v.params.var(self.bias)]);
        for ((dz, dy), y) in dz.iter_mut().zip(dy).zip(v.get(self.y)) {
            *dz = if *y > 0.0 { *dy } else { 0.0 };
        }
        for dz in dz.chunks_exact(filters) {
            db.iter_mut().zip(dz).for_each(|(b, z)| *b += z);
        }
        for (tap, id) in self.taps.into_iter().enumerate().take(steps.count()) {
            let (_, [dx, dw]) = grads.pull(self.y, [self.x, v.params.var(id)]);
            v.level.dispatch(TapBackward {
                tap,
                skipped: tap * filters / W,
                filters,
                steps,
                top: v.saved(self.saved),
                dz,
                x: v.get(self.x),
                w: v.params.get(id),
                dx,
                dw,
            });
        }
    }
}

/// The gradients of one tap. Only the windows that gave a maximum have one.
struct TapBackward<'a> {
    tap: usize,
    /// Filters that are too narrow for this tap.
    skipped: usize,
    filters: usize,
    steps: StepsView<'a>,
    top: &'a [f32],
    dz: &'a [f32],
    x: &'a [f32],
    w: &'a [f32],
    dx: &'a mut [f32],
    dw: &'a mut [f32],
}

impl Kernel for TapBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { tap, skipped, filters, steps, top, dz, x, w, dx, dw } = self;
        let d = w.len() / (filters - skipped);
        for (rank, b) in steps.order.iter().enumerate() {
            let b = *b as usize;
            for f in skipped..filters {
                let (at, gradient) = (top[b * filters + f], dz[b * filters + f]);
                if gradient == 0.0 || at == ZEROS {
                    continue;
                }
                let step = steps.step(at as usize + tap);
                if rank >= step.len() {
                    continue;
                }
                let row = steps.rows[step.start + rank] as usize * d;
                let weight = (f - skipped) * d;
                add_scaled(s, &mut dw[weight..weight + d], gradient, &x[row..row + d]);
                add_scaled(s, &mut dx[row..row + d], gradient, &w[weight..weight + d]);
            }
        }
    }
}

/// `y += k x`.
#[inline(always)]
fn add_scaled<S: Simd>(s: S, y: &mut [f32], k: f32, x: &[f32]) {
    let k = s.splat(k);
    let mut at = 0;
    while at < y.len() {
        let sum = s.mul_add(k, load_at(s, x, at), load_at(s, y, at));
        store_at(s, sum, y, at);
        at += LANES;
    }
}

/// For each segment of `x` `[n, d]` the maximum over time of F filters of each width from 1 to W: `[B, W F]`, the
/// narrowest first. Tap k is `[(W - k) F, d]`, `bias` has `W F` entries, `steps` are those of the segments, forward.
///
/// # Panics
/// If the shapes do not fit, or on the fused engine if a tap is not packed.
pub fn conv_max<const W: usize>(g: &mut Graph<'_>, x: Var, taps: [ParamId; W], bias: ParamId, steps: Steps) -> Var {
    let filters = g.param(bias).len();
    let shape = |tap: usize| [(W - tap) * (filters / W), x.cols];
    assert!(
        (0..W).all(|tap| g.param(taps[tap]).shape() == shape(tap)) && filters.is_multiple_of(W),
        "conv_max: {filters} filters of {W} widths, taps {:?}",
        taps.map(|tap| g.param(tap).shape())
    );
    assert_eq!(steps.len(), x.rows, "conv_max: rows of all segments");
    let y = g.alloc(steps.segments(), filters);
    let saved = g.save(y.len());
    let engine = g.engine;
    g.compute(y, Some(saved), |v, out| {
        let steps = steps.view(v);
        let (n, d) = (x.rows, x.cols);
        let scratch = grow(out.scratch, n * (d + 2 * filters));
        let (xs, scratch) = scratch.split_at_mut(n * d);
        let (z, part) = scratch.split_at_mut(n * filters);
        steps.gather(v.get(x), d, xs);
        Product { w: taps[0], engine }.times(v, xs, z, false);
        for (tap, id) in taps.into_iter().enumerate().take(steps.count()).skip(1) {
            let [wide, _] = shape(tap);
            let first = steps.start(tap);
            let part = &mut part[..(n - first) * wide];
            Product { w: id, engine }.times(v, &xs[first * d..], part, false);
            for t in tap..steps.count() {
                let rows = steps.step(t);
                let window = steps.start(t - tap);
                for (s, part) in part[(rows.start - first) * wide..].chunks_exact(wide).take(rows.len()).enumerate() {
                    let z = &mut z[(window + s + 1) * filters - wide..][..wide];
                    z.iter_mut().zip(part).for_each(|(z, p)| *z += p);
                }
            }
        }
        out.y.fill(0.0);
        out.saved.fill(ZEROS);
        for t in 0..steps.count() {
            for (place, b) in steps.step(t).zip(steps.order) {
                let segment = *b as usize * filters;
                let top = out.y[segment..].iter_mut().zip(&mut out.saved[segment..]);
                for (z, (top, at)) in z[place * filters..][..filters].iter().zip(top) {
                    // A NaN is taken and then stays.
                    let more = *z > *top || z.is_nan();
                    *top = if more { *z } else { *top };
                    *at = if more { t as f32 } else { *at };
                }
            }
        }
        let bias = v.params.get(bias);
        for y in out.y.chunks_exact_mut(filters) {
            y.iter_mut().zip(bias).for_each(|(y, b)| *y = if *y + b <= 0.0 { 0.0 } else { *y + b });
        }
    });
    g.push(ConvMax { x, taps, bias, steps, saved, y });
    y
}

#[cfg(test)]
mod tests {
    use super::conv_max;
    use crate::autograd::check;
    use crate::autograd::ops::steps::steps;
    use crate::autograd::params::ParamId;
    use crate::autograd::tape::{Engine, Graph, Tape};
    use crate::autograd::var::Var;
    use dmran_kernels::Level;

    fn run(g: &mut Graph<'_>, x: &[ParamId], offsets: &[u32]) -> Var {
        let offsets = g.index(offsets.iter().copied());
        let steps = steps(g, offsets, false);
        conv_max(g, g.param(x[0]), [x[1], x[2], x[3]], x[4], steps)
    }

    /// The definition, window by window.
    fn literal(x: &[f32], d: usize, offsets: &[u32], taps: [&[f32]; 3], bias: &[f32]) -> Vec<f32> {
        let (filters, mut y) = (bias.len() / 3, vec![]);
        for w in offsets.windows(2) {
            for (f, bias) in bias.iter().enumerate() {
                let mut top = 0.0f32;
                for t in w[0]..w[1] {
                    let mut z = 0.0;
                    for (k, tap) in taps.iter().enumerate().take(f / filters + 1) {
                        let row = t as usize + k;
                        if row < w[1] as usize {
                            let weight = &tap[(f - k * filters) * d..][..d];
                            z += weight.iter().zip(&x[row * d..]).map(|(w, x)| w * x).sum::<f32>();
                        }
                    }
                    top = top.max(z);
                }
                y.push((top + bias).max(0.0));
            }
        }
        y
    }

    #[test]
    fn as_window_by_window() {
        for (d, filters) in [(4, 2), (19, 7)] {
            let shapes = [[9, d], [3 * filters, d], [2 * filters, d], [filters, d], [1, 3 * filters]];
            let (params, x) = check::inputs(&shapes, 11);
            let offsets = [0u32, 1, 3, 3, 8, 9];
            let taps = [1, 2, 3].map(|i| params.get(x[i]));
            let want = literal(params.get(x[0]), d, &offsets, taps, params.get(x[4]));
            assert!(want.contains(&0.0));
            for engine in [Engine::Naive, Engine::Fused] {
                for level in Level::available() {
                    let mut tape = Tape::default();
                    let mut g = Graph::new(&params, &mut tape, engine, *level);
                    let y = run(&mut g, &x, &offsets);
                    for (got, want) in g.value(y).iter().zip(&want) {
                        assert!((got - want).abs() < 1e-5, "{engine:?} {level}: {got} is not {want}");
                    }
                }
            }
        }
    }

    #[test]
    fn gradients() {
        for engine in [Engine::Naive, Engine::Fused] {
            let shapes = [[7, 4], [6, 4], [4, 4], [2, 4], [1, 6]];
            check::gradients(&shapes, engine, |g, x| vec![run(g, x, &[0, 1, 3, 3, 7])]);
        }
    }

    #[test]
    fn a_nan_is_not_hidden_by_the_maximum() {
        let values = [f32::NAN, 2.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 0.0];
        let shapes = [[2, 1], [3, 1], [2, 1], [1, 1], [1, 3]];
        let got = check::forward(&shapes, &values[..11], Engine::Naive, |g, x| run(g, x, &[0, 2]));
        assert!(got.iter().all(|y| y.is_nan()), "{got:?}");
    }
}
