//! The zero-dependency scorer: the model file, encoding a user, scores, top-k.

mod named;
pub mod settings;
pub mod time;

pub use named::UnknownName;
pub use settings::{Block, Head, Settings, SettingsError, TimeKind, Variant};
