//! Items: their vectors (eq 1), their bias, and what a user's vector scores them (eq 17).

use super::{Batch, Output, Users};
use crate::ops;
use crate::params::{Params, TableId};
use crate::tape::{Engine, Graph};
use crate::tensor::{Index, Var};
use std::ops::Range;

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

/// The tables that item vectors come from.
#[derive(Clone, Copy, Debug)]
pub struct ItemRows<'a> {
    /// `[I, width]`.
    pub items: &'a [f32],
    /// Width of a row of `items`.
    pub width: usize,
    /// The second part of each vector, if there is one.
    pub categories: Option<Categories<'a>>,
    /// `[I]`, or empty.
    pub bias: &'a [f32],
}

/// A table of categories.
#[derive(Clone, Copy, Debug)]
pub struct Categories<'a> {
    /// `[K, width]`.
    pub table: &'a [f32],
    /// Width of a row.
    pub width: usize,
    /// The category of each item.
    pub of: &'a [u32],
}

impl<'a> ItemRows<'a> {
    pub(crate) fn check(&self, items: usize, width: usize, category_width: usize, categories: usize, bias: bool) {
        assert_eq!(self.width, width, "items of another width");
        assert_eq!(self.items.len(), items * width, "{items} items of width {width}");
        assert_eq!(self.bias.len(), if bias { items } else { 0 }, "biases of {items} items");
        let (table, of) = self.categories.map_or((0, 0), |c| (c.table.len(), c.of.len()));
        assert_eq!(table, categories * category_width, "{categories} categories of width {category_width}");
        assert_eq!(of, if category_width > 0 { items } else { 0 }, "categories of {items} items");
    }

    /// Number of items.
    pub fn count(&self) -> usize {
        self.items.len() / self.width
    }

    /// Width of a whole vector.
    pub fn d(&self) -> usize {
        self.width + self.categories.map_or(0, |c| c.width)
    }

    /// The item's bias; 0 where there are none.
    pub fn bias_of(&self, item: usize) -> f32 {
        self.bias.get(item).copied().unwrap_or(0.0)
    }

    /// Writes whole vectors of items, `[items, d]`.
    pub fn gather(&self, items: impl Iterator<Item = usize>, out: &mut [f32]) {
        for (row, item) in out.chunks_exact_mut(self.d()).zip(items) {
            let (own, category) = row.split_at_mut(self.width);
            own.copy_from_slice(self.own(item));
            category.copy_from_slice(self.category(item));
        }
    }

    /// The item's own vector.
    pub fn own(&self, item: usize) -> &'a [f32] {
        &self.items[item * self.width..][..self.width]
    }

    /// Its category's vector; empty without.
    pub fn category(&self, item: usize) -> &'a [f32] {
        self.categories.map_or(&[], |c| &c.table[c.of[item] as usize * c.width..][..c.width])
    }

    /// Whole vectors of neighbouring items: in place, or side by side in `scratch`.
    pub fn vectors<'s>(&self, range: Range<usize>, scratch: &'s mut [f32]) -> &'s [f32]
    where
        'a: 's,
    {
        let Some(categories) = self.categories else {
            return &self.items[range.start * self.width..range.end * self.width];
        };
        let out = &mut scratch[..range.len() * (self.width + categories.width)];
        self.gather(range, out);
        out
    }
}
