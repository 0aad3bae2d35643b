//! Recommendations for many users at once: the lists that [`User::top_k_by`] gives one by one, bit for bit, in less time.
//!
//! With the heads `mean` and `rows` a user is one vector, and blocks of users meet blocks of items in packed products. Those sum in
//! another order than the scorer, so their scores differ from its in the last bits: they only propose. Whatever may be among
//! the best `k` by the bound of the rounding errors (see `Slack`) is scored again as the scorer does, and a user for whom
//! too many items are as good as the `k`-th goes through the scorer alone. The other heads score each candidate by the
//! scorer's own kernels, one user a thread.
//!
//! With a shortlist ([`Options::shortlist`]) the other heads take two stages: the vectors of [`User::vector`] propose some
//! hundred items by products, and the head ranks these. That is fast, and not exact. So it is with a [`Proposer`], whose model
//! has smaller tables of the same items: its vectors propose, the scorer ranks.
//!
//! Work runs on the threads of the current rayon pool; results do not depend on their number.

mod fallback;
pub(crate) mod item_block;
mod known;
pub mod part;
pub(crate) mod products;
mod slack;

pub use fallback::popular;
pub use known::Known;

use crate::pool::Pool;
use crate::scorer::best::Best;
use crate::scorer::{Event, Proposer, Rules, Scored, Scorer, Scratch, User};
use dmran_kernels::score::{self, Candidates};
use rayon::prelude::*;
use slack::Slack;

/// Users whose vectors are in memory at a time.
pub(crate) const USERS: usize = 4096;
/// Users between two signs of life where each is scored alone.
const FEW_USERS: usize = 256;
/// Items beyond `k` that are remembered for the second look; by this and by half of `k`.
const MARGIN: usize = 16;

/// What is known of a user at the moment of a recommendation.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// Items in the order in which the user had them.
    pub items: &'a [u32],
    /// Their times; empty without times: they then count as of this moment.
    pub times: &'a [i64],
    /// The moment, not before the last event; of no matter without times.
    pub now: i64,
    /// Items not to recommend.
    pub exclude: &'a [u32],
}

impl Context<'_> {
    /// The user's events, as a scorer takes them.
    pub fn events(&self) -> impl Iterator<Item = Event> {
        let time = |at: usize| self.times.get(at).copied().unwrap_or(self.now);
        self.items.iter().enumerate().map(move |(at, item)| Event { item: *item, time: time(at) })
    }
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// How many items for each user.
    pub k: usize,
    /// Which items may be recommended.
    pub rules: Rules,
    /// Rank only so many items, proposed by vectors (at least `k` are). Without, or with a head that has user vectors, all are ranked.
    pub shortlist: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Options { k: 10, rules: Rules::default(), shortlist: None }
    }
}

/// A user's list.
#[derive(Clone, Debug, PartialEq)]
pub struct List {
    /// Best first.
    pub best: Vec<Scored>,
    /// Whether the model knew no event: the scores are then the items' biases.
    pub cold: bool,
}

/// What a thread works with.
#[derive(Default)]
struct Bench {
    scratch: Scratch,
    events: Vec<Event>,
    ids: Vec<u32>,
    vectors: Vec<f32>,
    bias: Vec<f32>,
    scores: Vec<f32>,
}

/// Recommends to many users.
pub struct Recommender<'a> {
    scorer: &'a Scorer,
    options: Options,
    proposer: Option<&'a Proposer<'a>>,
    /// What bounds the errors of products; there only where they propose.
    slack: Option<Slack>,
    benches: Pool<Bench>,
}

