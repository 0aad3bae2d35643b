//! Sums over groups of columns and their opposite: what makes several heads of one wide row.

use crate::autograd::tape::{Grads, Graph, Op, Values};
use crate::autograd::var::Var;

struct GroupSum {
    x: Var,
    y: Var,
}

impl Op for GroupSum {
    fn backward(&self, _: Values<'_>, grads: &mut Grads<'_>, _: &mut Vec<f32>) {
        let width = self.x.cols / self.y.cols;
        let (dy, [dx]) = grads.pull(self.y, [self.x]);
        dx.chunks_mut(width).zip(dy).for_each(|(dx, dy)| dx.iter_mut().for_each(|d| *d += dy));
    }
}

struct GroupExpand {
    x: Var,
    y: Var,
}

impl Op for GroupExpand {
    fn backward(&self, _: Values<'_>, grads: &mut Grads<'_>, _: &mut Vec<f32>) {
        let width = self.y.cols / self.x.cols;
        let (dy, [dx]) = grads.pull(self.y, [self.x]);
        dy.chunks(width).zip(dx).for_each(|(dy, dx)| *dx += dy.iter().sum::<f32>());
    }
}

/// Sums neighbouring columns of `x` `[n, d]` into `groups` columns: `[n, groups]`.
///
/// # Panics
/// If `d` is not a multiple of `groups`.
pub fn group_sum(g: &mut Graph<'_>, x: Var, groups: usize) -> Var {
    assert_eq!(x.cols % groups, 0, "{} columns in {groups} groups", x.cols);
    let (y, width) = (g.alloc(x.rows, groups), x.cols / groups);
    g.compute(y, None, |v, out| {
        out.y.iter_mut().zip(v.get(x).chunks(width)).for_each(|(y, x)| *y = x.iter().sum());
    });
    g.push(GroupSum { x, y });
    y
}

/// Repeats each column of `x` `[n, groups]` so that there are `cols`: `[n, cols]`.
///
/// # Panics
/// If `cols` is not a multiple of the number of columns of `x`.
pub fn group_expand(g: &mut Graph<'_>, x: Var, cols: usize) -> Var {
    assert_eq!(cols % x.cols, 0, "{cols} columns in {} groups", x.cols);
    let (y, width) = (g.alloc(x.rows, cols), cols / x.cols);
    g.compute(y, None, |v, out| {
        out.y.chunks_mut(width).zip(v.get(x)).for_each(|(y, x)| y.fill(*x));
    });
    g.push(GroupExpand { x, y });
    y
}

#[cfg(test)]
mod tests {
    use super::{group_expand, group_sum};
    use crate::autograd::check;
    use crate::autograd::tape::Engine;

    #[test]
    fn values_and_gradients() {
        let got = check::forward(&[[1, 4]], &[1., 2., 3., 4.], Engine::Naive, |g, x| group_sum(g, g.param(x[0]), 2));
        assert_eq!(got, [3.0, 7.0]);
        let got = check::forward(&[[1, 2]], &[1., 2.], Engine::Naive, |g, x| group_expand(g, g.param(x[0]), 4));
        assert_eq!(got, [1.0, 1.0, 2.0, 2.0]);
        check::gradients(&[[3, 6]], Engine::Naive, |g, x| vec![group_sum(g, g.param(x[0]), 3)]);
        check::gradients(&[[3, 2]], Engine::Naive, |g, x| vec![group_expand(g, g.param(x[0]), 6)]);
    }
}
