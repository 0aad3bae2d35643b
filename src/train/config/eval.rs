//! `[eval]`: how results are measured.

use crate::data::{Protocol, Split, SplitAt};
use serde::{Deserialize, Serialize};
use std::ops::Deref;

/// `[eval]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EvalConfig {
    /// How events are split.
    pub protocol: Protocol,
    /// Where the protocol `time` cuts: a share of the events, or seconds since 1970.
    #[serde(skip_serializing_if = "is_default")]
    pub split_at: SplitAt,
    /// Protocol `time`: test on all events after the moment one by one, not on each user's first alone.
    #[serde(skip_serializing_if = "is_default")]
    pub test_all: bool,
    /// The k of HR@k and its like; one or several.
    pub k: Cutoffs,
    /// Negatives a user with which the validation AUC is measured (the test's is always against one).
    pub validation_negatives: usize,
    /// Users of the full ranking, drawn by the seed; 0 = all.
    pub rank_users: usize,
}

impl Default for EvalConfig {
    fn default() -> Self {
        EvalConfig {
            protocol: Protocol::default(),
            split_at: SplitAt::default(),
            test_all: false,
            k: [10].into(),
            validation_negatives: 20,
            rank_users: 0,
        }
    }
}

impl EvalConfig {
    /// The protocol with all that it needs.
    pub fn split(&self) -> Split {
        Split { protocol: self.protocol, at: self.split_at, test_all: self.test_all }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The k of measures at k. A single one stands by itself in TOML.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "OneOrMany", into = "OneOrMany")]
pub struct Cutoffs(Vec<usize>);

impl Cutoffs {
    /// The smallest; 0 where there is none.
    pub fn least(&self) -> usize {
        self.iter().copied().min().unwrap_or(0)
    }
}

impl Deref for Cutoffs {
    type Target = [usize];

    fn deref(&self) -> &[usize] {
        &self.0
    }
}

impl From<Vec<usize>> for Cutoffs {
    /// In ascending order, each once.
    fn from(mut all: Vec<usize>) -> Cutoffs {
        all.sort_unstable();
        all.dedup();
        Cutoffs(all)
    }
}

impl<const N: usize> From<[usize; N]> for Cutoffs {
    fn from(all: [usize; N]) -> Cutoffs {
        all.to_vec().into()
    }
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(usize),
    Many(Vec<usize>),
}

impl From<OneOrMany> for Cutoffs {
    fn from(text: OneOrMany) -> Cutoffs {
        match text {
            OneOrMany::One(k) => [k].into(),
            OneOrMany::Many(all) => all.into(),
        }
    }
}

impl From<Cutoffs> for OneOrMany {
    fn from(Cutoffs(all): Cutoffs) -> OneOrMany {
        match all[..] {
            [k] => OneOrMany::One(k),
            _ => OneOrMany::Many(all),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_cutoff_or_several_and_either_moment_are_read_and_written() {
        let read = |text: &str| toml::from_str::<EvalConfig>(text).unwrap();
        assert_eq!(read("k = 10"), EvalConfig::default());
        assert_eq!(*read("k = [20, 5, 20]").k, [5, 20]);
        assert!(toml::to_string(&EvalConfig::default()).unwrap().contains("k = 10\n"));
        for (text, at) in
            [("0.8", SplitAt::Share(0.8)), ("86400", SplitAt::Time(86_400)), ("\"1970-01-02\"", SplitAt::Time(86_400))]
        {
            let config = read(&format!("protocol = \"time\"\nsplit_at = {text}\nk = [1, 2]"));
            assert_eq!(config.split().at, at);
            assert_eq!(read(&toml::to_string(&config).unwrap()), config);
        }
        assert!(toml::from_str::<EvalConfig>("split_at = 1.5").is_err());
    }
}
