//! The one place that turns a model into scores for `evaluate`, `recommend` and the examples of `train`: at present
//! the training forward.

use super::failure::Failure;
use dmran::data::{Dataset, Sample};
use dmran::model::export::from_model;
use dmran::scorer::Model;
use dmran::train::Trainer;
use dmran::train::config::TrainConfig;
use dmran::train::evaluate::Scorer;
use dmran_kernels::Level;

/// Users that are ranked at once: bounds the memory for their scores.
const USERS: usize = 64;
/// Items that are scored at once for each of them.
const BLOCK: usize = 1024;

/// A model that gives scores.
pub struct Ranker {
    trainer: Trainer,
    items: usize,
}

/// What is known of a user at the moment of a recommendation.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// Items in the order in which the user had them.
    pub items: &'a [u32],
    /// Their times; empty without times.
    pub times: &'a [i64],
    /// The moment, not before the last event; of no matter without times.
    pub now: i64,
    /// Items not to recommend.
    pub exclude: &'a [u32],
}

/// Items with their scores, best first.
pub type Ranked = Vec<(u32, f32)>;

impl Ranker {
    /// A ranker of `model`; of `config`, engine and threads count.
    pub fn new(model: &Model, config: &TrainConfig) -> Result<Ranker, Failure> {
        let level = Level::from_env()?;
        let dmran = from_model(model).map_err(|error| Failure::Other(error.to_string()))?;
        let trainer = Trainer::new(Box::new(dmran), model.settings().clone(), config.clone(), level)?;
        Ok(Ranker { trainer, items: model.items().len() })
    }

    /// The best `k` items for each user; of equal scores the smaller id comes first.
    pub fn top(&mut self, contexts: &[Context<'_>], k: usize) -> Result<Vec<Ranked>, Failure> {
        let mut out = Vec::with_capacity(contexts.len());
        for part in contexts.chunks(USERS) {
            let (dataset, samples) = self.moments(part)?;
            let scores = self.all_scores(&dataset, &samples);
            out.extend(part.iter().zip(scores.chunks(self.items)).map(|(c, scores)| best(scores, c.exclude, k)));
        }
        Ok(out)
    }

    /// Each user's history with an event at its end that stands for the one to come.
    fn moments(&self, contexts: &[Context<'_>]) -> Result<(Dataset, Vec<Sample>), Failure> {
        let (mut offsets, mut items, mut times) = (vec![0], Vec::new(), Vec::new());
        let mut samples = Vec::with_capacity(contexts.len());
        for (user, context) in contexts.iter().enumerate() {
            samples.push(Sample { user: user as u32, target: context.items.len() as u32 });
            items.extend(context.items);
            items.push(0);
            if !context.times.is_empty() {
                times.extend(context.times);
                times.push(context.now);
            }
            offsets.push(items.len());
        }
        Ok((Dataset::from_parts(offsets, items, times, Vec::new(), self.items, 0)?, samples))
    }

    fn all_scores(&mut self, dataset: &Dataset, samples: &[Sample]) -> Vec<f32> {
        let mut scores = vec![0.0; samples.len() * self.items];
        let (mut candidates, mut part) = (Vec::new(), Vec::new());
        for first in (0..self.items).step_by(BLOCK) {
            let block = first..self.items.min(first + BLOCK);
            candidates.clear();
            samples.iter().for_each(|_| candidates.extend(block.clone().map(|item| item as u32)));
            part.resize(candidates.len(), 0.0);
            self.trainer.score(dataset, samples, &candidates, &mut part);
            for (to, from) in scores.chunks_mut(self.items).zip(part.chunks(block.len())) {
                to[block.clone()].copy_from_slice(from);
            }
        }
        scores
    }
}

impl Scorer for Ranker {
    fn score(&mut self, dataset: &Dataset, samples: &[Sample], candidates: &[u32], out: &mut [f32]) {
        self.trainer.score(dataset, samples, candidates, out);
    }
}

/// The `k` best of all items but `exclude`, best first.
fn best(scores: &[f32], exclude: &[u32], k: usize) -> Ranked {
    let mut allowed = vec![true; scores.len()];
    exclude.iter().for_each(|item| allowed[*item as usize] = false);
    let mut all: Ranked =
        scores.iter().enumerate().filter(|(item, _)| allowed[*item]).map(|(item, s)| (item as u32, *s)).collect();
    // NaN comes last, whatever its sign.
    let key = |score: f32| if score.is_nan() { f32::NEG_INFINITY } else { score };
    let order = |a: &(u32, f32), b: &(u32, f32)| key(b.1).total_cmp(&key(a.1)).then(a.0.cmp(&b.0));
    if k < all.len() {
        all.select_nth_unstable_by(k, order);
        all.truncate(k);
    }
    all.sort_unstable_by(order);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_come_first_and_ties_by_id() {
        let scores = [0.5, 2.0, f32::NAN, 2.0, -1.0, 3.0];
        let items = |exclude: &[u32], k| best(&scores, exclude, k).iter().map(|(item, _)| *item).collect::<Vec<_>>();
        assert_eq!(items(&[], 3), [5, 1, 3]);
        assert_eq!(items(&[5, 5, 1], 3), [3, 0, 4]);
        assert_eq!(items(&[], 100), [5, 1, 3, 0, 4, 2]);
        assert!(items(&[0, 1, 2, 3, 4, 5], 2).is_empty());
        assert!(items(&[], 0).is_empty());
    }
}
