//! The training step: fixed shards side by side, sums in a fixed order, one update.

mod averaged;
mod gradients;
mod sampled;
mod score;
mod sizes;
mod whole;

use crate::autograd::tape::Engine;
use crate::data::Dataset;
use crate::data::Negatives;
use crate::data::Sample;
use crate::model::Model;
use crate::pool::Pool;
use crate::scorer::Settings;
use crate::train::config::TrainConfig;
use crate::train::loss::Terms;
use crate::train::losses::Against;
use crate::train::optimizer::Optimizer;
use crate::train::prologue::Prologue;
use crate::train::ranks::cost::RowsRead;
use crate::train::ranks::shares::Shares;
use crate::train::ranks::{Team, Unshared};
use crate::train::sampler::{self, SharedSampler};
use crate::train::shard::{Shard, Source};
use crate::train::snapshot::Snapshot;
use crate::train::sparse::RowGrads;
use dmran_kernels::Level;
use gradients::Group;
pub(crate) use gradients::group;
use sampled::Sampled;
pub(crate) use score::scoring_shards;
use std::ops::Range;
use std::sync::Arc;
use whole::Whole;

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
    /// What shards that are computed one after the other share.
    groups: Vec<Group>,
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
    /// The shards' terms of the loss.
    terms: Vec<Terms>,
    /// The user vectors of a batch, where the loss is taken over all of them at once.
    users: Vec<f32>,
    /// The processes that train together.
    team: Team,
    /// Which rows of the tables are whose.
    shares: Shares,
    /// The numbers of the tables that are this process's.
    own: Vec<Range<usize>>,
    /// What the last step read of each table.
    read: Vec<RowsRead>,
    /// Of each table the squares of its rows' gradients in this step, summed, and how many rows these are.
    squares: Vec<(f64, usize)>,
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
        let shares = Shares::whole(model.params().tables());
        let whole = compares_with_all(&*model, &config).then(|| Whole::new(level, &*model));
        let sampled = shares_by_batch(&*model, &config).then(|| Sampled::new(level, &*model));
        Ok(Trainer {
            optimizer,
            average: None,
            lr_factor: 1.0,
            level,
            pool: Arc::new(pool),
            shards: Vec::new(),
            groups: Vec::new(),
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
            terms: Vec::new(),
            users: Vec::new(),
            team: Team::default(),
            own: shares.of(0),
            shares,
            read: Vec::new(),
            squares: Vec::new(),
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

    /// From here on steps and evaluations are those of a team: all its ranks take the same ones. Before the first step.
    ///
    /// # Errors
    /// [`Unshared`] where it cannot share the shards of a batch.
    pub fn join(&mut self, team: Team) -> Result<(), Unshared> {
        team.check(&self.config)?;
        let bounds = |table: usize| self.whole.as_ref().and_then(|whole| whole.bounds(table, &team));
        self.shares = Shares::new(&team, self.model.params().tables(), bounds);
        self.own = self.shares.of(team.rank());
        self.optimizer.keep(self.own.clone());
        self.team = team;
        Ok(())
    }

    /// Which rows of the tables are whose.
    pub fn shares(&self) -> &Shares {
        &self.shares
    }

    /// The numbers of each table whose state, average and copies this process has: all, if it is not one of several.
    pub fn own(&self) -> &[Range<usize>] {
        &self.own
    }

    /// Brings each rank's own rows of all tables to all ranks.
    pub(crate) fn spread(&mut self) {
        self.stale = true;
        let Trainer { team, model, shares, .. } = self;
        team.gather_tables(model.params_mut().tables_mut(), shares, |_| true);
    }

    /// From here on the trainer is by itself again, and its team is told no more: it scores, but of several ranks none can take a step
    /// alone.
    pub fn leave(&mut self) -> Team {
        std::mem::take(&mut self.team)
    }

    /// The processes that train together.
    pub fn team(&self) -> &Team {
        &self.team
    }

    /// The same, to exchange something: all of them must.
    pub fn team_mut(&mut self) -> &mut Team {
        &mut self.team
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
        let Trainer { pool, optimizer, model, grads, rows, whole, team, shares, .. } = self;
        let trained = model.params().trained().len();
        let whole = |table: usize| whole.as_ref().and_then(|whole| whole.table(table));
        let dense = &grads[..trained];
        pool.install(|| optimizer.update(model.params_mut(), dense, rows, whole, lr, scale));
        team.spread(model.params_mut().tables_mut(), shares, |table| whole(table).is_some());
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

    /// The first gradient that is not finite, with its parameter's name.
    fn broken_gradient(&mut self) -> Option<(String, f64)> {
        let Trainer { model, team, .. } = self;
        let params = model.params();
        let trained = &self.grads[..params.trained().len()];
        if let Some(at) = trained.iter().position(|g| !g.is_finite()) {
            return Some((params.name_at(at).to_owned(), f64::from(trained[at])));
        }
        let first = self.rows.iter().zip(params.tables()).enumerate().find_map(|(number, (rows, table))| {
            let at = rows.grads().iter().position(|g| !g.is_finite())?;
            Some([number as u32, rows.rows()[at / table.cols], rows.grads()[at].to_bits()])
        });
        // Each rank knows of its own rows.
        let (all, _) = team.gather_words(first.as_ref().map_or(&[], |first| first));
        let [table, row, bits] = *all.as_chunks().0.iter().min()?;
        Some((format!("{}, row {row}", params.tables()[table as usize].name), f64::from(f32::from_bits(bits))))
    }

    /// Bytes held by everything but the model's weights.
    pub fn bytes(&self) -> usize {
        self.shards.iter().map(Shard::bytes).sum::<usize>()
            + self.groups.iter().map(Group::bytes).sum::<usize>()
            + self.tapes.sum(Shard::bytes)
            + self.rows.iter().map(RowGrads::bytes).sum::<usize>()
            + self.optimizer.bytes()
            + self.prologue.bytes()
            + self.whole.as_ref().map_or(0, Whole::bytes)
            + self.sampled.as_ref().map_or(0, Sampled::bytes)
            + self.team.bytes()
            + 4 * (self.grads.len() + self.users.capacity())
    }
}
