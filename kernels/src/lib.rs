//! SIMD kernels of `dmran`: written once over 16 lanes of `f32`, run on the best tier that the CPU has.
//!
//! - [`level`]: which tier runs ([`Level`], detected once, forced by `DMRAN_SIMD`);
//! - [`simd`]: the lanes ([`simd::Simd`]) and what a kernel is ([`simd::Kernel`]);
//! - [`math`]: exp, tanh, sigmoid, softplus with stated bounds;
//! - [`gemm`]: products with packed weights, and weight gradients;
//! - [`feature_attention`]: eq 9-12, fused;
//! - [`naive`]: the same names and signatures in plain loops: the specification that tests compare with.
//!
//! Buffers are flat slices and belong to the caller; nothing here allocates. Slices need no alignment.
#![deny(unsafe_code)]

pub mod feature_attention;
pub mod gemm;
pub mod level;
pub mod math;
pub mod naive;
#[allow(unsafe_code)]
pub mod simd;

pub use level::{Level, LevelError};
