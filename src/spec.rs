//! What a DMRAN is: its settings, its tensors, and how an age becomes a bucket. The model, the trainer and the scorer all read it
//! here.

pub mod layout;
mod named;
pub mod settings;
pub mod time;

pub use layout::{Counts, HeadNames, Shape, Stream, TensorSpec, expected_tensors};
pub use named::UnknownName;
pub use settings::{Block, Head, LastEvent, Settings, SettingsError, TimeKind, Variant};
