//! The zero-dependency scorer: the model file, encoding a user, scores, top-k.

mod card;
mod describe;
mod encode;
mod explain;
mod file;
mod ids;
mod layout;
#[cfg(feature = "mmap")]
mod map;
mod model;
mod named;
mod network;
mod packed;
mod score;
mod serve;
pub mod settings;
pub mod time;
mod top_k;
mod user;

pub use card::{Card, CardError, MAX_METRICS, Metric};
pub use dmran_kernels::{Level, LevelError};
pub use encode::{Event, ItemKey, Scratch};
pub use explain::{DimensionFocus, EventShare, Explanation};
#[doc(hidden)]
pub use file::repair_checksums;
pub use file::{ModelFileError, write_atomically};
pub use ids::{Ids, IdsError};
pub use layout::{Counts, HeadNames, Shape, Stream, TensorSpec, expected_tensors};
pub use model::{Model, ModelParts, Tensor};
pub use named::UnknownName;
pub use serve::{Scorer, ScorerError};
pub use settings::{Block, Head, Settings, SettingsError, TimeKind, Variant};
pub use top_k::Scored;
pub use user::{ScoreError, User};
