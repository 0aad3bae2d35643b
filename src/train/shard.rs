//! A shard: a fixed part of a batch with a tape of its own, which takes it block by block.

use crate::autograd::ops::dropout::Rate;
use crate::autograd::tape::{Engine, Graph, Tape, Workspace};
use crate::autograd::var::Var;
use crate::data::Dataset;
use crate::data::Sample;
use crate::model::{Batch, Model, Output, last_rows};
use crate::scorer::{Settings, TimeKind};
use crate::spec::time;
use crate::train::config::{Denominator, L2Kind, TrainConfig};
use crate::train::loss::{self, Extent, Rest, Seeds, Terms};
use crate::train::losses::Against;
use crate::train::losses::shared::{self, LeftOut, Shared};
use crate::train::sampler::SharedSampler;
use crate::train::sparse::Lookups;
use dmran_kernels::Level;
use rand::RngExt;
use rand::rngs::ChaCha8Rng;
use std::ops::Range;

/// A sample's work that does not depend on its history, in events (hops, pairs of hops, candidates).
pub(crate) const FIXED_WORK: usize = 25;
/// Work of a block, in events: some 200 KiB for each matrix of a row an event.
const BLOCK_WORK: usize = 600;

/// How histories are read from a data set.
#[derive(Clone, Copy)]
pub struct Source<'a> {
    /// The events.
    pub dataset: &'a Dataset,
    /// How many of a history's latest events are read.
    pub history_cap: usize,
    /// How an event's age or place becomes a bucket.
    pub time: TimeKind,
    /// Number of buckets.
    pub buckets: usize,
    /// Whether every event is a target, see [`Model::every_position`]; only in training.
    pub every_position: bool,
}

impl<'a> Source<'a> {
    /// The source that a model's settings ask for.
    pub fn new(dataset: &'a Dataset, settings: &Settings) -> Source<'a> {
        let known = settings.uses_time() && (dataset.has_time() || !settings.reads_times());
        let time = if known { settings.time } else { TimeKind::None };
        Source { dataset, history_cap: settings.history_cap, time, buckets: settings.buckets, every_position: false }
    }

    /// The number of targets of a sample.
    pub fn rows(&self, sample: Sample) -> usize {
        if self.every_position { self.length(sample) } else { 1 }
    }

    /// Appends the targets of a sample, oldest first.
    pub fn targets(&self, sample: Sample, out: &mut Vec<u32>) {
        let target = sample.target as usize;
        let items = &self.dataset.history(sample.user).items[..=target];
        out.extend_from_slice(&items[target + 1 - self.rows(sample)..]);
    }

    /// The number of events in a sample's history.
    pub fn length(&self, sample: Sample) -> usize {
        (sample.target as usize).min(self.history_cap)
    }
}

/// What all shards of a batch train with.
#[derive(Clone, Copy)]
pub struct Job<'a> {
    /// The model.
    pub model: &'a dyn Model,
    /// The settings of the training.
    pub config: &'a TrainConfig,
    /// The SIMD tier.
    pub level: Level,
    /// The whole batch.
    pub batch: Extent,
    /// Draws the items that a shard's samples share, where the loss asks for it.
    pub shared: &'a SharedSampler,
}

/// Buffers and tape of one shard, reused from batch to batch.
#[derive(Default)]
pub struct Shard {
    users: Vec<u32>,
    history: Vec<u32>,
    buckets: Vec<u32>,
    offsets: Vec<u32>,
    rows: Vec<u32>,
    candidates: Vec<u32>,
    shared: Vec<u32>,
    shift: Vec<f32>,
    left_out: [Vec<u32>; 2],
    expanded: Vec<u32>,
    blocks: Vec<Range<usize>>,
    tape: Tape,
    /// What the blocks of the last training pass looked up in each table.
    lookups: Vec<Lookups>,
    /// Where a pass stands that waits for the gradients of its user vectors.
    pending: Option<Pending>,
    /// Terms of the last training pass.
    pub terms: Terms,
}

/// A forward pass whose user vectors wait for their gradients.
#[derive(Clone, Copy, Debug)]
struct Pending {
    u: Var,
    seeds: Seeds,
}

