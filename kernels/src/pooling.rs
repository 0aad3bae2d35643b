//! The pooling heads: a candidate attends over the rows of its user (equations 14, 15).
//!
//! Everything is two steps, [`weights`] and [`pool_rows`], which may be called with different row tables:
//!
//! | head | keys | rows that are summed | heads |
//! |---|---|---|---|
//! | `vanilla` | X | X, and the gate's tables `X W_f^T` | 1 |
//! | `atrank` | `relu(X W_k^T + b_k)` | `relu(X W_v^T + b_v)` | 8 |
//!
//! and [`mean`] for the head that ignores the candidate.
//!
//! Rows are ragged: sample b has the rows `offsets[b]..offsets[b + 1]`, and `candidates` queries of its own. Weights are stored
//! sample by sample, in each `[candidates, heads, R_b]`.
//!
//! The weights of a softmax sum to 1, and stay the same if all its terms change alike. So keys and rows are taken relative to a
//! sample's first: `sum_j w_j y_j = y_0 + sum_{j > 0} w_j (y_j - y_0)`. Here it costs a little; [`crate::score`], which
//! forms the differences once for many candidates, is spared one row in r.
//!
//! With [`Mask::Causal`] the queries of a sample are its own rows, in order, and each sees the rows up to itself. Weights keep
//! their layout, with 0 for what is not seen.
//!
//! The order of every sum is part of the contract, because [`crate::score`] repeats it for blocks of candidates: scores are one
//! chain of `mul_add` over the dimensions of a head, the softmax adds its terms from the first row to the last, and a pooled
//! dimension is one chain over the rows.

mod kernels;

use crate::level::Level;
use crate::segment;
use crate::simd::LANES;
use crate::small::{ALIGN_SLACK, aligned};
use kernels::{Mean, MeanBackward, PoolRows, PoolRowsBackward, Weights, WeightsBackward};

/// Which rows of its sample a query sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mask {
    /// All of them.
    #[default]
    Full,
    /// Query i sees rows 0 to i: self-attention that cannot look ahead.
    Causal,
}

/// The shapes of a pooling over a batch.
#[derive(Clone, Copy, Debug)]
pub struct Pool<'a> {
    /// Width of a query, a key and a pooled row.
    pub d: usize,
    /// Attention heads: head h has the columns `h d / heads ..`.
    pub heads: usize,
    /// Queries of each sample.
    pub candidates: usize,
    /// `[B + 1]`: the rows of each sample.
    pub offsets: &'a [u32],
    /// Which of them a query sees.
    pub mask: Mask,
}

impl Pool<'_> {
    /// Samples.
    pub fn samples(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Rows of all samples together.
    pub fn rows(&self) -> usize {
        self.offsets.last().map_or(0, |&n| n as usize)
    }

    /// Columns of one head.
    ///
    /// # Panics
    /// If `heads` does not divide `d`.
    pub fn width(&self) -> usize {
        assert!(self.d > 0 && self.heads > 0, "pooling needs at least one dimension and one head");
        assert_eq!(self.d % self.heads, 0, "{} heads do not divide the width {}", self.heads, self.d);
        self.d / self.heads
    }

    /// Floats of all weights.
    pub fn weights_len(&self) -> usize {
        self.candidates * self.heads * self.rows()
    }

    /// Floats of scratch that [`weights`] needs.
    pub fn scratch_len(&self) -> usize {
        segment::longest(self.offsets).next_multiple_of(LANES) * self.d + ALIGN_SLACK
    }

    /// How many of a sample's `n` rows the query `i` sees.
    pub(crate) fn seen(&self, i: usize, n: usize) -> usize {
        match self.mask {
            Mask::Full => n,
            Mask::Causal => (i + 1).min(n),
        }
    }

    fn check(&self, queries: &[f32], rows: &[f32], weights: &[f32]) {
        self.width();
        let samples = segment::check(self.offsets, segment::rows(rows.len(), self.d));
        if self.mask == Mask::Causal {
            let own = segment::ranges(self.offsets).all(|rows| rows.len() == self.candidates);
            assert!(own, "a causal mask needs as many queries of each sample as it has rows");
        }
        assert_eq!(queries.len(), samples * self.candidates * self.d, "queries have the wrong length");
        assert_eq!(weights.len(), self.weights_len(), "weights have the wrong length");
    }
}

