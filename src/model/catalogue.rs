//! The items of any model: their vectors and biases.

use crate::params::{Params, Table};

/// All items' vectors and biases, as a model's tables hold them.
#[derive(Clone, Copy, Debug)]
pub struct Catalogue<'a> {
    v: &'a Table,
    /// The categories' halves, and each item's category.
    c: Option<(&'a Table, &'a [u32])>,
    bias: Option<&'a Table>,
}

impl<'a> Catalogue<'a> {
    /// The tables that every model has: V, and C and bias where its settings ask for them.
    ///
    /// # Panics
    /// If there is no table V.
    pub fn of(params: &'a Params, item_category: &'a [u32]) -> Catalogue<'a> {
        let table = |name: &str| params.find_table(name).map(|id| params.table(id));
        let c = table("C").map(|table| (table, item_category));
        Catalogue { v: table("V").expect("every model has V"), c, bias: table("bias") }
    }

    /// Number of items.
    pub fn items(&self) -> usize {
        self.v.rows
    }

    /// Width of a vector.
    pub fn d(&self) -> usize {
        self.v.cols + self.c.map_or(0, |(table, _)| table.cols)
    }

    /// Vectors of items, `[items, d]`.
    pub fn gather(&self, items: impl Iterator<Item = usize>, out: &mut [f32]) {
        let half = self.v.cols;
        for (row, item) in out.chunks_exact_mut(self.d()).zip(items) {
            let (first, second) = row.split_at_mut(half);
            first.copy_from_slice(&self.v.data[item * half..][..half]);
            if let Some((table, of)) = self.c {
                second.copy_from_slice(&table.data[of[item] as usize * table.cols..][..table.cols]);
            }
        }
    }

    /// An item's bias.
    pub fn bias(&self, item: usize) -> f32 {
        self.bias.map_or(0.0, |table| table.data[item])
    }
}
