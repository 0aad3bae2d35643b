//! What may be recommended at all, to whomever.

use super::model::Model;
use super::top_k::Scored;
use std::cmp::Ordering;

/// Rules for recommendations that hold for every user: which items are offered, and how many of a category at most.
///
/// A list under such rules is the list without them from which everything that breaks one is struck: from the best down,
/// items that are not offered and items of a category that has its number already are passed over.
///
/// ```no_run
/// # use dmran::scorer::{Model, Rules};
/// # let model = Model::load("shop.dmran")?;
/// let sold_out = ["teapot", "cup"].into_iter().filter_map(|id| model.items().find(id));
/// let rules = Rules::default().without(&model, sold_out).at_most(2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Ascending, each once; all items where there is no list.
    offered: Option<Vec<u32>>,
    per_category: Option<usize>,
}

impl Rules {
    /// Offers these items alone (of those that are offered already). Indices that are no items are left out.
    pub fn only(self, model: &Model, items: impl IntoIterator<Item = u32>) -> Rules {
        let marks = marks(model, items);
        self.keep(model, |item| marks[item as usize])
    }

    /// Does not offer these items.
    pub fn without(self, model: &Model, items: impl IntoIterator<Item = u32>) -> Rules {
        let marks = marks(model, items);
        self.keep(model, |item| !marks[item as usize])
    }

    /// Offers the items of these categories alone (indices in [`Model::categories`]); none for a model without categories.
    pub fn only_categories(self, model: &Model, categories: &[u32]) -> Rules {
        self.keep(model, |item| in_any(model, item, categories))
    }

    /// Does not offer the items of these categories.
    pub fn without_categories(self, model: &Model, categories: &[u32]) -> Rules {
        self.keep(model, |item| !in_any(model, item, categories))
    }

    /// Recommends at most so many items of one category. Without effect for a model without categories.
    pub fn at_most(self, per_category: usize) -> Rules {
        Rules { per_category: Some(per_category), ..self }
    }

    /// The items that are offered, ascending; `None` for all items.
    pub fn offered(&self) -> Option<&[u32]> {
        self.offered.as_deref()
    }

    /// How many items of a category may be recommended.
    pub fn per_category(&self) -> Option<usize> {
        self.per_category
    }

    /// The same for a model: none where its items have no categories.
    pub(crate) fn cap(&self, model: &Model) -> Option<usize> {
        self.per_category.filter(|_| !model.item_category().is_empty())
    }

    /// Whether an item is offered.
    pub fn offers(&self, item: u32) -> bool {
        self.offered.as_ref().is_none_or(|offered| offered.binary_search(&item).is_ok())
    }

    fn keep(self, model: &Model, keeps: impl Fn(u32) -> bool) -> Rules {
        let offered = match self.offered {
            Some(offered) => offered.into_iter().filter(|item| keeps(*item)).collect(),
            None => (0..model.items().len() as u32).filter(|item| keeps(*item)).collect(),
        };
        Rules { offered: Some(offered), ..self }
    }
}

fn marks(model: &Model, items: impl IntoIterator<Item = u32>) -> Vec<bool> {
    let mut marks = vec![false; model.items().len()];
    for item in items {
        if let Some(mark) = marks.get_mut(item as usize) {
            *mark = true;
        }
    }
    marks
}

fn in_any(model: &Model, item: u32, categories: &[u32]) -> bool {
    model.item_category().get(item as usize).is_some_and(|category| categories.contains(category))
}

/// The best `most` items of which at most `cap` are of one category, kept while scores come in, in any order.
///
/// Sets of that kind are the independent sets of a matroid: what is not among the best of some items is not among the best
/// of more, so nothing that was struck can come back.
#[derive(Debug)]
pub(crate) struct Capped<'a> {
    most: usize,
    cap: usize,
    category: &'a [u32],
    /// Best first.
    kept: Vec<Scored>,
}

impl<'a> Capped<'a> {
    /// None yet; `category` has one for each item.
    pub fn new(most: usize, cap: usize, category: &'a [u32]) -> Capped<'a> {
        Capped { most: if cap == 0 { 0 } else { most }, cap, category, kept: Vec::new() }
    }

    /// Whether an item with this score may come to be kept; equal scores may, by their index.
    pub fn may_take(&self, score: f32) -> bool {
        self.kept.len() < self.most
            || self.kept.last().is_some_and(|worst| score.partial_cmp(&worst.score) != Some(Ordering::Less))
    }

    /// Keeps an item, if it is good enough.
    pub fn offer(&mut self, scored: Scored) {
        if self.most == 0 || self.kept.len() == self.most && self.kept.last().is_none_or(|worst| scored >= *worst) {
            return;
        }
        let category = |one: &Scored| self.category[one.item as usize];
        let own = category(&scored);
        let same = self.kept.iter().filter(|one| category(one) == own).count();
        if same >= self.cap {
            match self.kept.iter().rposition(|one| category(one) == own) {
                Some(worst) if scored < self.kept[worst] => self.kept.remove(worst),
                _ => return,
            };
        } else if self.kept.len() == self.most {
            self.kept.pop();
        }
        let place = self.kept.partition_point(|one| *one < scored);
        self.kept.insert(place, scored);
    }

    /// The best, best first.
    pub fn finish(self) -> Vec<Scored> {
        self.kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capped_selection_is_the_sorted_list_with_the_surplus_struck() {
        let mut state = 7u64;
        let mut next = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for round in 0..500 {
            let items = 1 + next(60) as u32;
            let category: Vec<u32> = (0..items).map(|_| next(5) as u32).collect();
            let strange = |x: u64| if x == 0 { f32::NAN } else { x as f32 / 2.0 };
            let mut all: Vec<Scored> = (0..items).map(|item| Scored { item, score: strange(next(12)) }).collect();
            for (most, cap) in [(0, 1), (5, 0), (1, 1), (5, 1), (10, 2), (10, 50), (100, 3)] {
                // In any order.
                for at in (1..all.len()).rev() {
                    all.swap(at, next(at as u64 + 1) as usize);
                }
                let mut capped = Capped::new(most, cap, &category);
                for scored in &all {
                    if capped.may_take(scored.score) {
                        capped.offer(*scored);
                    }
                }
                let mut sorted = all.clone();
                sorted.sort_unstable();
                let mut counts = [0; 5];
                sorted.retain(|one| {
                    let count = &mut counts[category[one.item as usize] as usize];
                    *count += 1;
                    *count <= cap
                });
                sorted.truncate(most);
                assert_eq!(capped.finish(), sorted, "round {round}: {most} with {cap} of a category");
            }
        }
    }
}
