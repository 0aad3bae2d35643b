//! The LSTM, and how its histories are laid out step by step.

pub mod lstm;
pub mod steps;

pub use lstm::lstm;
pub use steps::steps;
