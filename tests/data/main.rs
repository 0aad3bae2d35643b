//! Logs: every format, layout and fault, and the splits.
#![cfg(feature = "train")]

mod bad_input;
mod delimited;
mod formats;
#[cfg(feature = "parquet")]
mod parquet;
mod real;
mod split;
