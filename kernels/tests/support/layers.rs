//! Weights packed both ways, ragged offsets, and finite differences.

use super::random::Random;
use dmran_kernels::Weight;
use dmran_kernels::gemm::{pack, pack_transposed, packed_len};

/// Owns what a [`Weight`] borrows; every slice starts one float off the allocation's alignment.
#[allow(dead_code)]
pub struct Layer {
    pub n: usize,
    pub k: usize,
    pub rows: Vec<f32>,
    transposed: Vec<f32>,
    straight: Vec<f32>,
}

#[allow(dead_code)]
impl Layer {
    pub fn new(n: usize, k: usize, rows: Vec<f32>) -> Self {
        let mut transposed = vec![0.0; 1 + packed_len(k, n)];
        let mut straight = vec![0.0; 1 + packed_len(n, k)];
        pack_transposed(&rows, n, k, &mut transposed[1..]);
        pack(&rows, n, k, &mut straight[1..]);
        Self { n, k, rows, transposed, straight }
    }

    pub fn random(random: &mut Random, n: usize, k: usize) -> Self {
        let rows = random.vec(n * k, 1.5 / (k as f32).sqrt());
        Self::new(n, k, rows)
    }

    pub fn weight(&self) -> Weight<'_> {
        Weight {
            n: self.n,
            k: self.k,
            rows: &self.rows,
            transposed: &self.transposed[1..],
            straight: &self.straight[1..],
        }
    }
}

/// Offsets of segments with these lengths.
#[allow(dead_code)]
pub fn offsets(lengths: &[usize]) -> Vec<u32> {
    let mut end = 0;
    let mut offsets = vec![0];
    for &n in lengths {
        end += n as u32;
        offsets.push(end);
    }
    offsets
}

/// `<x, y>` in f64.
#[allow(dead_code)]
pub fn inner(x: &[f32], y: &[f32]) -> f64 {
    x.iter().zip(y).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
}

/// Largest |a - b| over the largest |b| (at least 1): for gradients, which are sums of many terms. NaN if any is.
#[allow(dead_code)]
pub fn to_largest(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let scale = b.iter().fold(1.0f32, |m, v| m.max(v.abs()));
    let errors = a.iter().zip(b).map(|(a, b)| (a - b).abs() / scale);
    errors.fold(0.0, |m, e| if e <= m || m.is_nan() { m } else { e })
}

/// Compares `gradient` with central differences of `loss` along random directions of `x`.
///
/// The loss is computed in f32, so the bound is loose (2e-2 of the derivative's typical size): a wrong formula is far off.
#[allow(dead_code)]
pub fn check_gradient(name: &str, x: &[f32], gradient: &[f32], mut loss: impl FnMut(&[f32]) -> f64) {
    assert_eq!(x.len(), gradient.len(), "{name}");
    if x.is_empty() {
        return;
    }
    let mut random = Random::new(77);
    let norm = inner(gradient, gradient).sqrt();
    for round in 0..4 {
        // One direction along the gradient, so that the derivative is not lost in the noise; the others are random.
        let mut direction = random.vec(x.len(), 1.0);
        if round == 0 && norm > 0.0 {
            direction = gradient.to_vec();
        }
        let length = inner(&direction, &direction).sqrt().max(1e-30);
        let step = 4e-3 * (x.len() as f64).sqrt().min(4.0);
        let moved = |sign: f64| -> Vec<f32> {
            x.iter()
                .zip(&direction)
                .map(|(&x, &u)| (f64::from(x) + sign * step * f64::from(u) / length) as f32)
                .collect()
        };
        let (plus, minus) = (moved(1.0), moved(-1.0));
        let numeric = (loss(&plus) - loss(&minus)) / (2.0 * step);
        let analytic = inner(gradient, &direction) / length;
        let bound = 2e-2 * norm.max(1e-2);
        assert!((numeric - analytic).abs() <= bound, "{name}: {numeric} by differences, {analytic} by the gradient");
    }
}
