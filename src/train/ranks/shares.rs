//! Which rows of each table are whose: their owner has the optimiser's state, the average and the best epoch's values of them,
//! and takes their steps.

use super::{Team, part};
use crate::autograd::params::Table;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Each table's rows, cut into a range for each rank.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shares {
    /// Of each table where each rank's rows begin, and where the last one's end.
    bounds: Vec<Vec<u64>>,
    /// Columns of each table.
    cols: Vec<u64>,
}

impl Shares {
    /// Those of a single process: all rows.
    pub fn whole(tables: &[Table]) -> Shares {
        Shares::new(&Team::default(), tables, |_| None)
    }

    /// Those of a team: ranges of about one size, but where `bounds` has others for a table.
    pub fn new(team: &Team, tables: &[Table], bounds: impl Fn(usize) -> Option<Vec<usize>>) -> Shares {
        let ranks = team.count();
        let of = |(at, table): (usize, &Table)| {
            let even = || (0..ranks).map(|rank| part(table.rows, rank, ranks).start).chain([table.rows]).collect();
            bounds(at).unwrap_or_else(even).into_iter().map(|row| row as u64).collect()
        };
        Shares {
            bounds: tables.iter().enumerate().map(of).collect(),
            cols: tables.iter().map(|table| table.cols as u64).collect(),
        }
    }

    /// How many ranks share the tables.
    pub fn ranks(&self) -> usize {
        self.bounds.first().map_or(1, |bounds| bounds.len().saturating_sub(1))
    }

    /// Whether these are shares of such tables by so many ranks: whatever a file says.
    pub fn fit(&self, tables: &[Table], ranks: usize) -> bool {
        let fits = |((bounds, cols), table): ((&Vec<u64>, &u64), &Table)| {
            bounds.len() == ranks + 1
                && bounds.is_sorted()
                && bounds.first() == Some(&0)
                && bounds.last() == Some(&(table.rows as u64))
                && *cols == table.cols as u64
        };
        self.bounds.len() == tables.len()
            && self.cols.len() == tables.len()
            && self.bounds.iter().zip(&self.cols).zip(tables).all(fits)
    }

    /// A rank's rows of a table.
    pub fn rows(&self, table: usize, rank: usize) -> Range<usize> {
        self.bounds[table][rank] as usize..self.bounds[table][rank + 1] as usize
    }

    /// A rank's numbers of a table.
    pub fn numbers(&self, table: usize, rank: usize) -> Range<usize> {
        let (Range { start, end }, cols) = (self.rows(table, rank), self.cols[table] as usize);
        start * cols..end * cols
    }

    /// A rank's numbers of all tables.
    pub fn of(&self, rank: usize) -> Vec<Range<usize>> {
        (0..self.bounds.len()).map(|table| self.numbers(table, rank)).collect()
    }

    /// How many numbers of a table each rank has.
    pub fn lengths(&self, table: usize) -> Vec<usize> {
        (0..self.ranks()).map(|rank| self.numbers(table, rank).len()).collect()
    }
}
