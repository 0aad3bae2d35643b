//! Items: their vectors (eq 1), their bias, and what a user's vector scores them (eq 17).

use super::{Batch, Output, Users};
use crate::autograd::ops;
use crate::autograd::params::{Params, TableId};
use crate::autograd::tape::{Engine, Graph};
use crate::autograd::var::{Index, Var};
pub use crate::scorer::item_rows::{Categories, ItemRows};

/// Where a model's items lie: `V`, beside it `C` where items have categories, and `bias` where they have one.
#[derive(Clone, Debug)]
pub struct Items {
    /// `[items, d]`, or `[items, d / 2]` beside categories.
    pub v: TableId,
    /// `[categories, d / 2]`.
    pub c: Option<TableId>,
    /// `[items, 1]`.
    pub bias: Option<TableId>,
    /// Category of each item; empty without categories.
    pub item_category: Vec<u32>,
}

impl Items {
    /// The tables by their names; `None` if there is no `V`.
    pub fn of(params: &Params, item_category: Vec<u32>) -> Option<Items> {
        let [v, c, bias] = ["V", "C", "bias"].map(|name| params.find_table(name));
        Some(Items { v: v?, c, bias, item_category })
    }

    /// The numbers of the tables.
    pub fn rows<'a>(&'a self, params: &'a Params) -> ItemRows<'a> {
        let v = params.table(self.v);
        ItemRows {
            items: &v.data,
            width: v.cols,
            categories: self.c.map(|c| {
                let c = params.table(c);
                Categories { table: &c.data, width: c.cols, of: &self.item_category }
            }),
            bias: self.bias.map_or(&[], |bias| &params.table(bias).data),
        }
    }

    /// Vectors of the items `ids`: `[n, d]`.
    pub fn vectors(&self, g: &mut Graph<'_>, ids: Index) -> Var {
        let Some(c) = self.c else {
            return ops::embed(g, &[(self.v, ids)]);
        };
        let of = g.index_from(|all| {
            for k in ids.start..ids.start + ids.len {
                all.push(self.item_category[all[k] as usize]);
            }
        });
        ops::embed(g, &[(self.v, ids), (c, of)])
    }

    /// Biases of the items `ids`: `[n, 1]`; `None` for a model without them.
    pub fn biases(&self, g: &mut Graph<'_>, ids: Index) -> Option<Var> {
        self.bias.map(|bias| ops::embed(g, &[(bias, ids)]))
    }

    /// `u . c + bias` of candidates `ids` with the vectors `c`, where `u` has a row for each candidate: `[n, 1]`.
    pub fn scores(&self, g: &mut Graph<'_>, u: Var, c: Var, ids: Index) -> Var {
        let bias = self.biases(g, ids);
        match (g.engine, bias) {
            (Engine::Fused, bias) => ops::score(g, u, c, bias),
            (Engine::Naive, bias) => {
                let dots = ops::row_dot(g, u, c);
                bias.map_or(dots, |bias| ops::add(g, dots, bias))
            }
        }
    }

    /// The forward pass of a model whose user vectors do not depend on the candidate: `users` has a row for each row of
    /// the batch. The l2 term counts a user's vector once for each candidate, as ATRank's code does.
    pub fn forward(&self, g: &mut Graph<'_>, batch: &Batch<'_>, users: Users) -> Output {
        let ids = g.index(batch.candidates.iter().copied());
        let c = self.vectors(g, ids);
        let per = batch.per_row();
        let of = g.index((0..batch.candidates.len()).map(|i| (i / per) as u32));
        let each = ops::select_rows(g, users.u, of);
        let scores = self.scores(g, each, c, ids).reshape(batch.rows.len(), per);
        let Users { attention, looked_up, .. } = users;
        Output { scores, attention, activations: [Some(each), Some(c)], rows: [Some(c), looked_up] }
    }
}
