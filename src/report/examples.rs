//! A few users of the test set: what they had, what the model recommends, and why.

use crate::data::{Dataset, Log, Sample, date};
use crate::scorer::{Event, Model, Scored, Scorer, Scratch};

/// Users that are shown.
const USERS: usize = 3;
/// Recommendations for each of them.
const ITEMS: usize = 5;
/// Fewest events before the test event.
const LEAST_HISTORY: usize = 4;
/// Events that carried a recommendation.
const REASONS: usize = 3;
/// Dimensions of beta.
const DIMENSIONS: usize = 8;

/// A user before their test event.
#[derive(Clone, Debug)]
pub struct Example {
    /// The user's id.
    pub user: String,
    /// The events before the test event, oldest first.
    pub history: Vec<Past>,
    /// The item of the test event.
    pub next: Named,
    /// What the model recommends then, best first.
    pub advice: Vec<Advice>,
    /// A (eq 7) for the events that the model read: place in `history`, and the weight that each hop gives to it. Empty
    /// without item level attention.
    pub attention: Vec<(usize, Vec<f32>)>,
    /// For the first recommendation, the dimensions in which beta (eq 10) is most decided: dimension, largest weight,
    /// and the row (hop, counted from 0) with it. Empty without feature level attention.
    pub dimensions: Vec<(usize, f32, usize)>,
}

/// An item by its names.
#[derive(Clone, Debug, PartialEq)]
pub struct Named {
    /// Its id.
    pub item: String,
    /// Its category, where the model has categories.
    pub category: Option<String>,
}

/// An event of a history.
#[derive(Clone, Debug)]
pub struct Past {
    /// The item.
    pub what: Named,
    /// The day, where the log has times.
    pub day: Option<String>,
}

/// A recommendation.
#[derive(Clone, Debug)]
pub struct Advice {
    /// The item.
    pub what: Named,
    /// Its score (eq 17).
    pub score: f32,
    /// Whether this is what came next.
    pub hit: bool,
    /// The events that carried it, by their places in the history, and their shares.
    pub because: Vec<(usize, f32)>,
}

impl Named {
    fn new(model: &Model, item: u32) -> Named {
        let category = model.category_of(item).map(str::to_owned);
        Named { item: model.items().get(item as usize).unwrap_or_default().to_owned(), category }
    }
}

/// Some of the users of `test`, evenly spread; none where there are too few with a history worth showing. The scorer's
/// items must be the log's.
pub fn examples(scorer: &Scorer, log: &Log, test: &[Sample]) -> Vec<Example> {
    let open: Vec<&Sample> = test.iter().filter(|sample| sample.target as usize >= LEAST_HISTORY).collect();
    if open.len() < USERS {
        return Vec::new();
    }
    let mut scratch = Scratch::new();
    // Evenly spread over the users, so that the choice is nobody's.
    (1..=USERS).map(|i| example(scorer, log, *open[i * open.len() / (USERS + 1)], &mut scratch)).collect()
}

fn example(scorer: &Scorer, log: &Log, sample: Sample, scratch: &mut Scratch) -> Example {
    let (dataset, model): (&Dataset, _) = (&log.dataset, scorer.model());
    let all = dataset.history(sample.user);
    let before = all.before(sample.target as usize, usize::MAX);
    let next = all.items[sample.target as usize];
    let now = all.times.get(sample.target as usize).copied().unwrap_or(0);
    let time = |at: usize| before.times.get(at).copied();
    let event = |(at, item): (usize, &u32)| Event { item: *item, time: time(at).unwrap_or(now) };
    let events: Vec<Event> = before.items.iter().enumerate().map(event).collect();

    let mut user = scorer.encode(&events, now, scratch);
    let mut best: Vec<Scored> = Vec::new();
    user.top_k(ITEMS, before.items, &mut best);
    let first = events.len() - user.history().len();
    let attention = (first..).zip(user.attention().map(<[f32]>::to_vec)).collect();
    let mut dimensions = Vec::new();
    let advice = best.iter().enumerate().map(|(place, scored)| {
        let why = user.explain(scored.item);
        let because =
            why.iter().flat_map(|why| why.events.iter().take(REASONS).map(|e| (e.position, e.share))).collect();
        if let (0, Ok(why)) = (place, &why) {
            dimensions = why.dimensions.iter().take(DIMENSIONS).map(|d| (d.dimension, d.focus, d.row)).collect();
        }
        Advice { what: Named::new(model, scored.item), score: scored.score, hit: scored.item == next, because }
    });
    let advice = advice.collect();
    let past = |(at, item): (usize, &u32)| Past { what: Named::new(model, *item), day: time(at).map(date) };
    Example {
        user: log.users.name(sample.user).to_owned(),
        history: before.items.iter().enumerate().map(past).collect(),
        next: Named::new(model, next),
        advice,
        attention,
        dimensions,
    }
}
