//! Training: configuration, batches, the step, optimisers, evaluation.

pub mod config;
pub mod evaluate;
pub mod fit;
pub mod loss;
pub mod optimizer;
pub mod preset;
pub mod prologue;
pub mod sampler;
pub mod shard;
pub mod sparse;
pub mod start;
pub mod trainer;

pub use config::Config;
pub use fit::Fit;
pub use preset::Preset;
pub use start::start;
pub use trainer::Trainer;