impl Shard {
    /// Takes over samples and the candidates of their rows (the same number for each).
    pub fn fill(&mut self, source: &Source<'_>, samples: &[Sample], candidates: &[u32]) {
        self.users.clear();
        self.history.clear();
        self.buckets.clear();
        self.offsets.clear();
        self.offsets.push(0);
        self.rows.clear();
        for sample in samples {
            let events = source.dataset.history(sample.user);
            let target = sample.target as usize;
            let first = target - source.length(*sample);
            self.users.push(sample.user);
            self.history.extend_from_slice(&events.items[first..target]);
            if source.time == TimeKind::None {
                self.buckets.resize(self.history.len(), 0);
            } else {
                // Without times the places alone are read.
                let time = |at: usize| events.times.get(at).copied().unwrap_or(0);
                let now = time(target);
                let bucket = |at| time::bucket_at(source.time, source.buckets, target - 1 - at, time(at), now);
                self.buckets.extend((first..target).map(bucket));
            }
            let end = self.history.len() as u32;
            self.rows.extend(end - source.rows(*sample) as u32..end);
            self.offsets.push(end);
        }
        self.candidates.clear();
        self.candidates.extend_from_slice(candidates);
    }

    /// Takes samples of `events` events each, all of item 0, with `per` candidates for each row and `shared` ones for all:
    /// only to see what they take.
    pub(crate) fn fill_alike(&mut self, samples: usize, events: usize, per: usize, shared: usize, every: bool) {
        self.users = vec![0; samples];
        self.history = vec![0; samples * events];
        self.buckets = vec![0; samples * events];
        self.offsets = (0..=samples).map(|at| (at * events) as u32).collect();
        self.rows = last_rows(&self.offsets);
        if every {
            self.rows = (0..(samples * events) as u32).collect();
        }
        self.candidates = vec![0; self.rows.len() * per];
        self.shared = vec![0; shared];
    }

