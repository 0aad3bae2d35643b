//! The order of samples and their negatives: functions of seed, epoch and position, so that a run can go on from any
//! step without carrying a generator's state.

use crate::data::Negatives;
use crate::data::Sample;
use crate::train::config::NegativesKind;
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;
use rand::seq::SliceRandom;

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
