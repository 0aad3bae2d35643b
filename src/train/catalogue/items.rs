//! Gradients of item vectors: their own parts, and their categories' summed.

use dmran_kernels::Level;
use dmran_kernels::cross_entropy::Write;
use dmran_kernels::optim::add_scaled;

/// Writes or adds rows `[n, d]` to their two parts: the first `width` columns, and the others.
pub(super) fn split(level: Level, rows: &[f32], width: usize, write: Write, own: &mut [f32], parts: &mut [f32]) {
    let n = own.len() / width;
    let d = rows.len() / n;
    let targets = own.chunks_exact_mut(width).zip(parts.chunks_exact_mut(d - width));
    for (row, (own, part)) in rows.chunks_exact(d).zip(targets) {
        let (first, second) = row.split_at(width);
        put(level, write, first, own);
        put(level, write, second, part);
    }
}

/// Writes `from` to `to`, or adds it.
pub(super) fn put(level: Level, write: Write, from: &[f32], to: &mut [f32]) {
    match write {
        Write::Over => to.copy_from_slice(from),
        Write::Add => add_scaled(level, to, 1.0, from),
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
