//! A whole training run: epochs of steps, an evaluation after each, the best model kept.

use crate::data::{Dataset, Negatives, Protocol, Sample, test_samples, train_samples, validation_samples};
use crate::metrics::{Estimate, Ranking};
use crate::train::Trainer;
use crate::train::config::Config;
use crate::train::evaluate::{MostPopular, Scorer, full_ranking, sampled_auc};
use crate::train::loss::Terms;
use crate::train::sampler::epoch_order;
use crate::train::trainer::{StepReport, TrainError};
use serde::Serialize;
use std::time::Instant;

/// What an epoch came to.
#[derive(Clone, Debug, Serialize)]
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
    /// Seconds of training (without the evaluation).
    pub seconds: f64,
    /// Training samples a second.
    pub samples_per_second: f64,
    /// Whether this epoch is the best so far.
    pub best: bool,
}

/// How far a run is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Epoch, counted from 1.
    pub epoch: usize,
    /// Epochs of the run.
    pub epochs: usize,
    /// Samples of this epoch that are done.
    pub done: usize,
    /// Samples of an epoch.
    pub samples: usize,
    /// Terms of the loss, means over the epoch so far.
    pub terms: Terms,
    /// Their weighted sum.
    pub loss: f64,
    /// The last step.
    pub step: StepReport,
}

/// Follows a run from outside.
pub trait Watch {
    /// After each step; `false` ends the run.
    fn step(&mut self, _progress: &Progress) -> bool {
        true
    }
    /// After each epoch's evaluation; `false` ends the run.
    fn epoch(&mut self, _report: &EpochReport) -> bool {
        true
    }
}

/// Watches nothing.
impl Watch for () {}

/// A copy of all trained numbers.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Dense weights.
    pub dense: Vec<f32>,
    /// Tables.
    pub tables: Vec<Vec<f32>>,
}

impl Snapshot {
    /// Copies a model's numbers.
    pub fn take(trainer: &Trainer) -> Snapshot {
        let params = trainer.model().params();
        Snapshot { dense: params.trained().to_vec(), tables: params.tables().iter().map(|t| t.data.clone()).collect() }
    }

    /// Puts the numbers back.
    pub fn restore(&self, trainer: &mut Trainer) {
        let params = trainer.model_mut().params_mut();
        params.trained_mut().copy_from_slice(&self.dense);
        params.tables_mut().iter_mut().zip(&self.tables).for_each(|(t, data)| t.data.copy_from_slice(data));
    }
}

/// The best epoch of a run.
#[derive(Clone, Debug)]
pub struct Best {
    /// Epoch, counted from 1.
    pub epoch: usize,
    /// Its AUC.
    pub auc: f64,
    /// Its weights.
    pub weights: Snapshot,
}

/// Where a run stands.
#[derive(Clone, Debug, Default)]
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
    /// The best of them.
    pub best: Option<Best>,
}

/// A run.
pub struct Fit<'a> {
    /// The model in training.
    pub trainer: Trainer,
    /// Where the run stands.
    pub state: State,
    config: Config,
    dataset: &'a Dataset,
    negatives: Negatives,
    train: Vec<Sample>,
    validation: Vec<Sample>,
    test: Vec<Sample>,
    order: Vec<u32>,
}

/// The figures of a finished model.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// AUC against one sampled negative a user (eq 23).
    pub auc: Estimate,
    /// The full ranking.
    pub ranking: Ranking,
}

