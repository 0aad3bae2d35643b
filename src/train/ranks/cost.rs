//! What the ranks tell each other in a step: counted, and by formula.
//!
//! Of R ranks each sends, in words of 4 bytes, the R - 1 others together
//!
//! ```text
//! dense gradients   2 L (R - 1) / R                                       L weights, derived ones included
//! rows of a table   (n (1 + c) + u (3 + c)) (R - 1) / R  +  2 (R - 1)     n rows that its shards read, u that all did, c columns
//!                                                                         (3 u where the whole table is updated)
//! user vectors      B d (R - 1) / R                                       B targets of width d; the softmax losses alone
//! all items         (B (4 + d) k + i w + g + 4 k) (R - 1) / R + 2 (R - 1) k runs of items, i items with w gradients, g of categories; likewise
//! loss terms        (8 S / R + 2) (R - 1)                                 S shards
//! go on or stop     R - 1
//! ```

use super::PIECE;
use std::fmt;
use std::ops::{Add, Sub};

/// What a rank has sent to others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes.
    pub bytes: u64,
    /// Messages.
    pub messages: u64,
}

impl Traffic {
    /// Counts messages of so many words to each rank, of which `own` is this one.
    pub(super) fn sends(&mut self, words: &[usize], own: usize) {
        let others = words.iter().enumerate().filter(|(rank, words)| *rank != own && **words > 0);
        for (_, words) in others {
            self.bytes += 4 * *words as u64;
            self.messages += 1;
        }
    }

    /// Counts a message of so many words to each of the other ranks.
    pub(super) fn gathers(&mut self, words: usize, ranks: usize) {
        let others = (ranks - 1) as u64;
        self.bytes += 4 * words as u64 * others;
        self.messages += others;
    }
}

impl Add for Traffic {
    type Output = Traffic;

    fn add(self, more: Traffic) -> Traffic {
        Traffic { bytes: self.bytes + more.bytes, messages: self.messages + more.messages }
    }
}

impl Sub for Traffic {
    type Output = Traffic;

    fn sub(self, before: Traffic) -> Traffic {
        Traffic { bytes: self.bytes - before.bytes, messages: self.messages - before.messages }
    }
}

/// What a step reads of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RowsRead {
    /// Rows that a rank's shards read, the mean over the ranks.
    pub by_rank: f64,
    /// Rows that the whole batch reads.
    pub by_all: f64,
    /// Columns.
    pub cols: usize,
    /// Whether all its rows are updated: they are counted with the comparison.
    pub whole: bool,
}

/// A softmax of a batch's user vectors over items.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compared {
    /// Targets.
    pub targets: usize,
    /// Width of a user vector.
    pub d: usize,
    /// Items.
    pub items: usize,
    /// Gradients of an item: of its vector's parts, and of its bias if it has one.
    pub width: usize,
    /// Runs of items, which are what ranks share.
    pub runs: usize,
    /// Numbers of the categories, which go over the network besides the gradients of the items' second parts.
    pub again: usize,
}

impl Compared {
    /// Words that all ranks together send each of the others.
    fn words(&self) -> usize {
        let Compared { targets, d, items, width, runs, again } = *self;
        targets * d + targets * (4 + d) * runs + items * width + again + 4 * runs
    }

    /// Messages: the user vectors, one for each chunk of the targets, gradients and updated tables with a piece more where they are
    /// large, and the gradients' squares.
    fn messages(&self) -> usize {
        1 + self.targets.div_ceil(CHUNK) + 4 + self.items * self.width / PIECE + 2
    }
}

/// Targets that are compared at a time.
const CHUNK: usize = 256;

/// A step's sizes, from which its traffic follows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Step {
    /// Ranks.
    pub ranks: usize,
    /// Dense weights, derived ones included.
    pub dense: usize,
    /// What is read of each table.
    pub tables: Vec<RowsRead>,
    /// What the user vectors are compared with, where the loss takes them.
    pub compared: Option<Compared>,
    /// Shards of a batch.
    pub shards: usize,
}

