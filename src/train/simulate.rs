//! What a training would take on several machines, told by one: a step is computed as one rank of several computes it, with
//! nobody at the other end, and what it would have to send follows from its sizes.

use crate::data::Dataset;
use crate::train::config::Config;
use crate::train::fit::{EpochReport, Fit, Progress, Watch};
use crate::train::ranks::cost::{Network, Step};
use crate::train::ranks::{Ranks, Team};
use crate::train::start::{self, StartError};
use dmran_kernels::Level;
use std::time::Instant;

/// Steps that are taken for each number of ranks; the first of them do not count.
const STEPS: usize = 12;
const WARM: usize = 2;

/// One rank of several, of which the others say what it says itself.
struct Mirror {
    count: usize,
}

impl Ranks for Mirror {
    /// The last one: where things cannot be shared evenly it has no less than others.
    fn rank(&self) -> usize {
        self.count - 1
    }

    fn count(&self) -> usize {
        self.count
    }

    fn all_to_all(&self, _: &[u32], _: &[usize], receive: &mut [u32], _: &[usize]) {
        receive.fill(0);
    }

    fn all_gather(&self, mine: &[u32], parts: &[usize], all: &mut [u32]) {
        let mut left = all;
        for part in parts {
            let (to, rest) = left.split_at_mut(*part);
            to.fill(0);
            to.iter_mut().zip(mine).for_each(|(to, from)| *to = *from);
            left = rest;
        }
    }
}

/// A step on some ranks.
#[derive(Clone, Debug)]
pub struct Estimate {
    /// Its sizes, the number of ranks among them.
    pub step: Step,
    /// Samples of a batch.
    pub samples: usize,
    /// Seconds that a rank computes: the median of some steps.
    pub seconds: f64,
}

impl Estimate {
    /// Seconds of a step with its exchange, one after the other.
    pub fn total(&self, network: &Network) -> f64 {
        self.seconds + if self.step.ranks > 1 { network.seconds(&self.step) } else { 0.0 }
    }
}

/// Times steps, and ends the run after some.
struct Timer {
    last: Instant,
    seconds: Vec<f64>,
    samples: usize,
}

impl Watch for Timer {
    fn step(&mut self, progress: &Progress) -> bool {
        let now = Instant::now();
        self.seconds.push((now - self.last).as_secs_f64());
        self.samples = self.samples.max(progress.step.samples);
        self.last = now;
        self.seconds.len() < STEPS
    }

    fn epoch(&mut self, _: &EpochReport) -> bool {
        false
    }
}

/// Takes the first steps of a training as one process and as a rank of 2, 4, 8, ... up to `most`, as far as the shards can be
/// shared. `config` is adapted to the log.
///
/// # Errors
/// [`StartError`].
pub fn simulate(config: &Config, dataset: &Dataset, level: Level, most: usize) -> Result<Vec<Estimate>, StartError> {
    let mut estimates: Vec<Estimate> = Vec::new();
    for ranks in std::iter::successors(Some(1), |ranks| Some(2 * ranks)).take_while(|ranks| *ranks <= most) {
        let mut fit: Fit<'_> = start::start(config.clone(), dataset, level)?;
        if ranks > 1 && fit.trainer.join(Team::new(Box::new(Mirror { count: ranks }))).is_err() {
            break;
        }
        let mut timer = Timer { last: Instant::now(), seconds: Vec::new(), samples: 0 };
        // What the mirror makes of a step is no training; where it breaks off, it has been timed up to there.
        let _ = fit.run(&mut timer);
        let mut step = fit.trainer.sizes();
        if let Some(alone) = estimates.first() {
            // Only a single process knows what all read.
            for (read, all) in step.tables.iter_mut().zip(&alone.step.tables) {
                read.by_all = all.by_all;
            }
        }
        let counted = timer.seconds.get_mut(WARM..).unwrap_or_default();
        counted.sort_by(f64::total_cmp);
        let seconds = counted.get(counted.len() / 2).copied().unwrap_or(f64::NAN);
        estimates.push(Estimate { step, samples: timer.samples, seconds });
    }
    Ok(estimates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_simulated_rank_has_the_sizes_of_a_real_one() {
        let histories: Vec<Vec<u32>> =
            (0..300u32).map(|user| (0..8).map(|at| (user * 7 + at * (1 + user % 3)) % 500).collect()).collect();
        let histories: Vec<&[u32]> = histories.iter().map(Vec::as_slice).collect();
        let dataset = Dataset::from_histories(&histories, 500).unwrap();
        let mut config = Config::default();
        config.model.d = 8;
        (config.train.batch, config.train.shards, config.train.threads) = (64, 8, 1);
        config.adapt(&dataset);
        let estimates = simulate(&config, &dataset, Level::best(), 64).unwrap();
        assert_eq!(estimates.iter().map(|estimate| estimate.step.ranks).collect::<Vec<_>>(), [1, 2, 4, 8]);
        for estimate in &estimates {
            assert_eq!((estimate.samples, estimate.step.shards), (64, 8));
            for (read, all) in estimate.step.tables.iter().zip(&estimates[0].step.tables) {
                assert!(read.by_all == all.by_all && read.by_rank <= read.by_all, "{read:?} of {all:?}");
            }
        }
        let reads = |at: usize| estimates[at].step.tables[0].by_rank;
        assert!(reads(0) > reads(1) && reads(1) > reads(2) && reads(2) > reads(3) && reads(3) > 0.0);
        assert_eq!(estimates[0].step.bytes(), 0.0);
    }
}
