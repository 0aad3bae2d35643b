//! Several processes that train one model together, each on a machine of its own perhaps: its ranks.
//!
//! Every rank holds the whole log and all tables, but of each table [a part of the rows](shares) is its own: of these it alone
//! has the optimiser's state, the average and the best epoch's values. A step's samples, negatives and shards are those of a single process; rank
//! r computes the r-th run of shards, which is a node of the [tree](super::tree), and what the ranks come to is summed
//! by the same tree:
//!
//! ```text
//! softmax losses    all-gather of the user vectors; each rank takes a part of the items and tells the others what their
//!                   loss and gradients are                                                       catalogue/share.rs
//! dense gradients   all-to-all of slices, each summed by one rank; all-gather of the sums        dense.rs
//! row gradients     to the rows' owners, which sum them; all-gather of the sums' squares; the owners update
//!                   their rows; all-gather of these                                              rows.rs
//! loss terms        all-gather of the shards' terms, folded by every rank
//! evaluation        each rank takes a part of the samples; all-gather of what they came to
//! ```
//!
//! So all ranks take the same step to the same bits, which are those of one process. A message is words of 32 bits, whatever
//! they stand for: machines of one kind only.

mod agree;
mod alone;
pub mod cost;
mod dense;
#[cfg(feature = "mpi")]
pub mod mpi;
mod parcels;
mod rows;
pub mod shares;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod threads;

use crate::train::config::TrainConfig;
pub use agree::{Differs, Sameness};
pub use alone::Alone;
use cost::Traffic;
use std::ops::Range;

/// How words get from rank to rank. All ranks call the same methods in the same order; each call ends when this rank has what
/// it gets.
pub trait Ranks: Send + Sync {
    /// The number of this rank, from 0.
    fn rank(&self) -> usize;

    /// How many there are.
    fn count(&self) -> usize;

    /// `send` has a part for each rank, of the lengths `to`; what each rank has for this one comes into `receive`, of the
    /// lengths `from`, in the order of the ranks.
    fn all_to_all(&self, send: &[u32], to: &[usize], receive: &mut [u32], from: &[usize]);

    /// The parts of all ranks, of the lengths `parts`, come into `all` in their order. This rank's is `mine`.
    fn all_gather(&self, mine: &[u32], parts: &[usize], all: &mut [u32]);
}

/// A number of ranks that the settings do not go with.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{ranks} ranks cannot share {shards} shards of a batch: each takes as many, and a power of two of them. \
     --shards {} can be shared (with other last bits than {shards}, on any number of machines)", 
    self.possible()
)]
pub struct Unshared {
    /// Ranks.
    pub ranks: usize,
    /// Shards of a batch.
    pub shards: usize,
}

impl Unshared {
    /// The least number of shards that is no smaller and can be shared.
    fn possible(&self) -> usize {
        self.ranks * self.shards.div_ceil(self.ranks).next_power_of_two()
    }
}

/// Words that are under way at a time where there are many: 64 MiB.
const PIECE: usize = 1 << 24;

/// The part of `count` things that is rank number `rank`'s of `ranks`.
fn part(count: usize, rank: usize, ranks: usize) -> Range<usize> {
    count * rank / ranks..count * (rank + 1) / ranks
}

/// A number of 64 bits in words.
pub(crate) fn halves(number: u64) -> [u32; 2] {
    [number as u32, (number >> 32) as u32]
}

/// The numbers of 64 bits that [`halves`] made words of.
pub(crate) fn wholes(words: &[u32]) -> impl Iterator<Item = u64> {
    words.as_chunks().0.iter().map(|[low, high]| u64::from(*high) << 32 | u64::from(*low))
}

/// The ranks as a training uses them: what it says and hears, counted.
pub struct Team {
    ranks: Box<dyn Ranks>,
    traffic: Traffic,
    send: Vec<u32>,
    receive: Vec<u32>,
    rows: rows::Room,
}

impl Default for Team {
    /// A single process.
    fn default() -> Team {
        Team::new(Box::new(Alone))
    }
}

impl Team {
    /// A team of ranks.
    pub fn new(ranks: Box<dyn Ranks>) -> Team {
        let (traffic, send, receive, rows) = (Traffic::default(), Vec::new(), Vec::new(), rows::Room::default());
        Team { ranks, traffic, send, receive, rows }
    }

    /// The number of this rank, from 0.
    pub fn rank(&self) -> usize {
        self.ranks.rank()
    }

    /// How many ranks there are.
    pub fn count(&self) -> usize {
        self.ranks.count()
    }

    /// Whether this is a single process, which exchanges nothing.
    pub fn is_alone(&self) -> bool {
        self.count() == 1
    }

    /// Whether this rank speaks and writes for all.
    pub fn leads(&self) -> bool {
        self.rank() == 0
    }

    /// What this rank has sent so far.
    pub fn traffic(&self) -> Traffic {
        self.traffic
    }

    /// Whether a batch's shards can be shared.
    ///
    /// # Errors
    /// [`Unshared`].
    pub fn check(&self, config: &TrainConfig) -> Result<(), Unshared> {
        let (ranks, shards) = (self.count(), config.shard_count());
        let whole = shards.is_multiple_of(ranks) && (shards / ranks).is_power_of_two();
        if ranks == 1 || whole { Ok(()) } else { Err(Unshared { ranks, shards }) }
    }

    /// The shards that are this rank's, of `there` that a batch has come to: a node of the tree over all `shards`, as far as
    /// it has leaves.
    pub fn own(&self, shards: usize, there: usize) -> Range<usize> {
        self.of(self.rank(), shards, there)
    }

