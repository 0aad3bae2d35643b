//! The scorer from Rust and C, beside the training forward pass.

#[path = "../support/mod.rs"]
mod support;

mod calls;
mod capi;
#[cfg(feature = "train")]
mod equals_training;
