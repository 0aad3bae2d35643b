//! A user's tables as the kernel reads them.
//!
//! The weights of a softmax sum to 1, and do not change if all its terms change alike. So all rows are taken relative to
//! the first: `sum_j w_j m_j = m_0 + sum_{j > 0} w_j (m_j - m_0)`, with weights from the scores `c . (m_j - m_0)`. The first
//! row then costs a candidate nothing: a tenth of all multiply-adds at r = 10. [`crate::pooling`] does the same.

use super::Vanilla;
use crate::simd::{LANES, Simd};
use crate::small::load;

/// Dimensions of a tile: with three vectors of candidates 12 sums, which leave registers for a gate.
pub(super) const TILE: usize = 4;

/// All of a user, a few dimensions at a time.
#[derive(Clone, Copy)]
pub(super) struct Tables<'a> {
    /// Rows of M and of Mhat but the first.
    pub others: [usize; 2],
    /// Whether there is a second side and the gate.
    pub gated: bool,
    /// For each tile of dimensions one [`Part`] after the other: of M, and with a gate of `M W_f1^T` (and the bias),
    /// Mhat and `Mhat W_f2^T`. They are read in this order, and one dimension of all rows would otherwise lie in one
    /// bank of the first level cache. Beyond d there are zeros.
    tiles: &'a [f32],
    /// Floats of a tile.
    len: usize,
}

/// Some dimensions of one table.
#[derive(Clone, Copy)]
pub(super) struct Part<'a> {
    /// Of its first row: where its sums start.
    pub first: &'a [f32; TILE],
    /// `[rows - 1, TILE]`: of the others, less the first.
    pub rest: &'a [f32],
}

/// The parts of one tile with a gate.
pub(super) struct Gated<'a> {
    pub m: Part<'a>,
    pub gate_m: Part<'a>,
    pub mhat: Part<'a>,
    pub gate_mhat: Part<'a>,
}

/// Floats of scratch for the tables of a user with so many rows.
pub(super) const fn scratch_len(d: usize, rows: usize, rows_hat: usize) -> usize {
    2 * (rows + rows_hat) * d.next_multiple_of(TILE)
}

/// The rows in which the parts of a tile begin: M, its gate table, Mhat and its gate table.
const fn starts(rows: usize, rows_hat: usize) -> [usize; 4] {
    [0, rows, 2 * rows, 2 * rows + rows_hat]
}

impl<'a> Tables<'a> {
    #[inline(always)]
    pub fn new<S: Simd>(s: S, user: &Vanilla<'a>, scratch: &'a mut [f32]) -> Self {
        let d = user.d;
        let (rows, rows_hat) = user.rows();
        let len = match user.feature {
            None => rows * TILE,
            Some(_) => 2 * (rows + rows_hat) * TILE,
        };
        let tiles = &mut scratch[..d.div_ceil(TILE) * len];
        pack(s, d, (user.m, None), tiles, (0, len));
        if let Some(f) = &user.feature {
            let [_, gate_m, mhat, gate_mhat] = starts(rows, rows_hat);
            pack(s, d, (f.gate_m, Some(f.gate_bias)), tiles, (gate_m * TILE, len));
            pack(s, d, (f.mhat, None), tiles, (mhat * TILE, len));
            pack(s, d, (f.gate_mhat, None), tiles, (gate_mhat * TILE, len));
        }
        Self { others: [rows - 1, rows_hat.saturating_sub(1)], gated: user.feature.is_some(), tiles, len }
    }

    /// The tiles, in the order of their dimensions.
    #[inline(always)]
    pub fn tiles(&self) -> std::slice::ChunksExact<'a, f32> {
        self.tiles.chunks_exact(self.len)
    }

    /// The part of M in a tile, or with `SIDE` 1 of Mhat.
    #[inline(always)]
    pub fn side<const SIDE: usize>(&self, tile: &'a [f32]) -> Part<'a> {
        let [m, mhat] = self.others;
        Part::new(tile, starts(m + 1, mhat + 1)[2 * SIDE], self.others[SIDE])
    }

    /// All parts of a tile, which has a gate.
    #[inline(always)]
    pub fn gated(&self, tile: &'a [f32]) -> Gated<'a> {
        let [m, mhat] = self.others;
        let [_, gate_m, _, gate_mhat] = starts(m + 1, mhat + 1);
        Gated {
            m: self.side::<0>(tile),
            gate_m: Part::new(tile, gate_m, m),
            mhat: self.side::<1>(tile),
            gate_mhat: Part::new(tile, gate_mhat, mhat),
        }
    }
}

impl<'a> Part<'a> {
    /// The part that begins with row `at` of a tile.
    #[inline(always)]
    fn new(tile: &'a [f32], at: usize, others: usize) -> Self {
        let (rows, _) = tile.as_chunks::<TILE>();
        let rows = &rows[at..at + 1 + others];
        Self { first: &rows[0], rest: rows[1..].as_flattened() }
    }
}

/// Writes a table `[rows, d]` to all tiles, `at` floats from the beginning of each: the first row, to which the bias is
/// added, and the others less the first.
#[inline(always)]
fn pack<S: Simd>(
    s: S,
    d: usize,
    (table, bias): (&[f32], Option<&[f32]>),
    tiles: &mut [f32],
    (at, len): (usize, usize),
) {
    for t in (0..d).step_by(LANES) {
        let end = d.min(t + LANES);
        let base = load(s, &table[t..end]);
        for (j, row) in table.chunks_exact(d).enumerate() {
            let x = load(s, &row[t..end]);
            let x = match (j, bias) {
                (0, None) => x,
                (0, Some(bias)) => s.add(x, load(s, &bias[t..end])),
                _ => s.sub(x, base),
            };
            let x = s.to_array(x);
            let tiles = tiles.chunks_exact_mut(len).skip(t / TILE);
            for (x, tile) in x.as_chunks::<TILE>().0.iter().zip(tiles) {
                tile[at + j * TILE..][..TILE].copy_from_slice(x);
            }
        }
    }
}
