//! The losses (equation 20 and BPR) in plain `f64` loops.

use super::plain::dot;
use crate::Level;

/// See [`crate::loss::bce`].
pub fn bce(_level: Level, scores: &[f32], candidates: usize, weight: f32, dscore: &mut [f32]) -> f64 {
    let mut loss = 0.0;
    for (i, (&s, ds)) in scores.iter().zip(dscore).enumerate() {
        let sign = if i % candidates == 0 { -1.0 } else { 1.0 };
        let s = sign * f64::from(s);
        loss += softplus(s);
        *ds = (f64::from(weight) * sign * sigmoid(s)) as f32;
    }
    loss * f64::from(weight)
}

/// See [`crate::loss::bpr`].
pub fn bpr(
    _level: Level,
    positive: &[f32],
    negative: &[f32],
    weight: f32,
    dpositive: &mut [f32],
    dnegative: &mut [f32],
) -> f64 {
    let mut loss = 0.0;
    for i in 0..positive.len() {
        let s = f64::from(positive[i] - negative[i]);
        loss += softplus(-s);
        let g = f64::from(weight) * sigmoid(-s);
        dpositive[i] = -g as f32;
        dnegative[i] = g as f32;
    }
    loss * f64::from(weight)
}

/// See [`crate::loss::cross_entropy`].
pub fn cross_entropy(_level: Level, scores: &[f32], candidates: usize, weight: f32, dscore: &mut [f32]) -> f64 {
    let mut loss = 0.0;
    for (s, ds) in scores.chunks(candidates).zip(dscore.chunks_mut(candidates)) {
        let most = s.iter().fold(f64::MIN, |most, s| f64::max(most, f64::from(*s)));
        let total: f64 = s.iter().map(|s| (f64::from(*s) - most).exp()).sum();
        loss += total.ln() + most - f64::from(s[0]);
        for (j, (s, ds)) in s.iter().zip(ds).enumerate() {
            let p = (f64::from(*s) - most).exp() / total;
            *ds = (f64::from(weight) * if j == 0 { p - 1.0 } else { p }) as f32;
        }
    }
    loss * f64::from(weight)
}

/// See [`crate::loss::sum_squares`].
pub fn sum_squares(_level: Level, x: &[f32]) -> f64 {
    dot(x, x)
}

/// `ln(1 + e^s)`; NaN stays NaN.
fn softplus(s: f64) -> f64 {
    let positive = if s < 0.0 { 0.0 } else { s };
    positive + (-s.abs()).exp().ln_1p()
}

fn sigmoid(s: f64) -> f64 {
    1.0 / (1.0 + (-s).exp())
}
