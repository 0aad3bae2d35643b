//! A small model whose tapes tell what those of a large one will take.

use crate::autograd::tape::Engine;
use crate::data::Dataset;
use crate::model::build::{Sizes, Start, build};
use crate::model::{BuildError, Model};
use crate::train::catalogue;
use crate::train::config::{Config, TrainConfig};
use crate::train::loss::Extent;
use crate::train::rank::RanksBy;
use crate::train::sampler::SharedSampler;
use crate::train::shard::{Job, Shard};
use crate::train::trainer::{compares_with_all, shares_by_batch};
use dmran_kernels::Level;
use dmran_kernels::feature_attention::KEEP_ROWS;

/// Lengths of the histories that are tried: short ones, of whose attention the kernels keep more, and long ones.
const TRIED: [[usize; 3]; 2] = [[1, 8, KEEP_ROWS], [KEEP_ROWS + 1, 2 * KEEP_ROWS, 4 * KEEP_ROWS]];
/// Place of the working memory among a tape's buffers.
const SCRATCH: usize = 5;
/// Place of the gradients of the dense weights.
const DENSE: usize = 3;
/// Buffers from here on are the workspace's, which shards share.
const LENT: usize = 3;
/// Rows of the small tables: numbers by which they are told apart.
const ROWS: [usize; 3] = [101, 103, 107];

/// Lengths of a shard's buffers, in numbers of 4 bytes: activations, saved values, indices; gradients of weights and of
/// activations, working memory.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Load {
    tape: [f64; 6],
    ids: f64,
}

impl Load {
    pub(super) fn max(&mut self, other: &Load) {
        self.tape.iter_mut().zip(other.tape).for_each(|(a, b)| *a = a.max(b));
        self.ids = self.ids.max(other.ids);
    }

    pub(super) fn bytes(&self) -> u64 {
        (4.0 * (self.tape.iter().sum::<f64>() + self.ids)) as u64
    }

    /// The part that shards share which are computed one after the other.
    pub(super) fn lent(&self) -> u64 {
        (4.0 * self.tape[LENT..].iter().sum::<f64>()) as u64
    }

    /// The gradients of the dense weights.
    pub(super) fn dense(&self) -> u64 {
        (4.0 * self.tape[DENSE]) as u64
    }
}

/// The length of each of a tape's buffers: a fixed part, and for each sample of n events a quadratic in n, one for
/// short histories and one for long ones.
pub(super) struct Shape {
    fixed: [f64; 6],
    /// At the lengths of [`TRIED`], without the fixed part.
    sample: [[[f64; 6]; 3]; 2],
    /// Whether a buffer has room for one sample at a time: working memory often has.
    one_at_a_time: [bool; 6],
}

impl Shape {
    /// From what `run` says of the tape of some samples with some events each.
    fn measure(run: impl Fn(usize, usize) -> [f64; 6]) -> Shape {
        let mut sample = TRIED.map(|lengths| lengths.map(|events| run(1, events)));
        let two = run(2, TRIED[0][1]);
        let one = sample[0][1];
        let one_at_a_time = std::array::from_fn(|i| two[i] < 1.2 * one[i] && i == SCRATCH);
        let fixed = std::array::from_fn(|i| if one_at_a_time[i] { 0.0 } else { (2.0 * one[i] - two[i]).max(0.0) });
        sample.iter_mut().flatten().for_each(|tape| tape.iter_mut().zip(fixed).for_each(|(x, f)| *x -= f));
        Shape { fixed, sample, one_at_a_time }
    }

    /// The load of samples with these lengths and `per` candidates each.
    pub(super) fn of(&self, lengths: impl Iterator<Item = usize>, per: usize) -> Load {
        let mut load = Load { tape: self.fixed, ids: 0.0 };
        for n in lengths {
            let which = usize::from(n > KEEP_ROWS);
            let at = TRIED[which].map(|n| n as f64);
            let n = n as f64;
            // Lagrange's polynomial through the three lengths.
            let weight = |k: usize| {
                let (i, j) = ((k + 1) % 3, (k + 2) % 3);
                (n - at[i]) * (n - at[j]) / ((at[k] - at[i]) * (at[k] - at[j]))
            };
            let weights = [weight(0), weight(1), weight(2)];
            for (i, x) in load.tape.iter_mut().enumerate() {
                let more = weights.iter().zip(&self.sample[which]).map(|(w, tape)| w * tape[i]).sum::<f64>().max(0.0);
                *x = if self.one_at_a_time[i] { x.max(more) } else { *x + more };
            }
            load.ids += 2.0 * n + (2 + per) as f64;
        }
        load
    }
}

/// What the real model's arrays take, in bytes.
pub(super) struct ParamSizes {
    /// All weights, packed and derived forms included.
    pub(super) parameters: u64,
    /// The trained ones, once.
    pub(super) trained: u64,
    /// All dense ones, derived ones included.
    pub(super) dense: u64,
}

pub(super) struct Probe<'a> {
    model: Box<dyn Model>,
    config: &'a TrainConfig,
    level: Level,
    counts: [usize; 3],
    shared: SharedSampler,
    whole: bool,
    by_batch: bool,
}

