//! What to train, and the name under which its record is kept.

use crate::data::{Protocol, ReadOptions};
use crate::train::{Config, Preset};

/// One run to be made: a model, its settings, a seed, a protocol.
#[derive(Clone, Debug, PartialEq)]
pub struct Spec {
    /// All settings, adapted to the data.
    pub config: Config,
    /// The run ends after this many epochs without a better one; 0 = never early.
    pub patience: usize,
    /// Whether the test set is measured at the end; a search leaves it alone.
    pub test: bool,
}

impl Spec {
    /// The settings that the result depends on, beside model, seed, protocol and data: runs with the same text are
    /// the same run. Threads and the preset's name do not count.
    pub fn settings(&self) -> String {
        let mut config = self.config.clone();
        config.preset = Preset::default();
        config.data = ReadOptions::default();
        config.train.threads = 0;
        config.train.seed = 0;
        config.eval.protocol = Protocol::Paper;
        let text = toml::to_string(&config).unwrap_or_else(|_| format!("{config:?}"));
        format!("patience = {}\n{text}", self.patience)
    }

    /// The model and its variant in a word: `dmran-item`.
    pub fn name(&self) -> String {
        super::Row::of(&self.config).name()
    }

    /// A name for people: model, protocol, seed.
    pub fn title(&self) -> String {
        format!("{}, {}, seed {}", self.name(), protocol_name(self.config.eval.protocol), self.config.train.seed)
    }

    /// The record's file: everything that the result depends on is in its name.
    pub fn file_name(&self, data_hash: &str) -> String {
        let Spec { config, .. } = self;
        let (protocol, seed) = (protocol_name(config.eval.protocol), config.train.seed);
        let settings = fnv(&self.settings());
        format!("{}-{protocol}-seed{seed}-{settings:016x}-{data_hash}.json", self.name())
    }
}

/// A protocol's name, as in TOML.
pub fn protocol_name(protocol: Protocol) -> &'static str {
    protocol.name()
}

/// Fowler, Noll and Vo's hash: the same on every machine. A record holds the text itself, so a clash is noticed.
fn fnv(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;

    #[test]
    fn what_the_result_depends_on_is_in_the_name_and_nothing_else() {
        let spec = Spec { config: Config::default(), patience: 2, test: true };
        let name = |change: fn(&mut Spec)| {
            let mut spec = spec.clone();
            change(&mut spec);
            spec.file_name("d")
        };
        let plain = name(|_| ());
        assert!(plain.starts_with("dmran-honest-seed1-") && plain.ends_with("-d.json"), "{plain}");
        assert_eq!(plain, name(|s| s.config.train.threads = 7));
        assert_eq!(plain, name(|s| s.config.preset = Preset::Paper));
        assert_eq!(plain, name(|s| s.test = false));
        let others = [
            name(|s| s.config.train.seed = 2),
            name(|s| s.config.eval.protocol = Protocol::Paper),
            name(|s| s.config.train.lr = 0.5),
            name(|s| s.config.model.hops = 2),
            name(|s| s.config.train.model = Kind::Atrank),
            name(|s| s.patience = 3),
            spec.file_name("e"),
        ];
        for (i, other) in others.iter().enumerate() {
            assert!(*other != plain && !others[..i].contains(other), "{other}");
        }
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        assert_eq!([fnv(""), fnv("a")], [0xcbf2_9ce4_8422_2325, 0xaf63_dc4c_8601_ec8c]);
    }
}
