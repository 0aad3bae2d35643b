//! Every setting of a run, as it stands in a TOML file: `preset` and the sections `[data]`, `[model]`, `[train]`,
//! `[eval]`.

mod choices;
pub mod described;
mod eval;
pub mod page;

pub use choices::{Denominator, L2Kind, NegativesKind, OnNan, OptimizerKind, StopMetric, Vanished};
pub use eval::{Cutoffs, EvalConfig};

use super::preset::{self, Preset};
use crate::autograd::tape::Engine;
use crate::data::{Dataset, ReadOptions};
use crate::model::Kind;
use crate::scorer::{Settings, SettingsError, TimeKind};
use crate::spec::settings::MAX_BUCKETS;
use crate::spec::time::PLACE_CLASSES;
use crate::train::losses::{Against, Loss};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A whole run's settings.
///
/// The default asks for categories and time; [`Config::adapt`] takes back what a log does not have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the settings started from.
    pub preset: Preset,
    /// How the log is read.
    pub data: ReadOptions,
    /// Dimensions and choices of the model.
    pub model: Settings,
    /// The training itself.
    pub train: TrainConfig,
    /// How results are measured.
    pub eval: EvalConfig,
}

impl Default for Config {
    fn default() -> Self {
        Config::of(Preset::default(), Kind::default())
    }
}

/// A file of settings: what [`Config`] holds, and `[search]`, which `dmran search` alone reads. Read for errors that
/// show their lines; the values come from the table merged with the preset.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    preset: Option<Preset>,
    data: ReadOptions,
    model: Settings,
    train: TrainConfig,
    eval: EvalConfig,
    search: toml::Table,
}

impl Config {
    /// The settings that `preset` has for `model`.
    pub fn of(preset: Preset, model: Kind) -> Config {
        preset::recipe(preset, model).try_into().expect("recipes hold known settings")
    }

    /// The defaults before any recipe.
    pub(super) fn plain(preset: Preset, model: Kind) -> Config {
        Config {
            preset,
            data: ReadOptions::default(),
            model: Settings { categories: true, ..Settings::default() },
            train: TrainConfig { model, ..TrainConfig::default() },
            eval: EvalConfig::default(),
        }
    }

    /// Reads settings from TOML; see [`from_toml_over`](Self::from_toml_over).
    ///
    /// # Errors
    /// As there.
    pub fn from_toml(text: &str) -> Result<Config, toml::de::Error> {
        Config::from_toml_over(text, None, None)
    }

    /// Reads settings from TOML. What the text leaves out is what the preset has for the model (`preset` and `model`
    /// win over the text's own); the inner widths of the feed forward parts follow d (a quarter of it) unless they are
    /// given.
    ///
    /// # Errors
    /// An unknown key, a value of the wrong kind, or no TOML at all; the message shows the line.
    pub fn from_toml_over(text: &str, preset: Option<Preset>, model: Option<Kind>) -> Result<Config, toml::de::Error> {
        let file: File = toml::from_str(text)?;
        let mut given: toml::Table = toml::from_str(text)?;
        given.remove("search");
        let preset = preset.or(file.preset).unwrap_or_default();
        let kind = model.unwrap_or(file.train.model);
        let mut config = Config::of(preset, kind).changed(given)?;
        (config.preset, config.train.model) = (preset, kind);
        Ok(config)
    }

    /// These settings with the ones that `given` holds in their place. The inner widths of the feed forward parts
    /// follow d if they did before, unless they are given.
    ///
    /// # Errors
    /// An unknown key or a value of the wrong kind.
    pub fn changed(&self, given: toml::Table) -> Result<Config, toml::de::Error> {
        let names = |key: &str| given.get("model").is_some_and(|model| model.get(key).is_some());
        let follows = |key: &str, width: usize| !names(key) && width == inner_width(self.model.d);
        let follows = [follows("ff_width", self.model.ff_width), follows("head_ff_width", self.model.head_ff_width)];
        // How the log is read may hold a path, which need not be text, as TOML is: it stays out of it where it stays.
        let keeps_data = !given.contains_key("data");
        let data = if keeps_data { ReadOptions::default() } else { self.data.clone() };
        let mut table = preset::table_of(&Config { data, ..self.clone() });
        preset::merge(&mut table, given);
        let mut config: Config = table.try_into()?;
        if keeps_data {
            config.data = self.data.clone();
        }
        let width = inner_width(config.model.d);
        if follows[0] {
            config.model.ff_width = width;
        }
        if follows[1] {
            config.model.head_ff_width = width;
        }
        Ok(config)
    }

