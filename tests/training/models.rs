//! The baselines against independent PyTorch models (`baselines/make_baselines.py`, float64): scores, loss terms and the
//! gradient of every weight, on both engines and all levels.

use crate::support::oracle::Case;
use dmran::autograd::tape::{Engine, Graph, Tape};
use dmran::model::{
    AtRank, Batch, BiLstm, BprMf, BuildError, CnnPooling, Kind, Model, SasRec, Sizes, Start, build, cnn_pooling,
    last_rows,
};
use dmran::scorer::{Settings, SettingsError, TimeKind};
use dmran::train::Loss;
use dmran::train::config::{L2Kind, TrainConfig};
use dmran::train::loss::{self, Extent};
use dmran::train::prologue::Prologue;
use dmran::train::sparse::{Lookups, RowGrads};
use dmran_kernels::Level;

const START: Start = Start { seed: 1, table_std: None };

fn model(name: &str, case: &Case) -> Box<dyn Model> {
    let mut settings = Settings {
        d: case.meta("d"),
        heads: case.meta("heads"),
        head_ff_width: case.meta("ff"),
        head_eps: case.number("eps") as f32,
        block_eps: case.number("eps") as f32,
        buckets: case.meta("buckets"),
        time: if case.flag("time") { TimeKind::Paper } else { TimeKind::None },
        categories: case.meta("cats") > 0,
        ..Settings::default()
    };
    if name == "sasrec" {
        (settings.layers, settings.history_cap) = (case.meta("layers"), case.meta("cap"));
    }
    let sizes = Sizes {
        users: case.meta("users"),
        items: case.meta("items"),
        categories: case.meta("cats"),
        item_category: case.ids("in/item_category"),
    };
    let mut model: Box<dyn Model> = match name {
        "bpr-mf" => Box::new(BprMf::new(&settings, &sizes, START)),
        "bi-lstm" => Box::new(BiLstm::new(&settings, &sizes, START, false)),
        "bi-lstm-attention" => Box::new(BiLstm::new(&settings, &sizes, START, true)),
        "cnn-pooling" => Box::new(CnnPooling::with_filters(&settings, &sizes, START, case.meta("filters"))),
        "sasrec" => Box::new(SasRec::new(&settings, &sizes, START).unwrap()),
        _ => Box::new(AtRank::new(&settings, &sizes, START).unwrap()),
    };
    assert_eq!(model.name(), name);
    let params = model.params_mut();
    let fill = |to: &mut [f32], name: &str| {
        let from = case.f64(&format!("w/{name}"));
        assert_eq!(to.len(), from.len(), "{name}");
        to.iter_mut().zip(from).for_each(|(to, from)| *to = from as f32);
    };
    for table in params.tables_mut() {
        fill(&mut table.data, &table.name);
    }
    let names: Vec<_> = params.specs().iter().map(|s| s.name.clone()).collect();
    for name in &names {
        let id = params.find(name).unwrap();
        fill(params.get_mut(id), name);
    }
    let mut ours: Vec<_> = names.iter().map(String::as_str).collect();
    ours.extend(params.tables().iter().map(|t| t.name.as_str()));
    ours.sort_unstable();
    let mut theirs: Vec<_> = case.text("weights").split(',').collect();
    theirs.sort_unstable();
    assert_eq!(ours, theirs);
    model
}

/// Within 1e-5 of the largest entry, and 2e-7.
fn close(what: &str, got: &[f32], want: &[f64]) {
    assert_eq!(got.len(), want.len(), "{what}");
    let largest = want.iter().fold(0.0f64, |m, w| m.max(w.abs()));
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        let bound = 1e-5 * largest + 2e-7;
        assert!((f64::from(*g) - w).abs() <= bound, "{what}[{i}] is {g}, PyTorch has {w} (largest {largest})");
    }
}

