//! The measures of a full ranking, as values: a measure is one entry of [`METRICS`].

use super::{Estimate, Rank};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a full ranking says of one item that was to be found.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranked {
    /// The user.
    pub user: u32,
    /// The item that was to be found.
    pub target: u32,
    /// Events before it.
    pub history: u32,
    /// Where it stands.
    pub rank: Rank,
    /// The best items, best first, equal scores by index: as many as the largest cutoff, fewer where there are fewer.
    pub top: Vec<u32>,
}

impl Ranked {
    fn top(&self, k: usize) -> &[u32] {
        &self.top[..k.min(self.top.len())]
    }
}

/// All that a measure may look at.
#[derive(Debug, Clone, Copy)]
pub struct Rankings<'a> {
    /// One an item to find, those of a user side by side.
    pub all: &'a [Ranked],
    /// How often each item occurs in the events to learn from.
    pub popularity: &'a [u32],
}

impl Rankings<'_> {
    /// The mean of what each ranking comes to, over those that have a value.
    pub fn mean(&self, of: impl Fn(&Ranked) -> Option<f64>) -> Estimate {
        Estimate::of_users(self.all.iter().filter_map(|ranked| Some((ranked.user, of(ranked)?))))
    }
}

/// A measure.
#[derive(Debug, Clone, Copy)]
pub struct Metric {
    /// Its name in tables and files.
    pub name: &'static str,
    /// What it is, in a line.
    pub help: &'static str,
    /// Whether it looks at the first k alone.
    pub at_k: bool,
    /// Its value. A measure of whole rankings is given a k of 0.
    pub compute: fn(&Rankings<'_>, k: usize) -> Estimate,
}

/// All measures, in the order of the tables.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "AUC, all items",
        help: "share of the other items that stand below, ties counted half",
        at_k: false,
        compute: |rankings, _| rankings.mean(|ranked| ranked.rank.auc()),
    },
    Metric {
        name: "HR",
        help: "share of users whose item is among the first k",
        at_k: true,
        compute: |rankings, k| rankings.mean(|ranked| Some(ranked.rank.hit(k))),
    },
    Metric {
        name: "NDCG",
        help: "1 / log2(rank + 1), the rank counted from 1; 0 beyond k",
        at_k: true,
        compute: |rankings, k| rankings.mean(|ranked| Some(ranked.rank.ndcg(k))),
    },
    Metric {
        name: "recall",
        help: "share of the items to find that are among the first k: HR, as there is one item to find at a time",
        at_k: true,
        compute: |rankings, k| rankings.mean(|ranked| Some(ranked.rank.hit(k))),
    },
    Metric {
        name: "MRR",
        help: "1 / rank, the rank counted from 1; 0 beyond k",
        at_k: true,
        compute: |rankings, k| rankings.mean(|ranked| Some(ranked.rank.hit(k) * ranked.rank.reciprocal())),
    },
    Metric {
        name: "coverage",
        help: "share of all items that are among anybody's first k",
        at_k: true,
        compute: coverage,
    },
    Metric {
        name: "popularity",
        help: "mean number of training events of the first k items",
        at_k: true,
        compute: |rankings, k| {
            rankings.mean(|ranked| {
                let top = ranked.top(k);
                let sum: f64 = top.iter().map(|item| f64::from(rankings.popularity[*item as usize])).sum();
                (!top.is_empty()).then(|| sum / top.len() as f64)
            })
        },
    },
    Metric {
        name: "MRR",
        help: "1 / rank, the rank counted from 1",
        at_k: false,
        compute: |rankings, _| rankings.mean(|ranked| Some(ranked.rank.reciprocal())),
    },
];

/// Coverage is no mean over users; its standard error is the jackknife's: what leaving out each user changes.
fn coverage(rankings: &Rankings<'_>, k: usize) -> Estimate {
    const NOBODY: u32 = u32::MAX;
    const SEVERAL: u32 = u32::MAX - 1;
    // Who alone has an item among the first k.
    let mut only = vec![NOBODY; rankings.popularity.len()];
    let (mut users, mut last) = (Vec::new(), None);
    for ranked in rankings.all {
        if last.replace(ranked.user) != Some(ranked.user) {
            users.push(0usize);
        }
        let user = users.len() as u32 - 1;
        for item in ranked.top(k) {
            let owner = &mut only[*item as usize];
            *owner = if *owner == NOBODY || *owner == user { user } else { SEVERAL };
        }
    }
    only.iter().filter(|owner| **owner < SEVERAL).for_each(|owner| users[*owner as usize] += 1);
    let (n, items) = (users.len(), only.len().max(1) as f64);
    if n == 0 {
        return Estimate::of([]);
    }
    let covered = only.iter().filter(|owner| **owner != NOBODY).count() as f64;
    let mean = users.iter().sum::<usize>() as f64 / n as f64;
    let squares: f64 = users.iter().map(|alone| (*alone as f64 - mean).powi(2)).sum();
    let se = if n > 1 { (squares * (n - 1) as f64 / n as f64).sqrt() / items } else { f64::NAN };
    Estimate { mean: covered / items, se, n }
}