    /// Checks every setting by itself.
    ///
    /// # Errors
    /// The first value out of its range.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.model.validate()?;
        // TOML's integers have a sign.
        if i64::try_from(self.train.seed).is_err() {
            let (key, value) = ("train.seed".into(), self.train.seed.to_string());
            return Err(ConfigError::Range { key, value, range: "below 2^63".into() });
        }
        if self.train.vanished == Vanished::Drop && self.train.from.is_empty() {
            return Err(ConfigError::NothingVanishes);
        }
        let table = |section: Result<toml::Table, _>| section.expect("settings are tables of plain values");
        described::check("train", &table(toml::Table::try_from(&self.train)))?;
        described::check("eval", &table(toml::Table::try_from(&self.eval)))
    }

    /// Takes back what the log does not have, times or categories, and says so.
    pub fn adapt(&mut self, dataset: &Dataset) -> Vec<Adaptation> {
        let mut done = Vec::new();
        let model = &mut self.model;
        if !dataset.has_time() && model.reads_times() {
            model.time = TimeKind::Order;
            done.push(Adaptation::NoTime);
        } else if model.time == TimeKind::Auto && model.uses_time() && dataset.has_time_of_day() {
            model.time = TimeKind::AgeOrder;
            // As many for each class of places.
            model.buckets = (model.buckets * PLACE_CLASSES).min(MAX_BUCKETS);
            done.push(Adaptation::Moments { buckets: model.buckets });
        } else if model.time == TimeKind::Auto {
            model.time = TimeKind::Paper;
            if model.uses_time() {
                done.push(Adaptation::Days);
            }
        }
        if dataset.categories() == 0 && self.model.categories {
            self.model.categories = false;
            done.push(Adaptation::NoCategories);
        }
        done
    }
}

/// The inner width of a feed forward part for a model of width `d`: a quarter.
pub fn inner_width(d: usize) -> usize {
    (d / 4).max(1)
}

/// What a log lacks and a configuration had asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adaptation {
    /// Only the order of the events is known.
    NoTime,
    /// `time = "auto"`: its times tell the events of a day apart.
    Moments {
        /// Time buckets from now on.
        buckets: usize,
    },
    /// `time = "auto"`: its times are dates.
    Days,
    /// Items have no categories.
    NoCategories,
}

impl fmt::Display for Adaptation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Adaptation::Moments { buckets } => {
                return write!(
                    f,
                    "the log's times tell the events of a day apart: time = \"age-order\" with {buckets} buckets, the age \
                     and the place from the end"
                );
            }
            Adaptation::Days => "the log's times are dates: time = \"paper\", the age in days",
            Adaptation::NoTime => "the log has no times, only an order: time = \"order\", the place from the end",
            Adaptation::NoCategories => "the log has no categories: categories = false",
        })
    }
}

/// A setting out of its range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConfigError {
    /// Of the model.
    #[error("model.{0}")]
    Model(#[from] SettingsError),
    /// Items can be dropped only from a model.
    #[error(
        "train.vanished is \"drop\", which is about the items of the model that --from names: name one, or leave it out"
    )]
    NothingVanishes,
    /// Of training or evaluation.
    #[error("{key} is {value}; it must be {range}")]
    Range {
        /// Section and key.
        key: String,
        /// The value found.
        value: String,
        /// What is allowed.
        range: String,
    },
}

/// `[train]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Which model.
    pub model: Kind,
    /// Passes over the training samples.
    pub epochs: usize,
    /// Samples a step.
    pub batch: usize,
    /// Seed of everything random: starting values, order, negatives, dropout.
    pub seed: u64,
    /// How the model learns to rank.
    pub loss: Loss,
    /// How gradients become steps.
    pub optimizer: OptimizerKind,
    /// Learning rate of the first epoch.
    pub lr: f32,
    /// The learning rate is multiplied by this after each epoch.
    pub decay: f32,
    /// From this step on the learning rate is multiplied by `step_factor`; 0 = never.
    pub step_at: u64,
    /// See `step_at`.
    pub step_factor: f32,
    /// Gradients whose global norm exceeds this are scaled down to it; 0 = never.
    pub clip: f32,
    /// What the l2 term counts.
    pub l2: L2Kind,
    /// The l2 term's weight.
    pub l2_weight: f32,
    /// Weight of the looked-up rows' l2 term where `l2 = "weights"`.
    pub l2_rows: f32,
    /// lambda_3, the weight of the redundancy penalty (eq 21).
    pub penalty: f32,
    /// When negatives are drawn.
    pub negatives: NegativesKind,
    /// Negatives for each positive (`bce`, `bpr`).
    pub negatives_per_positive: usize,
    /// Items that the samples of a shard are compared with (`sampled-softmax`).
    pub shared_negatives: usize,
    /// The shared items are drawn with a probability that grows with this power of one plus an item's training events; 0 =
    /// uniformly.
    pub sampling_power: f32,
    /// Whether the shared items' scores are corrected for how often they are drawn.
    pub logq: bool,
    /// Which items the softmax losses compare the target with.
    pub denominator: Denominator,
    /// Standard deviation of the tables' starting values; 0 = the model's own start: normal with 0.01 for DMRAN,
    /// uniform after Glorot over the table's whole shape for the others.
    pub init_std: f32,
    /// Share of a history's item vectors' entries that are dropped in training.
    pub dropout: f32,
    /// Epochs over which the weights are averaged, exponentially, for the model that is measured and kept; 0 = the last weights.
    pub average: f32,
    /// Fused kernels or the naive reference.
    pub engine: Engine,
    /// Parts of a batch that are computed side by side and summed by a fixed tree of pairs; results depend on it (not on the
    /// threads or the machines). 0 = by batch size.
    pub shards: usize,
    /// Threads; 0 = as many as there are cores (or `RAYON_NUM_THREADS`). Results do not depend on it.
    pub threads: usize,
    /// What to do where the loss or a gradient is not finite.
    pub on_nan: OnNan,
    /// The measure on the validation set by which the best epoch is chosen, and by which patience counts.
    pub early_stop_metric: StopMetric,
    /// Epochs in a row without a new best one after which the run ends; 0 = all epochs are run.
    pub patience: usize,
    /// What becomes of the items of the model named by `from` that the log does not have.
    pub vanished: Vanished,
    /// [`fingerprint`](crate::train::incremental::fingerprint) of the model whose numbers the training goes on from;
    /// empty = from the beginning.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub from: String,
    /// Only events after this time (seconds since 1970) are learned to predict; those before it are history.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<i64>,
}

