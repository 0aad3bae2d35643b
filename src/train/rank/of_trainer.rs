//! The fastest way to rank with each kind of model.

use super::fixed::fixed;
use super::{Request, each};
use crate::autograd::tape::Engine;
use crate::metrics::{Rank, Ranked};
use crate::model::Model;
use crate::model::export::to_scorer;
use crate::scorer::{Event, Scorer, Scratch};
use crate::train::Trainer;
use crate::train::shard::{Shard, Source};

/// Candidates that a model without a better way scores at a time; for each block the history is read anew.
pub(crate) const BLOCK: usize = 512;

/// How a model ranks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RanksBy {
    /// The user's vector does not depend on the candidate: products of blocks of users and items.
    Products,
    /// Through the scorer, to the bits of [`Trainer::score`].
    Scorer,
    /// By blocks of candidates through the forward pass of the training.
    Blocks,
}

impl RanksBy {
    /// The fastest way for a model.
    pub fn of(model: &dyn Model, engine: Engine) -> RanksBy {
        match engine {
            Engine::Naive => RanksBy::Blocks,
            Engine::Fused if model.has_user_vectors() => RanksBy::Products,
            Engine::Fused if model.scorer_settings().is_some() => RanksBy::Scorer,
            Engine::Fused => RanksBy::Blocks,
        }
    }
}

impl Trainer {
    /// Ranks on all threads and ranks of the team, each of which takes a part of the samples, in the fastest way that the model has: products where the user's vector does not depend on
    /// the candidate, the scorer for DMRAN's other heads, blocks of candidates for other models.
    pub fn rank(&mut self, request: &Request<'_>) -> Vec<Ranked> {
        let team = self.team();
        if team.is_alone() {
            return self.rank_own(request);
        }
        let own = team.part(request.samples.len());
        let mut words = Vec::new();
        for ranked in self.rank_own(&Request { samples: &request.samples[own], ..*request }) {
            let Ranked { user, target, history, rank: Rank { greater, ties, others }, top } = ranked;
            words.extend([user, target, history, greater, ties, others, top.len() as u32]);
            words.extend(top);
        }
        let (words, _) = self.team_mut().gather_words(&words);
        let mut left = &words[..];
        let mut all = Vec::with_capacity(request.samples.len());
        while let Some(([user, target, history, greater, ties, others, top], rest)) = left.split_first_chunk() {
            let (top, rest) = rest.split_at(*top as usize);
            let rank = Rank { greater: *greater, ties: *ties, others: *others };
            all.push(Ranked { user: *user, target: *target, history: *history, rank, top: top.to_vec() });
            left = rest;
        }
        all
    }

    /// Ranks without the others of the team.
    fn rank_own(&mut self, request: &Request<'_>) -> Vec<Ranked> {
        self.refresh();
        let this = &*self;
        self.pool().install(|| match RanksBy::of(this.model(), this.config().engine) {
            RanksBy::Products => this.rank_fixed(request),
            RanksBy::Scorer => match this.as_scorer(request) {
                Some(scorer) => rank_scored(request, &scorer),
                None => this.rank_in_blocks(request),
            },
            RanksBy::Blocks => this.rank_in_blocks(request),
        })
    }

    fn rank_fixed(&self, request: &Request<'_>) -> Vec<Ranked> {
        let catalogue = self.model().items().rows(self.model().params());
        let source = Source::new(request.dataset, self.settings());
        fixed(request, self.level(), &catalogue, |samples, vectors| {
            self.tapes().with(Shard::default, |shard| {
                shard.fill(&source, samples, &[]);
                let engine = self.config().engine;
                shard.forward_users(self.model(), engine, self.level(), |u| vectors.copy_from_slice(u));
            });
        })
    }

    /// The scorer of the model as it is; none for models that it does not know or does not take.
    fn as_scorer(&self, request: &Request<'_>) -> Option<Scorer> {
        let settings = self.model().scorer_settings()?;
        // A log without times gives one bucket to all events; the scorer would compute buckets.
        if settings.reads_times() && !request.dataset.has_time() {
            return None;
        }
        let mut scorer = to_scorer(settings, self.model(), self.level())?;
        scorer.precompute_queries();
        Some(scorer)
    }

    fn rank_in_blocks(&self, request: &Request<'_>) -> Vec<Ranked> {
        let source = Source::new(request.dataset, self.settings());
        let items: Vec<u32> = (0..request.dataset.items() as u32).collect();
        each(request, Shard::default, |shard, sample, scores| {
            for (items, scores) in items.chunks(BLOCK).zip(scores.chunks_mut(BLOCK)) {
                shard.fill(&source, &[sample], items);
                let engine = self.config().engine;
                shard.forward(self.model(), engine, self.level(), |g, output| {
                    scores.copy_from_slice(g.value(output.scores));
                });
            }
        })
    }
}

fn rank_scored(request: &Request<'_>, scorer: &Scorer) -> Vec<Ranked> {
    let make = || (Scratch::new(), Vec::new());
    each(request, make, |(scratch, history), sample, scores| {
        let events = request.dataset.history(sample.user);
        let target = sample.target as usize;
        let time = |at: usize| events.times.get(at).copied().unwrap_or(0);
        history.clear();
        history.extend((0..target).map(|at| Event { item: events.items[at], time: time(at) }));
        let all = scorer.encode(history, time(target), scratch).score_all(scores);
        debug_assert!(all.is_ok(), "one score an item");
    })
}
