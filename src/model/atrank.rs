//! ATRank: self-attention over the history, then the candidate's attention over what comes out.

use super::baseline::{self, Builder, TimeLayer};
use super::recipes::RIVAL;
use super::registry::{Entry, Kind};
use super::{Batch, Items, Model, Output, Sizes, Start};
use crate::autograd::ops::self_attention::Mask;
use crate::autograd::ops::shared_atrank::SharedAtrank;
use crate::autograd::ops::{self, pool_atrank};
use crate::autograd::params::{ParamId, Params};
use crate::autograd::reference;
use crate::autograd::tape::{Engine, Graph};
use crate::autograd::var::{Index, Var};
use crate::scorer::{Settings, SettingsError};

/// What the program knows of it beside the network.
pub const ENTRY: Entry = Entry {
    kind: Kind::Atrank,
    name: "atrank",
    title: "ATRank",
    help: "self-attention over the history, then the candidate's attention",
    build: Some(|settings, sizes, start| Ok(Box::new(AtRank::new(settings, sizes, start)?))),
    recipes: RIVAL,
    paper: [Some(0.8910), Some(0.6725)],
};

/// `h_t = W_v x_t + T[bucket_t] + b_v`, `e = block(h, h)`, `u = block(c, e)`, with
/// `block(q, x) = LN(y + W_2 relu(W_1 y + b_1) + b_2)`, `y = LN(q + attention)`, where queries, keys and values are ReLU
/// layers of q, x and x, in several heads and without a projection behind them.
///
/// `u` depends on the candidate: the l2 term counts it and the candidate's vector for each of them.
#[derive(Clone, Debug)]
pub struct AtRank {
    params: Params,
    items: Items,
    first: TimeLayer,
    history: pool_atrank::Weights,
    candidate: pool_atrank::Weights,
    uses_time: bool,
}

fn block(builder: &mut Builder, name: &str, settings: &Settings) -> pool_atrank::Weights {
    let (d, inner) = (settings.d, settings.head_ff_width);
    let mut layer = |part: &str, n: usize, k: usize| -> [ParamId; 2] {
        let w = builder.matrix(&format!("{name}.W_{part}"), n, k, n + k);
        [w, builder.vector(&format!("{name}.b_{part}"), n, 0.0)]
    };
    let [q, k, u] = ["q", "k", "u"].map(|part| layer(part, d, d));
    let (first, second) = (layer("1", inner, d), layer("2", d, inner));
    let mut norm = |part: &str| -> [ParamId; 2] {
        let gain = builder.vector(&format!("{name}.{part}.g"), d, 1.0);
        [gain, builder.vector(&format!("{name}.{part}.b"), d, 0.0)]
    };
    let (inner_norm, outer_norm) = (norm("ln1"), norm("ln2"));
    pool_atrank::Weights {
        projections: [q[0], q[1], k[0], k[1], u[0], u[1]],
        norms: [inner_norm[0], inner_norm[1], outer_norm[0], outer_norm[1]],
        feed_forward: [first[0], first[1], second[0], second[1]],
        heads: settings.heads,
        eps: settings.head_eps,
    }
}

fn naive_vars(g: &Graph<'_>, w: &pool_atrank::Weights) -> reference::AtrankVars {
    let [q, b_q, k, b_k, u, b_u] = w.projections.map(|id| g.param(id));
    let [g1, b1, g2, b2] = w.norms.map(|id| g.param(id));
    let ff = w.feed_forward.map(|id| g.param(id));
    let (heads, eps) = (w.heads, w.eps);
    reference::AtrankVars { q: [q, b_q], k: [k, b_k], u: [u, b_u], ln1: [g1, b1], ff, ln2: [g2, b2], heads, eps }
}

