//! Many candidates of one user, with the bits of the training path.
//!
//! The user's part of the gate is computed once: `sum_j w_j (W_f1 m_j)` is `W_f1 h`, so the tables `M W_f1^T` and
//! `Mhat W_f2^T` make a candidate cost `r d` multiply-adds for the gate instead of `d d`. And all tables are taken
//! relative to their first rows, which leaves `r - 1`.
//!
//! Candidates are taken 16 at a time, or up to 48, one a lane, and each lane repeats the order of sums of [`crate::pooling`] and
//! [`crate::gate`]; up to 8 candidates go through these themselves. A training forward that goes
//!
//! ```text
//! w    = pooling::weights(c, M)            what = pooling::weights(c, Mhat)
//! h    = pooling::pool_rows(w, M)          hhat = pooling::pool_rows(what, Mhat)
//! z    = b_f in every row, accumulated: pool_rows(w, M W_f1^T), then pool_rows(what, Mhat W_f2^T)
//! hc   = gate::forward(z, h, hhat)
//! score = gate::dot_rows(hc, c, bias)
//! ```
//!
//! therefore gives equal bits at one level, which `tests/score.rs` demands.

mod ahead;
mod dims;
mod few;
mod kernels;
mod stored;
mod tables;

pub use stored::{Second, StoredRows, fixed_stored};

use crate::level::Level;
use crate::segment;
use crate::simd::LANES;
use crate::small::{ALIGN_SLACK, Rows};
use kernels::{FixedScores, VanillaScores, scratch_lines};

/// The tables of one user for the head `vanilla`.
#[derive(Clone, Copy, Debug)]
pub struct Vanilla<'a> {
    /// Width.
    pub d: usize,
    /// `[rows, d]`: M, or H in the variant without item level attention.
    pub m: &'a [f32],
    /// The feature level's part; `None` in the variant without it, where `h_c = h`.
    pub feature: Option<Feature<'a>>,
}

/// The second half of the head, and the gate.
#[derive(Clone, Copy, Debug)]
pub struct Feature<'a> {
    /// `[rows, d]`: Mhat.
    pub mhat: &'a [f32],
    /// `[rows of M, d]`: `M W_f1^T`.
    pub gate_m: &'a [f32],
    /// `[rows, d]`: `Mhat W_f2^T`.
    pub gate_mhat: &'a [f32],
    /// `[d]`: b_f.
    pub gate_bias: &'a [f32],
}

impl Vanilla<'_> {
    /// Floats of scratch that [`vanilla`] needs.
    pub fn scratch_len(&self) -> usize {
        let (rows, rows_hat) = self.rows();
        (scratch_lines(self.d, rows, rows_hat) * LANES + ALIGN_SLACK).max(few::scratch_len(self.d, rows, rows_hat))
    }

    /// The rows of M and of Mhat.
    fn rows(&self) -> (usize, usize) {
        let d = self.d.max(1);
        (self.m.len() / d, self.feature.map_or(0, |f| f.mhat.len() / d))
    }

    fn check(&self) {
        assert!(segment::rows(self.m.len(), self.d) > 0, "a user needs at least one row");
        if let Some(f) = &self.feature {
            assert!(segment::rows(f.mhat.len(), self.d) > 0, "a user needs at least one row");
            assert_eq!(f.gate_m.len(), self.m.len(), "M and its gate table differ in length");
            assert_eq!(f.gate_mhat.len(), f.mhat.len(), "Mhat and its gate table differ in length");
            assert_eq!(f.gate_bias.len(), self.d, "the gate's bias has the wrong length");
        }
    }
}

/// The vectors of candidates.
#[derive(Clone, Copy, Debug)]
pub struct Candidates<'a> {
    /// `[rows, d]`.
    pub table: &'a [f32],
    /// The row of each candidate; without, all rows of the table are candidates.
    pub ids: Option<&'a [u32]>,
}

impl<'a> From<&'a [f32]> for Candidates<'a> {
    fn from(table: &'a [f32]) -> Self {
        Self { table, ids: None }
    }
}

impl<'a> Candidates<'a> {
    /// The number of candidates, whose biases and scores must be as many.
    fn check(&self, d: usize, bias: &[f32], score: &[f32]) {
        let rows = segment::rows(self.table.len(), d);
        let n = self.ids.map_or(rows, <[u32]>::len);
        assert_eq!((bias.len(), score.len()), (n, n), "{n} candidates: biases or scores have the wrong length");
        // The largest, as a search that may end early is not vectorised.
        if let Some(id) = self.ids.and_then(|ids| ids.iter().max()).filter(|&&id| id as usize >= rows) {
            panic!("candidate {id} of a table of {rows} rows");
        }
    }

    pub(crate) fn rows(&self, d: usize) -> Rows<'a> {
        Rows { ids: self.ids, ..Rows::new(self.table, d) }
    }
}

/// Equations 14 to 17 for the candidates `c`, `n` rows of width d, of one user with the head `vanilla`; `bias` and `score`
/// `[n]`.
///
/// # Panics
/// If the lengths do not fit each other, the user has no rows, a candidate is not in its table, or `scratch` is shorter
/// than [`Vanilla::scratch_len`].
pub fn vanilla(level: Level, user: &Vanilla, c: Candidates, bias: &[f32], score: &mut [f32], scratch: &mut [f32]) {
    user.check();
    c.check(user.d, bias, score);
    let scratch = &mut scratch[..user.scratch_len()];
    if bias.len() <= few::MOST {
        return few::vanilla(level, user, c, bias, score, scratch);
    }
    level.dispatch(VanillaScores { user, c: c.rows(user.d), bias, score, scratch });
}

/// Equation 17 where `h_c` `[d]` does not depend on the candidate (the head `mean`): `score[i] = hc . c[i] + bias[i]`.
///
/// The bits of [`crate::gate::dot_rows`].
///
/// # Panics
/// If the lengths do not fit each other, or a candidate is not in its table.
pub fn fixed(level: Level, hc: &[f32], c: Candidates, bias: &[f32], score: &mut [f32]) {
    c.check(hc.len(), bias, score);
    level.dispatch(FixedScores { hc, c: c.rows(hc.len()), bias, score });
}
