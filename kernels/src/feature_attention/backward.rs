//! The backward pass: computes each tile again and drains it into the gradients while it is in the cache.

use super::tile::{self, GROUP_ROWS, Pairs, TILE_PAIRS, TILE_ROWS, load, padded, store};
use super::{Backward, BackwardWeights, Weights, kept_by};
use crate::gemm::{Matrix, MatrixMut, Output, gemm_in, gemm_tn_in};
use crate::math;
use crate::simd::tile as simd_tile;
use crate::simd::{Kernel, LANES, Simd, load_at, store_at};

pub(super) struct Run<'a, 'b> {
    pub weights: &'b Weights<'b>,
    pub transposed: &'b BackwardWeights<'b>,
    pub args: Backward<'a>,
}

impl Kernel for Run<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { weights, transposed, args } = self;
        let (d, wide, stride) = (weights.d, padded(weights.d), tile::stride(weights.d));
        let (offsets, saved, gradients) = (args.offsets, args.saved, args.gradients);
        let bounded = tile::is_bounded(s, d, weights.w_s5);
        let longest = offsets.windows(2).map(|w| (w[1] - w[0]) as usize).max().unwrap_or(0);

        let mut rest = tile::aligned(args.scratch);
        let t = tile::take(&mut rest, TILE_PAIRS * stride);
        let df = tile::take(&mut rest, TILE_PAIRS * stride);
        let t0 = tile::take(&mut rest, TILE_ROWS * stride);
        let strip = tile::take(&mut rest, 4 * LANES * TILE_PAIRS);
        let pe = tile::take(&mut rest, longest * wide);
        let qe = tile::take(&mut rest, longest * wide);
        let group_p = tile::take(&mut rest, (GROUP_ROWS + longest) * d);
        let group_q = tile::take(&mut rest, (GROUP_ROWS + longest) * d);

        let mut kept = saved.kept;
        let mut group = 0;
        for (b, ends) in offsets.windows(2).enumerate() {
            let (from, to) = (ends[0] as usize, ends[1] as usize);
            let r = to - from;
            let range = from * d..to * d;
            if r > 0 {
                let (of_segment, others) = kept.split_at(kept_by(d, r).min(kept.len()));
                kept = others;
                let factored = tile::prepare(s, &saved.p[range.clone()], &saved.q[range.clone()], d, pe, qe);
                let dp = &mut group_p[(from - group) * d..(to - group) * d];
                let dq = &mut group_q[(from - group) * d..(to - group) * d];
                dp.fill(0.0);
                dq.fill(0.0);
                if factored && bounded && tile::rows_are_equal(&args.m[range.clone()], d) {
                    mean_of_rows(s, d, &args.dmhat[range.clone()], &mut gradients.dm[range]);
                } else {
                    let segment = Segment {
                        d,
                        r,
                        w_s5: weights.w_s5,
                        w_s5_back: transposed.w_s5,
                        factors: (pe, qe),
                        m: &args.m[range.clone()],
                        mhat: &args.mhat[range.clone()],
                        shift: &saved.shift[range.clone()],
                        inverse_sum: &saved.inverse_sum[range.clone()],
                        kept: of_segment,
                        dmhat: &args.dmhat[range.clone()],
                        dm: &mut gradients.dm[range],
                        dw_s5: gradients.dw_s5,
                        dp,
                        dq,
                        t,
                        t0,
                        df,
                        strip,
                    };
                    match (factored, bounded) {
                        (true, true) => segment.run::<S, true, false>(s),
                        (true, false) => s.call(Careful::<true>(segment)),
                        (false, _) => s.call(Careful::<false>(segment)),
                    }
                }
            }
            if to > group && (to - group >= GROUP_ROWS || b + 2 == offsets.len()) {
                let rows = to - group;
                let dp = Matrix::new(&group_p[..rows * d], rows, d);
                let dq = Matrix::new(&group_q[..rows * d], rows, d);
                let m = Matrix::new(&args.m[group * d..to * d], rows, d);
                let dm = &mut gradients.dm[group * d..to * d];
                gemm_in(s, dp, transposed.w_s4, MatrixMut::new(dm, rows, d), Output::ACCUMULATE);
                gemm_in(s, dq, transposed.w_s3, MatrixMut::new(dm, rows, d), Output::ACCUMULATE);
                gemm_tn_in(s, dp, m, MatrixMut::new(gradients.dw_s4, d, d), true);
                gemm_tn_in(s, dq, m, MatrixMut::new(gradients.dw_s3, d, d), true);
                add_rows(s, dp, gradients.db_s2);
                group = to;
            }
        }
    }
}

