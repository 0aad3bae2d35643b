//! `y_k = x_{ids[k]}`: rows by number, with repeats.

use crate::autograd::tape::{Grads, Graph, Op, Values};
use crate::autograd::var::{Index, Var};

struct SelectRows {
    x: Var,
    ids: Index,
    y: Var,
}

impl Op for SelectRows {
    fn backward(&self, values: Values<'_>, grads: &mut Grads<'_>, _: &mut Vec<f32>) {
        let (dy, [dx]) = grads.pull(self.y, [self.x]);
        let mut dx = self.x.view_mut(dx);
        for (row, id) in self.y.view(dy).rows().into_iter().zip(values.ids(self.ids)) {
            dx.row_mut(*id as usize).zip_mut_with(&row, |d, g| *d += g);
        }
    }
}

/// The rows `ids` of `x`, in that order.
///
/// # Panics
/// If an id is not a row of `x`.
pub fn select_rows(g: &mut Graph<'_>, x: Var, ids: Index) -> Var {
    let y = g.alloc(ids.len, x.cols);
    g.compute(y, None, |v, out| {
        let from = v.view(x);
        for (mut row, id) in y.view_mut(out.y).rows_mut().into_iter().zip(v.ids(ids)) {
            row.assign(&from.row(*id as usize));
        }
    });
    g.push(SelectRows { x, ids, y });
    y
}

#[cfg(test)]
mod tests {
    use crate::autograd::check;
    use crate::autograd::tape::Engine;

    #[test]
    fn values_and_gradients() {
        let f = |g: &mut crate::autograd::tape::Graph<'_>, x: &[crate::autograd::params::ParamId]| {
            let ids = g.index([2, 0, 2]);
            super::select_rows(g, g.param(x[0]), ids)
        };
        let got = check::forward(&[[3, 1]], &[1.0, 2.0, 3.0], Engine::Naive, f);
        assert_eq!(got, [3.0, 1.0, 3.0]);
        check::gradients(&[[3, 5]], Engine::Naive, |g, x| vec![f(g, x)]);
    }
}
