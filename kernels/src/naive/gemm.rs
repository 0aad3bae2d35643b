//! The products of [`crate::gemm`] as three loops over the same packed format.

use crate::gemm::{Matrix, MatrixMut, Output, packed_len};
use crate::level::Level;
use crate::simd::LANES;

/// `y [rows, n] = x [rows, k] W`, as [`crate::gemm::gemm`].
///
/// # Panics
/// If the shapes do not fit each other.
pub fn gemm(_: Level, x: Matrix<'_>, packed: &[f32], mut y: MatrixMut<'_>, output: Output<'_>) {
    let (rows, k, n) = (x.rows(), x.cols(), y.cols());
    assert_eq!((rows, packed.len()), (y.rows(), packed_len(k, n)));
    for i in 0..rows {
        for j in 0..n {
            let column = packed[j / LANES * k * LANES..].iter().skip(j % LANES).step_by(LANES);
            let product: f64 = x.row(i).iter().zip(column).map(|(&x, &w)| f64::from(x) * f64::from(w)).sum();
            let y = &mut y.row_mut(i)[j];
            let sum = product + output.start(*y, i, j);
            *y = if output.has_relu() && sum < 0.0 { 0.0 } else { sum as f32 };
        }
    }
}

/// `c [m, n] = a^T b`, as [`crate::gemm::gemm_tn`].
///
/// # Panics
/// If the shapes do not fit each other.
pub fn gemm_tn(_: Level, a: Matrix<'_>, b: Matrix<'_>, mut c: MatrixMut<'_>, accumulate: bool) {
    assert_eq!((a.rows(), a.cols(), b.cols()), (b.rows(), c.rows(), c.cols()));
    for i in 0..a.cols() {
        for j in 0..b.cols() {
            let product: f64 = (0..a.rows()).map(|k| f64::from(a.row(k)[i]) * f64::from(b.row(k)[j])).sum();
            let c = &mut c.row_mut(i)[j];
            *c = if accumulate { (f64::from(*c) + product) as f32 } else { product as f32 };
        }
    }
}
