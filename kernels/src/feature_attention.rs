//! Feature level self-attention over ragged segments, forward and backward (eq 9, 10, 12), fused.
//!
//! A sample is a segment of r rows of `M [rows, d]`. With `p_i = W_s4 m_i + b_s2` and `q_j = W_s3 m_j`, for every pair of rows
//! of one segment and every dimension apart:
//!
//! ```text
//! f_ij    = W_s5 tanh(p_i + q_j)                eq 9 (b_s1 cancels in the softmax)
//! beta_ij = exp(f_ij) / sum_j exp(f_ij)         eq 10
//! mhat_i  = sum_j beta_ij * m_j                 eq 12
//! ```
//!
//! tanh comes from `e = e^{2 p_i} e^{2 q_j}` as `(e - 1) / (e + 1)`: 2 r d exponentials and r r d divisions. A segment with a
//! `|2 p|` or `|2 q|` above 43 (or NaN), whose products could overflow, takes [`math::tanh`](crate::math::tanh) of `p_i + q_j`
//! instead, so saturated inputs of mixed signs stay right. The softmax subtracts no maximum where the weights' row sums
//! bound `|f|` by 32. Both choices depend on the segment and the weights only, so a segment has the same bits alone or in a batch.
//!
//! Where neither is needed, the pairs (i, 0) cost no products: the softmax does not change if `f_i0` is subtracted from all
//! `f_ij`, and `f_ij - f_i0 = W_s5 (t_ij - t_i0)` with `t_ij = tanh(p_i + q_j)`. Backward, the gradients of the `f_ij` of
//! an i add up to 0, so `dW_s5 = sum df_ij (t_ij - t_i0)^T` over `j > 0`, and the gradient of `t_i0` is minus the sum of the others'.
//!
//! Tiles of at most 128 pairs live in the scratch. For segments of up to [`KEEP_ROWS`] rows forward can leave the exponentials
//! (`r r d`) to backward, which saves a quarter of all multiply-adds; otherwise backward computes each tile again.
//!
//! Where all rows of a segment are equal (a history of one event), all pairs are: `mhat_i = m_i`, and no gradient reaches the
//! weights. Such a segment costs no products, unless its `p`, `q` or `W_s5` are so large (or NaN) that they need care.
//! Against `f64`, with entries of `M` of size 1, `Mhat` is within 2e-6 and gradients within 1e-5 of their largest entry.

mod backward;
mod forward;
mod tile;

use crate::gemm::packed_len;
use crate::level::Level;
use tile::{GROUP_ROWS, TILE_PAIRS, TILE_ROWS, padded};

/// Most rows of a segment whose exponentials forward keeps.
pub const KEEP_ROWS: usize = 16;

/// The weights of the forward pass, of width d.
#[derive(Clone, Copy, Debug)]
pub struct Weights<'a> {
    /// Width of every row.
    pub d: usize,
    /// `W_s3 [d, d]`, packed by [`pack_transposed`](crate::gemm::pack_transposed).
    pub w_s3: &'a [f32],
    /// `W_s4 [d, d]`, packed likewise.
    pub w_s4: &'a [f32],
    /// `W_s5 [d, d]`, packed likewise.
    pub w_s5: &'a [f32],
    /// `b_s2 [d]`.
    pub b_s2: &'a [f32],
}

/// What backward needs besides [`Weights`]: the same matrices packed by [`pack`](crate::gemm::pack).
#[derive(Clone, Copy, Debug)]
pub struct BackwardWeights<'a> {
    /// `W_s3 [d, d]`.
    pub w_s3: &'a [f32],
    /// `W_s4 [d, d]`.
    pub w_s4: &'a [f32],
    /// `W_s5 [d, d]`.
    pub w_s5: &'a [f32],
}

