//! BPR-MF: a vector for each user, `score = u . i + bias`, trained pairwise. Histories are not read.

use super::baseline::{self, Builder};
use super::recipes::{ADAM, ATRANK_CODE};
use super::registry::{Entry, Kind, Recipes};
use super::{Batch, Items, Model, Output, Sizes, Start, Users};
use crate::autograd::ops;
use crate::autograd::params::{Params, TableId};
use crate::autograd::tape::Graph;
use crate::scorer::Settings;

/// What the program knows of it beside the network.
pub const ENTRY: Entry = Entry {
    kind: Kind::BprMf,
    name: "bpr-mf",
    title: "BPR-MF",
    help: "a vector for each user; histories are not read",
    build: Some(|settings, sizes, start| Ok(Box::new(BprMf::new(settings, sizes, start)))),
    recipes: Recipes { paper: &[ATRANK_CODE, PAIRWISE], auc: &[ADAM, AUC], ..Recipes::NONE },
    paper: [Some(0.8022), Some(0.6069)],
};

/// On top of ATRank's code: BPR's loss, gradients are not clipped. It learns slowly, and quickly by the clock.
const PAIRWISE: &str = "[train]\nloss = 'bpr'\nclip = 0.0\nepochs = 30";

/// Pairs of ids alone overfit at once: a stronger l2 term, and time.
const AUC: &str = "[train]\nlr = 0.001\nl2_weight = 1e-3\nepochs = 30";

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
        let items = baseline::items(&mut builder, settings, sizes);
        let users = builder.table("U", sizes.users, settings.d);
        BprMf { params: builder.params, items, users }
    }

    fn vectors(&self, g: &mut Graph<'_>, batch: &Batch<'_>) -> Users {
        let users = g.index(batch.users.iter().copied());
        let u = ops::embed(g, &[(self.users, users)]);
        Users { u, attention: None, looked_up: Some(u) }
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

    fn items(&self) -> &Items {
        &self.items
    }

    fn forward(&self, g: &mut Graph<'_>, batch: &Batch<'_>) -> Output {
        let users = self.vectors(g, batch);
        let output = self.items.forward(g, batch, users);
        Output { activations: [Some(users.u), output.activations[1]], ..output }
    }

    fn users(&self, g: &mut Graph<'_>, batch: &Batch<'_>) -> Option<Users> {
        Some(self.vectors(g, batch))
    }

    fn has_user_vectors(&self) -> bool {
        true
    }

    fn uses_time(&self) -> bool {
        false
    }
}
