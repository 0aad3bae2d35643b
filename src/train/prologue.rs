//! What is computed from weights alone, once a step and for all shards: packed forms, and derived weights such as
//! `W_s1 W_v`, whose gradients flow back to the weights that they are made of.

use crate::autograd::params::ParamId;
use crate::autograd::tape::{Engine, Graph, Tape};
use crate::autograd::var::Var;
use crate::model::Model;
use dmran_kernels::Level;

/// The part of a step that comes before the shards, and its backward pass, which comes after them.
#[derive(Default)]
pub struct Prologue {
    tape: Tape,
    derived: Vec<(ParamId, Var)>,
}

impl Prologue {
    /// Brings packed and derived weights up to date after the trained ones have changed.
    pub fn forward(&mut self, model: &mut dyn Model, engine: Engine, level: Level) {
        self.derived.clear();
        if engine == Engine::Naive {
            return;
        }
        model.params_mut().repack();
        let mut g = Graph::new(model.params(), &mut self.tape, engine, level);
        model.derive(&mut g, &mut self.derived);
        for (id, var) in &self.derived {
            model.params_mut().get_mut(*id).copy_from_slice(self.tape.activation(*var));
        }
        model.params_mut().repack_derived();
    }

    /// Adds to the trained weights' part of `grads` (all dense weights, derived ones at the end) what the derived
    /// weights' gradients mean for them.
    pub fn backward(&mut self, model: &dyn Model, engine: Engine, level: Level, grads: &mut [f32]) {
        if self.derived.is_empty() {
            return;
        }
        let params = model.params();
        let mut g = Graph::resume(params, &mut self.tape, engine, level);
        g.backward_from(|all| {
            for (id, var) in &self.derived {
                all.of(*var).copy_from_slice(&grads[params.var(*id).range()]);
            }
        });
        let trained = params.trained().len();
        grads[..trained].iter_mut().zip(self.tape.weight_grads()).for_each(|(s, g)| *s += g);
    }

    /// Bytes held, for memory accounts.
    pub fn bytes(&self) -> usize {
        self.tape.bytes()
    }
}
