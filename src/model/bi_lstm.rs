//! Bi-LSTM and Bi-LSTM+Attention: a long short-term memory each way over the history's item vectors.

use super::baseline::{self, Builder, Layer};
use super::recipes::{ADAM, DROPOUT, RIVAL, SOFTMAX};
use super::registry::{Entry, Kind, Recipes};
use super::{Batch, Items, Model, Output, Sizes, Start, Users};
use crate::autograd::ops;
use crate::autograd::ops::lstm::Cell;
use crate::autograd::ops::shared_blocks::{Parts, Reader};
use crate::autograd::ops::steps::Steps;
use crate::autograd::params::Params;
use crate::autograd::tape::{Engine, Graph};
use crate::autograd::var::{Index, Var};
use crate::scorer::Settings;

/// What the program knows of Bi-LSTM beside the network.
pub const ENTRY: Entry = Entry {
    kind: Kind::BiLstm,
    name: "bi-lstm",
    title: "Bi-LSTM",
    help: "a long short-term memory each way over the history",
    build: Some(|settings, sizes, start| Ok(Box::new(BiLstm::new(settings, sizes, start, false)))),
    recipes: Recipes { everyday: &[SOFTMAX], ..RECIPES },
    paper: [Some(0.8734), Some(0.6590)],
};

/// The same of Bi-LSTM+Attention.
pub const WITH_ATTENTION: Entry = Entry {
    kind: Kind::BiLstmAttention,
    name: "bi-lstm-attention",
    title: "Bi-LSTM+Attention",
    help: "the same, with the candidate's attention over its outputs",
    build: Some(|settings, sizes, start| Ok(Box::new(BiLstm::new(settings, sizes, start, true)))),
    recipes: RECIPES,
    paper: [Some(0.8766), Some(0.6612)],
};

const RECIPES: Recipes = Recipes { auc: &[ADAM, DROPOUT], ..RIVAL };

/// Bi-LSTM, with or without the candidate's attention over its outputs.
///
/// Without: `u = W_u [forward output at the last event ; backward output at the first] + b_u`.
/// With: `u = W_u (softmax_t([c ; c] . [f_t ; b_t] / sqrt(2d)) [f_t ; b_t]) + b_u`.
/// Every history has at least one event. The l2 term counts `u` once for each candidate, as ATRank's code does, which has a row for each of them.
#[derive(Clone, Debug)]
pub struct BiLstm {
    params: Params,
    items: Items,
    forward: Cell,
    backward: Cell,
    out: Layer,
    attention: bool,
}

/// One direction: one matrix `[W_x ; W_h]` in TensorFlow, hence the fan of its start.
fn cell(builder: &mut Builder, name: &str, d: usize) -> Cell {
    Cell {
        w_x: builder.matrix(&format!("{name}.W_x"), 4 * d, d, 6 * d),
        w_h: builder.matrix(&format!("{name}.W_h"), 4 * d, d, 6 * d),
        b: builder.vector(&format!("{name}.b"), 4 * d, 0.0),
        forget: 1.0,
    }
}

impl BiLstm {
    /// The model with its starting values.
    ///
    /// # Panics
    /// If the settings ask for categories and `sizes` does not name one for each item.
    pub fn new(settings: &Settings, sizes: &Sizes, start: Start, attention: bool) -> BiLstm {
        let d = settings.d;
        let mut builder = Builder::new(start);
        let items = baseline::items(&mut builder, settings, sizes);
        let forward = cell(&mut builder, "forward", d);
        let backward = cell(&mut builder, "backward", d);
        let out = builder.layer("u", d, 2 * d);
        BiLstm { params: builder.params, items, forward, backward, out, attention }
    }

    /// The histories' item vectors, and the outputs of both directions.
    fn outputs(&self, g: &mut Graph<'_>, batch: &Batch<'_>) -> (Var, [Var; 2]) {
        let history = g.index(batch.history.iter().copied());
        let offsets = g.index(batch.offsets.iter().copied());
        let x = self.items.vectors(g, history);
        let x = batch.dropout.map_or(x, |rate| ops::dropout(g, x, rate));
        let [along, against]: [Steps; 2] = [false, true].map(|reversed| ops::steps(g, offsets, reversed));
        (x, [ops::lstm(g, x, self.forward, along), ops::lstm(g, x, self.backward, against)])
    }

