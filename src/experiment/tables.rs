//! Table 1 (what is in the data) and Table 2 (all models).

use super::paper::{self, DataSet};
use super::record::{Measure, RivalTest, Test};
use super::spec::protocol_name;
use super::summary::{Cell, ahead, failures, markdown};
use super::{Report, rows};
use crate::data::{DataReport, Protocol};
use serde_json::{Value, json};

fn text(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

/// A data set in JSON.
pub fn data_json(name: &str, hash: &str, data: &DataReport) -> Value {
    json!({
        "name": name, "hash": hash, "users": data.users, "items": data.items, "interactions": data.interactions,
        "categories": data.categories,
        "paper": DataSet::of([data.users, data.items, data.interactions]).map(|set| set.name),
    })
}

/// Table 1: each data set's numbers, with the paper's where the data is the paper's.
pub fn table1(data: &[(&str, &str, &DataReport)]) -> Report {
    let mut rows = Vec::new();
    for (name, _, report) in data {
        let counts = [report.users, report.items, report.interactions];
        let ours = [counts[0], counts[1], counts[2], report.categories].map(|n| n.to_string());
        let mean = report.lengths.as_ref().map_or(String::new(), |lengths| format!("{:.2}", lengths.mean));
        rows.push([vec![(*name).to_owned()], ours.to_vec(), vec![mean]].concat());
        if let Some(set) = DataSet::of(counts) {
            let theirs = [set.counts[0], set.counts[1], set.counts[2], set.categories].map(|n| n.to_string());
            rows.push([vec![format!("the paper's {}", set.name)], theirs.to_vec(), vec![String::new()]].concat());
        }
    }
    let head = text(&["data", "users", "items", "interactions", "categories", "events a user"]);
    let mut out = markdown(&head, &rows);
    if data.iter().all(|(_, _, r)| DataSet::of([r.users, r.items, r.interactions]).is_none()) {
        out += "\nNone of these is one of the paper's data sets.\n";
    }
    let results = data.iter().map(|(name, hash, report)| data_json(name, hash, report)).collect();
    Report { results: Value::Array(results), markdown: out, ..Report::default() }
}

/// A column of Table 2: its name and the figure.
type Column = (String, fn(&Test) -> Measure);

/// What DMRAN's lead is told in: its key in JSON, the place of the figure among [`columns`].
const LEADS: [(&str, usize); 2] = [("dmran_ahead", 0), ("dmran_ahead_ndcg", 3)];

fn columns(cells: &[Cell]) -> Vec<Column> {
    let k = cells.iter().flat_map(|c| &c.records).find_map(|r| r.test.as_ref()).map_or(0, |test| test.k);
    vec![
        ("AUC, 1 negative".into(), |t| t.auc),
        ("AUC, all items".into(), |t| t.auc_all),
        (format!("HR@{k}"), |t| t.hr),
        (format!("NDCG@{k}"), |t| t.ndcg),
        ("MRR".into(), |t| t.mrr),
    ]
}

/// Table 2 for one data set: every cell's figures on the test set, a table a protocol.
pub fn table2(data: &DataReport, cells: &[Cell]) -> Report {
    let sets = paper::beside([data.users, data.items, data.interactions]);
    let columns = columns(cells);
    let (mut out, mut protocols, mut times) = (String::new(), Vec::new(), Vec::new());
    for protocol in Protocol::MEASURING {
        let cells: Vec<&Cell> = cells.iter().filter(|cell| cell.protocol == protocol).collect();
        if cells.is_empty() {
            continue;
        }
        let full = cells.iter().find(|cell| cell.row == rows::FULL);
        out += &format!("\n### Protocol {}\n\n{}\n\n", protocol_name(protocol), picked(protocol));
        let mut head = text(&["model"]);
        head.extend(columns.iter().map(|(name, _)| name.clone()));
        head.extend(LEADS.map(|(_, column)| format!("DMRAN ahead by ({})", columns[column].0)));
        head.extend(text(&["best epochs"]));
        head.extend(sets.iter().map(|set| format!("paper, {}", set.name)));
        let (mut lines, mut json_rows) = (Vec::new(), Vec::new());
        for cell in &cells {
            let lead = LEADS
                .map(|(_, at)| full.filter(|full| full.row != cell.row).map(|full| ahead(full, cell, columns[at].1)));
            let mut line = vec![cell.row.title()];
            line.extend(columns.iter().map(|(_, pick)| cell.test(pick).to_string()));
            line.extend(lead.map(|lead| lead.map_or(String::new(), |lead| lead.to_string())));
            line.push(cell.best_epochs());
            let paper = |set: &DataSet| set.auc(cell.row);
            line.extend(sets.iter().map(|set| paper(set).map_or("-".into(), |auc| format!("{auc:.4}"))));
            lines.push(line);
            let mut json = cell.json();
            json["validation"] = json!(cell.validation());
            for ((name, pick), key) in columns.iter().zip(["auc", "auc_all", "hr", "ndcg", "mrr"]) {
                json[key] = json!(cell.test(pick));
                json[key]["name"] = json!(name);
            }
            for ((key, _), lead) in LEADS.iter().zip(lead) {
                json[*key] = json!(lead);
            }
            json["paper"] = sets.iter().map(|set| (set.name.to_owned(), json!(paper(set)))).collect();
            json_rows.push(json);
            times.push(time_json(cell));
        }
        // The same for all runs of a protocol; "most popular" may have its line already.
        let rivals = cells.iter().flat_map(|cell| &cell.records).map(|r| &r.rivals).find(|rivals| !rivals.is_empty());
        let missing = |rival: &&RivalTest| cells.iter().all(|cell| cell.row.title() != rival.name);
        for RivalTest { name, test } in rivals.into_iter().flatten().filter(missing) {
            let mut line = vec![name.clone()];
            line.extend(columns.iter().map(|(_, pick)| pick(test).to_string()));
            line.resize(head.len(), String::new());
            lines.push(line);
        }
        out += &markdown(&head, &lines);
        protocols.push(json!({ "protocol": protocol_name(protocol), "rows": json_rows, "rivals": rivals }));
    }
    out += "\n### Time\n\nMeans over runs. Seconds of training are those of all epochs that were run, the ones after the \
            best too, while as many runs as \"side by side\" says went on at once.\n\n";
    out += &time_table(cells);
    out += &failures(cells);
    Report { results: Value::Array(protocols), times: Value::Array(times), markdown: out, charts: Vec::new() }
}

/// How the epoch was picked.
pub fn picked(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Honest => {
            "The epoch was picked on each user's second to last event; the last, the test, was looked at once. What others \
             did after a user's test event was learned from: a program in use cannot see so far ahead."
        }
        Protocol::Time => {
            "One moment for everybody: the epoch was picked at an earlier moment, the test was looked at once."
        }
        Protocol::None => "Every event was learned from: nothing was held out to measure by.",
        Protocol::Paper => {
            "The epoch was picked on the test set itself, as the paper does: these figures are a little too good."
        }
    }
}

