//! The order of samples and their negatives: functions of seed, epoch and position, so that a run can go on from any
//! step without carrying a generator's state.

use crate::data::Negatives;
use crate::data::Sample;
use crate::train::config::{NegativesKind, TrainConfig};
use crate::train::losses::Against;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};

/// What a generator is for; keeps streams of one seed apart.
#[derive(Clone, Copy, Debug)]
pub enum Purpose {
    /// The order of the samples in an epoch.
    Order = 1,
    /// Training negatives.
    Negatives = 2,
    /// Negatives of an evaluation.
    Evaluation = 3,
    /// Dropout masks.
    Dropout = 4,
    /// Users of the full ranking.
    RankUsers = 5,
    /// Items that the samples of a shard share.
    Shared = 6,
}

/// The generator of one purpose, at one place (for instance epoch and sample).
pub fn generator(seed: u64, purpose: Purpose, at: [u64; 2]) -> ChaCha8Rng {
    let mut key = [0u8; 32];
    for (part, value) in key.chunks_mut(8).zip([seed, purpose as u64, at[0], at[1]]) {
        part.copy_from_slice(&value.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}

/// The samples' order in an epoch, as positions in the list of samples.
pub fn epoch_order(samples: usize, seed: u64, epoch: usize, order: &mut Vec<u32>) {
    order.clear();
    order.extend(0..samples as u32);
    order.shuffle(&mut generator(seed, Purpose::Order, [epoch as u64, 0]));
}

/// Draws the negatives of the sample at position `at` of the list of samples into `out`.
/// Returns false where the user owns every item.
pub fn draw_negatives(
    negatives: &Negatives,
    sample: Sample,
    kind: NegativesKind,
    seed: u64,
    epoch: usize,
    at: u32,
    out: &mut [u32],
) -> bool {
    let epoch = match kind {
        NegativesKind::Fresh => epoch as u64 + 1,
        NegativesKind::Static => 0,
    };
    let mut rng = generator(seed, Purpose::Negatives, [epoch, u64::from(at)]);
    for negative in out {
        match negatives.sample(sample.user, &mut rng) {
            Some(item) => *negative = item,
            None => return false,
        }
    }
    true
}

/// Draws the items that the samples of a shard are compared with.
#[derive(Clone, Debug, Default)]
pub struct SharedSampler {
    items: usize,
    /// How many are drawn; all items where that is said, each once; none where there is nothing to share.
    take: Take,
    /// Sums of the items' weights up to each item; empty = all weigh the same.
    cumulative: Vec<f64>,
    logq: bool,
}

/// What a [`SharedSampler`] takes.
#[derive(Clone, Copy, Debug, Default)]
enum Take {
    #[default]
    Nothing,
    Draws(usize),
    All,
}

impl SharedSampler {
    /// The sampler that the loss asks for. `counts` are the items' training events.
    pub fn new(config: &TrainConfig, counts: &[u32]) -> SharedSampler {
        let against = config.loss.against();
        let take = match against {
            Against::Own => Take::Nothing,
            Against::Shared => Take::Draws(config.shared_negatives),
            Against::All => Take::All,
        };
        let mut cumulative = Vec::new();
        if against == Against::Shared && config.sampling_power > 0.0 {
            let power = f64::from(config.sampling_power);
            let mut sum = 0.0;
            cumulative.extend(counts.iter().map(|count| {
                sum += (1.0 + f64::from(*count)).powf(power);
                sum
            }));
        }
        SharedSampler { items: counts.len(), take, cumulative, logq: config.logq }
    }

    /// Whether this sampler was made for a log, and is not the empty one.
    pub fn is_ready(&self) -> bool {
        self.items > 0
    }

    /// The number of items that [`SharedSampler::draw`] draws.
    pub fn drawn(&self) -> usize {
        match self.take {
            Take::Nothing => 0,
            Take::Draws(count) => count,
            Take::All => self.items,
        }
    }

    /// Draws items with replacement, and what is to be added to their scores: `-ln(number of draws * probability)`.
    /// Nothing where the loss shares no items; every item once, without corrections, where it compares with all.
    pub fn draw(&self, rng: &mut ChaCha8Rng, items: &mut Vec<u32>, shift: &mut Vec<f32>) {
        items.clear();
        shift.clear();
        let count = match self.take {
            Take::Draws(count) if self.items > 0 => count,
            Take::All => return items.extend(0..self.items as u32),
            Take::Draws(_) | Take::Nothing => return,
        };
        let total = self.cumulative.last().copied();
        for _ in 0..count {
            let (item, probability) = match total {
                None => (rng.random_range(0..self.items), 1.0 / self.items as f64),
                Some(total) => {
                    let at = rng.random_range(0.0..total);
                    let item = self.cumulative.partition_point(|sum| *sum <= at).min(self.items - 1);
                    let before = if item == 0 { 0.0 } else { self.cumulative[item - 1] };
                    (item, (self.cumulative[item] - before) / total)
                }
            };
            items.push(item as u32);
            if self.logq {
                shift.push(-(count as f64 * probability).ln() as f32);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::losses::Loss;

    #[test]
    fn shared_items_are_drawn_as_often_as_their_correction_says() {
        let counts = [0, 7, 0, 63, 1];
        for power in [0.0, 0.5, 1.0] {
            let loss = Loss::SampledSoftmax;
            let config =
                TrainConfig { loss, shared_negatives: 40_000, sampling_power: power, ..TrainConfig::default() };
            let sampler = SharedSampler::new(&config, &counts);
            let (mut items, mut shift) = (vec![], vec![]);
            sampler.draw(&mut generator(1, Purpose::Shared, [0, 0]), &mut items, &mut shift);
            for item in 0..5 {
                let drawn = items.iter().filter(|i| **i == item).count() as f64;
                let at = items.iter().position(|i| *i == item).unwrap();
                let expected = f64::from(-shift[at]).exp();
                let error = 5.0 * expected.sqrt();
                assert!((drawn - expected).abs() < error, "power {power}, item {item}: {drawn} against {expected}");
            }
        }
    }
}
