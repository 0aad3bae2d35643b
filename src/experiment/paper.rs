//! The paper's own figures, to stand beside ours.

use super::Row;
use crate::model::Kind;
use crate::scorer::Variant;

/// A data set of the paper: Table 1's counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataSet {
    /// Its name.
    pub name: &'static str,
    /// Users, items, interactions.
    pub counts: [usize; 3],
    /// Categories.
    pub categories: usize,
    /// Its column in Table 2.
    column: usize,
}

/// Amazon 2014, 5-core, as in ATRank's and the paper's Table 1.
pub const DATA: [DataSet; 2] = [
    DataSet { name: "Electronics", counts: [192_403, 63_001, 1_689_188], categories: 801, column: 0 },
    DataSet { name: "Clothing", counts: [39_387, 23_033, 278_677], categories: 484, column: 1 },
];

/// Figure 5, Electronics: AUC by hops.
const FIGURE5: [(usize, f64); 5] = [(2, 0.8896), (8, 0.8921), (10, 0.8932), (15, 0.8915), (20, 0.8910)];

impl DataSet {
    /// The paper's data set with these numbers of users, items and interactions.
    pub fn of(counts: [usize; 3]) -> Option<&'static DataSet> {
        DATA.iter().find(|data| data.counts == counts)
    }

    /// Table 2's AUC.
    pub fn auc(&self, row: Row) -> Option<f64> {
        let both = match (row.kind, row.variant) {
            (Kind::Dmran, Variant::NoTime) => [Some(0.8712), None],
            (Kind::Dmran, Variant::Item) => [Some(0.8896), Some(0.6714)],
            (Kind::Dmran, Variant::Feature) => [Some(0.8835), Some(0.6468)],
            _ => row.kind.entry().paper,
        };
        both[self.column]
    }

    /// Figure 5's AUC at `hops`.
    pub fn auc_at(&self, hops: usize) -> Option<f64> {
        FIGURE5.iter().find(|(r, _)| self.column == 0 && *r == hops).map(|(_, auc)| *auc)
    }
}

/// The paper's data sets to compare with: the very one, or both where the data is another.
pub fn beside(counts: [usize; 3]) -> Vec<&'static DataSet> {
    DataSet::of(counts).map_or_else(|| DATA.iter().collect(), |data| vec![data])
}
