//! `--print-config`: all settings in force as TOML, each with a word on what it is.

use dmran::train::Config;
use dmran::train::config::described::{SETTINGS, Setting};

/// What each setting is that [`SETTINGS`] has not, by section and key.
const COMMENTS: &[(&str, &str)] = &[
    ("preset", "where the settings started from: paper, auc, everyday, balanced, large-batch"),
    ("data.format", "auto, csv, tsv, jsonl, amazon, sequences, parquet"),
    ("data.time_unit", "seconds, milliseconds, microseconds, nanoseconds"),
    ("data.time_format", "how times are written, for strptime; left out: numbers or ISO dates"),
    ("data.no_header", "the first line is a row; columns are numbers"),
    ("data.quote", "none, or the character that encloses fields; left out: by format"),
    ("data.escape", "what makes a quote within quotes a character"),
    ("data.comment", "what lines begin with that are no rows"),
    ("data.where", "conditions that rows must hold"),
    ("data.on_error", "a malformed line: fail, skip"),
    ("data.duplicates", "keep-all, keep-first"),
    ("data.ties", "events of a user at one time: file, random(SEED)"),
    ("data.delimiter", "what sets fields apart; left out: found"),
    ("data.meta", "Amazon's meta file"),
    ("data.k_core_users", "fewest events of a user"),
    ("data.k_core_items", "fewest events of an item"),
    ("data.max_id_bytes", "longest identifier"),
    ("data.columns.user", "auto or a name"),
    ("data.columns.item", "auto or a name"),
    ("data.columns.time", "auto, none or a name"),
    ("data.columns.category", "auto, none or a name"),
    ("data.columns.position", "auto, none or a name"),
];

fn comment(key: &str) -> Option<String> {
    let apart = COMMENTS.iter().find(|(name, _)| *name == key).map(|(_, comment)| (*comment).to_owned());
    let described = |setting: &&Setting| key.split_once('.') == Some((setting.section, setting.key));
    apart.or_else(|| SETTINGS.iter().find(described).map(Setting::describe))
}

/// Settings as TOML with comments; reads back to the same settings.
pub fn annotated(config: &Config) -> Result<String, toml::ser::Error> {
    let mut section = String::new();
    let mut out = String::new();
    for line in toml::to_string(config)?.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = format!("{name}.");
        }
        let key = line.split_once(" = ").map(|(key, _)| format!("{section}{key}"));
        match key.and_then(|key| comment(&key)) {
            Some(comment) => out += &format!("{line:<32} # {comment}\n"),
            None => out += &format!("{line}\n"),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dmran::data::SplitAt;

    #[test]
    fn every_setting_has_its_comment_and_reads_back() {
        let mut config = Config::default();
        config.data.delimiter = Some(";".into());
        config.data.time_format = Some("%d.%m.%Y".into());
        config.data.no_header = true;
        config.data.quote = Some("none".parse().unwrap());
        config.data.escape = Some('\\');
        config.data.comment = Some("--".into());
        config.data.filters = vec!["rating>=4".parse().unwrap(), "event=buy".parse().unwrap()];
        config.data.meta = Some("meta # 1.json.gz".into());
        config.train.l2_weight = 5e-5;
        config.train.from = "0123".into();
        config.train.since = Some(1_400_000_000);
        config.eval.split_at = SplitAt::Share(0.8);
        config.eval.test_all = true;
        let text = annotated(&config).unwrap();
        for line in text.lines().filter(|line| line.contains(" = ")) {
            assert!(line.contains(" # "), "{line}");
        }
        for (name, comment) in COMMENTS {
            assert!(text.contains(comment), "{name} is no setting");
        }
        assert_eq!(Config::from_toml(&text).unwrap(), config);
        assert!(text.contains("l2_weight = 0.00005"), "{text}");
    }
}
