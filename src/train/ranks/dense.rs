//! The sum of the ranks' dense gradients.

use super::Team;
use crate::train::tree;
use dmran_kernels::Level;

impl Team {
    /// Sums `grads` over the first `there` ranks, those that had shards, by the tree; every rank has the sum then. Each sums a
    /// slice. Runs on the current pool of threads.
    pub fn sum(&mut self, level: Level, grads: &mut [f32], there: usize) {
        if self.is_alone() {
            return;
        }
        let slices: Vec<usize> = self.parts(grads.len()).map(|part| part.len()).collect();
        let (rank, ranks) = (self.rank(), self.count());
        let own = slices[rank];
        let nothing = vec![0; ranks];
        let from: Vec<usize> = (0..ranks).map(|rank| if rank < there { own } else { 0 }).collect();
        self.send.clear();
        let to = if rank < there {
            self.send.extend(grads.iter().map(|x| x.to_bits()));
            &slices
        } else {
            &nothing
        };
        self.receive.resize(there * own, 0);
        self.traffic.sends(to, rank);
        self.ranks.all_to_all(&self.send, to, &mut self.receive, &from);
        let first = slices[..rank].iter().sum::<usize>();
        let mut parts: Vec<Vec<f32>> = (0..there)
            .map(|rank| self.receive[rank * own..(rank + 1) * own].iter().map(|bits| f32::from_bits(*bits)).collect())
            .collect();
        tree::fold(&mut parts, |left, right| tree::add(level, left, right));
        match parts.first() {
            Some(sum) => grads[first..first + own].copy_from_slice(sum),
            None => grads[first..first + own].fill(0.0),
        }
        self.gather(grads, &slices);
    }
}
