//! The ranks' gradients of table rows: their owners sum what all have for them, tell the others which rows these are and
//! their squares, and when they have taken their step, what they have come to.

use super::shares::Shares;
use super::{Team, halves, wholes};
use crate::autograd::params::Table;
use crate::train::sparse::{Lookups, RowGrads};
use dmran_kernels::Level;
use std::ops::Range;

/// Room for what comes and goes.
#[derive(Default)]
pub(super) struct Room {
    /// What each rank has for this one, one list of rows with their gradients for each rank and table.
    received: Vec<Lookups>,
    /// Those of other gradients that are added, of the rows that are this rank's.
    last: Vec<Lookups>,
    /// How many rows of each table a step has changed, rank by rank.
    counts: Vec<u32>,
    /// Which these are, in the same order.
    ids: Vec<u32>,
}

impl Room {
    pub(super) fn bytes(&self) -> usize {
        let lookups = self.received.iter().chain(&self.last).map(Lookups::bytes).sum::<usize>();
        lookups + 4 * (self.counts.capacity() + self.ids.capacity())
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
    /// Sums rows over the ranks by the tree: of those that are its own by `shares` a rank has the sums then, and no others.
    /// `last` may have more rows of a table, the same on every rank, that are added at the end. Runs on the current pool of
    /// threads.
    pub fn sum_rows<'a>(
        &mut self,
        level: Level,
        (tables, shares): (&[Table], &Shares),
        rows: &mut [RowGrads],
        last: impl Fn(usize) -> Option<&'a Lookups>,
    ) {
        let (rank, ranks) = (self.rank(), self.count());
        let Team { ranks: by, traffic, send, receive, rows: Room { received, last: more, .. } } = self;
        received.resize_with(ranks * tables.len(), Lookups::default);
        more.resize_with(tables.len(), Lookups::default);

        // Which of a table's rows go to which rank.
        let of = |rows: &RowGrads, table: usize, rank: usize| {
            let Range { start, end } = shares.rows(table, rank);
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
                let cols = tables[table].cols;
                counts.push(part.len() as u32);
                put(send, &rows.rows()[part.clone()], &rows.grads()[part.start * cols..part.end * cols]);
            }
            *to = send.len() - before;
        }
        let words = |counts: &[u32]| -> usize {
            counts.iter().zip(tables).map(|(count, table)| *count as usize * (1 + table.cols)).sum()
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
            take(&mut left, *count as usize, tables[at % tables.len()].cols, &mut received[at]);
        }

        // A rank's rows are a node of the tree; what is added stands to the right of all.
        let end = ranks.next_power_of_two();
        for (table, (rows, more)) in rows.iter_mut().zip(more).enumerate() {
            let (cols, own) = (tables[table].cols, shares.rows(table, rank));
            more.clear();
            if let Some(last) = last(table) {
                last.within(&own, cols, more);
            }
            let more = &*more;
            let of = |at: usize| match at {
                at if at < ranks => received.get(at * tables.len() + table),
                at => (at == end).then_some(more),
            };
            rows.collect(level, cols, of, end + 1);
        }
    }

    /// The sums of the squares of all ranks' `rows`, of which each rank has those of its own rows, in the order of the rows; and how
    /// many rows these are, into `sums`: one of each for every table.
    pub fn squares(&mut self, rows: &[RowGrads], sums: &mut Vec<(f64, usize)>) {
        sums.clear();
        if self.is_alone() {
            sums.extend(rows.iter().map(|rows| (rows.sum_squares(), rows.rows().len())));
            return;
        }
        let (ranks, tables) = (self.count(), rows.len());
        let Team { ranks: by, traffic, send, receive, rows: Room { counts, ids, .. } } = self;
        let mine: Vec<u32> = rows.iter().map(|rows| rows.rows().len() as u32).collect();
        counts.resize(ranks * tables, 0);
        traffic.gathers(tables, ranks);
        by.all_gather(&mine, &vec![tables; ranks], counts);
        send.clear();
        for rows in rows {
            send.extend_from_slice(rows.rows());
            send.extend(rows.squares().iter().flat_map(|square| halves(square.to_bits())));
        }
        let from: Vec<usize> =
            counts.chunks_exact(tables).map(|counts| 3 * counts.iter().sum::<u32>() as usize).collect();
        receive.resize(from.iter().sum(), 0);
        traffic.gathers(send.len(), ranks);
        by.all_gather(send, &from, receive);
        sums.resize(tables, (0.0, 0));
        ids.clear();
        let mut left = &receive[..];
        for (at, count) in counts.iter().enumerate() {
            let (these, rest) = left.split_at(*count as usize);
            let (squares, rest) = rest.split_at(2 * *count as usize);
            left = rest;
            ids.extend_from_slice(these);
            let (sum, rows) = &mut sums[at % tables];
            *rows += these.len();
            // One by one, as a single process adds them up.
            wholes(squares).for_each(|bits| *sum += f64::from_bits(bits));
        }
    }

    /// Brings each rank's own rows of some tables to all ranks.
    pub fn gather_tables(&mut self, tables: &mut [Table], shares: &Shares, which: impl Fn(usize) -> bool) {
        if self.is_alone() {
            return;
        }
        for (at, table) in tables.iter_mut().enumerate().filter(|(at, _)| which(*at)) {
            self.gather(&mut table.data, &shares.lengths(at));
        }
    }

    /// Brings the rows that their owners have updated to all ranks: those that [`Team::squares`] told of, and the tables
    /// that are `whole` from their first row to their last.
    pub fn spread(&mut self, tables: &mut [Table], shares: &Shares, whole: impl Fn(usize) -> bool) {
        if self.is_alone() {
            return;
        }
        self.gather_tables(tables, shares, &whole);
        let (rank, ranks, count) = (self.rank(), self.count(), tables.len());
        let Team { ranks: by, traffic, send, receive, rows: Room { counts, ids, .. } } = self;
        let words = |at: usize, count: u32| if whole(at) { 0 } else { count as usize * tables[at].cols };
        let from = counts.chunks_exact(count).map(|of| of.iter().enumerate().map(|(at, n)| words(at, *n)).sum());
        let from: Vec<usize> = from.collect();
        // The rows of each rank and table, with where they stand.
        let each = |ids: &mut &[u32], f: &mut dyn FnMut(usize, usize, &[u32])| {
            for (at, n) in counts.iter().enumerate() {
                let (these, rest) = ids.split_at(*n as usize);
                *ids = rest;
                if !whole(at % count) {
                    f(at / count, at % count, these);
                }
            }
        };
        send.clear();
        each(&mut &ids[..], &mut |of, at, these| {
            let table = &tables[at];
            for id in these.iter().filter(|_| of == rank) {
                send.extend(table.data[*id as usize * table.cols..][..table.cols].iter().map(|x| x.to_bits()));
            }
        });
        receive.resize(from.iter().sum(), 0);
        traffic.gathers(send.len(), ranks);
        by.all_gather(send, &from, receive);
        let mut left = &receive[..];
        each(&mut &ids[..], &mut |_, at, these| {
            let table = &mut tables[at];
            for id in these {
                let (row, rest) = left.split_at(table.cols);
                let to = &mut table.data[*id as usize * table.cols..][..table.cols];
                to.iter_mut().zip(row).for_each(|(x, bits)| *x = f32::from_bits(*bits));
                left = rest;
            }
        });
    }
}
