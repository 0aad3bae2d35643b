//! What any model has to beat: rules that learn nothing. Always measured beside it; a rival is one entry of [`RIVALS`].

mod item_knn;
mod most_popular;

use crate::data::{Dataset, Split};
use crate::train::evaluate::Scorer;
pub use item_knn::ItemKnn;
pub use most_popular::MostPopular;
use std::fmt;

/// A rule, from a log and from how many of each user's events may be looked at; `None` where it needs what the log does
/// not have.
type Make = fn(&Dataset, learned: &[u32]) -> Option<Box<dyn Scorer>>;

/// A rival.
#[derive(Clone, Copy)]
pub struct Rival {
    /// Its name in tables and files.
    pub name: &'static str,
    /// What it does, in a line.
    pub help: &'static str,
    make: Make,
}

impl fmt::Debug for Rival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Rival {
    /// The rule as it stands after the events to learn from; `None` where it needs what the log does not have.
    pub fn of(&self, dataset: &Dataset, split: Split) -> Option<Box<dyn Scorer>> {
        (self.make)(dataset, &crate::data::learned_events(dataset, split))
    }
}

/// What a step back in the history weighs, from one event to the one before it.
pub const RECENCY: f32 = 0.8;
/// "Popular lately" looks at so many days.
pub const DAYS: i64 = 30;

/// All rivals, in the order of the tables.
pub const RIVALS: &[Rival] = &[
    Rival {
        name: "most popular",
        help: "how often an item occurs in the events to learn from",
        make: |dataset, learned| Some(Box::new(MostPopular::new(dataset, learned))),
    },
    Rival {
        name: "popular, 30 days",
        help: "how often an item occurs in the last 30 days of the events to learn from",
        make: |dataset, learned| Some(Box::new(MostPopular::lately(dataset, learned, DAYS)?)),
    },
    Rival {
        name: "item-kNN",
        help: "cosine of who had both, summed over the history; each step back weighs 0.8",
        make: |dataset, learned| Some(Box::new(ItemKnn::new(dataset, learned, RECENCY))),
    },
];
