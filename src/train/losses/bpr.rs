//! Bayesian personalised ranking: the target against one negative at a time.

use super::{Against, Entry, Loss, softplus};
use crate::autograd::ops;

pub(super) const ENTRY: Entry = Entry {
    loss: Loss::Bpr,
    name: "bpr",
    help: "-ln sigmoid(target - negative), the mean over negatives of its own",
    against: Against::Own,
    record: |g, scores, share| ops::bpr(g, scores, share / (scores.cols - 1).max(1) as f32),
    value: |target, negatives| {
        let pairs: f64 = negatives.iter().map(|x| softplus(f64::from(*x) - target)).sum();
        pairs / negatives.len() as f64
    },
};
