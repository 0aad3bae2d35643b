//! BPR-MF: a vector for each user, `score = u . i + bias`, trained pairwise. Histories are not read.

use super::baseline::{Builder, Items, sample_of_candidates};
use super::{Batch, Model, Output, Sizes, Start};
use crate::ops;
use crate::params::{Params, TableId};
use crate::scorer::Settings;
use crate::tape::Graph;

/// Matrix factorisation with the pairwise loss.
///
/// The l2 term counts each user vector once a sample, as ATRank's code does for this model alone.
#[derive(Clone, Debug)]
pub struct BprMf {
    params: Params,
    items: Items,
    users: TableId,
}

impl BprMf {
    /// The model with its starting values.
    ///
    /// # Panics
    /// If the settings ask for categories and `sizes` does not name one for each item.
    pub fn new(settings: &Settings, sizes: &Sizes, start: Start) -> BprMf {
        let mut builder = Builder::new(start);
        let items = Items::new(&mut builder, settings, sizes);
        let users = builder.table("U", sizes.users, settings.d);
        BprMf { params: builder.params, items, users }
    }
}

impl Model for BprMf {
    fn name(&self) -> &'static str {
        "bpr-mf"
    }

    fn params(&self) -> &Params {
        &self.params
    }

    fn params_mut(&mut self) -> &mut Params {
        &mut self.params
    }

    fn forward(&self, g: &mut Graph<'_>, batch: &Batch<'_>) -> Output {
        let users = g.index(batch.users.iter().copied());
        let candidates = g.index(batch.candidates.iter().copied());
        let u = ops::embed(g, &[(self.users, users)]);
        let c = self.items.vectors(g, candidates);
        let of = sample_of_candidates(g, batch);
        let each = ops::select_rows(g, u, of);
        let scores = self.items.scores(g, batch, each, c, candidates);
        Output { scores, attention: None, activations: [u, c], rows: [Some(c), Some(u)] }
    }

    fn pairwise(&self) -> bool {
        true
    }

    fn fixed_user(&self) -> bool {
        true
    }

    fn uses_time(&self) -> bool {
        false
    }
}
