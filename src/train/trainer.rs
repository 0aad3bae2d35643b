//! The training step: fixed shards side by side, sums in a fixed order, one update.

mod averaged;
mod sampled;
mod whole;

use crate::data::Dataset;
use crate::data::Negatives;
use crate::data::Sample;
use crate::model::Model;
use crate::pool::Pool;
use crate::scorer::Settings;
use crate::tape::{Engine, Workspace};
use crate::train::config::{L2Kind, TrainConfig};
use crate::train::loss::{Extent, Terms};
use crate::train::losses::Against;
use crate::train::optimizer::Optimizer;
use crate::train::prologue::Prologue;
use crate::train::sampler::{self, Purpose, SharedSampler};
use crate::train::shard::{FIXED_WORK, Job, Shard, Source, cut};
use crate::train::snapshot::Snapshot;
use crate::train::sparse::RowGrads;
use dmran_kernels::Level;
use dmran_kernels::loss::sum_squares;
use dmran_kernels::optim::add_scaled;
use rayon::prelude::*;
use sampled::Sampled;
use std::ops::Range;
use std::sync::Arc;
use whole::Whole;

/// Weights that one thread sums over the shards at a time.
const CHUNK: usize = 1 << 13;

/// Parts into which samples with `per` candidates each are cut for scoring: small ones, whose tapes are small.
pub(crate) fn scoring_shards(samples: usize, per: usize) -> usize {
    samples.div_ceil((64 / per.max(1)).clamp(1, 16))
}

/// Whether the loss of a model is taken over the whole catalogue at once, from its user vectors.
pub(crate) fn compares_with_all(model: &dyn Model, config: &TrainConfig) -> bool {
    config.loss.against() == Against::All && model.has_user_vectors() && config.engine == Engine::Fused
}

/// Whether the items that a model's loss compares with are shared by a whole batch, and not by a shard: where user vectors
/// are all that is needed of the shards. Models that learn from every position have too many targets for that.
pub(crate) fn shares_by_batch(model: &dyn Model, config: &TrainConfig) -> bool {
    config.loss.against() == Against::Shared
        && model.has_user_vectors()
        && !model.every_position()
        && config.engine == Engine::Fused
}

/// Groups of shards that share a workspace: enough that no thread waits long for another at the end.
pub(crate) fn groups(threads: usize) -> usize {
    2 * threads
}

