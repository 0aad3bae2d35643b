//! The loops over candidates.

use super::Vanilla;
use crate::gate;
use crate::level::Level;
use crate::math;
use crate::simd::{Kernel, LANES, Simd, prefetch, tile};
use crate::small::{Lines, aligned, dot, load, store};
use crate::transpose::transpose_rows;

pub(super) struct VanillaScores<'a> {
    pub user: &'a Vanilla<'a>,
    pub c: &'a [f32],
    pub bias: &'a [f32],
    pub score: &'a mut [f32],
    pub scratch: &'a mut [f32],
}

impl Kernel for VanillaScores<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { user, c, bias, score, scratch } = self;
        let d = user.d;
        let rows = user.m.len() / d;
        let rows_hat = user.feature.map_or(0, |f| f.mhat.len() / d);
        let (lines, _) = aligned(scratch).as_chunks_mut::<LANES>();
        let (block, lines) = lines.split_at_mut(d);
        let (w, lines) = lines.split_at_mut(rows + rows_hat);
        let (partial, tables) = lines.split_at_mut(LANES);
        let tables = pack_tables::<S>(user, tables);

        let scores = score.chunks_mut(LANES).zip(bias.chunks(LANES));
        let blocks = c.chunks(LANES * d);
        // The block after this one is fetched while this one is computed.
        let ahead = c.chunks(LANES * d).skip(1).chain([&[][..]]);
        for ((c, next), (score, bias)) in blocks.zip(ahead).zip(scores) {
            transpose_rows(s, c, d, block.as_flattened_mut());
            weights(s, d, user.m, block, &mut w[..rows]);
            if let Some(f) = &user.feature {
                weights(s, d, f.mhat, block, &mut w[rows..]);
            }
            partial.fill([0.0; LANES]);
            let step = next.len().div_ceil(block.len().div_ceil(LANES));
            for (k, block) in block.chunks(LANES).enumerate() {
                prefetch(next.chunks(step.max(1)).nth(k).unwrap_or(&[]));
                let tables = &tables[k * tables_per_chunk(rows, rows_hat)..];
                match &user.feature {
                    None => pooled_dots(s, tables, w, block, partial),
                    Some(f) => {
                        let bias = &f.gate_bias[k * LANES..][..block.len()];
                        gated_dots(s, (tables, rows), w, bias, block, partial);
                    }
                }
            }
            let v = s.add(reduce(s, partial), load(s, bias));
            store(s, v, score);
        }
    }
}

/// Lines of the user's tables for 16 dimensions.
pub(super) const fn tables_per_chunk(rows: usize, rows_hat: usize) -> usize {
    if rows_hat == 0 { rows } else { 2 * (rows + rows_hat) }
}

/// Dimensions that the registers hold with three sums each.
const fn tile_dims<S: Simd>() -> usize {
    if matches!(S::LEVEL, Level::Avx512) { 4 } else { 2 }
}

/// Lays the user's tables out in the order in which they are read. Without the feature attention: for each 16 dimensions
/// the rows of M. With it, for each 16 dimensions and each [`tile_dims`] of these: for every row of M, its dimensions and
/// those of its `M W_f1^T`, then the like of Mhat and `Mhat W_f2^T`.
#[inline(always)]
fn pack_tables<'a, S: Simd>(user: &Vanilla, out: &'a mut [[f32; LANES]]) -> &'a [[f32; LANES]] {
    let d = user.d;
    let chunk = tables_per_chunk(user.m.len() / d, user.feature.map_or(0, |f| f.mhat.len() / d));
    for (lines, t) in out.chunks_mut(chunk).zip((0..d).step_by(LANES)) {
        let n = LANES.min(d - t);
        let Some(f) = &user.feature else {
            for (row, line) in user.m.chunks_exact(d).zip(lines) {
                line[..n].copy_from_slice(&row[t..t + n]);
            }
            continue;
        };
        let mut rest = lines.as_flattened_mut();
        let mut at = t;
        while at < t + n {
            let dims = if t + n - at < tile_dims::<S>() { 1 } else { tile_dims::<S>() };
            for (rows, gates) in [(user.m, f.gate_m), (f.mhat, f.gate_mhat)] {
                for (row, gate) in rows.chunks_exact(d).zip(gates.chunks_exact(d)) {
                    let (to, after) = rest.split_at_mut(2 * dims);
                    to[..dims].copy_from_slice(&row[at..at + dims]);
                    to[dims..].copy_from_slice(&gate[at..at + dims]);
                    rest = after;
                }
            }
            at += dims;
        }
    }
    out
}

