//! Eq 18, 19 as they are written: the probability of the target among all items.

use super::{Against, Entry, Loss, log_loss};
use crate::autograd::ops;

pub(super) const ENTRY: Entry = Entry {
    loss: Loss::Softmax,
    name: "softmax",
    help: "eq 18, 19: the target's probability among all items",
    against: Against::All,
    record: ops::cross_entropy,
    value: log_loss,
};
