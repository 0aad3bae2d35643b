//! Model files: what is in them, that they come back as they were, and what damage and bad will can do.

#[path = "../support/mod.rs"]
mod support;

mod content;
mod damage;
#[cfg(feature = "train")]
mod export;
mod fuzz;
mod hostile;
mod memory;
mod round_trip;
