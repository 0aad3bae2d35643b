//! Several seeds of one thing, put together.

use super::Row;
use super::record::{Measure, Record, Test};
use super::spec::protocol_name;
use crate::data::Protocol;
use crate::metrics::Estimate;

/// The runs of one row with one protocol, one a seed.
#[derive(Clone, Debug)]
pub struct Cell {
    /// Which model.
    pub row: Row,
    /// Which protocol.
    pub protocol: Protocol,
    /// Hops of the item level attention.
    pub hops: usize,
    /// The runs, in the order of their seeds.
    pub records: Vec<Record>,
}

/// Mean and standard error over seeds; of one seed, its own (over users).
pub fn over_seeds(measures: impl IntoIterator<Item = Measure>) -> Measure {
    let measures: Vec<Measure> = measures.into_iter().filter(|m| m.mean.is_some()).collect();
    match &measures[..] {
        [one] => *one,
        several => Estimate::of(several.iter().filter_map(|m| m.mean)).into(),
    }
}

/// By how much `first` is ahead of `other` in a figure. With several seeds the difference is taken seed by seed, as runs of one
/// seed are measured against the same negatives; with one, its error is that of two independent figures.
pub fn ahead(first: &Cell, other: &Cell, pick: impl Fn(&Test) -> Measure) -> Measure {
    let figure = |record: &Record| record.test.as_ref().map(&pick).unwrap_or_default();
    let pairs: Vec<Measure> = first
        .records
        .iter()
        .filter_map(|a| {
            let b = other.records.iter().find(|b| b.seed == a.seed)?;
            let (a, b) = (figure(a), figure(b));
            let se = a.se.zip(b.se).map(|(a, b)| a.hypot(b));
            Some(Measure { mean: Some(a.mean? - b.mean?), se, n: a.n.min(b.n) })
        })
        .collect();
    over_seeds(pairs)
}

impl Cell {
    /// A figure on the test set.
    pub fn test(&self, pick: impl Fn(&Test) -> Measure) -> Measure {
        over_seeds(self.records.iter().filter_map(|record| record.test.as_ref()).map(pick))
    }

    /// What the best epoch was picked by.
    pub fn validation(&self) -> Measure {
        over_seeds(self.records.iter().map(Record::validation))
    }

    /// AUC after each epoch that all seeds reached.
    pub fn curve(&self) -> Vec<Measure> {
        let epochs = self.records.iter().map(|record| record.epochs.len()).min().unwrap_or(0);
        (0..epochs).map(|at| over_seeds(self.records.iter().map(|record| record.epochs[at].auc))).collect()
    }

    /// The best epochs, one a seed, as text.
    pub fn best_epochs(&self) -> String {
        let shown = |record: &Record| record.best_epoch.map_or("-".into(), |epoch| epoch.to_string());
        self.records.iter().map(shown).collect::<Vec<String>>().join(", ")
    }

    /// Mean of a number over the runs.
    pub fn mean(&self, of: impl Fn(&Record) -> f64) -> f64 {
        self.records.iter().map(of).sum::<f64>() / self.records.len().max(1) as f64
    }

    /// What the AUC along training is measured on.
    pub fn measured_on(protocol: Protocol) -> &'static str {
        match protocol {
            Protocol::Paper => "test AUC, 1 negative",
            Protocol::Honest | Protocol::Time | Protocol::None => "validation AUC",
        }
    }

    /// The cell's name in JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "model": self.row.name(),
            "protocol": protocol_name(self.protocol),
            "hops": self.hops,
            "seeds": self.records.iter().map(|r| r.seed).collect::<Vec<_>>(),
            "best_epochs": self.records.iter().map(|r| r.best_epoch).collect::<Vec<_>>(),
            "failures": self.records.iter().filter_map(|r| r.failure.as_deref()).collect::<Vec<_>>(),
        })
    }
}

