//! A dense layer in plain loops.

use super::plain::{add_product, add_product_tn, add_scaled, product_nt};
use crate::Level;
use crate::dense::{Dense, Gradients};

/// See [`crate::dense::forward`].
pub fn forward(_level: Level, p: &Dense, x: &[f32], y: &mut [f32]) {
    product_nt(x, p.w.rows, p.w.k, y);
    for y in y.chunks_exact_mut(p.w.n) {
        if let Some(b) = p.bias {
            add_scaled(y, 1.0, b);
        }
        if p.relu {
            y.iter_mut().filter(|v| **v < 0.0).for_each(|v| *v = 0.0);
        }
    }
}

/// See [`crate::dense::backward`].
pub fn backward(
    _level: Level,
    p: &Dense,
    x: &[f32],
    y: &[f32],
    dy: &[f32],
    grads: &mut Gradients,
    _scratch: &mut [f32],
) {
    let dz: Vec<f32> = dy.iter().zip(y).map(|(&dy, &y)| if p.relu && y <= 0.0 { 0.0 } else { dy }).collect();
    if let Some(dx) = grads.dx.as_deref_mut() {
        add_product(&dz, p.w.rows, p.w.n, p.w.k, dx);
    }
    add_product_tn(&dz, x, p.w.n, p.w.k, grads.dw);
    if let Some(db) = grads.db.as_deref_mut() {
        dz.chunks_exact(p.w.n).for_each(|dz| add_scaled(db, 1.0, dz));
    }
}
