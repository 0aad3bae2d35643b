//! The fusion gate (equation 16) and the score (17) in plain loops.

use super::plain::{add_scaled, dot};
use crate::Level;

/// See [`crate::gate::forward`].
pub fn forward(_level: Level, z: &[f32], h: &[f32], hhat: &[f32], f: &mut [f32], hc: &mut [f32]) {
    for i in 0..z.len() {
        f[i] = (1.0 / (1.0 + (-f64::from(z[i])).exp())) as f32;
        hc[i] = f[i] * h[i] + (1.0 - f[i]) * hhat[i];
    }
}

/// See [`crate::gate::backward`].
#[allow(clippy::too_many_arguments)]
pub fn backward(
    _level: Level,
    h: &[f32],
    hhat: &[f32],
    f: &[f32],
    dhc: &[f32],
    dz: &mut [f32],
    dh: &mut [f32],
    dhhat: &mut [f32],
) {
    for i in 0..f.len() {
        dz[i] += dhc[i] * (h[i] - hhat[i]) * f[i] * (1.0 - f[i]);
        dh[i] += dhc[i] * f[i];
        dhhat[i] += dhc[i] * (1.0 - f[i]);
    }
}

/// See [`crate::gate::dot_rows`].
pub fn dot_rows(_level: Level, d: usize, x: &[f32], c: &[f32], bias: &[f32], score: &mut [f32]) {
    for (i, score) in score.iter_mut().enumerate() {
        *score = (dot(&x[i * d..][..d], &c[i * d..][..d]) + f64::from(bias[i])) as f32;
    }
}

/// See [`crate::gate::dot_rows_backward`].
#[allow(clippy::too_many_arguments)]
pub fn dot_rows_backward(
    _level: Level,
    d: usize,
    x: &[f32],
    c: &[f32],
    dscore: &[f32],
    dx: &mut [f32],
    dc: &mut [f32],
    dbias: &mut [f32],
) {
    for (i, &ds) in dscore.iter().enumerate() {
        add_scaled(&mut dx[i * d..][..d], ds, &c[i * d..][..d]);
        add_scaled(&mut dc[i * d..][..d], ds, &x[i * d..][..d]);
        dbias[i] += ds;
    }
}
