//! A small model whose tapes tell what those of a large one will take.

use crate::data::Dataset;
use crate::model::build::{Sizes, Start, build};
use crate::model::{BuildError, Model};
use crate::ops::dropout::Rate;
use crate::train::config::{Config, TrainConfig};
use crate::train::shard::Shard;
use dmran_kernels::Level;

/// Lengths of the histories that are tried: multiples of a SIMD lane, so that padding does not show.
const STEP: usize = 16;
/// Rows of the small tables: numbers by which they are told apart.
const ROWS: [usize; 3] = [101, 103, 107];

/// Lengths of a shard's buffers, in numbers of 4 bytes: activations, saved values, indices, gradients, working memory.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Load {
    tape: [f64; 5],
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
}

/// The length of each of a tape's buffers: `fixed + sample + event n + square n^2` summed over samples of n events.
pub(super) struct Shape {
    fixed: [f64; 5],
    sample: [f64; 5],
    event: [f64; 5],
    square: [f64; 5],
}

impl Shape {
    /// From tapes of one sample with 1, 2 and 3 steps of events, and of two samples with one step each.
    fn fit(one: [[f64; 5]; 3], two: [f64; 5]) -> Shape {
        let h = STEP as f64;
        let mut shape = Shape { fixed: [0.0; 5], sample: [0.0; 5], event: [0.0; 5], square: [0.0; 5] };
        for (i, two) in two.into_iter().enumerate() {
            let [f1, f2, f3] = one.map(|tape| tape[i]);
            let square = (f3 - 2.0 * f2 + f1) / (2.0 * h * h);
            let event = (f2 - f1) / h - 3.0 * h * square;
            shape.square[i] = square;
            shape.event[i] = event;
            shape.fixed[i] = 2.0 * f1 - two;
            shape.sample[i] = f1 - event * h - square * h * h - shape.fixed[i];
        }
        shape
    }

    /// The load of samples with these lengths and `per` candidates each.
    pub(super) fn of(&self, lengths: impl Iterator<Item = usize>, per: usize) -> Load {
        let (mut samples, mut events, mut squares) = (0.0, 0.0, 0.0);
        for n in lengths {
            samples += 1.0;
            events += n as f64;
            squares += (n * n) as f64;
        }
        let mut load = Load { tape: self.fixed, ids: 2.0 * events + samples * (2 + per) as f64 };
        for (i, x) in load.tape.iter_mut().enumerate() {
            *x += self.sample[i] * samples + self.event[i] * events + self.square[i] * squares;
            *x = x.max(0.0);
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
        let model = build(name, &config.model, &sizes, Start { seed: 1, table_std: None })?;
        Ok(Probe { model, config: &config.train, level, counts })
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

    /// Row gradients of a batch that looks up `lookups` history events and candidates.
    pub(super) fn row_gradients(&self, lookups: [u64; 2]) -> u64 {
        // A key, where the gradient lies; then for each row its number, its run, its square and its gradient.
        let of = |rows: usize, cols: usize| {
            let all = lookups[0] + lookups[1];
            24 * all + all.min(self.rows(rows) as u64) * (16 + 4 * cols as u64)
        };
        self.model.params().tables().iter().map(|table| of(table.rows, table.cols)).sum()
    }

    /// A shard's tape in training, with `per` candidates a sample.
    pub(super) fn training(&self, per: usize) -> Shape {
        let rate = (self.config.dropout > 0.0).then_some(Rate { rate: self.config.dropout, seed: 1 });
        let run = |samples, events| {
            let mut shard = Shard::default();
            shard.fill_alike(samples, events, per);
            shard.train(&*self.model, self.config, self.level, samples, rate);
            shard.tape.lengths()
        };
        Shape::fit([run(1, STEP), run(1, 2 * STEP), run(1, 3 * STEP)], run(2, STEP))
    }

    /// A shard's tape in scoring.
    pub(super) fn scoring(&self, per: usize) -> Shape {
        let run = |samples, events| {
            let mut shard = Shard::default();
            shard.fill_alike(samples, events, per);
            shard.forward(&*self.model, self.config.engine, self.level, |_, _| ());
            shard.tape.lengths()
        };
        Shape::fit([run(1, STEP), run(1, 2 * STEP), run(1, 3 * STEP)], run(2, STEP))
    }
}