/// A measure's value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Value {
    /// The measure's name.
    pub name: String,
    /// How many of the first items it looks at; all of them without.
    pub k: Option<usize>,
    /// The value.
    #[serde(flatten)]
    pub estimate: Estimate,
}

impl Value {
    /// The name with its k: `HR@10`.
    pub fn title(&self) -> String {
        match self.k {
            Some(k) => format!("{}@{k}", self.name),
            None => self.name.clone(),
        }
    }
}

/// All measures of a full ranking.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ranking {
    /// In the order of [`METRICS`]; those with a k together, cutoff by cutoff.
    pub values: Vec<Value>,
}

impl Ranking {
    /// Every measure at the given cutoffs.
    pub fn of(rankings: &Rankings<'_>, cutoffs: &[usize]) -> Self {
        let value = |metric: &Metric, k: Option<usize>| Value {
            name: metric.name.into(),
            k,
            estimate: (metric.compute)(rankings, k.unwrap_or(0)),
        };
        let first = METRICS.iter().position(|metric| metric.at_k);
        let mut values = Vec::new();
        for (at, metric) in METRICS.iter().enumerate() {
            if Some(at) == first {
                let at_k = || METRICS.iter().filter(|metric| metric.at_k);
                values.extend(cutoffs.iter().flat_map(|k| at_k().map(|metric| value(metric, Some(*k)))));
            }
            if !metric.at_k {
                values.push(value(metric, None));
            }
        }
        Self { values }
    }

    /// A measure's value, at a cutoff that was asked for.
    pub fn get(&self, name: &str, k: Option<usize>) -> Option<Estimate> {
        self.values.iter().find(|value| value.name == name && value.k == k).map(|value| value.estimate)
    }

    /// The smallest k that was asked for.
    pub fn first_cutoff(&self) -> Option<usize> {
        self.values.iter().find_map(|value| value.k)
    }

    /// Users that were ranked.
    pub fn users(&self) -> usize {
        self.get("MRR", None).map_or(0, |mrr| mrr.n)
    }
}

impl fmt::Display for Ranking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, value) in self.values.iter().enumerate() {
            let end = if at == 0 { "" } else { "\n" };
            write!(f, "{end}{:<15}{}", value.title(), value.estimate)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranked(user: u32, greater: u32, top: &[u32]) -> Ranked {
        let rank = Rank { greater, ties: 0, others: 10 };
        Ranked { user, target: 0, history: 1, rank, top: top.to_vec() }
    }

    #[test]
    fn a_ranking_by_hand() {
        let all = [ranked(0, 0, &[0, 1]), ranked(1, 2, &[1, 0]), ranked(2, 9, &[3, 1]), ranked(3, 10, &[1])];
        let popularity = [8, 4, 0, 2, 0, 0, 0, 0];
        let ranking = Ranking::of(&Rankings { all: &all, popularity: &popularity }, &[1, 3, 10]);
        let mean = |name: &str, k| ranking.get(name, k).unwrap().mean;
        assert!((mean("AUC, all items", None) - (1.0 + 0.8 + 0.1 + 0.0) / 4.0).abs() < 1e-15);
        for name in ["HR", "recall"] {
            assert_eq!([1, 3, 10].map(|k| mean(name, Some(k))), [0.25, 0.5, 0.75]);
        }
        let ndcg = (1.0 + 1.0 / 4f64.log2() + 1.0 / 11f64.log2()) / 4.0;
        assert!((mean("NDCG", Some(10)) - ndcg).abs() < 1e-15);
        let mrr = (1.0 + 1.0 / 3.0 + 1.0 / 10.0) / 4.0;
        assert!((mean("MRR", Some(10)) - mrr).abs() < 1e-15);
        assert!((mean("MRR", None) - (mrr + 1.0 / 44.0)).abs() < 1e-15);
        // First ones: 0, 1, 3, 1 of eight items; users 0 and 2 alone have theirs.
        let coverage = ranking.get("coverage", Some(1)).unwrap();
        assert_eq!((coverage.mean, coverage.n), (3.0 / 8.0, 4));
        assert!((coverage.se - (4.0 * 0.25 * 3.0 / 4.0f64).sqrt() / 8.0).abs() < 1e-15);
        assert_eq!(mean("popularity", Some(1)), (8.0 + 4.0 + 2.0 + 4.0) / 4.0);
        assert_eq!(mean("popularity", Some(3)), (6.0 + 6.0 + 3.0 + 4.0) / 4.0);
        assert_eq!((ranking.get("HR", Some(5)), ranking.users()), (None, 4));
        assert!(ranking.to_string().contains("\nNDCG@10 "), "{ranking}");
    }

    #[test]
    fn every_name_is_there_once_for_each_kind_and_explained() {
        for (at, metric) in METRICS.iter().enumerate() {
            let same = |other: &Metric| other.name == metric.name && other.at_k == metric.at_k;
            assert!(!metric.help.is_empty() && !METRICS[..at].iter().any(same), "{}", metric.name);
        }
    }

    #[test]
    fn nobody_has_no_figures() {
        let ranking = Ranking::of(&Rankings { all: &[], popularity: &[1, 1] }, &[2]);
        assert!(ranking.values.iter().all(|value| value.estimate.n == 0 && value.estimate.mean.is_nan()));
    }
}
