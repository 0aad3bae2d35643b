//! The settings of a training that are a choice among names.

use serde::{Deserialize, Serialize};
use std::fmt;

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

impl OptimizerKind {
    /// Numbers of state for each number that is trained.
    pub fn states(self) -> usize {
        match self {
            OptimizerKind::Sgd => 0,
            OptimizerKind::Adagrad => 1,
            OptimizerKind::Adam => 2,
        }
    }
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

/// Which items the softmax losses compare a target with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Denominator {
    /// All of them.
    All,
    /// Those that the user did not have before the target's event.
    Unseen,
}

/// What to do where the loss or a gradient is not finite.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnNan {
    /// End the run with an error.
    Stop,
    /// Go back to the start of the epoch and take it again with half the learning rate, a few times at most. (That
    /// point is the same wherever a run was stopped in between, so the result is, too.)
    HalveLr,
}

/// What becomes of a model's items that a newer log does not have, where a training goes on from the model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Vanished {
    /// They stay in the model, and can be recommended.
    #[default]
    Keep,
    /// They are left out of the new model.
    Drop,
}

/// A measure on the validation set (the test set with the paper's protocol).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StopMetric {
    /// Eq 23's AUC against sampled negatives: the higher the better.
    #[default]
    Auc,
    /// The ranking loss that the model is trained with, against the same negatives: the lower the better.
    Loss,
    /// NDCG@10 of the full ranking of all users: the higher the better.
    Ndcg,
    /// HR@10 of the full ranking of all users: the higher the better.
    Hr,
}

impl StopMetric {
    /// Whether `value` is better than `best`. NaN is better than nothing.
    pub fn better(self, value: f64, best: f64) -> bool {
        match self {
            StopMetric::Auc | StopMetric::Ndcg | StopMetric::Hr => value > best,
            StopMetric::Loss => value < best,
        }
    }

    /// Whether it takes a full ranking.
    pub fn ranks(self) -> bool {
        matches!(self, StopMetric::Ndcg | StopMetric::Hr)
    }
}

impl fmt::Display for StopMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StopMetric::Auc => "AUC",
            StopMetric::Loss => "loss",
            StopMetric::Ndcg => "NDCG@10",
            StopMetric::Hr => "HR@10",
        })
    }
}
