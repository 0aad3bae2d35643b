//! Named recipes: the settings that a run starts from, for each model, in one table. A TOML file and flags win over them.

use super::config::Config;
use crate::model::Kind;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A named set of settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Preset {
    /// What the paper and ATRank's code say; where they are silent, this project's choice.
    Paper,
    /// The best that was found for the AUC against sampled negatives: the paper's loss with the changes that paid on
    /// validation.
    Auc,
    /// The best top ten that was found: for DMRAN the softmax over all items.
    #[default]
    Everyday,
}

impl Preset {
    /// All of them, each on top of the ones before it.
    pub const ALL: [Preset; 3] = [Preset::Paper, Preset::Auc, Preset::Everyday];

    /// The name on the command line and in TOML.
    pub const fn name(self) -> &'static str {
        match self {
            Preset::Paper => "paper",
            Preset::Auc => "auc",
            Preset::Everyday => "everyday",
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// ATRank's code: SGD with lr 1.0, a tenth of it from step 336,000 on, tables uniform after Glorot (`init_std = 0`).
/// Batch 32, clip 5, cross-entropy and l2 of activations are the defaults of `[train]`.
const ATRANK_CODE: &str = "[train]
decay = 1.0
step_at = 336000
step_factor = 0.1
init_std = 0.0
epochs = 10
";

/// On top of ATRank's code: BPR's loss, gradients are not clipped. It learns slowly, and quickly by the clock.
const BPR: &str = "[train]\nloss = 'bpr'\nclip = 0.0\nepochs = 30";

/// What paid for every model on Beauty's validation set: Adam in place of SGD (as good in 4 epochs as SGD in
/// 9), a fifth of the l2 term (its sum over the batch weighs twice as much at batch 64). docs/experiments.md has the
/// trials.
const ADAM: &str = "[train]
optimizer = 'adam'
lr = 0.0015
batch = 64
step_at = 0
l2_weight = 1e-5
epochs = 5
";

/// DMRAN and the LSTMs gain from dropout; DMRAN's hops do as well without the redundancy penalty.
const DROPOUT: &str = "[train]\ndropout = 0.3";
const DMRAN: &str = "[train]\ndropout = 0.2\npenalty = 0.0";

/// Pairs of ids alone overfit at once: a stronger l2 term, and time.
const BPR_EVERYDAY: &str = "[train]\nlr = 0.001\nl2_weight = 1e-3\nepochs = 30";

/// SASRec's paper and its authors' code: no l2 term, no bias, no categories, one head; the values for its sparse logs.
const SASREC: &str = "[model]
d = 50
heads = 1
ff_width = 12
head_ff_width = 12
history_cap = 50
item_bias = false
categories = false
[train]
loss = 'bce'
optimizer = 'adam'
lr = 0.001
decay = 1.0
batch = 128
clip = 0.0
l2_weight = 0.0
init_std = 0.0
dropout = 0.5
epochs = 200
early_stop_metric = 'ndcg'
patience = 20
";

/// What others found to matter most for it: the softmax over all items, and width.
const SASREC_EVERYDAY: &str = "[model]
d = 128
heads = 2
ff_width = 32
head_ff_width = 32
history_cap = 100
item_bias = true
[train]
loss = 'softmax'
batch = 64
epochs = 100
patience = 10
";

/// Eq 18 and 19 as they are written, with user vectors that do not depend on the candidate: the top ten of the full softmax
/// is twice as good as that of one negative. docs/experiments.md has the trials.
const DMRAN_EVERYDAY: &str = "[model]
head = 'mean'
[train]
loss = 'softmax'
lr = 0.0015
decay = 0.75
batch = 256
clip = 0.0
l2_weight = 0.0
init_std = 0.02
dropout = 0.3
epochs = 10
early_stop_metric = 'ndcg'
patience = 2
";

/// Changes to the defaults of `[model]` and `[train]`, by preset and model. Each comes on top of the ones before it.
/// A recipe that changes d says what the inner widths of the feed forward parts are.
const RECIPES: &[(Preset, Kind, &[&str])] = &[
    // The paper names no schedule for DMRAN: lr 1.0 falling by a tenth an epoch is ours, as are the defaults of
    // `[train]` that ATRank's code does not settle (penalty 1e-3, tables normal with 0.01, negatives drawn anew).
    (Preset::Paper, Kind::Dmran, &["[train]\nepochs = 10"]),
    (Preset::Paper, Kind::BprMf, &[ATRANK_CODE, BPR]),
    (Preset::Paper, Kind::BiLstm, &[ATRANK_CODE]),
    (Preset::Paper, Kind::BiLstmAttention, &[ATRANK_CODE]),
    (Preset::Paper, Kind::CnnPooling, &[ATRANK_CODE]),
    (Preset::Paper, Kind::Atrank, &[ATRANK_CODE]),
    (Preset::Paper, Kind::Sasrec, &[SASREC]),
    // Found with `dmran search`.
    (Preset::Auc, Kind::Dmran, &[ADAM, DMRAN]),
    (Preset::Auc, Kind::BprMf, &[ADAM, BPR_EVERYDAY]),
    (Preset::Auc, Kind::BiLstm, &[ADAM, DROPOUT]),
    (Preset::Auc, Kind::BiLstmAttention, &[ADAM, DROPOUT]),
    (Preset::Auc, Kind::CnnPooling, &[ADAM]),
    (Preset::Auc, Kind::Atrank, &[ADAM]),
    (Preset::Auc, Kind::Sasrec, &[]),
    // What a softmax gains for the paper's baselines has not been searched.
    (Preset::Everyday, Kind::Dmran, &[DMRAN_EVERYDAY]),
    (Preset::Everyday, Kind::BprMf, &[]),
    (Preset::Everyday, Kind::BiLstm, &[]),
    (Preset::Everyday, Kind::BiLstmAttention, &[]),
    (Preset::Everyday, Kind::CnnPooling, &[]),
    (Preset::Everyday, Kind::Atrank, &[]),
    (Preset::Everyday, Kind::Sasrec, &[SASREC_EVERYDAY]),
];

/// Settings as a TOML table.
pub(super) fn table_of(config: &Config) -> toml::Table {
    toml::Table::try_from(config).expect("settings are tables of plain values")
}

/// Puts `changes` over `onto`: tables key by key, every other value as a whole.
pub fn merge(onto: &mut toml::Table, changes: toml::Table) {
    for (key, change) in changes {
        match (onto.get_mut(&key), change) {
            (Some(toml::Value::Table(old)), toml::Value::Table(change)) => merge(old, change),
            (_, change) => {
                onto.insert(key, change);
            }
        }
    }
}

/// The settings that `preset` has for `model`, as a table.
pub(super) fn recipe(preset: Preset, model: Kind) -> toml::Table {
    let mut table = table_of(&Config::plain(preset, model));
    let upto = Preset::ALL.iter().position(|p| *p == preset).unwrap_or(0);
    for layer in &Preset::ALL[..=upto] {
        let of_model = RECIPES.iter().filter(|(p, kind, _)| (p, *kind) == (layer, model));
        for text in of_model.flat_map(|(_, _, texts)| *texts) {
            merge(&mut table, toml::from_str(text).expect("a recipe is TOML"));
        }
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::config::OptimizerKind;
    use crate::train::losses::Loss;

    #[test]
    fn every_recipe_is_valid_and_changes_only_model_and_training() {
        for (preset, kind, texts) in RECIPES {
            for text in *texts {
                let table: toml::Table = toml::from_str(text).unwrap();
                assert!(table.keys().all(|key| ["model", "train"].contains(&&**key)), "{preset} {kind}");
            }
            let config = Config::of(*preset, *kind);
            assert_eq!(config.validate(), Ok(()), "{preset} {kind}");
            assert_eq!((config.preset, config.train.model), (*preset, *kind));
        }
        for kind in Kind::ALL.into_iter().filter(|kind| kind.is_trained()) {
            for preset in Preset::ALL {
                assert_eq!(RECIPES.iter().filter(|(p, k, _)| (*p, *k) == (preset, kind)).count(), 1);
            }
        }
    }

    #[test]
    fn the_paper_s_recipes() {
        let train = |kind| Config::of(Preset::Paper, kind).train;
        let (bpr, lstm, dmran) = (train(Kind::BprMf), train(Kind::BiLstm), train(Kind::Dmran));
        assert_eq!((bpr.clip, lstm.clip, dmran.clip), (0.0, 5.0, 5.0));
        assert_eq!((bpr.lr, lstm.lr, lstm.decay, lstm.step_at), (1.0, 1.0, 1.0, 336_000));
        assert_eq!((lstm.l2_weight, lstm.batch, lstm.init_std), (5e-5, 32, 0.0));
        assert_eq!((dmran.decay, dmran.init_std), (0.9, 0.01));
        let sasrec = Config::of(Preset::Paper, Kind::Sasrec);
        assert_eq!((sasrec.model.d, sasrec.model.heads, sasrec.model.layers), (50, 1, 2));
        assert_eq!((sasrec.train.lr, sasrec.train.dropout, sasrec.train.batch), (0.001, 0.5, 128));
    }

    #[test]
    fn everyday_s_recipes_come_on_top_of_the_paper_s() {
        let train = |kind| Config::of(Preset::Everyday, kind).train;
        let (bpr, lstm, atrank, dmran) =
            (train(Kind::BprMf), train(Kind::BiLstm), train(Kind::Atrank), train(Kind::Dmran));
        assert_eq!((bpr.l2_weight, bpr.epochs, bpr.clip), (1e-3, 30, 0.0));
        assert_eq!((lstm.lr, lstm.dropout, lstm.init_std, lstm.decay), (0.0015, 0.3, 0.0, 1.0));
        assert_eq!((atrank.optimizer, atrank.dropout, atrank.batch), (OptimizerKind::Adam, 0.0, 64));
        let sasrec = Config::of(Preset::Everyday, Kind::Sasrec);
        assert_eq!((sasrec.model.d, sasrec.model.heads, sasrec.model.categories), (128, 2, false));
        assert_eq!((sasrec.train.loss, sasrec.train.decay, sasrec.train.patience), (Loss::Softmax, 1.0, 10));
        assert_eq!((dmran.loss, dmran.penalty, dmran.dropout, dmran.clip), (Loss::Softmax, 0.0, 0.3, 0.0));
        let auc = Config::of(Preset::Auc, Kind::Dmran).train;
        assert_eq!((auc.loss, auc.dropout, auc.decay, auc.init_std, auc.batch), (Loss::Bce, 0.2, 0.9, 0.01, 64));
    }

    #[test]
    fn tables_merge_key_by_key() {
        let mut onto: toml::Table = toml::from_str("a = 1\n[b]\nc = 2\nd = [1, 2]").unwrap();
        merge(&mut onto, toml::from_str("e = 5\n[b]\nd = [3]").unwrap());
        assert_eq!(onto, toml::from_str("a = 1\ne = 5\n[b]\nc = 2\nd = [3]").unwrap());
    }
}
