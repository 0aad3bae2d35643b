//! Equations 18 and 19: the cross entropy of a softmax over the whole catalogue, with its gradients, in blocks of items.
//!
//! For B rows (users), I items and width d: `logits = U C^T + bias`, `loss = logsumexp(logits) - logits[target]`,
//! `dU = (P - Y) C`, `dC = (P - Y)^T U`. The functions here treat one block of items and one chunk of rows; the caller goes
//! through the blocks and decides who computes which. Everything stands transposed, one item a line and one row a lane, so
//! that maxima and sums over items are plain vector operations:
//!
//! ```text
//! for each block of items, in order:                                                       forward
//!     E = C U^T + bias; what is excluded becomes -inf
//!     M = max(M of the block before, maxima of E);  E = exp(E - M);  sum = sum exp(M before - M) + sums of E
//!     dU = dU exp(M before - M) + E^T C                                 (without the factor weight / total)
//! over all blocks: top = max M, total = sum of sum exp(M - top)                            combine
//! for each block of items:
//!     dC = E^T' (U weight / total exp(M - top));  dC[target] -= weight u                   backward
//! ```
//!
//! `E` of all blocks is what lies between: as many floats as items times the rows of a chunk, never of a batch. The factor
//! that makes probabilities of `E` belongs to a row and a block, so it goes into the users' side of the last product, and
//! `E` is written once and read once.
//!
//! Against the same sums in `f64`, logits err by at most `(d + 2) 2^-24` of the sum of the products' magnitudes, `E` by that
//! and 2 ulp, and gradients by what a product of as many terms errs. A logit that is NaN or infinity makes its row's loss
//! NaN; `-inf` (an excluded item, or a bias) is a probability of 0, and never makes a NaN.

mod backward;
mod forward;

use crate::gemm::packed_len;
use crate::level::Level;
use crate::simd::LANES;
use backward::{BackwardBlock, PackScaled};
use forward::{Combine, ForwardBlock, Scales};

/// Items that a row's softmax leaves out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Excluded<'a> {
    /// `[rows + 1]`: where the items of each row begin and end in `items`. Empty where nothing is left out.
    pub offsets: &'a [u32],
    /// Indices in the catalogue, ascending within a row. A row's own target stays in, whatever this says.
    pub items: &'a [u32],
}

impl<'a> Excluded<'a> {
    /// The items left out for a row.
    pub(crate) fn row(&self, row: usize) -> &'a [u32] {
        match self.offsets {
            [] => &[],
            offsets => &self.items[offsets[row] as usize..offsets[row + 1] as usize],
        }
    }
}

/// A block of `n` neighbouring items and a chunk of `rows` rows.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    /// Width of the vectors.
    pub d: usize,
    /// Index in the catalogue of the first item.
    pub first: usize,
    /// `[n, d]`.
    pub items: &'a [f32],
    /// `[n]`, or empty.
    pub bias: &'a [f32],
    /// The rows' vectors `[rows, d]` as [`crate::gemm::pack_transposed`] packs them.
    pub users: &'a [f32],
    /// `[rows]`: each row's target, an index in the catalogue.
    pub targets: &'a [u32],
    /// What is left out.
    pub excluded: Excluded<'a>,
}

impl Block<'_> {
    /// The number of items, after a check of all lengths.
    pub(crate) fn check(&self) -> usize {
        let (d, rows) = (self.d, self.targets.len());
        assert!(d > 0, "vectors must be at least 1 wide");
        let n = self.items.len() / d;
        assert_eq!(self.items.len(), n * d, "{} values are not rows of width {d}", self.items.len());
        assert!(self.bias.is_empty() || self.bias.len() == n, "{} biases for {n} items", self.bias.len());
        assert_eq!(self.users.len(), packed_len(d, rows), "packed users of [{rows}, {d}]");
        let offsets = self.excluded.offsets.len();
        assert!(offsets == 0 || offsets == rows + 1, "{offsets} offsets of excluded items for {rows} rows");
        n
    }
}

/// What goes from block to block: before the first, `max` is `-inf` and all else 0.
#[derive(Debug)]
pub struct Running<'a> {
    /// `[rows]`: the largest logit so far.
    pub max: &'a mut [f32],
    /// `[rows]`: the sum of `exp(logit - max)` so far.
    pub sum: &'a mut [f64],
    /// `[rows]`: the target's logit, written by the block that holds the target.
    pub target: &'a mut [f32],
    /// `[rows, d]`: the sum of `exp(logit - max)` times the item so far. Empty for the loss alone.
    pub d_users: &'a mut [f32],
}

/// What [`backward`] does with what the gradients hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Write {
    /// Overwritten: the first chunk of rows.
    Over,
    /// Added to.
    Add,
}

/// Where the gradients of a block's items go.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// `[n, d]`.
    pub items: &'a mut [f32],
    /// `[n]`, or empty.
    pub bias: &'a mut [f32],
    /// What becomes of what they hold.
    pub write: Write,
}

