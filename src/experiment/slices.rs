//! The top ten by groups: by what was known of the user, how often the item that came next is bought, how long ago the
//! last event was, and whether its category is new to the user. Shows where a model is good and where it is not.

use super::Report;
use super::record::{Measure, RivalTest};
use super::spec::protocol_name;
use super::summary::{Cell, markdown, over_seeds};
use crate::data::{Dataset, Protocol};
use crate::metrics::{Estimate, Ranked};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The figures of one group of the items that were to be found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    /// What the groups are made by.
    pub by: String,
    /// The group.
    pub group: String,
    /// HR at the first cutoff.
    pub hr: Measure,
    /// NDCG at the first cutoff.
    pub ndcg: Measure,
}

/// What a grouping looks at.
struct Case<'a> {
    dataset: &'a Dataset,
    /// How often each item occurs in the events to learn from.
    popularity: &'a [u32],
    ranked: &'a Ranked,
}

/// A way to make groups.
struct Grouping {
    name: &'static str,
    /// The groups' names, in the order of the table.
    groups: &'static [&'static str],
    /// The group of a case; none where the log does not say.
    of: fn(&Case<'_>) -> Option<usize>,
}

const DAY: i64 = 86_400;

/// All groupings. Their groups are fixed, so that logs and models can be compared.
const GROUPINGS: &[Grouping] = &[
    Grouping {
        name: "events before",
        groups: &["1 to 3", "4 and 5", "6 to 10", "11 to 20", "21 to 50", "51 and more"],
        of: |case| Some(place(i64::from(case.ranked.history), &[3, 5, 10, 20, 50])),
    },
    Grouping {
        name: "training events of the item that came next",
        groups: &["none", "1 to 5", "6 to 10", "11 to 25", "26 to 100", "101 and more"],
        of: |case| Some(place(i64::from(case.popularity[case.ranked.target as usize]), &[0, 5, 10, 25, 100])),
    },
    Grouping {
        name: "time since the last event",
        groups: &["none", "up to a day", "up to 7 days", "up to 30 days", "up to 180 days", "longer"],
        of: |case| {
            let events = case.dataset.history(case.ranked.user);
            let next = case.ranked.history as usize;
            let since = events.times.get(next)?.checked_sub(*events.times.get(next.checked_sub(1)?)?)?;
            Some(place(since, &[0, DAY, 7 * DAY, 30 * DAY, 180 * DAY]))
        },
    },
    Grouping {
        name: "category of the item that came next",
        groups: &["among those before", "new to the user"],
        of: |case| {
            let category = case.dataset.category_of(case.ranked.target)?;
            let before = &case.dataset.history(case.ranked.user).items[..case.ranked.history as usize];
            Some(usize::from(!before.iter().any(|item| case.dataset.category_of(*item) == Some(category))))
        },
    },
];

/// How many of the ascending `bounds` are below `value`.
fn place(value: i64, bounds: &[i64]) -> usize {
    bounds.partition_point(|bound| *bound < value)
}

/// The figures of every group that has anybody in it.
pub fn of(dataset: &Dataset, popularity: &[u32], ranks: &[Ranked], k: usize) -> Vec<Slice> {
    let mut out = Vec::new();
    for grouping in GROUPINGS {
        let mut cases: Vec<Vec<&Ranked>> = vec![Vec::new(); grouping.groups.len()];
        for ranked in ranks {
            if let Some(group) = (grouping.of)(&Case { dataset, popularity, ranked }) {
                cases[group].push(ranked);
            }
        }
        for (group, cases) in grouping.groups.iter().zip(&cases).filter(|(_, cases)| !cases.is_empty()) {
            let mean = |of: fn(&Ranked, usize) -> f64| {
                Estimate::of_users(cases.iter().map(|ranked| (ranked.user, of(ranked, k)))).into()
            };
            out.push(Slice {
                by: grouping.name.into(),
                group: (*group).into(),
                hr: mean(|ranked, k| ranked.rank.hit(k)),
                ndcg: mean(|ranked, k| ranked.rank.ndcg(k)),
            });
        }
    }
    out
}

