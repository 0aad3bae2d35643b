//! Gradients of table rows: from lookups scattered over shards to one sum for each row that was read.

use crate::autograd::params::{Params, Table};
use crate::autograd::tape::Tape;
use crate::pool::Pool;
use crate::train::optimizer::Rule;
use crate::train::tree;
use dmran_kernels::Level;
use dmran_kernels::loss::sum_squares;
use dmran_kernels::optim::add_scaled;
use dmran_kernels::simd::{AHEAD, prefetch};
use rayon::prelude::*;
use std::ops::Range;

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

    /// Adds lookups of the rows `ids` with the numbers of their gradients, one after the other.
    pub(crate) fn fill(&mut self, ids: &[u32], grads: impl Iterator<Item = f32>) {
        self.ids.extend_from_slice(ids);
        self.grads.extend(grads);
    }

    /// Adds those of the lookups, of `cols` columns, to `out` that are of some rows, in their order.
    pub(crate) fn within(&self, rows: &Range<usize>, cols: usize, out: &mut Lookups) {
        let all = self.ids.iter().zip(self.grads.chunks_exact(cols));
        for (id, grad) in all.filter(|(id, _)| rows.contains(&(**id as usize))) {
            out.ids.push(*id);
            out.grads.extend_from_slice(grad);
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
    /// Room for a row's partial sums, one for each thread.
    partial: Pool<Vec<f32>>,
}

impl RowGrads {
    /// Sums the gradients of every row, of `cols` columns, that the shards looked up: within a shard in the order of the
    /// lookups, and over the shards by the [tree]. A shard that is `None` has no place in it.
    pub fn collect<'a>(
        &mut self,
        level: Level,
        cols: usize,
        lookups: impl Fn(usize) -> Option<&'a Lookups> + Sync,
        shards: usize,
    ) {
        self.cols = cols;
        self.keys.clear();
        self.places.clear();
        for shard in 0..shards {
            for (at, id) in lookups(shard).iter().flat_map(|lookups| lookups.ids.iter().enumerate()) {
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
        let levels = tree::meet(0, shards.saturating_sub(1) as u32) as usize;
        self.partial.fill(rayon::current_num_threads(), Vec::new, |partial| partial.resize(levels * cols, 0.0));
        let (keys, places, runs) = (&self.keys, &self.places, &self.runs);
        let place = |key: &u64| places[(key & 0xffff_ffff) as usize];
        let of_key = |key: &u64| {
            let (shard, at) = place(key);
            (shard, &lookups(shard as usize).expect("a shard that was there").grads[at as usize * cols..][..cols])
        };
        let sums = self.grads.par_chunks_mut(GRAIN * cols).zip(self.squares.par_chunks_mut(GRAIN));
        sums.enumerate().for_each(|(chunk, (sums, squares))| {
            self.partial.with(Vec::new, |partial| {
                for ((i, sum), square) in (chunk * GRAIN..).zip(sums.chunks_exact_mut(cols)).zip(squares) {
                    if let Some(key) = keys.get(runs[i] as usize + AHEAD) {
                        prefetch(of_key(key).1);
                    }
                    fold(level, keys[runs[i] as usize..runs[i + 1] as usize].iter().map(of_key), sum, partial);
                    *square = sum_squares(level, sum);
                }
            });
        });
    }

    /// The sum of the squares of all row gradients.
    pub fn sum_squares(&self) -> f64 {
        self.squares.iter().sum()
    }

    /// What each row adds to the sum of all squares: its own.
    pub fn squares(&self) -> &[f64] {
        &self.squares
    }

    /// The same, where it is something else, beside the rows and their gradients.
    pub(crate) fn parts_mut(&mut self) -> (&[u32], &[f32], &mut [f64]) {
        (&self.rows, &self.grads, &mut self.squares)
    }

    /// Rows that were read, ascending.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// The summed gradients, one row for each of [`RowGrads::rows`].
    pub fn grads(&self) -> &[f32] {
        &self.grads
    }

    /// Applies an update rule to the rows that were read and to no others. They are all of the table's numbers `own`, whose
    /// state this is.
    pub fn apply(&self, table: &mut Table, own: Range<usize>, state: &mut [Vec<f32>; 2], rule: &Rule) {
        let [first, second] = state;
        let base = (own.start / self.cols.max(1)) as u32;
        let part = Part { base, values: &mut table.data[own], state: [first, second] };
        update(&self.rows, &self.grads, self.cols, part, rule);
    }

    /// Bytes held, for memory accounts.
    pub fn bytes(&self) -> usize {
        8 * (self.keys.capacity() + self.places.capacity() + self.squares.capacity())
            + 4 * (self.rows.capacity() + self.runs.capacity() + self.grads.capacity())
            + self.partial.sum(|partial| 4 * partial.capacity())
    }
}

/// Sums one row's gradients, each with its shard, ascending: within a shard one after the other, over the shards by the
/// tree. `partial` has room for as many sums as the tree has levels.
fn fold<'a>(level: Level, all: impl Iterator<Item = (u32, &'a [f32])>, sum: &mut [f32], partial: &mut [f32]) {
    let cols = sum.len();
    // The shards of the sums that wait for what stands to their right; the first sum is in `sum`, the others in `partial`.
    let mut waiting = [0u32; u32::BITS as usize + 1];
    let mut depth = 0;
    let up = |depth: usize, sum: &mut [f32], partial: &mut [f32]| match depth {
        2 => add_scaled(level, sum, 1.0, &partial[..cols]),
        _ => {
            let (left, right) = partial.split_at_mut((depth - 2) * cols);
            add_scaled(level, &mut left[(depth - 3) * cols..], 1.0, &right[..cols]);
        }
    };
    for (shard, grad) in all {
        if depth > 0 && waiting[depth - 1] == shard {
            let to = if depth == 1 { &mut *sum } else { &mut partial[(depth - 2) * cols..][..cols] };
            add_scaled(level, to, 1.0, grad);
            continue;
        }
        // Two that meet below where the new one comes in have all that belongs to them.
        while depth >= 2 && tree::meet(waiting[depth - 2], waiting[depth - 1]) < tree::meet(waiting[depth - 1], shard) {
            up(depth, sum, partial);
            depth -= 1;
        }
        let to = if depth == 0 { &mut *sum } else { &mut partial[(depth - 1) * cols..][..cols] };
        to.copy_from_slice(grad);
        waiting[depth] = shard;
        depth += 1;
    }
    while depth >= 2 {
        up(depth, sum, partial);
        depth -= 1;
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
    use crate::autograd::ops;
    use crate::autograd::params::Params;
    use crate::autograd::tape::{Engine, Graph};
    use crate::train::config::OptimizerKind;

    #[test]
    fn a_row_is_folded_within_its_shard_and_then_by_the_tree() {
        let level = Level::best();
        let value = |i: usize| ((i * 7919 + 13) % 1009) as f32 * 10f32.powi((i * 5 % 13) as i32 - 6);
        let mut differ = 0;
        for round in 1..400usize {
            // Which of 21 shards read the row, and how often.
            let times: Vec<usize> = (0..21).map(|shard| (round * (shard + 3) * 31 / 7) % 5 % 3).collect();
            let mut shards: Vec<Lookups> = (0..21).map(|_| Lookups::default()).collect();
            let (mut leaves, mut all) = (Vec::new(), Vec::new());
            for (shard, times) in times.iter().enumerate() {
                let grads: Vec<f32> = (0..*times).map(|i| value(round + 40 * shard + i)).collect();
                shards[shard].push(std::iter::repeat_n(4, *times), grads.chunks_exact(1));
                leaves.push((*times > 0).then(|| grads[1..].iter().fold(grads[0], |sum, grad| sum + grad)));
                all.extend(grads);
            }
            tree::fold(&mut leaves, |left, right| *left = left.zip(*right).map(|(l, r)| l + r).or(*left).or(*right));
            let mut rows = RowGrads::default();
            rows.collect(level, 1, |shard| shards.get(shard), 21);
            assert_eq!(rows.grads().first().map(|x| x.to_bits()), leaves[0].map(f32::to_bits), "{times:?}");
            differ += usize::from(Some(all.iter().sum::<f32>()) != leaves[0]);
        }
        assert!(differ > 100, "the numbers tell one order from another");
    }

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
        rows.apply(params.table_mut(v), 0..600, &mut [vec![], vec![]], &rule);
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