fn check(name: &str, case_name: &str, engine: Engine, level: Level) {
    let case = Case::read(&format!("baselines/{name}_{case_name}.safetensors"));
    let what = |part: &str| format!("{name} {case_name} {engine:?} {level}: {part}");
    let mut model = model(name, &case);
    let ids = |part: &str| case.ids(&format!("in/{part}"));
    let (users, history, buckets) = (ids("users"), ids("history"), ids("buckets"));
    let (offsets, candidates) = (ids("offsets"), ids("candidates"));
    let rows = if model.every_position() { ids("rows") } else { last_rows(&offsets) };
    let extent = Extent { samples: users.len(), rows: rows.len() };
    let batch = Batch {
        users: &users,
        history: &history,
        buckets: &buckets,
        offsets: &offsets,
        rows: &rows,
        candidates: &candidates,
        dropout: None,
    };
    let config = TrainConfig {
        l2: L2Kind::Activation,
        l2_weight: case.number("l2_weight") as f32,
        engine,
        loss: if name == "bpr-mf" { Loss::Bpr } else { Loss::Bce },
        ..TrainConfig::default()
    };
    Prologue::default().forward(&mut *model, engine, level);
    let mut tape = Tape::default();
    let mut g = Graph::new(model.params(), &mut tape, engine, level);
    let output = model.forward(&mut g, &batch);
    let seeds = loss::record(&mut g, &output, extent, &config);
    let terms = loss::terms(&g, &seeds);
    g.backward(&seeds);
    close(&what("scores"), tape.activation(output.scores), &case.f64("out/scores"));
    close(&what("u"), tape.activation(output.activations[0].unwrap()), &case.f64("out/u"));
    close(&what("rank"), &[terms.rank as f32], &case.f64("loss/rank"));
    close(&what("l2"), &[terms.l2 as f32], &case.f64("loss/l2"));
    for spec in model.params().specs() {
        let got = &tape.weight_grads()[spec.offset()..][..spec.var.len()];
        close(&what(&spec.name), got, &case.f64(&format!("g/{}", spec.name)));
    }
    for (k, table) in model.params().tables().iter().enumerate() {
        let mut rows = RowGrads::default();
        let mut lookups = Lookups::default();
        lookups.take(&tape, model.params(), k);
        rows.collect(level, table.cols, |_| Some(&lookups), 1);
        let mut got = vec![0.0; table.data.len()];
        for (row, grad) in rows.rows().iter().zip(rows.grads().chunks(table.cols)) {
            got[*row as usize * table.cols..][..table.cols].copy_from_slice(grad);
        }
        close(&what(&table.name), &got, &case.f64(&format!("g/{}", table.name)));
    }
}

#[test]
fn every_baseline_as_pytorch_has_it() {
    for name in Kind::trained().skip(1).map(Kind::name) {
        for case in ["plain", "full"] {
            check(name, case, Engine::Naive, Level::best());
            for level in Level::available() {
                check(name, case, Engine::Fused, *level);
            }
        }
    }
}

fn sizes() -> Sizes {
    Sizes { users: 50, items: 40, categories: 3, item_category: (0..40).map(|i| i % 3).collect() }
}

#[test]
fn models_by_name_and_their_starting_values() {
    let settings = Settings { categories: true, ..Settings::default() };
    for name in Kind::trained().map(Kind::name) {
        let model = build(name, &settings, &sizes(), START).unwrap();
        assert_eq!(model.name(), name);
        let again = build(name, &settings, &sizes(), START).unwrap();
        let other = build(name, &settings, &sizes(), Start { seed: 2, ..START }).unwrap();
        let v = |m: &dyn Model| m.params().table(m.params().find_table("V").unwrap()).data.to_vec();
        assert_eq!(v(&*model), v(&*again));
        assert_ne!(v(&*model), v(&*other));
        assert_eq!(model.params().trained(), again.params().trained());
        assert_eq!(model.has_user_vectors(), ["bpr-mf", "bi-lstm", "cnn-pooling", "sasrec"].contains(&name), "{name}");
        assert_eq!(model.every_position(), name == "sasrec");
        assert_eq!(model.uses_time(), ["dmran", "cnn-pooling", "atrank"].contains(&name), "{name}");
        assert!(model.params().find_table("U").is_some() == (name == "bpr-mf"));
        let wide = build(name, &settings, &sizes(), Start { table_std: Some(3.0), ..START }).unwrap();
        assert!(v(&*wide).iter().any(|x| x.abs() > 3.0), "{name}");
        // Uniform after Glorot over 40 rows of 64.
        let bound = (6.0f32 / (40.0 + 64.0)).sqrt();
        if name != "dmran" {
            let top = v(&*model).iter().fold(0.0f32, |m, x| m.max(x.abs()));
            assert!(top <= bound && top > 0.95 * bound, "{name}: {top}");
        }
    }
    let cnn = build("cnn-pooling", &settings, &sizes(), START).unwrap();
    let tap = cnn.params().get(cnn.params().find("conv.3").unwrap());
    assert_eq!(tap.len(), 7 * cnn_pooling::FILTERS * 128);
    let std = (tap.iter().map(|x| x * x).sum::<f32>() / tap.len() as f32).sqrt();
    assert!(tap.iter().all(|x| x.abs() <= 0.2) && (std - 0.088).abs() < 0.002, "{std}");
    assert!(cnn.params().get(cnn.params().find("conv.b").unwrap()).iter().all(|b| *b == 0.1));
}

