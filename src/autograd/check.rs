//! Gradient checks by central differences: for the tests of all ops here, and of ops made elsewhere.
//!
//! ```
//! use dmran::autograd::{check, ops};
//! use dmran::autograd::tape::Engine;
//!
//! // Two inputs of shapes [4, 3] and [5, 3]; panics where a gradient is wrong.
//! check::gradients(&[[4, 3], [5, 3]], Engine::Fused, |g, x| vec![ops::linear(g, g.param(x[0]), g.param(x[1]), None)]);
//! ```

use crate::autograd::params::{Form, ParamId, Params};
use crate::autograd::tape::{Engine, Graph, Tape};
use crate::autograd::var::Var;
use dmran_kernels::Level;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// Inputs uniform in `[-1, 1)` drawn by `seed`, one dense weight of each shape.
pub fn inputs(shapes: &[[usize; 2]], seed: u64) -> (Params, Vec<ParamId>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut params = Params::default();
    let ids = shapes.iter().enumerate().map(|(i, s)| params.add(&format!("x{i}"), s[0], s[1], Form::Packed)).collect();
    params.trained_mut().iter_mut().for_each(|x| *x = rng.random_range(-1.0..1.0));
    params.repack();
    (params, ids)
}

/// The loss of the check: a fixed weighting of all outputs, so that no gradient cancels by symmetry.
fn loss(values: &[f32]) -> f64 {
    values.iter().enumerate().map(|(i, v)| f64::from(*v) * weight(i)).sum()
}

fn weight(i: usize) -> f64 {
    ((i * 7919 + 13) % 17) as f64 / 8.5 - 0.9
}

/// Compares the gradient of every entry of every input with a central difference of step 1e-2 on values in
/// `[-1, 1)`: its error is then below 2e-3 of the largest entry for functions as smooth as the ops here. Every SIMD tier of
/// this machine is tried.
///
/// # Panics
/// Where a gradient and its difference are further apart than 3e-3 of the largest one; the message names the entry.
pub fn gradients(shapes: &[[usize; 2]], engine: Engine, f: impl Fn(&mut Graph<'_>, &[ParamId]) -> Vec<Var>) {
    for level in Level::available() {
        let (mut params, ids) = inputs(shapes, 7);
        let mut tape = Tape::default();
        let mut g = Graph::new(&params, &mut tape, engine, *level);
        let outs = f(&mut g, &ids);
        g.backward_from(|grads| {
            for out in &outs {
                for (i, d) in grads.of(*out).iter_mut().enumerate() {
                    *d += weight(i) as f32;
                }
            }
        });
        let got = tape.weight_grads()[..params.trained().len()].to_vec();
        let mut eval = |params: &Params| {
            let mut g = Graph::new(params, &mut tape, engine, *level);
            f(&mut g, &ids).iter().map(|out| loss(g.value(*out))).sum::<f64>()
        };
        let step = 1e-2f32;
        let mut want = Vec::new();
        for i in 0..got.len() {
            let x = params.trained()[i];
            let mut side = |at: f32| {
                params.trained_mut()[i] = at;
                params.repack();
                eval(&params)
            };
            let (up, down) = (side(x + step), side(x - step));
            want.push(((up - down) / f64::from((x + step) - (x - step))) as f32);
            params.trained_mut()[i] = x;
        }
        let largest = want.iter().fold(0.0f32, |a, b| a.max(b.abs()));
        for i in 0..got.len() {
            let bound = 3e-3 * largest + 3e-4;
            assert!(
                (got[i] - want[i]).abs() <= bound,
                "{level}: d{}[{i}] is {} but differences give {} (bound {bound})",
                params.name_at(i),
                got[i],
                want[i]
            );
        }
    }
}

/// Runs `f` on given inputs and returns the values of its output.
pub fn forward(
    shapes: &[[usize; 2]],
    values: &[f32],
    engine: Engine,
    f: impl Fn(&mut Graph<'_>, &[ParamId]) -> Var,
) -> Vec<f32> {
    let (mut params, ids) = inputs(shapes, 1);
    params.trained_mut().copy_from_slice(values);
    params.repack();
    let mut tape = Tape::default();
    let mut g = Graph::new(&params, &mut tape, engine, Level::best());
    let out = f(&mut g, &ids);
    g.value(out).to_vec()
}
