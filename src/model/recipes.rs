//! Settings that several models' presets share, as TOML.

use super::registry::Recipes;

/// ATRank's code: SGD with lr 1.0, a tenth of it from step 336,000 on, tables uniform after Glorot (`init_std = 0`).
/// Batch 32, clip 5, cross-entropy and l2 of activations are the defaults of `[train]`.
pub(super) const ATRANK_CODE: &str = "[train]
decay = 1.0
step_at = 336000
step_factor = 0.1
init_std = 0.0
epochs = 10
";

/// What paid for every model on Beauty's validation set: Adam in place of SGD (as good in 4 epochs as SGD in
/// 9), a fifth of the l2 term (its sum over the batch weighs twice as much at batch 64). docs/experiments.md has the
/// trials.
pub(super) const ADAM: &str = "[train]
optimizer = 'adam'
lr = 0.0015
batch = 64
step_at = 0
l2_weight = 1e-5
epochs = 5
";

/// DMRAN and the LSTMs gain from dropout.
pub(super) const DROPOUT: &str = "[train]\ndropout = 0.3";

/// The softmax over all items, as it was searched for DMRAN on Beauty's validation set (docs/experiments.md): for models whose
/// user vectors do not depend on the candidate.
pub(super) const SOFTMAX: &str = "[train]
loss = 'softmax'
lr = 0.003
decay = 0.75
batch = 256
clip = 0.0
l2_weight = 0.0
dropout = 0.4
average = 0.5
epochs = 8
early_stop_metric = 'ndcg'
patience = 2
";

/// A rival of the paper as ATRank's code trains it. What a softmax gains for it has not been searched, so `everyday` is
/// `auc`.
pub(super) const RIVAL: Recipes = Recipes { paper: &[ATRANK_CODE], auc: &[ADAM], ..Recipes::NONE };
