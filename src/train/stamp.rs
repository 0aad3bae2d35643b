//! What a figure was measured by, in a form that can be compared: figures with equal stamps may stand beside each other.

use crate::data::{Dataset, Protocol, SplitAt, test_samples};
use crate::model::Kind;
use crate::train::Config;
use crate::train::config::{Denominator, NegativesKind, StopMetric};
use crate::train::losses::{Against, Loss};
use serde::Serialize;

/// The protocol stamp.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Stamp {
    /// The program and its version.
    pub created_by: &'static str,
    /// Fingerprint of the log with its names.
    pub data_hash: String,
    /// How events are split.
    pub protocol: Protocol,
    /// Protocol `time`: the moment as it was asked for, and what it came to.
    pub time: Option<Time>,
    /// Items to find.
    pub test_events: usize,
    /// Users of the full ranking; all of them without.
    pub ranked_users: Option<usize>,
    /// The cutoffs.
    pub k: Vec<usize>,
    /// What is left out of a user's ranking.
    pub left_out_of_the_ranking: &'static str,
    /// How equal scores count.
    pub ties: &'static str,
    /// What is trained.
    pub model: Kind,
    /// The loss.
    pub loss: Loss,
    /// When the training draws negatives of a target's own; nothing where the loss has none.
    pub negatives: Option<NegativesKind>,
    /// How many of them for each target.
    pub negatives_per_positive: Option<usize>,
    /// How many items the samples of a batch, or a shard of it, share as negatives; nothing where the loss shares none.
    pub shared_negatives: Option<usize>,
    /// What the softmax losses compare with.
    pub denominator: Option<Denominator>,
    /// The measure that picks the epoch.
    pub picked_by: StopMetric,
    /// What it is measured on.
    pub picked_on: &'static str,
    /// Seed of everything random: training, validation, the negatives of the test.
    pub seed: u64,
}

/// The moments of the protocol `time`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Time {
    /// As it was asked for.
    pub split_at: SplitAt,
    /// Where the validation begins, in seconds since 1970.
    pub validation_from: Option<i64>,
    /// Where the test begins, in seconds since 1970.
    pub test_from: Option<i64>,
    /// Whether all later events are tested, or each user's first alone.
    pub test_all: bool,
}

impl Stamp {
    /// The stamp of a run of `config` on a log.
    pub fn new(config: &Config, dataset: &Dataset, data_hash: String) -> Stamp {
        let (train, eval, split) = (&config.train, &config.eval, config.eval.split());
        let moments = split.moments(dataset);
        let time = (split.protocol == Protocol::Time).then(|| Time {
            split_at: split.at,
            validation_from: moments.map(|moments| moments.validation),
            test_from: moments.map(|moments| moments.test),
            test_all: split.test_all,
        });
        let own = train.loss.against() == Against::Own;
        let test_events = test_samples(dataset, split).len();
        Stamp {
            created_by: concat!("dmran ", env!("CARGO_PKG_VERSION")),
            data_hash,
            protocol: split.protocol,
            time,
            test_events,
            ranked_users: Some(eval.rank_users).filter(|users| *users > 0),
            k: eval.k.to_vec(),
            left_out_of_the_ranking: "items of the user's earlier events",
            ties: "half",
            model: train.model,
            loss: train.loss,
            negatives: own.then_some(train.negatives),
            negatives_per_positive: own.then_some(train.negatives_per_positive),
            shared_negatives: (train.loss.against() == Against::Shared).then_some(train.shared_negatives),
            denominator: (!own).then_some(train.denominator),
            picked_by: train.early_stop_metric,
            picked_on: split.protocol.picked_on(),
            seed: train.seed,
        }
    }
}
