//! An encoded user.

use std::error::Error;
use std::fmt;

use super::encode::Scratch;
use super::serve::Scorer;

/// An encoded user, tied to the scorer and the scratch it was encoded with.
#[derive(Debug)]
pub struct User<'a> {
    pub(super) scorer: &'a Scorer,
    pub(super) scratch: &'a mut Scratch,
}

impl<'a> User<'a> {
    /// The user that `scorer` encoded into `scratch` last; a cold one where it never did.
    pub(crate) fn resume(scorer: &'a Scorer, scratch: &'a mut Scratch) -> User<'a> {
        User { scorer, scratch }
    }

    /// The scorer that encoded this user.
    pub fn scorer(&self) -> &'a Scorer {
        self.scorer
    }

    /// Whether the history held no item that the model knows: scores are then the items' biases.
    pub fn is_cold(&self) -> bool {
        self.scratch.state.items.is_empty()
    }

    /// The items that the model read, oldest first.
    pub fn history(&self) -> &[u32] {
        &self.scratch.state.items
    }

    /// A, the item level attention (eq 7): one row for each event of [`User::history`], in it the weight that each hop
    /// gives to the event. The weights of a hop sum to 1. No rows for a cold user and without item level attention.
    pub fn attention(&self) -> impl Iterator<Item = &[f32]> {
        let state = &self.scratch.state;
        let hops = state.a.len() / state.items.len().max(1);
        state.a.chunks_exact(hops.max(1)).take(if self.is_cold() { 0 } else { usize::MAX })
    }

    /// How many events were skipped because the model does not know their item. Events older than the latest
    /// [`Settings::history_cap`](super::Settings::history_cap) known ones are not looked at.
    pub fn unknown(&self) -> usize {
        self.scratch.state.unknown
    }
}

/// Why candidates cannot be scored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScoreError {
    /// A candidate's index is not below the number of items.
    NoSuchItem {
        /// Which candidate.
        position: usize,
        /// Its index.
        item: u32,
        /// How many items there are.
        items: usize,
    },
    /// There must be one score for each candidate.
    Length {
        /// How many candidates.
        candidates: usize,
        /// Room for so many scores.
        scores: usize,
    },
}

impl fmt::Display for ScoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchItem { position, item, items } => {
                write!(f, "candidate {position} is item {item}; the model has {items} items")
            }
            Self::Length { candidates, scores } => {
                write!(f, "{candidates} candidates, but room for {scores} scores")
            }
        }
    }
}

impl Error for ScoreError {}
