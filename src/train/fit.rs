//! A whole training run: epochs of steps, an evaluation after each, the best model kept.

mod state;
mod watch;

use crate::data::{
    Dataset, Negatives, Protocol, Sample, known_events, last_of_each_user, learned_events, test_samples, train_samples,
    validation_samples,
};
use crate::train::Trainer;
use crate::train::config::{Config, OnNan};
use crate::train::evaluate::{Exam, Sampled, full_ranking, sampled};
pub use crate::train::evaluate::{Figures, Rated};
use crate::train::loss::Terms;
use crate::train::ranks::cost::Traffic;
use crate::train::sampler::epoch_order;
use crate::train::trainer::TrainError;
pub use state::{Best, EpochReport, Halving, Point, Snapshot, State, TopTen};
use std::time::Instant;
pub use watch::{Finish, FitError, Keep, Progress, Watch};

/// How often a run that diverges is given another chance by `on_nan = "halve-lr"`.
pub const MAX_HALVINGS: usize = 5;

/// What ranks tell each other after a step.
const STOP: u32 = 1;
const KEEP: u32 = 2;

/// A run.
pub struct Fit<'a> {
    /// The model in training.
    pub trainer: Trainer,
    /// Where the run stands.
    pub state: State,
    config: Config,
    dataset: &'a Dataset,
    negatives: Negatives,
    /// What is known when the test begins, where the training must not know it.
    validation_negatives: Option<Negatives>,
    train: Vec<Sample>,
    validation: Vec<Sample>,
    test: Vec<Sample>,
    order: Vec<u32>,
    /// The start of the epoch under way, where `on_nan` may have to go back to it.
    rollback: Option<Point>,
    /// What this rank of a team has sent in steps, and in how many.
    sent: (Traffic, u64),
}