/// A Markdown table; the first column is text, the others are figures.
pub fn markdown(head: &[String], rows: &[Vec<String>]) -> String {
    let line = |cells: &[String]| {
        // A name from a file must not end a cell.
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let rule = format!("|---|{}\n", "---:|".repeat(head.len().saturating_sub(1)));
    line(head) + &rule + &rows.iter().map(|row| line(row)).collect::<String>()
}

/// What failed, a line each.
pub fn failures(cells: &[Cell]) -> String {
    let mut out = String::new();
    for cell in cells {
        for record in cell.records.iter().filter(|record| record.failure.is_some()) {
            let why = record.failure.as_deref().unwrap_or_default();
            out += &format!("- {} with seed {} ended early: {why}\n", cell.row.title(), record.seed);
        }
    }
    if out.is_empty() { out } else { format!("\n{out}") }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::experiment::record::{Epoch, Times};
    use crate::model::Kind;
    use crate::scorer::Variant;
    use crate::train::StopMetric;

    pub fn measure(mean: f64, se: f64) -> Measure {
        Measure { mean: Some(mean), se: Some(se), n: 100 }
    }

    /// A cell with a run for each AUC; each epoch of a run is a hundredth better than the one before.
    pub fn cell(kind: Kind, aucs: &[f64]) -> Cell {
        let record = |(seed, auc): (usize, &f64)| Record {
            created_by: String::new(),
            model: kind,
            variant: Variant::Full,
            protocol: Protocol::Honest,
            seed: seed as u64 + 1,
            data_hash: String::new(),
            settings: String::new(),
            weights: 1000,
            samples: 500,
            picked_by: StopMetric::Auc,
            epochs: (1..=2 + seed)
                .map(|epoch| Epoch {
                    epoch,
                    lr: 1.0,
                    loss: 0.5,
                    rank: 0.4,
                    penalty: 1.0,
                    auc: measure(auc + 0.01 * epoch as f64, 0.003),
                    value: None,
                    seconds: 2.0,
                })
                .collect(),
            best_epoch: Some(2),
            failure: None,
            test: Some(Test {
                auc: measure(*auc, 0.004),
                auc_all: measure(*auc, 0.004),
                k: 10,
                hr: measure(0.1, 0.01),
                ndcg: measure(0.05, 0.01),
                mrr: measure(0.04, 0.01),
                ranking: Vec::new(),
                slices: Vec::new(),
            }),
            rivals: Vec::new(),
            times: Times::default(),
        };
        let row = Row { kind, variant: Variant::Full };
        Cell { row, protocol: Protocol::Honest, hops: 10, records: aucs.iter().enumerate().map(record).collect() }
    }

    #[test]
    fn one_seed_has_its_users_error_and_several_their_own() {
        assert_eq!(cell(Kind::Dmran, &[0.8]).test(|t| t.auc), measure(0.8, 0.004));
        let three = cell(Kind::Dmran, &[0.79, 0.8, 0.81]).test(|t| t.auc);
        assert!((three.mean.unwrap() - 0.8).abs() < 1e-12 && three.n == 3);
        // Standard deviation 0.01 over the root of 3.
        assert!((three.se.unwrap() - 0.01 / 3f64.sqrt()).abs() < 1e-12);
        assert_eq!(over_seeds([]), Measure::default());
        assert_eq!(over_seeds([Measure::default(), measure(0.5, 0.1)]), measure(0.5, 0.1));
    }

    #[test]
    fn differences_are_taken_seed_by_seed() {
        let (a, b) = (cell(Kind::Dmran, &[0.70, 0.80]), cell(Kind::Atrank, &[0.69, 0.78]));
        let lead = ahead(&a, &b, |t| t.auc);
        assert!((lead.mean.unwrap() - 0.015).abs() < 1e-12);
        assert!((lead.se.unwrap() - 0.005).abs() < 1e-12, "not the 0.05 of the models themselves");
        let one = ahead(&cell(Kind::Dmran, &[0.7]), &b, |t| t.auc);
        assert!((one.se.unwrap() - 0.004 * 2f64.sqrt()).abs() < 1e-12);
    }

    #[test]
    fn curves_end_where_the_first_seed_ends() {
        let curve = cell(Kind::Dmran, &[0.7, 0.72]).curve();
        assert_eq!(curve.len(), 2);
        assert!((curve[1].mean.unwrap() - 0.73).abs() < 1e-12);
    }

    #[test]
    fn markdown_keeps_its_columns() {
        let text = markdown(&["a|b".into(), "c".into()], &[vec!["x\ny".into(), "1".into()]]);
        assert_eq!(text, "| a\\|b | c |\n|---|---:|\n| x y | 1 |\n");
    }
}