impl<'a> Recommender<'a> {
    /// Makes ready what all users share.
    pub fn new(scorer: &'a Scorer, options: Options) -> Recommender<'a> {
        Recommender::proposed_by(None, scorer, options)
    }

    /// The same, where of all items the scorer ranks those alone that `proposer`, if there is one, proposes; it says how many, too.
    /// Rules with a cap a category are left to the scorer alone: who is the best of a category must not be decided by others' scores.
    pub fn proposed_by(proposer: Option<&'a Proposer<'a>>, scorer: &'a Scorer, options: Options) -> Recommender<'a> {
        let proposes = proposer.is_none() && scorer.has_user_vectors() && options.rules.cap(scorer.model()).is_none();
        let slack = proposes.then(|| Slack::of(&scorer.item_rows(), options.rules.offered()));
        let options = Options { k: options.k.min(scorer.items().len()), ..options };
        Recommender { scorer, options, proposer, slack, benches: Pool::default() }
    }

    /// The scorer.
    pub fn scorer(&self) -> &'a Scorer {
        self.scorer
    }

    /// How many users to give to [`Recommender::recommend`] at a time: enough for its blocks, and not so many that nothing
    /// is heard of it for long.
    pub fn users_at_once(&self) -> usize {
        if self.slack.is_some() || self.proposes().is_some() { USERS } else { FEW_USERS }
    }

    /// The list of each user, in their order.
    pub fn recommend(&self, contexts: &[Context<'_>]) -> Vec<List> {
        match (&self.slack, self.proposes()) {
            (Some(slack), _) => self.in_chunks(contexts, |part| self.by_products(part, slack)),
            (None, Some(most)) => self.in_chunks(contexts, |part| self.in_two_stages(part, most)),
            (None, None) => contexts.par_iter().map(|context| self.alone(context)).collect(),
        }
    }

    /// How many items vectors propose, where a head ranks them.
    fn proposes(&self) -> Option<usize> {
        let k = self.options.k;
        let own = || self.options.shortlist.filter(|_| !self.scorer.has_user_vectors()).map(|most| most.max(k));
        let most = self.proposer.map(|proposer| proposer.most(k)).or_else(own);
        most.filter(|_| self.options.rules.cap(self.scorer.model()).is_none())
    }

    fn in_chunks<'c>(&self, contexts: &'c [Context<'c>], of: impl Fn(&'c [Context<'c>]) -> Vec<List>) -> Vec<List> {
        contexts.chunks(USERS).flat_map(of).collect()
    }

    /// Every item through the scorer.
    fn alone(&self, context: &Context<'_>) -> List {
        self.with_user(context, |user, _| {
            let mut best = Vec::new();
            user.top_k_by(self.options.k, &self.options.rules, context.exclude, &mut best);
            List { best, cold: user.is_cold() }
        })
    }

    fn by_products(&self, contexts: &[Context<'_>], slack: &Slack) -> Vec<List> {
        let k = self.options.k;
        let (vectors, proposals) = self.propose(self.scorer, contexts, k + MARGIN.max(k / 2));
        let d = self.scorer.settings().d;
        let lists = proposals.into_par_iter().zip(contexts).zip(vectors.par_chunks_exact(d));
        let list = |((proposal, context), vector): ((Option<Proposal>, &Context<'_>), &[f32])| {
            let sure = proposal.and_then(|proposal| {
                let candidates = slack.candidates(&proposal.best, proposal.is_whole, k, vector)?;
                Some(List { best: self.rescore(vector, candidates), cold: false })
            });
            sure.unwrap_or_else(|| self.alone(context))
        };
        lists.map(list).collect()
    }

    /// The best `k` of some items, as the scorer scores and orders them.
    fn rescore(&self, vector: &[f32], candidates: &[Scored]) -> Vec<Scored> {
        let scored = |bench: &mut Bench| {
            let (rows, n) = (self.scorer.item_rows(), candidates.len());
            let ids = || candidates.iter().map(|one| one.item as usize);
            bench.vectors.resize(n * vector.len(), 0.0);
            bench.scores.resize(n, 0.0);
            bench.bias.clear();
            bench.bias.extend(ids().map(|id| rows.bias_of(id)));
            rows.gather(ids(), &mut bench.vectors);
            let c = Candidates::from(&*bench.vectors);
            score::fixed(self.scorer.level(), vector, c, &bench.bias, &mut bench.scores);
            let mut best: Vec<Scored> = candidates.to_vec();
            best.iter_mut().zip(&bench.scores).for_each(|(one, score)| one.score = *score);
            best.sort_unstable();
            best.truncate(self.options.k);
            best
        };
        self.benches.with(Bench::default, scored)
    }

    fn in_two_stages(&self, contexts: &[Context<'_>], most: usize) -> Vec<List> {
        let by = self.proposer.map_or(self.scorer, Proposer::scorer);
        let (_, proposals) = self.propose(by, contexts, most);
        let k = self.options.k;
        let list = |(proposal, context): (Option<Proposal>, &Context<'_>)| match proposal {
            None => self.alone(context),
            Some(proposal) => self.with_user(context, |user, ids| {
                ids.clear();
                ids.extend(proposal.best.iter().map(|one| one.item));
                ids.sort_unstable();
                let mut best = Vec::new();
                user.top_k_of(k, ids, &self.options.rules, &mut best);
                List { best, cold: false }
            }),
        };
        proposals.into_par_iter().zip(contexts).map(list).collect()
    }

    /// The users' vectors, and the `most` best items of each by products; nothing for a cold user.
    fn propose(&self, by: &Scorer, contexts: &[Context<'_>], most: usize) -> (Vec<f32>, Vec<Option<Proposal>>) {
        let (d, offered) = (by.settings().d, self.options.rules.offered());
        let mut vectors = vec![0.0; contexts.len() * d];
        let encoded = vectors.par_chunks_exact_mut(d).zip(contexts).map(|(vector, context)| {
            let known = with_user(by, &self.benches, context, |user, _| {
                user.vector().map(|own| vector.copy_from_slice(own)).is_some()
            });
            let mut exclude = context.exclude.to_vec();
            exclude.sort_unstable();
            Asker { best: Best::new(if known { most } else { 0 }), exclude, known }
        });
        let mut askers: Vec<Asker> = encoded.collect();
        let rows = by.item_rows();
        let item = |place: u32| offered.map_or(place, |offered| offered[place as usize]);
        products::each_block(by.level(), &rows, offered, &vectors, &mut askers, |asker, first, scores| {
            let Asker { best, exclude, .. } = asker;
            // Of a list the places stand for the items: they have the same order.
            best.take(first, scores, |place| exclude.binary_search(&item(place)).is_err());
        });
        let proposals = askers.into_par_iter().map(|mut asker| {
            asker.known.then(|| {
                let best = asker.best.drain().map(|one| Scored { item: item(one.item), ..one }).collect::<Vec<_>>();
                Proposal { is_whole: best.len() < most, best }
            })
        });
        (vectors, proposals.collect())
    }

    fn with_user<R>(&self, context: &Context<'_>, work: impl FnOnce(&mut User<'_>, &mut Vec<u32>) -> R) -> R {
        with_user(self.scorer, &self.benches, context, work)
    }
}

/// Writes the users' vectors ([`User::vector`]), `[users, d]`; zeros for cold users.
///
/// # Panics
/// If `out` has another length.
pub fn user_vectors(scorer: &Scorer, contexts: &[Context<'_>], out: &mut [f32]) {
    let d = scorer.settings().d;
    assert_eq!(out.len(), contexts.len() * d, "a row of width d for each user");
    let benches = Pool::default();
    out.par_chunks_exact_mut(d).zip(contexts).for_each(|(row, context)| {
        with_user(scorer, &benches, context, |user, _| match user.vector() {
            Some(vector) => row.copy_from_slice(vector),
            None => row.fill(0.0),
        });
    });
}

/// Encodes a user with buffers that are lent, and does something with it.
fn with_user<R>(
    scorer: &Scorer,
    benches: &Pool<Bench>,
    context: &Context<'_>,
    work: impl FnOnce(&mut User<'_>, &mut Vec<u32>) -> R,
) -> R {
    benches.with(Bench::default, |Bench { scratch, events, ids, .. }| {
        events.clear();
        events.extend(context.events());
        work(&mut scorer.encode(events, context.now, scratch), ids)
    })
}

/// A user who asks for items.
struct Asker {
    best: Best,
    exclude: Vec<u32>,
    known: bool,
}

/// What products found for a user.
struct Proposal {
    best: Vec<Scored>,
    /// Whether there is no other item that may be recommended.
    is_whole: bool,
}
