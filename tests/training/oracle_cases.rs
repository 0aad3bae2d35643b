//! Both engines against the float64 oracle: every intermediate, every gradient, the weights after one step of SGD.

use crate::support::oracle::Case;
use dmran::autograd::tape::{Engine, Graph, Tape};
use dmran::autograd::var::Var;
use dmran::model::{Batch, Dmran, Model, last_rows};
use dmran::scorer::{Block, Head, LastEvent, Settings};
use dmran::train::config::{L2Kind, OptimizerKind, TrainConfig};
use dmran::train::loss::{self, Extent};
use dmran::train::optimizer::Optimizer;
use dmran::train::prologue::Prologue;
use dmran::train::sparse::{Lookups, RowGrads};
use dmran_kernels::Level;

/// Oracle names of the dense weights that are ours one to one.
const DENSE: [(&str, &str); 20] = [
    ("T", "T"),
    ("b_d", "dense.b"),
    ("W_s1", "Ws1"),
    ("W_s2", "Ws2"),
    ("W_s3", "Ws3"),
    ("W_s4", "Ws4"),
    ("b_s2", "bs2"),
    ("W_s5", "Ws5"),
    ("W_f1", "Wf1"),
    ("W_f2", "Wf2"),
    ("b_f", "bf"),
    ("W_r", "Wr"),
    ("block.ln1.g", "ln1.w"),
    ("block.ln1.b", "ln1.b"),
    ("block.ln2.g", "ln2.w"),
    ("block.ln2.b", "ln2.b"),
    ("block.W_1", "ff1.w"),
    ("block.b_1", "ff1.b"),
    ("block.W_2", "ff2.w"),
    ("block.b_2", "ff2.b"),
];

/// One weight of the oracle under our name: eq 1's matrix is two of ours.
fn oracle_weight(case: &Case, prefix: &str, name: &str) -> Vec<f64> {
    let d = case.meta("d");
    let half = |from: usize| {
        let w = case.f64(&format!("{prefix}/dense.w"));
        w.chunks(2 * d).flat_map(|row| row[from..from + d].to_vec()).collect()
    };
    match name {
        "W_v" => half(0),
        "W_t" => half(d),
        "V" | "C" | "bias" => case.f64(&format!("{prefix}/{name}")),
        _ => {
            let (_, theirs) = DENSE.iter().find(|(ours, _)| *ours == name).unwrap_or_else(|| panic!("{name}"));
            case.f64(&format!("{prefix}/{theirs}"))
        }
    }
}

fn model(case: &Case) -> Dmran {
    let settings = Settings {
        d: case.meta("d"),
        hops: case.meta("r"),
        buckets: case.meta("K"),
        block: if case.flag("post") { Block::Transformer } else { Block::Plain },
        head: case.maybe("head").map_or(Head::Vanilla, |head| head.parse().unwrap()),
        last: case.maybe("last").map_or(LastEvent::None, |last| last.parse().unwrap()),
        ff_width: case.meta("d_ff"),
        categories: case.meta("n_cats") > 0,
        ..Settings::default()
    };
    let category = if settings.categories { case.ids("in/cat_of") } else { vec![] };
    let mut model = Dmran::new(settings, case.meta("I"), case.meta("n_cats"), category).unwrap();
    let params = model.params_mut();
    for table in params.tables_mut() {
        let from = oracle_weight(case, "w", &table.name);
        table.data.iter_mut().zip(from).for_each(|(x, w)| *x = w as f32);
    }
    let names: Vec<_> = params.specs().iter().filter(|s| !s.derived).map(|s| s.name.clone()).collect();
    for name in names {
        let from = oracle_weight(case, "w", &name);
        let id = params.find(&name).unwrap();
        assert_eq!(params.get(id).len(), from.len(), "{name}");
        params.get_mut(id).iter_mut().zip(from).for_each(|(x, w)| *x = w as f32);
    }
    model
}

/// Absolute 1e-5 plus relative 1e-4.
fn close(what: &str, got: &[f32], want: &[f64]) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        let bound = 1e-5 + 1e-4 * w.abs();
        assert!((f64::from(*g) - w).abs() <= bound, "{what}[{i}] is {g}, the oracle has {w}");
    }
}

/// Within 1e-4 of the largest entry. The floor is for gradients that are exactly 0 on paper (the gate's at n = 1, where
/// h and hhat agree), of which 32-bit floats leave the rounding of numbers near 1.
fn close_gradient(what: &str, got: &[f32], want: &[f64]) {
    close_gradient_within(1e-4, what, got, want);
}

