//! Row-major blocks into lanes: 16 rows side by side, dimension by dimension.

use crate::simd::{LANES, Simd, tile};

/// `out[block, t, lane] = x[16 block + lane, t]` for `x` `[n, d]`; lanes beyond the last row are 0.
///
/// `out` holds at least `n` rounded up to 16, times `d`.
#[inline(always)]
pub(crate) fn transpose_rows<S: Simd>(s: S, x: &[f32], d: usize, out: &mut [f32]) {
    for (x, out) in x.chunks(LANES * d).zip(out.chunks_exact_mut(LANES * d)) {
        transpose_block(s, x, d, out, LANES);
    }
}

/// `out[t * stride + lane] = x[lane, t]` for `x` `[n, d]` with `n <= 16`; lanes beyond the last row are 0.
#[inline(always)]
pub(crate) fn transpose_block<S: Simd>(s: S, x: &[f32], d: usize, out: &mut [f32], stride: usize) {
    // Rows beyond the last are loaded as zeros.
    let rows = x.len() / d;
    let mut at = 0;
    while at < d {
        let n = LANES.min(d - at);
        let mut v = [s.zero(); LANES];
        if rows == LANES && n == LANES {
            let columns = s.transpose(tile::load_rows(s, &x[at..], d));
            tile::store_rows(s, columns, &mut out[at * stride..], stride);
        } else {
            for (lane, v) in v[..rows].iter_mut().enumerate() {
                *v = s.load_partial(&x[lane * d + at..][..n]);
            }
            for (v, out) in s.transpose(v).into_iter().zip(out[at * stride..].chunks_mut(stride)).take(n) {
                s.store(v, out);
            }
        }
        at += n;
    }
}
