//! SASRec: causal self-attention over the history; every event is a target in training.

use super::baseline::{self, Builder, Layer};
use super::registry::{Entry, Kind, Recipes};
use super::{Batch, Items, Model, Output, Sizes, Start, Users};
use crate::autograd::ops::self_attention::Mask;
use crate::autograd::ops::{self, transformer};
use crate::autograd::params::{ParamId, Params, TableId};
use crate::autograd::tape::{Engine, Graph};
use crate::autograd::var::{Index, Var};
use crate::scorer::{Settings, SettingsError};

/// What the program knows of it beside the network.
pub const ENTRY: Entry = Entry {
    kind: Kind::Sasrec,
    name: "sasrec",
    title: "SASRec",
    help: "causal self-attention, every event a target",
    build: Some(|settings, sizes, start| Ok(Box::new(SasRec::new(settings, sizes, start)?))),
    recipes: Recipes { paper: &[PAPER], everyday: &[EVERYDAY], ..Recipes::NONE },
    paper: [None, None],
};

/// SASRec's paper and its authors' code: no l2 term, no bias, no categories, one head; the values for its sparse logs.
const PAPER: &str = "[model]
d = 50
heads = 1
ff_width = 12
head_ff_width = 12
history_cap = 50
item_bias = false
categories = false
[train]
loss = 'bce'
optimizer = 'adam'
lr = 0.001
decay = 1.0
batch = 128
clip = 0.0
l2_weight = 0.0
init_std = 0.0
dropout = 0.5
epochs = 200
early_stop_metric = 'ndcg'
patience = 20
";

/// What others found to matter most for it: the softmax over all items, and width.
const EVERYDAY: &str = "[model]
d = 128
heads = 2
ff_width = 32
head_ff_width = 32
history_cap = 100
item_bias = true
[train]
loss = 'softmax'
batch = 64
epochs = 100
patience = 10
";

/// A history of n events starts as `x_t = sqrt(d) V[item_t] + P[n - 1 - t]`: positions count from the end of the history,
/// which is cut to its latest `history_cap` events. Each of the blocks (`layers` of them) makes of it
///
/// ```text
/// q = LN(x)
/// y = q + W_o attention(W_q q + b_q, W_k x, W_v x + b_v) + b_o    an event attends to those up to itself
/// z = LN(y)
/// x = z + W_2 relu(W_1 z + b_1) + b_2     W_1, W_2 [d, d]
/// ```
///
/// and `u_t = LN(x_t)` scores item i by `u_t . V[i] + bias_i`, with the table that the history was read from.
///
/// The norms stand before their parts, and the residual takes the normed rows, as in the authors' code and in its
/// PyTorch descendants (where the text of their paper has `x + part(LN(x))`); `sqrt(d)` is theirs, too. `W_o`, which
/// mixes the heads, is PyTorch's: the authors' code has none. A bias of the keys would add the same to all that a query
/// compares, which its softmax takes away again: there is none. Dropout falls on the embeddings, the attention's result,
/// the hidden layer and the result of the feed forward part.
#[derive(Clone, Debug)]
pub struct SasRec {
    params: Params,
    items: Items,
    positions: TableId,
    blocks: Vec<Block>,
    last: Norm,
    heads: usize,
    eps: f32,
}

#[derive(Clone, Copy, Debug)]
struct Block {
    query: Norm,
    queries: Layer,
    keys: ParamId,
    values: Layer,
    out: Layer,
    inner: Norm,
    feed_forward: [Layer; 2],
}

/// Gain and bias of a layer norm.
#[derive(Clone, Copy, Debug)]
struct Norm {
    gain: ParamId,
    bias: ParamId,
}

impl Norm {
    fn new(builder: &mut Builder, name: &str, d: usize) -> Norm {
        let gain = builder.vector(&format!("{name}.g"), d, 1.0);
        Norm { gain, bias: builder.vector(&format!("{name}.b"), d, 0.0) }
    }

    fn apply(self, g: &mut Graph<'_>, x: Var, eps: f32) -> Var {
        match g.engine {
            Engine::Fused => transformer::norm(g, x, None, self.gain, self.bias, eps),
            Engine::Naive => ops::layer_norm(g, x, g.param(self.gain), g.param(self.bias), eps),
        }
    }
}

impl Block {
    fn new(builder: &mut Builder, number: usize, d: usize) -> Block {
        let name = |part: &str| format!("block{number}.{part}");
        let query = Norm::new(builder, &name("ln1"), d);
        let queries = builder.layer_of(&name(""), "q", d, d);
        let keys = builder.matrix(&name("W_k"), d, d, 2 * d);
        let values = builder.layer_of(&name(""), "v", d, d);
        let out = builder.layer_of(&name(""), "o", d, d);
        let inner = Norm::new(builder, &name("ln2"), d);
        let feed_forward = ["1", "2"].map(|part| builder.layer_of(&name(""), part, d, d));
        Block { query, queries, keys, values, out, inner, feed_forward }
    }
}

