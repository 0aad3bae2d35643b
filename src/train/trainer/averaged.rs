//! The average of the weights that a trainer keeps.

use super::Trainer;
use crate::train::snapshot::Following;

impl Trainer {
    /// Brings the average up to date after a step that ended at sample `end` of the epoch's `samples`.
    pub(super) fn follow(&mut self, samples: usize, end: usize) {
        let epochs = self.config.average;
        if epochs > 0.0 {
            let following = Following { epochs, per_epoch: samples.div_ceil(self.config.batch) };
            let Trainer { pool, average, model, optimizer, own, .. } = self;
            pool.install(|| following.after((optimizer.step, end >= samples), average, (model.params(), own)));
        }
    }

    /// Puts the average of the weights in their place, and them in its; called twice, nothing has changed.
    pub(crate) fn exchange_average(&mut self) {
        if let Some(average) = &mut self.average {
            average.exchange(self.model.params_mut(), &self.own);
            self.spread();
        }
    }
}
