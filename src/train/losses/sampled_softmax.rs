//! Eq 18, 19 over the target and a sample of the items, whose scores are corrected for how often they are drawn.

use super::{Against, Entry, Loss, log_loss};
use crate::autograd::ops;

pub(super) const ENTRY: Entry = Entry {
    loss: Loss::SampledSoftmax,
    name: "sampled-softmax",
    help: "eq 18, 19 over the target and items drawn for all samples of a shard, with logQ correction",
    against: Against::Shared,
    record: ops::cross_entropy,
    value: log_loss,
};
