//! From the weights of a block of candidates to their scores' partial sums, some dimensions at a time.

use super::{Feature, Vanilla};
use crate::gate;
use crate::math;
use crate::simd::tile;
use crate::simd::{LANES, Simd, prefetch};
use crate::small::Rows;
use std::ops::Range;

/// A block of candidates, one a lane, `V` vectors of them.
pub(super) struct Dims<'a> {
    pub user: &'a Vanilla<'a>,
    /// `[rows of M, V]` and `[rows of Mhat, V]`: the weights.
    pub w: &'a [[f32; LANES]],
    pub what: &'a [[f32; LANES]],
    /// `[d, V]`: the candidates.
    pub block: &'a [[f32; LANES]],
    /// Where rows `next` are those of the block after, to be fetched meanwhile.
    pub c: Rows<'a>,
    pub next: Range<usize>,
}

/// Most lines of a tile of `T` dimensions and `V` vectors.
const MOST_SUMS: usize = 16;

impl Dims<'_> {
    /// Lines of scratch for [`Dims::add_dots`]: h, hhat and z of two tiles.
    pub const SCRATCH: usize = 2 * 3 * MOST_SUMS;

    /// Adds `h_c * c` to the partial sums of [`crate::small::dot`], `T` dimensions at a time: dimension t to `partial[t % 16]`.
    #[inline(always)]
    pub fn add_dots<S: Simd, const T: usize, const V: usize>(
        self,
        s: S,
        partial: &mut [[f32; LANES]],
        scratch: &mut [[f32; LANES]],
    ) {
        const { assert!(T * V <= MOST_SUMS && LANES.is_multiple_of(T)) };
        let d = self.user.d;
        let whole = d - d % T;
        let step = self.next.len().div_ceil(d.div_ceil(T));
        let mut next = self.next.clone();
        let (mut now, mut before) = scratch[..6 * T * V].split_at_mut(3 * T * V);
        let mut pending = None;
        for t in (0..whole).step_by(T) {
            for i in next.by_ref().take(step) {
                prefetch(self.c.row(i));
            }
            match &self.user.feature {
                None => self.pooled::<S, T, V>(s, t, partial),
                Some(f) => {
                    let tile = Tile { lines: &*before, t: pending };
                    self.gated::<S, T, V>(s, f, t, now, tile, partial);
                    pending = Some(t);
                    (now, before) = (before, now);
                }
            }
        }
        let tile = Tile { lines: before, t: pending };
        for quarter in 0..4 {
            self.finish::<S, T, V>(s, tile, quarter, partial);
        }
        for t in whole..d {
            match &self.user.feature {
                None => self.pooled::<S, 1, V>(s, t, partial),
                Some(f) => {
                    self.gated::<S, 1, V>(s, f, t, &mut now[..3 * V], Tile { lines: &[], t: None }, partial);
                    for v in 0..V {
                        self.finish_lines::<S, 1, V, 1>(s, now, t, v, partial);
                    }
                }
            }
        }
    }

    /// The `T` dimensions from `t` where `h_c = h`.
    #[inline(always)]
    fn pooled<S: Simd, const T: usize, const V: usize>(&self, s: S, t: usize, partial: &mut [[f32; LANES]]) {
        let h = self.pool::<S, T, V>(s, self.w, self.user.m, t, [[s.zero(); V]; T]);
        let c = &self.block[t * V..][..T * V];
        let partial = &mut partial[t % LANES * V..][..T * V];
        for (h, (c, partial)) in h.into_iter().flatten().zip(c.iter().zip(partial)) {
            s.store(s.mul_add(h, s.load(c), s.load(partial)), partial);
        }
    }

    /// The sums of the `T` dimensions from `t`, to `now`: h, hhat, and z. In between, the tile `before` is finished: its
    /// sigmoids are long chains of operations, which leave the multipliers waiting unless there are other sums to do.
    #[inline(always)]
    fn gated<S: Simd, const T: usize, const V: usize>(
        &self,
        s: S,
        f: &Feature,
        t: usize,
        now: &mut [[f32; LANES]],
        before: Tile,
        partial: &mut [[f32; LANES]],
    ) {
        let (h, rest) = now.split_at_mut(T * V);
        let (hhat, z) = rest.split_at_mut(T * V);
        let zero = [[s.zero(); V]; T];
        let mut bias = zero;
        for (bias, &b) in bias.iter_mut().zip(&f.gate_bias[t..]) {
            *bias = [s.splat(b); V];
        }
        store_all(s, self.pool::<S, T, V>(s, self.w, self.user.m, t, zero), h);
        self.finish::<S, T, V>(s, before, 0, partial);
        store_all(s, self.pool::<S, T, V>(s, self.what, f.mhat, t, zero), hhat);
        self.finish::<S, T, V>(s, before, 1, partial);
        let sums = self.pool::<S, T, V>(s, self.w, f.gate_m, t, bias);
        self.finish::<S, T, V>(s, before, 2, partial);
        store_all(s, self.pool::<S, T, V>(s, self.what, f.gate_mhat, t, sums), z);
        self.finish::<S, T, V>(s, before, 3, partial);
    }

    /// `start + sum_j w[j] * y[j, t..t + T]`, in the order of j.
    #[inline(always)]
    fn pool<S: Simd, const T: usize, const V: usize>(
        &self,
        s: S,
        w: &[[f32; LANES]],
        y: &[f32],
        t: usize,
        start: [[S::F32; V]; T],
    ) -> [[S::F32; V]; T] {
        let rows = w.len() / V;
        tile::strided::<S, T, V>(s, (&y[t..], 1, self.user.d), (w.as_flattened(), V * LANES), rows, start)
    }

    /// The gate and the products with the candidates for a quarter of a tile's lines.
    #[inline(always)]
    fn finish<S: Simd, const T: usize, const V: usize>(
        &self,
        s: S,
        tile: Tile,
        quarter: usize,
        partial: &mut [[f32; LANES]],
    ) {
        let Some(t) = tile.t else { return };
        match T * V {
            16 => self.finish_lines::<S, T, V, 4>(s, tile.lines, t, 4 * quarter, partial),
            8 => self.finish_lines::<S, T, V, 2>(s, tile.lines, t, 2 * quarter, partial),
            4 => self.finish_lines::<S, T, V, 1>(s, tile.lines, t, quarter, partial),
            _ => unreachable!("a tile of {T} x {V} lines"),
        }
    }

    /// `N` lines from `k` of the tile of `T` dimensions from `t`.
    #[inline(always)]
    fn finish_lines<S: Simd, const T: usize, const V: usize, const N: usize>(
        &self,
        s: S,
        lines: &[[f32; LANES]],
        t: usize,
        k: usize,
        partial: &mut [[f32; LANES]],
    ) {
        let n = T * V;
        let (h, hhat, z) = (&lines[k..k + N], &lines[n + k..n + k + N], &lines[2 * n + k..2 * n + k + N]);
        let c = &self.block[t * V + k..][..N];
        let partial = &mut partial[t % LANES * V + k..][..N];
        let mut f = [s.zero(); N];
        for i in 0..N {
            f[i] = s.load(&z[i]);
        }
        f = math::sigmoid_each(s, f);
        for i in 0..N {
            let hc = gate::mix(s, f[i], s.load(&h[i]), s.load(&hhat[i]));
            s.store(s.mul_add(hc, s.load(&c[i]), s.load(&partial[i])), &mut partial[i]);
        }
    }
}

/// The sums of the dimensions from `t`, if there are any yet.
#[derive(Clone, Copy)]
struct Tile<'a> {
    lines: &'a [[f32; LANES]],
    t: Option<usize>,
}

#[inline(always)]
fn store_all<S: Simd, const T: usize, const V: usize>(s: S, sums: [[S::F32; V]; T], to: &mut [[f32; LANES]]) {
    let to = &mut to[..T * V];
    for i in 0..T {
        for v in 0..V {
            s.store(sums[i][v], &mut to[i * V + v]);
        }
    }
}
