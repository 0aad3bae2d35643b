//! Training: configuration, batches, the step, optimisers, evaluation.

pub mod catalogue;
pub mod checkpoint;
pub mod config;
pub mod evaluate;
pub mod fit;
pub mod incremental;
pub mod loss;
pub mod losses;
pub mod memory;
pub mod optimizer;
pub mod preset;
pub mod prologue;
pub mod rank;
pub mod ranks;
pub mod rivals;
pub mod run_folder;
pub mod sampler;
pub mod session;
pub mod shard;
pub mod simulate;
pub mod snapshot;
pub mod sparse;
pub mod stamp;
pub mod start;
pub mod trainer;
pub mod tree;

pub use checkpoint::Checkpoint;
pub use config::{Config, StopMetric};
pub use fit::Fit;
pub use losses::Loss;
pub use memory::Memory;
pub use preset::Preset;
pub use run_folder::RunFolder;
pub use session::Session;
pub use start::start;
pub use trainer::Trainer;
