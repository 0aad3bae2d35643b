//! From rows in the order of the file to histories: order, ties, duplicates, k-core, sorted ids.

use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use rayon::prelude::*;

use super::amazon::Meta;
use super::batch::{Batch, Interners};
use super::dataset::{Dataset, Fnv};
use super::error::DataError;
use super::interner::{Interner, NONE};
use super::options::{Duplicates, ReadOptions, Ties};
use super::vocabulary::Vocabulary;

/// The category of items that have none while others do.
const UNKNOWN_CATEGORY: &str = "unknown";

/// What came out, without what reading said of it.
pub(crate) struct Assembled {
    pub dataset: Dataset,
    pub users: Vocabulary,
    pub items: Vocabulary,
    pub categories: Vocabulary,
    pub duplicates_dropped: u64,
    pub core_dropped: u64,
    pub category_conflicts: u64,
}

/// Builds the log's parts. Ids of users and items that the k-core drops are given to nobody.
pub(crate) fn assemble(
    mut batches: Vec<Batch>,
    names: Interners,
    options: &ReadOptions,
    meta: Option<&mut Meta>,
) -> Result<Assembled, DataError> {
    let events: usize = batches.iter().map(|batch| batch.user.len()).sum();
    let limit = u32::MAX as usize - 1;
    if events > limit {
        return Err(DataError::TooMany { what: "events", limit });
    }
    let Interners { users, items, categories } = names;
    let (users, user_ids) = users.into_vocabulary(|_| true);
    let (items, item_ids) = items.into_vocabulary(|_| true);
    batches.par_iter_mut().for_each(|batch| {
        batch.user.iter_mut().for_each(|user| *user = user_ids[*user as usize]);
        batch.item.iter_mut().for_each(|item| *item = item_ids[*item as usize]);
    });
    drop((user_ids, item_ids));
    let (mut of_item, category_conflicts) = first_categories(&mut batches, items.len());
    if let Some(meta) = meta {
        meta.give(&items, &mut of_item, &categories)?;
    }
    let (categories, of_item) = used_categories(categories, of_item);

    let mut events = Events::of(batches, users.len());
    events.sort(&users, options.ties);
    let mut duplicates_dropped = 0;
    if options.duplicates == Duplicates::KeepFirst {
        duplicates_dropped = events.keep_first(items.len());
    }
    let (least_users, least_items) = (options.k_core_users, options.k_core_items);
    let mut core_dropped = 0;
    if least_users > 1 || least_items > 1 {
        let before = events.items.len();
        core_dropped = events.k_core(items.len(), least_users, least_items);
        if events.items.is_empty() {
            return Err(DataError::EmptyCore { events: before, users: least_users, items: least_items });
        }
    }
    if core_dropped == 0 {
        let dataset = events.into_dataset(of_item, items.len(), categories.len())?;
        return Ok(Assembled {
            dataset,
            users,
            items,
            categories,
            duplicates_dropped,
            core_dropped,
            category_conflicts,
        });
    }
    // Only names that are still in use matter.
    let kept: Vec<bool> = events.offsets.windows(2).map(|range| range[0] < range[1]).collect();
    let (users, _) = users.keep(&kept);
    events.offsets.dedup();
    let mut used = vec![false; items.len()];
    events.items.iter().for_each(|item| used[*item as usize] = true);
    let (items, item_ids) = items.keep(&used);
    events.items.iter_mut().for_each(|item| *item = item_ids[*item as usize]);
    let of_item = of_item.into_iter().zip(&used).filter(|(_, used)| **used).map(|(category, _)| category).collect();
    let (categories, of_item) = still_used(categories, of_item);
    let dataset = events.into_dataset(of_item, items.len(), categories.len())?;
    Ok(Assembled { dataset, users, items, categories, duplicates_dropped, core_dropped, category_conflicts })
}

/// The first category of each item, as its number, and the rows that have another one. Takes the rows' categories.
fn first_categories(batches: &mut [Batch], items: usize) -> (Vec<u32>, u64) {
    let (mut of_item, mut conflicts) = (vec![NONE; items], 0);
    for batch in batches {
        let categories = std::mem::take(&mut batch.category);
        for (item, category) in batch.item.iter().zip(categories) {
            let known = &mut of_item[*item as usize];
            if category == NONE || *known == category {
                continue;
            }
            if *known == NONE {
                *known = category;
            } else {
                conflicts += 1;
            }
        }
    }
    (of_item, conflicts)
}

