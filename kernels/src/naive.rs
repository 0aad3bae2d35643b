//! Plain loops with the names and signatures of the kernels: the specification that tests compare with.
//!
//! The level is taken and ignored; sums are accumulated in `f64`.

pub mod cross_entropy;
pub mod dense;
pub mod feature_attention;
pub mod feed_forward;
pub mod gate;
pub mod gemm;
pub mod item_attention;
pub mod loss;
pub mod math;
pub mod norm;
pub mod optim;
mod plain;
pub mod pooling;
pub mod rows;
pub mod score;
pub mod shared;
