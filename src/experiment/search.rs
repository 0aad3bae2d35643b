//! The search for settings: every trial judged on the validation set, the test set never looked at.

use super::record::{Measure, Record};
use super::space::{Choice, Space};
use super::summary::{markdown, over_seeds};
use super::{ExperimentError, Report};
use crate::data::Protocol;
use crate::plot::{Chart, Series};
use crate::train::{Config, StopMetric, preset};
use serde_json::json;
use std::cmp::Ordering;
use toml::{Table, Value};

/// Settings of one trial.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// The values that were chosen.
    pub choice: Choice,
    /// All settings with them.
    pub config: Config,
}

/// A trial and what came of it.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The trial.
    pub trial: Trial,
    /// Its runs, one a seed.
    pub records: Vec<Record>,
}

/// The trials of a search, each with valid settings. Always the honest protocol.
///
/// # Errors
/// A choice that makes invalid settings; it is named.
pub fn trials(base: &Config, space: &Space, choices: Vec<Choice>) -> Result<Vec<Trial>, ExperimentError> {
    let mut out = Vec::new();
    for choice in choices {
        let wrong = |why: String| ExperimentError::Search(format!("{}: {why}", shown(space, &choice)));
        let mut config = base.changed(space.changes(&choice)).map_err(|error| wrong(error.message().to_owned()))?;
        config.validate().map_err(|error| wrong(error.to_string()))?;
        config.eval.protocol = Protocol::Honest;
        out.push(Trial { choice, config });
    }
    Ok(out)
}

fn shown(space: &Space, choice: &Choice) -> String {
    let parts: Vec<String> =
        space.dimensions.iter().zip(choice).map(|(d, value)| format!("{} = {value}", d.key)).collect();
    parts.join(", ")
}

impl Judged {
    /// What epochs are compared by, on the validation set; nothing if a run found no best epoch.
    pub fn validation(&self) -> Measure {
        match self.records.iter().all(|record| record.best_epoch.is_some()) {
            true => over_seeds(self.records.iter().map(Record::validation)),
            false => Measure::default(),
        }
    }
}

/// The trials with the best first; equal ones, and those without a figure, in the order in which they were tried.
pub fn sort(judged: &mut [Judged]) {
    judged.sort_by(|a, b| {
        let metric = a.trial.config.train.early_stop_metric;
        match (a.validation().mean, b.validation().mean) {
            (Some(a), Some(b)) if metric.better(a, b) => Ordering::Less,
            (Some(a), Some(b)) if metric.better(b, a) => Ordering::Greater,
            (a, b) => b.is_some().cmp(&a.is_some()),
        }
    });
}

/// The best trial's settings as TOML, for `--config` or a preset: what was searched, and all else in which the settings
/// differ from the preset. `epochs` is the last epoch that was a best one.
pub fn best_toml(space: &Space, best: &Judged) -> String {
    let config = &best.trial.config;
    let mut table = differences(config);
    preset::merge(&mut table, space.changes(&best.trial.choice));
    let epochs_searched = space.dimensions.iter().any(|d| d.key == "epochs");
    let last = best.records.iter().filter_map(|record| record.best_epoch).max();
    let mut own = Table::new();
    own.insert("model".into(), Value::String(config.train.model.name().into()));
    if let (Some(last), false) = (last, epochs_searched) {
        own.insert("epochs".into(), Value::Integer(last as i64));
    }
    preset::merge(&mut table, Table::from_iter([("train".to_owned(), Value::Table(own))]));
    let text = toml::to_string(&table).unwrap_or_default();
    format!(
        "# Validation {} {}, best epoch {}.\npreset = \"{}\"\n\n{text}",
        config.train.early_stop_metric,
        best.validation(),
        epochs(best),
        config.preset
    )
}

