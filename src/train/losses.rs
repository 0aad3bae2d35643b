//! The ranking losses, one a file: its name, its help, what it compares the target with, the operation that it records,
//! and its value for one user in an evaluation. A new loss is a file here and a line in [`Loss`] and `ENTRIES`.

mod bce;
mod bpr;
mod sampled_softmax;
pub mod shared;
mod softmax;

use crate::autograd::tape::Graph;
use crate::autograd::var::Var;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How a model learns to rank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// Eq 20, 21.
    #[default]
    Bce,
    /// Bayesian personalised ranking.
    Bpr,
    /// Eq 18, 19: a softmax over all items.
    Softmax,
    /// Eq 18, 19 over the target and a sample of the items.
    SampledSoftmax,
}

/// All losses, in the order of [`Loss`].
const ENTRIES: [Entry; 4] = [bce::ENTRY, bpr::ENTRY, softmax::ENTRY, sampled_softmax::ENTRY];

/// What a target is compared with in training.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against {
    /// Negatives of its own, `negatives_per_positive` of them, that its user never had.
    Own,
    /// `shared_negatives` items, drawn once for all samples of a batch, or of a shard of it where the user's vector depends
    /// on the candidate or every position is a target.
    Shared,
    /// Every item.
    All,
}

/// One loss.
#[derive(Clone, Copy, Debug)]
struct Entry {
    loss: Loss,
    name: &'static str,
    help: &'static str,
    against: Against,
    /// Records the loss of scores `[rows, candidates]`, column 0 the target, times one over a batch's number of rows.
    record: fn(&mut Graph<'_>, Var, f32) -> Var,
    /// The loss of one target's score and those of its negatives.
    value: fn(f64, &[f32]) -> f64,
}

impl Loss {
    /// All of them.
    pub const ALL: [Loss; 4] = [Loss::Bce, Loss::Bpr, Loss::Softmax, Loss::SampledSoftmax];

    fn entry(self) -> &'static Entry {
        const { assert!(ENTRIES.len() == Loss::ALL.len()) };
        let entry = &ENTRIES[self as usize];
        debug_assert!(entry.loss == self, "entries stand in the order of the names");
        entry
    }

    /// The name on the command line and in TOML.
    pub fn name(self) -> &'static str {
        self.entry().name
    }

    /// What it is, in a sentence.
    pub fn help(self) -> &'static str {
        self.entry().help
    }

    /// What a target is compared with in training.
    pub fn against(self) -> Against {
        self.entry().against
    }

    /// Records the loss of scores `[rows, candidates]`, whose column 0 is the target, as the mean over a batch of which
    /// these are a part: `share` is one over the batch's number of rows. For the softmax losses the scores are what
    /// [`shared::scores`] makes.
    pub fn record(self, g: &mut Graph<'_>, scores: Var, share: f32) -> Var {
        (self.entry().record)(g, scores, share)
    }

    /// The loss of one target with some negatives, as an evaluation measures it.
    pub fn value(self, target: f32, negatives: &[f32]) -> f64 {
        (self.entry().value)(f64::from(target), negatives)
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Loss {
    type Err = String;

    fn from_str(name: &str) -> Result<Loss, String> {
        let names = || Loss::ALL.map(Loss::name).join(", ");
        Loss::ALL.into_iter().find(|loss| loss.name() == name).ok_or_else(|| format!("choose one of: {}", names()))
    }
}

/// `ln(1 + e^x)` without overflow; NaN stays.
fn softplus(x: f64) -> f64 {
    let positive = if x > 0.0 || x.is_nan() { x } else { 0.0 };
    positive + (-x.abs()).exp().ln_1p()
}

/// `ln(e^target + sum of e^negative) - target` without overflow; NaN stays.
fn log_loss(target: f64, negatives: &[f32]) -> f64 {
    let all = || negatives.iter().map(|x| f64::from(*x)).chain([target]);
    let most = all().fold(f64::NEG_INFINITY, f64::max);
    all().map(|x| (x - most).exp()).sum::<f64>().ln() + (most - target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_stand_in_the_order_of_the_names() {
        for loss in Loss::ALL {
            assert_eq!(loss.entry().loss, loss);
            assert_eq!(serde_json::to_string(&loss).unwrap(), format!("\"{loss}\""));
            assert_eq!(loss.name().parse(), Ok(loss));
        }
        assert_eq!("hinge".parse::<Loss>().unwrap_err(), "choose one of: bce, bpr, softmax, sampled-softmax");
    }

    #[test]
    fn values_by_hand() {
        let (ln2, e) = (2f64.ln(), 1f64.exp());
        assert!((Loss::Bce.value(0.0, &[0.0, 0.0]) - ln2).abs() < 1e-12);
        assert!((Loss::Bpr.value(5.0, &[5.0, 5.0]) - ln2).abs() < 1e-12);
        assert!((Loss::Bce.value(1.0, &[-1.0]) - (1.0 + 1.0 / e).ln()).abs() < 1e-12);
        assert!((Loss::Bpr.value(0.5, &[-0.5]) - (1.0 + 1.0 / e).ln()).abs() < 1e-12);
        assert!((Loss::Softmax.value(0.0, &[0.0; 3]) - 4f64.ln()).abs() < 1e-12);
        assert!((Loss::SampledSoftmax.value(1e4, &[-1e4]) - 0.0).abs() < 1e-12);
        assert_eq!(Loss::Softmax.value(-1e4, &[1e4]), 2e4);
        assert_eq!(Loss::Bpr.value(-1e30, &[0.0]), f64::from(1e30f32), "no overflow");
        for loss in Loss::ALL {
            assert!(loss.value(f32::NAN, &[0.0]).is_nan(), "{loss}: NaN shows");
            assert!(loss.value(0.0, &[f32::NAN]).is_nan(), "{loss}: NaN shows");
        }
    }
}
