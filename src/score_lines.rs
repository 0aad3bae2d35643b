//! JSON Lines for the scorer: a request a line in, an answer a line out. `dmran score` is this module and a loop.
//!
//! A request is an object; all of its fields may be left out:
//!
//! | field | what it is |
//! |---|---|
//! | `history` | events: `"item"`, `["item", time]` or `{"item": "item", "time": time}` |
//! | `now` | the moment of the recommendation; without it the latest event's time |
//! | `candidates` | items to score; without them all items are ranked |
//! | `k` | how many recommendations; 10 where neither `k` nor `candidates` is given |
//! | `exclude`, `include_owned` | items never recommended; whether those of the history may be recommended |
//! | `allow`, `deny` | items that alone may be recommended; items that may not |
//! | `allow_categories`, `deny_categories` | the same by category |
//! | `per_category` | at most so many recommendations of one category |
//! | `similar` | an item: in place of recommendations for the history, the items most like it |
//! | `explain` | for each recommendation, the events that carried it |
//! | `id` | any JSON; comes back in the answer as it was written |
//!
//! Events with times may come in any order; without times they are in order, oldest first. Events later than `now` are
//! no part of the history, but their items count as owned like the others.
//!
//! Ids and times follow the rules of the log readers ([`crate::data`]): an id is a string, without the white space around
//! it, or a whole number (12 is "12"); a time is a number of seconds since 1970 (decimals are rounded down) or a string
//! that holds one. Times that look like another unit are refused ([`unit_of`]).

mod fields;
mod rules;

use crate::data::{LooksLike, unit_of};
use crate::scorer::{Event, Model, Proposer, Rules, Scored, Scorer, Scratch, User};
pub use fields::{PastEvent, Verbatim};
use serde::{Deserialize, Serialize};

/// Recommendations where a request asks for no number.
const DEFAULT_K: usize = 10;
/// Events of an explanation.
const REASONS: usize = 5;

/// One line of input.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Request {
    /// Whatever the caller wants to find in the answer again.
    #[serde(deserialize_with = "fields::verbatim")]
    pub id: Option<Verbatim>,
    /// What the user had.
    pub history: Vec<PastEvent>,
    /// The moment of the recommendation, in seconds since 1970.
    #[serde(deserialize_with = "fields::time")]
    pub now: Option<i64>,
    /// Items to score, by their ids.
    #[serde(deserialize_with = "fields::optional_ids")]
    pub candidates: Option<Vec<String>>,
    /// How many recommendations.
    pub k: Option<usize>,
    /// Items that are not to be recommended.
    #[serde(deserialize_with = "fields::ids")]
    pub exclude: Vec<String>,
    /// Items that alone may be recommended.
    #[serde(deserialize_with = "fields::optional_ids")]
    pub allow: Option<Vec<String>>,
    /// Items that may not.
    #[serde(deserialize_with = "fields::ids")]
    pub deny: Vec<String>,
    /// Categories of which alone items may be recommended.
    #[serde(deserialize_with = "fields::optional_ids")]
    pub allow_categories: Option<Vec<String>>,
    /// Categories of which none may.
    #[serde(deserialize_with = "fields::ids")]
    pub deny_categories: Vec<String>,
    /// At most so many recommendations of one category.
    pub per_category: Option<usize>,
    /// An item: the recommendations are then the items most like it, by the cosine of their vectors.
    #[serde(deserialize_with = "fields::optional_id")]
    pub similar: Option<String>,
    /// Whether items of the history may be recommended.
    pub include_owned: bool,
    /// Whether to tell which events carried each recommendation.
    pub explain: bool,
}

/// Why a line is no request.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The line is not the JSON of a request.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// The line is JSON, perhaps, but no object.
    #[error("a request is a JSON object: {{\"history\": [...], ...}}")]
    NotAnObject,
    /// Some events have times and others not.
    #[error("history[{position}] ({item:?}) has no time, but another one has: give all or none")]
    MixedTimes {
        /// Which event, counted from 0.
        position: usize,
        /// Its item.
        item: String,
    },
    /// A time is hardly meant in seconds.
    #[error("the time {time} looks like {looks_like}: times are seconds since 1970, in `history` and `now` alike")]
    Unit {
        /// The time.
        time: i64,
        /// What it looks like.
        looks_like: LooksLike,
    },
}

