//! One direction of a long short-term memory over ragged histories.
//!
//! With gates `i, j, f, o = x_t W_x^T + h_{t-1} W_h^T + b` (in this order, each d wide):
//! `c_t = sigmoid(f + forget) c_{t-1} + sigmoid(i) tanh(j)`, `h_t = sigmoid(o) tanh(c_t)`, from `h_0 = c_0 = 0`.

mod cell;

use crate::autograd::ops::primitive::product::Product;
use crate::autograd::ops::recurrent::steps::Steps;
use crate::autograd::params::ParamId;
use crate::autograd::tape::{Engine, Grads, Graph, Op, Values, grow};
use crate::autograd::var::{Saved, Var};

/// The weights of one direction.
#[derive(Clone, Copy, Debug)]
pub struct Cell {
    /// `W_x` `[4d, in]`.
    pub w_x: ParamId,
    /// `W_h` `[4d, d]`.
    pub w_h: ParamId,
    /// `b`, `4d` entries.
    pub b: ParamId,
    /// Added to the forget gate before its sigmoid (TensorFlow's cells: 1).
    pub forget: f32,
}

struct Lstm {
    x: Var,
    cell: Cell,
    steps: Steps,
    engine: Engine,
    saved: Saved,
    y: Var,
}

/// What the forward pass keeps, in the order of time steps.
struct Kept<T> {
    /// Activated gates `[n, 4d]`.
    gates: T,
    /// `c_t` `[n, d]`.
    c: T,
    /// `tanh(c_t)` `[n, d]`.
    tanh_c: T,
    /// `h_{t-1}` `[n, d]`.
    before: T,
}

/// Numbers kept for each event, in multiples of d.
const KEPT: usize = 7;

impl Lstm {
    fn product(&self, w: ParamId) -> Product {
        Product { w, engine: self.engine }
    }
}

fn kept(saved: &[f32], n: usize, d: usize) -> Kept<&[f32]> {
    let (gates, rest) = saved.split_at(4 * n * d);
    let (c, rest) = rest.split_at(n * d);
    let (tanh_c, before) = rest.split_at(n * d);
    Kept { gates, c, tanh_c, before }
}

fn kept_mut(saved: &mut [f32], n: usize, d: usize) -> Kept<&mut [f32]> {
    let (gates, rest) = saved.split_at_mut(4 * n * d);
    let (c, rest) = rest.split_at_mut(n * d);
    let (tanh_c, before) = rest.split_at_mut(n * d);
    Kept { gates, c, tanh_c, before }
}

impl Op for Lstm {
    fn backward(&self, v: Values<'_>, grads: &mut Grads<'_>, scratch: &mut Vec<f32>) {
        let (n, d, k) = (self.x.rows, self.y.cols, self.x.cols);
        if n == 0 {
            return;
        }
        let steps = self.steps.view(v);
        let kept = kept(v.saved(self.saved), n, d);
        let widest = steps.step(0).len();
        let scratch = grow(scratch, n * 4 * d + 2 * n * k + 2 * widest * d);
        let (dz, scratch) = scratch.split_at_mut(n * 4 * d);
        let (xs, scratch) = scratch.split_at_mut(n * k);
        let (dxs, carry) = scratch.split_at_mut(n * k);
        let [w_x, w_h, b] = [self.cell.w_x, self.cell.w_h, self.cell.b].map(|id| v.params.var(id));
        let (dy, [dx, dw_x, dw_h, db]) = grads.pull(self.y, [self.x, w_x, w_h, b]);

        // What flows from the step after: a history that ends here has had nothing written to its rows yet.
        carry.fill(0.0);
        let (dh, dc) = carry.split_at_mut(widest * d);
        for t in (0..steps.count()).rev() {
            for (s, at) in steps.step(t).enumerate() {
                let dh = &mut dh[s * d..][..d];
                let row = steps.rows[at] as usize;
                dh.iter_mut().zip(&dy[row * d..]).for_each(|(h, g)| *h += g);
                let c_before = (t > 0).then(|| &kept.c[(steps.start(t - 1) + s) * d..][..d]);
                let (gates, tanh_c) = (&kept.gates[at * 4 * d..][..4 * d], &kept.tanh_c[at * d..][..d]);
                let dz = &mut dz[at * 4 * d..][..4 * d];
                cell::backward(gates, c_before, tanh_c, dh, &mut dc[s * d..][..d], dz);
            }
            if t > 0 {
                let rows = steps.step(t);
                let (dz, dh) = (&dz[rows.start * 4 * d..rows.end * 4 * d], &mut dh[..rows.len() * d]);
                self.product(self.cell.w_h).back(v, dz, dh);
            }
        }

        steps.gather(v.get(self.x), k, xs);
        self.product(self.cell.w_x).add_gradient(v, dz, xs, dw_x);
        let second = steps.start(1);
        self.product(self.cell.w_h).add_gradient(v, &dz[second * 4 * d..], &kept.before[second * d..], dw_h);
        for dz in dz.chunks_exact(4 * d) {
            db.iter_mut().zip(dz).for_each(|(b, z)| *b += z);
        }
        self.product(self.cell.w_x).back(v, dz, dxs);
        steps.scatter_add(dxs, k, dx);
    }
}

