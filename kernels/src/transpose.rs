//! Row-major blocks into lanes: 16 rows side by side, dimension by dimension.

use crate::simd::tile::{self, Lanes};
use crate::simd::{LANES, Simd};

/// `out[block, t, lane] = x[16 block + lane, t]` for `x` `[n, d]`; lanes beyond the last row repeat another.
///
/// `out` holds at least `n` rounded up to 16, times `d`.
#[inline(always)]
pub(crate) fn transpose_rows<S: Simd>(s: S, x: &[f32], d: usize, out: &mut [f32]) {
    for (x, out) in x.chunks(LANES * d).zip(out.chunks_exact_mut(LANES * d)) {
        transpose_lanes(s, &Lanes::new(x, d, (0..x.len()).step_by(d)), d, out, LANES);
    }
}

/// `out[t * stride + lane] = rows[lane, t]` for rows of width `d`.
#[inline(always)]
pub(crate) fn transpose_lanes<S: Simd>(s: S, rows: &Lanes, d: usize, out: &mut [f32], stride: usize) {
    let whole = d - d % LANES;
    tile::transpose_whole(s, rows, whole, out, stride);
    if whole < d {
        let columns = s.transpose(rows.load_rest(s, whole)).into_iter().take(d - whole);
        for (v, out) in columns.zip(out[whole * stride..].chunks_mut(stride)) {
            s.store(v, out);
        }
    }
}