/// One line of output.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Answer {
    /// The request's `id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<Verbatim>,
    /// Events of the history whose item the model does not know (of the latest ones that it reads).
    pub unknown: usize,
    /// Whether the model knew no event: scores are then the items' biases.
    pub cold: bool,
    /// For each of the request's candidates its score (eq 17), `null` for an item that the model does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scores: Option<Vec<Option<f32>>>,
    /// The best items, best first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recommendations: Option<Vec<Recommendation>>,
}

/// A recommended item.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Recommendation {
    /// Its id.
    pub item: String,
    /// Its category, where the model has categories.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Its score (eq 17).
    pub score: f32,
    /// The events that carried the score, the largest share first, where the request asked for them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub because: Option<Vec<Reason>>,
}

/// An event's part in a recommendation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reason {
    /// Where the event stands in the request's history, counted from 0.
    pub position: usize,
    /// Its item.
    pub item: String,
    /// Its share of all events' parts (see [`User::explain`]).
    pub share: f32,
}

impl Request {
    /// Reads a request from one line.
    ///
    /// # Errors
    /// If the line is not the JSON of a request, if only some of its events have times, or if those are in another unit
    /// than seconds.
    pub fn parse(line: &[u8]) -> Result<Request, RequestError> {
        // A byte order mark stands before the first line of a file.
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        // The derived reader would also take an array of all fields in order.
        if line.trim_ascii_start().first().is_some_and(|first| *first != b'{') {
            return Err(RequestError::NotAnObject);
        }
        let request: Request = serde_json::from_slice(line)?;
        if request.history.iter().any(|event| event.time.is_some())
            && let Some(position) = request.history.iter().position(|event| event.time.is_none())
        {
            return Err(RequestError::MixedTimes { position, item: request.history[position].item.clone() });
        }
        let times = request.history.iter().filter_map(|event| event.time).chain(request.now);
        match unit_of(times) {
            Some((time, looks_like)) => Err(RequestError::Unit { time, looks_like }),
            None => Ok(request),
        }
    }

    /// The events that count at the moment asked for, oldest first, each with its place in the request; and that moment.
    fn events(&self) -> (Vec<Event<&str>>, Vec<usize>, i64) {
        let mut order: Vec<usize> = (0..self.history.len()).collect();
        let time = |at: usize| self.history[at].time;
        order.sort_by_key(|at| time(*at));
        let latest = order.last().and_then(|at| time(*at));
        let now = self.now.or(latest).unwrap_or(0);
        // Without times every event counts as one of that moment.
        order.truncate(order.partition_point(|at| time(*at).is_none_or(|time| time <= now)));
        let event = |at: &usize| Event { item: &*self.history[*at].item, time: time(*at).unwrap_or(now) };
        (order.iter().map(event).collect(), order, now)
    }

    /// Scores and ranks as the request asks.
    pub fn answer(&self, scorer: &Scorer, scratch: &mut Scratch) -> Answer {
        self.answer_by(scorer, None, scratch)
    }

