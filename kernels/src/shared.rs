//! Equations 14 to 17 with the head `vanilla` for users who are all scored the same candidates, forward and backward: what a
//! softmax over shared candidates trains on.
//!
//! The forward pass is [`crate::score::vanilla`], user by user. The backward pass takes 64 candidates at a time, one a lane,
//! and computes again for each user in turn what the scores came from. With `M` the rows of a user, `P = M W_f1^T` their gate
//! table, and the same with hats for the other side:
//!
//! ```text
//! w = softmax(M c / sqrt(d))       h = M^T w      z = P^T w + Phat^T what + b_f      F = sigmoid(z)      h_c = F h + (1 - F) hhat
//! u = dscore c                     dc += dscore h_c
//! dh = F u        dhhat = (1 - F) u        dz = F (1 - F) (h - hhat) u               db_f += dz
//! dw = M dh + P dz                 ds = w (dw - w . dw) / sqrt(d)
//! dM += w dh^T + ds c^T            dP += w dz^T                  dc += M^T ds        (and so the other side)
//! ```
//!
//! A candidate costs a user `9 r d` multiply-adds for each side, and no product by a `d d` matrix: what becomes of `dP`, a few rows a
//! user, is left to the caller. Nothing of the size of users times candidates times d is ever held; what is, is of one block.
//! The sums go over blocks of candidates in their order, and within a block over users in theirs. With few users at a time
//! results have other roundings than with many; they depend on nothing else.

mod backward;

use crate::level::Level;
use crate::score::{self, Feature, Vanilla};
use crate::segment;
use crate::simd::LANES;
use crate::small::ALIGN_SLACK;
use std::ops::Range;

/// The tables of users with the head `vanilla`, as [`Vanilla`] has those of one, one user's rows after the other's.
#[derive(Clone, Copy, Debug)]
pub struct Users<'a> {
    /// Width.
    pub d: usize,
    /// `[users + 1]`: where each user's rows begin, in all tables. Each has at least one.
    pub offsets: &'a [u32],
    /// `[rows, d]`: M.
    pub m: &'a [f32],
    /// The other side and the gate; `None` where `h_c = h`.
    pub feature: Option<Feature<'a>>,
}

/// Where the gradients go, all added to.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// Of M.
    pub m: &'a mut [f32],
    /// Of the other side, where there is one.
    pub feature: Option<FeatureGradients<'a>>,
    /// `[n, d]`: of the candidates.
    pub c: &'a mut [f32],
}

/// The gradients of a [`Feature`].
#[derive(Debug)]
pub struct FeatureGradients<'a> {
    /// Of Mhat.
    pub mhat: &'a mut [f32],
    /// Of `M W_f1^T`, taken by itself.
    pub gate_m: &'a mut [f32],
    /// Of `Mhat W_f2^T`, taken by itself.
    pub gate_mhat: &'a mut [f32],
    /// Of b_f.
    pub gate_bias: &'a mut [f32],
}

impl<'a> Users<'a> {
    /// The number of users, after a check of all lengths.
    fn check(&self, c: &[f32], score: &[f32]) -> usize {
        let d = self.d;
        let users = segment::check(self.offsets, segment::rows(self.m.len(), d));
        assert!(segment::ranges(self.offsets).all(|rows| !rows.is_empty()), "a user needs at least one row");
        assert_eq!(score.len(), users * segment::rows(c.len(), d), "scores of {users} users");
        if let Some(f) = &self.feature {
            let lengths = [f.mhat.len(), f.gate_m.len(), f.gate_mhat.len()];
            assert_eq!(lengths, [self.m.len(); 3], "M, Mhat or a gate table differ in length");
            assert_eq!(f.gate_bias.len(), d, "the gate's bias has the wrong length");
        }
        users
    }

    /// The tables of one user, which has the given rows.
    pub(crate) fn one(&self, rows: Range<usize>) -> Vanilla<'a> {
        let of = rows.start * self.d..rows.end * self.d;
        let feature = self.feature.map(|f| Feature {
            mhat: &f.mhat[of.clone()],
            gate_m: &f.gate_m[of.clone()],
            gate_mhat: &f.gate_mhat[of.clone()],
            gate_bias: f.gate_bias,
        });
        Vanilla { d: self.d, m: &self.m[of], feature }
    }

    /// Floats of scratch that [`forward`] needs.
    pub fn scratch_len(&self) -> usize {
        let longest = segment::ranges(self.offsets).max_by_key(|rows| rows.len());
        longest.map_or(0, |rows| self.one(rows).scratch_len())
    }

    /// Floats of scratch that [`backward`] needs, however many candidates there are.
    pub fn backward_scratch_len(&self) -> usize {
        backward::scratch_lines(self.d, segment::longest(self.offsets)) * LANES + ALIGN_SLACK
    }
}

/// The scores `score` `[users, n]` of the candidates `c` `[n, d]` with the biases `bias` `[n]`.
///
/// # Panics
/// If lengths do not fit each other, a user has no rows, or `scratch` is shorter than [`Users::scratch_len`].
pub fn forward(level: Level, users: &Users, c: &[f32], bias: &[f32], score: &mut [f32], scratch: &mut [f32]) {
    users.check(c, score);
    let n = c.len() / users.d;
    assert_eq!(bias.len(), n, "biases of {n} candidates");
    for (rows, score) in segment::ranges(users.offsets).zip(score.chunks_exact_mut(n.max(1))) {
        score::vanilla(level, &users.one(rows), c.into(), bias, score, scratch);
    }
}

/// The gradients of [`forward`], from those of the scores, `dscore` `[users, n]`. That of a candidate's bias is the sum of
/// its column.
///
/// # Panics
/// If lengths do not fit each other, a user has no rows, or `scratch` is shorter than [`Users::backward_scratch_len`].
pub fn backward(level: Level, users: &Users, c: &[f32], dscore: &[f32], out: Gradients, scratch: &mut [f32]) {
    users.check(c, dscore);
    assert_eq!((out.m.len(), out.c.len()), (users.m.len(), c.len()), "gradients differ in length from their values");
    assert_eq!(out.feature.is_some(), users.feature.is_some(), "gradients of a side that is not there");
    if let Some(f) = &out.feature {
        let lengths = [f.mhat.len(), f.gate_m.len(), f.gate_mhat.len(), f.gate_bias.len()];
        let len = users.m.len();
        assert_eq!(lengths, [len, len, len, users.d], "gradients differ in length from their values");
    }
    let scratch = &mut scratch[..users.backward_scratch_len()];
    level.dispatch(backward::Backward { users, c, dscore, out, scratch });
}
