//! The feed forward block with its residual, as two dense layers.

use super::dense;
use crate::Level;
use crate::dense::Gradients as DenseGradients;
use crate::feed_forward::{FeedForward, Gradients};

/// See [`crate::feed_forward::forward`].
pub fn forward(level: Level, p: &FeedForward, x: &[f32], inner: &mut [f32], out: &mut [f32]) {
    dense::forward(level, &p.first(), x, inner);
    dense::forward(level, &p.second(), inner, out);
    out.iter_mut().zip(x).for_each(|(y, &x)| *y += x);
}

/// See [`crate::feed_forward::backward`].
pub fn backward(
    level: Level,
    p: &FeedForward,
    x: &[f32],
    inner: &[f32],
    dout: &[f32],
    grads: &mut Gradients,
    scratch: &mut [f32],
) {
    let mut dinner = vec![0.0; inner.len()];
    let mut second = DenseGradients { dx: Some(&mut dinner), dw: grads.dw2, db: grads.db2.as_deref_mut() };
    dense::backward(level, &p.second(), inner, dout, dout, &mut second, scratch);
    let mut first = DenseGradients { dx: Some(grads.dx), dw: grads.dw1, db: grads.db1.as_deref_mut() };
    dense::backward(level, &p.first(), x, inner, &dinner, &mut first, scratch);
    grads.dx.iter_mut().zip(dout).for_each(|(dx, &g)| *dx += g);
}
