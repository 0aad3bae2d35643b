//! What a DMRAN is made of: its dimensions and the choices that the paper leaves open.

use std::error::Error;
use std::fmt;

use super::named::named_enum;

named_enum! {
    /// How the age of a history event becomes a bucket (eq 2); see [`super::time::bucket`].
    TimeKind as "time" {
        /// The paper's intervals in days: `[0,1) [1,2) [2,4) [4,8) ...`.
        Paper = 0, "paper";
        /// The intervals of ATRank's code: `[0,1) [1,3) [3,7) [7,15) ...`.
        Atrank = 1, "atrank";
        /// No time.
        None = 2, "none";
        /// The place from the end of the history instead of the age: for logs that know only an order.
        Order = 3, "order";
        /// The paper's intervals, apart for the last event, the one before it, the two before that, and all others.
        AgeOrder = 4, "age-order";
        /// Whatever suits the log that a run begins with: `order` where it has no times, `age-order` where its times tell the
        /// events of a day apart, else `paper`. A model that was made without a look at a log takes it as `paper`.
        Auto = 5, "auto";
    }
}

named_enum! {
    /// The whole model or one of the paper's ablations (its Table 2).
    Variant as "variant" {
        /// Item level and feature level attention, time, fusion gate.
        Full = 0, "full";
        /// `Full` without time in eq 1.
        NoTime = 1, "no-time";
        /// Item level attention alone: `h_c = h`.
        Item = 2, "item";
        /// Feature level attention alone, over the history itself: `h_c = hhat`.
        Feature = 3, "feature";
    }
}

named_enum! {
    /// What follows the feature level attention.
    Block as "block" {
        /// `X = LN(M + Mhat)`, then `LN(X + W_2 relu(W_1 X + b_1) + b_2)`.
        Transformer = 0, "transformer";
        /// Nothing: `Mhat` as it comes out of eq 12.
        Plain = 1, "plain";
    }
}

named_enum! {
    /// What the last event is beside its part in the hops: a choice of this program's, the paper has none.
    LastEvent as "last" {
        /// Nothing: only the hops carry it.
        None = 0, "none";
        /// A row of `M` of its own, the last one: its vector of eq 1. For variants with item level attention; the others' rows
        /// are all of the events.
        Row = 1, "row";
    }
}

named_enum! {
    /// How a candidate reads the rows of `M` and `Mhat'` (eq 14, 15).
    Head as "head" {
        /// Several heads of ReLU projections, residual, layer norm, feed forward, layer norm.
        Atrank = 0, "atrank";
        /// `softmax(c X^T / sqrt(d)) X`.
        Vanilla = 1, "vanilla";
        /// The mean of the rows: the user's vector does not depend on the candidate.
        Mean = 2, "mean";
        /// As [`Head::Mean`], and after eq 16 a linear map of all rows side by side is added: what each hop and the last event
        /// say keeps its own weights. The variant [`Variant::Feature`], whose rows are as many as events, reads as `mean` does.
        Rows = 3, "rows";
    }
}

/// The widest hidden vector that a model may have.
pub const MAX_WIDTH: usize = 1 << 14;
/// The widest inner layer of a feed forward part.
pub const MAX_FF_WIDTH: usize = 1 << 16;
/// The most hops that a model may have.
pub const MAX_HOPS: usize = 1 << 12;
/// The most layers that a model may have.
pub const MAX_LAYERS: usize = 64;
/// The longest history that a model may ask for.
pub const MAX_HISTORY: usize = 1 << 24;
/// The most time buckets: the 64th begins 2^62 days ago.
pub const MAX_BUCKETS: usize = 64;

