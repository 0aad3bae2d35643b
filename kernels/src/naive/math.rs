//! The functions of [`crate::math`] through the standard library in `f64`.

use crate::level::Level;

fn map(x: &mut [f32], f: fn(f64) -> f64) {
    for x in x {
        *x = f(f64::from(*x)) as f32;
    }
}

/// e^x of each element.
pub fn exp_slice(_: Level, x: &mut [f32]) {
    map(x, f64::exp);
}

/// tanh x of each element.
pub fn tanh_slice(_: Level, x: &mut [f32]) {
    map(x, f64::tanh);
}

/// 1 / (1 + e^{-x}) of each element.
pub fn sigmoid_slice(_: Level, x: &mut [f32]) {
    map(x, |x| 1.0 / (1.0 + (-x).exp()));
}

/// ln(1 + e^x) of each element.
pub fn softplus_slice(_: Level, x: &mut [f32]) {
    map(x, |x| if x.is_nan() { x } else { x.max(0.0) + (-x.abs()).exp().ln_1p() });
}
