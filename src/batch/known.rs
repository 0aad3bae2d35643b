//! What is known of users at the moment of a recommendation.

use super::Context;
use crate::data::Dataset;

/// Users with their histories in a model's ids, at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The histories.
    pub dataset: &'a Dataset,
    /// The moment, in seconds since 1970; without, each user's last event. Later events are no history, but owned.
    pub now: Option<i64>,
    /// Whether what a user had may be recommended again.
    pub include_owned: bool,
}

impl<'a> Known<'a> {
    /// How many events a user had by the moment.
    pub fn events(&self, user: u32) -> usize {
        let history = self.dataset.history(user);
        match self.now {
            Some(now) => history.times.partition_point(|time| *time <= now),
            None => history.len(),
        }
    }

    /// What a user is not to get again. What the user had later is owned, too.
    pub fn owned(&self, user: u32) -> &'a [u32] {
        if self.include_owned { &[] } else { self.dataset.history(user).items }
    }

    /// What is known of a user, who is not to get `exclude`.
    pub fn context<'c>(&self, user: u32, exclude: &'c [u32]) -> Context<'c>
    where
        'a: 'c,
    {
        let events = self.dataset.history(user).before(self.events(user), usize::MAX);
        let now = self.now.or(events.times.last().copied()).unwrap_or(0);
        Context { items: events.items, times: events.times, now, exclude }
    }

    /// How many events each item had by the moment.
    pub fn counts(&self) -> Vec<u32> {
        let mut counts = vec![0; self.dataset.items()];
        for user in 0..self.dataset.users() as u32 {
            let events = self.events(user);
            self.dataset.history(user).items[..events].iter().for_each(|item| counts[*item as usize] += 1);
        }
        counts
    }
}