impl<'a> Fit<'a> {
    /// A run of `trainer` on a data set.
    pub fn new(trainer: Trainer, dataset: &'a Dataset, config: Config) -> Fit<'a> {
        let split = config.eval.split();
        // Nothing after the moment of the protocol `time` may be known, not even that it is no negative.
        let (negatives, validation_negatives) = match split.protocol {
            Protocol::Time => {
                let learned = Negatives::until(dataset, &learned_events(dataset, split));
                (learned, Some(Negatives::until(dataset, &known_events(dataset, split))))
            }
            Protocol::Paper | Protocol::Honest | Protocol::None => (Negatives::new(dataset), None),
        };
        let mut train = train_samples(dataset, split);
        train.retain(|s| negatives.available(s.user) > 0);
        if let Some(since) = config.train.since {
            // Without times nothing is known to be old.
            train.retain(|s| dataset.history(s.user).times.get(s.target as usize).is_none_or(|time| *time > since));
        }
        let test = test_samples(dataset, split);
        let validation = match split.protocol {
            Protocol::Paper => test.clone(),
            Protocol::Honest | Protocol::Time | Protocol::None => validation_samples(dataset, split),
        };
        if trainer.model().every_position() {
            last_of_each_user(&mut train);
        }
        let (state, order, rollback) = (State::default(), Vec::new(), None);
        Fit {
            trainer,
            state,
            config,
            dataset,
            negatives,
            validation_negatives,
            train,
            validation,
            test,
            order,
            rollback,
            sent: (Traffic::default(), 0),
        }
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

    /// Which items each user has, as far as the training may know it.
    pub fn negatives(&self) -> &Negatives {
        &self.negatives
    }

    /// What this rank of a team has sent in the steps that it has taken, and how many these are.
    pub fn sent(&self) -> (Traffic, u64) {
        self.sent
    }

    /// The data set that is learned from.
    pub fn dataset(&self) -> &'a Dataset {
        self.dataset
    }

    /// The start of the epoch under way, where `on_nan` may have to go back to it.
    pub(crate) fn rollback(&self) -> Option<&Point> {
        self.rollback.as_ref()
    }

    /// Goes on from where another run of the same settings, data and model stood. The caller has compared them.
    pub(crate) fn go_on_from(&mut self, state: State, point: Point, rollback: Option<Point>) {
        self.state = state;
        point.install(&mut self.trainer);
        self.rollback = rollback;
    }

    /// Why the run has no more to do, if it has not.
    pub fn finish(&self) -> Option<Finish> {
        let config = &self.config.train;
        if self.state.epoch >= config.epochs {
            Some(Finish::Epochs)
        } else if config.patience > 0 && self.state.position == 0 && self.config.eval.protocol.measures() {
            (self.state.epochs_without_better() >= config.patience).then_some(Finish::Patience)
        } else {
            None
        }
    }

    /// Trains from where the run stands to its end (its last epoch, or `patience` without a better one), or until
    /// `watch` ends it. Returns whether its end was reached.
    ///
    /// # Errors
    /// As [`Fit::run_keeping`].
    pub fn run(&mut self, watch: &mut (impl Watch + Send)) -> Result<bool, FitError> {
        self.run_keeping(watch, &mut ())
    }

    /// [`Fit::run`], kept by `keep` on the way: at the end of each epoch and whenever it asks for it.
    ///
    /// # Errors
    /// [`TrainError::Diverged`]: the weights are then those of before the step, and nothing was kept after the
    /// divergence. With `on_nan = "halve-lr"` only after [`MAX_HALVINGS`] attempts to go on. Whatever `keep` answers.
    pub fn run_keeping(
        &mut self,
        watch: &mut (impl Watch + Send),
        keep: &mut (impl Keep + Send),
    ) -> Result<bool, FitError> {
        // Inside the pool once and for all: entering it for every step would cost a wake-up each time.
        self.trainer.pool().install(|| self.run_inside(watch, keep))
    }

    fn run_inside(&mut self, watch: &mut impl Watch, keep: &mut impl Keep) -> Result<bool, FitError> {
        self.trainer.lr_factor = self.state.lr_factor();
        while self.finish().is_none() {
            if self.state.position == 0 && self.config.train.on_nan == OnNan::HalveLr {
                self.rollback = Some(Point::take(&self.trainer));
            }
            match self.rest_of_epoch(watch, keep) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(FitError::Train(error)) => {
                    watch.halved(self.halve(error)?);
                    continue;
                }
                Err(error) => return Err(error),
            }
            let report = self.close_epoch();
            keep.keep(self)?;
            if !self.all(watch.epoch(&report)) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether no rank of the team wants to stop: they stop together.
    fn all(&mut self, go_on: bool) -> bool {
        self.trainer.team_mut().any(u32::from(!go_on)) == 0
    }

    /// Goes back to the start of the epoch with half the learning rate, where the settings ask for it.
    fn halve(&mut self, error: TrainError) -> Result<&Halving, FitError> {
        let (TrainError::Diverged { step, what, value, .. }, Some(point)) = (&error, &self.rollback) else {
            return Err(error.into());
        };
        let (step, cause) = (*step, format!("{what} is {value}"));
        let times = self.state.halvings.len();
        if times >= MAX_HALVINGS {
            return Err(FitError::StillDiverges { times, source: error });
        }
        point.restore(&mut self.trainer);
        let state = &mut self.state;
        state.position = 0;
        state.sums = Terms::default();
        state.counted = 0;
        let factor = state.lr_factor() / 2.0;
        state.halvings.push(Halving { epoch: state.epoch + 1, step, cause, factor });
        self.trainer.lr_factor = factor;
        Ok(&state.halvings[times])
    }

    /// Takes the steps that are left of this epoch. Returns false where `watch` ended the run.
    fn rest_of_epoch(&mut self, watch: &mut impl Watch, keep: &mut impl Keep) -> Result<bool, FitError> {
        epoch_order(self.train.len(), self.config.train.seed, self.state.epoch, &mut self.order);
        let started = Instant::now();
        let before = self.state.seconds;
        while self.state.position < self.order.len() {
            let first = self.state.position;
            let end = self.order.len().min(first + self.config.train.batch);
            let batch = &self.order[first..end];
            let epoch = self.state.epoch;
            let sent = self.trainer.team().traffic();
            let step = self.trainer.step(self.dataset, &self.negatives, &self.train, batch, epoch, first)?;
            let sent = self.trainer.team().traffic() - sent;
            self.sent = (self.sent.0 + sent, self.sent.1 + 1);
            self.state.sums.add(&step.terms.times(step.samples as f64));
            self.state.counted += step.samples;
            self.state.position = end;
            self.state.seconds = before + started.elapsed().as_secs_f64();
            let (config, terms) = (&self.config.train, self.mean_terms());
            let progress = Progress {
                epoch: epoch + 1,
                epochs: config.epochs,
                done: end,
                samples: self.order.len(),
                loss: terms.total(config),
                terms,
                step,
                sent,
            };
            let stop = if watch.step(&progress) { 0 } else { STOP };
            // At the epoch's end the evaluation comes first.
            let due = if end < self.order.len() && keep.due() { KEEP } else { 0 };
            let flags = self.trainer.team_mut().any(stop | due);
            if flags & KEEP > 0 {
                keep.keep(self)?;
            }
            if flags & STOP > 0 {
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
        // What is measured and kept is the average of the weights, where there is one.
        self.trainer.exchange_average();
        let Sampled { auc, loss: validation_loss } = self.validate();
        let ranks = self.config.train.early_stop_metric.ranks() && self.config.eval.protocol.measures();
        let top_ten = ranks.then(|| self.rank_validation());
        let terms = self.mean_terms();
        let config = &self.config.train;
        let step = self.trainer.optimizer.step.saturating_sub(1);
        let epoch = self.state.epoch + 1;
        let mut report = EpochReport {
            epoch,
            lr: config.learning_rate(self.state.epoch, step) * self.state.lr_factor(),
            loss: terms.total(config),
            terms,
            auc,
            validation_loss,
            top_ten,
            seconds: self.state.seconds,
            samples_per_second: self.state.counted as f64 / self.state.seconds.max(1e-9),
            best: false,
            halvings: self.state.halvings.iter().filter(|halving| halving.epoch == epoch).cloned().collect(),
        };
        let value = report.value(config.early_stop_metric).mean;
        // NaN is never better.
        let better = |best: &Best| config.early_stop_metric.better(value, best.value);
        report.best = self.state.best.as_ref().map_or(!value.is_nan(), better);
        if report.best {
            // The old one goes first: two at a time would be the run's peak of memory.
            self.state.best = None;
            let weights = Snapshot::take(&self.trainer);
            self.state.best = Some(Best { epoch, auc: auc.mean, value, weights });
        }
        self.trainer.exchange_average();
        self.state.reports.push(report.clone());
        self.state.epoch += 1;
        self.state.position = 0;
        self.state.sums = Terms::default();
        self.state.counted = 0;
        self.state.seconds = 0.0;
        self.rollback = None;
        report
    }

    /// What epochs are compared by: one negative a user on the test set with the paper's protocol, several on the
    /// validation set with the honest one.
    fn validate(&mut self) -> Sampled {
        let eval = &self.config.eval;
        let count = if eval.protocol == Protocol::Paper { 1 } else { eval.validation_negatives };
        let loss = self.config.train.loss;
        let (trainer, seed) = (&mut self.trainer, self.config.train.seed);
        let negatives = self.validation_negatives.as_ref().unwrap_or(&self.negatives);
        sampled(trainer, self.dataset, negatives, &self.validation, count, seed, loss)
    }

    /// The full ranking of all users of the validation set.
    fn rank_validation(&mut self) -> TopTen {
        let seed = self.config.train.seed;
        let ranks = full_ranking(&mut self.trainer, self.dataset, &self.validation, 0, 0, seed);
        TopTen::of(&ranks)
    }

    /// Puts the best epoch's weights into the model; where none was the best, as nothing was measured, the last ones (their
    /// average, if one is kept, which then is kept no longer).
    pub fn restore_best(&mut self) {
        match (&self.state.best, self.trainer.average.take()) {
            (Some(best), _) => best.weights.restore(&mut self.trainer),
            (None, Some(average)) => average.restore(&mut self.trainer),
            (None, None) => {}
        }
    }

    /// The test set, to measure on.
    pub fn exam(&self) -> Exam<'a> {
        Exam::new(self.dataset, &self.config)
    }

    /// The figures of the model as it is, on the test set.
    pub fn test_figures(&mut self) -> Figures {
        self.exam().figures(&mut self.trainer)
    }

    /// The figures of the model as it is and those of all rivals, on the test set.
    pub fn test_beside_rivals(&mut self) -> (Figures, Vec<Rated>) {
        let exam = self.exam();
        let figures = exam.figures(&mut self.trainer);
        (figures, self.trainer.pool().install(|| exam.rivals()))
    }
}