    /// `[f_t ; b_t]` at each history's two ends: `[B, 2d]`.
    fn ends(&self, g: &mut Graph<'_>, [f, b]: [Var; 2], batch: &Batch<'_>) -> Var {
        let last = g.index(batch.offsets[1..].iter().map(|end| end - 1));
        let first = g.index(batch.offsets[..batch.samples()].iter().copied());
        let (f, b) = (ops::select_rows(g, f, last), ops::select_rows(g, b, first));
        ops::concat(g, f, b)
    }
}

/// What each candidate reads off the outputs of both directions: `[B C, 2d]`.
fn attend(g: &mut Graph<'_>, outputs: Var, c: Var, rows: Index) -> Var {
    let q = ops::concat(g, c, c);
    match g.engine {
        Engine::Fused => ops::pool_vanilla(g, outputs, q, rows).h,
        Engine::Naive => {
            let samples = (rows.len - 1) as u32;
            let per = c.rows as u32 / samples.max(1);
            let candidates = g.index((0..=samples).map(|b| b * per));
            crate::autograd::reference::pool_vanilla(g, outputs, q, rows, candidates)
        }
    }
}

/// How one user's shared candidates are scored: its part are the outputs, theirs are vectors and biases.
#[derive(Clone, Copy, Debug)]
struct Attends(Layer);

impl Reader for Attends {
    fn read(&self, g: &mut Graph<'_>, [outputs, ..]: Parts, [c, bias, ..]: Parts) -> Var {
        let (outputs, c) = (outputs.expect("the outputs"), c.expect("the candidates"));
        let rows = g.index([0, outputs.rows as u32]);
        let read = attend(g, outputs, c, rows);
        let u = self.0.apply(g, read);
        ops::score(g, u, c, bias)
    }
}

impl BiLstm {
    /// The batch's own candidates, with attention.
    fn score(&self, g: &mut Graph<'_>, batch: &Batch<'_>, x: Var, outputs: Var) -> Output {
        let candidates = g.index(batch.candidates.iter().copied());
        let offsets = g.index(batch.offsets.iter().copied());
        let c = self.items.vectors(g, candidates);
        let read = attend(g, outputs, c, offsets);
        let u = self.out.apply(g, read);
        let scores = self.items.scores(g, u, c, candidates).reshape(batch.samples(), batch.per_row());
        Output { scores, attention: None, activations: [Some(u), Some(c)], rows: [Some(c), Some(x)] }
    }
}

impl Model for BiLstm {
    fn name(&self) -> &'static str {
        if self.attention { "bi-lstm-attention" } else { "bi-lstm" }
    }

    fn params(&self) -> &Params {
        &self.params
    }

    fn params_mut(&mut self) -> &mut Params {
        &mut self.params
    }

    fn items(&self) -> &Items {
        &self.items
    }

    fn forward(&self, g: &mut Graph<'_>, batch: &Batch<'_>) -> Output {
        if let Some(users) = self.users(g, batch) {
            return self.items.forward(g, batch, users);
        }
        let (x, [f, b]) = self.outputs(g, batch);
        let outputs = ops::concat(g, f, b);
        self.score(g, batch, x, outputs)
    }

    fn forward_shared(&self, g: &mut Graph<'_>, batch: &Batch<'_>, shared: Index) -> Option<(Output, Var)> {
        if g.engine == Engine::Naive || !self.attention {
            return None;
        }
        let (x, [f, b]) = self.outputs(g, batch);
        let outputs = ops::concat(g, f, b);
        let output = self.score(g, batch, x, outputs);
        let (c, bias) = (self.items.vectors(g, shared), self.items.biases(g, shared));
        let rows = g.index(batch.offsets.iter().copied());
        let scores = ops::shared_blocks(
            g,
            Attends(self.out),
            [Some(outputs), None, None, None],
            rows,
            [Some(c), bias, None, None],
        );
        Some((output, scores))
    }

    fn users(&self, g: &mut Graph<'_>, batch: &Batch<'_>) -> Option<Users> {
        if self.attention {
            return None;
        }
        let (x, outputs) = self.outputs(g, batch);
        let ends = self.ends(g, outputs, batch);
        let u = self.out.apply(g, ends);
        Some(Users { u, attention: None, looked_up: Some(x) })
    }

    fn has_user_vectors(&self) -> bool {
        !self.attention
    }

    fn uses_time(&self) -> bool {
        false
    }
}
