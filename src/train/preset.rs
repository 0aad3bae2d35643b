//! Named recipes: the settings that a run starts from, made of what each model's entry says. A TOML file and flags win over
//! them.

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
    /// Everyday in large batches, for many cores on one machine or several.
    LargeBatch,
    /// For DMRAN, nearly everyday's top ten with the best AUC that was found; for other models, everyday.
    Balanced,
}

/// The batch of [`Preset::LargeBatch`].
const LARGE_BATCH: f64 = 1024.0;

impl Preset {
    /// All of them, each on top of the ones before it; what is special to large batches is not layered.
    pub const ALL: [Preset; 5] = [Preset::Paper, Preset::Auc, Preset::Everyday, Preset::LargeBatch, Preset::Balanced];

    /// The name on the command line and in TOML.
    pub const fn name(self) -> &'static str {
        match self {
            Preset::Paper => "paper",
            Preset::Auc => "auc",
            Preset::Everyday => "everyday",
            Preset::LargeBatch => "large-batch",
            Preset::Balanced => "balanced",
        }
    }

    /// What it changes of a model's settings, as TOML texts.
    fn texts(self, model: Kind) -> &'static [&'static str] {
        let recipes = &model.entry().recipes;
        match self {
            Preset::Paper => recipes.paper,
            Preset::Auc => recipes.auc,
            Preset::Everyday => recipes.everyday,
            Preset::LargeBatch => &[],
            Preset::Balanced => recipes.balanced,
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

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
    for text in Preset::ALL[..=upto].iter().flat_map(|layer| layer.texts(model)) {
        merge(&mut table, toml::from_str(text).expect("a recipe is TOML"));
    }
    if preset == Preset::LargeBatch {
        enlarge(&mut table);
    }
    table
}

/// Makes the batches of a model's settings large; the learning rate grows with the square root, as the noise of a batch's
/// gradient shrinks.
fn enlarge(table: &mut toml::Table) {
    let Some(train) = table.get_mut("train").and_then(toml::Value::as_table_mut) else { return };
    let number = |key: &str| match train.get(key) {
        Some(toml::Value::Integer(whole)) => *whole as f64,
        Some(toml::Value::Float(number)) => *number,
        _ => 0.0,
    };
    let times = LARGE_BATCH / number("batch").max(1.0);
    if times > 1.0 {
        let lr = number("lr") as f32 * times.sqrt() as f32;
        train.insert("batch".into(), toml::Value::Integer(LARGE_BATCH as i64));
        train.insert("lr".into(), toml::Value::Float(lr.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scorer::Head;
    use crate::train::config::OptimizerKind;
    use crate::train::losses::Loss;

    #[test]
    fn every_recipe_is_valid_and_changes_only_model_and_training() {
        for kind in Kind::ALL {
            for preset in Preset::ALL {
                for text in preset.texts(kind) {
                    let table: toml::Table = toml::from_str(text).unwrap();
                    assert!(table.keys().all(|key| ["model", "train"].contains(&&**key)), "{preset} {kind}");
                }
                let config = Config::of(preset, kind);
                assert_eq!(config.validate(), Ok(()), "{preset} {kind}");
                assert_eq!((config.preset, config.train.model), (preset, kind));
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
        assert_eq!((lstm.lr, lstm.dropout, lstm.init_std, lstm.loss), (0.003, 0.4, 0.0, Loss::Softmax));
        let lstm = Config::of(Preset::Auc, Kind::BiLstm).train;
        assert_eq!((lstm.lr, lstm.dropout, lstm.init_std, lstm.decay), (0.0015, 0.3, 0.0, 1.0));
        assert_eq!((atrank.optimizer, atrank.dropout, atrank.batch), (OptimizerKind::Adam, 0.0, 64));
        let sasrec = Config::of(Preset::Everyday, Kind::Sasrec);
        assert_eq!((sasrec.model.d, sasrec.model.heads, sasrec.model.categories), (128, 2, false));
        assert_eq!((sasrec.train.loss, sasrec.train.decay, sasrec.train.patience), (Loss::Softmax, 1.0, 10));
        assert_eq!((dmran.loss, dmran.penalty, dmran.dropout, dmran.clip), (Loss::Softmax, 0.0, 0.4, 0.0));
        let balanced = Config::of(Preset::Balanced, Kind::Dmran);
        assert_eq!((balanced.train.l2_weight, balanced.train.average, balanced.train.batch), (3e-5, 2.0, 256));
        assert_eq!((balanced.model.head, balanced.train.loss), (Head::Rows, Loss::Softmax));
        assert_eq!(Config::of(Preset::Balanced, Kind::Sasrec).train, sasrec.train);
        let auc = Config::of(Preset::Auc, Kind::Dmran).train;
        assert_eq!((auc.loss, auc.dropout, auc.decay, auc.init_std, auc.batch), (Loss::Bce, 0.2, 0.9, 0.01, 64));
    }

    #[test]
    fn large_batches_have_the_learning_rate_to_go_with_them() {
        for kind in Kind::trained() {
            let [small, large] = [Preset::Everyday, Preset::LargeBatch].map(|preset| Config::of(preset, kind).train);
            assert_eq!((large.batch, large.shard_count()), (1024, 64), "{kind}");
            let times = f64::from(large.lr) / f64::from(small.lr);
            assert!((times * times * small.batch as f64 - 1024.0).abs() < 0.1, "{kind}: {times} times");
            let back = crate::train::config::TrainConfig { batch: small.batch, lr: small.lr, ..large };
            assert_eq!(back, small, "{kind}: nothing else changes");
        }
    }

    #[test]
    fn tables_merge_key_by_key() {
        let mut onto: toml::Table = toml::from_str("a = 1\n[b]\nc = 2\nd = [1, 2]").unwrap();
        merge(&mut onto, toml::from_str("e = 5\n[b]\nd = [3]").unwrap());
        assert_eq!(onto, toml::from_str("a = 1\ne = 5\n[b]\nc = 2\nd = [3]").unwrap());
    }
}
