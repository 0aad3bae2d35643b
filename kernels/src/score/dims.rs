//! From the weights of a block of candidates to their scores' partial sums, some dimensions at a time.

use super::ahead::Places;
use super::tables::{Gated, Part, TILE, Tables};
use crate::gate::{self, Sigmoids};
use crate::simd::tile;
use crate::simd::{LANES, Simd};

/// One dimension of a block of candidates, one a lane.
pub(super) type Line<const V: usize> = [[f32; LANES]; V];

/// The dimensions of a tile.
type Lines<const V: usize> = [Line<V>; TILE];

/// The partial sums of [`crate::small::dot`]: dimension t goes to line `t % 16`.
#[repr(align(64))]
pub(super) struct Partial<const V: usize>(pub [Lines<V>; LANES / TILE]);

/// A block of candidates.
pub(super) struct Dims<'a, const V: usize> {
    pub tables: &'a Tables<'a>,
    /// The weights of M's rows and of Mhat's, but those of the first rows.
    pub w: &'a [Line<V>],
    pub what: &'a [Line<V>],
    /// `[d]`, and zeros up to whole tiles: the candidates.
    pub block: &'a [Line<V>],
    /// The block after, which is fetched meanwhile.
    pub next: &'a Places<'a>,
}

/// The sums of a tile.
#[repr(align(64))]
#[derive(Clone, Copy)]
struct Sums<const V: usize> {
    h: Lines<V>,
    hhat: Lines<V>,
    z: Lines<V>,
}

impl<const V: usize> Dims<'_, V> {
    /// Adds `h_c * c` to the partial sums.
    #[inline(always)]
    pub fn add_dots<S: Simd>(self, s: S, partial: &mut Partial<V>) {
        let (c, _) = self.block.as_chunks::<TILE>();
        if !self.tables.gated {
            for (k, (tile, c)) in self.tables.tiles().zip(c).enumerate() {
                self.fetch(k);
                let h = pool(s, self.w, &self.tables.side::<0>(tile), None);
                let partial = &mut partial.0[k % (LANES / TILE)];
                for i in 0..TILE {
                    for v in 0..V {
                        let sum = s.mul_add(h[i][v], s.load(&c[i][v]), s.load(&partial[i][v]));
                        s.store(sum, &mut partial[i][v]);
                    }
                }
            }
            return;
        }
        let none = [[[0.0; LANES]; V]; TILE];
        let mut sums = [Sums { h: none, hhat: none, z: none }; 2];
        let [now, before] = &mut sums;
        let (mut now, mut before) = (now, before);
        // Of zeros, the first time.
        let mut c_before = &none;
        for (k, (tile, c)) in self.tables.tiles().zip(c).enumerate() {
            let partial = &mut partial.0[(k + LANES / TILE - 1) % (LANES / TILE)];
            let mut before_this = Before { sums: before, c: c_before, partial, next: self.next, k };
            self.gated(s, &self.tables.gated(tile), now, &mut before_this);
            (now, before, c_before) = (before, now, c);
        }
        let k = c.len();
        let partial = &mut partial.0[(k + LANES / TILE - 1) % (LANES / TILE)];
        let mut last = Before { sums: before, c: c_before, partial, next: self.next, k: 0 };
        for i in 0..TILE {
            tile::all_steps(s, &mut last.finish(s, i));
        }
    }

    /// Asks for what tile `k` does not ask for in between.
    #[inline(always)]
    fn fetch(&self, k: usize) {
        for i in 0..TILE * V {
            self.next.fetch(k % (LANES / TILE) * TILE * V + i, k * TILE);
        }
    }

    /// The sums of a tile: h, hhat, and z. In between, the tile before is finished: its gates are long chains of
    /// operations, which leave the multipliers waiting unless there are other sums to do.
    #[inline(always)]
    fn gated<S: Simd>(&self, s: S, tile: &Gated, now: &mut Sums<V>, before: &mut Before<V>) {
        let sums = pool_while(s, self.w, &tile.m, None, &mut before.finish(s, 0));
        store_all(s, sums, &mut now.h);
        let sums = pool_while(s, self.what, &tile.mhat, None, &mut before.finish(s, 1));
        store_all(s, sums, &mut now.hhat);
        let sums = pool_while(s, self.w, &tile.gate_m, None, &mut before.finish(s, 2));
        let sums = pool_while(s, self.what, &tile.gate_mhat, Some(sums), &mut before.finish(s, 3));
        store_all(s, sums, &mut now.z);
    }
}

