//! The zero-dependency scorer: the model file, encoding a user, scores, top-k.
//!
//! A [`Model`] is one file, checked when it is read. A [`Scorer`] is a model with its weights packed; it is shared by any
//! number of threads, each with a [`Scratch`] of its own. [`Scorer::encode`] turns a history into a [`User`], of whom
//! scores, the best items and explanations are asked.
//!
//! ```no_run
//! use dmran::scorer::{Event, Scorer, Scratch};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let scorer = Scorer::load("shop.dmran")?;
//! let mut scratch = Scratch::new(); // one a thread; reuse it
//! let history = [Event { item: "teapot", time: 1_700_000_000 }, Event { item: "cup", time: 1_700_086_400 }];
//! let mut user = scorer.encode(&history, 1_700_200_000, &mut scratch);
//!
//! let owned = user.history().to_vec();
//! let mut best = Vec::new();
//! user.top_k(10, &owned, &mut best);
//! for b in &best {
//!     println!("{} {}", scorer.items().get(b.item as usize).unwrap_or_default(), b.score);
//! }
//! if let Some(b) = best.first() {
//!     let why = user.explain(b.item)?;
//!     println!("carried by event {} of the history", why.events[0].position);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! With `default-features = false` the crate is this module alone, and depends on no crate outside this repository.

mod aligned;
pub(crate) mod best;
mod card;
mod compact;
mod describe;
mod encode;
mod explain;
mod file;
mod ids;
pub(crate) mod item_rows;
#[cfg(feature = "mmap")]
mod map;
mod model;
mod network;
mod packed;
mod proposer;
pub(crate) mod rules;
mod score;
mod serve;
mod similar;
mod top_k;
mod user;
mod vector;

pub use crate::spec::{
    Block, Counts, Head, HeadNames, LastEvent, Settings, SettingsError, Shape, Stream, TensorSpec, TimeKind,
    UnknownName, Variant, expected_tensors,
};
pub use card::{Card, CardError, MAX_METRICS, Metric};
pub use compact::Precision;
pub use dmran_kernels::{Level, LevelError};
pub use encode::{Event, ItemKey, Scratch};
pub use explain::{DimensionFocus, EventShare, Explanation};
pub use file::MAGIC as MODEL_MAGIC;
pub use file::ModelFileError;
#[doc(hidden)]
pub use file::repair_checksums;
pub use ids::{Ids, IdsError};
pub use model::{Model, ModelParts, Tensor};
pub use proposer::{Proposer, ProposerError};
pub use rules::Rules;
pub use serve::{Scorer, ScorerError, ScorerOptions};
pub use top_k::Scored;
pub use user::{ScoreError, User};
