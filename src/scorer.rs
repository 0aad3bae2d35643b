//! The zero-dependency scorer: the model file, encoding a user, scores, top-k.

mod card;
mod describe;
mod file;
mod ids;
mod layout;
#[cfg(feature = "mmap")]
mod map;
mod model;
mod named;
pub mod settings;
pub mod time;

pub use card::{Card, CardError, MAX_METRICS, Metric};
#[doc(hidden)]
pub use file::repair_checksums;
pub use file::{ModelFileError, write_atomically};
pub use ids::{Ids, IdsError};
pub use layout::{Counts, HeadNames, Shape, Stream, TensorSpec, expected_tensors};
pub use model::{Model, ModelParts, Tensor};
pub use named::UnknownName;
pub use settings::{Block, Head, Settings, SettingsError, TimeKind, Variant};
