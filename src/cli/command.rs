//! The command as it was typed, for the model's card and for reports.

use dmran::train::session::command::quoted;
use std::ffi::OsString;

/// Flags that cannot change the model, with the number of values that follow them.
const OUTSIDE: [(&str, usize); 12] = [
    ("--jobs", 1),
    ("--report", 1),
    ("--out", 1),
    ("-o", 1),
    ("--threads", 1),
    ("--quiet", 0),
    ("-q", 0),
    ("--run", 1),
    ("--allow", 1),
    ("--keep-checkpoints", 1),
    ("--checkpoint-minutes", 1),
    ("--max-memory", 1),
];

/// The command of this process.
pub fn typed() -> String {
    command(std::env::args_os().skip(1))
}

/// The command as it was typed, without the flags that cannot change the model.
fn command(args: impl Iterator<Item = OsString>) -> String {
    let mut out = String::from("dmran");
    let mut skip = 0;
    for arg in args {
        if skip > 0 {
            skip -= 1;
            continue;
        }
        let arg = arg.to_string_lossy();
        let (flag, joined) = arg.split_once('=').map_or((&*arg, false), |(flag, _)| (flag, true));
        if let Some((_, values)) = OUTSIDE.iter().find(|(name, _)| *name == flag) {
            skip = if joined { 0 } else { *values };
            continue;
        }
        out.push(' ');
        out += &quoted(&arg);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Cli, Command};
    use clap::Parser;
    use dmran::data::{self, Opened};
    use dmran::model::Kind;
    use dmran::train::session::command::words;
    use dmran::train::{Config, Preset};

    #[test]
    fn the_command_is_what_makes_the_model() {
        let line = |text: &[&str]| command(text.iter().map(OsString::from));
        assert_eq!(
            line(&["train", "--out", "x", "a.csv", "--threads=3", "-q", "--d", "16"]),
            "dmran train a.csv --d 16"
        );
        assert_eq!(line(&["train", "--delimiter", ";", "it's"]), "dmran train --delimiter ';' 'it'\\''s'");
    }

    /// Every setting in another value than its default.
    const OTHERS: &str = r#"
        preset = "auc"
        [data]
        format = "csv"
        delimiter = "\t"
        no_header = true
        quote = "none"
        escape = "\\"
        comment = "--"
        time_format = "%d.%m.%Y %H:%M"
        where = ["rating>=4", "event=buy"]
        time_unit = "milliseconds"
        on_error = "skip"
        duplicates = "keep-first"
        ties = "random(3)"
        k_core_users = 2
        k_core_items = 3
        max_id_bytes = 99
        meta = "it's meta.json"
        columns = { user = "1", item = "the item", time = "none", category = "c", position = "p" }
        [model]
        d = 48
        hops = 3
        history_cap = 7
        buckets = 5
        time = "order"
        variant = "item"
        last = "row"
        block = "plain"
        head = "vanilla"
        heads = 4
        layers = 3
        ff_width = 9
        head_ff_width = 8
        item_bias = true
        categories = true
        block_eps = 1e-3
        head_eps = 0.25
        [train]
        model = "sasrec"
        epochs = 3
        batch = 17
        seed = 9
        loss = "bpr"
        optimizer = "adagrad"
        lr = 0.3
        decay = 0.7
        step_at = 5
        step_factor = 0.5
        clip = 1.5
        l2 = "weights"
        l2_weight = 1e-6
        l2_rows = 1e-7
        penalty = 0.125
        negatives = "static"
        negatives_per_positive = 2
        shared_negatives = 64
        sampling_power = 0.75
        logq = false
        denominator = "unseen"
        init_std = 0.3
        dropout = 0.1
        average = 2.0
        engine = "naive"
        shards = 4
        on_nan = "halve-lr"
        early_stop_metric = "loss"
        patience = 1
        since = -86400
        [eval]
        protocol = "time"
        split_at = 0.8
        test_all = true
        k = [5, 20]
        validation_negatives = 3
        rank_users = 11
    "#;

    #[test]
    fn the_command_that_settings_stand_for_gives_them_again() {
        let opened = Opened::named(data::bundled().unwrap(), "my log");
        let parsed = |config: &Config| {
            let words = std::iter::once("dmran".to_owned()).chain(words(&opened, None, config));
            match Cli::parse_from(words).command {
                Command::Train(args) => args.settings(None).unwrap(),
                _ => panic!("another command"),
            }
        };
        let others = Config::from_toml(OTHERS).unwrap();
        let table = |config: &Config| toml::Table::try_from(config).unwrap();
        let (ours, theirs) = (table(&Config::of(Preset::Auc, Kind::Sasrec)), table(&others));
        for section in ["data", "model", "train", "eval"] {
            for (key, value) in ours[section].as_table().unwrap() {
                // Items vanish only from a model that --from names.
                let free = ["threads", "vanished"].contains(&&**key) || (section, &**key) == ("train", "model");
                assert!(free || theirs[section][key] != *value, "{section}.{key} has no other value in this test");
            }
        }
        assert_eq!(parsed(&others), others);
        for kind in Kind::ALL {
            for preset in Preset::ALL {
                let config = Config::of(preset, kind);
                assert_eq!(parsed(&config), config);
                assert!(words(&opened, None, &config).len() <= 6, "only the preset and the model are named");
            }
        }
    }
}