impl AtRank {
    /// The model with its starting values.
    ///
    /// # Errors
    /// If the heads do not divide `d`.
    ///
    /// # Panics
    /// If the settings ask for categories and `sizes` does not name one for each item.
    pub fn new(settings: &Settings, sizes: &Sizes, start: Start) -> Result<AtRank, SettingsError> {
        let (d, heads) = (settings.d, settings.heads);
        if !d.is_multiple_of(heads) {
            return Err(SettingsError::HeadsDoNotDivide { d, heads });
        }
        let mut builder = Builder::new(start);
        let items = baseline::items(&mut builder, settings, sizes);
        let first = TimeLayer::new(&mut builder, settings);
        let history = block(&mut builder, "history", settings);
        let candidate = block(&mut builder, "candidate", settings);
        let uses_time = settings.uses_time();
        Ok(AtRank { params: builder.params, items, first, history, candidate, uses_time })
    }

    /// The block over a history itself.
    fn encode(&self, g: &mut Graph<'_>, h: Var, rows: Index) -> Var {
        let w = &self.history;
        if g.engine == Engine::Naive {
            return reference::pool_atrank(g, h, h, &naive_vars(g, w), rows, rows);
        }
        let [w_q, b_q, w_k, b_k, w_u, b_u] = w.projections;
        let q = ops::dense(g, h, w_q, Some(b_q), true);
        let keys = ops::dense(g, h, w_k, Some(b_k), true);
        let values = ops::dense(g, h, w_u, Some(b_u), true);
        let attended = ops::self_attention(g, [q, keys, values], rows, w.heads, Mask::Full);
        ops::transformer::norm_feed_forward(g, attended, h, w.norms, w.feed_forward, w.eps)
    }

    /// The block of the candidates over what [`AtRank::encode`] gives.
    fn read(&self, g: &mut Graph<'_>, e: Var, c: Var, rows: Index, candidates: Index) -> Var {
        match g.engine {
            Engine::Fused => ops::pool_atrank(g, e, c, &self.candidate, rows),
            Engine::Naive => reference::pool_atrank(g, e, c, &naive_vars(g, &self.candidate), rows, candidates),
        }
    }
}

impl Model for AtRank {
    fn name(&self) -> &'static str {
        "atrank"
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
        let (x, e, rows) = self.histories(g, batch);
        self.score(g, batch, (x, e, rows))
    }

    fn forward_shared(&self, g: &mut Graph<'_>, batch: &Batch<'_>, shared: Index) -> Option<(Output, Var)> {
        if g.engine == Engine::Naive {
            return None;
        }
        let (x, e, rows) = self.histories(g, batch);
        let output = self.score(g, batch, (x, e, rows));
        let (c, bias) = (self.items.vectors(g, shared), self.items.biases(g, shared));
        let w = SharedAtrank { first: self.candidate, other: None };
        Some((output, ops::shared_atrank(g, w, [Some(e), None], rows, c, bias)))
    }

    fn uses_time(&self) -> bool {
        self.uses_time
    }
}

impl AtRank {
    /// The histories' item vectors, what the block makes of them, and their segments.
    fn histories(&self, g: &mut Graph<'_>, batch: &Batch<'_>) -> (Var, Var, Index) {
        let history = g.index(batch.history.iter().copied());
        let rows = g.index(batch.offsets.iter().copied());
        let x = self.items.vectors(g, history);
        let x = batch.dropout.map_or(x, |rate| ops::dropout(g, x, rate));
        let h = self.first.apply(g, x, batch);
        (x, self.encode(g, h, rows), rows)
    }

    /// The batch's own candidates.
    fn score(&self, g: &mut Graph<'_>, batch: &Batch<'_>, (x, e, rows): (Var, Var, Index)) -> Output {
        let candidates = g.index(batch.candidates.iter().copied());
        let per = batch.per_row() as u32;
        let of_samples = g.index((0..=batch.samples() as u32).map(|b| b * per));
        let c = self.items.vectors(g, candidates);
        let u = self.read(g, e, c, rows, of_samples);
        let scores = self.items.scores(g, u, c, candidates).reshape(batch.samples(), per as usize);
        Output { scores, attention: None, activations: [Some(u), Some(c)], rows: [Some(c), Some(x)] }
    }
}