    /// The shard's samples.
    pub fn batch(&self, dropout: Option<Rate>) -> Batch<'_> {
        Batch {
            users: &self.users,
            history: &self.history,
            buckets: &self.buckets,
            offsets: &self.offsets,
            rows: &self.rows,
            candidates: &self.candidates,
            dropout,
        }
    }

    /// Lends the shard's tape a workspace for the time of `pass`.
    pub(crate) fn lent(&mut self, workspace: &mut Workspace, pass: impl FnOnce(&mut Shard)) {
        self.tape.exchange(workspace);
        pass(self);
        self.tape.exchange(workspace);
    }

    /// Forward and backward pass of some samples of a batch with the candidates of their rows (the same number for each).
    /// `dropout` draws the seeds of the masks, `negatives` the items that the samples share.
    pub fn train(
        &mut self,
        job: &Job<'_>,
        source: &Source<'_>,
        samples: &[Sample],
        candidates: &[u32],
        mut dropout: ChaCha8Rng,
        mut negatives: ChaCha8Rng,
    ) {
        let shares = job.config.loss.against() != Against::Own;
        let mut blocks = std::mem::take(&mut self.blocks);
        // Shared candidates are looked up once for all samples of the shard.
        cut_blocks(samples.iter().map(|s| source.length(*s)), job.model.in_blocks() && !shares, &mut blocks);
        self.begin(job.model);
        job.shared.draw(&mut negatives, &mut self.shared, &mut self.shift);
        let total: usize = samples.iter().map(|s| source.rows(*s)).sum();
        let per = candidates.len() / total.max(1);
        let mut first = 0;
        for block in &blocks {
            let samples = &samples[block.clone()];
            let end = first + per * samples.iter().map(|s| source.rows(*s)).sum::<usize>();
            self.fill(source, samples, &candidates[first..end]);
            if shares && job.config.denominator == Denominator::Unseen {
                self.leave_out(source, samples);
            }
            self.train_block(job, dropout.random());
            first = end;
        }
        self.blocks = blocks;
    }

    /// The forward pass of samples of a model with user vectors up to these; `targets` has one item a row. What follows is
    /// [`Shard::train_users_backward`].
    pub(crate) fn train_users(
        &mut self,
        job: &Job<'_>,
        source: &Source<'_>,
        samples: &[Sample],
        targets: &[u32],
        mut dropout: ChaCha8Rng,
    ) {
        let Job { model, config, level, batch, .. } = *job;
        // Gradients of weights begin with the backward pass.
        self.forget_lookups(model);
        self.fill(source, samples, targets);
        if config.denominator == Denominator::Unseen {
            self.leave_out(source, samples);
        }
        let dropout = (config.dropout > 0.0).then(|| Rate { rate: config.dropout, seed: dropout.random() });
        let mut tape = std::mem::take(&mut self.tape);
        let mut g = Graph::new(model.params(), &mut tape, config.engine, level);
        self.pending = model.users(&mut g, &self.batch(dropout)).map(|users| {
            // The l2 term alone looks at the targets' vectors here.
            let counts = match config.l2 {
                L2Kind::Activation => config.l2_weight != 0.0,
                L2Kind::Weights => config.l2_rows != 0.0,
            };
            let c = counts.then(|| {
                let targets = g.index(targets.iter().copied());
                model.items().vectors(&mut g, targets)
            });
            let rank = g.constant(1, 1, |x| x.fill(0.0));
            let rest = Rest { attention: users.attention, activations: [Some(users.u), c], rows: [c, users.looked_up] };
            let seeds = loss::record_rest(&mut g, rank, &rest, batch, config);
            self.terms.add(&loss::terms(&g, &seeds));
            Pending { u: users.u, seeds }
        });
        self.tape = tape;
    }

    /// In place of [`Shard::train_users`] where another rank computes the user vectors: what they are compared with.
    pub(crate) fn note_users(
        &mut self,
        config: &TrainConfig,
        source: &Source<'_>,
        samples: &[Sample],
        targets: &[u32],
    ) {
        self.pending = None;
        self.candidates.clear();
        self.candidates.extend_from_slice(targets);
        if config.denominator == Denominator::Unseen {
            self.leave_out(source, samples);
        }
    }

    /// The backward pass of [`Shard::train_users`], from the gradients of its user vectors.
    pub(crate) fn train_users_backward(&mut self, job: &Job<'_>, d_users: &[f32]) {
        let Some(Pending { u, seeds }) = self.pending.take() else { return };
        let Job { model, config, level, .. } = *job;
        let mut g = Graph::resume(model.params(), &mut self.tape, config.engine, level);
        g.backward_from(|grads| {
            for (var, weight) in seeds {
                grads.of(var).fill(weight);
            }
            grads.of(u).copy_from_slice(d_users);
        });
        let tape = &self.tape;
        self.lookups.iter_mut().enumerate().for_each(|(table, lookups)| lookups.take(tape, model.params(), table));
    }

    /// The user vectors of [`Shard::train_users`], `[rows, d]`.
    pub(crate) fn users(&self) -> &[f32] {
        self.pending.map_or(&[], |pending| self.tape.activation(pending.u))
    }

    /// The rows' candidates.
    pub(crate) fn targets(&self) -> &[u32] {
        &self.candidates
    }

    /// Appends what the rows leave out, if anything is.
    pub(crate) fn left_out(&self, offsets: &mut Vec<u32>, items: &mut Vec<u32>) {
        let [own, left_out] = &self.left_out;
        let base = items.len() as u32;
        offsets.extend(own.iter().skip(usize::from(!offsets.is_empty())).map(|at| base + at));
        items.extend_from_slice(left_out);
    }

    /// Notes for each row the items that its user had before its target.
    fn leave_out(&mut self, source: &Source<'_>, samples: &[Sample]) {
        let [offsets, items] = &mut self.left_out;
        offsets.clear();
        items.clear();
        offsets.push(0);
        for sample in samples {
            let had = source.dataset.history(sample.user).items;
            let target = sample.target as usize;
            for end in target + 1 - source.rows(*sample)..=target {
                let first = items.len();
                items.extend_from_slice(&had[..end]);
                items[first..].sort_unstable();
                offsets.push(items.len() as u32);
            }
        }
    }

    /// Forgets gradients, lookups and terms.
    pub(crate) fn begin(&mut self, model: &dyn Model) {
        self.tape.forget_weight_grads(model.params());
        self.forget_lookups(model);
    }

    fn forget_lookups(&mut self, model: &dyn Model) {
        self.terms = Terms::default();
        self.lookups.resize_with(model.params().tables().len(), Lookups::default);
        self.lookups.iter_mut().for_each(Lookups::clear);
    }

    /// Forward and backward pass of the samples that the buffers hold.
    pub(crate) fn train_block(&mut self, job: &Job<'_>, seed: u64) {
        let Job { model, config, level, batch, .. } = *job;
        let dropout = (config.dropout > 0.0).then_some(Rate { rate: config.dropout, seed });
        let mut tape = std::mem::take(&mut self.tape);
        let mut g = Graph::new(model.params(), &mut tape, config.engine, level);
        let output = if config.loss.against() == Against::Own {
            model.forward(&mut g, &self.batch(dropout))
        } else {
            let mut expanded = std::mem::take(&mut self.expanded);
            let [offsets, items] = &self.left_out;
            let left_out = (!offsets.is_empty()).then_some(LeftOut { offsets, items });
            let shared = Shared { items: &self.shared, shift: &self.shift, left_out };
            let output = shared::scores(&mut g, model, &self.batch(dropout), shared, &mut expanded);
            self.expanded = expanded;
            output
        };
        let seeds = loss::record(&mut g, &output, batch, config);
        self.terms.add(&loss::terms(&g, &seeds));
        g.backward_adding(&seeds);
        self.lookups.iter_mut().enumerate().for_each(|(table, lookups)| lookups.take(&tape, model.params(), table));
        self.tape = tape;
    }

    /// Forward pass up to the user vectors, of a model that has them; `read` sees them, `[rows, d]`.
    pub fn forward_users(&mut self, model: &dyn Model, engine: Engine, level: Level, read: impl FnOnce(&[f32])) {
        let mut tape = std::mem::take(&mut self.tape);
        let mut g = Graph::new(model.params(), &mut tape, engine, level);
        if let Some(users) = model.users(&mut g, &self.batch(None)) {
            read(g.value(users.u));
        }
        self.tape = tape;
    }

    /// Forward pass alone; `read` sees the result.
    pub fn forward<R>(
        &mut self,
        model: &dyn Model,
        engine: Engine,
        level: Level,
        read: impl FnOnce(&Graph<'_>, &Output) -> R,
    ) -> R {
        let mut tape = std::mem::take(&mut self.tape);
        let mut g = Graph::new(model.params(), &mut tape, engine, level);
        let output = model.forward(&mut g, &self.batch(None));
        let result = read(&g, &output);
        self.tape = tape;
        result
    }

    /// The tape of the last pass.
    pub fn tape(&self) -> &Tape {
        &self.tape
    }

    /// What the last training pass looked up in a table, with gradients.
    pub fn lookups(&self, table: usize) -> &Lookups {
        &self.lookups[table]
    }

    /// Bytes held, for memory accounts.
    pub fn bytes(&self) -> usize {
        let [left_out, left_items] = &self.left_out;
        let ids = [&self.users, &self.history, &self.buckets, &self.offsets, &self.rows, &self.candidates];
        let ids = ids.into_iter().chain([&self.shared, &self.expanded, left_out, left_items]);
        self.tape.bytes()
            + 4 * (ids.map(|v| v.capacity()).sum::<usize>() + self.shift.capacity())
            + self.lookups.iter().map(Lookups::bytes).sum::<usize>()
    }
}

