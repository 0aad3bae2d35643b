//! A model of one's own on this crate's autograd: it learns which of two points is further from the origin.
//! `cargo run --release --example own_model`

use dmran::Level;
use dmran::autograd::ops;
use dmran::autograd::params::{Form, Params};
use dmran::autograd::tape::{Engine, Graph, Tape};
use dmran::train::config::OptimizerKind;
use dmran::train::optimizer::Optimizer;

fn main() {
    // The same numbers on every run: a small generator is enough for points and starting values.
    let mut state = 1u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    let mut params = Params::default();
    let (w1, b1) = (params.add("W_1", 16, 2, Form::Packed), params.add("b_1", 1, 16, Form::Plain));
    let w2 = params.add("W_2", 1, 16, Form::Packed);
    params.trained_mut().iter_mut().for_each(|x| *x = 0.5 * random());
    params.repack();

    let (level, mut tape) = (Level::best(), Tape::default());
    let mut optimizer = Optimizer::new(level, OptimizerKind::Adam, &params);
    let mut loss = f32::NAN;
    for step in 0..=1000 {
        // 64 pairs of points; the first of each pair is the one that is further out.
        let pairs = (0..64).flat_map(|_| {
            let mut pair = [[random(), random()], [random(), random()]];
            pair.sort_by(|a, b| (b[0] * b[0] + b[1] * b[1]).total_cmp(&(a[0] * a[0] + a[1] * a[1])));
            pair.concat()
        });
        let points: Vec<f32> = pairs.collect();
        let mut g = Graph::new(&params, &mut tape, Engine::Fused, level);
        let x = g.constant(128, 2, |to| to.copy_from_slice(&points));
        let (w1, b1, w2) = (g.param(w1), g.param(b1), g.param(w2));
        let hidden = ops::linear(&mut g, x, w1, Some(b1));
        let hidden = ops::relu(&mut g, hidden);
        let scores = ops::linear(&mut g, hidden, w2, None).reshape(64, 2);
        let out = ops::bpr(&mut g, scores, 1.0 / 64.0);
        loss = g.value(out)[0];
        g.backward(&[(out, 1.0)]);
        optimizer.step(&mut params, &tape, 0.01);
        if step % 200 == 0 {
            println!("step {step}: loss {loss:.4}");
        }
    }
    assert!(loss < 0.3, "it has learned nothing: {loss}");
}