#[test]
fn what_cannot_be_built_says_why() {
    let error = build("gru4rec", &Settings::default(), &sizes(), START).err().unwrap();
    assert_eq!(error, BuildError::Unknown { name: "gru4rec".to_owned() });
    assert!(error.to_string().contains("bi-lstm-attention"));
    let settings = Settings { heads: 3, head: dmran::scorer::Head::Mean, ..Settings::default() };
    assert!(build("bi-lstm", &settings, &sizes(), START).is_ok());
    let error = build("atrank", &settings, &sizes(), START).err().unwrap();
    assert_eq!(error, BuildError::Settings(SettingsError::HeadsDoNotDivide { d: 128, heads: 3 }));
}

#[test]
fn scores_do_not_depend_on_the_rest_of_the_batch() {
    let settings = Settings { d: 24, heads: 3, categories: true, ..Settings::default() };
    for name in Kind::trained().skip(1).map(Kind::name) {
        let mut model = build(name, &settings, &sizes(), START).unwrap();
        let lens = [3u32, 1, 14, 5, 20, 2];
        let history: Vec<u32> = (0..45).map(|i| (i * 7 + 3) % 40).collect();
        let buckets: Vec<u32> = (0..45).map(|i| i % 14).collect();
        for level in Level::available() {
            Prologue::default().forward(&mut *model, Engine::Fused, *level);
            let scores = |samples: &[usize]| -> Vec<f32> {
                let (mut h, mut t, mut offsets, mut candidates) = (vec![], vec![], vec![0], vec![]);
                for b in samples {
                    let first: u32 = lens[..*b].iter().sum();
                    let range = first as usize..(first + lens[*b]) as usize;
                    h.extend_from_slice(&history[range.clone()]);
                    t.extend_from_slice(&buckets[range]);
                    offsets.push(h.len() as u32);
                    candidates.extend((0..3).map(|c| (*b as u32 * 5 + c * 11) % 40));
                }
                let users: Vec<u32> = samples.iter().map(|b| *b as u32).collect();
                let batch = Batch {
                    users: &users,
                    history: &h,
                    buckets: &t,
                    offsets: &offsets,
                    rows: &last_rows(&offsets),
                    candidates: &candidates,
                    dropout: None,
                };
                let mut tape = Tape::default();
                let mut g = Graph::new(model.params(), &mut tape, Engine::Fused, *level);
                let output = model.forward(&mut g, &batch);
                g.value(output.scores).to_vec()
            };
            let all = scores(&[0, 1, 2, 3, 4, 5]);
            let turned = scores(&[5, 4, 3, 2, 1, 0]);
            for b in 0..6 {
                assert_eq!(all[b * 3..b * 3 + 3], scores(&[b]), "{name} {level}: sample {b} alone");
                assert_eq!(all[b * 3..b * 3 + 3], turned[(5 - b) * 3..][..3], "{name} {level}: sample {b}");
            }
        }
    }
}
