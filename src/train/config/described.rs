//! Every setting of `[model]`, `[train]` and `[eval]`, described once: its name, what it takes, its range, what it does. Flags,
//! their help, the comments of `--print-config`, the checks of ranges and docs/settings.md follow from this list.

use super::{ConfigError, Denominator, L2Kind, NegativesKind, OnNan, OptimizerKind, StopMetric, Vanished};
use crate::autograd::tape::Engine;
use crate::data::Protocol;
use crate::model::Kind;
use crate::spec::{Block, Head, LastEvent, TimeKind, Variant};
use crate::train::losses::Loss;
use serde::Deserialize;
use serde::de::value::Error;
use serde::de::{self, Visitor};
use std::fmt;
use toml::Value;

/// A setting.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its section in TOML.
    pub section: &'static str,
    /// Its key there; with dashes, its flag.
    pub key: &'static str,
    /// Where its flag stands in help.
    pub group: Group,
    /// What values it takes.
    pub takes: Takes,
    /// What it does, in a line.
    pub help: &'static str,
}

/// Settings that stand together in help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// Dimensions and choices of the model.
    Model,
    /// The training itself.
    Training,
    /// Where and how to compute.
    Computing,
    /// How the log is split.
    Splitting,
    /// How results are measured.
    Measuring,
    /// No flag of its own name.
    Apart,
}

/// What a setting takes.
#[derive(Clone, Copy, Debug)]
pub enum Takes {
    /// A whole number within these bounds.
    Whole(usize, usize),
    /// A number.
    Number(Rule),
    /// true or false.
    Switch,
    /// true where its flag is given.
    Flag,
    /// One of some names.
    Name(fn() -> &'static [&'static str]),
    /// Whole numbers, at least one.
    Wholes,
    /// A share of the events, a date, or seconds since 1970.
    Moment,
    /// Whatever else; checked elsewhere.
    Other,
}

/// What a number must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Finite and greater than 0.
    Positive,
    /// Finite and at least 0.
    NotNegative,
    /// At least 0, below 1.
    BelowOne,
}

impl Setting {
    /// What it does and, where it takes one of some names, which.
    pub fn describe(&self) -> String {
        match self.takes {
            Takes::Name(names) => format!("{}: {}", self.help, names().join(", ")),
            _ => self.help.to_owned(),
        }
    }

    /// What is wrong with a value, if anything is: the range that it should be in.
    fn range_missed(&self, value: &Value) -> Option<String> {
        match (self.takes, value) {
            (Takes::Whole(least, most), Value::Integer(found)) => {
                let within = usize::try_from(*found).is_ok_and(|found| (least..=most).contains(&found));
                (!within).then(|| range(least, most))
            }
            (Takes::Number(rule), Value::Float(found)) => (!rule.holds(*found)).then(|| rule.to_string()),
            (Takes::Wholes, Value::Integer(found)) => (*found < 1).then(|| range(1, usize::MAX)),
            (Takes::Wholes, Value::Array(all)) => {
                all.iter().min_by_key(|x| x.as_integer()).and_then(|least| self.range_missed(least))
            }
            _ => None,
        }
    }
}

/// The bounds of a whole number in words.
pub(super) fn range(least: usize, most: usize) -> String {
    if most == usize::MAX { format!("at least {least}") } else { format!("{least} to {most}") }
}

/// A value in words: a number of TOML is wider than the setting, and shows digits that nobody wrote.
pub(super) fn shown(value: &Value) -> String {
    value.as_float().map_or_else(|| value.to_string(), |x| (x as f32).to_string())
}

/// Checks the values of a section against their ranges.
///
/// # Errors
/// The first that is out of its own.
pub(super) fn check(section: &'static str, values: &toml::Table) -> Result<(), ConfigError> {
    for setting in SETTINGS.iter().filter(|setting| setting.section == section) {
        let Some(value) = values.get(setting.key) else { continue };
        if let Some(range) = setting.range_missed(value) {
            let key = format!("{section}.{}", setting.key);
            return Err(ConfigError::Range { key, value: shown(value), range });
        }
    }
    Ok(())
}

impl Rule {
    /// Whether it holds.
    pub fn holds(self, x: f64) -> bool {
        x.is_finite()
            && match self {
                Rule::Positive => x > 0.0,
                Rule::NotNegative => x >= 0.0,
                Rule::BelowOne => (0.0..1.0).contains(&x),
            }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Rule::Positive => "finite and greater than 0",
            Rule::NotNegative => "finite and not negative",
            Rule::BelowOne => "at least 0 and below 1",
        })
    }
}

const fn of(section: &'static str, group: Group, key: &'static str, takes: Takes, help: &'static str) -> Setting {
    Setting { section, key, group, takes, help }
}

const fn model(key: &'static str, takes: Takes, help: &'static str) -> Setting {
    of("model", Group::Model, key, takes, help)
}

