//! Row-major blocks into lanes: 16 rows side by side, dimension by dimension.

use crate::simd::{LANES, Simd};

/// `out[block, t, lane] = x[16 block + lane, t]` for `x` `[n, d]`; lanes beyond the last row are 0.
///
/// `out` holds at least `n` rounded up to 16, times `d`.
#[inline(always)]
pub(crate) fn transpose_rows<S: Simd>(s: S, x: &[f32], d: usize, out: &mut [f32]) {
    for (x, out) in x.chunks(LANES * d).zip(out.chunks_exact_mut(LANES * d)) {
        // Rows beyond the last are loaded as zeros.
        let rows = x.len() / d;
        let mut at = 0;
        while at < d {
            let n = LANES.min(d - at);
            let mut v = [s.zero(); LANES];
            for (lane, v) in v[..rows].iter_mut().enumerate() {
                let row = &x[lane * d + at..][..n];
                *v = if n == LANES { s.load(row) } else { s.load_partial(row) };
            }
            let columns = s.transpose(v);
            for (v, out) in columns.into_iter().zip(out[at * LANES..].chunks_exact_mut(LANES)).take(n) {
                s.store(v, out);
            }
            at += n;
        }
    }
}