/// Categories in use and that of each item; items without one share [`UNKNOWN_CATEGORY`]. Nothing if no item has one.
fn used_categories(names: Interner, mut of_item: Vec<u32>) -> (Vocabulary, Vec<u32>) {
    if of_item.iter().all(|category| *category == NONE) {
        return (Vocabulary::default(), Vec::new());
    }
    if of_item.contains(&NONE)
        && let Ok(unknown) = names.intern_one(UNKNOWN_CATEGORY)
    {
        of_item.iter_mut().filter(|category| **category == NONE).for_each(|category| *category = unknown);
    }
    let most = of_item.iter().max().map_or(0, |most| *most as usize + 1);
    let mut used = vec![false; most];
    of_item.iter().for_each(|category| used[*category as usize] = true);
    let (vocabulary, ids) = names.into_vocabulary(|category| used.get(category as usize) == Some(&true));
    of_item.iter_mut().for_each(|category| *category = ids[*category as usize]);
    (vocabulary, of_item)
}

/// Categories of the items that are left.
fn still_used(names: Vocabulary, mut of_item: Vec<u32>) -> (Vocabulary, Vec<u32>) {
    if of_item.is_empty() {
        return (Vocabulary::default(), of_item);
    }
    let mut used = vec![false; names.len()];
    of_item.iter().for_each(|category| used[*category as usize] = true);
    let (names, ids) = names.keep(&used);
    of_item.iter_mut().for_each(|category| *category = ids[*category as usize]);
    (names, of_item)
}

/// All events by user: user `u` has those at `offsets[u]..offsets[u + 1]`.
struct Events {
    offsets: Vec<usize>,
    items: Vec<u32>,
    /// Empty if there are no times.
    times: Vec<i64>,
    /// Orders events of one time; empty where nothing but the file does.
    minor: Vec<i64>,
}

/// A run of users with their part of the columns.
struct Part<'a> {
    /// The first user, and one after the last.
    users: (usize, usize),
    /// Where the part begins in the columns.
    start: usize,
    items: &'a mut [u32],
    times: &'a mut [i64],
    minor: &'a mut [i64],
}

impl Events {
    /// By user, in the order of the file: a counting sort, each part of the users by itself.
    fn of(batches: Vec<Batch>, users: usize) -> Self {
        let mut offsets = vec![0usize; users + 1];
        for batch in &batches {
            batch.user.iter().for_each(|user| offsets[*user as usize + 1] += 1);
        }
        for user in 0..users {
            offsets[user + 1] += offsets[user];
        }
        let count = offsets[users];
        let with = |any: bool| vec![0i64; if any { count } else { 0 }];
        let mut events = Self {
            items: vec![0; count],
            times: with(batches.iter().any(|batch| !batch.time.is_empty())),
            minor: with(batches.iter().any(|batch| !batch.minor.is_empty())),
            offsets,
        };
        events.each_part(rayon::current_num_threads(), |part, offsets| {
            let (from, to) = part.users;
            let mut next: Vec<u32> = offsets[from..to].iter().map(|offset| (offset - part.start) as u32).collect();
            for batch in &batches {
                for (row, user) in batch.user.iter().enumerate() {
                    let Some(next) = (*user as usize).checked_sub(from).and_then(|user| next.get_mut(user)) else {
                        continue;
                    };
                    let place = *next as usize;
                    *next += 1;
                    part.items[place] = batch.item[row];
                    if !part.times.is_empty() {
                        part.times[place] = batch.time.at(row);
                    }
                    if !batch.minor.is_empty() {
                        part.minor[place] = batch.minor.at(row);
                    }
                }
            }
        });
        events
    }

