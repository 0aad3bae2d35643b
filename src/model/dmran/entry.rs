//! What the program knows of DMRAN beside its network.

use super::Dmran;
use crate::model::build::{BuildError, Sizes, Start};
use crate::model::recipes::{ADAM, SOFTMAX};
use crate::model::registry::{Entry, Kind, Recipes};
use crate::model::{Model, init};
use crate::scorer::Settings;

/// DMRAN.
pub const ENTRY: Entry = Entry {
    kind: Kind::Dmran,
    name: "dmran",
    title: "DMRAN",
    help: "attention between features and over items, in r hops; the one that model files hold",
    build: Some(build),
    // The paper names no schedule: lr 1.0 falling by a tenth an epoch is ours, as are the defaults of `[train]` that
    // ATRank's code does not settle (penalty 1e-3, tables normal with 0.01, negatives drawn anew).
    recipes: Recipes {
        paper: &["[train]\nepochs = 10"],
        auc: &[ADAM, AUC],
        everyday: &[SOFTMAX, EVERYDAY],
        balanced: &[BALANCED],
    },
    paper: [Some(0.8932), Some(0.6779)],
};

/// Hops do as well without the redundancy penalty.
const AUC: &str = "[train]\ndropout = 0.2\npenalty = 0.0";

/// Eq 18 and 19 as they are written, with user vectors that do not depend on the candidate: the top ten of the full softmax
/// is twice as good as that of one negative. Five hops rank as well as ten in four fifths of the time. docs/experiments.md has the
/// trials.
const EVERYDAY: &str = "[model]
head = 'rows'
hops = 5
last = 'row'
time = 'auto'
[train]
init_std = 0.02
";

/// The top ten and the AUC are best in the same epoch where vectors are held back: by an l2 term on what is looked up, more
/// dropout, and weights averaged over two epochs of a learning rate that falls slowly.
const BALANCED: &str = "[train]
l2_weight = 3e-5
dropout = 0.5
average = 2.0
decay = 0.9
epochs = 10
early_stop_metric = 'auc'
";

fn build(settings: &Settings, sizes: &Sizes, start: Start) -> Result<Box<dyn Model>, BuildError> {
    let Sizes { items, categories, .. } = *sizes;
    let of = if settings.categories { sizes.item_category.clone() } else { vec![] };
    let mut model = Dmran::new(settings.clone(), items, categories, of)?;
    init::initialise(model.params_mut(), start.table_std.unwrap_or(0.01), start.seed);
    Ok(Box::new(model))
}
