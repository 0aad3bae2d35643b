//! Training: configuration, batches, the step, optimisers, evaluation.

pub mod config;
pub mod evaluate;
pub mod fit;
pub mod loss;
pub mod optimizer;
pub mod prologue;
pub mod sampler;
pub mod shard;
pub mod sparse;
pub mod trainer;

pub use config::Config;
pub use fit::Fit;
pub use trainer::Trainer;
