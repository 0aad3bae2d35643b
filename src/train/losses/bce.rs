//! Eq 20, 21: binary cross-entropy of the target and of sampled negatives.

use super::{Against, Entry, Loss, softplus};
use crate::autograd::ops;

pub(super) const ENTRY: Entry = Entry {
    loss: Loss::Bce,
    name: "bce",
    help: "eq 20, 21: binary cross-entropy of the target and of negatives of its own",
    against: Against::Own,
    record: |g, scores, share| ops::bce(g, scores, share / scores.cols as f32),
    value: |target, negatives| {
        let wrong: f64 = negatives.iter().map(|x| softplus(f64::from(*x))).sum();
        (softplus(-target) + wrong) / (1.0 + negatives.len() as f64)
    },
};
