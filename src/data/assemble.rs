//! From rows in the order of the file to histories: order, ties, duplicates, k-core, sorted ids.

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;

use super::dataset::{Dataset, Fnv};
use super::error::DataError;
use super::options::{Duplicates, ReadOptions, Ties};
use super::rows::{NO_CATEGORY, Rows, UNKNOWN_CATEGORY};
use super::vocabulary::Vocabulary;
use super::{Log, ReadStats};

/// Builds the log. Ids of users and items that the k-core drops are given to nobody.
pub(crate) fn assemble(mut rows: Rows<'_>, options: &ReadOptions) -> Result<Log, DataError> {
    let mut stats = ReadStats { category_conflicts: rows.category_conflicts, ..ReadStats::default() };
    let mut groups = Groups::of(&rows);
    groups.sort(&rows, options.ties);
    if options.duplicates == Duplicates::KeepFirst {
        stats.duplicates_dropped = groups.keep_first(&rows);
    }
    let (users, items) = (options.k_core_users, options.k_core_items);
    if users > 1 || items > 1 {
        let events = groups.order.len();
        stats.core_dropped = groups.k_core(&rows, users, items);
        if groups.order.is_empty() {
            return Err(DataError::EmptyCore { events, users, items });
        }
    }

    // From here on, only names that are still in use matter.
    let mut item_used = vec![false; rows.items.len()];
    groups.order.iter().for_each(|&row| item_used[rows.item[row as usize] as usize] = true);
    let (users, new_user) = rows.users.into_vocabulary(|user| !groups.range(user).is_empty());
    let (items, new_item) = rows.items.into_vocabulary(|item| item_used[item as usize]);

    let mut old_user = vec![0u32; users.len()];
    for (old, &new) in new_user.iter().enumerate() {
        if new != u32::MAX {
            old_user[new as usize] = old as u32;
        }
    }
    let mut offsets = Vec::with_capacity(users.len() + 1);
    let mut event_items = Vec::with_capacity(groups.order.len());
    let mut times = Vec::with_capacity(if rows.time.is_empty() { 0 } else { groups.order.len() });
    offsets.push(0);
    for &old in &old_user {
        for &row in &groups.order[groups.range(old)] {
            event_items.push(new_item[rows.item[row as usize] as usize]);
            times.extend(rows.time.get(row as usize));
        }
        offsets.push(event_items.len());
    }

    let (categories, item_category) = if rows.categories.is_empty() {
        (Vocabulary::default(), Vec::new())
    } else {
        categories(&mut rows.categories, &rows.item_category, &new_item, items.len())?
    };
    let dataset = Dataset::from_parts(offsets, event_items, times, item_category, items.len(), categories.len())?;
    Ok(Log { dataset, users, items, categories, skipped: rows.skipped, stats })
}

/// Categories in use and that of each item; items without one share [`UNKNOWN_CATEGORY`].
fn categories(
    names: &mut super::vocabulary::Interner,
    of_old_item: &[u32],
    new_item: &[u32],
    items: usize,
) -> Result<(Vocabulary, Vec<u32>), DataError> {
    let mut of_item = vec![NO_CATEGORY; items];
    for (old, &new) in new_item.iter().enumerate() {
        if new != u32::MAX {
            of_item[new as usize] = of_old_item[old];
        }
    }
    if of_item.contains(&NO_CATEGORY) {
        let unknown = names.intern(UNKNOWN_CATEGORY)?;
        let missing = of_item.iter_mut().filter(|category| **category == NO_CATEGORY);
        missing.for_each(|category| *category = unknown);
    }
    let mut used = vec![false; names.len()];
    of_item.iter().for_each(|&category| used[category as usize] = true);
    let names = std::mem::replace(names, super::vocabulary::Interner::new("categories"));
    let (vocabulary, new_category) = names.into_vocabulary(|category| used[category as usize]);
    of_item.iter_mut().for_each(|category| *category = new_category[*category as usize]);
    Ok((vocabulary, of_item))
}