    /// The same, where of all items `scorer` ranks those alone that the proposer, if there is one, proposes.
    pub fn answer_by(&self, scorer: &Scorer, proposer: Option<&Proposer<'_>>, scratch: &mut Scratch) -> Answer {
        let rules = self.rules(scorer.model());
        if let Some(item) = &self.similar {
            return self.similar_to(item, &rules, scorer);
        }
        let (events, places, now) = self.events();
        let mut user = scorer.encode(&events, now, scratch);
        let (unknown, cold) = (user.unknown(), user.is_cold());
        let exclude = self.excluded(scorer);
        let (mut scores, mut best) = (None, None);
        match &self.candidates {
            None => {
                let (k, mut ranked) = (self.k.unwrap_or(DEFAULT_K), Vec::new());
                // A proposal under a cap would decide by the proposer's scores who is the best of a category.
                match proposer.filter(|_| rules.cap(scorer.model()).is_none()) {
                    None => user.top_k_by(k, &rules, &exclude, &mut ranked),
                    Some(proposer) => {
                        let proposed = proposer.propose(&events, now, k, &rules, &exclude);
                        user.top_k_of(k, &proposed, &rules, &mut ranked);
                    }
                }
                best = Some(ranked);
            }
            Some(candidates) => {
                let known: Vec<Option<u32>> = candidates.iter().map(|name| scorer.items().find(name)).collect();
                let items: Vec<u32> = known.iter().flatten().copied().collect();
                let mut of_known = vec![0.0; items.len()];
                // Both rules of `score` hold by construction.
                let _ = user.score(&items, &mut of_known);
                if let Some(k) = self.k {
                    let scored = items.iter().zip(&of_known).map(|(item, score)| Scored { item: *item, score: *score });
                    let mut ranked: Vec<Scored> = scored.filter(|s| exclude.binary_search(&s.item).is_err()).collect();
                    ranked.sort_unstable();
                    ranked.dedup_by_key(|s| s.item);
                    rules::strike(&mut ranked, &rules, scorer.model());
                    ranked.truncate(k);
                    best = Some(ranked);
                }
                let mut of_known = of_known.into_iter();
                scores = Some(known.iter().map(|item| item.and_then(|_| of_known.next())).collect());
            }
        }
        let recommendations = best.map(|best| best.iter().map(|s| self.tell(&mut user, s, &places)).collect());
        Answer { id: self.id.clone(), unknown, cold, scores, recommendations }
    }

    /// The items most like an item; none for an item that the model does not know, which is counted as unknown.
    fn similar_to(&self, item: &str, rules: &Rules, scorer: &Scorer) -> Answer {
        let mut best = Vec::new();
        let found = scorer.items().find(item);
        let unknown = usize::from(found.is_none());
        let denied = self.exclude.iter().filter_map(|name| scorer.items().find(name));
        let rules = if self.exclude.is_empty() { rules.clone() } else { rules.clone().without(scorer.model(), denied) };
        // An item that was found is there.
        let _ = found.map(|item| scorer.similar(item, self.k.unwrap_or(DEFAULT_K), &rules, &mut best));
        let recommendations = best.iter().map(|one| recommendation(scorer.model(), one, None)).collect();
        Answer { id: self.id.clone(), unknown, cold: false, scores: None, recommendations: Some(recommendations) }
    }

    /// The items that are not to be recommended, in order. What the user had after the moment asked for is owned too.
    fn excluded(&self, scorer: &Scorer) -> Vec<u32> {
        let owned = if self.include_owned { &[] } else { &self.history[..] };
        let names = self.exclude.iter().chain(owned.iter().map(|event| &event.item)).map(String::as_str);
        let mut items: Vec<u32> = names.filter_map(|name| scorer.items().find(name)).collect();
        items.sort_unstable();
        items
    }

    fn tell(&self, user: &mut User<'_>, scored: &Scored, places: &[usize]) -> Recommendation {
        let because = (self.explain).then(|| user.explain(scored.item)).and_then(Result::ok).map(|why| {
            let reason = |event: &crate::scorer::EventShare| {
                let position = places[event.position];
                Reason { position, item: self.history[position].item.clone(), share: event.share }
            };
            why.events.iter().take(REASONS).map(reason).collect()
        });
        recommendation(user.scorer().model(), scored, because)
    }
}

