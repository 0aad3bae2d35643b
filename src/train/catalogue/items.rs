//! Vectors of the items: their own, and their categories' behind.

use dmran_kernels::Level;
use dmran_kernels::cross_entropy::Write;
use dmran_kernels::optim::add_scaled;
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
    pub(super) fn check(&self, items: usize, width: usize, category_width: usize, categories: usize, bias: bool) {
        assert_eq!(self.width, width, "items of another width");
        assert_eq!(self.items.len(), items * width, "{items} items of width {width}");
        assert_eq!(self.bias.len(), if bias { items } else { 0 }, "biases of {items} items");
        let (table, of) = self.categories.map_or((0, 0), |c| (c.table.len(), c.of.len()));
        assert_eq!(table, categories * category_width, "{categories} categories of width {category_width}");
        assert_eq!(of, if category_width > 0 { items } else { 0 }, "categories of {items} items");
    }

    /// The item's own vector.
    pub(super) fn own(&self, item: usize) -> &'a [f32] {
        &self.items[item * self.width..][..self.width]
    }

    /// Its category's vector; empty without.
    pub(super) fn category(&self, item: usize) -> &'a [f32] {
        self.categories.map_or(&[], |c| &c.table[c.of[item] as usize * c.width..][..c.width])
    }

    /// Whole vectors of neighbouring items: in place, or side by side in `scratch`.
    pub(super) fn vectors<'s>(&self, range: Range<usize>, scratch: &'s mut [f32]) -> &'s [f32]
    where
        'a: 's,
    {
        let Some(categories) = self.categories else {
            return &self.items[range.start * self.width..range.end * self.width];
        };
        let d = self.width + categories.width;
        let out = &mut scratch[..range.len() * d];
        for (row, item) in out.chunks_exact_mut(d).zip(range) {
            let (own, category) = row.split_at_mut(self.width);
            own.copy_from_slice(self.own(item));
            category.copy_from_slice(self.category(item));
        }
        out
    }
}

/// Writes or adds rows `[n, d]` to their two parts: the first `width` columns, and the others.
pub(super) fn split(level: Level, rows: &[f32], width: usize, write: Write, own: &mut [f32], parts: &mut [f32]) {
    let n = own.len() / width;
    let d = rows.len() / n;
    let targets = own.chunks_exact_mut(width).zip(parts.chunks_exact_mut(d - width));
    for (row, (own, part)) in rows.chunks_exact(d).zip(targets) {
        let (first, second) = row.split_at(width);
        match write {
            Write::Over => {
                own.copy_from_slice(first);
                part.copy_from_slice(second);
            }
            Write::Add => {
                add_scaled(level, own, 1.0, first);
                add_scaled(level, part, 1.0, second);
            }
        }
    }
}

/// The items of each category, ascending.
#[derive(Debug)]
pub(super) struct Members {
    offsets: Vec<u32>,
    items: Vec<u32>,
}

impl Members {
    pub fn new(items: usize, categories: usize, of: &[u32]) -> Members {
        assert_eq!(of.len(), if categories > 0 { items } else { 0 }, "categories of {items} items");
        let mut offsets = vec![0u32; categories + 1];
        for &category in of {
            assert!((category as usize) < categories, "category {category} of {categories}");
            offsets[category as usize + 1] += 1;
        }
        for at in 0..categories {
            offsets[at + 1] += offsets[at];
        }
        let mut next = offsets.clone();
        let mut members = vec![0; of.len()];
        for (item, &category) in of.iter().enumerate() {
            let place = &mut next[category as usize];
            members[*place as usize] = item as u32;
            *place += 1;
        }
        Members { offsets, items: members }
    }

    /// The number of categories.
    pub fn count(&self) -> usize {
        self.offsets.len() - 1
    }

    pub fn of(&self, category: usize) -> &[u32] {
        &self.items[self.offsets[category] as usize..self.offsets[category + 1] as usize]
    }

    pub fn bytes(&self) -> usize {
        4 * (self.offsets.capacity() + self.items.capacity())
    }
}
