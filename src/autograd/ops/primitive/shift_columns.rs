//! `y = x + shift` with constants: corrections and masks of scores.

use crate::autograd::tape::{Grads, Graph, Op, Values};
use crate::autograd::var::Var;

struct ShiftColumns {
    x: Var,
    y: Var,
}

impl Op for ShiftColumns {
    fn backward(&self, _: Values<'_>, grads: &mut Grads<'_>, _: &mut Vec<f32>) {
        let (dy, [dx]) = grads.pull(self.y, [self.x]);
        dx.iter_mut().zip(dy).for_each(|(d, g)| *d += g);
    }
}

/// Adds to each row of `x` `[n, c]` the constants that `fill(row, shifts)` writes: `[n, c]`.
pub fn shift_columns(g: &mut Graph<'_>, x: Var, mut fill: impl FnMut(usize, &mut [f32])) -> Var {
    let y = g.alloc(x.rows, x.cols);
    g.compute(y, None, |v, out| {
        let rows = out.y.chunks_exact_mut(x.cols).zip(v.get(x).chunks_exact(x.cols));
        for (row, (y, x)) in rows.enumerate() {
            fill(row, y);
            y.iter_mut().zip(x).for_each(|(y, x)| *y += x);
        }
    });
    g.push(ShiftColumns { x, y });
    y
}

#[cfg(test)]
mod tests {
    use crate::autograd::check;
    use crate::autograd::tape::Engine;

    #[test]
    fn values_and_gradients() {
        let f = |g: &mut crate::autograd::tape::Graph<'_>, x: &[crate::autograd::params::ParamId]| {
            super::shift_columns(g, g.param(x[0]), |row, s| s.copy_from_slice(&[row as f32, 2.0]))
        };
        assert_eq!(check::forward(&[[2, 2]], &[1.0, 2.0, 3.0, 4.0], Engine::Fused, f), [1.0, 4.0, 4.0, 6.0]);
        check::gradients(&[[3, 2]], Engine::Fused, |g, x| vec![f(g, x)]);
    }
}
