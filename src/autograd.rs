//! Reverse-mode automatic differentiation: weights, a tape, operations, and the checks of their gradients.
//!
//! It knows nothing of any model; [`crate::model`] is built of it, and so can be a model of one's own.

pub mod check;
pub mod ops;
pub mod params;
pub mod reference;
pub mod tape;
pub mod var;
