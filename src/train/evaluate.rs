//! How good a model is: AUC against sampled negatives and the full ranking, and the same of its rivals.

use crate::data::{Dataset, Negatives, Sample, Split, learned_events, test_samples};
use crate::metrics::{Estimate, Ranked, Ranking, Rankings, pair_share};
use crate::train::config::Config;
use crate::train::rank::{Request, one_by_one};
use crate::train::rivals::{MostPopular, RIVALS, Rival};
use crate::train::sampler::{Purpose, generator};
use crate::train::{Loss, Trainer};
use rand::seq::index;
use serde::Serialize;

/// Users that are scored at once.
pub(crate) const USERS: usize = 256;

/// What gives scores to candidates.
pub trait Scorer {
    /// Scores of candidates, the same number for each sample, into `out`.
    fn score(&mut self, dataset: &Dataset, samples: &[Sample], candidates: &[u32], out: &mut [f32]);

    /// Ranks all items for each sample.
    fn rank(&mut self, request: &Request<'_>) -> Vec<Ranked> {
        one_by_one(request, |sample, candidates, out| self.score(request.dataset, &[sample], candidates, out))
    }
}

impl Scorer for Trainer {
    fn score(&mut self, dataset: &Dataset, samples: &[Sample], candidates: &[u32], out: &mut [f32]) {
        Trainer::score(self, dataset, samples, candidates, out);
    }

    fn rank(&mut self, request: &Request<'_>) -> Vec<Ranked> {
        Trainer::rank(self, request)
    }
}

/// The figures of a finished model.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// AUC against one sampled negative a user (eq 23).
    pub auc: Estimate,
    /// The full ranking.
    pub ranking: Ranking,
}

impl Figures {
    /// Each figure with its name, in the order of tables.
    pub fn rows(&self) -> Vec<(String, Estimate)> {
        let ranking = self.ranking.values.iter().map(|value| (value.title(), value.estimate));
        std::iter::once(("AUC, 1 negative".into(), self.auc)).chain(ranking).collect()
    }
}

/// The figures of a rival.
#[derive(Clone, Debug, Serialize)]
pub struct Rated {
    /// The rival's name.
    pub name: &'static str,
    /// Its figures.
    pub figures: Figures,
}

/// What models are measured on: the test set of a log.
#[derive(Clone, Debug)]
pub struct Exam<'a> {
    dataset: &'a Dataset,
    samples: Vec<Sample>,
    /// Over the whole log: no negative is an item that the user will turn to later.
    negatives: Negatives,
    /// How often each item occurs in the events to learn from.
    popularity: Vec<u32>,
    split: Split,
    cutoffs: Vec<usize>,
    users: usize,
    seed: u64,
}

impl<'a> Exam<'a> {
    /// The test set as the settings have it.
    pub fn new(dataset: &'a Dataset, config: &Config) -> Exam<'a> {
        let split = config.eval.split();
        Exam {
            dataset,
            samples: test_samples(dataset, split),
            negatives: Negatives::new(dataset),
            popularity: MostPopular::new(dataset, &learned_events(dataset, split)).counts().to_vec(),
            split,
            cutoffs: config.eval.k.to_vec(),
            users: config.eval.rank_users,
            seed: config.train.seed,
        }
    }

    /// The items to find.
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// The log.
    pub fn dataset(&self) -> &'a Dataset {
        self.dataset
    }

    /// How often each item occurs in the events to learn from.
    pub fn popularity(&self) -> &[u32] {
        &self.popularity
    }

    /// Whether there is anybody to test on who lacks an item.
    pub fn is_empty(&self) -> bool {
        !self.samples.iter().any(|sample| self.negatives.available(sample.user) > 0)
    }

    /// Every figure of a model.
    pub fn figures(&self, scorer: &mut (impl Scorer + ?Sized)) -> Figures {
        let ranks = self.ranks(scorer);
        self.figures_of(scorer, &ranks)
    }

    /// The full ranking, user by user.
    pub fn ranks(&self, scorer: &mut (impl Scorer + ?Sized)) -> Vec<Ranked> {
        let most = self.cutoffs.iter().copied().max().unwrap_or(0);
        full_ranking(scorer, self.dataset, &self.samples, self.users, most, self.seed)
    }