/// The rows of each user: `order[starts[u]..ends[u]]`.
struct Groups {
    order: Vec<u32>,
    /// One entry more than there are users.
    offsets: Vec<usize>,
}

impl Groups {
    /// By user, in the order of the file: a counting sort.
    fn of(rows: &Rows<'_>) -> Self {
        let mut offsets = vec![0usize; rows.users.len() + 1];
        rows.user.iter().for_each(|&user| offsets[user as usize + 1] += 1);
        for user in 0..rows.users.len() {
            offsets[user + 1] += offsets[user];
        }
        let mut next = offsets.clone();
        let mut order = vec![0u32; rows.len()];
        for (row, &user) in rows.user.iter().enumerate() {
            order[next[user as usize]] = row as u32;
            next[user as usize] += 1;
        }
        Self { order, offsets }
    }

    fn range(&self, user: u32) -> std::ops::Range<usize> {
        self.offsets[user as usize]..self.offsets[user as usize + 1]
    }

    /// By time (or position) within each user, ties as asked.
    fn sort(&mut self, rows: &Rows<'_>, ties: Ties) {
        if rows.time.is_empty() && rows.minor.is_empty() {
            return; // the file's order is all there is
        }
        let key = |row: u32| {
            let of = |keys: &[i64]| keys.get(row as usize).copied().unwrap_or(0);
            (of(&rows.time), of(&rows.minor))
        };
        for user in 0..rows.users.len() as u32 {
            let range = self.range(user);
            let events = &mut self.order[range];
            // Rows are numbered in the order of the file, so the row breaks ties by file.
            events.sort_unstable_by_key(|&row| (key(row), row));
            let Ties::Random(seed) = ties else { continue };
            // A user's shuffle depends on the seed and the name alone, not on other users.
            let mut hash = Fnv::new();
            hash.write(&seed.to_le_bytes());
            hash.write(rows.users.name(user).as_bytes());
            let mut rng = ChaCha8Rng::seed_from_u64(hash.finish());
            for tied in events.chunk_by_mut(|&a, &b| key(a) == key(b)) {
                tied.shuffle(&mut rng);
            }
        }
    }

    /// Drops all but the earliest event of each (user, item) pair; returns how many.
    fn keep_first(&mut self, rows: &Rows<'_>) -> u64 {
        // The last user who was seen with each item; users come one after the other.
        let mut seen = vec![u32::MAX; rows.items.len()];
        self.retain(|user, row| std::mem::replace(&mut seen[rows.item[row as usize] as usize], user) != user)
    }

    /// Drops users and items with too few events until all have enough; returns the events lost.
    fn k_core(&mut self, rows: &Rows<'_>, users: u32, items: u32) -> u64 {
        let mut dropped = 0;
        loop {
            let mut count = vec![0u32; rows.items.len()];
            let item_of = |row: u32| rows.item[row as usize] as usize;
            self.order.iter().for_each(|&row| count[item_of(row)] += 1);
            let poor_items = self.retain(|_, row| count[item_of(row)] >= items);
            let lengths: Vec<usize> = self.offsets.windows(2).map(|w| w[1] - w[0]).collect();
            let poor_users = self.retain(|user, _| lengths[user as usize] >= users as usize);
            dropped += poor_items + poor_users;
            // Users that went took events from items; only then can an item have become poor.
            if poor_users == 0 {
                return dropped;
            }
        }
    }

    /// Keeps the events (user, row) that pass, in their order; returns how many went.
    fn retain(&mut self, mut keep: impl FnMut(u32, u32) -> bool) -> u64 {
        let before = self.order.len();
        let (mut read, mut write) = (0, 0);
        for user in 0..self.offsets.len() - 1 {
            let end = self.offsets[user + 1];
            while read < end {
                let row = self.order[read];
                if keep(user as u32, row) {
                    self.order[write] = row;
                    write += 1;
                }
                read += 1;
            }
            self.offsets[user + 1] = write;
        }
        self.order.truncate(write);
        (before - write) as u64
    }
}