/// Equation 14's softmax: `w = softmax_rows(q keys^T / sqrt(d / heads))` for each head.
///
/// `q` `[B C, d]`, `keys` `[rows, d]`, `w` as the module says.
///
/// # Panics
/// If a length does not fit, `heads` does not divide `d`, `scratch` is shorter than [`Pool::scratch_len`], or the mask is causal
/// and a sample has not as many queries as rows.
pub fn weights(level: Level, p: &Pool, q: &[f32], keys: &[f32], w: &mut [f32], scratch: &mut [f32]) {
    p.check(q, keys, w);
    let transposed = aligned(&mut scratch[..p.scratch_len()]);
    level.dispatch(Weights { p, q, keys, w, transposed });
}

/// The gradients of [`weights`]: `dq` and `dkeys` are added to, `dw` becomes the gradient of `q keys^T`.
///
/// # Panics
/// As [`weights`].
#[allow(clippy::too_many_arguments)]
pub fn weights_backward(
    level: Level,
    p: &Pool,
    q: &[f32],
    keys: &[f32],
    w: &[f32],
    dw: &mut [f32],
    dq: &mut [f32],
    dkeys: &mut [f32],
) {
    p.check(q, keys, w);
    p.check(dq, dkeys, dw);
    level.dispatch(WeightsBackward { p, q, keys, w, dw, dq, dkeys });
}

/// Equation 15's sum: `out[c, d] = sum_j w[c, head of d, j] y[j, d]`, over any row table `y` `[rows, d]`, for weights that sum
/// to 1: that of a sample's first row is not read.
///
/// With `accumulate` the sums start from what `out` `[B C, d]` holds.
///
/// # Panics
/// If a length does not fit, `heads` does not divide `d`, or the mask is causal and a sample has not as many queries as rows.
pub fn pool_rows(level: Level, p: &Pool, w: &[f32], y: &[f32], accumulate: bool, out: &mut [f32]) {
    p.check(out, y, w);
    level.dispatch(PoolRows { p, w, y, accumulate, out });
}

/// The gradients of [`pool_rows`], both added to: `dw` and `dy`.
///
/// # Panics
/// As [`pool_rows`].
pub fn pool_rows_backward(level: Level, p: &Pool, w: &[f32], y: &[f32], dout: &[f32], dw: &mut [f32], dy: &mut [f32]) {
    p.check(dout, y, w);
    p.check(dout, dy, dw);
    level.dispatch(PoolRowsBackward { p, w, y, dout, dw, dy });
}

/// The head `mean`: the mean of each sample's rows, `out` `[B, d]`; 0 for a sample without rows.
///
/// # Panics
/// If a length does not fit.
pub fn mean(level: Level, d: usize, offsets: &[u32], x: &[f32], out: &mut [f32]) {
    let samples = segment::check(offsets, segment::rows(x.len(), d));
    assert_eq!(out.len(), samples * d, "the means have the wrong length");
    level.dispatch(Mean { d, offsets, x, out });
}

/// The gradient of [`mean`], added to `dx`.
///
/// # Panics
/// As [`mean`].
pub fn mean_backward(level: Level, d: usize, offsets: &[u32], dout: &[f32], dx: &mut [f32]) {
    let samples = segment::check(offsets, segment::rows(dx.len(), d));
    assert_eq!(dout.len(), samples * d, "the means' gradients have the wrong length");
    level.dispatch(MeanBackward { d, offsets, dout, dx });
}