fn recommendation(model: &Model, scored: &Scored, because: Option<Vec<Reason>>) -> Recommendation {
    Recommendation {
        item: model.items().get(scored.item as usize).unwrap_or_default().to_owned(),
        category: model.category_of(scored.item).map(str::to_owned),
        score: scored.score,
        because,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Request {
        Request::parse(line.as_bytes()).unwrap()
    }

    #[test]
    fn events_in_every_form() {
        let event = |item: &str, time| PastEvent { item: item.into(), time };
        let request = parsed(r#"{"history": [["a", 5], {"item": "b", "time": -1}]}"#);
        assert_eq!(request.history, [event("a", Some(5)), event("b", Some(-1))]);
        let (events, places, now) = request.events();
        assert_eq!(events, [Event { item: "b", time: -1 }, Event { item: "a", time: 5 }]);
        assert_eq!((places, now), (vec![1, 0], 5));
        let request = parsed(r#"{"history": ["b", {"item": "a"}], "now": 9}"#);
        assert_eq!(request.events().0, [Event { item: "b", time: 9 }, Event { item: "a", time: 9 }]);
    }

    #[test]
    fn later_events_do_not_count() {
        let request = parsed(r#"{"history": [["a", 5], ["b", 7], ["c", 8]], "now": 7}"#);
        assert_eq!(request.events().1, [0, 1]);
    }

    #[test]
    fn ids_and_times_follow_the_rules_of_the_log() {
        let event = |item: &str, time| PastEvent { item: item.into(), time };
        let line = r#"{"history": [[12, 5.75], [" b ", "6"], {"item": -3, "time": -0.5}, {"time": 7, "item": 4.0}],
                       "now": 1e3, "candidates": [184467440737095516150, "x\t"], "exclude": [1, "1 "]}"#;
        let request = parsed(line);
        let times = [Some(5), Some(6), Some(-1), Some(7)];
        let items = ["12", "b", "-3", "4"];
        let want: Vec<PastEvent> = items.iter().zip(times).map(|(item, time)| event(item, time)).collect();
        assert_eq!((request.history, request.now), (want, Some(1000)));
        assert_eq!(request.candidates.unwrap(), ["184467440737095516150", "x"]);
        assert_eq!(request.exclude, ["1", "1"]);
        let request =
            parsed(r#"{"history": [["a", null], {"item": "b", "time": null}], "now": null, "candidates": null}"#);
        assert_eq!(request, parsed(r#"{"history": ["a", "b"]}"#));
        assert_eq!(parsed("\u{feff}{}"), Request::default());
    }

    #[test]
    fn an_id_is_kept_as_it_was_written() {
        for id in ["null", "-0.10", "123456789012345678901234567890", r#"{"b": [1,  2], "a": "\u00e9"}"#, "1e2", "[]"] {
            let request = parsed(&format!("{{\"id\": {id} }}"));
            assert_eq!(request.id.unwrap().get(), id);
        }
        assert_eq!(parsed("{}").id, None);
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (line, part) in [
            ("", "EOF"),
            ("[1]", "is a JSON object"),
            (r#"{"histori": []}"#, "unknown field `histori`"),
            (r#"{"history": [true]}"#, "true is no event: \"item\", [\"item\", time]"),
            (r#"{"history": [["a"]]}"#, "[\"a\"] is no event"),
            (r#"{"history": [["a", 1, 2]]}"#, "[\"a\", 1, 2] is no event"),
            (r#"{"history": [{"time": 2}]}"#, "missing field `item`"),
            (r#"{"history": ["  "]}"#, "\"  \" is no item's id: it is empty"),
            (r#"{"history": [1.5]}"#, "1.5 is no item's id: a string or a whole number"),
            (r#"{"exclude": [null]}"#, "null is no item's id"),
            (r#"{"candidates": ["a", {}]}"#, "{} is no item's id"),
            (r#"{"now": "noon"}"#, "\"noon\" is no time"),
            (r#"{"now": [1]}"#, "[1] is no time"),
            (r#"{"history": [{"item": "a", "at": 3}]}"#, "unknown field `at`"),
            (r#"{"history": [["a", 1], "b"]}"#, "history[1] (\"b\") has no time"),
            (r#"{"now": 1e40}"#, "1e40 is no time"),
            (r#"{"now": 1542329050116}"#, "the time 1542329050116 looks like milliseconds"),
            (r#"{"history": [["a", 1542329050], ["b", 1542329050116000]]}"#, "looks like microseconds"),
            (r#"{"history": [["a", 20181231], ["b", 20190101]]}"#, "looks like a date"),
            (r#"{"k": -1}"#, "invalid value"),
            (r#"{} {}"#, "trailing characters"),
        ] {
            let message = Request::parse(line.as_bytes()).unwrap_err().to_string();
            assert!(message.contains(part), "{line}: {message}");
        }
    }
}
