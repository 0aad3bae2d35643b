//! Whether a run may go on: the settings, the log and its names against those that the run began with.

use super::{Checkpoint, CheckpointError};
use crate::data::{Dataset, Log, Vocabulary};
use crate::train::{Config, Fit};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

/// A log's content and names, as counts and fingerprints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Number of users, items, categories and events.
    pub counts: [u64; 4],
    /// [`Dataset::hash`].
    pub data: u64,
    /// Fingerprints of the names of users, items and categories; 0 where nothing is known of them.
    pub names: [u64; 3],
}

impl Identity {
    /// Of a log.
    pub fn of(log: &Log) -> Identity {
        let hash = |names: &Vocabulary| {
            let mut sum = crate::durable::checksum::Checksum::new();
            for name in names.names() {
                sum.update(&(name.len() as u64).to_le_bytes());
                sum.update(name.as_bytes());
            }
            sum.finish()
        };
        Identity { names: [&log.users, &log.items, &log.categories].map(hash), ..Identity::of_dataset(&log.dataset) }
    }

    /// Of a data set whose names are not known.
    pub fn of_dataset(dataset: &Dataset) -> Identity {
        let counts = [dataset.users(), dataset.items(), dataset.categories(), dataset.events()];
        Identity { counts: counts.map(|n| n as u64), data: dataset.hash(), names: [0; 3] }
    }
}

/// One thing that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What: for settings section and key.
    pub what: String,
    /// In the checkpoint.
    pub old: String,
    /// Now.
    pub new: String,
    /// The key by which it may be allowed, if any.
    pub allowed: Option<Allowed>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} -> {}", self.what, self.old, self.new)
    }
}

/// What may change between a run's parts. Threads and output change no result and are always free.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// `train.epochs`: more of them, or fewer, but not fewer than were run.
    Epochs,
    /// `train.patience`, but not one that would have ended the run before.
    Patience,
    /// The tier of SIMD instructions: the last bits of results depend on it.
    Simd,
    /// `train.threads`: free in any case.
    Threads,
    /// Where the model goes: free in any case.
    Output,
}

impl Allowed {
    /// All of them.
    pub const ALL: [Allowed; 5] =
        [Allowed::Epochs, Allowed::Patience, Allowed::Simd, Allowed::Threads, Allowed::Output];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Allowed::Epochs => "epochs",
            Allowed::Patience => "patience",
            Allowed::Simd => "simd",
            Allowed::Threads => "threads",
            Allowed::Output => "output",
        }
    }
}

impl FromStr for Allowed {
    type Err = UnknownAllowed;

    fn from_str(name: &str) -> Result<Allowed, UnknownAllowed> {
        Allowed::ALL.into_iter().find(|key| key.name() == name).ok_or_else(|| UnknownAllowed { name: name.to_owned() })
    }
}

/// Nothing of that name may change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name:?} may not change; what may is {}", Allowed::ALL.map(Allowed::name).join(", "))]
pub struct UnknownAllowed {
    name: String,
}

/// Settings as they are kept: the number of threads is not one of the run's.
pub(super) fn config_text(config: &Config) -> Result<String, CheckpointError> {
    toml::to_string(config).map_err(|error| CheckpointError::Payload(error.to_string()))
}

