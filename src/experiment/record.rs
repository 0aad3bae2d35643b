//! What is kept of a run: one JSON file.

use super::slices::Slice;
use super::{ExperimentError, Spec};
use crate::data::Protocol;
use crate::durable::write_atomically;
use crate::metrics::{Estimate, Value};
use crate::model::Kind;
use crate::scorer::Variant;
use crate::train::StopMetric;
use crate::train::fit::{EpochReport, Figures};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::io::ErrorKind;
use std::path::Path;

/// A mean that may be missing, with its standard error where there is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Measure {
    /// The mean.
    pub mean: Option<f64>,
    /// Its standard error.
    pub se: Option<f64>,
    /// What it is over: users, or seeds.
    pub n: usize,
}

impl From<Estimate> for Measure {
    fn from(e: Estimate) -> Measure {
        let finite = |x: f64| Some(x).filter(|x| x.is_finite());
        Measure { mean: finite(e.mean), se: finite(e.se), n: e.n }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(4);
        match (self.mean, self.se) {
            (None, _) => f.write_str("-"),
            (Some(mean), None) => write!(f, "{mean:.digits$}"),
            (Some(mean), Some(se)) => write!(f, "{mean:.digits$} ± {se:.digits$}"),
        }
    }
}

/// An epoch of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Epoch {
    /// Counted from 1.
    pub epoch: usize,
    /// Learning rate of its last step.
    pub lr: f32,
    /// Mean loss.
    pub loss: f64,
    /// Its ranking term.
    pub rank: f64,
    /// Its penalty term before the weight.
    pub penalty: f64,
    /// AUC on the validation set (the test set with the paper's protocol).
    pub auc: Measure,
    /// The measure that epochs are compared by, where that is another.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Measure>,
    /// Seconds of training.
    pub seconds: f64,
}

/// Figures on the test set, of the best epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Test {
    /// Against one sampled negative a user.
    pub auc: Measure,
    /// Against all items.
    pub auc_all: Measure,
    /// The k of the next two.
    pub k: usize,
    /// HR@k.
    pub hr: Measure,
    /// NDCG@k.
    pub ndcg: Measure,
    /// Mean reciprocal rank.
    pub mrr: Measure,
    /// All measures of the full ranking, at every cutoff; none in records of earlier versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranking: Vec<Named>,
    /// The top ten by groups of users and targets; none in records of earlier versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub slices: Vec<Slice>,
}

/// A measure with its name, such as `coverage@10`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Named {
    /// Its name.
    pub name: String,
    /// Its value.
    #[serde(flatten)]
    pub measure: Measure,
}

/// The figures of a rival on the same test set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RivalTest {
    /// The rival's name.
    pub name: String,
    /// Its figures.
    pub test: Test,
}

/// What a run took; all else in a record is the same on every machine with the same instructions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// Seconds of training steps, over all epochs.
    pub training: f64,
    /// Seconds from start to end, evaluations too.
    pub total: f64,
    /// Training samples a second.
    pub samples_per_second: f64,
    /// Threads of this run.
    pub threads: usize,
    /// Runs side by side.
    pub side_by_side: usize,
    /// Tier of instructions.
    pub level: String,
}

/// A finished run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// What made it.
    pub created_by: String,
    /// The model.
    pub model: Kind,
    /// DMRAN's variant.
    pub variant: Variant,
    /// The protocol.
    pub protocol: Protocol,
    /// The seed.
    pub seed: u64,
    /// Fingerprint of the data.
    pub data_hash: String,
    /// See [`Spec::settings`].
    pub settings: String,
    /// Numbers to learn.
    pub weights: usize,
    /// Training samples.
    pub samples: usize,
    /// What epochs are compared by.
    #[serde(default)]
    pub picked_by: StopMetric,
    /// The epochs.
    pub epochs: Vec<Epoch>,
    /// The best epoch, counted from 1.
    pub best_epoch: Option<usize>,
    /// Why the run ended before its time, where it failed.
    pub failure: Option<String>,
    /// Figures on the test set; none after a search.
    pub test: Option<Test>,
    /// Those of the rivals; none after a search, and in records of earlier versions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rivals: Vec<RivalTest>,
    /// What it took.
    pub times: Times,
}

/// The program and its version.
pub const CREATED_BY: &str = concat!("dmran ", env!("CARGO_PKG_VERSION"));

impl Record {
    /// What the best epoch was picked by, on the validation set (the test set with the paper's protocol).
    pub fn validation(&self) -> Measure {
        let best = self.epochs.iter().find(|epoch| Some(epoch.epoch) == self.best_epoch);
        best.map(|epoch| epoch.value.unwrap_or(epoch.auc)).unwrap_or_default()
    }

    /// Reads the record of `spec` where there is one that serves: of the same settings, data and version, and with
    /// test figures if they are asked for.
    ///
    /// # Errors
    /// A file that cannot be read or is no record.
    pub fn load(path: &Path, spec: &Spec, data_hash: &str) -> Result<Option<Record>, ExperimentError> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(ExperimentError::File { path: path.to_owned(), source }),
        };
        let record = Record::parse(&bytes, path)?;
        let fits = record.created_by == CREATED_BY
            && record.settings == spec.settings()
            && record.data_hash == data_hash
            && record.seed == spec.config.train.seed
            && record.protocol == spec.config.eval.protocol
            && (record.test.is_some() || !spec.test || record.best_epoch.is_none() && record.failure.is_some());
        Ok(fits.then_some(record))
    }

    fn parse(bytes: &[u8], path: &Path) -> Result<Record, ExperimentError> {
        serde_json::from_slice(bytes)
            .map_err(|error| ExperimentError::Record { path: path.to_owned(), why: error.to_string() })
    }

    /// Writes the record so that it is there whole or not at all. Returns it as [`load`](Self::load) will read it: a
    /// number can come back from text with another last bit, and results must not depend on when a run was made.
    ///
    /// # Errors
    /// What the operating system answers.
    pub fn save(&self, path: &Path) -> Result<Record, ExperimentError> {
        let failed = |error: serde_json::Error| ExperimentError::file(path)(error.into());
        let mut bytes = serde_json::to_vec_pretty(self).map_err(failed)?;
        bytes.push(b'\n');
        write_atomically(path, |out| out.write_all(&bytes)).map_err(ExperimentError::file(path))?;
        Record::parse(&bytes, path)
    }
}

impl Epoch {
    /// What is kept of an epoch of a run whose epochs are compared by `picked_by`.
    pub fn of(report: &EpochReport, picked_by: StopMetric) -> Epoch {
        Epoch {
            epoch: report.epoch,
            lr: report.lr,
            loss: report.loss,
            rank: report.terms.rank,
            penalty: report.terms.penalty,
            auc: report.auc.into(),
            value: (picked_by != StopMetric::Auc).then(|| report.value(picked_by).into()),
            seconds: report.seconds,
        }
    }
}

impl Test {
    /// The figures at the first cutoff, and those of groups.
    pub fn of(figures: &Figures, slices: Vec<Slice>) -> Test {
        let ranking = &figures.ranking;
        let k = ranking.first_cutoff();
        let measure = |name: &str, k: Option<usize>| ranking.get(name, k).map(Measure::from).unwrap_or_default();
        let named = |value: &Value| Named { name: value.title(), measure: value.estimate.into() };
        Test {
            auc: figures.auc.into(),
            auc_all: measure("AUC, all items", None),
            k: k.unwrap_or(0),
            hr: measure("HR", k),
            ndcg: measure("NDCG", k),
            mrr: measure("MRR", None),
            ranking: ranking.values.iter().map(named).collect(),
            slices,
        }
    }
}