/// How near 32-bit floats come to the oracle's gradient of a weight, relative to its largest entry.
///
/// In `n7big` (weights four times as large, |p| and |q| above 100) nearly every tanh is saturated, so its slope hangs on
/// the absolute error of p + q, and that on the softmax of scores near 1000: the gradients of W_s3, W_s4 and b_s2 lose
/// three digits in any 32-bit computation. PyTorch's own float32 pass of this case deviates by 1.6e-3, 1.6e-3 and
/// 1.3e-4, and by 1.3e-4 for the gate's weights; its float64 pass with the weights rounded to 32 bits by 2.8e-5.
/// So the issue's 1e-4 is missed here, and only here.
fn weight_bound(case: &str, weight: &str) -> f64 {
    match (case, weight) {
        ("n7big", "W_s3" | "W_s4") => 2e-3,
        ("n7big", "b_s2" | "W_f1" | "W_f2") => 2e-4,
        _ => 1e-4,
    }
}

fn close_gradient_within(bound: f64, what: &str, got: &[f32], want: &[f64]) {
    assert_eq!(got.len(), want.len(), "{what}");
    let largest = want.iter().fold(0.0f64, |m, w| m.max(w.abs()));
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        assert!(
            (f64::from(*g) - w).abs() <= bound * largest + 2e-7,
            "d{what}[{i}] is {g}, the oracle has {w} (largest {largest})"
        );
    }
}

/// Weights after the step: the rounding of the weight, and the learning rate times what its gradient may miss.
fn close_step(case: &Case, name: &str, weight: &str, got: &[f32]) {
    let (want, grad) = (oracle_weight(case, "sgd", weight), oracle_weight(case, "g", weight));
    let largest = grad.iter().fold(0.0f64, |m, w| m.max(w.abs()));
    let slack = case.number("lr") * (weight_bound(name, weight) * largest + 2e-7);
    for (i, (g, w)) in got.iter().zip(&want).enumerate() {
        let error = (f64::from(*g) - w).abs();
        assert!(error <= slack + 2e-7 * w.abs(), "{name}: {weight}[{i}] after the step is {g}, the oracle has {w}");
    }
}

/// The real positions of a padded `[B, n, ...]` array with `width` numbers a position.
fn unpad(case: &Case, from: &[f64], width: usize) -> Vec<f64> {
    let n = case.meta("n");
    let rows = |(b, len): (usize, &u32)| from[b * n * width..][..*len as usize * width].to_vec();
    case.ids("in/len").iter().enumerate().flat_map(rows).collect()
}

/// The oracle's `[B, r, n]` in our layout: one row of r an event.
fn by_event(case: &Case, from: &[f64]) -> Vec<f64> {
    let (n, r) = (case.meta("n"), case.meta("r"));
    let mut out = Vec::new();
    for (b, len) in case.ids("in/len").iter().enumerate() {
        for e in 0..*len as usize {
            out.extend((0..r).map(|h| from[(b * r + h) * n + e]));
        }
    }
    out
}

