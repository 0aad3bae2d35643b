//! The best of the scores that come by, without keeping the others.

use super::model::Model;
use super::rules::{Capped, Rules};
use super::top_k::Scored;

/// Scores that are compared with the bar at a time.
#[cfg(feature = "train")]
pub(crate) const LANES: usize = 16;
/// Room beyond what is asked for: the bar rises once in so many newcomers.
const ROOM: usize = 32;

/// The best `most` of the items that are offered, in the order of [`Scored`]. Items are offered in ascending order of their
/// index, each once.
#[derive(Debug, Default)]
pub(crate) struct Best {
    most: usize,
    /// The best so far and perhaps some that are not among them any more.
    kept: Vec<Scored>,
    /// What a score has to be above to be kept; none as long as any will be.
    bar: Option<f32>,
}

impl Best {
    /// None yet.
    pub fn new(most: usize) -> Best {
        let mut best = Best::default();
        best.reset(most);
        best
    }

    /// None any more, in the same memory.
    pub fn reset(&mut self, most: usize) {
        self.most = most;
        self.kept.clear();
        self.bar = (most == 0).then_some(f32::INFINITY);
    }

    /// Whether an item with this score may come to be among the best.
    #[inline]
    pub fn may_take(&self, score: f32) -> bool {
        // Of equal scores the earlier item stays; NaN is above nothing.
        self.bar.is_none_or(|bar| score > bar)
    }

    /// Whether any of these scores may.
    #[cfg(feature = "train")]
    #[inline]
    pub fn may_take_any(&self, scores: &[f32]) -> bool {
        self.bar.is_none_or(|bar| scores.iter().fold(false, |any, score| any | (*score > bar)))
    }

    /// Keeps an item, if it is good enough.
    #[inline]
    pub fn offer(&mut self, scored: Scored) {
        if !self.may_take(scored.score) {
            return;
        }
        self.kept.push(scored);
        if self.kept.len() >= self.most + self.most.max(ROOM) {
            self.prune();
        }
    }

    /// Offers the items from `first` on, those of them that `allowed` lets pass: it is asked only about good ones.
    #[cfg(feature = "train")]
    pub fn take(&mut self, first: u32, scores: &[f32], mut allowed: impl FnMut(u32) -> bool) {
        for (at, scores) in (first..).step_by(LANES).zip(scores.chunks(LANES)) {
            if self.may_take_any(scores) {
                for (item, &score) in (at..).zip(scores) {
                    if self.may_take(score) && allowed(item) {
                        self.offer(Scored { item, score });
                    }
                }
            }
        }
    }

    fn prune(&mut self) {
        if self.kept.len() > self.most && self.most > 0 {
            let (_, worst, _) = self.kept.select_nth_unstable(self.most - 1);
            self.bar = Some(worst.rank());
            self.kept.truncate(self.most);
        }
    }

    /// The best, best first; none are left.
    pub fn drain(&mut self) -> impl ExactSizeIterator<Item = Scored> {
        self.prune();
        self.kept.sort_unstable();
        self.kept.drain(..)
    }
}

/// What rules select with: the best, or the best under a cap. Items are offered as to [`Best`].
#[derive(Debug)]
pub(crate) enum Selection<'a> {
    Free(Best),
    Capped(Capped<'a>),
}

impl<'a> Selection<'a> {
    /// None yet, of the `k` best items of `model` that `rules` will let stand together.
    pub fn new(k: usize, rules: &Rules, model: &'a Model) -> Selection<'a> {
        match rules.cap(model) {
            Some(cap) => Selection::Capped(Capped::new(k, cap, model.item_category())),
            None => Selection::Free(Best::new(k.min(model.items().len()))),
        }
    }

    /// Whether an item with this score may come to be selected.
    #[inline]
    pub fn may_take(&self, score: f32) -> bool {
        match self {
            Selection::Free(best) => best.may_take(score),
            Selection::Capped(capped) => capped.may_take(score),
        }
    }

    /// Takes an item, if it is good enough.
    #[inline]
    pub fn offer(&mut self, scored: Scored) {
        match self {
            Selection::Free(best) => best.offer(scored),
            Selection::Capped(capped) => capped.offer(scored),
        }
    }

    /// What was selected, best first.
    pub fn finish(self) -> Vec<Scored> {
        match self {
            Selection::Free(mut best) => best.drain().collect(),
            Selection::Capped(capped) => capped.finish(),
        }
    }
}

#[cfg(all(test, feature = "train"))]
mod tests {
    use super::*;

    #[test]
    fn the_best_are_those_of_a_whole_sort_whatever_the_scores() {
        let mut state = 3u64;
        let mut next = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let mut best = Best::default();
        for round in 0..200 {
            let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0];
            let mut scores: Vec<f32> = (0..500).map(|_| next(40) as f32 - 20.0).collect();
            let strange = if round % 20 == 0 { 490 } else { next(9) };
            for _ in 0..strange {
                scores[next(500) as usize] = special[next(5) as usize];
            }
            let banned = next(7) as u32 + 1;
            for most in [0, 1, 10, 33, 499, 600] {
                best.reset(most);
                for first in (0..500).step_by(90) {
                    let end = 500.min(first + 90);
                    best.take(first as u32, &scores[first..end], |item| item % banned != 0);
                }
                let got: Vec<Scored> = best.drain().collect();
                let all = (0..500).filter(|item| item % banned != 0);
                let mut want: Vec<Scored> = all.map(|item| Scored { item, score: scores[item as usize] }).collect();
                want.sort_unstable();
                want.truncate(most);
                assert_eq!(got, want, "round {round}, the best {most}");
            }
        }
    }
}