/// The rows as [`backward`] takes them.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// Width of the vectors.
    pub d: usize,
    /// `[rows, d]`.
    pub users: &'a [f32],
    /// `[rows]`: each row's target, an index in the catalogue.
    pub targets: &'a [u32],
    /// `[rows]`: what each row's loss is multiplied by.
    pub weights: &'a [f32],
    /// `[rows]`: what makes gradients of `E`, from [`scales`]: `weight / total * exp(max of the block - top)`.
    pub scale: &'a [f32],
    /// What [`pack_scaled`] makes of `users` and `scale`.
    pub packed: &'a [f32],
}

/// Floats from one item's line of `E` to the next, for a chunk of `rows`: an odd number of cache lines, which spreads a
/// column over the cache.
pub const fn stride(rows: usize) -> usize {
    (rows.div_ceil(LANES) | 1) * LANES
}

/// Logits, `E`, maxima and sums of one block, and its part of the users' gradients. `e` is `[n, stride(rows)]`; what it
/// holds beyond `rows` is not specified.
///
/// # Panics
/// If lengths do not fit each other or this CPU lacks `level`.
pub fn forward(level: Level, block: &Block, running: Running, e: &mut [f32]) {
    let (n, rows) = (block.check(), block.targets.len());
    assert_eq!(e.len(), n * stride(rows), "exponentials of {n} items and {rows} rows");
    let Running { max, sum, target, d_users } = &running;
    assert_eq!((max.len(), sum.len(), target.len()), (rows, rows, rows), "maxima, sums or targets of {rows} rows");
    assert!(d_users.is_empty() || d_users.len() == rows * block.d, "gradients of {rows} users");
    if rows > 0 {
        level.dispatch(ForwardBlock { block, running, e });
    }
}

/// Adds up what several runs over blocks found, in their order: `max` and `sum` are `[runs, rows]`, and
/// `top[b] = max over runs`, `total[b] = sum over runs of sum[b] exp(max[b] - top[b])`.
///
/// # Panics
/// If lengths do not fit each other or this CPU lacks `level`.
pub fn combine(level: Level, max: &[f32], sum: &[f64], top: &mut [f32], total: &mut [f64]) {
    assert_eq!((max.len(), top.len()), (sum.len(), total.len()), "maxima and sums differ in number");
    assert!(top.is_empty() || max.len().is_multiple_of(top.len()), "{} maxima of {} rows", max.len(), top.len());
    level.dispatch(Combine { max, sum, top, total });
}

/// `out[b] = factor[b] exp(max[b] - top[b])`, 0 where `max` is `-inf`; all `[rows]`.
///
/// # Panics
/// If the lengths differ or this CPU lacks `level`.
pub fn scales(level: Level, max: &[f32], top: &[f32], factor: &[f32], out: &mut [f32]) {
    let n = out.len();
    assert_eq!((max.len(), top.len(), factor.len()), (n, n, n), "slices of different lengths");
    level.dispatch(Scales { max, top, factor, out });
}

/// The loss of a row by equation 19: `ln(total) + top - target`. Infinity where the target's logit is `-inf`.
pub fn row_loss(top: f32, total: f64, target: f32) -> f64 {
    if target == f32::NEG_INFINITY && !total.is_nan() {
        return f64::INFINITY;
    }
    total.ln() + (f64::from(top) - f64::from(target))
}

/// The rows' vectors `users` `[rows, d]` times their scales, as [`Rows::packed`] has them: [`packed_len`]`(rows, d)`. Blocks
/// with the same scales share them.
///
/// # Panics
/// If lengths do not fit each other or this CPU lacks `level`.
pub fn pack_scaled(level: Level, d: usize, users: &[f32], scale: &[f32], out: &mut [f32]) {
    assert!(d > 0, "vectors must be at least 1 wide");
    assert_eq!(users.len(), scale.len() * d, "vectors of {} rows", scale.len());
    assert_eq!(out.len(), packed_len(scale.len(), d), "packed users of [{}, {d}]", scale.len());
    level.dispatch(PackScaled { d, users, scale, out });
}

/// Gradients of one block of items, whose `E` `[n, stride(rows)]` [`forward`] left; `first` is the index of its first item.
///
/// # Panics
/// If lengths do not fit each other or this CPU lacks `level`.
pub fn backward(level: Level, rows: &Rows, first: usize, e: &[f32], out: Gradients) {
    let (d, count) = (rows.d, rows.targets.len());
    assert!(d > 0, "vectors must be at least 1 wide");
    assert_eq!((rows.weights.len(), rows.scale.len()), (count, count), "weights or scales of {count} rows");
    assert_eq!(rows.users.len(), count * d, "vectors of {count} rows");
    let n = out.items.len() / d;
    assert_eq!(out.items.len(), n * d, "{} values are not rows of width {d}", out.items.len());
    assert!(out.bias.is_empty() || out.bias.len() == n, "{} gradients of biases for {n} items", out.bias.len());
    assert_eq!(e.len(), n * stride(count), "exponentials of {n} items and {count} rows");
    assert_eq!(rows.packed.len(), packed_len(count, d), "packed users of [{count}, {d}]");
    level.dispatch(BackwardBlock { rows, first, e, out });
}