    /// Cuts the users into parts with about as many events each, and works on them side by side.
    fn each_part(&mut self, parts: usize, work: impl Fn(Part<'_>, &[usize]) + Sync) {
        let Self { offsets, items, times, minor } = self;
        let (users, count) = (offsets.len() - 1, items.len());
        let (mut items, mut times, mut minor) = (&mut items[..], &mut times[..], &mut minor[..]);
        let (mut cut, mut from, mut start) = (Vec::new(), 0, 0);
        for part in 1..=parts.max(1) {
            let to = match part == parts.max(1) {
                true => users,
                false => offsets.partition_point(|offset| *offset < count * part / parts.max(1)).min(users).max(from),
            };
            let length = offsets[to] - start;
            let (of_items, more_items) = items.split_at_mut(length);
            let (of_times, more_times) = times.split_at_mut(if times.is_empty() { 0 } else { length });
            let (of_minor, more_minor) = minor.split_at_mut(if minor.is_empty() { 0 } else { length });
            cut.push(Part { users: (from, to), start, items: of_items, times: of_times, minor: of_minor });
            (items, times, minor) = (more_items, more_times, more_minor);
            (from, start) = (to, offsets[to]);
        }
        cut.into_par_iter().for_each(|part| work(part, offsets));
    }

    /// By time (or position) within each user, ties as asked.
    fn sort(&mut self, names: &Vocabulary, ties: Ties) {
        if self.times.is_empty() && self.minor.is_empty() {
            return; // the file's order is all there is
        }
        self.each_part(rayon::current_num_threads() * 8, |part, offsets| {
            let mut keys: Vec<(i64, i64, u32)> = Vec::new();
            let mut items = Vec::new();
            for user in part.users.0..part.users.1 {
                let range = offsets[user] - part.start..offsets[user + 1] - part.start;
                let of = |column: &[i64], at: usize| column.get(at).copied().unwrap_or(0);
                keys.clear();
                let key = |at: usize| (of(part.times, at), of(part.minor, at), (at - range.start) as u32);
                keys.extend(range.clone().map(key));
                let in_order = keys.is_sorted();
                if in_order && ties == Ties::File {
                    continue;
                }
                // The place in the file breaks ties.
                keys.sort_unstable();
                if let Ties::Random(seed) = ties {
                    // A user's shuffle depends on the seed and the name alone, not on other users.
                    let mut hash = Fnv::new();
                    hash.write(&seed.to_le_bytes());
                    hash.write(names.name(user as u32).as_bytes());
                    let mut rng = ChaCha8Rng::seed_from_u64(hash.finish());
                    for tied in keys.chunk_by_mut(|a, b| (a.0, a.1) == (b.0, b.1)) {
                        tied.shuffle(&mut rng);
                    }
                }
                items.clear();
                items.extend_from_slice(&part.items[range.clone()]);
                for (place, (time, _, from)) in range.zip(&keys) {
                    part.items[place] = items[*from as usize];
                    if !part.times.is_empty() {
                        part.times[place] = *time;
                    }
                }
            }
        });
        self.minor = Vec::new();
    }

    /// Drops all but the earliest event of each (user, item) pair; returns how many.
    fn keep_first(&mut self, items: usize) -> u64 {
        // The last user who was seen with each item; users come one after the other.
        let mut seen = vec![u32::MAX; items];
        self.retain(|user, item| std::mem::replace(&mut seen[item as usize], user) != user)
    }

    /// Drops users and items with too few events until all have enough; returns the events lost.
    fn k_core(&mut self, item_count: usize, users: u32, items: u32) -> u64 {
        let mut dropped = 0;
        loop {
            let mut count = vec![0u32; item_count];
            self.items.iter().for_each(|item| count[*item as usize] += 1);
            let poor_items = self.retain(|_, item| count[item as usize] >= items);
            let lengths: Vec<usize> = self.offsets.windows(2).map(|w| w[1] - w[0]).collect();
            let poor_users = self.retain(|user, _| lengths[user as usize] >= users as usize);
            dropped += poor_items + poor_users;
            // Users that went took events from items; only then can an item have become poor.
            if poor_users == 0 {
                return dropped;
            }
        }
    }

    /// Keeps the events (user, item) that pass, in their order; returns how many went.
    fn retain(&mut self, mut keep: impl FnMut(u32, u32) -> bool) -> u64 {
        let before = self.items.len();
        let (mut read, mut write) = (0, 0);
        for user in 0..self.offsets.len() - 1 {
            let end = self.offsets[user + 1];
            while read < end {
                let item = self.items[read];
                if keep(user as u32, item) {
                    self.items[write] = item;
                    if !self.times.is_empty() {
                        self.times[write] = self.times[read];
                    }
                    write += 1;
                }
                read += 1;
            }
            self.offsets[user + 1] = write;
        }
        self.items.truncate(write);
        if !self.times.is_empty() {
            self.times.truncate(write);
        }
        (before - write) as u64
    }

    fn into_dataset(self, of_item: Vec<u32>, items: usize, categories: usize) -> Result<Dataset, DataError> {
        Dataset::from_parts(self.offsets, self.items, self.times, of_item, items, categories)
    }
}