impl Default for TrainConfig {
    fn default() -> Self {
        TrainConfig {
            model: Kind::Dmran,
            epochs: 5,
            batch: 32,
            seed: 1,
            loss: Loss::Bce,
            optimizer: OptimizerKind::Sgd,
            lr: 1.0,
            decay: 0.9,
            step_at: 0,
            step_factor: 0.1,
            clip: 5.0,
            l2: L2Kind::Activation,
            l2_weight: 5e-5,
            l2_rows: 5e-5,
            penalty: 1e-3,
            negatives: NegativesKind::Fresh,
            negatives_per_positive: 1,
            shared_negatives: 512,
            sampling_power: 0.0,
            logq: true,
            denominator: Denominator::All,
            init_std: 0.01,
            dropout: 0.0,
            average: 0.0,
            engine: Engine::Fused,
            shards: 0,
            threads: 0,
            on_nan: OnNan::Stop,
            early_stop_metric: StopMetric::Auc,
            patience: 0,
            vanished: Vanished::Keep,
            from: String::new(),
            since: None,
        }
    }
}

impl TrainConfig {
    /// The number of shards of a batch: fixed by the configuration alone, so that sums always run in one order. Large batches
    /// have enough for many threads on several machines, and as many as can be halved again and again.
    pub fn shard_count(&self) -> usize {
        let by_size = self.batch / 16;
        match self.batch {
            _ if self.shards > 0 => self.shards,
            0..1024 => by_size.clamp(2, 16),
            _ => (1 << by_size.ilog2()).min(256),
        }
    }

    /// Candidates that a target brings along, itself among them.
    pub fn candidates_per_row(&self) -> usize {
        if self.loss.against() == Against::Own { 1 + self.negatives_per_positive } else { 1 }
    }

