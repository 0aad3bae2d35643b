//! Eq 14 to 17 with the head `vanilla` for candidates that all users share: scores, and gradients that compute again what
//! the scores came from.

use crate::autograd::ops::add_rows;
use crate::autograd::params::ParamId;
use crate::autograd::tape::{Grads, Graph, Op, Values, grow};
use crate::autograd::var::{Index, Var};
use dmran_kernels::score::Feature;
use dmran_kernels::shared::{self as kernel, FeatureGradients, Gradients, Users};

/// What the users' scores are made of.
#[derive(Clone, Copy, Debug)]
pub struct SharedVanilla {
    /// M, or the rows of a variant's only side, `[rows, d]`.
    pub m: Var,
    /// The other side and the gate; without, `h_c = h`.
    pub feature: Option<SharedFeature>,
    /// Segments of all rows, one a user.
    pub rows: Index,
}

/// The other side, and the gate.
#[derive(Clone, Copy, Debug)]
pub struct SharedFeature {
    /// Mhat', `[rows, d]`.
    pub mhat: Var,
    /// `M W_f1^T` and `Mhat' W_f2^T`, `[rows, d]`.
    pub tables: [Var; 2],
    /// `b_f`.
    pub bias: ParamId,
}

impl SharedVanilla {
    fn users<'a>(&self, v: Values<'a>) -> Users<'a> {
        let feature = self.feature.map(|f| Feature {
            mhat: v.get(f.mhat),
            gate_m: v.get(f.tables[0]),
            gate_mhat: v.get(f.tables[1]),
            gate_bias: v.params.get(f.bias),
        });
        Users { d: self.m.cols, offsets: v.ids(self.rows), m: v.get(self.m), feature }
    }
}

struct Scores {
    of: SharedVanilla,
    c: Var,
    bias: Option<Var>,
    y: Var,
}

impl Op for Scores {
    fn backward(&self, v: Values<'_>, grads: &mut Grads<'_>, scratch: &mut Vec<f32>) {
        let users = self.of.users(v);
        let scratch = grow(scratch, users.backward_scratch_len());
        let c = v.get(self.c);
        match self.of.feature {
            Some(SharedFeature { mhat, tables: [gate_m, gate_mhat], bias }) => {
                let inputs = [self.of.m, mhat, gate_m, gate_mhat, v.params.var(bias), self.c];
                let (dy, [m, mhat, gate_m, gate_mhat, gate_bias, dc]) = grads.pull(self.y, inputs);
                let feature = Some(FeatureGradients { mhat, gate_m, gate_mhat, gate_bias });
                kernel::backward(v.level, &users, c, dy, Gradients { m, feature, c: dc }, scratch);
            }
            None => {
                let (dy, [m, dc]) = grads.pull(self.y, [self.of.m, self.c]);
                kernel::backward(v.level, &users, c, dy, Gradients { m, feature: None, c: dc }, scratch);
            }
        }
        if let Some(bias) = self.bias {
            let (dy, [db]) = grads.pull(self.y, [bias]);
            add_rows(dy, db);
        }
    }
}

/// The scores `[users, n]` of the candidates `c` `[n, d]`, with the bias `[n, 1]`, for each user.
///
/// # Panics
/// If the shapes do not fit, or a user has no rows.
pub fn shared_vanilla(g: &mut Graph<'_>, of: SharedVanilla, c: Var, bias: Option<Var>) -> Var {
    let y = g.alloc(of.rows.len - 1, c.rows);
    g.compute(y, None, |v, out| {
        let users = of.users(v);
        let (none, scratch) = grow(out.scratch, c.rows + users.scratch_len()).split_at_mut(c.rows);
        none.fill(0.0);
        let bias = bias.map_or(&*none, |b| v.get(b));
        kernel::forward(v.level, &users, v.get(c), bias, out.y, scratch);
    });
    g.push(Scores { of, c, bias, y });
    y
}

#[cfg(test)]
mod tests {
    use super::{SharedFeature, SharedVanilla, shared_vanilla};
    use crate::autograd::ops::{add, dense, row_dot, select_rows};
    use crate::autograd::params::ParamId;
    use crate::autograd::tape::{Engine, Graph, Tape};
    use crate::autograd::var::Var;
    use crate::autograd::{check, reference};
    use dmran_kernels::Level;

    /// Rows of both sides, `W_f1`, `W_f2`, candidates, `b_f`, the items' biases.
    const SHAPES: [[usize; 2]; 7] = [[4, 5], [4, 5], [5, 5], [5, 5], [3, 5], [1, 5], [3, 1]];

    fn scores(g: &mut Graph<'_>, x: &[ParamId], feature: bool, bias: bool) -> Var {
        let rows = g.index([0, 3, 4]);
        let (m, mhat) = (g.param(x[0]), g.param(x[1]));
        let feature = feature.then(|| {
            let tables = [(m, x[2]), (mhat, x[3])].map(|(rows, w)| dense(g, rows, w, None, false));
            SharedFeature { mhat, tables, bias: x[5] }
        });
        let (c, bias) = (g.param(x[4]), bias.then(|| g.param(x[6])));
        shared_vanilla(g, SharedVanilla { m, feature, rows }, c, bias)
    }

    #[test]
    fn gradients() {
        for (feature, bias) in [(true, true), (true, false), (false, true)] {
            check::gradients(&SHAPES, Engine::Fused, |g, x| vec![scores(g, x, feature, bias)]);
        }
    }

    #[test]
    fn as_the_naive_composition_with_each_candidate_repeated_for_each_user() {
        let (params, x) = check::inputs(&SHAPES, 5);
        let mut tape = Tape::default();
        for level in Level::available() {
            for feature in [true, false] {
                let g = &mut Graph::new(&params, &mut tape, Engine::Fused, *level);
                let ours = scores(g, &x, feature, true);
                let (rows, candidates, each) = (g.index([0, 3, 4]), g.index([0, 3, 6]), g.index([0, 1, 2, 0, 1, 2]));
                let [c, bias] = [4, 6].map(|i| select_rows(g, params.var(x[i]), each));
                let mut h_c = reference::pool_vanilla(g, params.var(x[0]), c, rows, candidates);
                if feature {
                    let hhat = reference::pool_vanilla(g, params.var(x[1]), c, rows, candidates);
                    h_c = reference::gate(g, h_c, hhat, [x[2], x[3], x[5]].map(|id| params.var(id))).1;
                }
                let dots = row_dot(g, h_c, c);
                let naive = add(g, dots, bias);
                for (got, want) in g.value(ours).iter().zip(g.value(naive)) {
                    assert!((got - want).abs() < 1e-6, "{level}: {got} is not {want}");
                }
            }
        }
    }
}
