//! DMRAN: next-item recommendation by hierarchical attention, trained and scored on plain CPUs.
#![deny(unsafe_code)]

#[cfg(feature = "train")]
pub mod data;
#[cfg(feature = "train")]
pub mod metrics;
pub mod scorer;