/// `pooling::weights` with candidates in the lanes: `w[j, lane]`.
#[inline(always)]
fn weights<S: Simd>(s: S, d: usize, keys: &[f32], block: &[[f32; LANES]], w: &mut [[f32; LANES]]) {
    let rows = w.len();
    let mut j = 0;
    while j < rows {
        let keys = &keys[j * d..];
        let w = &mut w[j..];
        j += match rows - j {
            1 => scores::<S, 1>(s, d, keys, block, w),
            2 => scores::<S, 2>(s, d, keys, block, w),
            3 => scores::<S, 3>(s, d, keys, block, w),
            4 => scores::<S, 4>(s, d, keys, block, w),
            _ => scores::<S, 5>(s, d, keys, block, w),
        };
    }
    let mut max = s.splat(f32::NEG_INFINITY);
    for w in &*w {
        max = s.max(max, s.load(w));
    }
    let mut sum = s.zero();
    for w in &mut *w {
        let e = math::exp_nonpositive(s, s.sub(s.load(w), max));
        sum = s.add(sum, e);
        s.store(e, w);
    }
    let scale = s.div(s.splat(1.0), sum);
    for w in &mut *w {
        s.store(s.mul(s.load(w), scale), w);
    }
}

/// The scaled scores of `R` rows.
#[inline(always)]
fn scores<S: Simd, const R: usize>(
    s: S,
    d: usize,
    keys: &[f32],
    block: &[[f32; LANES]],
    w: &mut [[f32; LANES]],
) -> usize {
    let acc = tile::strided::<S, R, 1>(s, (keys, d, 1), (block.as_flattened(), LANES), d, [[s.zero()]; R]);
    let scale = s.splat(1.0 / (d as f32).sqrt());
    for ([acc], w) in acc.into_iter().zip(w) {
        s.store(s.mul(acc, scale), w);
    }
    R
}

/// Pooled rows, gate and product with the candidate for the up to 16 dimensions of `block`, added to the partial sums
/// of [`crate::small::dot`].
#[inline(always)]
fn gated_dots<S: Simd>(
    s: S,
    (tables, rows): (&[[f32; LANES]], usize),
    w: &[[f32; LANES]],
    bias: &[f32],
    block: &[[f32; LANES]],
    partial: &mut [[f32; LANES]],
) {
    let tables = tables.as_flattened();
    match tile_dims::<S>() {
        4 => gated_tiles::<S, 4>(s, (tables, rows), w, bias, block, partial),
        _ => gated_tiles::<S, 2>(s, (tables, rows), w, bias, block, partial),
    }
}

#[inline(always)]
fn gated_tiles<S: Simd, const T: usize>(
    s: S,
    (tables, rows): (&[f32], usize),
    w: &[[f32; LANES]],
    bias: &[f32],
    block: &[[f32; LANES]],
    partial: &mut [[f32; LANES]],
) {
    let n = block.len();
    let whole = n - n % T;
    let (tiles, singles) = tables[..2 * n * w.len()].split_at(2 * whole * w.len());
    for (i, table) in tiles.chunks_exact(2 * T * w.len()).enumerate() {
        gated_tile::<S, T>(s, (table, rows), w, bias, block, partial, i * T);
    }
    for (i, table) in singles.chunks_exact(2 * w.len()).enumerate() {
        gated_tile::<S, 1>(s, (table, rows), w, bias, block, partial, whole + i);
    }
}

