//! The fixed tree over which the shards of a batch are summed: shard 0 with 1, 2 with 3, and so on; then these sums in pairs,
//! and theirs. Where there is nothing to the right, the left sum goes up as it is.
//!
//! ```text
//!             ((0 + 1) + (2 + 3)) + 4
//!            /                   \
//!      (0 + 1) + (2 + 3)          4          level 2 : sums over 4 shards
//!       /           \             |
//!     0 + 1       2 + 3           4          level 1 : over 2
//!     /   \       /   \           |
//!    0     1     2     3          4          level 0 : the shards
//! ```
//!
//! Who computes which node does not matter: a run of shards that begins at a multiple of a power of two and is as long is a
//! node of its own. Threads and machines take such runs, and the bits are those of a single thread.

use dmran_kernels::Level;
use dmran_kernels::optim::add_scaled;
use rayon::prelude::*;

/// Numbers that one thread adds at a time.
const CHUNK: usize = 1 << 13;

/// Sums `all` in place by the tree; the sum is in the first.
pub fn fold<T>(all: &mut [T], mut add: impl FnMut(&mut T, &T)) {
    let mut step = 1;
    while step < all.len() {
        for pair in all.chunks_mut(2 * step).filter(|pair| pair.len() > step) {
            let (left, right) = pair.split_at_mut(step);
            add(&mut left[0], &right[0]);
        }
        step *= 2;
    }
}

/// `to += from`, on all threads of the current pool.
pub fn add(level: Level, to: &mut [f32], from: &[f32]) {
    let chunks = to.par_chunks_mut(CHUNK).zip(from.par_chunks(CHUNK));
    chunks.for_each(|(to, from)| add_scaled(level, to, 1.0, from));
}

/// The level of the lowest node that two leaves have in common.
pub fn meet(a: u32, b: u32) -> u32 {
    u32::BITS - (a ^ b).leading_zeros()
}

/// Partial sums that a [`Run`] of so many leaves keeps.
pub fn partial_sums(leaves: usize) -> usize {
    leaves.checked_ilog2().map_or(0, |level| level as usize + 1)
}

/// The sum over a run of neighbouring leaves that come one after the other: as many partial sums as the tree has levels are
/// kept, whatever the number of leaves.
#[derive(Debug, Default)]
pub struct Run {
    /// At each level a sum of 2^level leaves, where the count of leaves has that bit.
    sums: Vec<Vec<f32>>,
    count: usize,
}

impl Run {
    /// Begins a new run, in the room of the old one.
    pub fn begin(&mut self) {
        self.count = 0;
    }

    /// Takes the next leaf; other room comes in its place.
    pub fn push(&mut self, level: Level, leaf: &mut Vec<f32>) {
        if self.sums.is_empty() {
            self.sums.push(Vec::new());
        }
        let mut at = 0;
        if self.count & 1 == 0 {
            std::mem::swap(&mut self.sums[0], leaf);
        } else {
            add_scaled(level, &mut self.sums[0], 1.0, leaf);
            // What stands at a level that was full already goes up to the next one.
            while self.count >> (at + 1) & 1 == 1 {
                let (below, above) = self.sums.split_at_mut(at + 1);
                add_scaled(level, &mut above[0], 1.0, &below[at]);
                at += 1;
            }
            if self.sums.len() == at + 1 {
                self.sums.push(Vec::new());
            }
            self.sums.swap(at, at + 1);
        }
        self.count += 1;
    }

    /// The sum over all leaves that came, to read or to take; nothing where none has.
    pub fn finish(&mut self, level: Level) -> Option<&mut Vec<f32>> {
        let mut lowest = None;
        for at in (0..self.sums.len()).filter(|at| self.count >> at & 1 == 1) {
            if let Some(lower) = lowest {
                let (below, above) = self.sums.split_at_mut(at);
                let lower: &Vec<f32> = &below[lower];
                add_scaled(level, &mut above[0], 1.0, lower);
            }
            lowest = Some(at);
        }
        self.count = 0;
        lowest.map(|at| &mut self.sums[at])
    }

    /// Bytes held, for memory accounts.
    pub fn bytes(&self) -> usize {
        4 * self.sums.iter().map(Vec::capacity).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tree by its definition: the sum of a node at a level, nothing where it has no leaves.
    fn node(leaves: &[f32], level: u32, index: usize) -> Option<f32> {
        if level == 0 {
            return leaves.get(index).copied();
        }
        let [left, right] = [2 * index, 2 * index + 1].map(|child| node(leaves, level - 1, child));
        Some(left? + right.unwrap_or(-0.0))
    }

    /// Numbers of very different sizes: another order gives another sum.
    fn leaves(count: usize) -> Vec<f32> {
        (0..count).map(|i| ((i * 7919 + 13) % 1009) as f32 * 10f32.powi((i * 5 % 13) as i32 - 6)).collect()
    }

    #[test]
    fn folds_and_runs_give_the_sums_of_the_tree() {
        let level = Level::best();
        let mut differ = 0;
        for count in 1..70 {
            let leaves = leaves(count);
            let expected = node(&leaves, 7, 0).unwrap().to_bits();
            let mut all = leaves.clone();
            fold(&mut all, |left, right| *left += right);
            assert_eq!(all[0].to_bits(), expected, "{count} leaves");
            differ += usize::from(leaves.iter().sum::<f32>().to_bits() != expected);
            // Runs of each power of two, each by itself, then theirs.
            for size in [1, 2, 4, 8, 16, 128] {
                let mut run = Run::default();
                let mut sums: Vec<f32> = leaves
                    .chunks(size)
                    .map(|part| {
                        run.begin();
                        for leaf in part {
                            run.push(level, &mut vec![*leaf]);
                        }
                        run.finish(level).unwrap()[0]
                    })
                    .collect();
                fold(&mut sums, |left, right| *left += right);
                assert_eq!(sums[0].to_bits(), expected, "{count} leaves in runs of {size}");
                assert!(run.sums.len() <= partial_sums(size), "{} sums for runs of {size}", run.sums.len());
            }
        }
        assert!(differ > 30, "the numbers tell one order from another");
        assert!(Run::default().finish(level).is_none());
    }

    #[test]
    fn leaves_meet_where_the_tree_says() {
        assert_eq!([(0, 0), (0, 1), (1, 2), (2, 3), (3, 4), (5, 7)].map(|(a, b)| meet(a, b)), [0, 1, 2, 1, 3, 2]);
    }
}
