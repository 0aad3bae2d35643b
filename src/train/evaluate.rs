//! How good a model is: AUC against sampled negatives and the full ranking, and the same of "most popular".

use crate::data::{Dataset, Negatives, Sample};
use crate::metrics::{Estimate, Rank, Ranking, pair_share};
use crate::train::sampler::{Purpose, generator};
use crate::train::{Loss, Trainer};
use rand::seq::index;

/// Candidates that are scored at once in a full ranking.
pub(crate) const BLOCK: usize = 512;
/// Users that are scored at once.
pub(crate) const USERS: usize = 256;
/// Users whose rankings are computed at once: each takes memory for a block of candidates.
pub(crate) const RANKED: usize = 8;

/// What gives scores to candidates.
pub trait Scorer {
    /// Scores of candidates, the same number for each sample, into `out`.
    fn score(&mut self, dataset: &Dataset, samples: &[Sample], candidates: &[u32], out: &mut [f32]);
}

impl Scorer for Trainer {
    fn score(&mut self, dataset: &Dataset, samples: &[Sample], candidates: &[u32], out: &mut [f32]) {
        Trainer::score(self, dataset, samples, candidates, out);
    }
}

/// Scores every item by how often it occurs in the samples to learn from.
#[derive(Clone, Debug)]
pub struct MostPopular {
    counts: Vec<f32>,
}

impl MostPopular {
    /// Counts each user's first event and the targets of `train`.
    pub fn new(dataset: &Dataset, train: &[Sample]) -> MostPopular {
        let mut counts = vec![0.0; dataset.items()];
        for sample in train {
            let items = dataset.history(sample.user).items;
            counts[items[sample.target as usize] as usize] += 1.0;
            if sample.target == 1 {
                counts[items[0] as usize] += 1.0;
            }
        }
        MostPopular { counts }
    }
}

impl Scorer for MostPopular {
    fn score(&mut self, _: &Dataset, _: &[Sample], candidates: &[u32], out: &mut [f32]) {
        out.iter_mut().zip(candidates).for_each(|(s, item)| *s = self.counts[*item as usize]);
    }
}

/// Measures against sampled negatives.
#[derive(Clone, Copy, Debug)]
pub struct Sampled {
    /// Eq 23: ties and NaN are not right.
    pub auc: Estimate,
    /// The ranking loss of a user's candidates.
    pub loss: Estimate,
}

/// Eq 23: the AUC over users against `count` sampled negatives each, never an item of the user's whole list. Users who
/// own every item are left out. Ties and NaN are not right.
pub fn sampled_auc(
    scorer: &mut impl Scorer,
    dataset: &Dataset,
    negatives: &Negatives,
    samples: &[Sample],
    count: usize,
    seed: u64,
) -> Estimate {
    sampled(scorer, dataset, negatives, samples, count, seed, Loss::Bce).auc
}

/// AUC and loss over users against the same `count` sampled negatives each, as in [`sampled_auc`].
pub fn sampled(
    scorer: &mut impl Scorer,
    dataset: &Dataset,
    negatives: &Negatives,
    samples: &[Sample],
    count: usize,
    seed: u64,
    loss: Loss,
) -> Sampled {
    let per = 1 + count;
    let mut shares = Vec::with_capacity(samples.len());
    let mut losses = Vec::with_capacity(samples.len());
    let (mut batch, mut candidates, mut scores) = (Vec::new(), Vec::new(), Vec::new());
    for part in samples.chunks(USERS) {
        batch.clear();
        candidates.clear();
        for sample in part.iter().filter(|s| negatives.available(s.user) > 0) {
            let mut rng = generator(seed, Purpose::Evaluation, [u64::from(sample.user), u64::from(sample.target)]);
            batch.push(*sample);
            candidates.push(target(dataset, *sample));
            candidates.extend((0..count).filter_map(|_| negatives.sample(sample.user, &mut rng)));
        }
        scores.resize(candidates.len(), 0.0);
        scorer.score(dataset, &batch, &candidates, &mut scores);
        shares.extend(scores.chunks(per).filter_map(|s| pair_share(s[0], &s[1..])));
        losses.extend(scores.chunks(per).map(|s| loss.value(s[0], &s[1..])));
    }
    Sampled { auc: Estimate::of(shares), loss: Estimate::of(losses) }
}

