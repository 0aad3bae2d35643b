//! What a run has come to: everything that a checkpoint keeps.

use crate::metrics::{Estimate, Ranked, Rankings};
use crate::train::Trainer;
use crate::train::config::StopMetric;
use crate::train::loss::Terms;
pub use crate::train::snapshot::Snapshot;
use serde::{Deserialize, Serialize};

/// What an epoch came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EpochReport {
    /// Epoch, counted from 1.
    pub epoch: usize,
    /// Learning rate of the epoch's last step.
    pub lr: f32,
    /// Mean terms of the loss.
    pub terms: Terms,
    /// Mean of the weighted sum.
    pub loss: f64,
    /// AUC against sampled negatives: on the validation set, or on the test set with the paper's protocol.
    pub auc: Estimate,
    /// Ranking loss on the same samples and negatives.
    pub validation_loss: Estimate,
    /// The full ranking of the same samples, where epochs are compared by it.
    pub top_ten: Option<TopTen>,
    /// Seconds of training (without the evaluation).
    pub seconds: f64,
    /// Training samples a second.
    pub samples_per_second: f64,
    /// Whether this epoch is the best so far.
    pub best: bool,
    /// Divergences of this epoch after which it was taken again with half the learning rate.
    pub halvings: Vec<Halving>,
}

impl EpochReport {
    /// The value of a measure on the validation set; no number where the epoch was not ranked.
    pub fn value(&self, metric: StopMetric) -> Estimate {
        let ranked = |of: fn(&TopTen) -> Estimate| self.top_ten.as_ref().map_or(Estimate::of([]), of);
        match metric {
            StopMetric::Auc => self.auc,
            StopMetric::Loss => self.validation_loss,
            StopMetric::Hr => ranked(|top| top.hr),
            StopMetric::Ndcg => ranked(|top| top.ndcg),
        }
    }
}

/// What a full ranking says of its first ten items.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TopTen {
    /// HR@10.
    pub hr: Estimate,
    /// NDCG@10.
    pub ndcg: Estimate,
}

impl TopTen {
    /// The means over users.
    pub fn of(ranks: &[Ranked]) -> TopTen {
        let rankings = Rankings { all: ranks, popularity: &[] };
        TopTen {
            hr: rankings.mean(|ranked| Some(ranked.rank.hit(10))),
            ndcg: rankings.mean(|ranked| Some(ranked.rank.ndcg(10))),
        }
    }
}

/// A divergence after which the epoch was taken again with half the learning rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Halving {
    /// Epoch, counted from 1.
    pub epoch: usize,
    /// Step within the run, counted from 0, that was not taken.
    pub step: u64,
    /// What was not finite.
    pub cause: String,
    /// What the learning rates of the settings are multiplied by from here on.
    pub factor: f32,
}

impl Snapshot {
    /// Copies the numbers of a trainer's model; of one of several ranks those that are its own.
    pub fn take(trainer: &Trainer) -> Snapshot {
        Snapshot::part(trainer.model().params(), trainer.own())
    }

    /// Puts the numbers back; of several ranks all do.
    ///
    /// # Panics
    /// If they are another model's.
    pub fn restore(&self, trainer: &mut Trainer) {
        let own = trainer.own().to_vec();
        self.put(trainer.model_mut().params_mut(), &own);
        trainer.spread();
    }
}

/// The best epoch of a run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Best {
    /// Epoch, counted from 1.
    pub epoch: usize,
    /// Its AUC.
    pub auc: f64,
    /// Its value of the measure that epochs are compared by.
    pub value: f64,
    /// Its weights.
    pub weights: Snapshot,
}

/// The weights and the optimiser at one moment: where training can go on from. Of several ranks each has that of its own rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// All trained numbers.
    pub weights: Snapshot,
    /// The optimiser's state of the dense weights.
    pub dense: [Vec<f32>; 2],
    /// The optimiser's state of each table.
    pub tables: Vec<[Vec<f32>; 2]>,
    /// Steps taken.
    pub step: u64,
    /// The average of the weights, where one is kept.
    pub average: Option<Snapshot>,
}

impl Point {
    /// Copies where a trainer stands.
    pub fn take(trainer: &Trainer) -> Point {
        let optimizer = &trainer.optimizer;
        Point {
            weights: Snapshot::take(trainer),
            dense: optimizer.dense.clone(),
            tables: optimizer.tables.clone(),
            step: optimizer.step,
            average: trainer.average.clone(),
        }
    }

    /// Puts a trainer back to it.
    ///
    /// # Panics
    /// If it is another model's.
    pub fn restore(&self, trainer: &mut Trainer) {
        self.weights.restore(trainer);
        trainer.optimizer.dense.clone_from(&self.dense);
        trainer.optimizer.tables.clone_from(&self.tables);
        trainer.optimizer.step = self.step;
        trainer.average.clone_from(&self.average);
    }

    /// As [`Point::restore`], without a copy of the optimiser's state.
    pub(crate) fn install(self, trainer: &mut Trainer) {
        self.weights.restore(trainer);
        trainer.optimizer.dense = self.dense;
        trainer.optimizer.tables = self.tables;
        trainer.optimizer.step = self.step;
        trainer.average = self.average;
    }
}

/// Where a run stands.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    /// Epoch under way, counted from 0.
    pub epoch: usize,
    /// Samples of this epoch that are done.
    pub position: usize,
    /// Sums of the loss terms over the samples done, weighted by batch.
    pub sums: Terms,
    /// Samples that the sums count.
    pub counted: usize,
    /// Seconds of training in this epoch.
    pub seconds: f64,
    /// Finished epochs.
    pub reports: Vec<EpochReport>,
    /// Divergences so far after which the learning rate was halved.
    pub halvings: Vec<Halving>,
    /// The best epoch so far.
    pub best: Option<Best>,
}

impl State {
    /// What the learning rates of the settings are multiplied by: halved with each divergence.
    pub fn lr_factor(&self) -> f32 {
        0.5f32.powi(self.halvings.len() as i32)
    }

    /// Finished epochs in a row without a new best one.
    pub fn epochs_without_better(&self) -> usize {
        self.epoch.saturating_sub(self.best.as_ref().map_or(0, |best| best.epoch))
    }
}
