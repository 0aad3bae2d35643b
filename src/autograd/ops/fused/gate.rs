//! Eq 16 fused: `F = sigmoid(W_f1 h + W_f2 hhat + b_f)`, `h_c = F * h + (1 - F) * hhat`.
//!
//! Where h is a weighted sum of rows (`h = w M`), `W_f1 h = w (M W_f1^T)`: the forward pass may go through that table
//! of r rows. It is what scoring many candidates of one user does, and by doing the same here a score has the same
//! bits in both places. The backward pass takes the direct way, which is shorter for few candidates.

use super::pool_vanilla::Pooled;
use crate::autograd::ops::add_rows;
use crate::autograd::params::ParamId;
use crate::autograd::tape::{Grads, Graph, Op, Values, grow};
use crate::autograd::var::{Index, Saved, Var};
use dmran_kernels::gate as kernel;
use dmran_kernels::gemm::{Matrix, MatrixMut, Output, gemm, gemm_tn};
use dmran_kernels::pooling::{Mask, Pool, pool_rows};

/// One side of the gate.
#[derive(Clone, Copy, Debug)]
pub struct Side {
    /// h or hhat, `[B C, d]`.
    pub h: Var,
    /// The rows and weights that it is the weighted sum of.
    pub table: Option<Table>,
}

/// Rows, segments and weights of a weighted sum.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// M or Mhat', `[rows, d]`.
    pub x: Var,
    /// Its segments, one a sample.
    pub rows: Index,
    /// The weights, in the pooling kernel's layout.
    pub weights: Var,
}

impl Side {
    /// The side whose value is what [`pool_vanilla`](super::pool_vanilla::pool_vanilla) read from `x`.
    pub fn pooled(pooled: Pooled, x: Var, rows: Index) -> Side {
        Side { h: pooled.h, table: Some(Table { x, rows, weights: pooled.weights }) }
    }
}

struct Gate {
    sides: [Side; 2],
    w: [ParamId; 2],
    b: ParamId,
    /// F.
    saved: Saved,
    h_c: Var,
}

impl Op for Gate {
    fn backward(&self, v: Values<'_>, grads: &mut Grads<'_>, scratch: &mut Vec<f32>) {
        let [h, hhat] = self.sides.map(|s| s.h);
        let (rows, d) = (h.rows, h.cols);
        let dz = grow(scratch, h.len());
        dz.fill(0.0);
        let (dhc, [dh, dhhat]) = grads.pull(self.h_c, [h, hhat]);
        kernel::backward(v.level, v.get(h), v.get(hhat), v.saved(self.saved), dhc, dz, dh, dhhat);
        let (_, [db]) = grads.pull(self.h_c, [v.params.var(self.b)]);
        add_rows(dz, db);
        for (side, w) in self.sides.iter().zip(self.w) {
            let (_, [dh, dw]) = grads.pull(self.h_c, [side.h, v.params.var(w)]);
            let dz = Matrix::new(dz, rows, d);
            gemm(v.level, dz, v.params.weight(w).straight, MatrixMut::new(dh, rows, d), Output::ACCUMULATE);
            gemm_tn(v.level, dz, Matrix::new(v.get(side.h), rows, d), MatrixMut::new(dw, d, d), true);
        }
    }
}

/// `h_c` `[B C, d]` of h and hhat; `w` is `W_f1, W_f2, b_f`.
///
/// # Panics
/// If the shapes do not fit.
pub fn gate(g: &mut Graph<'_>, sides: [Side; 2], [w_f1, w_f2, b_f]: [ParamId; 3]) -> Var {
    let [h, hhat] = sides.map(|s| s.h);
    let (rows, d) = (h.rows, h.cols);
    let h_c = g.alloc(rows, d);
    let saved = g.save(h_c.len());
    let op = Gate { sides, w: [w_f1, w_f2], b: b_f, saved, h_c };
    g.compute(h_c, Some(saved), |v, out| {
        let table_len = sides.iter().filter_map(|s| s.table).map(|t| t.x.len()).max().unwrap_or(0);
        let (z, table) = grow(out.scratch, h.len() + table_len).split_at_mut(h.len());
        z.chunks_mut(d).for_each(|row| row.copy_from_slice(v.params.get(b_f)));
        for (side, w) in sides.iter().zip(op.w) {
            let w = v.params.weight(w).transposed;
            match side.table {
                Some(Table { x, rows: segments, weights }) => {
                    let table = &mut table[..x.len()];
                    let product = MatrixMut::new(table, x.rows, d);
                    gemm(v.level, Matrix::new(v.get(x), x.rows, d), w, product, Output::OVERWRITE);
                    let offsets = v.ids(segments);
                    let candidates = rows / (offsets.len() - 1).max(1);
                    let pool = Pool { d, heads: 1, candidates, offsets, mask: Mask::Full };
                    pool_rows(v.level, &pool, v.get(weights), table, true, z);
                }
                None => {
                    let z = MatrixMut::new(z, rows, d);
                    gemm(v.level, Matrix::new(v.get(side.h), rows, d), w, z, Output::ACCUMULATE);
                }
            }
        }
        kernel::forward(v.level, z, v.get(h), v.get(hhat), out.saved, out.y);
    });
    g.push(op);
    h_c
}

#[cfg(test)]
mod tests {
    use super::{Side, gate};
    use crate::autograd::ops::pool_vanilla;
    use crate::autograd::tape::{Engine, Graph, Tape};
    use crate::autograd::{check, reference};
    use dmran_kernels::Level;

    #[test]
    fn gradients() {
        check::gradients(&[[2, 3], [2, 3], [3, 3], [3, 3], [1, 3]], Engine::Fused, |g, x| {
            let sides = [0, 1].map(|i| Side { h: g.param(x[i]), table: None });
            vec![gate(g, sides, [x[2], x[3], x[4]])]
        });
        // Through the tables: rows of M and Mhat, candidates, weights.
        check::gradients(&[[4, 3], [4, 3], [4, 3], [3, 3], [3, 3], [1, 3]], Engine::Fused, |g, x| {
            let rows = g.index([0, 3, 4]);
            let sides = [0, 1].map(|i| {
                let x_i = g.params.var(x[i]);
                Side::pooled(pool_vanilla(g, x_i, g.params.var(x[2]), rows), x_i, rows)
            });
            vec![gate(g, sides, [x[3], x[4], x[5]])]
        });
    }

    #[test]
    fn as_the_naive_composition_both_ways() {
        let (params, x) = check::inputs(&[[4, 3], [4, 3], [4, 3], [3, 3], [3, 3], [1, 3]], 3);
        let mut tape = Tape::default();
        for level in Level::available() {
            let g = &mut Graph::new(&params, &mut tape, Engine::Fused, *level);
            let rows = g.index([0, 3, 4]);
            let tables = [0, 1].map(|i| {
                let x_i = params.var(x[i]);
                Side::pooled(pool_vanilla(g, x_i, params.var(x[2]), rows), x_i, rows)
            });
            let direct = tables.map(|s| Side { table: None, ..s });
            let w = [x[3], x[4], x[5]];
            let (_, want) = reference::gate(g, tables[0].h, tables[1].h, w.map(|id| params.var(id)));
            for sides in [tables, direct] {
                let got = gate(g, sides, w);
                for (got, want) in g.value(got).iter().zip(g.value(want)) {
                    assert!((got - want).abs() < 1e-6, "{level}: {got} is not {want}");
                }
            }
        }
    }
}
