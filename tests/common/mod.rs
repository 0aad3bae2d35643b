//! What several integration tests share.
#![allow(dead_code)]

pub mod counting;
pub mod oracle;
#[cfg(feature = "train")]
pub mod ring;
