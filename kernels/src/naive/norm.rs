//! Layer norm in plain loops.

use super::plain::dot;
use crate::Level;
use crate::norm::{Gradients, LayerNorm};

/// See [`crate::norm::forward`].
pub fn forward(
    _level: Level,
    p: &LayerNorm,
    x: &[f32],
    residual: Option<&[f32]>,
    xhat: &mut [f32],
    rstd: &mut [f32],
    out: &mut [f32],
) {
    let d = p.gain.len();
    for (i, rstd) in rstd.iter_mut().enumerate() {
        let at = i * d..(i + 1) * d;
        let row: Vec<f64> = at.clone().map(|i| f64::from(x[i]) + residual.map_or(0.0, |r| f64::from(r[i]))).collect();
        let mean = row.iter().sum::<f64>() / d as f64;
        let var = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / d as f64;
        let scale = 1.0 / (var + f64::from(p.eps)).sqrt();
        *rstd = scale as f32;
        for (j, (i, v)) in at.zip(row).enumerate() {
            xhat[i] = ((v - mean) * scale) as f32;
            out[i] = p.gain[j] * xhat[i] + p.bias[j];
        }
    }
}

/// See [`crate::norm::backward`].
pub fn backward(_level: Level, p: &LayerNorm, xhat: &[f32], rstd: &[f32], dout: &[f32], grads: &mut Gradients) {
    let d = p.gain.len();
    for (i, &rstd) in rstd.iter().enumerate() {
        let xhat = &xhat[i * d..][..d];
        let dout = &dout[i * d..][..d];
        let g: Vec<f32> = dout.iter().zip(p.gain).map(|(&a, &b)| a * b).collect();
        let mean_g = g.iter().map(|&v| f64::from(v)).sum::<f64>() / d as f64;
        let mean_gx = dot(&g, xhat) / d as f64;
        for j in 0..d {
            let dx = f64::from(rstd) * (f64::from(g[j]) - mean_g - f64::from(xhat[j]) * mean_gx);
            grads.dx[i * d + j] += dx as f32;
            if let Some(dr) = grads.dresidual.as_deref_mut() {
                dr[i * d + j] += dx as f32;
            }
            grads.dgain[j] += dout[j] * xhat[j];
            grads.dbias[j] += dout[j];
        }
    }
}
