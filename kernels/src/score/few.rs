//! A few candidates: the training path's own kernels, which have dimensions in the lanes, are the faster for them.

use super::{Candidates, Vanilla};
use crate::gate;
use crate::level::Level;
use crate::pooling::{self, Mask, Pool};

/// Most candidates for which it pays.
pub(super) const MOST: usize = 8;

/// Floats of scratch for a user with so many rows.
pub(super) fn scratch_len(d: usize, rows: usize, rows_hat: usize) -> usize {
    let longest = rows.max(rows_hat);
    let offsets = [0, u32::try_from(longest).unwrap_or(u32::MAX)];
    let pool = Pool { d, heads: 1, candidates: MOST, offsets: &offsets, mask: Mask::Full };
    pool.scratch_len() + MOST * (2 * longest + 6 * d)
}

/// As [`super::vanilla`], for at most [`MOST`] candidates.
pub(super) fn vanilla(
    level: Level,
    user: &Vanilla,
    candidates: Candidates,
    bias: &[f32],
    score: &mut [f32],
    scratch: &mut [f32],
) {
    let (d, n) = (user.d, bias.len());
    let (rows, rows_hat) = user.rows();
    let mut rest = scratch;
    let mut take = |len: usize| rest.split_off_mut(..len).expect("scratch_len counts all");
    let (c, w, what) = (take(n * d), take(n * rows), take(n * rows_hat));
    let [h, hhat, z, f, hc] = std::array::from_fn(|_| take(n * d));
    for (i, c) in c.chunks_exact_mut(d).enumerate() {
        c.copy_from_slice(candidates.rows(d).row(i));
    }
    let offsets = [rows, rows_hat].map(|rows| [0, rows as u32]);
    let [pool, pool_hat] =
        offsets.each_ref().map(|offsets| Pool { d, heads: 1, candidates: n, offsets, mask: Mask::Full });

    pooling::weights(level, &pool, c, user.m, w, rest);
    pooling::pool_rows(level, &pool, w, user.m, false, h);
    let hc = match &user.feature {
        None => h,
        Some(feature) => {
            pooling::weights(level, &pool_hat, c, feature.mhat, what, rest);
            pooling::pool_rows(level, &pool_hat, what, feature.mhat, false, hhat);
            for z in z.chunks_exact_mut(d) {
                z.copy_from_slice(feature.gate_bias);
            }
            pooling::pool_rows(level, &pool, w, feature.gate_m, true, z);
            pooling::pool_rows(level, &pool_hat, what, feature.gate_mhat, true, z);
            gate::forward(level, z, h, hhat, f, hc);
            hc
        }
    };
    gate::dot_rows(level, d, hc, c, bias, score);
}
