//! Differentiable operations, one a file: equation, forward, backward, tests.

pub mod fused;
pub mod primitive;
pub mod recurrent;

pub use fused::*;
pub use primitive::*;
pub use recurrent::*;

/// Adds each row of `rows` to `sum`: the gradient of what was added to every row.
pub(crate) fn add_rows(rows: &[f32], sum: &mut [f32]) {
    for row in rows.chunks_exact(sum.len().max(1)) {
        sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
    }
}

/// The rows of segment `b` of a ragged matrix: `offsets[b]..offsets[b + 1]`.
pub(crate) fn segments(offsets: &[u32]) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
    offsets.windows(2).map(|w| w[0] as usize..w[1] as usize)
}