/// Calls `pass` for each shard with its number, on all threads; the shards of a group share a workspace.
fn each_shard(
    shards: &mut [Shard],
    workspaces: &mut [Workspace],
    group: usize,
    pass: impl Fn(usize, &mut Shard) + Sync,
) {
    let groups = shards.par_chunks_mut(group).zip(workspaces).enumerate().with_max_len(1);
    groups.for_each(|(number, (shards, workspace))| {
        for (shard, i) in shards.iter_mut().zip(number * group..) {
            shard.lent(workspace, |shard| pass(i, shard));
        }
    });
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
    /// The average of the weights, where the settings ask for one and a step has been taken.
    pub average: Option<Snapshot>,
    /// What the learning rates of the settings are multiplied by: 1, unless a divergence has halved them.
    pub lr_factor: f32,
    level: Level,
    pool: Arc<rayon::ThreadPool>,
    shards: Vec<Shard>,
    /// What shards that are computed one after the other share, two for each thread.
    workspaces: Vec<Workspace>,
    /// Tapes for scoring, one for each thread that has scored.
    tapes: Pool<Shard>,
    cuts: Vec<Range<usize>>,
    prologue: Prologue,
    grads: Vec<f32>,
    rows: Vec<RowGrads>,
    /// The catalogue, where the loss compares with all of it and user vectors are all that it needs.
    whole: Option<Whole>,
    /// The sample of the items, where a batch shares it.
    sampled: Option<Sampled>,
    batch: Vec<Sample>,
    candidates: Vec<u32>,
    /// Where each sample's candidates begin, and where the last one's end.
    starts: Vec<usize>,
    shared: SharedSampler,
    drawn: Vec<u32>,
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
        let whole = compares_with_all(&*model, &config).then(|| Whole::new(level, &*model));
        let sampled = shares_by_batch(&*model, &config).then(|| Sampled::new(level, &*model));
        Ok(Trainer {
            optimizer,
            average: None,
            lr_factor: 1.0,
            level,
            pool: Arc::new(pool),
            shards: Vec::new(),
            workspaces: Vec::new(),
            tapes: Pool::default(),
            cuts: Vec::new(),
            prologue: Prologue::default(),
            grads: vec![0.0; model.params().values().len()],
            rows,
            whole,
            sampled,
            batch: Vec::new(),
            candidates: Vec::new(),
            starts: Vec::new(),
            shared: SharedSampler::default(),
            drawn: Vec::new(),
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

    /// Tapes for scoring.
    pub(crate) fn tapes(&self) -> &Pool<Shard> {
        &self.tapes
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
        let shares = self.whole.is_none() && self.config.loss.against() != Against::Own;
        if shares && !self.shared.is_ready() {
            self.count_targets(dataset, samples);
        }
        self.draw(dataset, negatives, samples, batch, epoch);
        let lr = self.config.learning_rate(epoch, self.optimizer.step) * self.lr_factor;
        let report = self.gradients(dataset);
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
        let Trainer { pool, optimizer, model, grads, rows, whole, .. } = self;
        let trained = model.params().trained().len();
        let whole = |table: usize| whole.as_ref().and_then(|whole| whole.table(table));
        pool.install(|| optimizer.update(model.params_mut(), &grads[..trained], rows, whole, lr, scale));
        self.stale = true;
        self.follow(samples.len(), first + batch.len());
        Ok(report)
    }

    /// Takes over the samples of a batch with the candidates of their targets: negatives of their own, or none.
    fn draw(&mut self, dataset: &Dataset, negatives: &Negatives, samples: &[Sample], batch: &[u32], epoch: usize) {
        let source = self.source(dataset);
        let own = self.config.loss.against() == Against::Own;
        let per = if own { self.config.negatives_per_positive } else { 0 };
        let (kind, seed) = (self.config.negatives, self.config.seed);
        let Trainer { batch: taken, candidates, starts, drawn, .. } = self;
        taken.clear();
        candidates.clear();
        starts.clear();
        starts.push(0);
        let mut targets = std::mem::take(drawn);
        for at in batch {
            let sample = samples[*at as usize];
            targets.clear();
            source.targets(sample, &mut targets);
            let rows = targets.len();
            targets.resize(rows * (1 + per), 0);
            let (targets, negative) = targets.split_at_mut(rows);
            if own && !sampler::draw_negatives(negatives, sample, kind, seed, epoch, *at, negative) {
                continue;
            }
            for (row, target) in targets.iter().enumerate() {
                candidates.push(*target);
                candidates.extend_from_slice(&negative[row * per..(row + 1) * per]);
            }
            taken.push(sample);
            starts.push(candidates.len());
        }
        self.drawn = targets;
    }

    /// How histories are read in training.
    fn source<'a>(&self, dataset: &'a Dataset) -> Source<'a> {
        Source { every_position: self.model.every_position(), ..Source::new(dataset, &self.settings) }
    }

    /// The distribution of shared items depends on how often each is a target of `samples`.
    fn count_targets(&mut self, dataset: &Dataset, samples: &[Sample]) {
        let mut counts = vec![0; dataset.items()];
        let source = self.source(dataset);
        let mut targets = Vec::new();
        for sample in samples {
            targets.clear();
            source.targets(*sample, &mut targets);
            targets.iter().for_each(|item| counts[*item as usize] += 1);
        }
        self.shared = SharedSampler::new(&self.config, &counts);
    }

    /// Brings packed and derived weights up to date.
    pub(crate) fn refresh(&mut self) {
        if !self.stale {
            return;
        }
        self.stale = false;
        self.prologue.forward(&mut *self.model, self.config.engine, self.level);
    }

    /// Gradients of the batch that `self.batch` and `self.candidates` hold, summed over the shards in order.
    fn gradients(&mut self, dataset: &Dataset) -> StepReport {
        self.refresh();
        let source = self.source(dataset);
        let Trainer {
            model,
            config,
            level,
            pool,
            shards,
            workspaces,
            cuts,
            prologue,
            grads,
            rows,
            whole,
            sampled,
            batch,
            candidates,
            starts,
            shared,
            ..
        } = self;
        let (model, level) = (&**model, *level);
        cut(batch.iter().map(|s| source.length(*s)), config.shard_count(), FIXED_WORK, cuts);
        if shards.len() < cuts.len() {
            shards.resize_with(cuts.len(), Shard::default);
        }
        let shards = &mut shards[..cuts.len()];
        // Shards of a group are computed one after the other. Which are together does not change what they come to.
        let group = cuts.len().div_ceil(groups(pool.current_num_threads())).max(1);
        workspaces.resize_with(cuts.len().div_ceil(group).max(workspaces.len()), Workspace::default);
        let step = self.optimizer.step;
        let targets = batch.iter().map(|s| source.rows(*s)).sum();
        let job = Job { model, config, level, batch: Extent { samples: batch.len(), rows: targets }, shared };
        let dropout = |shard: usize| sampler::generator(config.seed, Purpose::Dropout, [step, shard as u64]);
        let mut rank = 0.0;
        let negatives = |shard: usize| sampler::generator(config.seed, Purpose::Shared, [step, shard as u64]);
        let by_users = whole.is_some() || sampled.is_some();
        pool.install(|| {
            each_shard(shards, workspaces, group, |i, shard| {
                let range = cuts[i].clone();
                let (samples, candidates) =
                    (&batch[range.clone()], &candidates[starts[range.start]..starts[range.end]]);
                if by_users {
                    shard.train_users(&job, &source, samples, candidates, dropout(i));
                } else {
                    shard.train(&job, &source, samples, candidates, dropout(i), negatives(i));
                }
            });
            let d_users = match (whole.as_mut(), sampled.as_mut()) {
                (Some(whole), _) => {
                    rank = whole.loss(model, shards);
                    Some(whole.d_users())
                }
                (_, Some(sampled)) => {
                    rank = sampled.loss(model, shards, shared, negatives(0));
                    Some(sampled.d_users())
                }
                _ => None,
            };
            if let Some(d_users) = d_users {
                let d = d_users.len() / targets.max(1);
                each_shard(shards, workspaces, group, |i, shard| {
                    // A target has one candidate here, itself.
                    let rows = starts[cuts[i].start] * d..starts[cuts[i].end] * d;
                    shard.train_users_backward(&job, &d_users[rows]);
                });
            }
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
                    let of_sample = sampled.as_ref().map(|sampled| sampled.lookups(table));
                    let parts = shards.len() + usize::from(of_sample.is_some());
                    rows.collect(level, cols, |i| shards.get(i).map(|s| s.lookups(table)).or(of_sample), parts);
                }
            };
            rayon::join(|| prologue.backward(model, config.engine, level, grads), collect);
            if let Some(whole) = whole {
                whole.add_rows(rows);
            }
        });
        let trained = model.params().trained().len();
        let mut terms = Terms::default();
        shards.iter().for_each(|s| terms.add(&s.terms));
        terms.rank += rank;
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
        let is_whole = |table: usize| whole.as_ref().is_some_and(|whole| whole.table(table).is_some());
        let sparse = rows.iter().enumerate().filter(|(table, _)| !is_whole(*table));
        let tables = sparse.map(|(_, rows)| rows.sum_squares()).sum::<f64>();
        let norm = (dense + tables + whole.as_ref().map_or(0.0, Whole::sum_squares)).sqrt();
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
        let Trainer { model, config, level, pool, tapes, cuts, .. } = self;
        let (model, level, tapes) = (&**model, *level, &*tapes);
        cut(samples.iter().map(|s| source.length(*s)), scoring_shards(samples.len(), per), FIXED_WORK, cuts);
        let mut parts = Vec::with_capacity(cuts.len());
        let mut rest = out;
        for range in cuts.iter() {
            let (part, tail) = rest.split_at_mut(range.len() * per);
            parts.push(part);
            rest = tail;
        }
        pool.install(|| {
            cuts.par_iter().zip(parts).for_each(|(range, out)| {
                tapes.with(Shard::default, |shard| {
                    shard.fill(&source, &samples[range.clone()], &candidates[range.start * per..range.end * per]);
                    shard.forward(model, config.engine, level, |g, output| out.copy_from_slice(g.value(output.scores)));
                });
            });
        });
    }

    /// Bytes held by everything but the model's weights.
    pub fn bytes(&self) -> usize {
        self.shards.iter().map(Shard::bytes).sum::<usize>()
            + self.workspaces.iter().map(Workspace::bytes).sum::<usize>()
            + self.tapes.sum(Shard::bytes)
            + self.rows.iter().map(RowGrads::bytes).sum::<usize>()
            + self.optimizer.bytes()
            + self.prologue.bytes()
            + self.whole.as_ref().map_or(0, Whole::bytes)
            + self.sampled.as_ref().map_or(0, Sampled::bytes)
            + 4 * self.grads.len()
    }
}
