//! Item-kNN: what was had by the same people as the latest items of a history.

use crate::data::{Dataset, Sample, Split, learned_events};
use crate::metrics::Ranked;
use crate::pool::Pool;
use crate::train::evaluate::Scorer;
use crate::train::rank::{Request, each};
use rayon::prelude::*;

/// Neighbours that are kept of an item, the nearest: a bound on memory that few logs reach.
const NEIGHBOURS: usize = 8192;
/// Items whose neighbours a thread finds at a time.
const ITEMS: usize = 64;

/// The score of an item is the sum, over the whole history, of `both / sqrt(a b)`: of the users who had the one item
/// (`a`), the other (`b`), or both, each counted once. A step back in the history weighs `decay` of the one after it.
#[derive(Clone, Debug)]
pub struct ItemKnn {
    decay: f32,
    /// Each item's neighbours, and how near they are.
    neighbours: Vec<Vec<(u32, f32)>>,
}

impl ItemKnn {
    /// Counts each user's first events, `learned` of them (one number a user), on the threads of the current pool.
    pub fn new(dataset: &Dataset, learned: &[u32], decay: f32) -> ItemKnn {
        let had = Lists::of_users(dataset, learned);
        let by = had.turned(dataset.items());
        let (pool, items): (Pool<Counts>, Vec<u32>) = (Pool::default(), (0..dataset.items() as u32).collect());
        let parts = items.par_chunks(ITEMS).map(|items| {
            let make = || Counts { both: vec![0; dataset.items()], touched: Vec::new() };
            pool.with(make, |counts| items.iter().map(|item| counts.neighbours(*item, &had, &by)).collect::<Vec<_>>())
        });
        ItemKnn { decay, neighbours: parts.collect::<Vec<_>>().into_iter().flatten().collect() }
    }

    /// No more neighbours than these are kept, all items together.
    pub(crate) fn most_neighbours(dataset: &Dataset, split: Split) -> usize {
        let pairs = |n: u32| (n as usize).saturating_mul((n as usize).saturating_sub(1));
        let pairs = learned_events(dataset, split).into_iter().map(pairs).fold(0, usize::saturating_add);
        pairs.min(dataset.items().saturating_mul(NEIGHBOURS.min(dataset.items())))
    }

    /// Scores of all items for someone with this history, oldest first.
    pub fn scores(&self, history: &[u32], scores: &mut [f32]) {
        scores.fill(0.0);
        let mut weight = 1.0;
        for item in history.iter().rev() {
            for (other, near) in &self.neighbours[*item as usize] {
                scores[*other as usize] += weight * near;
            }
            weight *= self.decay;
        }
    }
}

/// Lists of numbers, one after another.
struct Lists {
    offsets: Vec<usize>,
    all: Vec<u32>,
}

impl Lists {
    /// What each user had, each item once.
    fn of_users(dataset: &Dataset, learned: &[u32]) -> Lists {
        let (mut offsets, mut all, mut list) = (vec![0], Vec::new(), Vec::new());
        for (user, learned) in (0..).zip(learned) {
            list.clear();
            list.extend_from_slice(&dataset.history(user).items[..*learned as usize]);
            list.sort_unstable();
            list.dedup();
            all.extend_from_slice(&list);
            offsets.push(all.len());
        }
        Lists { offsets, all }
    }

    /// A list by its number.
    fn get(&self, at: u32) -> &[u32] {
        &self.all[self.offsets[at as usize]..self.offsets[at as usize + 1]]
    }

    /// For each number below `count` the lists that hold it.
    fn turned(&self, count: usize) -> Lists {
        let mut offsets = vec![0; count + 1];
        self.all.iter().for_each(|x| offsets[*x as usize + 1] += 1);
        (0..count).for_each(|at| offsets[at + 1] += offsets[at]);
        let (mut next, mut all) = (offsets.clone(), vec![0; self.all.len()]);
        for list in 0..self.offsets.len() as u32 - 1 {
            for x in self.get(list) {
                all[next[*x as usize]] = list;
                next[*x as usize] += 1;
            }
        }
        Lists { offsets, all }
    }
}

/// Counts of one item with every other.
struct Counts {
    both: Vec<u32>,
    touched: Vec<u32>,
}

impl Counts {
    fn neighbours(&mut self, item: u32, had: &Lists, by: &Lists) -> Vec<(u32, f32)> {
        for user in by.get(item) {
            for other in had.get(*user) {
                let both = &mut self.both[*other as usize];
                if *both == 0 {
                    self.touched.push(*other);
                }
                *both += 1;
            }
        }
        self.touched.sort_unstable();
        let count = |item: u32| by.get(item).len() as f64;
        let mut list = Vec::with_capacity(self.touched.len());
        for other in self.touched.drain(..) {
            let both = f64::from(std::mem::take(&mut self.both[other as usize]));
            if other != item {
                list.push((other, (both / (count(item) * count(other)).sqrt()) as f32));
            }
        }
        if list.len() > NEIGHBOURS {
            list.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
            list.truncate(NEIGHBOURS);
            list.sort_unstable_by_key(|(other, _)| *other);
        }
        list
    }
}

impl Scorer for ItemKnn {
    fn score(&mut self, dataset: &Dataset, samples: &[Sample], candidates: &[u32], out: &mut [f32]) {
        let per = out.len() / samples.len().max(1);
        let this = &*self;
        let pool = Pool::default();
        let parts = out.par_chunks_mut(per.max(1)).zip(candidates.par_chunks(per.max(1))).zip(samples);
        parts.for_each(|((out, candidates), sample)| {
            pool.with(
                || vec![0.0; dataset.items()],
                |scores: &mut Vec<f32>| {
                    this.scores(&dataset.history(sample.user).items[..sample.target as usize], scores);
                    out.iter_mut().zip(candidates).for_each(|(s, item)| *s = scores[*item as usize]);
                },
            );
        });
    }

    fn rank(&mut self, request: &Request<'_>) -> Vec<Ranked> {
        each(
            request,
            || (),
            |_, sample, scores| {
                self.scores(&request.dataset.history(sample.user).items[..sample.target as usize], scores);
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cosines_and_recency_by_hand() {
        // Had by: 0 by users 0, 1, 2; 1 by 0 and 2; 2 by 1; 3 by user 2 alone, but too late. A repeat counts once.
        let dataset = Dataset::from_histories(&[&[0, 1, 0], &[2, 0], &[1, 0, 3]], 5).unwrap();
        let knn = ItemKnn::new(&dataset, &[3, 2, 2], 0.5);
        let mut scores = [f32::NAN; 5];
        let near = |both: f64, a: f64, b: f64| (both / (a * b).sqrt()) as f32;
        knn.scores(&[0], &mut scores);
        assert_eq!(scores, [0.0, near(2.0, 3.0, 2.0), near(1.0, 3.0, 1.0), 0.0, 0.0]);
        knn.scores(&[2, 4, 1], &mut scores);
        assert_eq!(scores, [near(2.0, 2.0, 3.0) + 0.25 * near(1.0, 1.0, 3.0), 0.0, 0.0, 0.0, 0.0]);
        knn.scores(&[], &mut scores);
        assert_eq!(scores, [0.0; 5]);
    }
}