/// The `T` dimensions from `t`: nothing but the partial sums leaves the registers.
#[inline(always)]
fn gated_tile<S: Simd, const T: usize>(
    s: S,
    (table, rows): (&[f32], usize),
    w: &[[f32; LANES]],
    bias: &[f32],
    block: &[[f32; LANES]],
    partial: &mut [[f32; LANES]],
    t: usize,
) {
    // A row's dimensions and its gate's, row by row.
    let (pairs, _) = table.as_chunks::<T>().0.as_chunks::<2>();
    let (m, mhat) = pairs.split_at(rows);
    let (w, what) = w.split_at(rows);
    let mut z: [S::F32; T] = core::array::from_fn(|i| s.splat(bias[t + i]));
    let mut pooled = [[s.zero(); T]; 2];
    for (h, (w, pairs)) in pooled.iter_mut().zip([(w, m), (what, mhat)]) {
        for (w, [row, gate]) in w.iter().zip(pairs) {
            let w = s.load(w);
            for i in 0..T {
                h[i] = s.mul_add(w, s.splat(row[i]), h[i]);
                z[i] = s.mul_add(w, s.splat(gate[i]), z[i]);
            }
        }
    }
    let [h, hhat] = pooled;
    let f = math::sigmoid_each(s, z);
    for i in 0..T {
        let hc = gate::mix(s, f[i], h[i], hhat[i]);
        let partial = &mut partial[t + i];
        s.store(s.mul_add(hc, s.load(&block[t + i]), s.load(partial)), partial);
    }
}

/// As [`gated_dots`] where `h_c = h`.
#[inline(always)]
fn pooled_dots<S: Simd>(
    s: S,
    m: &[[f32; LANES]],
    w: &[[f32; LANES]],
    block: &[[f32; LANES]],
    partial: &mut [[f32; LANES]],
) {
    let mut h = Lines([[0.0; LANES]; LANES]);
    pool(s, w, m, &mut h.0[..block.len()]);
    for ((h, c), partial) in h.0.iter().zip(block).zip(partial) {
        s.store(s.mul_add(s.load(h), s.load(c), s.load(partial)), partial);
    }
}

/// Goes on from `out[t]` with the sums `sum_j w[j] * y[j][t]`, in the order of j.
#[inline(always)]
fn pool<S: Simd>(s: S, w: &[[f32; LANES]], y: &[[f32; LANES]], out: &mut [[f32; LANES]]) {
    let n = out.len();
    let mut t = 0;
    while t < n {
        // As many chains as the registers hold: with fewer than 8 the multipliers wait for results.
        t += match n - t {
            LANES if S::LEVEL == Level::Avx512 => pool_tile::<S, LANES>(s, w, y, t, out),
            1 => pool_tile::<S, 1>(s, w, y, t, out),
            2 => pool_tile::<S, 2>(s, w, y, t, out),
            3 => pool_tile::<S, 3>(s, w, y, t, out),
            4 => pool_tile::<S, 4>(s, w, y, t, out),
            5 | 10 => pool_tile::<S, 5>(s, w, y, t, out),
            _ => pool_tile::<S, 6>(s, w, y, t, out),
        };
    }
}

#[inline(always)]
fn pool_tile<S: Simd, const T: usize>(
    s: S,
    w: &[[f32; LANES]],
    y: &[[f32; LANES]],
    t: usize,
    out: &mut [[f32; LANES]],
) -> usize {
    let out = &mut out[t..t + T];
    let mut sums = [s.zero(); T];
    for (sum, out) in sums.iter_mut().zip(&*out) {
        *sum = s.load(out);
    }
    for (w, y) in w.iter().zip(y) {
        let w = s.load(w);
        for (sum, &y) in sums.iter_mut().zip(&y[t..t + T]) {
            *sum = s.mul_add(w, s.splat(y), *sum);
        }
    }
    for (sum, out) in sums.into_iter().zip(out) {
        s.store(sum, out);
    }
    T
}

/// Adds up the 16 partial sums of each lane in the order of [`Simd::reduce_sum`].
#[inline(always)]
fn reduce<S: Simd>(s: S, partial: &[[f32; LANES]]) -> S::F32 {
    let mut sums = [s.zero(); LANES];
    for (sum, partial) in sums.iter_mut().zip(partial) {
        *sum = s.load(partial);
    }
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            sums[i] = s.add(sums[i], sums[i + half]);
        }
    }
    sums[0]
}

pub(super) struct FixedScores<'a> {
    pub hc: &'a [f32],
    pub c: &'a [f32],
    pub bias: &'a [f32],
    pub score: &'a mut [f32],
}

impl Kernel for FixedScores<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let rows = self.c.chunks_exact(self.hc.len());
        for (c, (score, bias)) in rows.zip(self.score.iter_mut().zip(self.bias)) {
            *score = dot(s, self.hc, c) + bias;
        }
    }
}