    /// Every figure of a model whose full ranking is known.
    pub fn figures_of(&self, scorer: &mut (impl Scorer + ?Sized), ranks: &[Ranked]) -> Figures {
        let rankings = Rankings { all: ranks, popularity: &self.popularity };
        Figures {
            auc: sampled_auc(scorer, self.dataset, &self.negatives, &self.samples, 1, self.seed),
            ranking: Ranking::of(&rankings, &self.cutoffs),
        }
    }

    /// The figures of all rivals that the log has enough for, on the threads of the current pool.
    pub fn rivals(&self) -> Vec<Rated> {
        self.each_rival(|name, scorer| Rated { name, figures: self.figures(scorer) })
    }

    /// What `of` makes of each rival that the log has enough for, in the order of the tables.
    pub fn each_rival<T>(&self, mut of: impl FnMut(&'static str, &mut dyn Scorer) -> T) -> Vec<T> {
        let rate = |rival: &Rival| Some(of(rival.name, &mut *rival.of(self.dataset, self.split)?));
        RIVALS.iter().filter_map(rate).collect()
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
    scorer: &mut (impl Scorer + ?Sized),
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
    scorer: &mut (impl Scorer + ?Sized),
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
        let of_users = || batch.iter().zip(scores.chunks(per)).map(|(sample, scores)| (sample.user, scores));
        shares.extend(of_users().filter_map(|(user, s)| Some((user, pair_share(s[0], &s[1..])?))));
        losses.extend(of_users().map(|(user, s)| (user, loss.value(s[0], &s[1..]))));
    }
    Sampled { auc: Estimate::of_users(shares), loss: Estimate::of_users(losses) }
}

/// The full ranking: every sample's item among all items that its user had not had before, for `users` of the samples
/// drawn by the seed (0 = all); the best `most` items are told, too. Samples whose user lacks no other item are left out:
/// nothing could stand above theirs.
pub fn full_ranking(
    scorer: &mut (impl Scorer + ?Sized),
    dataset: &Dataset,
    samples: &[Sample],
    users: usize,
    most: usize,
    seed: u64,
) -> Vec<Ranked> {
    let mut drawn = Vec::new();
    let mut chosen = samples;
    if users > 0 && users < samples.len() {
        let mut rng = generator(seed, Purpose::RankUsers, [0, 0]);
        let mut at = index::sample(&mut rng, samples.len(), users).into_vec();
        at.sort_unstable();
        drawn.extend(at.into_iter().map(|i| samples[i]));
        chosen = &drawn;
    }
    let mut ranks = scorer.rank(&Request { dataset, samples: chosen, most });
    ranks.retain(|ranked| ranked.rank.others > 0);
    ranks
}

fn target(dataset: &Dataset, sample: Sample) -> u32 {
    dataset.history(sample.user).items[sample.target as usize]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Protocol;

    #[test]
    fn figures_of_most_popular_by_hand() {
        // Item 3 is bought twice, but only as a test event. The last user has every item.
        let histories: [&[u32]; 4] = [&[0, 1, 3], &[0, 2, 3], &[1, 0, 2], &[4, 3, 2, 1, 0]];
        let dataset = Dataset::from_histories(&histories, 5).unwrap();
        let mut popular = MostPopular::new(&dataset, &[2, 2, 2, 0]);
        let (negatives, test) = (Negatives::new(&dataset), test_samples(&dataset, Protocol::Paper));
        let ranks = full_ranking(&mut popular, &dataset, &test, 0, 1, 1);
        // User 0 lacks 2 and 4: 3 is tied with 4 and below 2. User 1 lacks 1 and 4: the same. User 2 lacks 3 and 4
        // and has item 2 above both.
        let found: Vec<f64> = ranks.iter().map(|ranked| ranked.rank.auc().unwrap()).collect();
        assert_eq!(found, [0.25, 0.25, 1.0]);
        assert_eq!(ranks.iter().map(|ranked| ranked.top[0]).collect::<Vec<_>>(), [2, 1, 2]);
        let auc = sampled_auc(&mut popular, &dataset, &negatives, &test, 50, 1);
        assert_eq!((auc.mean, auc.n), (1.0 / 3.0, 3));
        let some = full_ranking(&mut popular, &dataset, &test, 2, 1, 1);
        assert!(some.len() <= 2 && some.iter().all(|ranked| ranks.contains(ranked)));
    }
}
