//! The sizes of a step, from which its traffic among ranks follows.

use super::Trainer;
use crate::train::ranks::cost::Step;

impl Trainer {
    /// Those of the last step.
    pub fn sizes(&self) -> Step {
        // Where user vectors are compared, a target has one candidate here, itself.
        let rows = self.starts.last().copied().unwrap_or(0);
        let compared = self.whole.as_ref().map(|whole| whole.compared(rows));
        Step {
            ranks: self.team.count(),
            dense: self.grads.len(),
            tables: self.read.clone(),
            compared: compared.or(self.sampled.as_ref().and_then(|sampled| sampled.compared(rows))),
            shards: self.config.shard_count(),
        }
    }
}
