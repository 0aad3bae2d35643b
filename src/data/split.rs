//! Which event of each user is learned from, picked by, and tested on.

use super::dataset::Dataset;

/// How events are split. `n` is the number of a user's events, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// ATRank's and the paper's: learn to predict events 2 to n - 1, test on event n.
    /// There is no validation: the best epoch is picked on the test set.
    #[default]
    Paper,
    /// Learn to predict events 2 to n - 2, pick the model on event n - 1, test on event n.
    Honest,
}

/// One event to be predicted from those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sample {
    /// The user.
    pub user: u32,
    /// Place of the event in the user's list, from 0; the history is everything before it, so
    /// it is never 0.
    pub target: u32,
}

/// Every event to learn from, users in order, then events in order.
pub fn train_samples(dataset: &Dataset, protocol: Protocol) -> Vec<Sample> {
    let held_out = match protocol {
        Protocol::Paper => 1,
        Protocol::Honest => 2,
    };
    let mut samples = Vec::new();
    for user in 0..dataset.users() as u32 {
        let end = dataset.history(user).len().saturating_sub(held_out) as u32;
        samples.extend((1..end).map(|target| Sample { user, target }));
    }
    samples
}

/// The second to last event of every user with three events or more; nothing for
/// [`Protocol::Paper`].
pub fn validation_samples(dataset: &Dataset, protocol: Protocol) -> Vec<Sample> {
    match protocol {
        Protocol::Paper => Vec::new(),
        Protocol::Honest => from_the_end(dataset, 2),
    }
}

/// The last event of every user with two events or more: the same for both protocols.
pub fn test_samples(dataset: &Dataset, _protocol: Protocol) -> Vec<Sample> {
    from_the_end(dataset, 1)
}

/// The `back`-th event from the end, for users who have at least one event before it.
fn from_the_end(dataset: &Dataset, back: usize) -> Vec<Sample> {
    (0..dataset.users() as u32)
        .filter_map(|user| {
            let target = dataset.history(user).len().checked_sub(back)?;
            (target > 0).then_some(Sample { user, target: target as u32 })
        })
        .collect()
}