/// What forward leaves for backward, `[rows, d]` each.
#[derive(Debug)]
pub struct SavedMut<'a> {
    /// `p_i = W_s4 m_i + b_s2`.
    pub p: &'a mut [f32],
    /// `q_j = W_s3 m_j`.
    pub q: &'a mut [f32],
    /// The number subtracted from `f_ij` before the exponential; not written for segments that need none.
    pub shift: &'a mut [f32],
    /// `1 / sum_j exp(f_ij - shift_i)`.
    pub inverse_sum: &'a mut [f32],
    /// `exp(f_ij - shift_i)` in an order of its own: [`kept_len`] elements, or none where backward is to compute it again
    /// (or does not follow).
    pub kept: &'a mut [f32],
}

/// [`SavedMut`], to read from.
#[derive(Clone, Copy, Debug)]
pub struct Saved<'a> {
    /// As [`SavedMut::p`].
    pub p: &'a [f32],
    /// As [`SavedMut::q`].
    pub q: &'a [f32],
    /// As [`SavedMut::shift`].
    pub shift: &'a [f32],
    /// As [`SavedMut::inverse_sum`].
    pub inverse_sum: &'a [f32],
    /// As [`SavedMut::kept`], of the same length as it had in forward.
    pub kept: &'a [f32],
}

/// The arguments of [`forward`].
#[derive(Debug)]
pub struct Forward<'a> {
    /// Sample b has the rows `offsets[b]..offsets[b + 1]`; starts with 0, ends with the number of rows.
    pub offsets: &'a [u32],
    /// `M [rows, d]`.
    pub m: &'a [f32],
    /// `Mhat [rows, d]`, overwritten.
    pub mhat: &'a mut [f32],
    /// Overwritten.
    pub saved: SavedMut<'a>,
    /// At least [`scratch_len`] elements, of any content.
    pub scratch: &'a mut [f32],
}

/// Gradients, all accumulated (`+=`).
#[derive(Debug)]
pub struct Gradients<'a> {
    /// `[rows, d]`.
    pub dm: &'a mut [f32],
    /// `[d, d]`, row-major like the unpacked weight.
    pub dw_s3: &'a mut [f32],
    /// `[d, d]`.
    pub dw_s4: &'a mut [f32],
    /// `[d, d]`.
    pub dw_s5: &'a mut [f32],
    /// `[d]`.
    pub db_s2: &'a mut [f32],
}

/// The arguments of [`backward`].
#[derive(Debug)]
pub struct Backward<'a> {
    /// As in [`Forward`].
    pub offsets: &'a [u32],
    /// `M [rows, d]`.
    pub m: &'a [f32],
    /// `Mhat [rows, d]`, from forward.
    pub mhat: &'a [f32],
    /// From forward.
    pub saved: Saved<'a>,
    /// The gradient of `Mhat`, `[rows, d]`.
    pub dmhat: &'a [f32],
    /// Accumulated.
    pub gradients: Gradients<'a>,
    /// At least [`scratch_len`] elements, of any content.
    pub scratch: &'a mut [f32],
}

/// Elements of scratch that forward and backward ask for, where no segment has more than `max_rows` rows.
#[must_use]
pub const fn scratch_len(d: usize, max_rows: usize) -> usize {
    // Exponentials, two tiles of pairs, a strip of products, gradients of a group of segments; room to align.
    let wide = padded(d);
    let tiles = (2 * TILE_PAIRS + TILE_ROWS) * tile::stride(d);
    2 * max_rows * wide + tiles + 4 * 16 * TILE_PAIRS + 2 * (GROUP_ROWS + max_rows) * d + 16
}

/// Elements of [`SavedMut::kept`] for segments of width `d`.
#[must_use]
pub fn kept_len(d: usize, offsets: &[u32]) -> usize {
    offsets.windows(2).map(|w| kept_by(d, (w[1] - w[0]) as usize)).sum()
}

/// Elements that a segment of `r` rows keeps.
const fn kept_by(d: usize, r: usize) -> usize {
    if r <= KEEP_ROWS { r * r * padded(d) } else { 0 }
}

