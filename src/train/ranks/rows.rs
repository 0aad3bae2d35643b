//! The sums of the ranks' gradients of table rows. A table's rows are cut into ranges, one for each rank, which sums what the
//! others have for its range.

use super::{Team, part};
use crate::train::sparse::{Lookups, RowGrads};
use dmran_kernels::Level;
use std::ops::Range;

/// Room for what comes and goes.
#[derive(Default)]
pub(super) struct Room {
    /// What each rank has for this one, one list of rows with their gradients for each rank and table.
    received: Vec<Lookups>,
    /// A table's sums over this rank's range.
    owned: Vec<RowGrads>,
    /// All sums of a table.
    all: Vec<Lookups>,
}

impl Room {
    pub(super) fn bytes(&self) -> usize {
        self.received.iter().chain(&self.all).map(Lookups::bytes).sum::<usize>()
            + self.owned.iter().map(RowGrads::bytes).sum::<usize>()
    }
}

/// Writes rows with their gradients as words.
fn put(out: &mut Vec<u32>, rows: &[u32], grads: &[f32]) {
    out.extend_from_slice(rows);
    out.extend(grads.iter().map(|x| x.to_bits()));
}

/// Reads what [`put`] wrote, of so many rows and columns, from the front of `words`.
fn take(words: &mut &[u32], rows: usize, cols: usize, out: &mut Lookups) {
    let (ids, rest) = words.split_at(rows);
    let (grads, rest) = rest.split_at(rows * cols);
    *words = rest;
    out.clear();
    out.fill(ids, grads.iter().map(|bits| f32::from_bits(*bits)));
}

impl Team {
    /// Sums rows over the ranks by the tree; every rank has all sums then. `tables` are the rows and columns of the tables
    /// that `rows` are of. `last` may have more rows of a table, the same on every rank, that are added at the end. Runs on the current
    /// pool of threads.
    pub fn sum_rows<'a>(
        &mut self,
        level: Level,
        tables: &[[usize; 2]],
        rows: &mut [RowGrads],
        last: impl Fn(usize) -> Option<&'a Lookups>,
    ) {
        let (rank, ranks) = (self.rank(), self.count());
        let Team { ranks: by, traffic, send, receive, rows: room } = self;
        let Room { received, owned, all } = room;
        received.resize_with(ranks * tables.len(), Lookups::default);
        owned.resize_with(tables.len(), RowGrads::default);
        all.resize_with(tables.len(), Lookups::default);

        // Which of a table's rows go to which rank.
        let of = |rows: &RowGrads, table: usize, rank: usize| {
            let Range { start, end } = part(tables[table][0], rank, ranks);
            let at = |row: usize| rows.rows().partition_point(|r| (*r as usize) < row);
            at(start)..at(end)
        };
        let mut counts = Vec::with_capacity(ranks * tables.len());
        let mut to = vec![0; ranks];
        send.clear();
        for (owner, to) in to.iter_mut().enumerate() {
            let before = send.len();
            for (table, rows) in rows.iter().enumerate() {
                let part = of(rows, table, owner);
                let cols = tables[table][1];
                counts.push(part.len() as u32);
                put(send, &rows.rows()[part.clone()], &rows.grads()[part.start * cols..part.end * cols]);
            }
            *to = send.len() - before;
        }
        let words = |counts: &[u32]| -> usize {
            counts.iter().zip(tables).map(|(count, [_, cols])| *count as usize * (1 + cols)).sum()
        };
        let each = vec![tables.len(); ranks];
        let mut theirs = vec![0; counts.len()];
        traffic.sends(&each, rank);
        by.all_to_all(&counts, &each, &mut theirs, &each);
        let from: Vec<usize> = theirs.chunks_exact(tables.len()).map(words).collect();
        receive.resize(from.iter().sum(), 0);
        traffic.sends(&to, rank);
        by.all_to_all(send, &to, receive, &from);
        let mut left = &receive[..];
        for (at, count) in theirs.iter().enumerate() {
            take(&mut left, *count as usize, tables[at % tables.len()][1], &mut received[at]);
        }

        // This rank's range, summed over the ranks.
        counts.clear();
        send.clear();
        for (table, owned) in owned.iter_mut().enumerate() {
            owned.collect(level, tables[table][1], |rank| received.get(rank * tables.len() + table), ranks);
            counts.push(owned.rows().len() as u32);
            put(send, owned.rows(), owned.grads());
        }

        // All ranges, which are in order, to all ranks.
        let mut theirs = vec![0; ranks * tables.len()];
        traffic.gathers(counts.len(), ranks);
        by.all_gather(&counts, &each, &mut theirs);
        let from: Vec<usize> = theirs.chunks_exact(tables.len()).map(words).collect();
        receive.resize(from.iter().sum(), 0);
        traffic.gathers(send.len(), ranks);
        by.all_gather(send, &from, receive);
        all.iter_mut().for_each(Lookups::clear);
        let mut left = &receive[..];
        let mut part = Lookups::default();
        for (at, count) in theirs.iter().enumerate() {
            let table = at % tables.len();
            take(&mut left, *count as usize, tables[table][1], &mut part);
            all[table].append(&part);
        }
        for (table, rows) in rows.iter_mut().enumerate() {
            let parts = [Some(&all[table]), last(table)];
            rows.collect(level, tables[table][1], |part| parts.get(part).copied().flatten(), 2);
        }
    }
}
