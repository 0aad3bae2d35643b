//! All models in one list. A model is an [`Entry`] in its own file, a variant of [`Kind`] and a line of [`ENTRIES`]: names,
//! help, presets, tables and tests follow from these.

use super::build::{BuildError, Sizes, Start};
use super::{Model, atrank, bi_lstm, bpr_mf, cnn_pooling, dmran, sasrec};
use crate::scorer::Settings;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A model that can be trained and measured. The names in TOML are [`Entry::name`]s.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// This project's model; its ablations are [`Variant`](crate::scorer::Variant)s of it.
    #[default]
    Dmran,
    /// Matrix factorisation, trained pairwise.
    BprMf,
    /// A recurrent network in both directions.
    BiLstm,
    /// The same, with attention of the candidate.
    BiLstmAttention,
    /// Convolutions over the history, maximum over time.
    CnnPooling,
    /// One block of self-attention, one of the candidate's attention.
    Atrank,
    /// Causal self-attention, every event a target. Not one of the paper's rivals: what is used most today.
    Sasrec,
    /// Every item by how often it occurs: nothing is trained.
    MostPopular,
}

/// The models in the order of [`Kind`]: DMRAN first, then as the paper's Table 2 has them, then what it does not have.
pub const ENTRIES: [&Entry; 8] = [
    &dmran::ENTRY,
    &bpr_mf::ENTRY,
    &bi_lstm::ENTRY,
    &bi_lstm::WITH_ATTENTION,
    &cnn_pooling::ENTRY,
    &atrank::ENTRY,
    &sasrec::ENTRY,
    &MOST_POPULAR,
];

/// It only counts, and is one of the [rivals](mod@crate::train::rivals) too.
const MOST_POPULAR: Entry = Entry {
    kind: Kind::MostPopular,
    name: "most-popular",
    title: "most popular",
    help: "every item by how often it occurs: nothing is trained",
    build: None,
    recipes: Recipes::NONE,
    paper: [None, None],
};

/// Makes a model of checked settings with its starting values.
pub type Build = fn(&Settings, &Sizes, Start) -> Result<Box<dyn Model>, BuildError>;

/// All that the program knows of a model beside its network.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Which one it is.
    pub kind: Kind,
    /// The name on the command line and in TOML.
    pub name: &'static str,
    /// The name in tables.
    pub title: &'static str,
    /// What it is, in a line.
    pub help: &'static str,
    /// How it is made; `None` where there is nothing to train.
    pub build: Option<Build>,
    /// Its presets.
    pub recipes: Recipes,
    /// The paper's AUC in Table 2: Electronics, Clothing.
    pub paper: [Option<f64>; 2],
}

/// What presets change of the defaults of `[model]` and `[train]`, as TOML texts of which each comes on top of the ones
/// before it. A text that changes `d` says what the inner widths of the feed forward parts are.
#[derive(Clone, Copy, Debug)]
pub struct Recipes {
    /// What the paper and the authors' code say.
    pub paper: &'static [&'static str],
    /// On top of `paper`: the best that was found for the AUC.
    pub auc: &'static [&'static str],
    /// On top of `auc`: the best that was found for the top ten.
    pub everyday: &'static [&'static str],
    /// On top of `everyday`: the best top ten that does not cost the AUC.
    pub balanced: &'static [&'static str],
}

impl Recipes {
    /// The defaults with every preset.
    pub const NONE: Recipes = Recipes { paper: &[], auc: &[], everyday: &[], balanced: &[] };
}

impl Kind {
    /// All of them, in the order of [`ENTRIES`].
    pub const ALL: [Kind; ENTRIES.len()] = {
        let mut all = [Kind::Dmran; ENTRIES.len()];
        let mut at = 0;
        while at < ENTRIES.len() {
            all[at] = ENTRIES[at].kind;
            at += 1;
        }
        all
    };

    /// Those that have something to learn.
    pub fn trained() -> impl Iterator<Item = Kind> {
        Kind::ALL.into_iter().filter(|kind| kind.is_trained())
    }

    /// All that is known of it.
    pub const fn entry(self) -> &'static Entry {
        ENTRIES[self as usize]
    }

    /// The name on the command line and in TOML.
    pub const fn name(self) -> &'static str {
        self.entry().name
    }

    /// The name in tables.
    pub const fn title(self) -> &'static str {
        self.entry().title
    }

    /// Whether there are weights to learn.
    pub const fn is_trained(self) -> bool {
        self.entry().build.is_some()
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_entry_and_its_name_in_toml() {
        for (at, kind) in Kind::ALL.into_iter().enumerate() {
            assert_eq!((kind as usize, kind.entry().kind), (at, kind));
            assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
            assert!(!kind.entry().help.is_empty() && !kind.title().is_empty());
        }
    }
}