/// The part of `kept` of the next segment, of `r` rows; none where nothing is kept.
fn next_kept<'a>(kept: &mut &'a mut [f32], d: usize, r: usize) -> &'a mut [f32] {
    let len = kept_by(d, r).min(kept.len());
    tile::take(kept, len)
}

/// Computes `Mhat` (eq 12) and what backward needs.
///
/// # Panics
/// If the offsets do not rise from 0 to the number of rows, a slice has a wrong length, the scratch is shorter than
/// [`scratch_len`], or this CPU lacks `level`.
pub fn forward(level: Level, weights: &Weights<'_>, args: Forward<'_>) {
    let rows = check_segments(args.offsets, weights.d, args.scratch.len());
    weights.check();
    let saved = &args.saved;
    for (name, len) in [
        ("m", args.m.len()),
        ("mhat", args.mhat.len()),
        ("p", saved.p.len()),
        ("q", saved.q.len()),
        ("shift", saved.shift.len()),
        ("inverse_sum", saved.inverse_sum.len()),
    ] {
        check_len(name, len, rows * weights.d);
    }
    check_kept(weights.d, args.offsets, saved.kept.len());
    level.dispatch(forward::Run { weights, args });
}

/// Accumulates the gradients of [`forward`] for a given gradient of `Mhat`.
///
/// # Panics
/// As [`forward`].
pub fn backward(level: Level, weights: &Weights<'_>, transposed: &BackwardWeights<'_>, args: Backward<'_>) {
    let d = weights.d;
    let rows = check_segments(args.offsets, d, args.scratch.len());
    weights.check();
    let (saved, gradients) = (&args.saved, &args.gradients);
    for (name, len, expected) in [
        ("w_s3 for backward", transposed.w_s3.len(), packed_len(d, d)),
        ("w_s4 for backward", transposed.w_s4.len(), packed_len(d, d)),
        ("w_s5 for backward", transposed.w_s5.len(), packed_len(d, d)),
        ("m", args.m.len(), rows * d),
        ("mhat", args.mhat.len(), rows * d),
        ("p", saved.p.len(), rows * d),
        ("q", saved.q.len(), rows * d),
        ("shift", saved.shift.len(), rows * d),
        ("inverse_sum", saved.inverse_sum.len(), rows * d),
        ("dmhat", args.dmhat.len(), rows * d),
        ("dm", gradients.dm.len(), rows * d),
        ("dw_s3", gradients.dw_s3.len(), d * d),
        ("dw_s4", gradients.dw_s4.len(), d * d),
        ("dw_s5", gradients.dw_s5.len(), d * d),
        ("db_s2", gradients.db_s2.len(), d),
    ] {
        check_len(name, len, expected);
    }
    check_kept(d, args.offsets, saved.kept.len());
    level.dispatch(backward::Run { weights, transposed, args });
}

impl Weights<'_> {
    fn check(&self) {
        for (name, w) in [("w_s3", self.w_s3), ("w_s4", self.w_s4), ("w_s5", self.w_s5)] {
            check_len(name, w.len(), packed_len(self.d, self.d));
        }
        check_len("b_s2", self.b_s2.len(), self.d);
    }
}

fn check_len(name: &str, len: usize, expected: usize) {
    assert_eq!(len, expected, "{name} has {len} elements instead of {expected}");
}

fn check_kept(d: usize, offsets: &[u32], len: usize) {
    if len > 0 {
        check_len("kept", len, kept_len(d, offsets));
    }
}

/// The number of rows, after checking the offsets and the scratch.
fn check_segments(offsets: &[u32], d: usize, scratch: usize) -> usize {
    assert!(d > 0, "rows of width 0");
    assert_eq!(offsets.first(), Some(&0), "offsets start with 0");
    assert!(offsets.is_sorted(), "offsets rise");
    let max_rows = offsets.windows(2).map(|w| w[1] - w[0]).max().unwrap_or(0) as usize;
    let need = scratch_len(d, max_rows);
    assert!(scratch >= need, "the scratch has {scratch} elements instead of {need}");
    offsets[offsets.len() - 1] as usize
}