const fn train(key: &'static str, takes: Takes, help: &'static str) -> Setting {
    of("train", Group::Training, key, takes, help)
}

const fn computing(key: &'static str, takes: Takes, help: &'static str) -> Setting {
    of("train", Group::Computing, key, takes, help)
}

/// A number of which the model's own checks know the bounds: they depend on other settings.
const ANY: Takes = Takes::Whole(0, usize::MAX);
const POSITIVE: Takes = Takes::Number(Rule::Positive);
const NOT_NEGATIVE: Takes = Takes::Number(Rule::NotNegative);

/// All of them, in the order of help.
pub const SETTINGS: &[Setting] = &[
    model("d", ANY, "width of every hidden vector"),
    model("hops", ANY, "hops of the item level attention (the paper's r)"),
    model("history_cap", ANY, "how many of a user's latest events the model reads"),
    model("buckets", ANY, "number of time buckets"),
    model(
        "time",
        Takes::Name(names_of::<TimeKind>),
        "how an event's age becomes a bucket: as the paper or ATRank does; order (its place from the end), age-order (both), none, or \
         auto (order where the log has no times, age-order where they tell the events of a day apart, else paper)",
    ),
    model("variant", Takes::Name(names_of::<Variant>), "which parts the model has"),
    model(
        "last",
        Takes::Name(names_of::<LastEvent>),
        "what the last event is beside its part in the hops: none, or a row of its own that the features and the candidate see",
    ),
    model("block", Takes::Name(names_of::<Block>), "what follows the feature level attention"),
    model("head", Takes::Name(names_of::<Head>), "how a candidate reads the user"),
    model("heads", ANY, "heads of the head atrank, and of the models atrank and sasrec; divides d"),
    model("layers", ANY, "blocks of the model sasrec"),
    model("ff_width", ANY, "inner width of the block's feed forward part; left out: d / 4"),
    model("head_ff_width", ANY, "inner width of the head's feed forward part; left out: d / 4"),
    model("item_bias", Takes::Switch, "whether each item has a bias"),
    model(
        "categories",
        Takes::Switch,
        "whether half of an item's vector is its category's, where the log has categories",
    ),
    model("block_eps", POSITIVE, "epsilon of the block's layer norms, and of sasrec's"),
    model("head_eps", POSITIVE, "epsilon of the head's layer norms"),
    of("train", Group::Apart, "model", Takes::Name(names_of::<Kind>), "what is trained"),
    train("epochs", Takes::Whole(1, 1_000_000), "passes over the training samples"),
    train("batch", Takes::Whole(1, 1 << 20), "samples a step"),
    train("seed", ANY, "seed of everything random"),
    train(
        "loss",
        Takes::Name(names_of::<Loss>),
        "what a target is compared with, and how: bce (eq 20, 21), bpr, softmax (eq 18, 19: over all items) or sampled-softmax \
         (over items drawn for a batch)",
    ),
    train("optimizer", Takes::Name(names_of::<OptimizerKind>), "how gradients become steps"),
    train("lr", POSITIVE, "learning rate of the first epoch"),
    train("decay", POSITIVE, "the learning rate is multiplied by this after each epoch"),
    train("step_at", ANY, "from this step on the learning rate is multiplied by step_factor; 0 = never"),
    train("step_factor", POSITIVE, "what the learning rate is multiplied by from step_at on"),
    train("clip", NOT_NEGATIVE, "largest global norm of a gradient; 0 = no limit"),
    train("l2", Takes::Name(names_of::<L2Kind>), "what the l2 term counts"),
    train("l2_weight", NOT_NEGATIVE, "weight of the l2 term"),
    train("l2_rows", NOT_NEGATIVE, "weight of the looked-up rows' l2 term where l2 is weights"),
    train("penalty", NOT_NEGATIVE, "weight of the redundancy penalty (the paper's lambda 3)"),
    train("negatives", Takes::Name(names_of::<NegativesKind>), "when negatives are drawn: anew in each epoch, or once"),
    train("negatives_per_positive", Takes::Whole(1, 1000), "negatives for each positive (bce, bpr)"),
    train(
        "shared_negatives",
        Takes::Whole(1, 1 << 20),
        "items that a batch's samples are compared with (sampled-softmax; a shard's where the user vector depends on the candidate \
         or every event is a target)",
    ),
    train(
        "sampling_power",
        NOT_NEGATIVE,
        "shared items are drawn in proportion to this power of their training events plus one; 0 = uniformly",
    ),
    train("logq", Takes::Switch, "correct shared items' scores for how often they are drawn"),
    train(
        "denominator",
        Takes::Name(names_of::<Denominator>),
        "items that the softmax losses compare with: all, or those that the user did not have before",
    ),
    train("init_std", NOT_NEGATIVE, "standard deviation of the tables' starting values; 0 = the model's own start"),
    train("dropout", Takes::Number(Rule::BelowOne), "share of the entries of history vectors that training drops"),
    train(
        "average",
        NOT_NEGATIVE,
        "epochs over which the weights are averaged, exponentially, for the model that is measured and kept; 0 = the last weights",
    ),
    train(
        "shards",
        Takes::Whole(0, 4096),
        "parts of a batch that are computed side by side and summed by a fixed tree of pairs: the work is shared by at most so \
         many threads, on one machine or several; changes the last bits of results; 0 = by batch size: a sixteenth of it, 2 to \
         16, and from a batch of 1,024 on 64 to 256",
    ),
    train(
        "on_nan",
        Takes::Name(names_of::<OnNan>),
        "a loss or gradient that is not finite: stop, or take the epoch again with half the learning rate",
    ),
    train(
        "early_stop_metric",
        Takes::Name(names_of::<StopMetric>),
        "what the best epoch is picked by, on the validation set: ndcg or hr (at 10, a full ranking), auc or loss",
    ),
    train(
        "patience",
        Takes::Whole(0, 1_000_000),
        "end after this many epochs in a row without a better one; 0 = never",
    ),
    train(
        "vanished",
        Takes::Name(names_of::<Vanished>),
        "items of the model that --from names which the newer log does not have: keep them, or drop them",
    ),
    computing("engine", Takes::Name(names_of::<Engine>), "SIMD kernels, or the reference, which is slow"),
    computing(
        "threads",
        Takes::Whole(0, 1024),
        "threads; 0 = one a core, or RAYON_NUM_THREADS. Results do not depend on it",
    ),
    of("train", Group::Apart, "from", Takes::Other, "fingerprint of the model that --from named"),
    of("train", Group::Apart, "since", Takes::Other, "only later events are learned to predict"),
    of(
        "eval",
        Group::Splitting,
        "protocol",
        Takes::Name(names_of::<Protocol>),
        "how events are split: honest (pick the epoch on each user's second to last event, test on the last; what others did later is learned \
         from), time (learn from what is before one moment for everybody, test on what comes after), paper (pick the epoch \
         on the test set) or none (learn from every event and measure nothing: for the model that goes into use)",
    ),
    of(
        "eval",
        Group::Splitting,
        "split_at",
        Takes::Moment,
        "the moment of the protocol time: the share of events before it, a date, or seconds since 1970",
    ),
    of(
        "eval",
        Group::Splitting,
        "test_all",
        Takes::Flag,
        "test on all events after the moment of the protocol time one by one, not on each user's first alone",
    ),
    of("eval", Group::Measuring, "k", Takes::Wholes, "the k of HR@k and its like; one or several"),
    of(
        "eval",
        Group::Measuring,
        "validation_negatives",
        Takes::Whole(1, 10_000),
        "negatives a user of the validation AUC (protocol honest)",
    ),
    of("eval", Group::Measuring, "rank_users", ANY, "users of the full ranking, drawn by the seed; 0 = all"),
];

