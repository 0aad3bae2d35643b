//! Figures 3 and 4 (AUC along training) and Figure 5 (AUC by hops).

use super::record::Measure;
use super::spec::protocol_name;
use super::summary::{Cell, failures, markdown};
use super::tables::{picked, time_table};
use super::{Report, paper};
use crate::data::{DataReport, Protocol};
use crate::plot::{Chart, Series};
use serde_json::{Value, json};

/// A line of measures.
fn series(name: &str, points: impl IntoIterator<Item = (usize, Measure)>) -> Series {
    let mut out = Series { name: name.into(), ..Series::default() };
    for (x, measure) in points {
        out.points.push((x as f64, measure.mean.unwrap_or(f64::NAN)));
        out.errors.push(measure.se.unwrap_or(f64::NAN));
    }
    out
}

/// What error bars mean.
fn bars(cells: &[&Cell]) -> &'static str {
    match cells.iter().map(|cell| cell.records.len()).max() {
        Some(2..) => "Error bars: standard error over seeds.",
        _ => "Error bars: standard error over users.",
    }
}

/// Figures 3 and 4: AUC after each epoch, a line a model; a chart a protocol, named `name` or `name-PROTOCOL`.
pub fn curves(name: &str, title: &str, cells: &[Cell]) -> Report {
    let (mut out, mut results, mut charts) = (String::new(), Vec::new(), Vec::new());
    for (protocol, cells, chart_name) in by_protocol(name, cells) {
        let measured_on = Cell::measured_on(protocol);
        let lines: Vec<(String, Vec<Measure>)> = cells.iter().map(|cell| (cell.row.title(), cell.curve())).collect();
        let chart = Chart {
            title: title.into(),
            x_label: "epoch".into(),
            y_label: measured_on.into(),
            series: lines.iter().map(|(name, curve)| series(name, (1..).zip(curve.iter().copied()))).collect(),
            ..Chart::default()
        };
        out += &format!("\n### Protocol {}: {measured_on}\n\n", protocol_name(protocol));
        out += &format!("![{title}]({chart_name}.svg)\n\n{}\n\n", bars(&cells));
        let longest = lines.iter().map(|(_, curve)| curve.len()).max().unwrap_or(0);
        let head = [vec!["model".to_owned()], (1..=longest).map(|epoch| format!("epoch {epoch}")).collect()].concat();
        let cell_text = |curve: &[Measure], at: usize| curve.get(at).map_or(String::new(), Measure::to_string);
        let rows: Vec<Vec<String>> = lines
            .iter()
            .map(|(name, curve)| [vec![name.clone()], (0..longest).map(|at| cell_text(curve, at)).collect()].concat())
            .collect();
        out += &markdown(&head, &rows);
        charts.push((chart_name, chart.svg()));
        for (cell, (_, curve)) in cells.iter().zip(&lines) {
            let mut json = cell.json();
            json["curve"] = json!(curve);
            results.push(json);
        }
    }
    finish(out, results, charts, cells)
}

/// Figure 5: AUC on the test set by hops.
pub fn figure5(name: &str, data: &DataReport, cells: &[Cell]) -> Report {
    let (mut out, mut results, mut charts) = (String::new(), Vec::new(), Vec::new());
    let sets = paper::beside([data.users, data.items, data.interactions]);
    let electronics = sets.iter().find(|set| set.auc_at(10).is_some());
    for (protocol, cells, chart_name) in by_protocol(name, cells) {
        let one = series("AUC, 1 negative", cells.iter().map(|cell| (cell.hops, cell.test(|t| t.auc))));
        let all = series("AUC, all items", cells.iter().map(|cell| (cell.hops, cell.test(|t| t.auc_all))));
        let title = "DMRAN: AUC on the test set by hops";
        let chart = Chart {
            title: title.into(),
            x_label: "r, hops of the item level attention".into(),
            y_label: "test AUC".into(),
            series: vec![one, all],
            ..Chart::default()
        };
        out += &format!("\n### Protocol {}\n\n{}\n\n", protocol_name(protocol), picked(protocol));
        out += &format!("![{title}]({chart_name}.svg)\n\n{}\n\n", bars(&cells));
        let head = ["r", "AUC, 1 negative", "AUC, all items", "picked by", "best epochs", "paper, Electronics"];
        let rows: Vec<Vec<String>> = cells
            .iter()
            .map(|cell| {
                let paper = electronics.and_then(|set| set.auc_at(cell.hops));
                vec![
                    cell.hops.to_string(),
                    cell.test(|t| t.auc).to_string(),
                    cell.test(|t| t.auc_all).to_string(),
                    cell.validation().to_string(),
                    cell.best_epochs(),
                    paper.map_or("-".into(), |auc| format!("{auc:.4}")),
                ]
            })
            .collect();
        out += &markdown(&head.map(String::from), &rows);
        charts.push((chart_name, chart.svg()));
        for cell in &cells {
            let mut json = cell.json();
            json["auc"] = json!(cell.test(|t| t.auc));
            json["auc_all"] = json!(cell.test(|t| t.auc_all));
            json["validation"] = json!(cell.validation());
            results.push(json);
        }
    }
    finish(out, results, charts, cells)
}

/// The cells of each protocol that has any, with the name of its chart.
fn by_protocol<'a>(name: &str, cells: &'a [Cell]) -> Vec<(Protocol, Vec<&'a Cell>, String)> {
    let mut groups: Vec<(Protocol, Vec<&Cell>, String)> = Protocol::MEASURING
        .into_iter()
        .map(|p| (p, cells.iter().filter(|cell| cell.protocol == p).collect::<Vec<_>>(), name.to_owned()))
        .filter(|(_, cells, _)| !cells.is_empty())
        .collect();
    if groups.len() > 1 {
        groups.iter_mut().for_each(|(protocol, _, name)| *name = format!("{name}-{}", protocol_name(*protocol)));
    }
    groups
}

fn finish(mut out: String, results: Vec<Value>, charts: Vec<(String, String)>, cells: &[Cell]) -> Report {
    out += &format!("\n### Time\n\n{}", time_table(cells));
    out += &failures(cells);
    Report { results: Value::Array(results), times: Value::Null, markdown: out, charts }
}

#[cfg(test)]
mod tests {
    use super::super::summary::tests::cell;
    use super::*;
    use crate::model::Kind;

    #[test]
    fn a_line_a_model_and_a_chart_a_protocol() {
        let mut cells = vec![cell(Kind::Atrank, &[0.78]), cell(Kind::Dmran, &[0.8])];
        let one = curves("figure3", "AUC", &cells);
        assert_eq!(one.charts.len(), 1);
        let (name, svg) = &one.charts[0];
        assert!(name == "figure3" && svg.contains("\nATRank\n") && svg.contains("\nDMRAN\n"));
        assert!(one.markdown.contains("| DMRAN | 0.8100 ± 0.0030 | 0.8200 ± 0.0030 |"), "{}", one.markdown);
        assert!(one.markdown.contains("(figure3.svg)") && one.markdown.contains("over users"));
        let mut other = cell(Kind::Dmran, &[0.81]);
        other.protocol = Protocol::Paper;
        cells.push(other);
        let two = curves("figure3", "AUC", &cells);
        let names: Vec<&str> = two.charts.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, ["figure3-honest", "figure3-paper"]);
        assert!(two.markdown.contains("test AUC") && two.results.as_array().unwrap().len() == 3);
    }
}