fn time_json(cell: &Cell) -> Value {
    let mut json = cell.json();
    json["seconds_of_training"] = json!(cell.mean(|r| r.times.training));
    json["seconds"] = json!(cell.mean(|r| r.times.total));
    json["samples_per_second"] = json!(cell.mean(|r| r.times.samples_per_second));
    json["runs"] = cell.records.iter().map(|r| json!(r.times)).collect();
    json
}

/// What the runs of some cells took.
pub fn time_table(cells: &[Cell]) -> String {
    let head = [
        "model",
        "protocol",
        "weights",
        "epochs",
        "training, s",
        "an epoch, s",
        "samples/s",
        "with evaluation, s",
        "threads",
        "side by side",
        "instructions",
    ];
    let mut lines = Vec::new();
    for cell in cells.iter().filter(|cell| cell.row.kind.is_trained()) {
        let Some(first) = cell.records.first() else { continue };
        let (training, epochs) = (cell.mean(|r| r.times.training), cell.mean(|r| r.epochs.len() as f64));
        lines.push(vec![
            cell.row.title(),
            protocol_name(cell.protocol).into(),
            first.weights.to_string(),
            format!("{epochs:.1}"),
            format!("{training:.1}"),
            format!("{:.1}", training / epochs.max(1.0)),
            format!("{:.0}", cell.mean(|r| r.times.samples_per_second)),
            format!("{:.1}", cell.mean(|r| r.times.total)),
            first.times.threads.to_string(),
            first.times.side_by_side.to_string(),
            first.times.level.clone(),
        ]);
    }
    markdown(&text(&head), &lines)
}

#[cfg(test)]
mod tests {
    use super::super::summary::tests::cell;
    use super::*;
    use crate::data::{ReadOptions, read_from};
    use crate::model::Kind;

    fn report() -> DataReport {
        DataReport::new(&read_from(&b"user,item\na,x\na,y\nb,x\n"[..], "log.csv", &ReadOptions::default()).unwrap())
    }

    #[test]
    fn every_row_stands_beside_the_paper_s() {
        let cells = [cell(Kind::Atrank, &[0.78, 0.79]), cell(Kind::Dmran, &[0.8, 0.82])];
        let out = table2(&report(), &cells);
        let row = |name: &str| {
            let start = format!("| {name} |");
            out.markdown.lines().find(|line| line.starts_with(&start)).unwrap_or_else(|| panic!("{}", out.markdown))
        };
        assert!(row("ATRank").contains("| 0.7850 ± 0.0050 |") && row("ATRank").contains("| 0.8910 | 0.6725 |"));
        assert!(row("ATRank").contains("| 0.0250 ± 0.0050 |") && row("DMRAN").contains("| 0.8932 | 0.6779 |"));
        let rows = &out.results[0]["rows"];
        assert_eq!((&rows[1]["model"], &rows[1]["auc"]["n"]), (&json!("dmran"), &json!(2)));
        assert_eq!(rows[0]["paper"]["Clothing"], json!(0.6725));
        assert!(out.markdown.contains("looked at once") && !out.markdown.contains("picked on the test set itself"));
        assert!(!serde_json::to_string(&out.results).unwrap().contains("seconds"), "times are kept apart");
        assert!(out.times[0]["seconds_of_training"].is_number());
    }

    #[test]
    fn table_1_names_the_paper_s_data() {
        let mut clothing = report();
        (clothing.users, clothing.items, clothing.interactions) = (39_387, 23_033, 278_677);
        let out = table1(&[("a.csv", "1", &report()), ("c.tsv", "2", &clothing)]);
        assert!(out.markdown.contains("| a.csv | 2 | 2 | 3 | 0 | 1.50 |"), "{}", out.markdown);
        assert!(out.markdown.contains("| the paper's Clothing | 39387 | 23033 | 278677 | 484 |"));
        assert_eq!((&out.results[1]["paper"], &out.results[0]["paper"]), (&json!("Clothing"), &Value::Null));
    }
}