impl Checkpoint {
    /// What is not as it was and not allowed either.
    pub(super) fn compare(
        &self,
        fit: &Fit<'_>,
        identity: &Identity,
        allowed: &[Allowed],
    ) -> Result<(), CheckpointError> {
        let mut differences = self.changed_settings(fit.config())?;
        let level = fit.trainer.level().to_string();
        if level != self.level {
            differences.push(Difference {
                what: "SIMD tier".into(),
                old: self.level.clone(),
                new: level,
                allowed: Some(Allowed::Simd),
            });
        }
        // Those that are allowed are no part of the complaint. The settings come first: they may have changed the data.
        differences.retain(|d| d.allowed.is_none_or(|key| !allowed.contains(&key)));
        differences.extend(self.overrun(fit.config()));
        if !differences.is_empty() {
            return Err(CheckpointError::Config(differences));
        }
        let data = |(what, old, new): (&str, u64, u64)| {
            (old != new).then(|| Difference {
                what: what.into(),
                old: old.to_string(),
                new: new.to_string(),
                allowed: None,
            })
        };
        let names = ["users", "items", "categories", "events"];
        let (old, new) = (&self.identity, identity);
        let counts = (0..4).map(|i| (names[i], old.counts[i], new.counts[i]));
        let mut differences: Vec<Difference> = counts.filter_map(data).collect();
        if old.data != new.data {
            differences.push(fingerprint("events".into(), old.data, new.data));
            return Err(CheckpointError::Data(differences));
        }
        let renamed = (0..3).filter(|i| old.names[*i] != new.names[*i]);
        let renamed: Vec<Difference> = renamed
            .map(|i| fingerprint(format!("names of the {} {}", new.counts[i], names[i]), old.names[i], new.names[i]))
            .collect();
        if !renamed.is_empty() {
            return Err(CheckpointError::Vocabulary(renamed));
        }
        Ok(())
    }

    /// Settings under which the run would have ended before it came to where it stands. A model of these settings is
    /// another one than the run's, and its card would not be true.
    fn overrun(&self, config: &Config) -> Vec<Difference> {
        let (state, train) = (&self.state, &config.train);
        let mut found = Vec::new();
        let mut add = |what: &str, old: String, new: String| {
            found.push(Difference { what: what.into(), old, new, allowed: None });
        };
        // A part of an epoch counts only where there is no best epoch's model to go back to.
        let begun = state.epoch + usize::from(state.position > 0 && state.best.is_none());
        if begun > train.epochs {
            add("train.epochs", format!("{begun} were run already"), train.epochs.to_string());
        }
        let mut waited = 0;
        let ends = state.reports.iter().position(|report| {
            waited = if report.best { 0 } else { waited + 1 };
            train.patience > 0 && waited >= train.patience
        });
        if let Some(end) = ends.map(|at| at + 1).filter(|end| begun > *end) {
            let new = format!("{}, which ends the run after {end}", train.patience);
            add("train.patience", format!("{begun} epochs were run already"), new);
        }
        found
    }

    /// Settings whose values are not those of the checkpoint. What one side lacks has its default there.
    fn changed_settings(&self, config: &Config) -> Result<Vec<Difference>, CheckpointError> {
        let (old, new) = (flat(&self.config)?, flat(&config_text(config)?)?);
        let defaults = flat(&config_text(&Config::default())?)?;
        let keys: std::collections::BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        let mut differences = Vec::new();
        for key in keys {
            let value = |side: &BTreeMap<String, String>| {
                side.get(key).or_else(|| defaults.get(key)).cloned().unwrap_or_else(|| "not set".into())
            };
            let (old, new) = (value(&old), value(&new));
            let allowed = match &**key {
                "train.epochs" => Some(Allowed::Epochs),
                "train.patience" => Some(Allowed::Patience),
                "train.threads" => continue,
                _ => None,
            };
            if old != new {
                differences.push(Difference { what: key.clone(), old, new, allowed });
            }
        }
        Ok(differences)
    }
}

fn fingerprint(what: String, old: u64, new: u64) -> Difference {
    Difference { what, old: format!("fingerprint {old:016x}"), new: format!("fingerprint {new:016x}"), allowed: None }
}

/// Every key of a TOML text with its sections in front.
fn flat(text: &str) -> Result<BTreeMap<String, String>, CheckpointError> {
    fn walk(prefix: &str, table: &toml::Table, out: &mut BTreeMap<String, String>) {
        for (key, value) in table {
            match value {
                toml::Value::Table(inner) => walk(&format!("{prefix}{key}."), inner, out),
                value => drop(out.insert(format!("{prefix}{key}"), value.to_string())),
            }
        }
    }
    let table = toml::from_str(text).map_err(|error| CheckpointError::Payload(format!("its settings: {error}")))?;
    let mut out = BTreeMap::new();
    walk("", &table, &mut out);
    Ok(out)
}