/// The outputs `h_t` for the rows of `x` `[n, in]`: `[n, d]`, in the rows of their events. `steps` gives the segments
/// and the direction.
///
/// # Panics
/// If the shapes do not fit, or on the fused engine if a matrix is not packed.
pub fn lstm(g: &mut Graph<'_>, x: Var, cell: Cell, steps: Steps) -> Var {
    let [w_x, w_h, b] = [cell.w_x, cell.w_h, cell.b].map(|id| g.param(id));
    let (n, d) = (x.rows, w_h.cols);
    assert!(
        w_x.shape() == [4 * d, x.cols] && w_h.rows == 4 * d && b.len() == 4 * d && steps.len() == n,
        "lstm: {:?} by {:?} and {:?} over {} rows",
        x.shape(),
        w_x.shape(),
        w_h.shape(),
        steps.len()
    );
    let y = g.alloc(n, d);
    let saved = g.save(KEPT * n * d);
    let op = Lstm { x, cell, steps, engine: g.engine, saved, y };
    g.compute(y, Some(saved), |v, out| {
        let steps = steps.view(v);
        let kept = kept_mut(out.saved, n, d);
        let xs = grow(out.scratch, n * x.cols);
        steps.gather(v.get(x), x.cols, xs);
        let bias = v.params.get(cell.b);
        kept.gates.chunks_exact_mut(4 * d).for_each(|z| z.copy_from_slice(bias));
        op.product(cell.w_x).times(v, xs, kept.gates, true);
        for t in 0..steps.count() {
            let rows = steps.step(t);
            if t > 0 {
                let (before, z) = (&kept.before[rows.start * d..rows.end * d], rows.start * 4 * d..rows.end * 4 * d);
                op.product(cell.w_h).times(v, before, &mut kept.gates[z], true);
            }
            let running = steps.step(t + 1).len();
            for (s, at) in rows.enumerate() {
                let (c_before, c) = kept.c.split_at_mut(at * d);
                let row = cell::Row {
                    z: &mut kept.gates[at * 4 * d..][..4 * d],
                    c_before: (t > 0).then(|| &c_before[(steps.start(t - 1) + s) * d..][..d]),
                    c: &mut c[..d],
                    tanh_c: &mut kept.tanh_c[at * d..][..d],
                    h: &mut out.y[steps.rows[at] as usize * d..][..d],
                    forget: cell.forget,
                };
                match op.engine {
                    Engine::Fused => v.level.dispatch(row),
                    Engine::Naive => row.run_naive(),
                }
                if s < running {
                    let h = &out.y[steps.rows[at] as usize * d..][..d];
                    kept.before[(steps.start(t + 1) + s) * d..][..d].copy_from_slice(h);
                }
            }
        }
    });
    g.push(op);
    y
}

#[cfg(test)]
mod tests {
    use super::{Cell, lstm};
    use crate::autograd::check;
    use crate::autograd::ops::steps::steps;
    use crate::autograd::params::ParamId;
    use crate::autograd::tape::{Engine, Graph, Tape};
    use crate::autograd::var::Var;
    use dmran_kernels::Level;

    fn run(g: &mut Graph<'_>, x: &[ParamId], offsets: &[u32], reversed: bool) -> Var {
        let offsets = g.index(offsets.iter().copied());
        let steps = steps(g, offsets, reversed);
        lstm(g, g.param(x[0]), Cell { w_x: x[1], w_h: x[2], b: x[3], forget: 1.0 }, steps)
    }

    #[test]
    fn two_steps_by_hand() {
        // One unit, all gate weights of x 0 but j's, h feeds j alone.
        let values = [0.5, -1.0, 0., 2., 0., 0., 0., 3., 0., 0., 0.1, 0.2, 0.3, 0.4];
        let sigmoid = |x: f32| 1.0 / (1.0 + (-x).exp());
        let (i, f, o) = (sigmoid(0.1), sigmoid(0.3 + 1.0), sigmoid(0.4));
        let step = |x: f32, (h, c): (f32, f32)| {
            let c = f * c + i * (2.0 * x + 3.0 * h + 0.2).tanh();
            (o * c.tanh(), c)
        };
        for engine in [Engine::Naive, Engine::Fused] {
            let shapes = [[2, 1], [4, 1], [4, 1], [1, 4]];
            let got = check::forward(&shapes, &values, engine, |g, x| run(g, x, &[0, 2], false));
            let first = step(0.5, (0.0, 0.0));
            let second = step(-1.0, first);
            assert!((got[0] - first.0).abs() < 1e-6 && (got[1] - second.0).abs() < 1e-6, "{engine:?}: {got:?}");
            let got = check::forward(&shapes, &values, engine, |g, x| run(g, x, &[0, 2], true));
            let first = step(-1.0, (0.0, 0.0));
            let second = step(0.5, first);
            assert!((got[1] - first.0).abs() < 1e-6 && (got[0] - second.0).abs() < 1e-6, "{engine:?}: {got:?}");
        }
    }

    #[test]
    fn gradients() {
        for engine in [Engine::Naive, Engine::Fused] {
            for reversed in [false, true] {
                for d in [3, 17] {
                    let shapes = [[6, 4], [4 * d, 4], [4 * d, d], [1, 4 * d]];
                    check::gradients(&shapes, engine, |g, x| vec![run(g, x, &[0, 1, 4, 4, 6], reversed)]);
                }
            }
        }
    }

    #[test]
    fn a_history_has_the_same_bits_in_any_company() {
        let (d, k) = (20, 5);
        let (params, x) = check::inputs(&[[9, k], [4 * d, k], [4 * d, d], [1, 4 * d]], 3);
        let mut tape = Tape::default();
        for level in Level::available() {
            let mut rows = |offsets: &[u32]| {
                let mut g = Graph::new(&params, &mut tape, Engine::Fused, *level);
                let y = run(&mut g, &x, offsets, false);
                g.value(y)[4 * d..6 * d].to_vec()
            };
            assert_eq!(rows(&[0, 4, 6, 9]), rows(&[0, 1, 2, 3, 4, 6, 7, 8, 9]), "{level}");
        }
    }
}