impl<'a> Fit<'a> {
    /// A run of `trainer` on a data set.
    pub fn new(trainer: Trainer, dataset: &'a Dataset, config: Config) -> Fit<'a> {
        let protocol = config.eval.protocol;
        let negatives = Negatives::new(dataset);
        let mut train = train_samples(dataset, protocol);
        train.retain(|s| negatives.available(s.user) > 0);
        let test = test_samples(dataset, protocol);
        let validation = match protocol {
            Protocol::Paper => test.clone(),
            Protocol::Honest => validation_samples(dataset, protocol),
        };
        Fit { trainer, state: State::default(), config, dataset, negatives, train, validation, test, order: vec![] }
    }

    /// The run's settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The samples to learn from.
    pub fn train(&self) -> &[Sample] {
        &self.train
    }

    /// The samples that the epochs are compared on (the test set itself with the paper's protocol).
    pub fn validation(&self) -> &[Sample] {
        &self.validation
    }

    /// The test samples.
    pub fn test(&self) -> &[Sample] {
        &self.test
    }

    /// Which items each user has.
    pub fn negatives(&self) -> &Negatives {
        &self.negatives
    }

    /// Trains from where the run stands to its last epoch, or until `watch` ends it.
    /// Returns whether the last epoch was reached.
    ///
    /// # Errors
    /// [`TrainError::Diverged`]; the weights are then those of before the step.
    pub fn run(&mut self, watch: &mut (impl Watch + Send)) -> Result<bool, TrainError> {
        // Inside the pool once and for all: entering it for every step would cost a wake-up each time.
        self.trainer.pool().install(|| self.run_inside(watch))
    }

    fn run_inside(&mut self, watch: &mut impl Watch) -> Result<bool, TrainError> {
        while self.state.epoch < self.config.train.epochs {
            if !self.rest_of_epoch(watch)? {
                return Ok(false);
            }
            let report = self.close_epoch();
            if !watch.epoch(&report) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Takes the steps that are left of this epoch. Returns false where `watch` ended the run.
    fn rest_of_epoch(&mut self, watch: &mut impl Watch) -> Result<bool, TrainError> {
        let config = &self.config.train;
        epoch_order(self.train.len(), config.seed, self.state.epoch, &mut self.order);
        let started = Instant::now();
        let before = self.state.seconds;
        while self.state.position < self.order.len() {
            let first = self.state.position;
            let end = self.order.len().min(first + config.batch);
            let batch = &self.order[first..end];
            let epoch = self.state.epoch;
            let step = self.trainer.step(self.dataset, &self.negatives, &self.train, batch, epoch, first)?;
            self.state.sums.add(&step.terms.times(step.samples as f64));
            self.state.counted += step.samples;
            self.state.position = end;
            self.state.seconds = before + started.elapsed().as_secs_f64();
            let terms = self.mean_terms();
            let progress = Progress {
                epoch: epoch + 1,
                epochs: config.epochs,
                done: end,
                samples: self.order.len(),
                loss: terms.total(config),
                terms,
                step,
            };
            if !watch.step(&progress) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn mean_terms(&self) -> Terms {
        self.state.sums.times(1.0 / self.state.counted.max(1) as f64)
    }

    /// Evaluates the epoch and begins the next one.
    fn close_epoch(&mut self) -> EpochReport {
        let auc = self.validation_auc();
        let terms = self.mean_terms();
        let config = &self.config.train;
        // NaN is never better.
        let best = self.state.best.as_ref().map_or(!auc.mean.is_nan(), |b| auc.mean > b.auc);
        let step = self.trainer.optimizer.step.saturating_sub(1);
        let report = EpochReport {
            epoch: self.state.epoch + 1,
            lr: config.learning_rate(self.state.epoch, step),
            loss: terms.total(config),
            terms,
            auc,
            seconds: self.state.seconds,
            samples_per_second: self.state.counted as f64 / self.state.seconds.max(1e-9),
            best,
        };
        if best {
            let weights = Snapshot::take(&self.trainer);
            self.state.best = Some(Best { epoch: report.epoch, auc: auc.mean, weights });
        }
        self.state.reports.push(report.clone());
        self.state.epoch += 1;
        self.state.position = 0;
        self.state.sums = Terms::default();
        self.state.counted = 0;
        self.state.seconds = 0.0;
        report
    }

    /// The AUC that epochs are compared by: one negative a user on the test set with the paper's protocol, several on
    /// the validation set with the honest one.
    fn validation_auc(&mut self) -> Estimate {
        let eval = &self.config.eval;
        let count = if eval.protocol == Protocol::Paper { 1 } else { eval.validation_negatives };
        let (trainer, seed) = (&mut self.trainer, self.config.train.seed);
        sampled_auc(trainer, self.dataset, &self.negatives, &self.validation, count, seed)
    }

    /// Puts the best epoch's weights into the model.
    pub fn restore_best(&mut self) {
        if let Some(best) = &self.state.best {
            best.weights.restore(&mut self.trainer);
        }
    }

    /// The figures of the model as it is, on the test set.
    pub fn test_figures(&mut self) -> Figures {
        let Fit { trainer, dataset, negatives, test, config, .. } = self;
        figures(trainer, dataset, negatives, test, config)
    }

    /// The figures of "most popular" on the test set.
    pub fn popular_figures(&self) -> Figures {
        let mut popular = MostPopular::new(self.dataset, &self.train);
        figures(&mut popular, self.dataset, &self.negatives, &self.test, &self.config)
    }
}

/// All figures of a scorer on some samples.
pub fn figures(
    scorer: &mut impl Scorer,
    dataset: &Dataset,
    negatives: &Negatives,
    samples: &[Sample],
    config: &Config,
) -> Figures {
    let (eval, seed) = (&config.eval, config.train.seed);
    Figures {
        auc: sampled_auc(scorer, dataset, negatives, samples, 1, seed),
        ranking: full_ranking(scorer, dataset, negatives, samples, eval.rank_users, &[eval.k], seed),
    }
}
