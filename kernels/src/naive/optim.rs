//! The optimisers' steps in plain loops.

use crate::Level;
use crate::optim::{Adagrad, Adam, Sgd, Target};

/// See [`crate::optim::sgd`].
pub fn sgd(_level: Level, p: &Sgd, target: Target, w: &mut [f32], g: &[f32]) {
    each(target, g.len(), |i, j| w[i] -= p.lr * (p.scale * g[j]));
}

/// See [`crate::optim::adagrad`].
pub fn adagrad(_level: Level, p: &Adagrad, target: Target, w: &mut [f32], g: &[f32], squares: &mut [f32]) {
    each(target, g.len(), |i, j| {
        let g = p.scale * g[j];
        squares[i] += g * g;
        w[i] -= p.lr * g / (squares[i].sqrt() + p.eps);
    });
}

/// See [`crate::optim::adam`].
pub fn adam(_level: Level, p: &Adam, target: Target, w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
    each(target, g.len(), |i, j| {
        let g = p.scale * g[j];
        m[i] = p.beta1 * m[i] + (1.0 - p.beta1) * g;
        v[i] = p.beta2 * v[i] + (1.0 - p.beta2) * g * g;
        let mhat = m[i] / (1.0 - p.beta1.powi(p.step));
        let vhat = v[i] / (1.0 - p.beta2.powi(p.step));
        w[i] -= p.lr * mhat / (vhat.sqrt() + p.eps);
    });
}

/// See [`crate::optim::add_scaled`].
pub fn add_scaled(_level: Level, y: &mut [f32], s: f32, x: &[f32]) {
    super::plain::add_scaled(y, s, x);
}

/// Calls `f(index of the weight, index of the gradient)`.
fn each(target: Target, len: usize, mut f: impl FnMut(usize, usize)) {
    match target {
        Target::All => (0..len).for_each(|i| f(i, i)),
        Target::Rows { ids, width } => {
            for (i, &id) in ids.iter().enumerate() {
                (0..width).for_each(|j| f(id as usize * width + j, i * width + j));
            }
        }
    }
}