/// The page: for each protocol and grouping a table of NDCG and one of HR, a column a model, the rivals behind them.
pub fn page(cells: &[Cell]) -> Report {
    let (mut out, mut results) = (String::new(), Vec::new());
    for protocol in Protocol::MEASURING {
        let cells: Vec<&Cell> = cells.iter().filter(|cell| cell.protocol == protocol).collect();
        let tests = || cells.iter().flat_map(|cell| &cell.records).filter_map(|record| record.test.as_ref());
        let Some(first) = tests().find(|test| !test.slices.is_empty()) else { continue };
        let rivals: &[RivalTest] =
            cells.iter().flat_map(|cell| &cell.records).map(|r| &*r.rivals).find(|r| !r.is_empty()).unwrap_or(&[]);
        out += &format!("\n### Protocol {}\n", protocol_name(protocol));
        for grouping in GROUPINGS {
            let groups: Vec<&Slice> = first.slices.iter().filter(|slice| slice.by == grouping.name).collect();
            if groups.is_empty() {
                continue;
            }
            for (measure, pick) in [("NDCG", (|s| s.ndcg) as fn(&Slice) -> Measure), ("HR", |s| s.hr)] {
                out += &format!("\n{measure}@{} by {}:\n\n", first.k, grouping.name);
                let mut head = vec![grouping.name.to_owned(), "items to find".to_owned()];
                head.extend(cells.iter().map(|cell| cell.row.title()));
                head.extend(rivals.iter().map(|rival| rival.name.clone()));
                let lines: Vec<Vec<String>> = groups
                    .iter()
                    .map(|group| {
                        let same = |slice: &&Slice| slice.by == group.by && slice.group == group.group;
                        let figure = |slices: &[Slice]| slices.iter().find(same).map(pick).unwrap_or_default();
                        let mut line = vec![group.group.clone(), group.hr.n.to_string()];
                        line.extend(cells.iter().map(|cell| {
                            let tests = cell.records.iter().filter_map(|record| record.test.as_ref());
                            over_seeds(tests.map(|test| figure(&test.slices))).to_string()
                        }));
                        line.extend(rivals.iter().map(|rival| figure(&rival.test.slices).to_string()));
                        line
                    })
                    .collect();
                out += &markdown(&head, &lines);
            }
        }
        for cell in &cells {
            let mut json = cell.json();
            json["slices"] = cell.records.iter().filter_map(|r| r.test.as_ref()).map(|t| json!(t.slices)).collect();
            results.push(json);
        }
    }
    Report { results: Value::Array(results), markdown: out, ..Report::default() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::Rank;

    #[test]
    fn every_item_to_find_is_in_one_group_of_each_grouping_that_the_log_allows() {
        // Two users: one with a long gap and a new category, one who comes back the same day to a category of his.
        let times = vec![0, 10 * DAY, 300 * DAY, 5 * DAY, 5 * DAY];
        let dataset = Dataset::from_parts(vec![0, 3, 5], vec![0, 1, 2, 1, 3], times, vec![0, 0, 1, 0], 4, 2).unwrap();
        let ranked = |user, target, history, greater| Ranked {
            user,
            target,
            history,
            rank: Rank { greater, ties: 0, others: 3 },
            top: Vec::new(),
        };
        let slices = of(&dataset, &[30, 2, 0, 7], &[ranked(0, 2, 2, 0), ranked(1, 3, 1, 2)], 2);
        let shown: Vec<(&str, &str, f64)> = slices.iter().map(|s| (&*s.by, &*s.group, s.hr.mean.unwrap())).collect();
        let next = "training events of the item that came next";
        let (since, category) = ("time since the last event", "category of the item that came next");
        assert_eq!(
            shown,
            [
                ("events before", "1 to 3", 0.5),
                (next, "none", 1.0),
                (next, "6 to 10", 0.0),
                (since, "none", 0.0),
                (since, "longer", 1.0),
                (category, "among those before", 0.0),
                (category, "new to the user", 1.0),
            ]
        );
        let plain = Dataset::from_histories(&[&[0, 1, 2], &[1, 3]], 4).unwrap();
        let slices = of(&plain, &[1; 4], &[ranked(0, 2, 2, 0)], 2);
        assert_eq!(slices.len(), 2, "nothing is said of times and categories that nobody knows: {slices:?}");
    }

    #[test]
    fn a_group_s_bounds_belong_to_it() {
        assert_eq!([0, 1, 3, 4, 5, 6].map(|n| place(n, &[0, 3, 5])), [0, 1, 1, 2, 2, 3]);
    }
}
