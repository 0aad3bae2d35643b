//! Plain loops with the names and signatures of the kernels: the specification that tests compare with.
//!
//! The level is taken and ignored; sums are accumulated in `f64`.

pub mod feature_attention;
pub mod gemm;
pub mod math;
