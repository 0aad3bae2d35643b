//! From the weights of a block of candidates to their scores' partial sums, some dimensions at a time.

use super::tables::{Gated, Table, Tables};
use crate::gate::{self, Sigmoids};
use crate::simd::tile;
use crate::simd::{LANES, Simd, prefetch_once};
use crate::small::Rows;
use std::ops::Range;

/// A block of candidates, one a lane, `V` vectors of them.
pub(super) struct Dims<'a> {
    pub tables: &'a Tables<'a>,
    /// `[rows of M - 1, V]` and `[rows of Mhat - 1, V]`: the weights but those of the first rows.
    pub w: &'a [[f32; LANES]],
    pub what: &'a [[f32; LANES]],
    /// `[d, V]`: the candidates.
    pub block: &'a [[f32; LANES]],
    /// Where rows `next` are those of the block after, to be fetched meanwhile.
    pub c: Rows<'a>,
    pub next: Range<usize>,
}

/// Dimensions of a tile. 8 sums of two vectors leave registers for a gate, and the multipliers room for stores: where
/// they are busy all the time, with 16 sums, a Zen 5 pays for the store of a whole vector with two multiply-adds.
const TILE: usize = 4;

/// Lines of a tile of `V` vectors: h, hhat and z.
const fn lines(vectors: usize) -> usize {
    3 * TILE * vectors
}

impl Dims<'_> {
    /// Lines of scratch for [`Dims::add_dots`] a vector of candidates: two tiles.
    pub const SCRATCH: usize = 2 * lines(1);

    /// Adds `h_c * c` to the partial sums of [`crate::small::dot`]: dimension t to `partial[t % 16]`.
    #[inline(always)]
    pub fn add_dots<S: Simd, const V: usize>(self, s: S, partial: &mut [[f32; LANES]], scratch: &mut [[f32; LANES]]) {
        let d = self.tables.d;
        let whole = d - d % TILE;
        let step = self.next.len().div_ceil(d.div_ceil(TILE));
        let mut next = self.next.clone();
        let (mut now, mut before) = scratch[..2 * lines(V)].split_at_mut(lines(V));
        let mut pending = None;
        for t in (0..whole).step_by(TILE) {
            for i in next.by_ref().take(step) {
                prefetch_once(self.c.row(i));
            }
            match &self.tables.gated {
                None => self.pooled::<S, TILE, V>(s, t, partial),
                Some(g) => {
                    self.gated::<S, V>(s, g, t, now, Tile { lines: &*before, t: pending }, partial);
                    pending = Some(t);
                    (now, before) = (before, now);
                }
            }
        }
        if let Some(first) = pending {
            for i in 0..TILE {
                tile::all_steps(s, &mut self.finish::<S, V>(s, before, i, first + i, partial));
            }
        }
        for t in whole..d {
            match &self.tables.gated {
                None => self.pooled::<S, 1, V>(s, t, partial),
                Some(g) => {
                    let sums = pool::<S, 1, V>(s, self.w, &g.gate_m, t, None);
                    let sums = [
                        pool::<S, 1, V>(s, self.w, &self.tables.side.rows, t, None),
                        pool::<S, 1, V>(s, self.what, &g.side.rows, t, None),
                        pool::<S, 1, V>(s, self.what, &g.gate_mhat, t, Some(sums)),
                    ];
                    for (part, sums) in sums.into_iter().enumerate() {
                        store_all(s, sums, &mut now[part * TILE * V..]);
                    }
                    tile::all_steps(s, &mut self.finish::<S, V>(s, now, 0, t, partial));
                }
            }
        }
    }

    /// The `T` dimensions from `t` where `h_c = h`.
    #[inline(always)]
    fn pooled<S: Simd, const T: usize, const V: usize>(&self, s: S, t: usize, partial: &mut [[f32; LANES]]) {
        let h = pool::<S, T, V>(s, self.w, &self.tables.side.rows, t, None);
        let c = &self.block[t * V..][..T * V];
        let partial = &mut partial[t % LANES * V..][..T * V];
        for (h, (c, partial)) in h.into_iter().flatten().zip(c.iter().zip(partial)) {
            s.store(s.mul_add(h, s.load(c), s.load(partial)), partial);
        }
    }

    /// The sums of a tile of dimensions from `t`, to `now`: h, hhat, and z. In between, the tile `before` is finished: its
    /// gates are long chains of operations, which leave the multipliers waiting unless there are other sums to do.
    #[inline(always)]
    fn gated<S: Simd, const V: usize>(
        &self,
        s: S,
        g: &Gated,
        t: usize,
        now: &mut [[f32; LANES]],
        before: Tile,
        partial: &mut [[f32; LANES]],
    ) {
        let (h, rest) = now.split_at_mut(TILE * V);
        let (hhat, z) = rest.split_at_mut(TILE * V);
        let sums = self.pool_while::<S, V>(s, self.w, &self.tables.side.rows, t, None, (before, 0), partial);
        store_all(s, sums, h);
        let sums = self.pool_while::<S, V>(s, self.what, &g.side.rows, t, None, (before, 1), partial);
        store_all(s, sums, hhat);
        let sums = self.pool_while::<S, V>(s, self.w, &g.gate_m, t, None, (before, 2), partial);
        let sums = self.pool_while::<S, V>(s, self.what, &g.gate_mhat, t, Some(sums), (before, 3), partial);
        store_all(s, sums, z);
    }

    /// [`pool`], and dimension `i` of the tile before.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn pool_while<S: Simd, const V: usize>(
        &self,
        s: S,
        w: &[[f32; LANES]],
        table: &Table,
        t: usize,
        start: Option<[[S::F32; V]; TILE]>,
        (before, i): (Tile, usize),
        partial: &mut [[f32; LANES]],
    ) -> [[S::F32; V]; TILE] {
        let Some(first) = before.t else { return pool(s, w, table, t, start) };
        let mut line = self.finish::<S, V>(s, before.lines, i, first + i, partial);
        let sums = starts(s, table, t, start);
        tile::strided_while::<S, TILE, V>(
            s,
            table.rest_from(t),
            (w.as_flattened(), V * LANES),
            w.len() / V,
            sums,
            &mut line,
        )
    }

    /// Adding `h_c * c` of dimension `t`, which is dimension `i` of a tile.
    #[inline(always)]
    fn finish<'b, S: Simd, const V: usize>(
        &'b self,
        s: S,
        tile: &'b [[f32; LANES]],
        i: usize,
        t: usize,
        partial: &'b mut [[f32; LANES]],
    ) -> Finish<'b, S, V> {
        let part = |part: usize| &tile[(part * TILE + i) * V..][..V];
        let mut z = [s.zero(); V];
        for (z, line) in z.iter_mut().zip(part(2)) {
            *z = s.load(line);
        }
        Finish {
            sigmoids: Sigmoids::new(s, z),
            h: part(0),
            hhat: part(1),
            c: &self.block[t * V..][..V],
            partial: &mut partial[t % LANES * V..][..V],
        }
    }
}

