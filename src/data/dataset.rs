//! All events in flat arrays, grouped by user and in order; a history is a slice of them.

use super::error::DataError;

/// The events of all users, by user, then in the order in which they happened.
///
/// Users, items and categories are dense ids from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dataset {
    /// `users + 1` long: user u has the events `user_offsets[u]..user_offsets[u + 1]`.
    user_offsets: Vec<usize>,
    items: Vec<u32>,
    /// Seconds since 1970; empty where only the order is known.
    times: Vec<i64>,
    /// Category of each item; empty where items have none.
    item_category: Vec<u32>,
    item_count: usize,
    category_count: usize,
}

/// Some consecutive events of one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Events<'a> {
    /// The items, oldest first.
    pub items: &'a [u32],
    /// Their times in seconds since 1970; empty where only the order is known.
    pub times: &'a [i64],
}

impl<'a> Events<'a> {
    /// How many events there are.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is no event.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The last `cap` of the events before event `target` (from 0): the history of a
    /// [`Sample`](super::Sample). Nothing is copied.
    ///
    /// # Panics
    /// If `target` is greater than the number of events.
    pub fn before(&self, target: usize, cap: usize) -> Events<'a> {
        let start = target.saturating_sub(cap);
        let times = if self.times.is_empty() { self.times } else { &self.times[start..target] };
        Events { items: &self.items[start..target], times }
    }
}

impl Dataset {
    /// Puts a dataset together from its arrays.
    ///
    /// `user_offsets` has one entry more than there are users; `times` is empty or as long as
    /// `items`, ascending for each user; `item_category` is empty or holds `item_count` entries.
    ///
    /// # Errors
    /// [`DataError::Inconsistent`] if lengths, order or ids do not fit together,
    /// [`DataError::TooMany`] if ids do not fit into 32 bits.
    pub fn from_parts(
        user_offsets: Vec<usize>,
        items: Vec<u32>,
        times: Vec<i64>,
        item_category: Vec<u32>,
        item_count: usize,
        category_count: usize,
    ) -> Result<Self, DataError> {
        let wrong = |why: String| Err(DataError::Inconsistent(why));
        let limit = u32::MAX as usize - 1;
        for (what, count) in [
            ("users", user_offsets.len()),
            ("items", item_count),
            ("categories", category_count),
            ("events", items.len()),
        ] {
            if count > limit {
                return Err(DataError::TooMany { what, limit });
            }
        }
        if user_offsets.first() != Some(&0) || user_offsets.last() != Some(&items.len()) {
            return wrong(format!("user offsets must go from 0 to {} events", items.len()));
        }
        if !user_offsets.is_sorted() {
            return wrong("user offsets must ascend".into());
        }
        if let Some(item) = items.iter().find(|&&item| item as usize >= item_count) {
            return wrong(format!("item {item} among {item_count} items"));
        }
        if !times.is_empty() {
            if times.len() != items.len() {
                return wrong(format!("{} times for {} events", times.len(), items.len()));
            }
            for (user, range) in user_offsets.windows(2).enumerate() {
                if !times[range[0]..range[1]].is_sorted() {
                    return wrong(format!("the times of user {user} do not ascend"));
                }
            }
        }
        if !item_category.is_empty() && item_category.len() != item_count {
            return wrong(format!("{} categories for {item_count} items", item_category.len()));
        }
        if let Some(category) = item_category.iter().find(|&&c| c as usize >= category_count) {
            return wrong(format!("category {category} among {category_count} categories"));
        }
        Ok(Self { user_offsets, items, times, item_category, item_count, category_count })
    }

    /// A dataset of item lists alone, one a user: no times, no categories.
    ///
    /// # Errors
    /// As [`from_parts`](Self::from_parts): an item that is not below `item_count`.
    pub fn from_histories(histories: &[&[u32]], item_count: usize) -> Result<Self, DataError> {
        let mut offsets = vec![0];
        for history in histories {
            offsets.push(offsets[offsets.len() - 1] + history.len());
        }
        Self::from_parts(offsets, histories.concat(), Vec::new(), Vec::new(), item_count, 0)
    }

    /// Number of users.
    pub fn users(&self) -> usize {
        self.user_offsets.len() - 1
    }

    /// Number of items.
    pub fn items(&self) -> usize {
        self.item_count
    }

    /// Number of categories; 0 where items have none.
    pub fn categories(&self) -> usize {
        self.category_count
    }

    /// Number of events of all users.
    pub fn events(&self) -> usize {
        self.items.len()
    }

    /// Whether events carry times; otherwise only their order is known.
    pub fn has_time(&self) -> bool {
        !self.times.is_empty()
    }

    /// Whether the times tell the events of a day apart: whether more than one event in a hundred has another time of day than
    /// the first one. Times that are dates have not, in whatever time zone.
    pub fn has_time_of_day(&self) -> bool {
        const DAY: i64 = 86_400;
        let Some(first) = self.times.first().map(|time| time.rem_euclid(DAY)) else { return false };
        let others = self.times.iter().filter(|time| time.rem_euclid(DAY) != first).count();
        others * 100 > self.times.len()
    }

