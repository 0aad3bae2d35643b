//! What the elementwise functions of one argument share.

use crate::autograd::tape::{Grads, Graph, Op, Values};
use crate::autograd::var::Var;
use ndarray::Zip;
use std::marker::PhantomData;

/// An elementwise function and its derivative.
pub(super) trait Unary: Send + Sync + 'static {
    fn value(x: f32) -> f32;
    /// The derivative at `x`, where the function's value is `y`.
    fn derivative(x: f32, y: f32) -> f32;
}

struct Applied<U> {
    x: Var,
    y: Var,
    function: PhantomData<U>,
}

impl<U: Unary> Op for Applied<U> {
    fn backward(&self, values: Values<'_>, grads: &mut Grads<'_>, _: &mut Vec<f32>) {
        let (dy, [dx]) = grads.pull(self.y, [self.x]);
        Zip::from(self.x.view_mut(dx))
            .and(self.y.view(dy))
            .and(values.view(self.x))
            .and(values.view(self.y))
            .for_each(|dx, dy, x, y| *dx += dy * U::derivative(*x, *y));
    }
}

pub(super) fn apply<U: Unary>(g: &mut Graph<'_>, x: Var) -> Var {
    let y = g.alloc(x.rows, x.cols);
    g.compute(y, None, |v, out| {
        Zip::from(y.view_mut(out.y)).and(v.view(x)).for_each(|y, x| *y = U::value(*x));
    });
    g.push(Applied::<U> { x, y, function: PhantomData });
    y
}
