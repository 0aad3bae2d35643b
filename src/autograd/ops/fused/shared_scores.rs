//! `Y = U C^T + b`: scores of candidates that all users share (eq 17 with user vectors that do not depend on them).

use crate::autograd::ops::add_rows;
use crate::autograd::reference::gemm::gemm;
use crate::autograd::tape::{Engine, Grads, Graph, Op, Values, grow};
use crate::autograd::var::Var;
use dmran_kernels::gemm::{self as packed, Matrix, MatrixMut, Output};

struct SharedScores {
    u: Var,
    c: Var,
    bias: Option<Var>,
    y: Var,
    engine: Engine,
}

/// Writes `x` `[rows, cols]` as `[cols, rows]`.
fn transpose(x: &[f32], cols: usize, out: &mut [f32]) {
    if x.is_empty() {
        return;
    }
    let rows = x.len() / cols;
    for (j, column) in out.chunks_exact_mut(rows).enumerate() {
        column.iter_mut().zip(x.iter().skip(j).step_by(cols)).for_each(|(y, x)| *y = *x);
    }
}

impl Op for SharedScores {
    /// `dU += dY C`, `dC += dY^T U`, `db += ` the columns' sums of dY.
    fn backward(&self, v: Values<'_>, grads: &mut Grads<'_>, scratch: &mut Vec<f32>) {
        let SharedScores { u, c, y, .. } = *self;
        let (dy, [du, dc]) = grads.pull(y, [u, c]);
        if self.engine == Engine::Naive {
            let dy = y.view(dy);
            gemm(1.0, dy, v.view(c), 1.0, u.view_mut(du));
            gemm(1.0, dy.t(), v.view(u), 1.0, c.view_mut(dc));
        } else {
            let pack = packed::packed_len(u.rows, u.cols);
            let (packed_u, dyt) = grow(scratch, pack + y.len()).split_at_mut(pack);
            transpose(dy, y.cols, dyt);
            packed::pack(v.get(u), u.rows, u.cols, packed_u);
            let dyt = Matrix::new(dyt, y.cols, y.rows);
            packed::gemm(v.level, dyt, packed_u, MatrixMut::new(dc, c.rows, c.cols), Output::ACCUMULATE);
            let c = Matrix::new(v.get(c), c.rows, c.cols);
            packed::gemm_tn(v.level, dyt, c, MatrixMut::new(du, u.rows, u.cols), true);
        }
        if let Some(bias) = self.bias {
            let (dy, [db]) = grads.pull(y, [bias]);
            add_rows(dy, db);
        }
    }
}

/// Scores of the candidates `c` `[n, d]`, with the bias `[n, 1]`, for each of the user vectors `u` `[rows, d]`:
/// `[rows, n]`.
///
/// # Panics
/// If the shapes do not fit.
pub fn shared_scores(g: &mut Graph<'_>, u: Var, c: Var, bias: Option<Var>) -> Var {
    assert!(u.cols == c.cols && bias.is_none_or(|b| b.len() == c.rows), "shared: {:?} by {:?}", u.shape(), c.shape());
    let (y, engine) = (g.alloc(u.rows, c.rows), g.engine);
    g.compute(y, None, |v, out| {
        if engine == Engine::Naive {
            gemm(1.0, v.view(u), v.view(c).t(), 0.0, y.view_mut(out.y));
        } else {
            // The candidates are many and read once: the users are packed, and the product is taken transposed.
            let pack = packed::packed_len(u.cols, u.rows);
            let (packed_u, yt) = grow(out.scratch, pack + y.len()).split_at_mut(pack);
            packed::pack_transposed(v.get(u), u.rows, u.cols, packed_u);
            let c = Matrix::new(v.get(c), c.rows, c.cols);
            packed::gemm(v.level, c, packed_u, MatrixMut::new(yt, y.cols, y.rows), Output::OVERWRITE);
            transpose(yt, y.rows, out.y);
        }
        if let Some(bias) = bias {
            for row in out.y.chunks_exact_mut(y.cols) {
                row.iter_mut().zip(v.get(bias)).for_each(|(y, b)| *y += b);
            }
        }
    });
    g.push(SharedScores { u, c, bias, y, engine });
    y
}

#[cfg(test)]
mod tests {
    use super::shared_scores;
    use crate::autograd::check;
    use crate::autograd::tape::Engine;

    #[test]
    fn values_and_gradients() {
        for engine in [Engine::Naive, Engine::Fused] {
            let got = check::forward(
                &[[2, 2], [2, 2], [2, 1]],
                &[1., 2., 3., 4., 5., 6., 7., 8., 0.5, -1.],
                engine,
                |g, x| shared_scores(g, g.param(x[0]), g.param(x[1]), Some(g.param(x[2]))),
            );
            assert_eq!(got, [17.5, 22.0, 39.5, 52.0]);
            for (rows, n, bias) in [(1, 1, true), (3, 19, true), (18, 2, false), (5, 33, true)] {
                check::gradients(&[[rows, 7], [n, 7], [n, 1]], engine, |g, x| {
                    vec![shared_scores(g, g.param(x[0]), g.param(x[1]), bias.then(|| g.param(x[2])))]
                });
            }
        }
    }
}
