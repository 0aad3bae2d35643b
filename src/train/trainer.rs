//! The training step: fixed shards side by side, sums in a fixed order, one update.

use crate::data::Dataset;
use crate::data::Negatives;
use crate::data::Sample;
use crate::model::Model;
use crate::scorer::Settings;
use crate::train::config::{L2Kind, TrainConfig};
use crate::train::loss::Terms;
use crate::train::optimizer::Optimizer;
use crate::train::prologue::Prologue;
use crate::train::sampler::{self, Purpose};
use crate::train::shard::{FIXED_WORK, Job, Shard, Source, cut};
use crate::train::sparse::RowGrads;
use dmran_kernels::Level;
use dmran_kernels::loss::sum_squares;
use dmran_kernels::optim::add_scaled;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::Arc;

/// Weights that one thread sums over the shards at a time.
const CHUNK: usize = 1 << 13;

/// Parts into which samples with `per` candidates each are cut for scoring. More and smaller ones than in training:
/// nothing is summed over them, and one with many candidates is heavy by itself.
pub(crate) fn scoring_shards(samples: usize, per: usize) -> usize {
    samples.div_ceil((64 / per.max(1)).clamp(1, 16))
}

/// Why a step was not taken.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// The loss or a gradient is not finite; the weights are those of before the step.
    #[error(
        "training diverged at epoch {}, step {} (samples {} to {} of the epoch): {what} is {value}; \
         the weights are those of before this step. A lower learning rate usually helps.",
        .epoch + 1, .step + 1, .first + 1, .last + 1
    )]
    Diverged {
        /// Epoch, counted from 0.
        epoch: usize,
        /// Step within the run, counted from 0.
        step: u64,
        /// Position in the epoch of the batch's first sample.
        first: usize,
        /// Position in the epoch of the batch's last sample.
        last: usize,
        /// What is not finite: the loss, or the name of a parameter's gradient.
        what: String,
        /// The value found.
        value: f64,
    },
    /// The thread pool could not be started.
    #[error("cannot start {threads} threads: {source}")]
    Threads {
        /// Threads asked for.
        threads: usize,
        /// The cause.
        source: rayon::ThreadPoolBuildError,
    },
}

/// What a step did.
#[derive(Clone, Copy, Debug)]
pub struct StepReport {
    /// Terms of the loss, means over the batch.
    pub terms: Terms,
    /// Global norm of the gradient before clipping.
    pub norm: f64,
    /// Samples trained on (those of users who own every item are left out).
    pub samples: usize,
}

/// A model in training.
pub struct Trainer {
    model: Box<dyn Model>,
    settings: Settings,
    config: TrainConfig,
    /// Optimiser with its state.
    pub optimizer: Optimizer,
    /// What the learning rates of the settings are multiplied by: 1, unless a divergence has halved them.
    pub lr_factor: f32,
    level: Level,
    pool: Arc<rayon::ThreadPool>,
    shards: Vec<Shard>,
    cuts: Vec<Range<usize>>,
    prologue: Prologue,
    grads: Vec<f32>,
    rows: Vec<RowGrads>,
    batch: Vec<Sample>,
    candidates: Vec<u32>,
    stale: bool,
}

