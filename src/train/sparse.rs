//! Gradients of table rows: from lookups scattered over shards to one sum for each row that was read.

use crate::params::{Params, Table};
use crate::tape::Tape;
use crate::train::optimizer::Rule;
use dmran_kernels::Level;
use dmran_kernels::loss::sum_squares;
use dmran_kernels::optim::add_scaled;
use dmran_kernels::simd::{AHEAD, prefetch};
use rayon::prelude::*;

/// Rows below which a range is updated by one thread.
const GRAIN: usize = 64;

/// The rows that a shard looked up in one table, in order, each with the gradient of what was read.
#[derive(Debug, Default)]
pub struct Lookups {
    ids: Vec<u32>,
    grads: Vec<f32>,
}

impl Lookups {
    /// Forgets all.
    pub fn clear(&mut self) {
        self.ids.clear();
        self.grads.clear();
    }

    /// Adds the lookups in table number `table` of a tape's last forward and backward pass.
    pub fn take(&mut self, tape: &Tape, params: &Params, table: usize) {
        let cols = params.tables()[table].cols;
        for gathered in tape.gathered().iter().filter(|g| g.table.0 == table) {
            let ids = tape.ids(gathered.ids);
            // No more than is needed: these are among the largest buffers of a training.
            self.ids.reserve_exact(ids.len());
            self.grads.reserve_exact(ids.len() * cols);
            self.ids.extend_from_slice(ids);
            for row in tape.grad(gathered.var).chunks_exact(gathered.var.cols) {
                self.grads.extend_from_slice(&row[gathered.column..gathered.column + cols]);
            }
        }
    }

    /// Adds lookups of the rows `ids` with their gradients.
    pub fn push<'a>(&mut self, ids: impl Iterator<Item = u32>, grads: impl Iterator<Item = &'a [f32]>) {
        for (id, grad) in ids.zip(grads) {
            self.ids.push(id);
            self.grads.extend_from_slice(grad);
        }
    }

    /// Bytes held, for memory accounts.
    pub fn bytes(&self) -> usize {
        4 * (self.ids.capacity() + self.grads.capacity())
    }
}

/// The row gradients of one table in one step.
#[derive(Debug, Default)]
pub struct RowGrads {
    /// Row in the upper half, number of the lookup in the lower one: sorting keeps the lookups' order within a row.
    keys: Vec<u64>,
    /// Shard of each lookup, and its place there.
    places: Vec<(u32, u32)>,
    rows: Vec<u32>,
    runs: Vec<u32>,
    grads: Vec<f32>,
    squares: Vec<f64>,
    cols: usize,
}

impl RowGrads {
    /// Sums the gradients of every row, of `cols` columns, that the shards looked up. The order of each sum is that of
    /// the shards and of the lookups within them.
    pub fn collect<'a>(
        &mut self,
        level: Level,
        cols: usize,
        lookups: impl Fn(usize) -> Option<&'a Lookups> + Sync,
        shards: usize,
    ) {
        let lookups = |shard| lookups(shard).expect("lookups of every shard");
        self.cols = cols;
        self.keys.clear();
        self.places.clear();
        for shard in 0..shards {
            for (at, id) in lookups(shard).ids.iter().enumerate() {
                self.keys.push(u64::from(*id) << 32 | self.places.len() as u64);
                self.places.push((shard as u32, at as u32));
            }
        }
        self.keys.sort_unstable();
        self.rows.clear();
        self.runs.clear();
        for (k, key) in self.keys.iter().enumerate() {
            let row = (key >> 32) as u32;
            if self.rows.last() != Some(&row) {
                self.rows.push(row);
                self.runs.push(k as u32);
            }
        }
        self.runs.push(self.keys.len() as u32);
        self.grads.resize(self.rows.len() * cols, 0.0);
        self.squares.resize(self.rows.len(), 0.0);
        let (keys, places, runs) = (&self.keys, &self.places, &self.runs);
        let sums = self.grads.par_chunks_mut(cols).zip(self.squares.par_iter_mut());
        let grad_of = |key: &u64| {
            let (shard, at) = places[(key & 0xffff_ffff) as usize];
            &lookups(shard as usize).grads[at as usize * cols..][..cols]
        };
        sums.enumerate().with_min_len(GRAIN).for_each(|(i, (sum, square))| {
            if let Some(key) = keys.get(runs[i] as usize + AHEAD) {
                prefetch(grad_of(key));
            }
            sum.fill(0.0);
            for key in &keys[runs[i] as usize..runs[i + 1] as usize] {
                add_scaled(level, sum, 1.0, grad_of(key));
            }
            *square = sum_squares(level, sum);
        });
    }

    /// The sum of the squares of all row gradients.
    pub fn sum_squares(&self) -> f64 {
        self.squares.iter().sum()
    }

    /// Rows that were read, ascending.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// The summed gradients, one row for each of [`RowGrads::rows`].
    pub fn grads(&self) -> &[f32] {
        &self.grads
    }

    /// Applies an update rule to the rows that were read and to no others.
    pub fn apply(&self, table: &mut Table, state: &mut [Vec<f32>; 2], rule: &Rule) {
        let [first, second] = state;
        let part = Part { base: 0, values: &mut table.data, state: [first, second] };
        update(&self.rows, &self.grads, self.cols, part, rule);
    }

    /// Bytes held, for memory accounts.
    pub fn bytes(&self) -> usize {
        8 * (self.keys.capacity() + self.places.capacity() + self.squares.capacity())
            + 4 * (self.rows.capacity() + self.runs.capacity() + self.grads.capacity())
    }
}