/// Dimensions and choices of one model. Everything that the shapes of its tensors follow from, beside the numbers
/// of items and categories.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "train", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "train", serde(default, deny_unknown_fields))]
pub struct Settings {
    /// d, the width of every hidden vector.
    pub d: usize,
    /// r, the hops of the item level attention.
    pub hops: usize,
    /// How many of a user's latest events the model reads.
    pub history_cap: usize,
    /// K, the number of time buckets.
    pub buckets: usize,
    /// How an event's age becomes a bucket.
    pub time: TimeKind,
    /// The whole model or an ablation.
    pub variant: Variant,
    /// Whether the last event is a row of `M` of its own.
    pub last: LastEvent,
    /// What follows the feature level attention.
    pub block: Block,
    /// How a candidate reads the user's rows.
    pub head: Head,
    /// Heads of [`Head::Atrank`], and of the rivals that attend in heads; divides `d`.
    pub heads: usize,
    /// Blocks of the rival SASRec; no DMRAN reads it, and no model file holds it.
    pub layers: usize,
    /// Inner width of the feed forward part of [`Block::Transformer`].
    pub ff_width: usize,
    /// Inner width of the feed forward part of [`Head::Atrank`].
    pub head_ff_width: usize,
    /// Whether eq 17 adds a bias for each item.
    pub item_bias: bool,
    /// Whether an item's vector is half its own, half its category's (eq 1).
    pub categories: bool,
    /// Added to the variance in the layer norms of [`Block::Transformer`], and of SASRec.
    pub block_eps: f32,
    /// Added to the variance in the layer norms of [`Head::Atrank`].
    pub head_eps: f32,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            d: 128,
            hops: 10,
            history_cap: 100,
            buckets: 14,
            time: TimeKind::Paper,
            variant: Variant::Full,
            last: LastEvent::None,
            block: Block::Transformer,
            head: Head::Atrank,
            heads: 8,
            layers: 2,
            ff_width: 32,
            head_ff_width: 32,
            item_bias: true,
            categories: false,
            block_eps: 1e-5,
            head_eps: 1e-8,
        }
    }
}

impl Settings {
    /// Whether eq 1 reads a time bucket.
    pub fn uses_time(&self) -> bool {
        self.variant != Variant::NoTime && self.time != TimeKind::None
    }

    /// Whether a bucket depends on when an event was, and not on its place alone.
    pub fn reads_times(&self) -> bool {
        self.uses_time() && self.time != TimeKind::Order
    }

    /// Whether the model has item level attention (eq 7, 8).
    pub fn has_item_attention(&self) -> bool {
        self.variant != Variant::Feature
    }

    /// Whether `M` has a row for the last event, after those of the hops.
    pub fn has_last_row(&self) -> bool {
        self.has_item_attention() && self.last == LastEvent::Row
    }

    /// The rows of `M`: the hops, and the last event's where it has one. Without item level attention there are as many as
    /// events instead.
    pub fn rows(&self) -> usize {
        self.hops + usize::from(self.has_last_row())
    }

    /// Whether the user's vector is the same for all candidates.
    pub fn has_user_vectors(&self) -> bool {
        matches!(self.head, Head::Mean | Head::Rows)
    }

    /// Whether `W_r` maps the rows side by side into the user's vector.
    pub fn has_row_map(&self) -> bool {
        self.head == Head::Rows && self.has_item_attention()
    }

    /// Whether the model has feature level attention (eq 9 to 12).
    pub fn has_feature_attention(&self) -> bool {
        self.variant != Variant::Item
    }

    /// Whether the model has the fusion gate (eq 16).
    pub fn has_gate(&self) -> bool {
        self.has_item_attention() && self.has_feature_attention()
    }

    /// Whether the feature level attention is followed by residual, layer norm and feed forward.
    pub fn has_block(&self) -> bool {
        self.has_feature_attention() && self.block == Block::Transformer
    }

    /// Checks every rule that the settings must keep by themselves.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let sizes = [
            ("d", self.d, MAX_WIDTH),
            ("hops", self.hops, MAX_HOPS),
            ("history_cap", self.history_cap, MAX_HISTORY),
            ("buckets", self.buckets, MAX_BUCKETS),
            ("heads", self.heads, MAX_WIDTH),
            ("layers", self.layers, MAX_LAYERS),
            ("ff_width", self.ff_width, MAX_FF_WIDTH),
            ("head_ff_width", self.head_ff_width, MAX_FF_WIDTH),
        ];
        for (setting, value, limit) in sizes {
            if value == 0 {
                return Err(SettingsError::Zero { setting });
            }
            if value > limit {
                return Err(SettingsError::TooLarge { setting, value, limit });
            }
        }
        if self.head == Head::Atrank && !self.d.is_multiple_of(self.heads) {
            return Err(SettingsError::HeadsDoNotDivide { d: self.d, heads: self.heads });
        }
        if self.categories && !self.d.is_multiple_of(2) {
            return Err(SettingsError::OddWidthWithCategories { d: self.d });
        }
        for (setting, value) in [("block_eps", self.block_eps), ("head_eps", self.head_eps)] {
            if !(value.is_finite() && value > 0.0) {
                return Err(SettingsError::Epsilon { setting, value });
            }
        }
        Ok(())
    }
}

