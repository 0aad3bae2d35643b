//! DMRAN: next-item recommendation by hierarchical attention, trained and scored on plain CPUs.
#![deny(unsafe_code)]

pub mod scorer;

#[cfg(feature = "capi")]
pub mod ffi;

pub use dmran_kernels::{Level, LevelError};

#[cfg(feature = "train")]
pub mod data;
#[cfg(feature = "train")]
pub mod experiment;
#[cfg(feature = "train")]
pub mod gemm;
#[cfg(feature = "train")]
pub mod lines;
#[cfg(feature = "train")]
pub mod metrics;
#[cfg(feature = "train")]
pub mod model;
#[cfg(feature = "train")]
pub mod ops;
#[cfg(feature = "train")]
pub mod params;
#[cfg(feature = "train")]
pub mod plot;
#[cfg(feature = "train")]
pub mod report;
#[cfg(feature = "train")]
pub mod score_lines;
#[cfg(feature = "train")]
pub mod tape;
#[cfg(feature = "train")]
pub mod tensor;
#[cfg(feature = "train")]
pub mod train;

/// The README's example is compiled and run.
#[cfg(all(doctest, feature = "train"))]
#[doc = include_str!("../README.md")]
pub struct Readme;
