//! What the ranks of a team tell each other of a catalogue, whose runs they share.

use super::{Catalogue, Gathered};
use crate::train::ranks::cost::Compared;
use crate::train::ranks::{Team, halves, wholes};
use std::ops::Range;

impl Catalogue {
    /// The sizes of a comparison of so many targets.
    pub(crate) fn compared(&self, targets: usize) -> Compared {
        let d = self.width + self.category_width;
        let width = d + usize::from(!self.d_bias.is_empty());
        Compared { targets, d, items: self.items, width, runs: self.runs.len(), again: self.d_categories.len() }
    }

    /// Where the items of each rank begin, and where the last one's end.
    pub(crate) fn bounds(&self, team: &Team) -> Vec<usize> {
        [0].into_iter().chain(team.parts(self.runs.len()).map(|runs| (runs.end * self.run).min(self.items))).collect()
    }

    /// Brings what all runs have come to in a chunk of `rows` rows to all ranks, of which this one has those of `own`.
    pub(super) fn share_runs(&mut self, team: &mut Team, own: &Range<usize>, rows: usize) {
        if team.is_alone() {
            return;
        }
        let d = self.width + self.category_width;
        let mut mine = Vec::with_capacity(own.len() * rows * (4 + d));
        for run in &self.runs[own.clone()] {
            mine.extend(run.max[..rows].iter().map(|x| x.to_bits()));
            mine.extend(run.sum[..rows].iter().flat_map(|x| halves(x.to_bits())));
            mine.extend(run.target[..rows].iter().map(|x| x.to_bits()));
            mine.extend(run.d_users[..rows * d].iter().map(|x| x.to_bits()));
        }
        let parts: Vec<usize> = team.parts(self.runs.len()).map(|runs| runs.len() * rows * (4 + d)).collect();
        let mut left = team.gather_known(mine, &parts);
        for (at, run) in self.runs.iter_mut().enumerate() {
            let (words, rest) = left.split_at(rows * (4 + d));
            left = rest;
            if own.contains(&at) {
                continue;
            }
            run.begin(rows, d, 0);
            let (max, words) = words.split_at(rows);
            let (sum, words) = words.split_at(2 * rows);
            let (target, d_users) = words.split_at(rows);
            put(&mut run.max, max);
            put(&mut run.target[..rows], target);
            put(&mut run.d_users[..rows * d], d_users);
            run.sum.iter_mut().zip(wholes(sum)).for_each(|(x, bits)| *x = f64::from_bits(bits));
        }
    }

    /// Brings gradients of all items to all ranks, of which this one has those of the runs `own`.
    pub(super) fn share_gradients(&mut self, team: &mut Team, gathered: Gathered, own: &Range<usize>) {
        if team.is_alone() {
            return;
        }
        let items: Vec<usize> = self.bounds(team).windows(2).map(|ends| ends[1] - ends[0]).collect();
        let times = |columns: usize| -> Vec<usize> { items.iter().map(|items| items * columns).collect() };
        team.gather(&mut self.d_parts, &times(self.category_width));
        if gathered == Gathered::All {
            team.gather(&mut self.d_items, &times(self.width));
            let biases = if self.d_bias.is_empty() { times(0) } else { items };
            team.gather(&mut self.d_bias, &biases);
        }
        let mine: Vec<f64> = self.runs[own.clone()].iter().flat_map(|run| run.squares).collect();
        let all = team.gather_f64(&mine);
        self.runs.iter_mut().zip(all.as_chunks().0).for_each(|(run, squares)| run.squares = *squares);
    }
}

/// Numbers of their bits.
fn put(to: &mut [f32], words: &[u32]) {
    to.iter_mut().zip(words).for_each(|(x, bits)| *x = f32::from_bits(*bits));
}