    /// The learning rate at a step (both counted from 0).
    pub fn learning_rate(&self, epoch: usize, step: u64) -> f32 {
        let lr = self.lr * self.decay.powi(epoch as i32);
        if self.step_at > 0 && step >= self.step_at { lr * self.step_factor } else { lr }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_survives_toml() {
        let config = Config::default();
        let text = toml::to_string(&config).unwrap();
        assert_eq!(Config::from_toml(&text).unwrap(), config);
        assert_eq!(Config::from_toml("").unwrap(), config);
        let mut other = config.clone();
        other.model.categories = false;
        other.model.ff_width = 7;
        other.train.lr = 0.05;
        other.data.k_core_users = 5;
        assert_eq!(Config::from_toml(&toml::to_string(&other).unwrap()).unwrap(), other);
    }

    #[test]
    fn inner_widths_follow_d_unless_given() {
        let model = |text: &str| Config::from_toml(text).unwrap().model;
        let got = model("[model]\nd = 64\nhead_ff_width = 5");
        assert_eq!((got.d, got.ff_width, got.head_ff_width, got.categories), (64, 16, 5, true));
        assert!(!model("[model]\ncategories = false").categories);
    }

    #[cfg(unix)]
    #[test]
    fn a_path_that_is_no_text_does_not_stand_in_the_way_of_other_settings() {
        use std::os::unix::ffi::OsStringExt;
        let mut config = Config::default();
        config.data.meta = Some(std::ffi::OsString::from_vec(vec![0xff, b'm']).into());
        let changed = config.changed(toml::from_str("[train]\nlr = 0.5").unwrap()).unwrap();
        assert_eq!((&changed.data, changed.train.lr), (&config.data, 0.5));
    }

    #[test]
    fn large_batches_have_at_least_64_shards_and_a_power_of_two_of_them() {
        let count = |batch, shards| TrainConfig { batch, shards, ..TrainConfig::default() }.shard_count();
        let counts = [1, 32, 64, 100, 512, 1000, 1024, 3000, 4096, 1 << 20].map(|batch| count(batch, 0));
        assert_eq!(counts, [2, 2, 4, 6, 16, 16, 64, 128, 256, 256]);
        assert_eq!(count(4096, 7), 7, "who says a number has it");
    }

    #[test]
    fn unknown_keys_are_named_in_every_section() {
        for text in [
            "epochs = 3",
            "preset = \"best\"",
            "[train]\nmodel = \"gru4rec\"",
            "[train]\nepoch = 3",
            "[model]\nwidth = 3",
            "[data]\ncore = 3",
            "[eval]\nks = 3",
        ] {
            let error = Config::from_toml(text).unwrap_err().to_string();
            assert!(
                error.contains("unknown field") || error.contains("bi-lstm-attention") || error.contains("everyday"),
                "{error}"
            );
            assert!(error.contains("line "), "{error}");
        }
    }

    #[test]
    fn text_wins_over_the_preset_and_flags_choose_both() {
        let text = "[train]\nmodel = \"bpr-mf\"\nlr = 0.5\n[search]\nhops = [2]";
        let config = Config::from_toml(text).unwrap();
        assert_eq!((config.train.model, config.train.clip, config.train.lr), (Kind::BprMf, 0.0, 0.5));
        let config = Config::from_toml_over(text, Some(Preset::Paper), Some(Kind::Atrank)).unwrap();
        assert_eq!((config.train.model, config.train.clip, config.train.lr), (Kind::Atrank, 5.0, 0.5));
        assert_eq!(config.preset, Preset::Paper);
        assert_eq!(Config::from_toml(&toml::to_string(&config).unwrap()).unwrap(), config);
    }

    #[test]
    fn values_out_of_range_are_named() {
        let broken = |change: fn(&mut Config)| {
            let mut config = Config::default();
            change(&mut config);
            config.validate().unwrap_err().to_string()
        };
        assert_eq!(Config::default().validate(), Ok(()));
        assert_eq!(broken(|c| c.train.batch = 0), "train.batch is 0; it must be 1 to 1048576");
        assert_eq!(broken(|c| c.train.lr = f32::NAN), "train.lr is NaN; it must be finite and greater than 0");
        assert_eq!(broken(|c| c.train.dropout = 1.0), "train.dropout is 1; it must be at least 0 and below 1");
        assert_eq!(broken(|c| c.eval.k = [5, 0].into()), "eval.k is [0, 5]; it must be at least 1");
        assert_eq!(broken(|c| c.train.seed = u64::MAX), "train.seed is 18446744073709551615; it must be below 2^63");
        assert_eq!(broken(|c| c.model.hops = 0), "model.hops is 0; it must be at least 1");
    }

    #[test]
    fn how_an_age_counts_is_settled_by_the_log_where_nobody_says() {
        let settled = |times: [i64; 3], given: TimeKind| {
            let dataset = Dataset::from_parts(vec![0, 3], vec![0, 1, 2], times.to_vec(), vec![], 3, 0).unwrap();
            let mut config = Config::default();
            (config.model.time, config.model.categories) = (given, false);
            let done = config.adapt(&dataset);
            (config.model.time, config.model.buckets, done)
        };
        let (dates, moments) = ([-3_600, 86_400 - 3_600, 10 * 86_400 - 3_600], [0, 5, 86_400]);
        assert_eq!(settled(dates, TimeKind::Auto), (TimeKind::Paper, 14, vec![Adaptation::Days]));
        assert_eq!(
            settled(moments, TimeKind::Auto),
            (TimeKind::AgeOrder, 56, vec![Adaptation::Moments { buckets: 56 }])
        );
        assert_eq!(settled(moments, TimeKind::Paper), (TimeKind::Paper, 14, vec![]));
    }

    #[test]
    fn a_log_without_times_and_categories_is_adapted_to() {
        let mut config = Config::default();
        let dataset = Dataset::from_histories(&[&[0, 1]], 2).unwrap();
        assert_eq!(config.adapt(&dataset), [Adaptation::NoTime, Adaptation::NoCategories]);
        assert_eq!((config.model.time, config.model.categories), (TimeKind::Order, false));
        assert_eq!(config.adapt(&dataset), []);
    }
}