/// Adds the mean of all rows of `dmhat` to each row of `dm`: the gradient where every weight is `1 / r`.
#[inline(always)]
fn mean_of_rows<S: Simd>(s: S, d: usize, dmhat: &[f32], dm: &mut [f32]) {
    let share = s.splat(1.0 / (dm.len() / d) as f32);
    for at in (0..d).step_by(LANES) {
        let mut sum = s.zero();
        for row in dmhat.chunks_exact(d) {
            sum = s.add(sum, load_at(s, row, at));
        }
        for row in dm.chunks_exact_mut(d) {
            store_at(s, s.mul_add(sum, share, load_at(s, row, at)), row, at);
        }
    }
}

/// Adds each row to `out`.
#[inline(always)]
fn add_rows<S: Simd>(s: S, rows: Matrix<'_>, out: &mut [f32]) {
    for at in (0..out.len()).step_by(LANES) {
        let mut sum = load_at(s, out, at);
        for i in 0..rows.rows() {
            sum = s.add(sum, load_at(s, rows.row(i), at));
        }
        store_at(s, sum, out, at);
    }
}

/// As in forward.
struct Careful<'a, const FACTORED: bool>(Segment<'a>);

impl<const FACTORED: bool> Kernel for Careful<'_, FACTORED> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        self.0.run::<S, FACTORED, true>(s);
    }
}

struct Segment<'a> {
    d: usize,
    r: usize,
    w_s5: &'a [f32],
    w_s5_back: &'a [f32],
    factors: (&'a [f32], &'a [f32]),
    m: &'a [f32],
    mhat: &'a [f32],
    shift: &'a [f32],
    inverse_sum: &'a [f32],
    /// The exponentials that forward kept; empty where they are computed again.
    kept: &'a [f32],
    dmhat: &'a [f32],
    dm: &'a mut [f32],
    dw_s5: &'a mut [f32],
    dp: &'a mut [f32],
    dq: &'a mut [f32],
    t: &'a mut [f32],
    t0: &'a mut [f32],
    df: &'a mut [f32],
    strip: &'a mut [f32],
}

