//! Eq 18, 19 over all items, for models whose user vectors do not depend on the candidate: the shards' user vectors meet
//! the catalogue all at once, and what comes back is where their backward passes begin.

use crate::autograd::params::TableId;
use crate::model::Model;
use crate::train::catalogue::{Batch, Catalogue, Gathered, Sizes, TableOf};
use crate::train::ranks::Team;
use crate::train::ranks::cost::Compared;
use crate::train::shard::Shard;
use crate::train::sparse::RowGrads;
use dmran_kernels::Level;
use dmran_kernels::cross_entropy::Excluded;

/// The batch as the catalogue sees it, and the catalogue's gradients.
pub(super) struct Whole {
    catalogue: Catalogue,
    /// `V`, `C` and `bias`.
    tables: [Option<TableId>; 3],
    d_users: Vec<f32>,
    targets: Vec<u32>,
    weights: Vec<f32>,
    excluded: [Vec<u32>; 2],
}

impl Whole {
    pub fn new(level: Level, model: &dyn Model) -> Whole {
        let (params, items) = (model.params(), model.items());
        let (v, c) = (params.table(items.v), items.c.map(|c| params.table(c)));
        let sizes = Sizes {
            items: v.rows,
            width: v.cols,
            categories: c.map_or(0, |c| c.rows),
            category_width: c.map_or(0, |c| c.cols),
            item_category: &items.item_category,
            bias: items.bias.is_some(),
        };
        Whole {
            catalogue: Catalogue::new(level, &sizes),
            tables: [Some(items.v), items.c, items.bias],
            d_users: Vec::new(),
            targets: Vec::new(),
            weights: Vec::new(),
            excluded: [Vec::new(), Vec::new()],
        }
    }

    /// The mean loss over the rows of `shards`, of which these are the user vectors; the gradients stay here. Runs on the
    /// current pool.
    pub fn loss(&mut self, model: &dyn Model, shards: &[Shard], users: &[f32], team: &mut Team) -> f64 {
        let Whole { catalogue, d_users, targets, weights, excluded: [offsets, left_out], .. } = self;
        targets.clear();
        offsets.clear();
        left_out.clear();
        for shard in shards {
            targets.extend_from_slice(shard.targets());
            shard.left_out(offsets, left_out);
        }
        d_users.resize(users.len(), 0.0);
        weights.clear();
        weights.resize(targets.len(), 1.0 / targets.len().max(1) as f32);
        let excluded = Excluded { offsets, items: left_out };
        let batch = Batch { users, targets, weights, excluded };
        let rows = model.items().rows(model.params());
        catalogue.shared_loss_and_gradients(team, Gathered::Own, &rows, &batch, d_users)
    }

    /// The gradients of all user vectors, in the shards' order.
    pub fn d_users(&self) -> &[f32] {
        &self.d_users
    }

    /// Adds the gradients of the rows that histories read. As their squares they have from here on what they add to those
    /// of the whole table.
    pub fn add_rows(&mut self, tables: &mut [RowGrads]) {
        for (id, of) in self.tables.iter().zip([TableOf::Items, TableOf::Categories]) {
            if let Some(id) = id {
                let (rows, grads, changes) = tables[id.0].parts_mut();
                self.catalogue.add_rows(of, rows, grads, changes);
            }
        }
    }

    /// The sum of the squares of the gradients of the items' tables; `rows` are those of what was added to each table.
    pub fn sum_squares(&self, rows: &[(f64, usize)]) -> f64 {
        let added = self.tables[..2].iter().flatten().fold(0.0, |sum, id| sum + rows[id.0].0);
        self.catalogue.sum_squares() + added
    }

    /// Where each rank's rows of a table of items begin, and where the last one's end.
    pub fn bounds(&self, table: usize, team: &Team) -> Option<Vec<usize>> {
        let [v, _, bias] = self.tables;
        let of_items = [v, bias].into_iter().flatten().any(|id| id.0 == table);
        of_items.then(|| self.catalogue.bounds(team))
    }

    /// The dense gradient of a table; `None` for a table that is none of the items'.
    pub fn table(&self, table: usize) -> Option<&[f32]> {
        let which = self.tables.iter().position(|id| id.is_some_and(|id| id.0 == table))?;
        Some(match which {
            0 => self.catalogue.d_items(),
            1 => self.catalogue.d_categories(),
            _ => self.catalogue.d_bias(),
        })
    }

    /// What so many targets are compared with.
    pub fn compared(&self, targets: usize) -> Compared {
        self.catalogue.compared(targets)
    }

    pub fn bytes(&self) -> usize {
        let Whole { catalogue, d_users, targets, weights, excluded: [offsets, left_out], .. } = self;
        let floats = [d_users, weights].into_iter().map(Vec::capacity).sum::<usize>();
        let ids = [targets, offsets, left_out].into_iter().map(Vec::capacity).sum::<usize>();
        catalogue.bytes() + 4 * (floats + ids)
    }
}