    /// All events of a user, oldest first.
    ///
    /// # Panics
    /// If there is no such user.
    pub fn history(&self, user: u32) -> Events<'_> {
        let range = self.user_offsets[user as usize]..self.user_offsets[user as usize + 1];
        let times = if self.has_time() { &self.times[range.clone()] } else { &[] };
        Events { items: &self.items[range], times }
    }

    /// The category of an item, where items have categories.
    ///
    /// # Panics
    /// If items have categories and there is no such item.
    pub fn category_of(&self, item: u32) -> Option<u32> {
        (!self.item_category.is_empty()).then(|| self.item_category[item as usize])
    }

    /// The category of every item; empty where items have none.
    pub fn item_categories(&self) -> &[u32] {
        &self.item_category
    }

    /// How many events each item has over the whole log.
    pub fn popularity(&self) -> Vec<u32> {
        let mut counts = vec![0u32; self.item_count];
        for &item in &self.items {
            counts[item as usize] += 1;
        }
        counts
    }

    /// A fingerprint of the content: equal on every machine and in every run.
    ///
    /// 64-bit FNV-1a: it tells a changed log from an unchanged one, and is no defence against
    /// somebody who wants two logs to collide. Names are not part of it; see
    /// [`Log::hash`](super::Log::hash).
    pub fn hash(&self) -> u64 {
        let mut hash = Fnv::new();
        for length in [self.users(), self.item_count, self.category_count, self.times.len()] {
            hash.write(&(length as u64).to_le_bytes());
        }
        self.user_offsets.iter().for_each(|&o| hash.write(&(o as u64).to_le_bytes()));
        self.items.iter().for_each(|item| hash.write(&item.to_le_bytes()));
        self.times.iter().for_each(|time| hash.write(&time.to_le_bytes()));
        self.item_category.iter().for_each(|category| hash.write(&category.to_le_bytes()));
        hash.finish()
    }
}

/// 64-bit FNV-1a.
pub(crate) struct Fnv(u64);

impl Fnv {
    pub(crate) fn new() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }

    pub(crate) fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fnv_matches_its_published_vectors() {
        for (text, want) in [("", 0xcbf2_9ce4_8422_2325), ("foobar", 0x8594_4171_f739_67e8)] {
            let mut hash = Fnv::new();
            hash.write(text.as_bytes());
            assert_eq!(hash.finish(), want, "{text:?}");
        }
    }

    #[test]
    fn before_is_the_capped_prefix() {
        let dataset =
            Dataset::from_parts(vec![0, 0, 4], vec![3, 1, 2, 1], vec![10, 20, 20, 30], vec![0, 0, 1, 1], 4, 2).unwrap();
        assert!(dataset.history(0).is_empty());
        let events = dataset.history(1);
        assert_eq!(events.before(3, 100), Events { items: &[3, 1, 2], times: &[10, 20, 20] });
        assert_eq!(events.before(3, 2), Events { items: &[1, 2], times: &[20, 20] });
        assert_eq!(events.before(0, 2).len(), 0);
        assert_eq!(dataset.popularity(), [0, 2, 1, 1]);
        assert_eq!(dataset.category_of(2), Some(1));
    }

    #[test]
    fn parts_that_do_not_fit_are_named() {
        let of = |offsets: &[usize], items: &[u32], times: &[i64], categories: &[u32]| {
            let parts = (offsets.to_vec(), items.to_vec(), times.to_vec(), categories.to_vec());
            match Dataset::from_parts(parts.0, parts.1, parts.2, parts.3, 2, 1) {
                Ok(_) => "fits".to_string(),
                Err(error) => error.to_string(),
            }
        };
        assert_eq!(of(&[0, 2], &[0, 1], &[5, 5], &[0, 0]), "fits");
        assert_eq!(of(&[0], &[], &[], &[]), "fits");
        assert!(of(&[], &[], &[], &[]).contains("offsets"));
        assert!(of(&[0, 1], &[0, 1], &[], &[]).contains("from 0 to 2"));
        assert!(of(&[0, 2, 1, 2], &[0, 1], &[], &[]).contains("ascend"));
        assert!(of(&[0, 2], &[0, 2], &[], &[]).contains("item 2 among 2"));
        assert!(of(&[0, 2], &[0, 1], &[5], &[]).contains("1 times"));
        assert!(of(&[0, 2], &[0, 1], &[6, 5], &[]).contains("user 0"));
        assert!(of(&[0, 2], &[0, 1], &[], &[0]).contains("1 categories"));
        assert!(of(&[0, 2], &[0, 1], &[], &[0, 1]).contains("category 1"));
    }

    #[test]
    fn the_hash_sees_every_part() {
        let base = (vec![0, 1, 2], vec![0, 1], vec![5, 6], vec![0, 1]);
        let hash = |p: (Vec<usize>, Vec<u32>, Vec<i64>, Vec<u32>)| {
            Dataset::from_parts(p.0, p.1, p.2, p.3, 2, 2).unwrap().hash()
        };
        let mut seen = vec![hash(base.clone())];
        assert_eq!(seen[0], hash(base.clone()));
        let (o, i, t, c) = base;
        seen.push(hash((vec![0, 2, 2], i.clone(), t.clone(), c.clone())));
        seen.push(hash((o.clone(), vec![1, 0], t.clone(), c.clone())));
        seen.push(hash((o.clone(), i.clone(), vec![5, 7], c.clone())));
        seen.push(hash((o.clone(), i.clone(), vec![], c)));
        seen.push(hash((o, i, t, vec![1, 1])));
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), 6);
    }
}