impl Segment<'_> {
    #[inline(always)]
    fn run<S: Simd, const FACTORED: bool, const SHIFT: bool>(mut self, s: S) {
        let (d, stride) = (self.d, tile::stride(self.d));
        let panels = d.div_ceil(LANES);
        let mut next = Some(Pairs::first(self.r, usize::from(!SHIFT), TILE_PAIRS));
        while let Some(pairs) = next {
            let count = pairs.count();
            tile::tanh_tile::<S, FACTORED>(s, pairs, d, self.factors, self.t, self.t0);
            let mut panel = 0;
            while panel < panels {
                let vectors = simd_tile::vectors::<S>(count, panels - panel);
                if self.kept.is_empty() {
                    let w = &self.w_s5[panel * d * LANES..];
                    tile::product(s, (self.t, stride), count, (w, d), vectors, self.strip);
                }
                for c in 0..vectors {
                    let at = (panel + c) * LANES;
                    if at + LANES <= d {
                        self.softmax::<S, SHIFT, true>(s, pairs, at, (c, vectors));
                    } else {
                        self.softmax::<S, SHIFT, false>(s, pairs, at, (c, vectors));
                    }
                }
                panel += vectors;
            }
            let (t, df) = (&self.t[..count * stride], &self.df[..count * stride]);
            let (t, df) = (Matrix::strided(t, count, d, stride), Matrix::strided(df, count, d, stride));
            gemm_tn_in(s, df, t, MatrixMut::new(self.dw_s5, d, d), true);
            let mut panel = 0;
            while panel < panels {
                let vectors = simd_tile::vectors::<S>(count, panels - panel);
                let w = &self.w_s5_back[panel * d * LANES..];
                tile::product(s, (self.df, stride), count, (w, d), vectors, self.strip);
                for c in 0..vectors {
                    let at = (panel + c) * LANES;
                    if at + LANES <= d {
                        self.tanh::<S, SHIFT, true>(s, pairs, at, (c, vectors));
                    } else {
                        self.tanh::<S, SHIFT, false>(s, pairs, at, (c, vectors));
                    }
                }
                panel += vectors;
            }
            next = pairs.next();
        }
    }

    /// From the kept exponentials or the strip's products f: `beta`, its share of `dm`, and
    /// `df = beta * dmhat_i * (m_j - mhat_i)`, 16 columns from `at`. Without `SHIFT`, that of j = 0 is not needed: the df of
    /// an i add up to 0, and what they are multiplied by is relative to j = 0.
    #[inline(always)]
    fn softmax<S: Simd, const SHIFT: bool, const FULL: bool>(
        &mut self,
        s: S,
        pairs: Pairs,
        at: usize,
        (c, step): (usize, usize),
    ) {
        let (d, stride) = (self.d, tile::stride(self.d));
        let (strip, _) = self.strip.as_chunks::<LANES>();
        for i in 0..pairs.i_count {
            let here = (pairs.i + i) * d + at;
            let inverse = load::<S, FULL>(s, self.inverse_sum, here, d - at);
            let mhat = load::<S, FULL>(s, self.mhat, here, d - at);
            let dmhat = load::<S, FULL>(s, self.dmhat, here, d - at);
            let shift = if SHIFT { load::<S, FULL>(s, self.shift, here, d - at) } else { s.zero() };
            let scale = s.mul(inverse, dmhat);
            if !SHIFT && pairs.is_first() {
                let sum = s.add(load::<S, FULL>(s, self.dm, at, d - at), scale);
                store::<S, FULL>(s, sum, self.dm, at, d - at);
            }
            let kept = pairs.kept(self.kept, i, at);
            for j in 0..pairs.j_count {
                let pair = i * pairs.j_count + j;
                let there = (pairs.j + j) * d + at;
                let e = match kept.get(j) {
                    Some(e) => s.load(e),
                    None => {
                        let f = s.load(&strip[pair * step + c]);
                        if SHIFT { math::exp_nonpositive(s, s.sub(f, shift)) } else { math::exp_in_range(s, f) }
                    }
                };
                let g = s.mul(e, scale);
                let m = load::<S, FULL>(s, self.m, there, d - at);
                let sum = s.add(load::<S, FULL>(s, self.dm, there, d - at), g);
                store::<S, FULL>(s, sum, self.dm, there, d - at);
                s.store(s.mul(g, s.sub(m, mhat)), &mut self.df[pair * stride + at..]);
            }
        }
    }

    /// From the strip's gradients of tanh: `dz = dt (1 - t^2)` into `dp_i` and `dq_j`, 16 columns from `at`. Without
    /// `SHIFT`, the gradient of `t_i0` is what the others leave it: minus their sum.
    #[inline(always)]
    fn tanh<S: Simd, const SHIFT: bool, const FULL: bool>(
        &mut self,
        s: S,
        pairs: Pairs,
        at: usize,
        (c, step): (usize, usize),
    ) {
        let (d, stride) = (self.d, tile::stride(self.d));
        let (strip, _) = self.strip.as_chunks::<LANES>();
        let one = s.splat(1.0);
        for i in 0..pairs.i_count {
            let here = (pairs.i + i) * d + at;
            let mut sum = load::<S, FULL>(s, self.dp, here, d - at);
            let t0 = if SHIFT { s.zero() } else { s.load(&self.t0[i * stride + at..]) };
            let mut others = s.zero();
            for j in 0..pairs.j_count {
                let pair = i * pairs.j_count + j;
                let there = (pairs.j + j) * d + at;
                let dt = s.load(&strip[pair * step + c]);
                let mut t = s.load(&self.t[pair * stride + at..]);
                if !SHIFT {
                    t = s.add(t, t0);
                    others = s.add(others, dt);
                }
                let dz = s.mul(dt, s.neg_mul_add(t, t, one));
                sum = s.add(sum, dz);
                let total = s.add(load::<S, FULL>(s, self.dq, there, d - at), dz);
                store::<S, FULL>(s, total, self.dq, there, d - at);
            }
            if !SHIFT {
                let dz = s.mul(others, s.neg_mul_add(t0, t0, one));
                sum = s.sub(sum, dz);
                let total = s.sub(load::<S, FULL>(s, self.dq, at, d - at), dz);
                store::<S, FULL>(s, total, self.dq, at, d - at);
            }
            store::<S, FULL>(s, sum, self.dp, here, d - at);
        }
    }
}
