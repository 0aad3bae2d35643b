//! Differentiable operations, one a file: equation, forward, backward, tests.
//!
//! Primitives (`linear`, `relu`, `segment_softmax`, ...) are written over `ndarray`; the fused ops
//! (`item_attention`, `feature_attention`, ...) wrap the kernels; [`naive`] rebuilds each fused op from primitives.

pub mod add;
pub mod bce;
pub mod bpr;
pub mod embed;
pub mod group;
pub mod layer_norm;
pub mod linear;
pub mod matmul;
pub mod mul;
pub mod naive;
pub mod redundancy;
pub mod relu;
pub mod row_dot;
pub mod scale;
pub mod scale_rows;
pub mod segment_softmax;
pub mod segment_sum;
pub mod segment_tn;
pub mod select_rows;
pub mod sigmoid;
pub mod sum_squares;
pub mod tanh;
mod unary;

#[cfg(test)]
pub(crate) mod check;

pub use add::add;
pub use bce::bce;
pub use bpr::bpr;
pub use embed::embed;
pub use group::{group_expand, group_sum};
pub use layer_norm::layer_norm;
pub use linear::linear;
pub use matmul::matmul;
pub use mul::mul;
pub use redundancy::redundancy;
pub use relu::relu;
pub use row_dot::row_dot;
pub use scale::scale;
pub use scale_rows::scale_rows;
pub use segment_softmax::segment_softmax;
pub use segment_sum::segment_sum;
pub use segment_tn::segment_tn;
pub use select_rows::select_rows;
pub use sigmoid::sigmoid;
pub use sum_squares::sum_squares;
pub use tanh::tanh;

/// The rows of segment `b` of a ragged matrix: `offsets[b]..offsets[b + 1]`.
pub(crate) fn segments(offsets: &[u32]) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
    offsets.windows(2).map(|w| w[0] as usize..w[1] as usize)
}

use crate::params::ParamId;
use crate::tape::Graph;
use crate::tensor::{Index, Var};
pub mod item_attention {
    use super::*;
    pub struct Weights {
        pub w_c: ParamId,
        pub t1: ParamId,
        pub t2: ParamId,
        pub w_s2: ParamId,
        pub w_v: ParamId,
    }
}
pub fn item_attention(_: &mut Graph<'_>, _: Var, _: &item_attention::Weights, _: Index, _: Index) -> (Var, Var) {
    todo!()
}
pub fn time_linear(_: &mut Graph<'_>, _: Var, _: ParamId, _: ParamId, _: Index) -> Var {
    todo!()
}
pub fn feature_attention(_: &mut Graph<'_>, _: Var, _: [ParamId; 4], _: Index) -> Var {
    todo!()
}
pub fn transformer(_: &mut Graph<'_>, _: Var, _: Var, _: [ParamId; 4], _: [ParamId; 4], _: f32) -> Var {
    todo!()
}
pub fn row_dot_fused(_: &mut Graph<'_>, _: Var, _: Var) -> Var {
    todo!()
}
