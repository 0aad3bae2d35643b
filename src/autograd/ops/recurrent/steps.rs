//! Ragged histories by time step: all first events, then all second events, and so on, longest history first.
//!
//! In this order the histories that still run at a step are a prefix of those of the step before, so a recurrent
//! layer multiplies one block of rows a step and never computes a padded position.

use crate::autograd::tape::{Graph, Values};
use crate::autograd::var::Index;

/// Rows of a ragged matrix in the order of time steps.
#[derive(Clone, Copy, Debug)]
pub struct Steps {
    /// Segments from the longest to the shortest.
    order: Index,
    /// Where each step begins among the reordered rows; one entry more than steps.
    starts: Index,
    /// Row of the ragged matrix that stands at each place of the new order.
    rows: Index,
}

/// The order of steps, to read.
#[derive(Clone, Copy, Debug)]
pub struct StepsView<'a> {
    /// Segments from the longest to the shortest.
    pub order: &'a [u32],
    /// Row of the ragged matrix at each place.
    pub rows: &'a [u32],
    starts: &'a [u32],
}

/// The order of time steps of the segments `offsets`; with `reversed` the last event of each comes first.
pub fn steps(g: &mut Graph<'_>, offsets: Index, reversed: bool) -> Steps {
    let first = offsets.start;
    let segments = offsets.len.saturating_sub(1);
    let len = move |all: &[u32], b: u32| all[first + b as usize + 1] - all[first + b as usize];
    let order = g.index_from(|all| {
        let at = all.len();
        all.extend(0..segments as u32);
        let (below, order) = all.split_at_mut(at);
        order.sort_unstable_by_key(|b| (std::cmp::Reverse(len(below, *b)), *b));
    });
    let starts = g.index_from(|all| {
        let (mut active, mut total, mut step) = (segments, 0, 0);
        all.push(0);
        loop {
            while active > 0 && len(all, all[order.start + active - 1]) <= step {
                active -= 1;
            }
            if active == 0 {
                return;
            }
            total += active as u32;
            step += 1;
            all.push(total);
        }
    });
    let rows = g.index_from(|all| {
        for t in 0..starts.len - 1 {
            for s in 0..all[starts.start + t + 1] - all[starts.start + t] {
                let b = all[order.start + s as usize] as usize;
                let row = if reversed { all[first + b + 1] - 1 - t as u32 } else { all[first + b] + t as u32 };
                all.push(row);
            }
        }
    });
    Steps { order, starts, rows }
}

impl Steps {
    /// Rows of the matrix that is reordered.
    pub fn len(&self) -> usize {
        self.rows.len
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.len == 0
    }

    /// Segments of the matrix that is reordered.
    pub fn segments(&self) -> usize {
        self.order.len
    }

    pub(in crate::autograd::ops) fn view<'a>(&self, v: Values<'a>) -> StepsView<'a> {
        StepsView { order: v.ids(self.order), rows: v.ids(self.rows), starts: v.ids(self.starts) }
    }
}

impl StepsView<'_> {
    /// Number of steps.
    pub fn count(&self) -> usize {
        self.starts.len() - 1
    }

    /// Places of a step among the reordered rows.
    pub fn step(&self, t: usize) -> std::ops::Range<usize> {
        self.start(t)..self.start(t + 1)
    }

    /// First place of a step; for the step after the last one, the number of rows.
    pub fn start(&self, t: usize) -> usize {
        self.starts[t.min(self.count())] as usize
    }

    /// Copies the rows of `x` (of width `d`) into the order of steps.
    pub fn gather(&self, x: &[f32], d: usize, out: &mut [f32]) {
        for (to, row) in out.chunks_exact_mut(d).zip(self.rows) {
            to.copy_from_slice(&x[*row as usize * d..][..d]);
        }
    }

    /// Adds rows in the order of steps to those of `x` that they came from.
    pub fn scatter_add(&self, from: &[f32], d: usize, x: &mut [f32]) {
        for (from, row) in from.chunks_exact(d).zip(self.rows) {
            x[*row as usize * d..][..d].iter_mut().zip(from).for_each(|(x, f)| *x += f);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::steps;
    use crate::autograd::params::Params;
    use crate::autograd::tape::{Engine, Graph, Tape};
    use dmran_kernels::Level;

    #[test]
    fn longest_first_and_step_by_step() {
        let (params, mut tape) = (Params::default(), Tape::default());
        let mut g = Graph::new(&params, &mut tape, Engine::Naive, Level::best());
        // Lengths 2, 0, 3, 1, 2.
        let offsets = g.index([0, 2, 2, 5, 6, 8]);
        let forward = steps(&mut g, offsets, false);
        assert_eq!(g.indices(forward.order), [2, 0, 4, 3, 1]);
        assert_eq!(g.indices(forward.starts), [0, 4, 7, 8]);
        assert_eq!(g.indices(forward.rows), [2, 0, 6, 5, 3, 1, 7, 4]);
        let backward = steps(&mut g, offsets, true);
        assert_eq!(g.indices(backward.rows), [4, 1, 7, 5, 3, 0, 6, 2]);
        let nothing = g.index([0]);
        let nothing = steps(&mut g, nothing, false);
        assert_eq!((nothing.len(), g.indices(nothing.starts)), (0, &[0][..]));
    }
}
