//! Negatives: items that a user never had, drawn uniformly.

use rand::{Rng, RngExt};

use super::dataset::Dataset;

/// The distinct items of each user, sorted, in one flat array.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negatives {
    offsets: Vec<usize>,
    owned: Vec<u32>,
    items: u32,
}

impl Negatives {
    /// Collects what every user has over the whole log, test events included.
    pub fn new(dataset: &Dataset) -> Self {
        Self::of(dataset, |_| usize::MAX)
    }

    /// Collects what every user has among the first `known` events (one number a user): what comes later is not to be
    /// known yet.
    pub fn until(dataset: &Dataset, known: &[u32]) -> Self {
        Self::of(dataset, |user| known[user as usize] as usize)
    }

    fn of(dataset: &Dataset, known: impl Fn(u32) -> usize) -> Self {
        let mut offsets = Vec::with_capacity(dataset.users() + 1);
        let mut owned = Vec::with_capacity(dataset.events());
        let mut list = Vec::new();
        offsets.push(0);
        for user in 0..dataset.users() as u32 {
            list.clear();
            list.extend(dataset.history(user).items.iter().take(known(user)));
            list.sort_unstable();
            list.dedup();
            owned.extend_from_slice(&list);
            offsets.push(owned.len());
        }
        Self { offsets, owned, items: dataset.items() as u32 }
    }

    /// The distinct items of a user, ascending.
    ///
    /// # Panics
    /// If there is no such user.
    pub fn owned(&self, user: u32) -> &[u32] {
        let user = user as usize;
        &self.owned[self.offsets[user]..self.offsets[user + 1]]
    }

    /// Whether the user has the item among the events that were collected.
    ///
    /// # Panics
    /// If there is no such user.
    pub fn owns(&self, user: u32, item: u32) -> bool {
        self.owned(user).binary_search(&item).is_ok()
    }

    /// How many items the user does not have.
    ///
    /// # Panics
    /// If there is no such user.
    pub fn available(&self, user: u32) -> u32 {
        self.items - self.owned(user).len() as u32
    }

    /// One item that the user never had, each with the same probability; `None` if there is none.
    ///
    /// One draw and one binary search, however much of the catalogue the user has: nothing is
    /// tried and thrown away.
    ///
    /// # Panics
    /// If there is no such user.
    pub fn sample(&self, user: u32, rng: &mut impl Rng) -> Option<u32> {
        let available = self.available(user);
        (available > 0).then(|| self.nth_available(user, rng.random_range(0..available)))
    }

    /// The `rank`-th item, from 0, that the user does not have.
    fn nth_available(&self, user: u32, rank: u32) -> u32 {
        // owned[j] - j items below owned[j] are free; that count never falls, so it can be searched.
        let owned = self.owned(user);
        let (mut low, mut high) = (0, owned.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if owned[middle] - middle as u32 <= rank {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        rank + low as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nth_available_lists_exactly_the_free_items() {
        for owned in [&[][..], &[0], &[4], &[0, 1, 2], &[1, 3], &[2, 2, 0, 4], &[0, 1, 2, 3]] {
            let dataset = Dataset::from_histories(&[owned], 5).unwrap();
            let negatives = Negatives::new(&dataset);
            let free: Vec<u32> = (0..5).filter(|item| !owned.contains(item)).collect();
            let got: Vec<u32> = (0..negatives.available(0)).map(|r| negatives.nth_available(0, r)).collect();
            assert_eq!(got, free, "owned {owned:?}");
        }
    }

    #[test]
    fn later_events_are_not_known() {
        let dataset = Dataset::from_histories(&[&[3, 1, 3, 2], &[0]], 5).unwrap();
        let negatives = Negatives::until(&dataset, &[3, 0]);
        assert_eq!((negatives.owned(0), negatives.available(1)), (&[1, 3][..], 5));
    }
}
