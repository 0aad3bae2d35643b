//! A copy of the trained numbers of a model, and the average of those that a training went through. Of several ranks each has those
//! of its own rows of the tables.

use crate::autograd::params::Params;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Numbers that one thread averages at a time.
const CHUNK: usize = 1 << 14;
/// The most steps from one look of an average at the weights to the next: each costs a pass over all tables.
const EVERY: u64 = 16;
/// Looks within what an average goes over, at least.
const LOOKS: f64 = 8.0;

/// A copy of all trained numbers; of each table perhaps of some alone: which, the methods are told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Dense weights.
    pub dense: Vec<f32>,
    /// Tables.
    pub tables: Vec<Vec<f32>>,
}

impl Snapshot {
    /// Copies all numbers of a model.
    pub fn of(params: &Params) -> Snapshot {
        Snapshot { dense: params.trained().to_vec(), tables: params.tables().iter().map(|t| t.data.to_vec()).collect() }
    }

    /// Copies a model's numbers, of the tables those of `own`.
    pub fn part(params: &Params, own: &[Range<usize>]) -> Snapshot {
        let tables = params.tables().iter().zip(own).map(|(t, own)| t.data[own.clone()].to_vec());
        Snapshot { dense: params.trained().to_vec(), tables: tables.collect() }
    }

    /// Puts the numbers back, of the tables those of `own`.
    ///
    /// # Panics
    /// If they are another model's.
    pub fn put(&self, params: &mut Params, own: &[Range<usize>]) {
        params.trained_mut().copy_from_slice(&self.dense);
        let tables = params.tables_mut().iter_mut().zip(own).zip(&self.tables);
        tables.for_each(|((t, own), data)| t.data[own.clone()].copy_from_slice(data));
    }

    /// Takes the model's numbers and gives it these, of the tables those of `own`.
    ///
    /// # Panics
    /// If they are another model's.
    pub fn exchange(&mut self, params: &mut Params, own: &[Range<usize>]) {
        params.trained_mut().swap_with_slice(&mut self.dense);
        let tables = params.tables_mut().iter_mut().zip(own).zip(&mut self.tables);
        tables.for_each(|((t, own), data)| t.data[own.clone()].swap_with_slice(data));
    }

    /// Goes `share` of the way (0 to 1) to the model's numbers, of the tables those of `own`.
    fn approach(&mut self, params: &Params, own: &[Range<usize>], share: f32) {
        let approach = |average: &mut [f32], now: &[f32]| {
            average.par_chunks_mut(CHUNK).zip(now.par_chunks(CHUNK)).for_each(|(average, now)| {
                average
                    .iter_mut()
                    .zip(now)
                    .for_each(|(average, now)| *average = (1.0 - share) * *average + share * now);
            });
        };
        approach(&mut self.dense, params.trained());
        let tables = self.tables.iter_mut().zip(params.tables()).zip(own);
        tables.for_each(|((average, table), own)| approach(average, &table.data[own.clone()]));
    }
}

/// How an exponential average follows the weights of a training.
#[derive(Clone, Copy, Debug)]
pub struct Following {
    /// Epochs within which what was before loses all but 1/e of its weight; greater than 0.
    pub epochs: f32,
    /// Steps an epoch.
    pub per_epoch: usize,
}

impl Following {
    /// Brings the average up to date after step `step` (counted from 1), if it is time to; at the end of an epoch, when the
    /// model will be measured, it always is. The first look takes the weights as they are. On the threads of the current pool;
    /// the result does not depend on them. Of the tables the numbers `own` are followed.
    pub fn after(
        self,
        (step, ends_epoch): (u64, bool),
        average: &mut Option<Snapshot>,
        (params, own): (&Params, &[Range<usize>]),
    ) {
        if !ends_epoch && !step.is_multiple_of(self.every()) {
            return;
        }
        match average {
            Some(average) => average.approach(params, own, self.share()),
            None => *average = Some(Snapshot::part(params, own)),
        }
    }

    /// Steps within which what was before loses all but 1/e of its weight.
    fn steps(self) -> f64 {
        f64::from(self.epochs) * self.per_epoch as f64
    }

    /// Steps from one look to the next.
    fn every(self) -> u64 {
        ((self.steps() / LOOKS) as u64).clamp(1, EVERY)
    }

    /// How far a look goes towards the weights.
    fn share(self) -> f32 {
        (self.every() as f64 / self.steps()).min(1.0) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autograd::params::Form;

    /// The numbers of the only table.
    const ALL: &[Range<usize>] = std::slice::from_ref(&(0..3));

    fn params(of: f32) -> Params {
        let mut params = Params::default();
        params.add("w", 1, 2, Form::Plain);
        params.add_table("V", 3, 1);
        fill(&mut params, of);
        params
    }

    fn fill(params: &mut Params, of: f32) {
        params.trained_mut().fill(of);
        params.tables_mut().iter_mut().for_each(|table| table.data.fill(of));
    }

    #[test]
    fn an_average_follows_the_weights_and_changes_places_with_them() {
        let mut model = params(1.0);
        let following = Following { epochs: 0.5, per_epoch: 256 };
        let mut average = None;
        following.after((3, false), &mut average, (&model, ALL));
        assert_eq!(average, None, "it is not time yet");
        following.after((16, false), &mut average, (&model, ALL));
        fill(&mut model, 5.0);
        // A look at 16 of 128 steps: an eighth of the way from 1 to 5, then of that from 1.5 to 5.
        following.after((32, false), &mut average, (&model, ALL));
        assert_eq!(average, Some(Snapshot::of(&params(1.5))));
        following.after((33, true), &mut average, (&model, ALL));
        let mut average = average.unwrap();
        assert_eq!(average, Snapshot::of(&params(1.9375)));
        average.exchange(&mut model, ALL);
        assert_eq!((Snapshot::of(&model), &average), (Snapshot::of(&params(1.9375)), &Snapshot::of(&params(5.0))));
        average.put(&mut model, ALL);
        assert_eq!(Snapshot::of(&model), average);
    }

    #[test]
    fn a_short_log_is_looked_at_more_often() {
        let of = |epochs, per_epoch| Following { epochs, per_epoch }.every();
        assert_eq!([of(0.5, 40), of(0.5, 3), of(2.0, 100), of(0.5, 100_000)], [2, 1, 16, 16]);
    }

    #[test]
    fn a_short_horizon_is_the_last_weights() {
        let following = Following { epochs: 0.01, per_epoch: 3 };
        let mut average = Some(Snapshot::of(&params(1.0)));
        following.after((3, true), &mut average, (&params(4.0), ALL));
        assert_eq!(average, Some(Snapshot::of(&params(4.0))));
    }
}