/// What a run's `[model]` and `[train]` have otherwise than their preset, but for seed and threads.
fn differences(config: &Config) -> Table {
    let table = |config: &Config| Table::try_from(config).unwrap_or_default();
    let (mine, preset) = (table(config), table(&Config::of(config.preset, config.train.model)));
    let mut out = Table::new();
    for section in ["model", "train"] {
        let (Some(Value::Table(mine)), Some(Value::Table(preset))) = (mine.get(section), preset.get(section)) else {
            continue;
        };
        let differs = |key: &str, value: &Value| preset.get(key) != Some(value) && !["seed", "threads"].contains(&key);
        let changed: Table =
            mine.iter().filter(|(key, value)| differs(key, value)).map(|(k, v)| (k.clone(), v.clone())).collect();
        if !changed.is_empty() {
            out.insert(section.into(), Value::Table(changed));
        }
    }
    out
}

fn epochs(judged: &Judged) -> String {
    let shown = |r: &Record| r.best_epoch.map_or("-".into(), |epoch| epoch.to_string());
    judged.records.iter().map(shown).collect::<Vec<String>>().join(", ")
}

/// The report of a search whose trials are sorted.
pub fn report(space: &Space, judged: &[Judged], metric: StopMetric) -> Report {
    let mut head: Vec<String> = vec!["place".into()];
    head.extend(space.dimensions.iter().map(|d| d.key.clone()));
    head.extend([format!("validation {metric}"), "best epoch".into(), "training, s".into()]);
    let (mut rows, mut results, mut times) = (Vec::new(), Vec::new(), Vec::new());
    for (place, j) in judged.iter().enumerate() {
        let seconds = j.records.iter().map(|r| r.times.training).sum::<f64>();
        let mut row = vec![(place + 1).to_string()];
        row.extend(j.trial.choice.iter().map(Value::to_string));
        let failed = j.records.iter().find_map(|r| r.failure.as_ref().filter(|_| r.best_epoch.is_none()));
        let value = if failed.is_some() { "diverged".into() } else { j.validation().to_string() };
        row.extend([value, epochs(j), format!("{seconds:.1}")]);
        rows.push(row);
        results.push(json!({
            "settings": space.changes(&j.trial.choice),
            "validation": j.validation(),
            "best_epochs": j.records.iter().map(|r| r.best_epoch).collect::<Vec<_>>(),
            "failures": j.records.iter().filter_map(|r| r.failure.as_deref()).collect::<Vec<_>>(),
        }));
        times.push(json!({ "settings": space.changes(&j.trial.choice), "seconds_of_training": seconds }));
    }
    let mut out = format!(
        "Judged by the {metric} of each user's second to last event (the honest protocol's validation set). The test set \
         was not looked at.\n\n"
    );
    out += &markdown(&head, &rows);
    let charts: Vec<(String, String)> =
        (0..space.dimensions.len()).filter_map(|i| chart(space, i, judged, metric)).collect();
    charts.iter().for_each(|(name, _)| out += &format!("\n![{name}]({name}.svg)\n"));
    if let Some(best) = judged.first().filter(|j| j.validation().mean.is_some()) {
        out += &format!("\nThe best settings:\n\n```toml\n{}```\n", best_toml(space, best));
    }
    Report { results: results.into(), times: times.into(), markdown: out, charts }
}

/// What trials are judged by against one setting, where its values are numbers.
fn chart(space: &Space, at: usize, judged: &[Judged], metric: StopMetric) -> Option<(String, String)> {
    let number = |value: &Value| value.as_float().or_else(|| value.as_integer().map(|i| i as f64));
    let key = &space.dimensions[at].key;
    let mut points = Vec::new();
    for j in judged {
        points.push((number(&j.trial.choice[at])?, j.validation()));
    }
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (least, most) = (points.first()?.0, points.last()?.0);
    let chart = Chart {
        title: format!("validation {metric} by {key}"),
        x_label: key.clone(),
        y_label: format!("validation {metric}"),
        series: vec![Series {
            name: String::new(),
            points: points.iter().map(|(x, value)| (*x, value.mean.unwrap_or(f64::NAN))).collect(),
            errors: points.iter().map(|(_, value)| value.se.unwrap_or(f64::NAN)).collect(),
        }],
        // With other settings changing too, neighbours on this axis have nothing to do with each other.
        scattered: space.dimensions.len() > 1,
        log_x: least > 0.0 && most / least >= 20.0,
    };
    Some((format!("search-{key}"), chart.svg()))
}

