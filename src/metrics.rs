//! How good a ranking is: AUC (equation 23), HR@k, NDCG@k and MRR, each with its standard error.
//!
//! Two settings. With **sampled negatives** ([`pair_share`]) a pair counts as right only if the
//! positive's score is strictly greater: equal scores and NaN are wrong, so a model that gives every
//! item the same score has AUC 0, not one half. With **full ranking** ([`Rank`]) the positive is
//! compared with all other candidates, and equal scores count half; NaN still counts as wrong.
//!
//! Every metric is a mean over users. [`Estimate`] sums in the order in which values are given, so
//! a result does not depend on how many threads computed the values.

mod ranking;

pub use ranking::{METRICS, Metric, Ranked, Ranking, Rankings, Value};

use std::fmt;

use serde::{Deserialize, Serialize};

/// A mean over users and how far it can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The mean; NaN (`null` in JSON) over no users.
    pub mean: f64,
    /// Standard error of the mean: the sample's standard deviation over the root of `n`; NaN
    /// (`null` in JSON) below two users.
    pub se: f64,
    /// Number of users.
    pub n: usize,
}

impl Estimate {
    /// The mean of some values, one a user.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        // Welford's recurrence: one pass, and no difference of two large sums.
        let (mut n, mut mean, mut squares) = (0usize, 0.0, 0.0);
        for value in values {
            n += 1;
            let from_old_mean = value - mean;
            mean += from_old_mean / n as f64;
            squares += from_old_mean * (value - mean);
        }
        match n {
            0 => Self { mean: f64::NAN, se: f64::NAN, n },
            1 => Self { mean, se: f64::NAN, n },
            _ => Self { mean, se: (squares / (n - 1) as f64 / n as f64).sqrt(), n },
        }
    }
}

impl Estimate {
    /// The mean of some values, several a user or one: (user, value), the values of a user side by side.
    ///
    /// The standard error is over users: values of one user are no independent witnesses (the usual estimate for
    /// clusters, which is that of [`Estimate::of`] where everybody has one value).
    pub fn of_users(values: impl IntoIterator<Item = (u32, f64)> + Clone) -> Self {
        let users = |values: &mut dyn Iterator<Item = (u32, f64)>| {
            let mut last = None;
            values.filter(|(user, _)| last.replace(*user) != Some(*user)).count()
        };
        let n = users(&mut values.clone().into_iter());
        let all = Self::of(values.clone().into_iter().map(|(_, value)| value));
        if n == all.n {
            return all;
        }
        let (mut squares, mut sum, mut last) = (0.0, 0.0, None);
        for (user, value) in values {
            if last.replace(user) != Some(user) {
                squares += f64::powi(sum, 2);
                sum = 0.0;
            }
            sum += value - all.mean;
        }
        squares += f64::powi(sum, 2);
        let se = if n > 1 { (squares * n as f64 / (n - 1) as f64).sqrt() / all.n as f64 } else { f64::NAN };
        Self { mean: all.mean, se, n }
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(4);
        if self.n == 0 {
            return f.write_str("-");
        }
        write!(f, "{:.digits$}", self.mean)?;
        if self.n > 1 {
            write!(f, " ± {:.digits$}", self.se)?;
        }
        Ok(())
    }
}

/// Share of a user's negatives that the positive beats strictly: equation 23 for one user.
///
/// Equal scores and NaN on either side are not right. `None` without negatives.
pub fn pair_share(positive: f32, negatives: &[f32]) -> Option<f64> {
    let right = negatives.iter().filter(|&&negative| positive > negative).count();
    (!negatives.is_empty()).then(|| right as f64 / negatives.len() as f64)
}

/// Equation 23 with one negative a user: the share of (positive, negative) pairs ranked right.
pub fn pair_auc(pairs: impl IntoIterator<Item = (f32, f32)>) -> Estimate {
    Estimate::of(pairs.into_iter().map(|(positive, negative)| f64::from(positive > negative)))
}