/// The names that an enum has in TOML.
///
/// # Panics
/// If `T` is no plain enum.
pub fn names_of<T: for<'de> Deserialize<'de>>() -> &'static [&'static str] {
    let mut found = None;
    // The answer is an error; what was asked is the point.
    let _ = T::deserialize(Asked(&mut found));
    found.expect("an enum says which variants it has")
}

/// Notes which variants are asked for.
struct Asked<'a>(&'a mut Option<&'static [&'static str]>);

impl<'de> de::Deserializer<'de> for Asked<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(de::Error::custom("no enum"))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        variants: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        *self.0 = Some(variants);
        Err(de::Error::custom("only asked"))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct newtype_struct seq
        tuple tuple_struct map struct identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::Config;
    use crate::train::preset::table_of;

    #[test]
    fn every_setting_is_described_once_and_nothing_else_is() {
        let mut config = Config::default();
        config.train.from = "0123".into();
        config.train.since = Some(1);
        config.eval.split_at = "0.5".parse().unwrap();
        config.eval.test_all = true;
        let table = table_of(&config);
        let mut described: Vec<String> = SETTINGS.iter().map(|s| format!("{}.{}", s.section, s.key)).collect();
        let mut there: Vec<String> = ["model", "train", "eval"]
            .iter()
            .flat_map(|section| table[*section].as_table().unwrap().keys().map(move |key| format!("{section}.{key}")))
            .collect();
        described.sort();
        there.sort();
        assert_eq!(described, there);
    }

    #[test]
    fn names_are_asked_of_the_enums_themselves() {
        assert_eq!(names_of::<OnNan>(), ["stop", "halve-lr"]);
        assert_eq!(names_of::<Kind>(), Kind::ALL.map(Kind::name));
        assert_eq!(names_of::<Head>(), Head::NAMES);
    }
}
