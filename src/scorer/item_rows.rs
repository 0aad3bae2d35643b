//! The tables of the items: their vectors (eq 1) and their bias, where they lie.

use std::ops::Range;

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
    #[cfg(feature = "train")]
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
