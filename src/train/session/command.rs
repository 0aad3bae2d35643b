//! The command that trains a model, as its card tells it: for whoever trains without typing one.

use super::base::Base;
use crate::data::{BUNDLED_NAME, Opened};
use crate::model::Kind;
use crate::train::config::{Config, inner_width};
use crate::train::preset::Preset;
use toml::{Table, Value};

/// A word of a command as a shell takes it.
pub fn quoted(word: &str) -> String {
    match word.is_empty() || word.contains(|c: char| !(c.is_alphanumeric() || "-_./=,:+".contains(c))) {
        true => format!("'{}'", word.replace('\'', "'\\''")),
        false => word.to_owned(),
    }
}

/// The words of `dmran train` with the log and `config`: the log, the model that the training goes on from, then a flag for
/// each setting that is not as the preset (or that model) has it, in the order of the alphabet. Threads are left out: they
/// change no model.
pub fn words(opened: &Opened, base: Option<&Base>, config: &Config) -> Vec<String> {
    let mut words = vec!["train".to_owned()];
    match (&opened.files[..], &*opened.name) {
        ([], BUNDLED_NAME) => words.push("--bundled".into()),
        ([], name) => words.push(name.into()),
        (files, _) => words.extend(files.iter().map(|file| file.to_string_lossy().into_owned())),
    }
    let mut start = match base {
        Some(base) => {
            words.extend(["--from".into(), base.path().to_string_lossy().into_owned()]);
            base.config()
        }
        None => {
            let mut start = Config::of(config.preset, config.train.model);
            (start.preset, start.train.model) = (Preset::default(), Kind::default());
            start
        }
    };
    // Inner widths follow d by themselves.
    let (of_start, follows) = (inner_width(start.model.d), inner_width(config.model.d));
    for width in [&mut start.model.ff_width, &mut start.model.head_ff_width] {
        if *width == of_start {
            *width = follows;
        }
    }
    let mut flags = Vec::new();
    differences("", &table(&start), &table(config), &mut flags);
    // By name alone: of several conditions the order stays.
    flags.sort_by(|a, b| a[0].cmp(&b[0]));
    words.extend(flags.into_iter().flatten());
    words
}

/// The command in one line: `dmran train log.csv --epochs 3`.
pub fn line(opened: &Opened, base: Option<&Base>, config: &Config) -> String {
    words(opened, base, config).iter().fold("dmran".to_owned(), |line, word| line + " " + &quoted(word))
}

fn table(config: &Config) -> Table {
    let mut table = Table::try_from(config).unwrap_or_default();
    // The fingerprint of the model that `--from` names, and what changes no model.
    if let Some(Value::Table(train)) = table.get_mut("train") {
        train.remove("from");
        train.remove("threads");
    }
    table
}

/// Each flag with its values.
fn differences(section: &str, start: &Table, changed: &Table, flags: &mut Vec<Vec<String>>) {
    for (key, value) in changed.iter().filter(|(key, value)| start.get(*key) != Some(*value)) {
        if let Value::Table(inner) = value {
            let empty = Table::new();
            differences(key, start.get(key).and_then(Value::as_table).unwrap_or(&empty), inner, flags);
            continue;
        }
        let name = key.replace('_', "-");
        let flag = if section == "columns" { format!("--{name}-column") } else { format!("--{name}") };
        match (&*name, value) {
            ("no-header" | "test-all", _) => flags.push(vec![flag]),
            ("where", Value::Array(all)) => flags.extend(all.iter().map(|one| vec![flag.clone(), text(one)])),
            ("k", Value::Array(all)) => {
                flags.push(vec![flag, all.iter().map(text).collect::<Vec<_>>().join(",")]);
            }
            _ => flags.push(vec![flag, text(value)]),
        }
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) if text == "\t" => "tab".into(),
        Value::String(text) => text.clone(),
        // Most numbers have 32 bits, and are shortest so.
        Value::Float(x) if f64::from(*x as f32) == *x => (*x as f32).to_string(),
        Value::Float(x) => x.to_string(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data;

    #[test]
    fn the_command_names_what_differs_from_the_preset() {
        let mut config = Config::default();
        let line = |opened: &Opened, config: &Config| line(opened, None, config);
        let bundled = Opened::named(data::bundled().unwrap(), BUNDLED_NAME);
        assert_eq!(line(&bundled, &config), "dmran train --bundled");
        (config.model.d, config.model.ff_width, config.model.head_ff_width) = (8, 2, 3);
        config.train.epochs = 3;
        config.train.threads = 2;
        config.train.lr = 1e-3;
        config.data.columns.user = "who is it".to_owned().into();
        config.data.delimiter = Some("\t".into());
        config.eval.k = [5, 10].into();
        let opened = Opened { files: vec!["a b.csv".into(), "c.csv".into()], ..bundled };
        assert_eq!(
            line(&opened, &config),
            "dmran train 'a b.csv' c.csv --d 8 --delimiter tab --epochs 3 --head-ff-width 3 --k 5,10 --lr 0.001 --user-column \
             'who is it'"
        );
        let other = Config::of(Preset::Auc, Kind::Sasrec);
        let table = Opened { name: "shop".into(), files: vec![], ..opened };
        assert_eq!(line(&table, &other), "dmran train shop --model sasrec --preset auc");
    }
}