/// A run of table rows from row `base` on, with the optimiser's state beside it (empty where it needs none).
struct Part<'a> {
    base: u32,
    values: &'a mut [f32],
    state: [&'a mut [f32]; 2],
}

/// Splits the table where the list of rows splits, so that threads own disjoint parts.
fn update(rows: &[u32], grads: &[f32], cols: usize, part: Part<'_>, rule: &Rule) {
    if rows.len() > GRAIN {
        let middle = rows.len() / 2;
        let at = (rows[middle] - part.base) as usize * cols;
        let (left, right) = part.values.split_at_mut(at);
        let [first, second] = part.state.map(|s| if s.is_empty() { (&mut [][..], s) } else { s.split_at_mut(at) });
        let left = Part { base: part.base, values: left, state: [first.0, second.0] };
        let right = Part { base: rows[middle], values: right, state: [first.1, second.1] };
        rayon::join(
            || update(&rows[..middle], &grads[..middle * cols], cols, left, rule),
            || update(&rows[middle..], &grads[middle * cols..], cols, right, rule),
        );
        return;
    }
    let Part { base, values, state: [first, second] } = part;
    let place = |row: &u32, s: &[f32]| {
        if s.is_empty() { 0..0 } else { (row - base) as usize * cols..(row - base + 1) as usize * cols }
    };
    for (i, (row, grad)) in rows.iter().zip(grads.chunks(cols)).enumerate() {
        if let Some(row) = rows.get(i + AHEAD) {
            [&*values, &*first, &*second].into_iter().for_each(|s| prefetch(&s[place(row, s)]));
        }
        let (at, r1, r2) = (place(row, values), place(row, first), place(row, second));
        rule.apply(&mut values[at], &mut first[r1], &mut second[r2], grad);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops;
    use crate::params::Params;
    use crate::tape::{Engine, Graph};
    use crate::train::config::OptimizerKind;

    #[test]
    fn repeated_rows_add_up_and_others_stay() {
        let mut params = Params::default();
        let v = params.add_table("V", 300, 2);
        params.table_mut(v).data.iter_mut().enumerate().for_each(|(i, x)| *x = i as f32);
        let mut tape = Tape::default();
        let mut shards = [Lookups::default(), Lookups::default()];
        // Enough rows for several splits, some of them in both shards and in both passes of the second.
        for (shard, ids) in [(0, (0..200).collect::<Vec<u32>>()), (1, vec![299, 7]), (1, vec![7])] {
            let mut g = Graph::new(&params, &mut tape, Engine::Naive, Level::best());
            let ids = g.index(ids.iter().copied());
            let x = ops::embed(&mut g, &[(v, ids)]);
            let y = ops::scale(&mut g, x, 1.0, 0.0);
            g.backward(&[(y, 1.0)]);
            shards[shard].take(&tape, &params, 0);
        }
        let mut rows = RowGrads::default();
        rows.collect(Level::best(), 2, |i| shards.get(i), 2);
        assert_eq!(rows.rows().len(), 201);
        assert_eq!(rows.sum_squares(), 2.0 * (199.0 + 9.0 + 1.0));
        let before = params.table(v).data.to_vec();
        let rule = Rule::new(Level::best(), OptimizerKind::Sgd, 1.0, 0.5, 1);
        rows.apply(params.table_mut(v), &mut [vec![], vec![]], &rule);
        for (i, (a, b)) in before.iter().zip(&params.table(v).data[..]).enumerate() {
            let times = match i / 2 {
                7 => 3.0,
                0..200 | 299 => 1.0,
                _ => 0.0,
            };
            assert_eq!(*b, a - 0.5 * times, "row {}", i / 2);
        }
    }
}