#[cfg(test)]
mod tests {
    use super::super::summary::tests::cell;
    use super::*;
    use crate::model::Kind;

    #[test]
    fn what_was_set_beside_the_search_is_not_lost() {
        let (space, mut judged) = search(&[0.7]);
        judged[0].trial.config.model.history_cap = 50;
        judged[0].trial.config.train.seed = 9;
        let text = best_toml(&space, &judged[0]);
        assert!(text.contains("history_cap = 50") && text.contains("hops = 2") && !text.contains("seed"), "{text}");
    }

    fn search(aucs: &[f64]) -> (Space, Vec<Judged>) {
        let space = Space::read(&toml::from_str("hops = [2, 5, 8]").unwrap(), &Config::default()).unwrap();
        let trials = trials(&Config::default(), &space, space.grid(9).unwrap()).unwrap();
        let judged = trials
            .into_iter()
            .zip(aucs)
            .map(|(trial, auc)| Judged { trial, records: cell(Kind::Dmran, &[*auc]).records });
        let mut judged: Vec<Judged> = judged.collect();
        sort(&mut judged);
        (space, judged)
    }

    #[test]
    fn the_best_comes_first_and_its_settings_last() {
        let (space, judged) = search(&[0.70, 0.74, 0.72]);
        let report = report(&space, &judged, StopMetric::Ndcg);
        let lines: Vec<&str> = report.markdown.lines().filter(|line| line.starts_with("| ")).collect();
        assert!(lines[1].starts_with("| 1 | 5 | 0.7600") && lines[3].starts_with("| 3 | 2 |"), "{}", report.markdown);
        assert!(report.markdown.contains("not looked at") && report.markdown.contains("| validation NDCG@10 |"));
        let best = best_toml(&space, &judged[0]);
        let config = Config::from_toml(&best).unwrap();
        assert_eq!((config.model.hops, config.train.model, config.train.epochs), (5, Kind::Dmran, 2));
        assert_eq!(report.charts[0].0, "search-hops");
    }

    #[test]
    fn the_smallest_loss_is_the_best() {
        let (_, mut judged) = search(&[0.70, 0.74, 0.72]);
        judged.iter_mut().for_each(|j| j.trial.config.train.early_stop_metric = StopMetric::Loss);
        sort(&mut judged);
        assert_eq!(judged.iter().map(|j| j.trial.config.model.hops).collect::<Vec<_>>(), [2, 8, 5]);
    }

    #[test]
    fn a_trial_that_diverged_is_never_the_best() {
        let (space, mut judged) = search(&[0.70, 0.74, 0.72]);
        judged[0].records[0].best_epoch = None;
        judged[0].records[0].failure = Some("training diverged".into());
        sort(&mut judged);
        assert_eq!(judged[0].trial.config.model.hops, 8);
        assert!(report(&space, &judged, StopMetric::Auc).markdown.contains("| 3 | 5 | diverged | - |"));
    }

    #[test]
    fn settings_that_are_not_valid_are_named_before_anything_is_trained() {
        let space = |text: &str| Space::read(&toml::from_str(text).unwrap(), &Config::default()).unwrap();
        for (text, parts) in [
            ("head = [\"atrank\"]\nheads = [8, 3]", &["heads = 3", "128"][..]),
            ("lr = [-1.0]", &["lr = -1", "greater than 0"]),
            ("head = [\"best\"]", &["best", "vanilla"]),
        ] {
            let space = space(text);
            let error = trials(&Config::default(), &space, space.grid(9).unwrap()).unwrap_err().to_string();
            assert!(parts.iter().all(|part| error.contains(part)), "{error}");
        }
    }
}
