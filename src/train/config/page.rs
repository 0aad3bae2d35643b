//! docs/settings.md: every setting with its flag, its values and what it is by default.

use super::Config;
use super::described::{SETTINGS, Setting, Takes, range, shown};
use crate::model::registry::ENTRIES;
use crate::train::{Loss, Preset, preset};
use std::fmt::Write;

/// The text of docs/settings.md.
pub fn markdown() -> String {
    let config = Config::default();
    let table = preset::table_of(&config);
    let mut out = format!(
        "# Settings\n\nEvery setting of `[model]`, `[train]` and `[eval]` has a flag of its own name, with dashes: `history_cap` is \
         `--history-cap` (`from` and `since` are told by `train`'s flags of these names). A flag wins over the file that `--config` names, that over the preset. Defaults are those of \
         {}'s preset `{}`; `dmran train --print-config` prints all settings in force, those of how a log is read too.\n",
        config.train.model.title(),
        Preset::default()
    );
    for (section, title) in [("model", "The model"), ("train", "Training"), ("eval", "Measuring")] {
        let _ = write!(
            out,
            "\n## `[{section}]`: {title}\n\n| setting | default | values | what it does |\n|---|---|---|---|\n"
        );
        for setting in SETTINGS.iter().filter(|setting| setting.section == section) {
            let default = table[section]
                .get(setting.key)
                .map_or_else(String::new, |value| format!("`{}`", shown(value).trim_matches('"')));
            let _ = writeln!(out, "| `{}` | {default} | {} | {} |", setting.key, values(setting), setting.help);
        }
    }
    out += "\n## Models\n\nValues of `model`. All are measured; model files hold `dmran` alone.\n\n| model | | |\n|---|---|---|\n";
    for entry in ENTRIES {
        let _ = writeln!(out, "| `{}` | {} | {} |", entry.name, entry.title, entry.help);
    }
    out += "\n## Losses\n\nValues of `loss`.\n\n| loss | |\n|---|---|\n";
    for loss in Loss::ALL {
        let _ = writeln!(out, "| `{loss}` | {} |", loss.help());
    }
    out
}

fn values(setting: &Setting) -> String {
    match setting.takes {
        Takes::Whole(0, usize::MAX) => "a whole number".into(),
        Takes::Whole(least, most) => range(least, most),
        Takes::Number(rule) => rule.to_string(),
        Takes::Switch | Takes::Flag => "true, false".into(),
        Takes::Name(names) => names().join(", "),
        Takes::Wholes => "whole numbers, comma separated".into(),
        Takes::Moment => "0.9, 2014-01-31, 1391126400".into(),
        Takes::Other => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docs_settings_md_is_this_list() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/settings.md");
        let text = markdown();
        if std::env::var_os("DMRAN_WRITE_DOCS").is_some() {
            std::fs::write(path, &text).unwrap();
        }
        let there = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            there == text,
            "docs/settings.md is out of date: DMRAN_WRITE_DOCS=1 cargo test docs_settings writes it"
        );
    }
}