    /// As [`Team::own`], of any rank.
    pub fn of(&self, rank: usize, shards: usize, there: usize) -> Range<usize> {
        let each = shards.div_ceil(self.count());
        (rank * each).min(there)..((rank + 1) * each).min(there)
    }

    /// Where each rank's part of `count` things begins and ends, parts of about one size.
    pub fn parts(&self, count: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let ranks = self.count();
        (0..ranks).map(move |rank| part(count, rank, ranks))
    }

    /// This rank's part of `count` things.
    pub fn part(&self, count: usize) -> Range<usize> {
        part(count, self.rank(), self.count())
    }

    /// All of `all`, of which this rank has its own part, of the lengths `parts` in the ranks' order. Long ones go in pieces, so that
    /// little room is needed beside `all`.
    pub fn gather(&mut self, all: &mut [f32], parts: &[usize]) {
        if self.is_alone() {
            return;
        }
        let starts = |rank: usize| parts[..rank].iter().sum::<usize>();
        let first = starts(self.rank());
        let step = PIECE / self.count();
        for from in (0..parts.iter().copied().max().unwrap_or(0)).step_by(step) {
            let piece: Vec<usize> = parts.iter().map(|len| len.saturating_sub(from).min(step)).collect();
            let mut mine = std::mem::take(&mut self.send);
            mine.clear();
            let own = first + from.min(parts[self.rank()])..;
            mine.extend(all[own].iter().take(piece[self.rank()]).map(|x| x.to_bits()));
            let mut words = self.gather_known(mine, &piece);
            for (rank, len) in piece.into_iter().enumerate().filter(|(_, len)| *len > 0) {
                let (these, rest) = words.split_at(len);
                let to = &mut all[starts(rank) + from..][..len];
                to.iter_mut().zip(these).for_each(|(x, bits)| *x = f32::from_bits(*bits));
                words = rest;
            }
        }
    }

    /// The words of all ranks, one after the other, of which this one has `mine`, where all know how many each has.
    pub(crate) fn gather_known(&mut self, mine: Vec<u32>, parts: &[usize]) -> &[u32] {
        self.send = mine;
        self.receive.resize(parts.iter().sum(), 0);
        self.traffic.gathers(self.send.len(), self.ranks.count());
        self.ranks.all_gather(&self.send, parts, &mut self.receive);
        &self.receive
    }

    /// The words of all ranks, one after the other, of which this one has `mine`; and how many each has.
    pub fn gather_words(&mut self, mine: &[u32]) -> (Vec<u32>, Vec<usize>) {
        if self.is_alone() {
            return (mine.to_vec(), vec![mine.len()]);
        }
        let count = self.count();
        // Lengths first; they may be beyond 32 bits.
        let mut lengths = vec![0; 2 * count];
        self.ranks.all_gather(&halves(mine.len() as u64), &vec![2; count], &mut lengths);
        let parts: Vec<usize> = wholes(&lengths).map(|length| length as usize).collect();
        let mut all = vec![0; parts.iter().sum()];
        self.traffic.gathers(2, count);
        self.traffic.gathers(mine.len(), count);
        self.ranks.all_gather(mine, &parts, &mut all);
        (all, parts)
    }

    /// The bytes of all ranks.
    pub fn gather_bytes(&mut self, mine: &[u8]) -> Vec<Vec<u8>> {
        let mut words = vec![mine.len() as u32];
        words.extend(mine.chunks(4).map(|chunk| {
            let mut word = [0; 4];
            word[..chunk.len()].copy_from_slice(chunk);
            u32::from_le_bytes(word)
        }));
        let (all, parts) = self.gather_words(&words);
        let mut first = 0;
        let of = |part: usize| {
            let words = &all[first..first + part];
            first += part;
            let (length, words) = words.split_first().unwrap_or((&0, &[]));
            // A length of 32 bits tells what the last word has; the others are full.
            let mut bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            let spare = (4 - *length as usize % 4) % 4;
            bytes.truncate(bytes.len() - spare);
            bytes
        };
        parts.into_iter().map(of).collect()
    }

    /// The numbers of all ranks, one list after the other.
    pub fn gather_f64(&mut self, mine: &[f64]) -> Vec<f64> {
        let words: Vec<u32> = mine.iter().flat_map(|x| halves(x.to_bits())).collect();
        let (all, _) = self.gather_words(&words);
        wholes(&all).map(f64::from_bits).collect()
    }

    /// Whatever of these flags a rank has set.
    pub fn any(&mut self, mine: u32) -> u32 {
        self.fold(mine, |any, flags| any | flags)
    }

    /// The largest of the ranks' numbers.
    pub fn most(&mut self, mine: u32) -> u32 {
        self.fold(mine, u32::max)
    }

    /// What the numbers of all ranks come to, in the ranks' order.
    fn fold(&mut self, mine: u32, join: impl Fn(u32, u32) -> u32) -> u32 {
        if self.is_alone() {
            return mine;
        }
        let count = self.count();
        let mut all = vec![0; count];
        self.traffic.gathers(1, count);
        self.ranks.all_gather(&[mine], &vec![1; count], &mut all);
        all.into_iter().fold(mine, join)
    }

    /// Comes back when all ranks are here.
    pub fn wait(&mut self) {
        self.most(0);
    }

    /// Bytes held, for memory accounts.
    pub fn bytes(&self) -> usize {
        4 * (self.send.capacity() + self.receive.capacity()) + self.rows.bytes()
    }
}
