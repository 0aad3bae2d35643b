//! Everything that is cut like the catalogue, cut into runs.

use super::{BLOCK, grow};
use crate::lines::Lines;
use dmran_kernels::gemm::packed_len;
use std::ops::Range;

/// What one run over its items keeps.
#[derive(Debug, Default)]
pub(super) struct Run {
    pub max: Vec<f32>,
    pub sum: Vec<f64>,
    pub target: Vec<f32>,
    /// `[rows, d]`, or empty for the loss alone.
    pub d_users: Lines,
    pub scale: Vec<f32>,
    /// Vectors of a block, then their gradients, where they have two parts.
    pub vectors: Lines,
    /// As `vectors`, of their biases.
    pub bias: Vec<f32>,
    /// The users, packed with a block's scales.
    pub packed: Lines,
    /// The scales of `packed`.
    pub packed_scale: Vec<f32>,
    /// Sums of squares of the gradients of items and biases.
    pub squares: [f64; 2],
}

impl Run {
    /// Before the first block of a chunk of `rows`; `d` is 0 for the loss alone. `vectors` is room for a block's vectors.
    pub fn begin(&mut self, rows: usize, d: usize, vectors: usize) {
        self.max.clear();
        self.max.resize(rows, f32::NEG_INFINITY);
        self.sum.clear();
        self.sum.resize(rows, 0.0);
        self.target.resize(rows, 0.0);
        self.scale.resize(rows, 0.0);
        self.d_users.room(rows * d).fill(0.0);
        self.packed.room(packed_len(rows, d));
        self.vectors.room(vectors);
        grow(&mut self.bias, vectors.min(BLOCK));
    }

    pub fn bytes(&self) -> usize {
        let floats = [&self.max, &self.target, &self.scale, &self.packed_scale, &self.bias].into_iter();
        let lines = [&self.d_users, &self.vectors, &self.packed].into_iter();
        4 * floats.map(|v| v.capacity()).sum::<usize>()
            + 8 * self.sum.capacity()
            + lines.map(Lines::bytes).sum::<usize>()
    }
}

/// The part of one run or of several neighbouring ones.
pub(super) struct Part<'a> {
    pub items: Range<usize>,
    pub runs: &'a mut [Run],
    pub e: &'a mut [f32],
    pub maxima: &'a mut [f32],
    pub d_items: &'a mut [f32],
    pub d_parts: &'a mut [f32],
    pub d_bias: &'a mut [f32],
}

/// All runs, and how much of each thing a run has.
pub(super) struct Parts<'a> {
    pub part: Part<'a>,
    /// Items.
    pub run: usize,
    /// Exponentials.
    pub e: usize,
    /// Maxima.
    pub maxima: usize,
}

impl Parts<'_> {
    /// Calls `f` for each of some runs with its part, on all threads.
    pub fn among(self, runs: Range<usize>, f: &(impl Fn(Part) + Sync)) {
        let count = self.part.runs.len();
        match runs {
            Range { start, end } if start >= end => {}
            Range { start: 0, end } if end == count => self.each(f),
            Range { start: 0, end } => self.split(end).0.each(f),
            Range { start, end } => self.split(start).1.among(0..end - start, f),
        }
    }

    /// Calls `f` for each run with its part, on all threads.
    fn each(self, f: &(impl Fn(Part) + Sync)) {
        let runs = self.part.runs.len();
        if runs <= 1 {
            if runs == 1 {
                f(self.part);
            }
            return;
        }
        let (first, rest) = self.split(runs / 2);
        rayon::join(|| first.each(f), || rest.each(f));
    }

    /// The first `runs` runs and the others.
    fn split(self, runs: usize) -> (Self, Self) {
        let Parts { part, run, e, maxima } = self;
        let (total, cut) = (part.items.len(), runs * run);
        // Whatever has so many values an item, perhaps none.
        let each = |len: usize| len / total * cut;
        let (d_items, d_parts, d_bias) = (each(part.d_items.len()), each(part.d_parts.len()), each(part.d_bias.len()));
        let (runs_0, runs_1) = part.runs.split_at_mut(runs);
        let (e_0, e_1) = part.e.split_at_mut(runs * e);
        let (maxima_0, maxima_1) = part.maxima.split_at_mut(runs * maxima);
        let (d_items_0, d_items_1) = part.d_items.split_at_mut(d_items);
        let (d_parts_0, d_parts_1) = part.d_parts.split_at_mut(d_parts);
        let (d_bias_0, d_bias_1) = part.d_bias.split_at_mut(d_bias);
        let middle = part.items.start + cut;
        let first = Part {
            items: part.items.start..middle,
            runs: runs_0,
            e: e_0,
            maxima: maxima_0,
            d_items: d_items_0,
            d_parts: d_parts_0,
            d_bias: d_bias_0,
        };
        let rest = Part {
            items: middle..part.items.end,
            runs: runs_1,
            e: e_1,
            maxima: maxima_1,
            d_items: d_items_1,
            d_parts: d_parts_1,
            d_bias: d_bias_1,
        };
        (Parts { part: first, run, e, maxima }, Parts { part: rest, run, e, maxima })
    }
}
