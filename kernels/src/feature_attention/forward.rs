//! The forward pass: for some i, tanh of all pairs, times `W_s5`, and softmax and sum while the product is in the cache.

use super::tile::{self, Pairs, TILE_PAIRS, TILE_ROWS, load, padded, store};
use super::{Forward, Weights};
use crate::gemm::{Matrix, MatrixMut, Output, gemm_in};
use crate::math;
use crate::simd::tile as simd_tile;
use crate::simd::{Kernel, LANES, Simd};

pub(super) struct Run<'a, 'b> {
    pub weights: &'b Weights<'b>,
    pub args: Forward<'a>,
}

/// Pairs of a tile: with a panel of weights they fill a first level cache.
const TARGET_PAIRS: usize = 36;

impl Kernel for Run<'_, '_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { weights, args } = self;
        let (d, wide) = (weights.d, padded(weights.d));
        let rows = args.m.len() / d;
        let m = Matrix::new(args.m, rows, d);
        let saved = args.saved;
        let bias = Output::OVERWRITE.bias(weights.b_s2);
        gemm_in(s, m, weights.w_s4, MatrixMut::new(saved.p, rows, d), bias);
        gemm_in(s, m, weights.w_s3, MatrixMut::new(saved.q, rows, d), Output::OVERWRITE);
        let bounded = tile::is_bounded(s, d, weights.w_s5);

        let mut rest = tile::aligned(args.scratch);
        let t = tile::take(&mut rest, TILE_PAIRS * tile::stride(d));
        let t0 = tile::take(&mut rest, TILE_ROWS * tile::stride(d));
        let strip = tile::take(&mut rest, 4 * LANES * TILE_PAIRS);
        let mut kept = saved.kept;
        for ends in args.offsets.windows(2) {
            let r = (ends[1] - ends[0]) as usize;
            if r == 0 {
                continue;
            }
            let range = ends[0] as usize * d..ends[1] as usize * d;
            let (pe, qe) = rest[..2 * r * wide].split_at_mut(r * wide);
            let kept = super::next_kept(&mut kept, d, r);
            let factored = tile::prepare(s, &saved.p[range.clone()], &saved.q[range.clone()], d, pe, qe);
            if factored && bounded && tile::rows_are_equal(&args.m[range.clone()], d) {
                args.mhat[range.clone()].copy_from_slice(&args.m[range]);
                continue;
            }
            let segment = Segment {
                d,
                r,
                w_s5: weights.w_s5,
                factors: (pe, qe),
                m: &args.m[range.clone()],
                mhat: &mut args.mhat[range.clone()],
                shift: &mut saved.shift[range.clone()],
                inverse_sum: &mut saved.inverse_sum[range],
                kept,
                t,
                t0,
                strip,
            };
            match (factored, bounded) {
                (true, true) => segment.run::<S, true, false>(s),
                (true, false) => s.call(Careful::<true>(segment)),
                (false, _) => s.call(Careful::<false>(segment)),
            }
        }
    }
}

/// The rarer ways through a segment, compiled apart: all pairs, the softmax subtracts its maximum, and tanh may be
/// computed directly.
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
    factors: (&'a [f32], &'a [f32]),
    m: &'a [f32],
    mhat: &'a mut [f32],
    shift: &'a mut [f32],
    inverse_sum: &'a mut [f32],
    kept: &'a mut [f32],
    t: &'a mut [f32],
    t0: &'a mut [f32],
    strip: &'a mut [f32],
}

impl Segment<'_> {
    #[inline(always)]
    fn run<S: Simd, const FACTORED: bool, const SHIFT: bool>(mut self, s: S) {
        let d = self.d;
        let panels = d.div_ceil(LANES);
        let mut next = Some(Pairs::first(self.r, usize::from(!SHIFT), TARGET_PAIRS));
        while let Some(pairs) = next {
            tile::tanh_tile::<S, FACTORED>(s, pairs, d, self.factors, self.t, self.t0);
            let mut panel = 0;
            while panel < panels {
                let vectors = simd_tile::vectors::<S>(pairs.count(), panels - panel);
                let w = &self.w_s5[panel * d * LANES..];
                tile::product(s, (self.t, tile::stride(d)), pairs.count(), (w, d), vectors, self.strip);
                for c in 0..vectors {
                    let at = (panel + c) * LANES;
                    if at + LANES <= d {
                        self.fold::<S, SHIFT, true>(s, pairs, at, (c, vectors));
                    } else {
                        self.fold::<S, SHIFT, false>(s, pairs, at, (c, vectors));
                    }
                }
                panel += vectors;
            }
            next = pairs.next();
        }
    }

    /// Softmax over j and weighted sum, 16 columns from `at`; the products f of pair k are vector `k * step + c` of the strip.
    ///
    /// Without `SHIFT` the products are `f_ij - f_i0` for j from 1 on, and `e^0` of j = 0 starts the sums.
    /// Where the j come in several parts, `mhat`, `inverse_sum` and `shift` hold the sums and the maximum so far.
    #[inline(always)]
    fn fold<S: Simd, const SHIFT: bool, const FULL: bool>(
        &mut self,
        s: S,
        pairs: Pairs,
        at: usize,
        (c, step): (usize, usize),
    ) {
        let d = self.d;
        let (strip, _) = self.strip.as_chunks::<LANES>();
        for i in 0..pairs.i_count {
            let here = (pairs.i + i) * d + at;
            let first = i * pairs.j_count * step + c;
            let (mut sum, mut weighted) = (s.zero(), s.zero());
            let mut high = s.splat(f32::NEG_INFINITY);
            if !pairs.is_first() {
                sum = load::<S, FULL>(s, self.inverse_sum, here, d - at);
                weighted = load::<S, FULL>(s, self.mhat, here, d - at);
            } else if !SHIFT {
                sum = s.splat(1.0);
                weighted = load::<S, FULL>(s, self.m, at, d - at);
            }
            if SHIFT {
                for j in 0..pairs.j_count {
                    high = s.max(s.load(&strip[first + j * step]), high);
                }
                if !pairs.is_first() {
                    let before = load::<S, FULL>(s, self.shift, here, d - at);
                    high = s.max(before, high);
                    let scale = math::exp_nonpositive(s, s.sub(before, high));
                    sum = s.mul(sum, scale);
                    weighted = s.mul(weighted, scale);
                }
                store::<S, FULL>(s, high, self.shift, here, d - at);
            }
            let keep = pairs.kept_mut(self.kept, i, at);
            for j in 0..pairs.j_count {
                let f = s.load(&strip[first + j * step]);
                let m = load::<S, FULL>(s, self.m, (pairs.j + j) * d + at, d - at);
                let e = if SHIFT { math::exp_nonpositive(s, s.sub(f, high)) } else { math::exp_in_range(s, f) };
                if let Some(keep) = keep.get_mut(j) {
                    s.store(e, keep);
                }
                sum = s.add(sum, e);
                weighted = s.mul_add(e, m, weighted);
            }
            if pairs.is_last() {
                sum = s.div(s.splat(1.0), sum);
                weighted = s.mul(weighted, sum);
            }
            store::<S, FULL>(s, sum, self.inverse_sum, here, d - at);
            store::<S, FULL>(s, weighted, self.mhat, here, d - at);
        }
    }
}
