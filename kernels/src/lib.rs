//! SIMD kernels of `dmran`: written once over 16 lanes of `f32`, run on the best tier that the CPU has.
//!
//! - [`level`]: which tier runs ([`Level`], detected once, forced by `DMRAN_SIMD`);
//! - [`simd`]: the lanes ([`simd::Simd`]) and what a kernel is ([`simd::Kernel`]);
//! - [`math`]: exp, tanh, sigmoid, softplus with stated bounds;
//! - [`gemm`]: products with packed weights, and weight gradients;
//! - [`feature_attention`]: eq 9-12, fused;
//! - [`item_attention`]: eq 1, 7, 8 and 21 over ragged histories;
//! - [`pooling`], [`gate`]: eq 14-17; [`score`]: the same bits for many candidates of one user; [`shared`]: the gradients of
//!   candidates that many users share;
//! - [`cross_entropy`]: eq 18, 19: a softmax over the whole catalogue, in blocks;
//! - [`norm`], [`dense`], [`feed_forward`]: the blocks around them;
//! - [`loss`], [`rows`], [`optim`]: eq 20 and 22, table rows, the optimisers' steps;
//! - [`naive`]: the same names and signatures in plain loops: the specification that tests compare with.
//!
//! Buffers are flat slices and belong to the caller; nothing here allocates. Slices need no alignment.
#![deny(unsafe_code)]

pub mod cross_entropy;
pub mod dense;
pub mod feature_attention;
pub mod feed_forward;
pub mod gate;
pub mod gemm;
pub mod item_attention;
pub mod level;
pub mod loss;
pub mod math;
pub mod naive;
pub mod norm;
pub mod optim;
pub mod pooling;
pub mod rows;
pub mod score;
mod segment;
pub mod shared;
#[allow(unsafe_code)]
pub mod simd;
mod small;
mod transpose;
mod weight;

pub use level::{Level, LevelError};
pub use weight::Weight;