/// Cuts samples into `shards` runs of about equal work, by their history lengths alone. `fixed` is the work of a
/// sample that does not depend on its history, in events.
pub fn cut(lengths: impl Iterator<Item = usize> + Clone, shards: usize, fixed: usize, out: &mut Vec<Range<usize>>) {
    out.clear();
    let total: usize = lengths.clone().map(|n| n + fixed).sum();
    let (mut start, mut done, mut samples) = (0, 0, 0);
    for n in lengths {
        done += n + fixed;
        samples += 1;
        // The cut falls behind the sample with which a shard reaches its share of the work.
        if done * shards >= total * (out.len() + 1) {
            out.push(start..samples);
            start = samples;
        }
    }
}

/// Cuts a shard's samples into the blocks that it is trained on one after the other, or into a single one.
pub(crate) fn cut_blocks(lengths: impl Iterator<Item = usize> + Clone, in_blocks: bool, out: &mut Vec<Range<usize>>) {
    let work: usize = lengths.clone().map(|n| n + FIXED_WORK).sum();
    cut(lengths, if in_blocks { work.div_ceil(BLOCK_WORK) } else { 1 }, FIXED_WORK, out);
}

#[cfg(test)]
mod tests {
    use super::cut;

    #[test]
    fn shards_cover_all_samples_in_order_with_like_work() {
        let lengths = [50, 1, 1, 1, 1, 1, 30, 30, 2, 9, 9, 9];
        for shards in 1..20 {
            let mut cuts = Vec::new();
            cut(lengths.iter().copied(), shards, 10, &mut cuts);
            assert!(cuts.len() <= shards && cuts.len() >= shards.min(3));
            assert_eq!((cuts[0].start, cuts[cuts.len() - 1].end), (0, lengths.len()));
            assert!(cuts.windows(2).all(|w| w[0].end == w[1].start));
            let work = |r: &std::ops::Range<usize>| lengths[r.clone()].iter().map(|n| n + 10).sum::<usize>();
            let share = (144 + 120) / shards;
            assert!(cuts.iter().all(|r| work(r) <= share + 61), "{cuts:?}");
        }
        let mut cuts = Vec::new();
        cut(std::iter::empty(), 4, 10, &mut cuts);
        assert!(cuts.is_empty());
    }
}