impl Trainer {
    /// A trainer of `model`, which has its starting values already. `settings` says how histories are read.
    ///
    /// # Errors
    /// If the threads cannot be started.
    pub fn new(
        model: Box<dyn Model>,
        settings: Settings,
        config: TrainConfig,
        level: Level,
    ) -> Result<Trainer, TrainError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(config.threads)
            // A thread may get its first product at any step.
            .start_handler(|_| dmran_kernels::gemm::prepare_thread())
            .build()
            .map_err(|source| TrainError::Threads { threads: config.threads, source })?;
        let optimizer = Optimizer::new(level, config.optimizer, model.params());
        let rows = model.params().tables().iter().map(|_| RowGrads::default()).collect();
        Ok(Trainer {
            optimizer,
            lr_factor: 1.0,
            level,
            pool: Arc::new(pool),
            shards: Vec::new(),
            cuts: Vec::new(),
            prologue: Prologue::default(),
            grads: vec![0.0; model.params().values().len()],
            rows,
            batch: Vec::new(),
            candidates: Vec::new(),
            stale: true,
            model,
            settings,
            config,
        })
    }

    /// The model.
    pub fn model(&self) -> &dyn Model {
        &*self.model
    }

    /// The model, to change its weights.
    pub fn model_mut(&mut self) -> &mut dyn Model {
        self.stale = true;
        &mut *self.model
    }

    /// How histories are read.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The settings of the training.
    pub fn config(&self) -> &TrainConfig {
        &self.config
    }

    /// The SIMD tier in use.
    pub fn level(&self) -> Level {
        self.level
    }

    /// The threads that the trainer computes on.
    pub fn pool(&self) -> Arc<rayon::ThreadPool> {
        Arc::clone(&self.pool)
    }

    /// One training step on `batch` (positions in `samples`) of an epoch; `first` is the batch's place in the epoch.
    ///
    /// # Errors
    /// [`TrainError::Diverged`], with the weights unchanged.
    pub fn step(
        &mut self,
        dataset: &Dataset,
        negatives: &Negatives,
        samples: &[Sample],
        batch: &[u32],
        epoch: usize,
        first: usize,
    ) -> Result<StepReport, TrainError> {
        let per = 1 + self.config.negatives_per_positive;
        self.batch.clear();
        self.candidates.clear();
        for at in batch {
            let sample = samples[*at as usize];
            let start = self.candidates.len();
            self.candidates.resize(start + per, 0);
            self.candidates[start] = dataset.history(sample.user).items[sample.target as usize];
            let (kind, seed) = (self.config.negatives, self.config.seed);
            let drawn = &mut self.candidates[start + 1..];
            if sampler::draw_negatives(negatives, sample, kind, seed, epoch, *at, drawn) {
                self.batch.push(sample);
            } else {
                self.candidates.truncate(start);
            }
        }
        let lr = self.config.learning_rate(epoch, self.optimizer.step) * self.lr_factor;
        let report = self.gradients(dataset, per);
        let total = report.terms.total(&self.config);
        if !total.is_finite() || !report.norm.is_finite() {
            let (what, value) = match self.broken_gradient() {
                _ if !total.is_finite() => ("the loss".to_owned(), total),
                Some((name, value)) => (format!("the gradient of {name}"), value),
                None => ("the gradient's norm".to_owned(), report.norm),
            };
            let last = first + batch.len().saturating_sub(1);
            return Err(TrainError::Diverged { epoch, step: self.optimizer.step, first, last, what, value });
        }
        let clip = f64::from(self.config.clip);
        let scale = if clip > 0.0 && report.norm > clip { (clip / report.norm) as f32 } else { 1.0 };
        let Trainer { pool, optimizer, model, grads, rows, .. } = self;
        let trained = model.params().trained().len();
        pool.install(|| optimizer.update(model.params_mut(), &grads[..trained], rows, lr, scale));
        self.stale = true;
        Ok(report)
    }

    /// Brings packed and derived weights up to date.
    fn refresh(&mut self) {
        if !self.stale {
            return;
        }
        self.stale = false;
        self.prologue.forward(&mut *self.model, self.config.engine, self.level);
    }

    /// Gradients of the batch that `self.batch` and `self.candidates` hold, summed over the shards in order.
    fn gradients(&mut self, dataset: &Dataset, per: usize) -> StepReport {
        self.refresh();
        let source = Source::new(dataset, &self.settings);
        let Trainer { model, config, level, pool, shards, cuts, prologue, grads, rows, batch, candidates, .. } = self;
        let (model, level) = (&**model, *level);
        cut(batch.iter().map(|s| source.length(*s)), config.shard_count(), FIXED_WORK, cuts);
        if shards.len() < cuts.len() {
            shards.resize_with(cuts.len(), Shard::default);
        }
        let shards = &mut shards[..cuts.len()];
        let (total, step) = (batch.len(), self.optimizer.step);
        let job = Job { model, config, level, batch: total };
        let dropout = |shard: usize| sampler::generator(config.seed, Purpose::Dropout, [step, shard as u64]);
        pool.install(|| {
            shards.par_iter_mut().zip(&*cuts).enumerate().with_max_len(1).for_each(|(i, (shard, range))| {
                let candidates = &candidates[range.start * per..range.end * per];
                shard.train(&job, &source, &batch[range.clone()], candidates, dropout(i));
            });
            let shards = &*shards;
            grads.par_chunks_mut(CHUNK).enumerate().for_each(|(i, sum)| {
                let range = i * CHUNK..i * CHUNK + sum.len();
                sum.fill(0.0);
                for shard in shards {
                    add_scaled(level, sum, 1.0, &shard.tape().weight_grads()[range.clone()]);
                }
            });
            // Two things that leave threads idle, side by side.
            let collect = || {
                for (table, rows) in rows.iter_mut().enumerate() {
                    let cols = model.params().tables()[table].cols;
                    rows.collect(level, cols, |i| shards[i].lookups(table), shards.len());
                }
            };
            rayon::join(|| prologue.backward(model, config.engine, level, grads), collect);
        });
        let trained = model.params().trained().len();
        let mut terms = Terms::default();
        shards.iter().for_each(|s| terms.add(&s.terms));
        if config.l2 == L2Kind::Weights {
            for (grads, weights) in grads.chunks_mut(CHUNK).zip(model.params().trained().chunks(CHUNK)) {
                terms.l2_dense += sum_squares(level, weights);
                add_scaled(level, &mut grads[..weights.len()], 2.0 * config.l2_weight, weights);
            }
        }
        let dense: f64 = pool.install(|| {
            // Fixed chunks, summed in order: the same bits for any number of threads.
            grads[..trained].chunks(CHUNK).map(|part| sum_squares(level, part)).sum()
        });
        let norm = (dense + rows.iter().map(RowGrads::sum_squares).sum::<f64>()).sqrt();
        StepReport { terms, norm, samples: batch.len() }
    }

    /// The first gradient that is not finite, with its parameter's name.
    fn broken_gradient(&self) -> Option<(String, f64)> {
        let params = self.model.params();
        let trained = &self.grads[..params.trained().len()];
        if let Some(at) = trained.iter().position(|g| !g.is_finite()) {
            return Some((params.name_at(at).to_owned(), f64::from(trained[at])));
        }
        self.rows.iter().zip(params.tables()).find_map(|(rows, table)| {
            let at = rows.grads().iter().position(|g| !g.is_finite())?;
            let name = format!("{}, row {}", table.name, rows.rows()[at / table.cols]);
            Some((name, f64::from(rows.grads()[at])))
        })
    }

    /// Scores of `per` candidates of each sample, into `out` (`samples.len() * per`), on all threads. The result of a
    /// sample does not depend on the others.
    pub fn score(&mut self, dataset: &Dataset, samples: &[Sample], candidates: &[u32], out: &mut [f32]) {
        self.refresh();
        let per = out.len() / samples.len().max(1);
        let source = Source::new(dataset, &self.settings);
        let Trainer { model, config, level, pool, shards, cuts, .. } = self;
        let (model, level) = (&**model, *level);
        cut(samples.iter().map(|s| source.length(*s)), scoring_shards(samples.len(), per), FIXED_WORK, cuts);
        if shards.len() < cuts.len() {
            shards.resize_with(cuts.len(), Shard::default);
        }
        let mut parts = Vec::with_capacity(cuts.len());
        let mut rest = out;
        for range in cuts.iter() {
            let (part, tail) = rest.split_at_mut(range.len() * per);
            parts.push(part);
            rest = tail;
        }
        pool.install(|| {
            shards.par_iter_mut().zip(&*cuts).zip(parts).for_each(|((shard, range), out)| {
                shard.fill(&source, &samples[range.clone()], &candidates[range.start * per..range.end * per]);
                shard.forward(model, config.engine, level, |g, output| out.copy_from_slice(g.value(output.scores)));
            });
        });
    }

    /// Bytes held by everything but the model's weights.
    pub fn bytes(&self) -> usize {
        self.shards.iter().map(Shard::bytes).sum::<usize>()
            + self.rows.iter().map(RowGrads::bytes).sum::<usize>()
            + self.optimizer.bytes()
            + self.prologue.bytes()
            + 4 * self.grads.len()
    }
}