impl Step {
    /// Bytes that a rank sends in the step, on average.
    pub fn bytes(&self) -> f64 {
        let ranks = self.ranks as f64;
        let others = ranks - 1.0;
        let dense = 2.0 * self.dense as f64 / ranks;
        let rows = |rows: &RowsRead| {
            let updated = if rows.whole { 0 } else { rows.cols };
            (rows.by_rank * (1 + rows.cols) as f64 + rows.by_all * (3 + updated) as f64) / ranks + 2.0
        };
        let tables = self.tables.iter().map(rows).sum::<f64>();
        let terms = 8.0 * self.shards as f64 / ranks + 2.0;
        let compared = self.compared.map_or(0.0, |compared| compared.words() as f64 / ranks + 2.0);
        4.0 * others * (dense + tables + compared + terms + 1.0)
    }

    /// Messages that a rank sends in the step, at most.
    pub fn messages(&self) -> usize {
        let exchanges = 2 + 5 + 2 + 1 + self.compared.map_or(0, |compared| compared.messages());
        exchanges * (self.ranks - 1)
    }
}

/// A network between machines.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Network {
    /// Bytes a second.
    pub bytes: f64,
    /// Seconds that a message takes beside its bytes.
    pub latency: f64,
}

impl Network {
    /// Seconds that a rank's part of a step's traffic takes. Messages of one exchange go side by side.
    pub fn seconds(&self, step: &Step) -> f64 {
        let rounds = step.messages() as f64 / (step.ranks - 1).max(1) as f64;
        step.bytes() / self.bytes + rounds * self.latency * (step.ranks as f64).log2().ceil()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Gbit/s, {:.0} us a message", self.bytes * 8e-9, self.latency * 1e6)
    }
}

impl std::str::FromStr for Network {
    type Err = String;

    /// `25GbE`: gigabits a second. A message takes 30 microseconds beside its bytes, as TCP does.
    fn from_str(text: &str) -> Result<Network, String> {
        let lower = text.to_ascii_lowercase();
        let digits = lower.strip_suffix("gbe").or(lower.strip_suffix("gbit/s")).unwrap_or("");
        match digits.parse::<f64>() {
            Ok(gigabits) if gigabits > 0.0 && gigabits.is_finite() => {
                Ok(Network { bytes: gigabits * 1e9 / 8.0, latency: 30e-6 })
            }
            _ => Err("a network's speed, for instance 10GbE or 25GbE".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read() {
        let read = |text: &str| text.parse::<Network>();
        assert_eq!(read("25GbE").unwrap().bytes, 3.125e9);
        assert_eq!(read("2.5gbe").unwrap().to_string(), "2.5 Gbit/s, 30 us a message");
        for wrong in ["", "GbE", "25", "-1GbE", "infGbE"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_step_s_bytes_by_hand() {
        let rows = RowsRead { by_rank: 300.0, by_all: 1000.0, cols: 15, whole: false };
        let compared = Compared { targets: 64, d: 16, items: 100, width: 17, runs: 2, again: 40 };
        let step = Step { ranks: 4, dense: 1000, tables: vec![rows], compared: Some(compared), shards: 8 };
        // 2 * 1000 / 4; 300 rows of 16 words and 1000 of 18, / 4, and 2 counts; 64 * 16 and 64 * 20 * 2 and 1700 and 40 and 8, / 4, and 2; 8 * 2 + 2; 1:
        // to three others.
        assert_eq!(
            step.bytes(),
            4.0 * 3.0 * (500.0 + 5700.0 + 2.0 + 256.0 + 640.0 + 425.0 + 10.0 + 2.0 + 2.0 + 18.0 + 1.0)
        );
        assert_eq!(step.messages(), 54);
        let one = Step { ranks: 1, ..step };
        assert_eq!((one.bytes(), one.messages()), (0.0, 0));
    }
}
