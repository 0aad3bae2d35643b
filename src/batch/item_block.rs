//! Some items, packed for products with blocks of users: for whatever has user vectors that do not depend on the candidate.

use dmran_kernels::Level;
use dmran_kernels::gemm::{Matrix, MatrixMut, Output, gemm, pack_transposed, packed_len};

use crate::scorer::item_rows::ItemRows;

/// Some items, ready for products.
#[derive(Debug, Default)]
pub(crate) struct ItemBlock {
    rows: Vec<f32>,
    panels: Vec<f32>,
    bias: Vec<f32>,
}

impl ItemBlock {
    /// Packs `items`, in their order.
    pub fn pack(&mut self, catalogue: &ItemRows<'_>, items: impl ExactSizeIterator<Item = usize> + Clone) {
        let (d, n) = (catalogue.d(), items.len());
        self.rows.resize(n * d, 0.0);
        catalogue.gather(items.clone(), &mut self.rows);
        self.panels.resize(packed_len(d, n), 0.0);
        pack_transposed(&self.rows, n, d, &mut self.panels);
        self.bias.clear();
        self.bias.extend(items.map(|item| catalogue.bias_of(item)));
    }

    /// How many items are packed.
    pub fn len(&self) -> usize {
        self.bias.len()
    }

    /// Scores of the packed items for some users: `users . items + bias`, `[users, items]`. A score is one chain over
    /// the width, to which the bias is added: its bits do not depend on the other users and items.
    pub fn scores(&self, level: Level, users: &[f32], d: usize, scores: &mut [f32]) {
        let (n, items) = (users.len() / d, self.bias.len());
        scores.chunks_exact_mut(items).for_each(|row| row.copy_from_slice(&self.bias));
        gemm(level, Matrix::new(users, n, d), &self.panels, MatrixMut::new(scores, n, items), Output::ADD);
    }
}