/// A rule that settings break.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum SettingsError {
    /// A size is zero.
    Zero {
        /// The setting.
        setting: &'static str,
    },
    /// A size is above its limit.
    TooLarge {
        /// The setting.
        setting: &'static str,
        /// Its value.
        value: usize,
        /// The largest value allowed.
        limit: usize,
    },
    /// The heads must share the width evenly.
    HeadsDoNotDivide {
        /// Width.
        d: usize,
        /// Number of heads.
        heads: usize,
    },
    /// With categories half of the width belongs to the item and half to the category.
    OddWidthWithCategories {
        /// Width.
        d: usize,
    },
    /// The epsilon of a layer norm must be positive and finite.
    Epsilon {
        /// The setting.
        setting: &'static str,
        /// Its value.
        value: f32,
    },
    /// A number that stands for no value of a setting (in a model file).
    Code {
        /// The setting.
        setting: &'static str,
        /// The number found.
        code: u32,
    },
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zero { setting } => write!(f, "{setting} is 0; it must be at least 1"),
            Self::TooLarge { setting, value, limit } => write!(f, "{setting} is {value}; the limit is {limit}"),
            Self::HeadsDoNotDivide { d, heads } => {
                write!(f, "d = {d} cannot be shared evenly by {heads} heads")
            }
            Self::OddWidthWithCategories { d } => {
                write!(f, "d = {d} is odd; with categories item and category take half of it each")
            }
            Self::Epsilon { setting, value } => {
                write!(f, "{setting} is {value}; it must be positive and finite")
            }
            Self::Code { setting, code } => {
                write!(f, "{setting} has the code {code}, which stands for nothing")
            }
        }
    }
}

impl Error for SettingsError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_come_back() {
        for &v in Variant::ALL {
            assert_eq!(v.to_string().parse(), Ok(v));
            assert_eq!(Variant::from_code(v.code()), Some(v));
        }
        assert_eq!(Variant::NAMES, ["full", "no-time", "item", "feature"].as_slice());
        assert_eq!(Head::NAMES, ["atrank", "vanilla", "mean", "rows"].as_slice());
        assert_eq!(Block::NAMES, ["transformer", "plain"].as_slice());
        assert_eq!(LastEvent::NAMES, ["none", "row"].as_slice());
        assert_eq!(TimeKind::NAMES, ["paper", "atrank", "none", "order", "age-order", "auto"].as_slice());
        assert_eq!(Head::from_code(4), None);
        let error = "no_time".parse::<Variant>().unwrap_err().to_string();
        assert_eq!(error, "variant = \"no_time\" does not exist; choose one of: full, no-time, item, feature");
    }

    #[cfg(feature = "train")]
    #[test]
    fn serde_names_are_the_same_names() {
        fn check<T: serde::Serialize + Copy>(all: &[T], names: &[&str]) {
            for (value, name) in all.iter().zip(names) {
                assert_eq!(serde_json::to_string(value).unwrap(), format!("\"{name}\""));
            }
        }
        check(TimeKind::ALL, TimeKind::NAMES);
        check(Variant::ALL, Variant::NAMES);
        check(Block::ALL, Block::NAMES);
        check(Head::ALL, Head::NAMES);
        check(LastEvent::ALL, LastEvent::NAMES);
    }

    #[test]
    fn each_rule_is_held() {
        assert_eq!(Settings::default().validate(), Ok(()));
        let broken = |change: fn(&mut Settings)| {
            let mut s = Settings::default();
            change(&mut s);
            s.validate().unwrap_err()
        };
        assert_eq!(broken(|s| s.hops = 0), SettingsError::Zero { setting: "hops" });
        assert_eq!(broken(|s| s.buckets = 65), SettingsError::TooLarge { setting: "buckets", value: 65, limit: 64 });
        assert_eq!(broken(|s| s.layers = 65), SettingsError::TooLarge { setting: "layers", value: 65, limit: 64 });
        assert_eq!(broken(|s| s.d = 127), SettingsError::HeadsDoNotDivide { d: 127, heads: 8 });
        let odd = |s: &mut Settings| {
            s.d = 127;
            s.head = Head::Vanilla;
            s.categories = true;
        };
        assert_eq!(broken(odd), SettingsError::OddWidthWithCategories { d: 127 });
        assert!(matches!(broken(|s| s.head_eps = f32::NAN), SettingsError::Epsilon { setting: "head_eps", .. }));
    }
}
