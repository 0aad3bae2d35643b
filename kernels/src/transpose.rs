//! Row-major blocks into lanes: 16 rows side by side, dimension by dimension.

use crate::simd::{LANES, Simd};

/// `out[block, t, lane] = x[16 block + lane, t]` for `x` `[n, d]`; lanes beyond the last row are 0.
///
/// `out` holds at least `n` rounded up to 16, times `d`.
#[inline(always)]
pub(crate) fn transpose_rows<S: Simd>(_s: S, x: &[f32], d: usize, out: &mut [f32]) {
    for (x, out) in x.chunks(LANES * d).zip(out.chunks_exact_mut(LANES * d)) {
        if x.len() < out.len() {
            out.fill(0.0);
        }
        for (lane, row) in x.chunks_exact(d).enumerate() {
            for (&v, out) in row.iter().zip(out.chunks_exact_mut(LANES)) {
                out[lane] = v;
            }
        }
    }
}