/// The gate of one dimension, and what it is for: see [`Dims::finish`].
struct Finish<'a, S: Simd, const V: usize> {
    sigmoids: Sigmoids<S, V>,
    h: &'a [[f32; LANES]],
    hhat: &'a [[f32; LANES]],
    c: &'a [[f32; LANES]],
    partial: &'a mut [[f32; LANES]],
}

impl<S: Simd, const V: usize> tile::Meanwhile<S> for Finish<'_, S, V> {
    #[inline(always)]
    fn step<const I: usize>(&mut self, s: S) {
        self.sigmoids.step::<I>(s);
        // Stored, and so not put off.
        if I + 1 == tile::MEANWHILE {
            for v in 0..V {
                let hc = gate::mix(s, self.sigmoids.f[v], s.load(&self.h[v]), s.load(&self.hhat[v]));
                s.store(s.mul_add(hc, s.load(&self.c[v]), s.load(&self.partial[v])), &mut self.partial[v]);
            }
        }
    }

    #[inline(always)]
    fn tie<const I: usize>(&mut self, s: S, sum: S::F32) -> S::F32 {
        self.sigmoids.tie::<I>(s, sum)
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

/// The `T` dimensions from `t` of a table's weighted sum, `start +` where there is one: one chain, from the first row on.
#[inline(always)]
fn pool<S: Simd, const T: usize, const V: usize>(
    s: S,
    w: &[[f32; LANES]],
    table: &Table,
    t: usize,
    start: Option<[[S::F32; V]; T]>,
) -> [[S::F32; V]; T] {
    let sums = starts(s, table, t, start);
    tile::strided::<S, T, V>(s, table.rest_from(t), (w.as_flattened(), V * LANES), w.len() / V, sums)
}

/// Where the chains of [`pool`] start.
#[inline(always)]
fn starts<S: Simd, const T: usize, const V: usize>(
    s: S,
    table: &Table,
    t: usize,
    start: Option<[[S::F32; V]; T]>,
) -> [[S::F32; V]; T] {
    let mut sums = [[s.zero(); V]; T];
    for i in 0..T {
        let first = s.splat(table.first[t + i]);
        sums[i] = [first; V];
        if let Some(start) = &start {
            for v in 0..V {
                sums[i][v] = s.add(start[i][v], first);
            }
        }
    }
    sums
}
