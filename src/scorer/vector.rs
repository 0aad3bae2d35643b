//! Vectors that do not depend on the candidate: of items, and of users by the heads `mean` and `rows`.

use super::encode::mean_reading;
use super::serve::Scorer;
use super::user::User;

impl Scorer {
    /// Whether a user's score of an item is one dot product, `user . item + bias`, so that vectors say everything: the
    /// heads `mean` and `rows`.
    pub fn has_user_vectors(&self) -> bool {
        self.settings().has_user_vectors()
    }

    /// Writes the vectors (eq 1) of items, `[items, d]`: the item's row of V, and beside it its category's row of C where
    /// the model has categories.
    ///
    /// # Panics
    /// If an index is no item, or `out` has another length.
    pub fn item_vectors(&self, items: impl ExactSizeIterator<Item = u32>, out: &mut [f32]) {
        assert_eq!(out.len(), items.len() * self.settings().d, "a row of width d for each item");
        self.gather(items.map(|item| item as usize), out);
    }

    /// The bias of each item, which is added to the dot product of eq 17; `None` for a model without.
    pub fn item_biases(&self) -> Option<&[f32]> {
        let bias = self.item_rows().bias;
        (!bias.is_empty()).then_some(bias)
    }
}

impl User<'_> {
    /// The user's vector, `[d]`: with the heads `mean` and `rows` an item's score is its dot product with the item's vector
    /// ([`Scorer::item_vectors`]) plus the item's bias. `None` for a cold user.
    ///
    /// For the other heads, whose reading of a history depends on the candidate, it is what the head `mean` would give from
    /// the same weights: the mean of the rows that the candidate would choose from. It finds candidates worth a look, no
    /// more: how good they are, [`User::score`] tells.
    pub fn vector(&mut self) -> Option<&[f32]> {
        if self.is_cold() {
            return None;
        }
        let (scorer, scratch) = (self.scorer, &mut *self.scratch);
        let (state, work) = (&mut scratch.state, &mut scratch.work);
        if !scorer.has_user_vectors() {
            let mut h_c = std::mem::take(&mut state.h_c);
            let buffers = (&mut work.means, &mut work.kernel);
            mean_reading(scorer.level(), scorer.settings(), &scorer.network, state.streams(), buffers, &mut h_c);
            state.h_c = h_c;
        }
        Some(&state.h_c)
    }
}
