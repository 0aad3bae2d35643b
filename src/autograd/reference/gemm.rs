//! The one safe wrapper over `matrixmultiply::sgemm`, for the naive engine.
//!
//! `ndarray`'s own `dot` reaches the same library, but without its AVX-512 kernels; hence the direct call.
#![allow(unsafe_code)]

use ndarray::{ArrayView2, ArrayViewMut2};

/// `c = alpha * a b + beta * c`, for any strides (so a transposed view costs nothing).
///
/// # Panics
/// If the shapes do not fit.
pub fn gemm(alpha: f32, a: ArrayView2<'_, f32>, b: ArrayView2<'_, f32>, beta: f32, mut c: ArrayViewMut2<'_, f32>) {
    let ((m, k), (k2, n)) = (a.dim(), b.dim());
    assert!(k == k2 && c.dim() == (m, n), "gemm: [{m}, {k}] x [{k2}, {n}] into {:?}", c.shape());
    if m == 0 || n == 0 {
        return;
    }
    // SAFETY: the three pointers and strides come from live views whose shapes were just checked against each other,
    // so every address that sgemm forms is an element of its view; `c` is borrowed mutably and thus overlaps neither.
    unsafe {
        matrixmultiply::sgemm(
            m,
            k,
            n,
            alpha,
            a.as_ptr(),
            a.strides()[0],
            a.strides()[1],
            b.as_ptr(),
            b.strides()[0],
            b.strides()[1],
            beta,
            c.as_mut_ptr(),
            c.strides()[0],
            c.strides()[1],
        );
    }
}

#[cfg(test)]
mod tests {
    use super::gemm;
    use ndarray::{Array2, array};

    #[test]
    fn transposed_views_and_accumulation() {
        let a = array![[1., 2.], [3., 4.], [5., 6.]];
        let b = array![[1., -1.], [0.5, 2.]];
        let mut c = Array2::<f32>::ones((2, 2));
        gemm(2.0, a.t().slice(ndarray::s![.., ..2]), b.view(), 1.0, c.view_mut());
        // a^T[:, :2] = [[1, 3], [2, 4]]
        assert_eq!(c, array![[6., 11.], [9., 13.]]);
        gemm(1.0, Array2::zeros((0, 3)).view(), Array2::zeros((3, 4)).view(), 0.0, Array2::zeros((0, 4)).view_mut());
    }
}