fn check(name: &str, engine: Engine, level: Level) {
    let case = Case::load(name);
    let lens = case.ids("in/len");
    let events = |key: &str| -> Vec<u32> {
        let padded: Vec<f64> = case.ids(key).iter().map(|x| f64::from(*x)).collect();
        unpad(&case, &padded, 1).iter().map(|x| *x as u32).collect()
    };
    let (history, buckets, candidates) = (events("in/hist"), events("in/tb"), case.ids("in/cand"));
    let mut offsets = vec![0];
    lens.iter().for_each(|n| offsets.push(offsets[offsets.len() - 1] + n));
    let users = vec![0; lens.len()];
    let batch = Batch {
        users: &users,
        history: &history,
        buckets: &buckets,
        offsets: &offsets,
        rows: &last_rows(&offsets),
        candidates: &candidates,
        dropout: None,
    };
    let config = TrainConfig {
        optimizer: OptimizerKind::Sgd,
        l2: L2Kind::Weights,
        l2_weight: case.number("lam_w") as f32,
        l2_rows: case.number("lam_e") as f32,
        penalty: case.number("lam_pen") as f32,
        engine,
        ..TrainConfig::default()
    };
    let mut model = model(&case);
    let mut prologue = Prologue::default();
    prologue.forward(&mut model, engine, level);
    let mut tape = Tape::default();
    let mut g = Graph::new(model.params(), &mut tape, engine, level);
    let (output, trace) = model.trace(&mut g, &batch);
    let seeds = loss::record(&mut g, &output, Extent { samples: lens.len(), rows: lens.len() }, &config);
    let terms = loss::terms(&g, &seeds);
    g.backward(&seeds);

    // Intermediates and their gradients. `None` marks what the fused engine never forms.
    let whole = |x: &[f64]| x.to_vec();
    let align = trace.alignment;
    type Layout<'a> = Box<dyn Fn(&[f64]) -> Vec<f64> + 'a>;
    let d = case.meta("d");
    let intermediates: Vec<(&str, Option<Var>, Layout)> = vec![
        ("H", trace.big_h, Box::new(|x| unpad(&case, x, d))),
        ("S", trace.s, Box::new(|x| by_event(&case, x))),
        ("A", trace.a, Box::new(|x| by_event(&case, x))),
        ("M", Some(trace.m), Box::new(whole)),
        ("t", align.map(|a| a.t), Box::new(whole)),
        ("f", align.map(|a| a.f), Box::new(whole)),
        ("beta", align.map(|a| a.beta), Box::new(whole)),
        ("Mh", trace.mhat, Box::new(whole)),
        ("Mx", trace.mx, Box::new(whole)),
        ("h", trace.h, Box::new(whole)),
        ("hh", trace.hhat, Box::new(whole)),
        ("gate", trace.gate, Box::new(whole)),
        ("hc", Some(trace.h_c), Box::new(whole)),
        ("score", Some(output.scores), Box::new(whole)),
    ];
    let bs1 = case.f64("w/bs1");
    for (key, var, layout) in intermediates {
        let Some(var) = var else {
            assert_eq!(engine, Engine::Fused, "{name}: {key} is missing");
            continue;
        };
        let mut want = layout(&case.f64(&format!("o/{key}")));
        if key == "f" {
            // Our f leaves out b_s1, which cancels in the softmax.
            want.iter_mut().enumerate().for_each(|(i, f)| *f -= bs1[i % d]);
        }
        close(&format!("{name}: {key}"), tape.activation(var), &want);
        // The fused engine's A and M are one op: what M passes on to A stays inside of it.
        if key == "A" && engine == Engine::Fused {
            continue;
        }
        close_gradient(&format!("{name}: {key}"), tape.grad(var), &layout(&case.f64(&format!("go/{key}"))));
    }

    // The step: dense l2 as the trainer adds it, then SGD on dense weights and on the rows that were read.
    let mut grads = tape.weight_grads().to_vec();
    prologue.backward(&model, engine, level, &mut grads);
    let trained = model.params().trained().len();
    let mut l2_dense: f64 = bs1.iter().map(|x| x * x).sum();
    for (g, w) in grads.iter_mut().zip(model.params().trained()) {
        *g += 2.0 * config.l2_weight * w;
        l2_dense += f64::from(*w) * f64::from(*w);
    }
    let loss = |key: &str| case.f64(&format!("loss/{key}"))[0];
    let terms = loss::Terms { l2_dense, ..terms };
    let got = [terms.rank, terms.penalty, terms.l2, terms.l2_dense, terms.total(&config)].map(|x| x as f32);
    close(&format!("{name}: loss"), &got, &["bce", "pen", "l2e", "l2w", "total"].map(loss));
    for spec in model.params().specs().iter().filter(|s| !s.derived) {
        let id = model.params().find(&spec.name).unwrap();
        let start = spec.offset();
        let got = &grads[start..start + model.params().get(id).len()];
        let bound = weight_bound(name, &spec.name);
        close_gradient_within(bound, &format!("{name}: {}", spec.name), got, &oracle_weight(&case, "g", &spec.name));
    }
    let mut rows = Vec::new();
    for (k, table) in model.params().tables().iter().enumerate() {
        let mut row = RowGrads::default();
        let mut lookups = Lookups::default();
        lookups.take(&tape, model.params(), k);
        row.collect(level, table.cols, |_| Some(&lookups), 1);
        let mut dense = vec![0.0; table.data.len()];
        for (row, grad) in row.rows().iter().zip(row.grads().chunks(table.cols)) {
            dense[*row as usize * table.cols..][..table.cols].copy_from_slice(grad);
        }
        close_gradient(&format!("{name}: {}", table.name), &dense, &oracle_weight(&case, "g", &table.name));
        rows.push(row);
    }
    let mut optimizer = Optimizer::new(level, config.optimizer, model.params());
    optimizer.update(model.params_mut(), &grads[..trained], &rows, |_| None, case.number("lr") as f32, 1.0);
    for table in model.params().tables() {
        close_step(&case, name, &table.name, &table.data);
    }
    for spec in model.params().specs().iter().filter(|s| !s.derived) {
        let id = model.params().find(&spec.name).unwrap();
        close_step(&case, name, &spec.name, model.params().get(id));
    }
}

#[test]
fn naive_engine_on_all_cases() {
    for name in crate::support::oracle::CASES {
        check(name, Engine::Naive, Level::best());
    }
}

#[test]
fn fused_engine_on_all_cases_and_levels() {
    for level in Level::available() {
        for name in crate::support::oracle::CASES {
            check(name, Engine::Fused, *level);
        }
    }
}
