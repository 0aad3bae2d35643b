//! What the naive twins share: textbook loops with sums in `f64`, rounded to `f32` once.

/// `sum_i a[i] * b[i]`.
pub fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
}

/// `c[i, j] = sum_k a[i, k] * b[j, k]`: `A B^T`.
pub fn product_nt(a: &[f32], b: &[f32], k: usize, c: &mut [f32]) {
    let n = b.len() / k;
    for (x, y) in a.chunks_exact(k).zip(c.chunks_exact_mut(n.max(1))) {
        for (y, w) in y.iter_mut().zip(b.chunks_exact(k)) {
            *y = dot(x, w) as f32;
        }
    }
}

/// `c[i, j] += sum_k a[i, k] * b[k, j]`: `C += A B`; `k` columns of `a`, `n` columns of `b`.
pub fn add_product(a: &[f32], b: &[f32], k: usize, n: usize, c: &mut [f32]) {
    for (x, y) in a.chunks_exact(k).zip(c.chunks_exact_mut(n)) {
        for (j, y) in y.iter_mut().enumerate() {
            let sum: f64 = x.iter().enumerate().map(|(i, &x)| f64::from(x) * f64::from(b[i * n + j])).sum();
            *y += sum as f32;
        }
    }
}

/// `c[i, j] += sum_t a[t, i] * b[t, j]`: `C += A^T B`; `m` columns of `a`, `n` columns of `b`.
pub fn add_product_tn(a: &[f32], b: &[f32], m: usize, n: usize, c: &mut [f32]) {
    for i in 0..m {
        for j in 0..n {
            let sum: f64 =
                a.chunks_exact(m).zip(b.chunks_exact(n)).map(|(a, b)| f64::from(a[i]) * f64::from(b[j])).sum();
            c[i * n + j] += sum as f32;
        }
    }
}

/// `y[i] += s * x[i]`.
pub fn add_scaled(y: &mut [f32], s: f32, x: &[f32]) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y += s * x;
    }
}

/// Softmax of a slice in place.
pub fn softmax(x: &mut [f32]) {
    let max = x.iter().fold(f32::NEG_INFINITY, |m, &v| m.max(v));
    let e: Vec<f64> = x.iter().map(|&v| f64::from(v - max).exp()).collect();
    let sum: f64 = e.iter().sum();
    for (x, e) in x.iter_mut().zip(e) {
        *x = (e / sum) as f32;
    }
}

/// Turns `dw` into the gradient of the scores that `w = softmax(scores)` came from.
pub fn softmax_backward(w: &[f32], dw: &mut [f32]) {
    let mean = dot(w, dw);
    for (&w, dw) in w.iter().zip(dw) {
        *dw = (f64::from(w) * (f64::from(*dw) - mean)) as f32;
    }
}
