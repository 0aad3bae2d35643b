//! One item's place among all others, block of scores by block of scores.

use crate::data::{Dataset, Sample};
use crate::metrics::{Rank, Ranked};
use crate::scorer::Scored;
use crate::scorer::best::{Best, LANES};

/// What is known of a ranking while its scores come in.
///
/// Left out are the items that the user had before; the item to find is ranked whether it is among them or not.
/// Ties count half, NaN is never right: an item with NaN stands above, and above an item to find with NaN stand all.
#[derive(Debug)]
pub(super) struct Tally {
    sample: Sample,
    target: u32,
    /// The score to beat.
    score: f32,
    greater: u32,
    ties: u32,
    /// Items left out, ascending; how many of them have been met.
    left_out: Vec<u32>,
    met: usize,
    best: Best,
}

impl Tally {
    /// A ranking that has seen no scores; the best `most` items will be known.
    pub fn new(dataset: &Dataset, sample: Sample, most: usize) -> Tally {
        let events = dataset.history(sample.user);
        let target = events.items[sample.target as usize];
        let mut left_out: Vec<u32> =
            events.items[..sample.target as usize].iter().copied().filter(|item| *item != target).collect();
        left_out.sort_unstable();
        left_out.dedup();
        let best = Best::new(most.min(dataset.items()));
        Tally { sample, target, score: f32::NAN, greater: 0, ties: 0, left_out, met: 0, best }
    }

    /// The sample.
    pub fn sample(&self) -> Sample {
        self.sample
    }

    /// The item to find.
    pub fn target(&self) -> u32 {
        self.target
    }

    /// Says what the item to find scores, before the first block.
    pub fn expect(&mut self, score: f32) {
        self.score = score;
    }

    /// Takes the scores of the items from `first` on; blocks come in ascending order. The scores of items left out
    /// are overwritten.
    pub fn take(&mut self, first: u32, scores: &mut [f32]) {
        let end = first + scores.len() as u32;
        // NaN is counted as above, whatever the score to beat.
        while let Some(item) = self.left_out.get(self.met).filter(|item| **item < end) {
            scores[(*item - first) as usize] = f32::NAN;
            self.greater = self.greater.wrapping_sub(1);
            self.met += 1;
        }
        if (first..end).contains(&self.target) {
            let own = scores[(self.target - first) as usize];
            self.greater = self.greater.wrapping_sub(u32::from(above(own, self.score)));
            self.ties = self.ties.wrapping_sub(u32::from(own == self.score));
        }
        let score = self.score;
        let (mut greater, mut ties) = ([0u32; LANES], [0u32; LANES]);
        let (chunks, rest) = scores.as_chunks::<LANES>();
        let mut at = first;
        for chunk in chunks {
            for ((x, greater), ties) in chunk.iter().zip(&mut greater).zip(&mut ties) {
                *greater += u32::from(above(*x, score));
                *ties += u32::from(*x == score);
            }
            if self.best.may_take_any(chunk) {
                self.remember(at, chunk);
            }
            at += LANES as u32;
        }
        for x in rest {
            greater[0] += u32::from(above(*x, score));
            ties[0] += u32::from(*x == score);
        }
        self.remember(at, rest);
        self.greater = self.greater.wrapping_add(greater.iter().sum());
        self.ties = self.ties.wrapping_add(ties.iter().sum());
    }

    /// NaN is never among the best.
    fn remember(&mut self, first: u32, scores: &[f32]) {
        for (item, &score) in (first..).zip(scores).filter(|(_, score)| !score.is_nan()) {
            self.best.offer(Scored { item, score });
        }
    }

    /// The ranking, after all scores.
    pub fn finish(mut self, items: usize) -> Ranked {
        let others = items - self.left_out.len() - 1;
        Ranked {
            user: self.sample.user,
            target: self.target,
            history: self.sample.target,
            rank: Rank { greater: self.greater, ties: self.ties, others: others as u32 },
            top: self.best.drain().map(|best| best.item).collect(),
        }
    }
}

/// Whether `x` stands above `score`: NaN on either side does.
#[inline(always)]
#[allow(clippy::neg_cmp_op_on_partial_ord)]
fn above(x: f32, score: f32) -> bool {
    !(x <= score)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same by [`Rank::of`] and a stable sort.
    fn naive(dataset: &Dataset, sample: Sample, scores: &[f32], most: usize) -> Ranked {
        let events = dataset.history(sample.user);
        let (before, target) = (&events.items[..sample.target as usize], events.items[sample.target as usize]);
        let mut order: Vec<u32> = (0..scores.len() as u32)
            .filter(|item| !scores[*item as usize].is_nan() && (*item == target || !before.contains(item)))
            .collect();
        order.sort_by(|a, b| scores[*b as usize].partial_cmp(&scores[*a as usize]).unwrap());
        order.truncate(most);
        let rank = Rank::of(scores, target, before);
        Ranked { user: sample.user, target, history: sample.target, rank, top: order }
    }

    #[test]
    fn blocks_of_any_length_give_the_rank_and_the_best_of_a_whole_sort() {
        let n = 75usize;
        let mut state = 1u64;
        let mut next = |below: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        for round in 0..300 {
            let special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0];
            let mut scores: Vec<f32> = (0..n).map(|_| next(9) as f32 - 4.0).collect();
            for _ in 0..next(6) {
                scores[next(n as u64) as usize] = special[next(5) as usize];
            }
            // Everything but the target had, now and then; repeats; the target had before.
            let had = if round % 10 == 0 { 3 * n as u64 } else { 1 + next(20) };
            let mut items: Vec<u32> = (0..had).map(|_| next(n as u64) as u32).collect();
            items.push(next(n as u64) as u32);
            let dataset = Dataset::from_histories(&[&items], n).unwrap();
            let sample = Sample { user: 0, target: had as u32 };
            for (most, block) in [(0, 1), (1, 5), (10, 16), (10, n), (200, 33)] {
                let mut tally = Tally::new(&dataset, sample, most);
                tally.expect(scores[items[had as usize] as usize]);
                for (at, part) in scores.chunks(block).enumerate() {
                    tally.take((at * block) as u32, &mut part.to_vec());
                }
                let got = tally.finish(n);
                assert_eq!(got, naive(&dataset, sample, &scores, most), "round {round}, blocks of {block}");
            }
        }
    }
}
