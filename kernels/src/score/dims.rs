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
    pub w: &'a [f32],
    pub what: &'a [f32],
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

/// No sums.
const fn zeros<const V: usize>() -> Lines<V> {
    [[[0.0; LANES]; V]; TILE]
}

/// Room for [`Pipeline`].
pub(super) struct Room<const V: usize> {
    sums: [Sums<V>; 2],
    partial: [Partial<V>; 2],
}

impl<const V: usize> Room<V> {
    #[inline(always)]
    pub fn new() -> Self {
        let sums = Sums { h: zeros(), hhat: zeros(), z: zeros() };
        Self { sums: [sums; 2], partial: [Partial([zeros(); LANES / TILE]), Partial([zeros(); LANES / TILE])] }
    }
}

/// What one block leaves to the next: its last tile is finished between the sums of the next block's first one.
pub(super) struct Pipeline<'a, const V: usize> {
    now: &'a mut Sums<V>,
    before: &'a mut Sums<V>,
    /// The candidates' part of the tile before.
    c: Lines<V>,
    partial: &'a mut Partial<V>,
    /// Those of the block before.
    pub finished: &'a mut Partial<V>,
    /// The place of a block's last tile in them.
    last: usize,
}

impl<'a, const V: usize> Pipeline<'a, V> {
    /// For blocks of width `d`.
    #[inline(always)]
    pub fn new(d: usize, room: &'a mut Room<V>) -> Self {
        let [now, before] = &mut room.sums;
        let [partial, finished] = &mut room.partial;
        // Before the first block comes a tile of zeros.
        Self { now, before, c: zeros(), partial, finished, last: (d.div_ceil(TILE) - 1) % (LANES / TILE) }
    }

    /// Adds `h_c * c` to the partial sums of a block. Afterwards those of the block before are [`Pipeline::finished`].
    #[inline(always)]
    pub fn add_dots<S: Simd>(&mut self, s: S, block: &Dims<V>) {
        std::mem::swap(&mut self.partial, &mut self.finished);
        self.partial.0.fill(zeros());
        if !block.tables.gated {
            return block.add_pooled(s, self.partial);
        }
        let (mut now, mut before) = (&mut *self.now, &mut *self.before);
        let mut c_before = &self.c;
        let mut partial = &mut self.finished.0[self.last];
        for (k, (tile, c)) in block.tables.tiles().zip(block.block.as_chunks::<TILE>().0).enumerate() {
            let mut last = Before { sums: before, c: c_before, partial, next: block.next, k };
            block.gated(s, &block.tables.gated(tile), now, &mut last);
            (now, before, c_before) = (before, now, c);
            partial = &mut self.partial.0[k % (LANES / TILE)];
        }
        self.c = *c_before;
        if block.block.len() / TILE % 2 == 1 {
            std::mem::swap(&mut self.now, &mut self.before);
        }
    }

    /// After the last block: its partial sums.
    #[inline(always)]
    pub fn finish<S: Simd>(&mut self, s: S, block: &Dims<V>) -> &Partial<V> {
        if block.tables.gated {
            let partial = &mut self.partial.0[self.last];
            let mut last = Before { sums: self.before, c: &self.c, partial, next: block.next, k: 0 };
            for i in 0..TILE {
                tile::all_steps(s, &mut last.finish(s, i));
            }
        }
        self.partial
    }
}

impl<const V: usize> Dims<'_, V> {
    /// Where `h_c = h`.
    #[inline(always)]
    fn add_pooled<S: Simd>(&self, s: S, partial: &mut Partial<V>) {
        for (k, (tile, c)) in self.tables.tiles().zip(self.block.as_chunks::<TILE>().0).enumerate() {
            self.fetch(k);
            let h: [[S::F32; V]; TILE] = pool(s, self.w, &self.tables.side::<0>(tile));
            let partial = &mut partial.0[k % (LANES / TILE)];
            for i in 0..TILE {
                for v in 0..V {
                    let sum = s.mul_add(h[i][v], s.load(&c[i][v]), s.load(&partial[i][v]));
                    s.store(sum, &mut partial[i][v]);
                }
            }
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
        // Counted, not zipped: see `simd::tile`.
        #[allow(clippy::needless_range_loop)]
        for v in 0..V {
            z[v] = s.load(&self.sums.z[i][v]);
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

/// The weighted sum of a table's dimensions: one chain, from the first row on.
#[inline(always)]
fn pool<S: Simd, const V: usize>(s: S, w: &[f32], part: &Part) -> [[S::F32; V]; TILE] {
    let sums = starts(s, part, None);
    tile::strided(s, (part.rest, 1, TILE), (w, V * LANES), w.len() / (V * LANES), sums)
}

/// [`pool`], `start +` where there is one, and a dimension of another tile.
#[inline(always)]
fn pool_while<S: Simd, const V: usize>(
    s: S,
    w: &[f32],
    part: &Part,
    start: Option<[[S::F32; V]; TILE]>,
    other: &mut Finish<S, V>,
) -> [[S::F32; V]; TILE] {
    let sums = starts(s, part, start);
    tile::strided_while(s, (part.rest, 1, TILE), (w, V * LANES), w.len() / (V * LANES), sums, other)
}

/// Where the chains of [`pool`] and [`pool_while`] start.
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
