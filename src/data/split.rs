//! Which event of each user is learned from, picked by, and tested on.

use super::dataset::Dataset;
use super::moment::SplitAt;

/// How events are split. `n` is the number of a user's events, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// ATRank's and the paper's: learn to predict events 2 to n - 1, test on event n.
    /// There is no validation: the best epoch is picked on the test set.
    Paper,
    /// Learn to predict events 2 to n - 2, pick the model on event n - 1, test on event n. What others did after a
    /// user's test event is learned from all the same.
    #[default]
    Honest,
    /// One moment for everybody: learn from events before it, test on each user's first event after it. The model is
    /// picked in the same manner, at an earlier moment. Needs a log with times.
    Time,
    /// Learn from every event. Nothing is held out, so nothing can be measured and no epoch picked: for the model that goes
    /// into use, with settings and epochs that another protocol has found.
    None,
}

impl Protocol {
    /// All that measure, the one that is used unless somebody says otherwise first.
    pub const MEASURING: [Protocol; 3] = [Protocol::Honest, Protocol::Paper, Protocol::Time];

    /// Its name, as in TOML and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Paper => "paper",
            Protocol::Honest => "honest",
            Protocol::Time => "time",
            Protocol::None => "none",
        }
    }

    /// Whether events are held out, by which a model can be measured.
    pub fn measures(self) -> bool {
        self != Protocol::None
    }

    /// The set on which the best epoch is picked: `validation`, or the paper's `test`.
    pub fn picked_on(self) -> &'static str {
        if self == Protocol::Paper { "test" } else { "validation" }
    }
}

/// A protocol with all that it needs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Split {
    /// The protocol.
    pub protocol: Protocol,
    /// [`Protocol::Time`]: the moment.
    pub at: SplitAt,
    /// [`Protocol::Time`]: test on all events after the moment one by one, each with all earlier ones as its history.
    pub test_all: bool,
}

impl From<Protocol> for Split {
    fn from(protocol: Protocol) -> Split {
        Split { protocol, at: SplitAt::default(), test_all: false }
    }
}

/// The two moments of [`Protocol::Time`], in seconds since 1970: what is earlier than both is learned from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moments {
    /// Validation begins: events at this time or later are not learned from.
    pub validation: i64,
    /// The test begins.
    pub test: i64,
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

impl Split {
    /// The moments of [`Protocol::Time`]; `None` for other protocols, and where the log has no times.
    pub fn moments(&self, dataset: &Dataset) -> Option<Moments> {
        if self.protocol != Protocol::Time || !dataset.has_time() {
            return None;
        }
        let users = 0..dataset.users() as u32;
        let mut times: Vec<i64> = users.flat_map(|user| dataset.history(user).times.iter().copied()).collect();
        times.sort_unstable();
        let test = self.at.among(&times)?;
        times.truncate(times.partition_point(|time| *time < test));
        // Nothing before the moment: no validation, and nothing to learn from.
        let validation = self.at.quantile().among(&times).unwrap_or(test);
        Some(Moments { validation, test })
    }

    /// Where each user's list is cut: events before the first place are learned from, those before the second are
    /// known when the test begins.
    fn cuts(&self, dataset: &Dataset) -> Vec<[u32; 2]> {
        let moments = self.moments(dataset);
        let cut = |user: u32| {
            let events = dataset.history(user);
            let n = events.len() as u32;
            // A user's first event is nobody's to predict.
            let but = |last: u32| n.saturating_sub(last).max(n.min(1));
            match (self.protocol, moments) {
                (Protocol::Paper, _) => [but(1); 2],
                (Protocol::None, _) => [n; 2],
                (Protocol::Honest, _) => [but(2), but(1)],
                (Protocol::Time, None) => [0; 2],
                (Protocol::Time, Some(Moments { validation, test })) => {
                    [validation, test].map(|moment| events.times.partition_point(|time| *time < moment) as u32)
                }
            }
        };
        (0..dataset.users() as u32).map(cut).collect()
    }
}

/// How many of each user's events may be learned from, the first ones.
pub fn learned_events(dataset: &Dataset, split: impl Into<Split>) -> Vec<u32> {
    split.into().cuts(dataset).into_iter().map(|[learned, _]| learned).collect()
}

/// How many of each user's events are known when the test begins.
pub fn known_events(dataset: &Dataset, split: impl Into<Split>) -> Vec<u32> {
    split.into().cuts(dataset).into_iter().map(|[_, known]| known).collect()
}

/// Every event to learn from, users in order, then events in order.
pub fn train_samples(dataset: &Dataset, split: impl Into<Split>) -> Vec<Sample> {
    let learned = learned_events(dataset, split);
    (0..).zip(learned).flat_map(|(user, end)| (1..end).map(move |target| Sample { user, target })).collect()
}

/// Keeps the last sample of each user, for models that learn from every position of a history: it stands for the user's
/// earlier ones.
pub fn last_of_each_user(samples: &mut Vec<Sample>) {
    samples.dedup_by(|later, sample| {
        let same = later.user == sample.user;
        if same {
            *sample = *later;
        }
        same
    });
}

/// The second to last event of every user with three events or more; nothing for [`Protocol::Paper`] and
/// [`Protocol::None`]; for
/// [`Protocol::Time`] each user's first event between the moments, if there is one before it.
pub fn validation_samples(dataset: &Dataset, split: impl Into<Split>) -> Vec<Sample> {
    let split = split.into();
    match split.protocol {
        Protocol::Paper | Protocol::None => Vec::new(),
        Protocol::Honest => from_the_end(dataset, 2),
        Protocol::Time => {
            let first = |(user, [target, end]): (u32, [u32; 2])| {
                (0 < target && target < end).then_some(Sample { user, target })
            };
            (0..).zip(split.cuts(dataset)).filter_map(first).collect()
        }
    }
}

/// Nothing for [`Protocol::None`]; the last event of every user with two events or more, whether the protocol is the paper's or the honest one; for
/// [`Protocol::Time`] each user's first event after the moment, if there is one before it, or all of them.
pub fn test_samples(dataset: &Dataset, split: impl Into<Split>) -> Vec<Sample> {
    let split = split.into();
    if split.protocol == Protocol::None {
        return Vec::new();
    }
    if split.protocol != Protocol::Time {
        return from_the_end(dataset, 1);
    }
    let known = known_events(dataset, split);
    let after = |(user, known): (u32, u32)| {
        let n = dataset.history(user).len() as u32;
        let end = if known == 0 { known } else { n.min(if split.test_all { n } else { known + 1 }) };
        (known..end).map(move |target| Sample { user, target })
    };
    // Without times nothing is known and nothing tested.
    (0..).zip(known).flat_map(after).collect()
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
