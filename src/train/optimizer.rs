//! SGD, Adagrad and Adam over dense weights and over the table rows that a batch read.

use crate::autograd::params::Params;
use crate::autograd::tape::Tape;
use crate::train::config::OptimizerKind;
use crate::train::sparse::{Lookups, RowGrads};
use dmran_kernels::Level;
use dmran_kernels::optim::{self, Adagrad, Adam, Sgd, Target};
use rayon::prelude::*;
use std::ops::Range;

/// Weights that one thread updates at a time.
const CHUNK: usize = 1 << 14;
/// Where Adagrad's sums of squares start.
const ADAGRAD_START: f32 = 0.1;

/// One step's update of a run of weights.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    level: Level,
    kind: OptimizerKind,
    lr: f32,
    scale: f32,
    step: u64,
}

impl Rule {
    /// The rule of step `step` (counted from 1): gradients are multiplied by `scale` first (clipping).
    pub fn new(level: Level, kind: OptimizerKind, lr: f32, scale: f32, step: u64) -> Rule {
        Rule { level, kind, lr, scale, step }
    }

    /// Updates the weights `w` with their state by the gradient `g`, all of one length (state that the rule does not
    /// need is empty).
    pub fn apply(&self, w: &mut [f32], first: &mut [f32], second: &mut [f32], g: &[f32]) {
        let Rule { level, lr, scale, .. } = *self;
        match self.kind {
            OptimizerKind::Sgd => optim::sgd(level, &Sgd { lr, scale }, Target::All, w, g),
            OptimizerKind::Adagrad => {
                optim::adagrad(level, &Adagrad { lr, eps: 0.0, scale }, Target::All, w, g, first);
            }
            OptimizerKind::Adam => {
                // Both corrections are 1 to the last bit long before the step outgrows 32 bits.
                let step = i32::try_from(self.step).unwrap_or(i32::MAX);
                let rule = Adam { lr, beta1: 0.9, beta2: 0.999, eps: 1e-8, scale, step };
                optim::adam(level, &rule, Target::All, w, g, first, second);
            }
        }
    }

    /// [`Rule::apply`] in chunks on all threads; `state` as [`Optimizer`] keeps it.
    pub fn apply_parallel(&self, weights: &mut [f32], state: &mut [Vec<f32>; 2], g: &[f32]) {
        let [first, second] = state;
        // Empty state has no chunks to zip with, hence a case for each kind.
        let weights = weights.par_chunks_mut(CHUNK).zip(g.par_chunks(CHUNK));
        match self.kind {
            OptimizerKind::Sgd => weights.for_each(|(w, g)| self.apply(w, &mut [], &mut [], g)),
            OptimizerKind::Adagrad => {
                let state = first.par_chunks_mut(CHUNK);
                weights.zip(state).for_each(|((w, g), a)| self.apply(w, a, &mut [], g));
            }
            OptimizerKind::Adam => {
                let state = first.par_chunks_mut(CHUNK).zip(second.par_chunks_mut(CHUNK));
                weights.zip(state).for_each(|((w, g), (a, b))| self.apply(w, a, b, g));
            }
        }
    }
}

/// An optimiser with its state.
#[derive(Clone, Debug)]
pub struct Optimizer {
    level: Level,
    kind: OptimizerKind,
    /// State of the dense weights; unused parts are empty.
    pub dense: [Vec<f32>; 2],
    /// State of each table, of the numbers that are updated here.
    pub tables: Vec<[Vec<f32>; 2]>,
    /// Which these are: all, but for one of several ranks.
    own: Vec<Range<usize>>,
    /// Steps taken.
    pub step: u64,
}

impl Optimizer {
    /// An optimiser that has not taken a step.
    pub fn new(level: Level, kind: OptimizerKind, params: &Params) -> Optimizer {
        let state = |len: usize| match kind {
            OptimizerKind::Sgd => [vec![], vec![]],
            OptimizerKind::Adagrad => [vec![ADAGRAD_START; len], vec![]],
            OptimizerKind::Adam => [vec![0.0; len], vec![0.0; len]],
        };
        Optimizer {
            level,
            kind,
            dense: state(params.trained().len()),
            tables: params.tables().iter().map(|t| state(t.data.len())).collect(),
            own: params.tables().iter().map(|t| 0..t.data.len()).collect(),
            step: 0,
        }
    }

