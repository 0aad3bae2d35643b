//! Eq 17 fused: `score = h_c . c + bias[item]`.

use crate::autograd::tape::{Grads, Graph, Op, Values, grow};
use crate::autograd::var::Var;
use dmran_kernels::gate as kernel;

struct Score {
    h_c: Var,
    c: Var,
    bias: Option<Var>,
    y: Var,
}

impl Op for Score {
    fn backward(&self, v: Values<'_>, grads: &mut Grads<'_>, scratch: &mut Vec<f32>) {
        let (d, h_c, c) = (self.c.cols, v.get(self.h_c), v.get(self.c));
        match self.bias {
            Some(bias) => {
                let (dy, [dh, dc, dbias]) = grads.pull(self.y, [self.h_c, self.c, bias]);
                kernel::dot_rows_backward(v.level, d, h_c, c, dy, dh, dc, dbias);
            }
            None => {
                let (dy, [dh, dc]) = grads.pull(self.y, [self.h_c, self.c]);
                kernel::dot_rows_backward(v.level, d, h_c, c, dy, dh, dc, grow(scratch, dy.len()));
            }
        }
    }
}

/// Scores `[rows, 1]` of the candidates `c` with the user vectors `h_c`, both `[rows, d]`, and the bias `[rows, 1]`.
///
/// # Panics
/// If the shapes do not fit.
pub fn score(g: &mut Graph<'_>, h_c: Var, c: Var, bias: Option<Var>) -> Var {
    let y = g.alloc(c.rows, 1);
    g.compute(y, None, |v, out| {
        let none = grow(out.scratch, c.rows);
        none.fill(0.0);
        let bias = bias.map_or(&*none, |b| v.get(b));
        kernel::dot_rows(v.level, c.cols, v.get(h_c), v.get(c), bias, out.y);
    });
    g.push(Score { h_c, c, bias, y });
    y
}

#[cfg(test)]
mod tests {
    use super::score;
    use crate::autograd::check;
    use crate::autograd::tape::Engine;

    #[test]
    fn values_and_gradients() {
        let shapes = [[2, 2], [2, 2], [2, 1]];
        let values = [1., 2., 3., 4., 5., 6., 7., 8., 0.5, -1.0];
        let got = check::forward(&shapes, &values, Engine::Fused, |g, x| {
            score(g, g.param(x[0]), g.param(x[1]), Some(g.param(x[2])))
        });
        assert_eq!(got, [17.5, 52.0]);
        for bias in [false, true] {
            check::gradients(&[[3, 17], [3, 17], [3, 1]], Engine::Fused, |g, x| {
                vec![score(g, g.param(x[0]), g.param(x[1]), bias.then(|| g.param(x[2])))]
            });
        }
    }
}
