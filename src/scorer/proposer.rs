//! Two models of the same items: a small one proposes, the exact one ranks what it proposed.

use std::error::Error;
use std::fmt;

use super::encode::{Event, ItemKey, Scratch};
use super::rules::Rules;
use super::serve::Scorer;
use crate::pool::Pool;

/// A scorer that names the items worth a look by another one, most often the same model with smaller tables
/// ([`Model::with_precision`](super::Model::with_precision)). The other one's [`User::top_k_of`](super::User::top_k_of)
/// ranks them: exactly, of rows that it reads for a hundred items and not for all.
///
/// Threads may share it.
#[derive(Debug)]
pub struct Proposer<'a> {
    scorer: &'a Scorer,
    most: usize,
    scratches: Pool<Scratch>,
}

/// Why one model cannot propose for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProposerError {
    /// Their items are not the same.
    Items,
    /// The same items have other categories.
    Categories,
}

impl fmt::Display for ProposerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self {
            Self::Items => "items",
            Self::Categories => "categories",
        };
        write!(
            f,
            "the two models have different {what}: one that proposes for the other is made from it by `dmran convert`"
        )
    }
}

impl Error for ProposerError {}

impl<'a> Proposer<'a> {
    /// How many items are proposed where nobody says a number.
    pub const DEFAULT: usize = 100;

    /// `scorer` proposes `most` items for `exact`.
    ///
    /// # Errors
    /// If the two do not have the same items with the same categories.
    pub fn new(scorer: &'a Scorer, exact: &Scorer, most: usize) -> Result<Proposer<'a>, ProposerError> {
        let (small, large) = (scorer.model(), exact.model());
        if small.items() != large.items() {
            return Err(ProposerError::Items);
        }
        if small.categories() != large.categories() || small.item_category() != large.item_category() {
            return Err(ProposerError::Categories);
        }
        Ok(Proposer { scorer, most: most.min(large.items().len()), scratches: Pool::default() })
    }

    /// The scorer that proposes.
    pub fn scorer(&self) -> &'a Scorer {
        self.scorer
    }

    /// How many items are proposed where `k` are asked for; never more than there are, unless `k` is.
    pub fn most(&self, k: usize) -> usize {
        self.most.max(k)
    }

    /// The items proposed for a user (see [`Scorer::encode`]) who asks for the `k` best under `rules`, without those of
    /// `exclude`; in ascending order. They are the best by the scorer's own head. (Module `batch` proposes to many users at once by
    /// the vectors of their readings, which with the heads `vanilla` and `atrank` is another order.)
    pub fn propose<I: ItemKey>(
        &self,
        history: &[Event<I>],
        now: i64,
        k: usize,
        rules: &Rules,
        exclude: &[u32],
    ) -> Vec<u32> {
        let mut best = Vec::new();
        self.scratches.with(Scratch::new, |scratch| {
            self.scorer.encode(history, now, scratch).top_k_by(self.most(k), rules, exclude, &mut best);
        });
        let mut items: Vec<u32> = best.iter().map(|one| one.item).collect();
        items.sort_unstable();
        items
    }
}