impl<'a> Probe<'a> {
    pub(super) fn new(
        name: &str,
        config: &'a Config,
        dataset: &Dataset,
        level: Level,
    ) -> Result<Probe<'a>, BuildError> {
        let counts = [dataset.users(), dataset.items(), dataset.categories()];
        let [users, items, categories] = ROWS;
        let sizes = Sizes { users, items, categories, item_category: vec![0; items] };
        let mut model = build(name, &config.model, &sizes, Start { seed: 1, table_std: None })?;
        // What the products come to does not matter here, only that they may run.
        model.params_mut().repack();
        model.params_mut().repack_derived();
        let whole = compares_with_all(&*model, &config.train);
        let by_batch = shares_by_batch(&*model, &config.train);
        let drawn = if whole || by_batch { vec![] } else { vec![0; dataset.items()] };
        let shared = SharedSampler::new(&config.train, &drawn);
        Ok(Probe { model, config: &config.train, level, counts, shared, whole, by_batch })
    }

    /// The real number of rows of a table that has `rows` here.
    fn rows(&self, rows: usize) -> usize {
        ROWS.iter().position(|small| *small == rows).map_or(rows, |which| self.counts[which])
    }

    pub(super) fn sizes(&self) -> ParamSizes {
        let params = self.model.params();
        let small: usize = params.tables().iter().map(|table| table.data.len()).sum();
        let tables: usize = params.tables().iter().map(|table| self.rows(table.rows) * table.cols).sum();
        ParamSizes {
            parameters: (params.bytes() - 4 * small + 4 * tables) as u64,
            trained: 4 * (params.trained().len() + tables) as u64,
            dense: 4 * params.values().len() as u64,
        }
    }

    /// What the softmax over all items, or over those that a batch shares, takes with `rows` targets a batch.
    pub(super) fn catalogue(&self, rows: usize) -> u64 {
        if self.by_batch {
            let items = self.config.shared_negatives + rows;
            let width = self.model.items().rows(self.model.params()).d();
            let sizes =
                catalogue::Sizes { items, width, categories: 0, category_width: 0, item_category: &[], bias: true };
            // Vectors beside it, and the places that each row leaves out: the others' targets above all.
            return catalogue::Catalogue::estimate(&sizes, rows)
                + 4 * (items * width + rows * (rows + 2 * width)) as u64;
        }
        if !self.whole {
            return 0;
        }
        let (params, items) = (self.model.params(), self.model.items());
        let [_, count, categories] = self.counts;
        let c = items.c.map(|c| params.table(c).cols);
        let sizes = catalogue::Sizes {
            items: count,
            width: params.table(items.v).cols,
            categories: c.map_or(0, |_| categories),
            category_width: c.unwrap_or(0),
            item_category: &[],
            bias: items.bias.is_some(),
        };
        catalogue::Catalogue::estimate(&sizes, rows)
    }

    /// Candidates that a batch looks up for `rows` targets with `per` of their own each.
    pub(super) fn candidates(&self, rows: usize, per: usize, shards: usize) -> usize {
        match self.shared.drawn() {
            _ if self.by_batch => rows * per + self.config.shared_negatives,
            // A shard looks them up once; the naive engine does so for each row where scores depend on the candidate.
            shared if self.model.has_user_vectors() || self.config.engine == Engine::Fused => {
                rows * per + shards * shared
            }
            shared => rows * (per + shared),
        }
    }

    /// Whether every event is a target.
    pub(super) fn every_position(&self) -> bool {
        self.model.every_position()
    }

    /// Whether the model trains block by block.
    pub(super) fn ranks_by(&self) -> RanksBy {
        RanksBy::of(&*self.model, self.config.engine)
    }

    pub(super) fn in_blocks(&self) -> bool {
        self.model.in_blocks()
    }

    /// What the shards keep of the lookups of a batch: an id and a gradient each.
    pub(super) fn lookups(&self, lookups: [u64; 2]) -> u64 {
        let all = lookups[0] + lookups[1];
        self.model.params().tables().iter().map(|table| all * (4 + 4 * table.cols as u64)).sum()
    }

    /// Row gradients of a batch that looks up `lookups` history events and candidates.
    pub(super) fn row_gradients(&self, lookups: [u64; 2]) -> u64 {
        // A key, where the gradient lies; then for each row its number, its run, its square and its gradient.
        let of = |rows: usize, cols: usize| {
            let all = lookups[0] + lookups[1];
            16 * all + all.min(self.rows(rows) as u64) * (16 + 4 * cols as u64)
        };
        self.model.params().tables().iter().map(|table| of(table.rows, table.cols)).sum()
    }

    /// A shard's tape in training, with `per` candidates a sample.
    pub(super) fn training(&self, per: usize) -> Shape {
        let run = |samples, events| {
            let every = self.model.every_position();
            let batch = Extent { samples, rows: if every { samples * events } else { samples } };
            let (model, shared) = (&*self.model, &self.shared);
            let job = Job { model, config: self.config, level: self.level, batch, shared };
            let mut shard = Shard::default();
            shard.fill_alike(samples, events, per, shared.drawn(), every);
            shard.begin(job.model);
            shard.train_block(&job, 1);
            shard.tape().lengths()
        };
        Shape::measure(run)
    }

    /// A shard's tape in scoring.
    pub(super) fn scoring(&self, per: usize) -> Shape {
        let run = |samples, events| {
            let mut shard = Shard::default();
            shard.fill_alike(samples, events, per, 0, false);
            shard.forward(&*self.model, self.config.engine, self.level, |_, _| ());
            shard.tape().lengths()
        };
        Shape::measure(run)
    }
}