/// Where the positive stands among the other candidates.
///
/// Its rank counts from 0 and is the middle of the places that its ties leave open:
/// `rank = greater + ties / 2`, which may be a half. The metrics below are functions of this one
/// rank (not means over the orders of the ties): a model with all scores equal has AUC one half,
/// and hits nothing unless k is more than half of the candidates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
pub struct Rank {
    /// Other candidates that stand above: greater scores, NaN, and all if the positive is NaN.
    pub greater: u32,
    /// Other candidates with the same score.
    pub ties: u32,
    /// Number of other candidates.
    pub others: u32,
}

impl Rank {
    /// Ranks item `target` among all items with the given scores, except `excluded`.
    ///
    /// `scores` has one entry an item. `excluded` may be in any order and repeat items, as a history
    /// does; the target is ranked whether it is in there or not.
    ///
    /// # Panics
    /// If `target` or an excluded item has no score.
    pub fn of(scores: &[f32], target: u32, excluded: &[u32]) -> Self {
        let positive = scores[target as usize];
        // NaN on either side stands above.
        let above = |score: f32| u32::from(score > positive || score.is_nan() || positive.is_nan());
        let tied = |score: f32| u32::from(score == positive);
        let (mut greater, mut ties) = (0u32, 0u32);
        for &score in scores {
            greater += above(score);
            ties += tied(score);
        }
        let mut sorted = Vec::new();
        let distinct = if excluded.is_sorted_by(|a, b| a < b) {
            excluded
        } else {
            sorted.extend_from_slice(excluded);
            sorted.sort_unstable();
            sorted.dedup();
            sorted.as_slice()
        };
        let mut others = scores.len() as u32;
        let out = distinct.iter().filter(|&&item| item != target);
        for &item in out.chain([&target]) {
            greater -= above(scores[item as usize]);
            ties -= tied(scores[item as usize]);
            others -= 1;
        }
        Self { greater, ties, others }
    }

    /// The rank from 0: `greater + ties / 2`.
    pub fn rank(&self) -> f64 {
        f64::from(self.greater) + f64::from(self.ties) / 2.0
    }

    /// Share of the other candidates that stand below, ties counted half; `None` if there is no
    /// other candidate.
    pub fn auc(&self) -> Option<f64> {
        (self.others > 0).then(|| 1.0 - self.rank() / f64::from(self.others))
    }

    /// HR@k: 1 if the rank is at most `k - 1`, else 0: half a place behind the last one is no hit.
    pub fn hit(&self, k: usize) -> f64 {
        f64::from(self.rank() + 1.0 <= k as f64)
    }

    /// NDCG@k with one relevant item: `1 / log2(rank + 2)` for a hit, else 0.
    pub fn ndcg(&self, k: usize) -> f64 {
        self.hit(k) / (self.rank() + 2.0).log2()
    }

