//! What users had, and recommendations for many of them at once.

use crate::source::IdKind;
use dmran::data::{Dataset, Vocabulary};
use dmran::scorer::{Event, Scored, Scorer, Scratch};
use rayon::prelude::*;

/// Users with their events, in the ids of a model's items.
pub struct Histories {
    pub users: Vocabulary,
    pub kind: IdKind,
    pub events: Dataset,
}

/// What is recommended.
pub struct Wish {
    pub k: usize,
    /// Leave out what the user had, later than `now` too.
    pub filter_viewed: bool,
    /// The items that may be recommended, in order; all where there is no list.
    pub only: Option<Vec<u32>>,
    /// Items that may not, in order.
    pub exclude: Vec<u32>,
    /// The moment; without, that of each user's last event.
    pub now: Option<i64>,
}

impl Histories {
    /// The user's events up to `now`, and that moment.
    pub fn until(&self, user: u32, now: Option<i64>) -> (Vec<Event>, i64) {
        let history = self.events.history(user);
        let end = match now {
            Some(now) => history.times.partition_point(|time| *time <= now),
            None => history.len(),
        };
        let events = history.before(end, usize::MAX);
        let now = now.or(events.times.last().copied()).unwrap_or(0);
        let time = |at: usize| events.times.get(at).copied().unwrap_or(now);
        (events.items.iter().enumerate().map(|(at, item)| Event { item: *item, time: time(at) }).collect(), now)
    }

    /// The best items for each user, on the threads of the current pool; no list for users without an event that the model
    /// knows.
    pub fn rank(&self, scorer: &Scorer, users: &[u32], wish: &Wish) -> Vec<Option<Vec<Scored>>> {
        let one = |scratch: &mut Scratch, user: &u32| {
            let (events, now) = self.until(*user, wish.now);
            if events.is_empty() {
                return None;
            }
            let mut had = Vec::new();
            if wish.filter_viewed {
                had.extend_from_slice(self.events.history(*user).items);
                had.sort_unstable();
            }
            let mut best = Vec::new();
            let within = |list: &[u32], item: u32| list.binary_search(&item).is_ok();
            scorer.encode(&events, now, scratch).top_k_where(
                wish.k,
                |item| {
                    !within(&had, item)
                        && !within(&wish.exclude, item)
                        && wish.only.as_ref().is_none_or(|only| within(only, item))
                },
                &mut best,
            );
            Some(best)
        };
        users.par_iter().map_init(Scratch::new, one).collect()
    }
}
