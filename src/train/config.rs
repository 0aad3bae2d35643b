//! Every setting of a run, as it stands in a TOML file: sections `[data]`, `[model]`, `[train]`, `[eval]`.

use crate::data::Protocol;
use crate::scorer::Settings;
use crate::tape::Engine;
use serde::{Deserialize, Serialize};

/// A whole run's settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Dimensions and choices of the model.
    pub model: Settings,
    /// The training itself.
    pub train: TrainConfig,
    /// How results are measured.
    pub eval: EvalConfig,
}

/// `[train]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the training samples.
    pub epochs: usize,
    /// Samples a step.
    pub batch: usize,
    /// Seed of everything random: starting values, order, negatives, dropout.
    pub seed: u64,
    /// How gradients become steps.
    pub optimizer: OptimizerKind,
    /// Learning rate of the first epoch.
    pub lr: f32,
    /// The learning rate is multiplied by this after each epoch.
    pub decay: f32,
    /// From this step on the learning rate is multiplied by `step_factor`; 0 = never.
    pub step_at: u64,
    /// See `step_at`.
    pub step_factor: f32,
    /// Gradients whose global norm exceeds this are scaled down to it; 0 = never.
    pub clip: f32,
    /// What the l2 term counts.
    pub l2: L2Kind,
    /// The l2 term's weight.
    pub l2_weight: f32,
    /// Weight of the looked-up rows' l2 term where `l2 = "weights"`.
    pub l2_rows: f32,
    /// lambda_3, the weight of the redundancy penalty (eq 21).
    pub penalty: f32,
    /// When negatives are drawn.
    pub negatives: NegativesKind,
    /// Negatives for each positive.
    pub negatives_per_positive: usize,
    /// Standard deviation of the tables' starting values.
    pub init_std: f32,
    /// Share of a history's item vectors' entries that are dropped in training.
    pub dropout: f32,
    /// Fused kernels or the naive reference.
    pub engine: Engine,
    /// Parts of a batch that are computed side by side; results depend on it (not on the threads). 0 = by batch size.
    pub shards: usize,
    /// Threads; 0 = as many as there are cores (or `RAYON_NUM_THREADS`). Results do not depend on it.
    pub threads: usize,
}

impl Default for TrainConfig {
    fn default() -> Self {
        TrainConfig {
            epochs: 5,
            batch: 32,
            seed: 1,
            optimizer: OptimizerKind::Sgd,
            lr: 1.0,
            decay: 0.9,
            step_at: 0,
            step_factor: 0.1,
            clip: 5.0,
            l2: L2Kind::Activation,
            l2_weight: 5e-5,
            l2_rows: 5e-5,
            penalty: 1e-3,
            negatives: NegativesKind::Fresh,
            negatives_per_positive: 1,
            init_std: 0.01,
            dropout: 0.0,
            engine: Engine::Fused,
            shards: 0,
            threads: 0,
        }
    }
}

impl TrainConfig {
    /// The number of shards of a batch: fixed by the configuration alone, so that sums always run in one order.
    pub fn shard_count(&self) -> usize {
        if self.shards > 0 { self.shards } else { (self.batch / 16).clamp(2, 16) }
    }

    /// The learning rate at a step (both counted from 0).
    pub fn learning_rate(&self, epoch: usize, step: u64) -> f32 {
        let lr = self.lr * self.decay.powi(epoch as i32);
        if self.step_at > 0 && step >= self.step_at { lr * self.step_factor } else { lr }
    }
}

/// `[eval]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvalConfig {
    /// The paper's protocol or the honest one.
    pub protocol: Protocol,
    /// The k of HR@k and NDCG@k.
    pub k: usize,
    /// Negatives a user with which the validation AUC is measured (the test's is always against one).
    pub validation_negatives: usize,
    /// Users of the full ranking, drawn by the seed; 0 = all.
    pub rank_users: usize,
}

impl Default for EvalConfig {
    fn default() -> Self {
        EvalConfig { protocol: Protocol::Honest, k: 10, validation_negatives: 20, rank_users: 5000 }
    }
}

/// How gradients become steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OptimizerKind {
    /// Plain gradient descent.
    Sgd,
    /// Adagrad (accumulator starts at 0.1).
    Adagrad,
    /// Adam (0.9, 0.999); table rows are updated only when a batch reads them.
    Adam,
}

/// What the l2 term counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum L2Kind {
    /// ATRank's: half the squares of h_c and of the candidates' vectors, summed over the batch.
    Activation,
    /// The paper's text: squares of all dense weights, and of the looked-up rows divided by the batch size.
    Weights,
}

/// When negatives are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NegativesKind {
    /// Anew in each epoch.
    Fresh,
    /// Once, as in ATRank's code.
    Static,
}
