//! Differentiable operations, one a file: equation, forward, backward, tests.
//!
//! Primitives (`linear`, `relu`, `segment_softmax`, ...) are written over `ndarray`; the fused ops
//! (`item_attention`, `feature_attention`, ...) wrap the kernels; [`naive`] rebuilds each fused op from primitives.

pub mod add;
pub mod bce;
pub mod bpr;
pub mod concat;
pub mod conv_max;
pub mod cross_entropy;
pub mod dense;
pub mod dropout;
pub mod embed;
pub mod feature_attention;
pub mod gate;
pub mod group;
pub mod item_attention;
pub mod layer_norm;
pub mod linear;
pub mod lstm;
pub mod matmul;
pub mod mul;
pub mod naive;
pub mod pool_atrank;
pub mod pool_mean;
pub mod pool_vanilla;
mod product;
pub mod redundancy;
pub mod relu;
pub mod row_dot;
pub mod scale;
pub mod scale_rows;
pub mod score;
pub mod segment_softmax;
pub mod segment_sum;
pub mod segment_tn;
pub mod select_rows;
pub mod self_attention;
pub mod shared_atrank;
pub mod shared_blocks;
pub mod shared_scores;
pub mod shared_vanilla;
pub mod shift_columns;
pub mod sigmoid;
pub mod steps;
pub mod sum_squares;
pub mod tanh;
pub mod time_linear;
pub mod transformer;
mod unary;

pub mod check;

pub use add::add;
pub use bce::bce;
pub use bpr::bpr;
pub use concat::concat;
pub use conv_max::conv_max;
pub use cross_entropy::cross_entropy;
pub use dense::dense;
pub use dropout::dropout;
pub use embed::embed;
pub use feature_attention::feature_attention;
pub use gate::gate;
pub use group::{group_expand, group_sum};
pub use item_attention::item_attention;
pub use layer_norm::layer_norm;
pub use linear::linear;
pub use lstm::lstm;
pub use matmul::{matmul, matmul_packed};
pub use mul::mul;
pub use pool_atrank::pool_atrank;
pub use pool_mean::pool_mean;
pub use pool_vanilla::pool_vanilla;
pub use redundancy::redundancy;
pub use relu::relu;
pub use row_dot::row_dot;
pub use scale::scale;
pub use scale_rows::scale_rows;
pub use score::score;
pub use segment_softmax::segment_softmax;
pub use segment_sum::segment_sum;
pub use segment_tn::segment_tn;
pub use select_rows::select_rows;
pub use self_attention::self_attention;
pub use shared_atrank::shared_atrank;
pub use shared_blocks::shared_blocks;
pub use shared_scores::shared_scores;
pub use shared_vanilla::shared_vanilla;
pub use shift_columns::shift_columns;
pub use sigmoid::sigmoid;
pub use steps::steps;
pub use sum_squares::sum_squares;
pub use tanh::tanh;
pub use time_linear::time_linear;
pub use transformer::transformer;

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