    /// Reciprocal rank: `1 / (rank + 1)`.
    pub fn reciprocal(&self) -> f64 {
        1.0 / (self.rank() + 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAN: f32 = f32::NAN;

    #[test]
    fn an_estimate_by_hand() {
        let estimate = Estimate::of([1.0, 0.0, 1.0, 1.0]);
        assert_eq!((estimate.mean, estimate.n), (0.75, 4));
        // Variance 0.25, over 4, root.
        assert!((estimate.se - 0.25).abs() < 1e-15);
        assert_eq!(format!("{estimate} {estimate:.2}"), "0.7500 ± 0.2500 0.75 ± 0.25");
        let one = Estimate::of([0.5]);
        assert!(one.mean == 0.5 && one.se.is_nan());
        assert_eq!(one.to_string(), "0.5000");
        let none = Estimate::of([]);
        assert!(none.mean.is_nan() && none.n == 0);
        assert_eq!(none.to_string(), "-");
        assert_eq!(serde_json::to_string(&none).unwrap(), r#"{"mean":null,"se":null,"n":0}"#);
    }

    #[test]
    fn the_standard_error_of_an_auc_is_that_of_protocol() {
        // sqrt(AUC (1 - AUC) / users), the paper's Clothing: .0024.
        let users = 39_387;
        let right = (0.67 * users as f64) as usize;
        let estimate = pair_auc((0..users).map(|user| (f32::from(user < right), 0.5)));
        assert!((estimate.se - 0.0024).abs() < 5e-5, "{}", estimate.se);
    }

    #[test]
    fn ties_and_nan_are_never_right_in_pairs() {
        assert_eq!(pair_auc([(1.0, 1.0), (NAN, 0.0), (0.0, NAN), (NAN, NAN)]).mean, 0.0);
        assert_eq!(pair_auc([(1.0, 0.0), (0.0, 1.0)]).mean, 0.5);
        assert_eq!(pair_auc([(0.0, f32::NEG_INFINITY), (-0.0, 0.0)]).mean, 0.5);
        assert_eq!(pair_share(2.0, &[1.0, 2.0, 3.0, NAN]), Some(0.25));
        assert_eq!(pair_share(2.0, &[]), None);
    }

    #[test]
    fn a_rank_by_hand() {
        let scores = [0.5, 0.9, 0.5, 0.1, 0.7, 0.5];
        let rank = Rank::of(&scores, 0, &[]);
        assert_eq!(rank, Rank { greater: 2, ties: 2, others: 5 });
        assert_eq!(rank.rank(), 3.0);
        assert!((rank.auc().unwrap() - 0.4).abs() < 1e-15);
        // Leaving out one of each, in any order and repeated, and the target itself for nothing.
        let rank = Rank::of(&scores, 0, &[3, 0, 2, 1, 3]);
        assert_eq!(rank, Rank { greater: 1, ties: 1, others: 2 });
        assert_eq!(rank.rank(), 1.5);
        assert_eq!((rank.hit(2), rank.hit(3)), (0.0, 1.0));
        assert_eq!((rank.ndcg(2), rank.ndcg(3)), (0.0, 1.0 / 3.5f64.log2()));
        assert_eq!(rank.reciprocal(), 0.4);
    }

    #[test]
    fn nan_stands_above_and_all_tied_is_chance() {
        let rank = Rank::of(&[NAN, 0.0, 1.0, NAN], 0, &[]);
        assert_eq!(rank, Rank { greater: 3, ties: 0, others: 3 });
        assert_eq!(rank.auc(), Some(0.0));
        let rank = Rank::of(&[1.0, NAN, 0.0], 0, &[]);
        assert_eq!(rank, Rank { greater: 1, ties: 0, others: 2 });
        assert_eq!(Rank::of(&[1.0, NAN, 0.0], 0, &[1]).greater, 0);
        let rank = Rank::of(&[f32::INFINITY; 3], 0, &[]);
        let tied = Rank { greater: 0, ties: 2, others: 2 };
        assert_eq!(rank, tied);
        let rank = Rank::of(&[3.0; 101], 7, &[]);
        assert_eq!(rank.auc(), Some(0.5));
        assert_eq!((rank.hit(50), rank.hit(51)), (0.0, 1.0));
    }

    #[test]
    fn a_rank_without_others_has_no_auc() {
        let rank = Rank::of(&[1.0, 2.0], 0, &[1]);
        assert_eq!((rank.auc(), rank.hit(1), rank.others), (None, 1.0, 0));
    }

    #[test]
    fn values_of_one_user_count_as_one_witness() {
        let each = Estimate::of_users([(0, 1.0), (1, 0.0), (2, 1.0)]);
        assert_eq!(each, Estimate::of([1.0, 0.0, 1.0]));
        // Two users, the mean 0.5: sums of differences 1 and -1, root of 2 * 2 / 1, over 4 values.
        let twice = Estimate::of_users([(0, 1.0), (0, 1.0), (1, 0.0), (1, 0.0)]);
        assert_eq!((twice.mean, twice.se, twice.n), (0.5, 0.5, 2));
        assert!(Estimate::of_users([(0, 1.0), (0, 0.0)]).se.is_nan());
        assert_eq!(Estimate::of_users([]).n, 0);
    }
}
