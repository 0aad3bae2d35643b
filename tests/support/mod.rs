//! What several integration tests share.
#![allow(dead_code)] // each binary uses a part of it

#[cfg(feature = "cli")]
pub mod cli;
pub mod counting;
#[cfg(feature = "train")]
pub mod faulty;
pub mod model_file;
#[cfg(feature = "train")]
pub mod oracle;
#[cfg(feature = "train")]
pub mod ring;