/// A tile whose sums are known.
struct Before<'a, const V: usize> {
    sums: &'a Sums<V>,
    c: &'a Lines<V>,
    partial: &'a mut Lines<V>,
    /// What is fetched meanwhile: the part of tile `k`.
    next: &'a Places<'a>,
    k: usize,
}

impl<const V: usize> Before<'_, V> {
    /// Adding `h_c * c` of one dimension.
    #[inline(always)]
    fn finish<S: Simd>(&mut self, s: S, i: usize) -> Finish<'_, S, V> {
        let mut z = [s.zero(); V];
        for (z, line) in z.iter_mut().zip(&self.sums.z[i]) {
            *z = s.load(line);
        }
        Finish {
            sigmoids: Sigmoids::new(s, z),
            h: &self.sums.h[i],
            hhat: &self.sums.hhat[i],
            c: &self.c[i],
            partial: &mut self.partial[i],
            next: self.next,
            row: (self.k % (LANES / TILE) * TILE + i) * V,
            t: self.k * TILE,
        }
    }
}

/// The gate of one dimension, and what it is for.
struct Finish<'a, S: Simd, const V: usize> {
    sigmoids: Sigmoids<S, V>,
    h: &'a Line<V>,
    hhat: &'a Line<V>,
    c: &'a Line<V>,
    partial: &'a mut Line<V>,
    /// Of `V` rows of the next block, from `row` on, the line of dimension `t` is fetched.
    next: &'a Places<'a>,
    row: usize,
    t: usize,
}

impl<S: Simd, const V: usize> tile::Meanwhile<S> for Finish<'_, S, V> {
    #[inline(always)]
    fn step<const I: usize>(&mut self, s: S) {
        self.sigmoids.step::<I>(s);
        if I.is_multiple_of(2) && I / 2 < V {
            self.next.fetch(self.row + I / 2, self.t);
        }
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

#[inline(always)]
fn store_all<S: Simd, const V: usize>(s: S, sums: [[S::F32; V]; TILE], to: &mut Lines<V>) {
    for i in 0..TILE {
        for v in 0..V {
            s.store(sums[i][v], &mut to[i][v]);
        }
    }
}

/// The weighted sum of a table's dimensions, `start +` where there is one: one chain, from the first row on.
#[inline(always)]
fn pool<S: Simd, const V: usize>(
    s: S,
    w: &[Line<V>],
    part: &Part,
    start: Option<[[S::F32; V]; TILE]>,
) -> [[S::F32; V]; TILE] {
    let sums = starts(s, part, start);
    tile::strided(s, (part.rest, 1, TILE), (w.as_flattened().as_flattened(), V * LANES), w.len(), sums)
}

/// [`pool`], and a dimension of another tile.
#[inline(always)]
fn pool_while<S: Simd, const V: usize>(
    s: S,
    w: &[Line<V>],
    part: &Part,
    start: Option<[[S::F32; V]; TILE]>,
    other: &mut Finish<S, V>,
) -> [[S::F32; V]; TILE] {
    let sums = starts(s, part, start);
    tile::strided_while(s, (part.rest, 1, TILE), (w.as_flattened().as_flattened(), V * LANES), w.len(), sums, other)
}

/// Where the chains of [`pool`] start.
#[inline(always)]
fn starts<S: Simd, const V: usize>(s: S, part: &Part, start: Option<[[S::F32; V]; TILE]>) -> [[S::F32; V]; TILE] {
    let mut sums = [[s.zero(); V]; TILE];
    for i in 0..TILE {
        let first = s.splat(part.first[i]);
        sums[i] = [first; V];
        if let Some(start) = &start {
            for v in 0..V {
                sums[i][v] = s.add(start[i][v], first);
            }
        }
    }
    sums
}