/// Draws the masks of one forward pass, each from a stream of its own.
struct Masks<'a> {
    batch: &'a Batch<'a>,
    drawn: u64,
}

impl Masks<'_> {
    fn apply(&mut self, g: &mut Graph<'_>, x: Var) -> Var {
        let Some(rate) = self.batch.dropout else { return x };
        self.drawn += 1;
        ops::dropout(g, x, rate.stream(self.drawn))
    }
}

impl SasRec {
    /// The model with its starting values.
    ///
    /// # Errors
    /// If the heads do not divide `d`.
    ///
    /// # Panics
    /// If the settings ask for categories and `sizes` does not name one for each item.
    pub fn new(settings: &Settings, sizes: &Sizes, start: Start) -> Result<SasRec, SettingsError> {
        let (d, heads) = (settings.d, settings.heads);
        if !d.is_multiple_of(heads) {
            return Err(SettingsError::HeadsDoNotDivide { d, heads });
        }
        let mut builder = Builder::new(start);
        let items = baseline::items(&mut builder, settings, sizes);
        let positions = builder.table("P", settings.history_cap, d);
        let blocks = (1..=settings.layers).map(|number| Block::new(&mut builder, number, d)).collect();
        let last = Norm::new(&mut builder, "ln", d);
        let eps = settings.block_eps;
        Ok(SasRec { params: builder.params, items, positions, blocks, last, heads, eps })
    }

    /// What an event reads off those up to itself.
    fn attend(&self, g: &mut Graph<'_>, block: &Block, q: Var, x: Var, rows: Index) -> Var {
        let (queries, values) = (block.queries.apply(g, q), block.values.apply(g, x));
        let read = match g.engine {
            Engine::Fused => {
                let keys = ops::dense(g, x, block.keys, None, false);
                ops::self_attention(g, [queries, keys, values], rows, self.heads, Mask::Causal)
            }
            Engine::Naive => {
                let keys = ops::linear(g, x, g.param(block.keys), None);
                crate::autograd::reference::self_attention(g, [queries, keys, values], rows, self.heads, Mask::Causal)
            }
        };
        block.out.apply(g, read)
    }

    /// The user vectors: what is known behind the events that the batch asks for.
    fn read(&self, g: &mut Graph<'_>, batch: &Batch<'_>) -> Users {
        let history = g.index(batch.history.iter().copied());
        let rows = g.index(batch.offsets.iter().copied());
        // Whoever cuts histories at the cap never sees the last place shared.
        let last = self.params.table(self.positions).rows as u32 - 1;
        let from_end =
            batch.offsets.windows(2).flat_map(|ends| (0..ends[1] - ends[0]).rev().map(|place| place.min(last)));
        let places = g.index(from_end);
        let mut masks = Masks { batch, drawn: 0 };
        let looked_up = self.items.vectors(g, history);
        let scaled = ops::scale(g, looked_up, (looked_up.cols as f32).sqrt(), 0.0);
        let positions = ops::embed(g, &[(self.positions, places)]);
        let x = ops::add(g, scaled, positions);
        let mut x = masks.apply(g, x);
        for block in &self.blocks {
            let q = block.query.apply(g, x, self.eps);
            let read = self.attend(g, block, q, x, rows);
            let read = masks.apply(g, read);
            let y = ops::add(g, q, read);
            let z = block.inner.apply(g, y, self.eps);
            let [first, second] = block.feed_forward;
            let hidden = first.apply_relu(g, z);
            let hidden = masks.apply(g, hidden);
            let fed = second.apply(g, hidden);
            let fed = masks.apply(g, fed);
            x = ops::add(g, z, fed);
        }
        let asked = g.index(batch.rows.iter().copied());
        let x = ops::select_rows(g, x, asked);
        Users { u: self.last.apply(g, x, self.eps), attention: None, looked_up: Some(looked_up) }
    }
}

impl Model for SasRec {
    fn name(&self) -> &'static str {
        "sasrec"
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
        let users = self.read(g, batch);
        self.items.forward(g, batch, users)
    }

    fn users(&self, g: &mut Graph<'_>, batch: &Batch<'_>) -> Option<Users> {
        Some(self.read(g, batch))
    }

    fn has_user_vectors(&self) -> bool {
        true
    }

    fn every_position(&self) -> bool {
        true
    }

    fn uses_time(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests;