/// The full ranking: every sample's item among all items that its user has not had, for `users` of the samples drawn
/// by the seed (0 = all). Users who own every item are left out: nothing could stand above theirs.
pub fn full_ranking(
    scorer: &mut impl Scorer,
    dataset: &Dataset,
    negatives: &Negatives,
    samples: &[Sample],
    users: usize,
    cutoffs: &[usize],
    seed: u64,
) -> Ranking {
    let mut chosen: Vec<Sample> = samples.iter().copied().filter(|s| negatives.available(s.user) > 0).collect();
    if users > 0 && users < chosen.len() {
        let mut rng = generator(seed, Purpose::RankUsers, [0, 0]);
        let mut at = index::sample(&mut rng, chosen.len(), users).into_vec();
        at.sort_unstable();
        chosen = at.into_iter().map(|i| chosen[i]).collect();
    }
    let items = dataset.items();
    let mut ranks = Vec::with_capacity(chosen.len());
    let (mut candidates, mut part, mut scores) = (Vec::new(), Vec::new(), Vec::new());
    for batch in chosen.chunks(RANKED) {
        scores.resize(batch.len() * items, 0.0f32);
        for first in (0..items).step_by(BLOCK) {
            let block = first..items.min(first + BLOCK);
            candidates.clear();
            batch.iter().for_each(|_| candidates.extend(block.clone().map(|i| i as u32)));
            part.resize(candidates.len(), 0.0f32);
            scorer.score(dataset, batch, &candidates, &mut part);
            for (to, from) in scores.chunks_mut(items).zip(part.chunks(block.len())) {
                to[block.clone()].copy_from_slice(from);
            }
        }
        for (sample, scores) in batch.iter().zip(scores.chunks(items)) {
            ranks.push(Rank::of(scores, target(dataset, *sample), negatives.owned(sample.user)));
        }
    }
    Ranking::of(&ranks, cutoffs)
}

fn target(dataset: &Dataset, sample: Sample) -> u32 {
    dataset.history(sample.user).items[sample.target as usize]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Protocol, test_samples, train_samples};

    #[test]
    fn most_popular_counts_training_events_only() {
        // Item 3 is bought twice, but only as a test event.
        let dataset = Dataset::from_histories(&[&[0, 1, 3], &[0, 2, 3], &[1, 0, 2]], 5).unwrap();
        let train = train_samples(&dataset, Protocol::Paper);
        let mut popular = MostPopular::new(&dataset, &train);
        let mut scores = [0.0; 5];
        popular.score(&dataset, &[], &[0, 1, 2, 3, 4], &mut scores);
        assert_eq!(scores, [3.0, 2.0, 1.0, 0.0, 0.0]);
        let (negatives, test) = (Negatives::new(&dataset), test_samples(&dataset, Protocol::Paper));
        let ranking = full_ranking(&mut popular, &dataset, &negatives, &test, 0, &[1], 1);
        // User 0 lacks 2 and 4: 3 is tied with 4 and below 2. User 1 lacks 1 and 4: the same. User 2 lacks 3 and 4
        // and has item 2 above both.
        assert_eq!(ranking.auc.mean, (0.25 + 0.25 + 1.0) / 3.0);
        assert_eq!(ranking.at[0].hr.mean, 1.0 / 3.0);
        let auc = sampled_auc(&mut popular, &dataset, &negatives, &test, 50, 1);
        assert_eq!((auc.mean, auc.n), (1.0 / 3.0, 3));
    }
}
