//! The best items for a user.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::best::Selection;
use super::packed::fit;
use super::rules::Rules;
use super::user::User;

/// An item and its score.
///
/// Ordered from the best to the worst: higher scores first, equal scores by the item's index, that is by its string id.
/// A score that is not a number comes last.
#[derive(Debug, Clone, Copy)]
pub struct Scored {
    /// The item's index in [`Scorer::items`](super::Scorer::items).
    pub item: u32,
    /// Its score (eq 17).
    pub score: f32,
}

impl Scored {
    /// The score by which items are ordered.
    pub(super) fn rank(&self) -> f32 {
        if self.score.is_nan() { f32::NEG_INFINITY } else { self.score }
    }
}

impl Ord for Scored {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_score = other.rank().partial_cmp(&self.rank()).unwrap_or(Ordering::Equal);
        by_score.then(self.item.cmp(&other.item))
    }
}

impl PartialOrd for Scored {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Scored {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Scored {}

impl User<'_> {
    /// The `k` best of all items, best first, into `best` (fewer where there are not so many).
    ///
    /// `exclude` lists items to leave out, in any order; indices that are no items are ignored.
    pub fn top_k(&mut self, k: usize, exclude: &[u32], best: &mut Vec<Scored>) {
        let mut sorted = std::mem::take(&mut self.scratch.work.exclude);
        sorted.clear();
        sorted.extend_from_slice(exclude);
        sorted.sort_unstable();
        self.top_k_where(k, |item| sorted.binary_search(&item).is_err(), best);
        self.scratch.work.exclude = sorted;
    }

    /// The `k` best of the items that `allowed` lets pass, best first, into `best`.
    ///
    /// `allowed` is asked only about items whose score is among the best so far. All items are scored: where only a
    /// few are allowed, [`User::score`] on those is faster.
    pub fn top_k_where(&mut self, k: usize, mut allowed: impl FnMut(u32) -> bool, best: &mut Vec<Scored>) {
        let items = self.scorer.items().len();
        let k = k.min(items);
        best.clear();
        best.reserve(k);
        if k == 0 {
            return;
        }
        // A heap whose top is the worst of the best; it never grows beyond the k that were reserved.
        let mut heap = BinaryHeap::from(std::mem::take(best));
        let (user, work) = (&self.scratch.state, &mut self.scratch.work.candidates);
        let mut scores = std::mem::take(&mut work.scores);
        let mut start = 0;
        while start < items {
            let end = items.min(start + self.scorer.block());
            let scores = fit(&mut scores, end - start);
            self.scorer.score_range(user, start..end, scores, work);
            for (item, &score) in (start as u32..).zip(&*scores) {
                let scored = Scored { item, score };
                if heap.len() < k {
                    if allowed(item) {
                        heap.push(scored);
                    }
                } else if heap.peek().is_some_and(|worst| scored < *worst) && allowed(item) {
                    heap.pop();
                    heap.push(scored);
                }
            }
            start = end;
        }
        work.scores = scores;
        *best = heap.into_sorted_vec();
    }

    /// The `k` best of the items that `rules` offer, without those in `exclude` (as in [`User::top_k`]), best first, into
    /// `best`. Where the rules offer a part of the items, only those are scored. Unlike [`User::top_k`] it allocates.
    pub fn top_k_by(&mut self, k: usize, rules: &Rules, exclude: &[u32], best: &mut Vec<Scored>) {
        let mut sorted = exclude.to_vec();
        sorted.sort_unstable();
        let allowed = |item: u32| sorted.binary_search(&item).is_err();
        self.choose(k, rules, rules.offered(), allowed, best);
    }

    /// The `k` best of the items `among`, ascending, each once, as `rules` would have them if they offered no others.
    ///
    /// # Panics
    /// If one of them is no item of the model.
    pub fn top_k_of(&mut self, k: usize, among: &[u32], rules: &Rules, best: &mut Vec<Scored>) {
        self.choose(k, rules, Some(among), |_| true, best);
    }

    fn choose(
        &mut self,
        k: usize,
        rules: &Rules,
        among: Option<&[u32]>,
        allowed: impl FnMut(u32) -> bool,
        best: &mut Vec<Scored>,
    ) {
        let model = self.scorer.model();
        if among.is_none() && rules.cap(model).is_none() {
            return self.top_k_where(k, allowed, best);
        }
        let mut selection = Selection::new(k, rules, model);
        self.select(among, &mut selection, allowed);
        *best = selection.finish();
    }

    /// Shows a selection all items, or those of a list, in ascending order.
    fn select(&mut self, offered: Option<&[u32]>, selection: &mut Selection<'_>, mut allowed: impl FnMut(u32) -> bool) {
        let (scorer, user, work) = (self.scorer, &self.scratch.state, &mut self.scratch.work.candidates);
        let (items, block) = (scorer.items().len(), scorer.block());
        let mut scores = std::mem::take(&mut work.scores);
        let mut show = |item: u32, score: f32| {
            if selection.may_take(score) && allowed(item) {
                selection.offer(Scored { item, score });
            }
        };
        match offered {
            Some(offered) => {
                for ids in offered.chunks(block) {
                    let scores = fit(&mut scores, ids.len());
                    scorer.score_listed(user, ids, scores, work);
                    ids.iter().zip(&*scores).for_each(|(item, score)| show(*item, *score));
                }
            }
            None => {
                for start in (0..items).step_by(block) {
                    let scores = fit(&mut scores, block.min(items - start));
                    scorer.score_range(user, start..start + scores.len(), scores, work);
                    (start as u32..).zip(&*scores).for_each(|(item, score)| show(item, *score));
                }
            }
        }
        work.scores = scores;
    }
}
