//! A user's tables as the kernel reads them.
//!
//! The weights of a softmax sum to 1, and do not change if all its terms change alike. So all rows are taken relative to
//! the first: `sum_j w_j m_j = m_0 + sum_{j > 0} w_j (m_j - m_0)`, with weights from the scores `c . (m_j - m_0)`. The first
//! row then costs a candidate nothing: a tenth of all multiply-adds at r = 10. [`crate::pooling`] does the same.

use super::{Vanilla, group};
use crate::simd::tile::Lanes;
use crate::simd::{LANES, Simd};
use crate::small::{add, load, store};

/// One table `[rows, d]`.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    /// `[d]`: where its sums start.
    pub first: &'a [f32],
    /// `[rows - 1, d]`: the other rows less the first.
    pub rest: &'a [f32],
}

impl<'a> Table<'a> {
    /// `table` `[rows, d]`, with room for what it computes taken from `scratch`.
    #[inline(always)]
    fn new<S: Simd>(s: S, table: &'a [f32], d: usize, scratch: &mut &'a mut [f32]) -> Self {
        let (first, others) = table.split_at(d);
        let rest = take(scratch, others.len());
        for (row, rest) in others.chunks_exact(d).zip(rest.chunks_exact_mut(d)) {
            let parts = row.chunks(LANES).zip(first.chunks(LANES)).zip(rest.chunks_mut(LANES));
            for ((x, first), rest) in parts {
                store(s, s.sub(load(s, x), load(s, first)), rest);
            }
        }
        Self { first, rest }
    }

    /// The dimensions from `t` of the other rows, as [`crate::simd::tile::strided`] takes them.
    #[inline(always)]
    pub fn rest_from(&self, t: usize) -> (&'a [f32], usize, usize) {
        // A table of one row has no rest.
        (self.rest.get(t..).unwrap_or(&[]), 1, self.first.len())
    }
}

/// M or Mhat.
#[derive(Clone, Copy)]
pub(super) struct Side<'a> {
    pub rows: Table<'a>,
    /// The differences once more, as [`pack_keys`] lays them out.
    pub keys: &'a [f32],
}

impl<'a> Side<'a> {
    #[inline(always)]
    fn new<S: Simd>(s: S, table: &'a [f32], d: usize, scratch: &mut &'a mut [f32]) -> Self {
        let rows = Table::new(s, table, d, scratch);
        let keys = take(scratch, keys_len(rows.rest.len()));
        pack_keys(s, d, rows.rest, keys);
        Self { rows, keys }
    }
}

/// The second side and the gate.
#[derive(Clone, Copy)]
pub(super) struct Gated<'a> {
    pub side: Side<'a>,
    /// M W_f1^T, whose first row the bias has been added to.
    pub gate_m: Table<'a>,
    /// Mhat W_f2^T.
    pub gate_mhat: Table<'a>,
}

/// All of a user.
#[derive(Clone, Copy)]
pub(super) struct Tables<'a> {
    pub d: usize,
    pub side: Side<'a>,
    pub gated: Option<Gated<'a>>,
}

/// Floats of scratch for the tables of a user with so many rows.
pub(super) const fn scratch_len(d: usize, rows: usize, rows_hat: usize) -> usize {
    3 * (rows + rows_hat) * d + d + 2 * LANES
}

impl<'a> Tables<'a> {
    #[inline(always)]
    pub fn new<S: Simd>(s: S, user: &Vanilla<'a>, mut scratch: &'a mut [f32]) -> Self {
        let d = user.d;
        let scratch = &mut scratch;
        let side = Side::new(s, user.m, d, scratch);
        let gated = user.feature.map(|f| {
            let mut gate_m = Table::new(s, f.gate_m, d, scratch);
            let start = take(scratch, d);
            start.copy_from_slice(gate_m.first);
            add(s, f.gate_bias, start);
            gate_m.first = start;
            Gated { side: Side::new(s, f.mhat, d, scratch), gate_m, gate_mhat: Table::new(s, f.gate_mhat, d, scratch) }
        });
        Self { d, side, gated }
    }
}

/// The first `len` floats of `scratch`, which loses them.
fn take<'a>(scratch: &mut &'a mut [f32], len: usize) -> &'a mut [f32] {
    scratch.split_off_mut(..len).expect("scratch_len counts all")
}

/// Floats of [`pack_keys`] for so many.
const fn keys_len(rest: usize) -> usize {
    if rest == 0 { 0 } else { rest + LANES }
}

/// The rows of `keys`, by [`group`]: `[d, rows of the group]`. Side by side, as they are read: in rows some cache lines
/// apart they would all lie in one bank of the first level cache.
#[inline(always)]
fn pack_keys<S: Simd>(s: S, d: usize, keys: &[f32], out: &mut [f32]) {
    let rows = keys.len() / d;
    let mut j = 0;
    while j < rows {
        let n = group::<S>(rows - j);
        let lanes = Lanes::new(keys, d, (j..j + n).map(|j| j * d));
        for at in (0..d).step_by(LANES) {
            let columns = s.transpose(lanes.load(s, at));
            for (t, column) in columns.into_iter().enumerate().take(d - at) {
                // What stands beyond the n is overwritten by the next.
                s.store(column, &mut out[j * d + (at + t) * n..]);
            }
        }
        j += n;
    }
}