    /// From here on these numbers of each table are updated, and no others: their state alone is kept.
    ///
    /// # Panics
    /// If state that is asked for is not there.
    pub fn keep(&mut self, own: Vec<Range<usize>>) {
        for ((state, had), own) in self.tables.iter_mut().zip(&self.own).zip(&own) {
            for state in state.iter_mut().filter(|state| state.len() > own.len()) {
                *state = state[own.start - had.start..own.end - had.start].to_vec();
            }
        }
        self.own = own;
    }

    /// Takes one step: gradients times `scale`, learning rate `lr`.
    ///
    /// `whole` gives the gradient of a table of which every row is updated; for the others it is that of `rows`.
    pub fn update<'a>(
        &mut self,
        params: &mut Params,
        dense: &[f32],
        rows: &[RowGrads],
        whole: impl Fn(usize) -> Option<&'a [f32]>,
        lr: f32,
        scale: f32,
    ) {
        self.step += 1;
        let rule = Rule::new(self.level, self.kind, lr, scale, self.step);
        rule.apply_parallel(params.trained_mut(), &mut self.dense, dense);
        let tables = params.tables_mut().iter_mut().zip(&mut self.tables).zip(rows).zip(&self.own);
        for (at, (((table, state), rows), own)) in tables.enumerate() {
            match whole(at) {
                Some(gradient) => {
                    rule.apply_parallel(&mut table.data[own.clone()], state, &gradient[own.clone()]);
                }
                None => rows.apply(table, own.clone(), state, &rule),
            }
        }
    }

    /// Takes one step by the gradients of a tape's last backward pass, those of looked-up table rows among them, and brings
    /// packed weights up to date: all that a training loop of one's own needs.
    pub fn step(&mut self, params: &mut Params, tape: &Tape, lr: f32) {
        let collect = |table: usize| {
            let (mut lookups, mut rows) = (Lookups::default(), RowGrads::default());
            lookups.take(tape, params, table);
            rows.collect(self.level, params.tables()[table].cols, |_| Some(&lookups), 1);
            rows
        };
        let rows: Vec<RowGrads> = (0..params.tables().len()).map(collect).collect();
        let dense = &tape.weight_grads()[..params.trained().len()];
        self.update(params, dense, &rows, |_| None, lr, 1.0);
        params.repack();
    }

    /// Bytes held, for memory accounts.
    pub fn bytes(&self) -> usize {
        4 * self.tables.iter().chain([&self.dense]).flatten().map(Vec::len).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(kind: OptimizerKind, steps: u64) -> f32 {
        // f(w) = w^2 / 2 from w = 1.
        let (mut w, mut a, mut b) = ([1.0f32], [0.0f32], [0.0f32]);
        if kind == OptimizerKind::Adagrad {
            a = [ADAGRAD_START];
        }
        for step in 1..=steps {
            let g = w;
            Rule::new(Level::best(), kind, 0.1, 1.0, step).apply(&mut w, &mut a, &mut b, &g);
        }
        w[0]
    }

    #[test]
    fn first_steps_by_hand() {
        assert!((run(OptimizerKind::Sgd, 2) - 0.81).abs() < 1e-7);
        assert!((run(OptimizerKind::Adagrad, 1) - (1.0 - 0.1 / 1.1f32.sqrt())).abs() < 1e-7);
        // Adam's first step has the learning rate's length whatever the gradient.
        assert!((run(OptimizerKind::Adam, 1) - 0.9).abs() < 1e-6);
        for kind in [OptimizerKind::Sgd, OptimizerKind::Adagrad, OptimizerKind::Adam] {
            assert!(run(kind, 300).abs() < 0.05, "{kind:?} ends at {}", run(kind, 300));
        }
    }
}
