//! Eq 18-22: the terms of the loss, apart and together.

use crate::autograd::ops;
use crate::autograd::tape::Graph;
use crate::autograd::var::{Index, Var};
use crate::model::Output;
use crate::train::config::{L2Kind, TrainConfig};
use serde::{Deserialize, Serialize};

/// The terms of the loss before their weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// Ranking loss, the mean over targets.
    pub rank: f64,
    /// Redundancy of the hops, mean over samples.
    pub penalty: f64,
    /// Squares of activations, or of looked-up rows over the batch size.
    pub l2: f64,
    /// Squares of the dense weights (where `l2 = "weights"`).
    pub l2_dense: f64,
}

impl Terms {
    /// The weighted sum.
    pub fn total(&self, config: &TrainConfig) -> f64 {
        let l2 = match config.l2 {
            L2Kind::Activation => f64::from(config.l2_weight) * self.l2,
            L2Kind::Weights => f64::from(config.l2_rows) * self.l2 + f64::from(config.l2_weight) * self.l2_dense,
        };
        self.rank + f64::from(config.penalty) * self.penalty + l2
    }

    /// Adds another shard's terms (all are sums already divided by the whole batch's size).
    pub fn add(&mut self, other: &Terms) {
        self.rank += other.rank;
        self.penalty += other.penalty;
        self.l2 += other.l2;
        self.l2_dense += other.l2_dense;
    }

    /// The terms one by one.
    pub fn values(&self) -> [f64; 4] {
        [self.rank, self.penalty, self.l2, self.l2_dense]
    }

    /// All terms times `k`.
    pub fn times(&self, k: f64) -> Terms {
        Terms { rank: self.rank * k, penalty: self.penalty * k, l2: self.l2 * k, l2_dense: self.l2_dense * k }
    }
}

impl From<[f64; 4]> for Terms {
    fn from([rank, penalty, l2, l2_dense]: [f64; 4]) -> Terms {
        Terms { rank, penalty, l2, l2_dense }
    }
}

/// The recorded terms of one shard, with the weight that each has in the loss.
pub type Seeds = [(Var, f32); 4];

/// How many samples and targets a batch has.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Histories.
    pub samples: usize,
    /// Targets: one a sample, or more for models that learn from every position.
    pub rows: usize,
}

/// Records the terms of a shard, its scores' loss among them, that belongs to a batch of `batch`. The dense weights' l2
/// term is not part of a shard.
pub fn record(g: &mut Graph<'_>, output: &Output, batch: Extent, config: &TrainConfig) -> Seeds {
    let rank = config.loss.record(g, output.scores, 1.0 / batch.rows as f32);
    let rest = Rest { attention: output.attention, activations: output.activations, rows: output.rows };
    record_rest(g, rank, &rest, batch, config)
}

/// What the terms beside the ranking loss are made of; see [`Output`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rest {
    pub attention: Option<(Var, Index)>,
    pub activations: [Option<Var>; 2],
    pub rows: [Option<Var>; 2],
}

/// Records the terms beside the ranking loss `rank`, which is `[1, 1]`.
pub(crate) fn record_rest(g: &mut Graph<'_>, rank: Var, output: &Rest, batch: Extent, config: &TrainConfig) -> Seeds {
    let batch = batch.samples;
    let nothing = g.constant(1, 1, |x| x.fill(0.0));
    let penalty = match output.attention {
        Some((a, offsets)) if config.penalty != 0.0 => ops::redundancy(g, a, offsets, 1.0 / batch as f32),
        _ => nothing,
    };
    let (k, weight, parts) = match config.l2 {
        L2Kind::Activation => (0.5, config.l2_weight, output.activations),
        L2Kind::Weights => (1.0 / batch as f32, config.l2_rows, output.rows),
    };
    let [first, second] = parts.map(|part| match part {
        Some(x) if weight != 0.0 => ops::sum_squares(g, x, k),
        _ => nothing,
    });
    [(rank, 1.0), (penalty, config.penalty), (first, weight), (second, weight)]
}

/// Reads the terms after the forward pass.
pub fn terms(g: &Graph<'_>, seeds: &Seeds) -> Terms {
    let at = |i: usize| f64::from(g.value(seeds[i].0)[0]);
    Terms { rank: at(0), penalty: at(1), l2: at(2) + at(3), l2_dense: 0.0 }
}
