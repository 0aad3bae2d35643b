//! The softmax losses in whole steps: one gradient in every way of computing it, the same bits on any number of threads,
//! a sampled gradient whose mean is the full one.

use crate::support::ring::ring;
use dmran::autograd::tape::Engine;
use dmran::data::{Dataset, Negatives, Protocol, last_of_each_user, train_samples};
use dmran::model::{Sizes, Start, build};
use dmran::scorer::{Head, LastEvent, Settings, TimeKind, Variant};
use dmran::train::config::{Denominator, OptimizerKind, TrainConfig};
use dmran::train::fit::Snapshot;
use dmran::train::{Loss, Trainer};
use dmran_kernels::Level;

const VECTOR_MODELS: [&str; 5] = ["dmran", "bpr-mf", "bi-lstm", "cnn-pooling", "sasrec"];

/// The models, and DMRAN with its other head without a candidate.
fn vector_models() -> impl Iterator<Item = (&'static str, Head)> {
    VECTOR_MODELS.into_iter().map(|name| (name, Head::Mean)).chain([("dmran", Head::Rows)])
}

fn settings(head: Head) -> Settings {
    let time = TimeKind::Order;
    let last = if head == Head::Rows { LastEvent::Row } else { LastEvent::None };
    Settings { last, d: 16, hops: 3, heads: 2, ff_width: 8, head_ff_width: 8, time, head, ..Settings::default() }
}

fn config(loss: Loss) -> TrainConfig {
    let optimizer = OptimizerKind::Sgd;
    TrainConfig {
        loss,
        optimizer,
        lr: 0.5,
        clip: 0.0,
        penalty: 0.0,
        l2_weight: 0.0,
        batch: 40,
        ..TrainConfig::default()
    }
}

/// All numbers of a model before and after some steps on a log.
fn steps(name: &str, dataset: &Dataset, settings: &Settings, config: &TrainConfig, count: usize) -> [Vec<f32>; 2] {
    let sizes = Sizes { users: dataset.users(), items: dataset.items(), categories: 0, item_category: vec![] };
    let model = build(name, settings, &sizes, Start { seed: 1, table_std: Some(0.3) }).unwrap();
    let every = model.every_position();
    let mut trainer = Trainer::new(model, settings.clone(), config.clone(), Level::current()).unwrap();
    let negatives = Negatives::new(dataset);
    let mut samples = train_samples(dataset, Protocol::Paper);
    if every {
        last_of_each_user(&mut samples);
    }
    let numbers = |trainer: &Trainer| {
        let Snapshot { dense, tables } = Snapshot::take(trainer);
        dense.iter().chain(tables.iter().flatten()).copied().collect::<Vec<f32>>()
    };
    let before = numbers(&trainer);
    let order: Vec<u32> = (0..samples.len() as u32).collect();
    for batch in order.chunks(config.batch).cycle().take(count) {
        trainer.step(dataset, &negatives, &samples, batch, 0, 0).unwrap();
    }
    [before, numbers(&trainer)]
}

/// The change that one step with learning rate 0.5 makes.
fn change(name: &str, dataset: &Dataset, settings: &Settings, config: &TrainConfig) -> Vec<f64> {
    let [before, after] = steps(name, dataset, settings, config, 1);
    before.iter().zip(&after).map(|(a, b)| f64::from(*b) - f64::from(*a)).collect()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
    norm(&mut a.iter().zip(b).map(|(a, b)| a - b)) / norm(&mut b.iter().copied())
}

#[test]
fn the_whole_catalogue_at_once_gives_the_gradient_of_the_naive_engine_for_every_model_with_user_vectors() {
    let dataset = ring(40, 700);
    for (name, head) in vector_models() {
        for denominator in [Denominator::All, Denominator::Unseen] {
            let of = |engine| {
                let config = TrainConfig { engine, denominator, ..config(Loss::Softmax) };
                change(name, &dataset, &settings(head), &config)
            };
            let (fused, naive) = (of(Engine::Fused), of(Engine::Naive));
            let off = distance(&fused, &naive);
            assert!(off < 1e-4, "{name} {head} {denominator:?}: {off}");
        }
    }
}

#[test]
fn a_sample_for_the_whole_batch_at_once_gives_the_gradient_of_the_naive_engine() {
    // Few items, so that a sample has targets and what users had among it, some of them twice.
    let dataset = ring(40, 60);
    for (name, head) in vector_models() {
        for (denominator, sampling_power) in [(Denominator::All, 0.0), (Denominator::Unseen, 1.0)] {
            let of = |engine| {
                let base = config(Loss::SampledSoftmax);
                // With one shard, both draw the same.
                let config =
                    TrainConfig { engine, denominator, sampling_power, shards: 1, shared_negatives: 50, ..base };
                change(name, &dataset, &settings(head), &config)
            };
            let (fused, naive) = (of(Engine::Fused), of(Engine::Naive));
            let off = distance(&fused, &naive);
            assert!(off < 1e-4, "{name} {head} {denominator:?}: {off}");
        }
    }
}

/// A model and a head whose score depends on the candidate, and the variants that read the one side or the other.
const CANDIDATE_MODELS: [(&str, Head, Variant); 8] = [
    ("dmran", Head::Vanilla, Variant::Full),
    ("dmran", Head::Vanilla, Variant::Item),
    ("dmran", Head::Vanilla, Variant::Feature),
    ("dmran", Head::Atrank, Variant::Full),
    ("dmran", Head::Atrank, Variant::Item),
    ("dmran", Head::Atrank, Variant::Feature),
    ("atrank", Head::Mean, Variant::Full),
    ("bi-lstm-attention", Head::Mean, Variant::Full),
];

#[test]
fn scores_that_depend_on_the_candidate_have_the_gradient_of_the_naive_engine_for_shared_ones() {
    let dataset = ring(40, 90);
    for (name, head, variant) in CANDIDATE_MODELS {
        let settings = Settings { variant, ..settings(head) };
        for (loss, denominator) in [(Loss::Softmax, Denominator::Unseen), (Loss::SampledSoftmax, Denominator::All)] {
            let of = |engine| {
                // Every term of the loss counts, and a shard has several samples.
                let base = TrainConfig { penalty: 0.1, l2_weight: 0.1, shards: 7, ..config(loss) };
                change(name, &dataset, &settings, &TrainConfig { engine, denominator, shared_negatives: 70, ..base })
            };
            let off = distance(&of(Engine::Fused), &of(Engine::Naive));
            assert!(off < 1e-4, "{name} {head} {variant:?} {loss}: {off}");
        }
    }
}

#[test]
fn items_that_a_user_had_leave_the_denominator_where_asked() {
    let dataset = ring(40, 25);
    for head in [Head::Mean, Head::Vanilla] {
        let of = |denominator| {
            change("dmran", &dataset, &settings(head), &TrainConfig { denominator, ..config(Loss::Softmax) })
        };
        assert!(distance(&of(Denominator::All), &of(Denominator::Unseen)) > 0.01, "{head}");
    }
}

#[test]
fn softmax_losses_give_the_same_bits_with_one_two_and_five_threads() {
    let dataset = ring(60, 30);
    for loss in [Loss::Softmax, Loss::SampledSoftmax] {
        for (name, head) in [
            ("dmran", Head::Mean),
            ("dmran", Head::Vanilla),
            ("dmran", Head::Atrank),
            ("atrank", Head::Mean),
            ("bpr-mf", Head::Mean),
            ("sasrec", Head::Mean),
        ] {
            let run = |threads| {
                let base = config(loss);
                let config = TrainConfig { threads, shards: 7, dropout: 0.2, shared_negatives: 20, ..base };
                let [_, after] = steps(name, &dataset, &settings(head), &config, 8);
                after.iter().map(|x| x.to_bits()).collect::<Vec<u32>>()
            };
            let one = run(1);
            assert!(one == run(2) && one == run(5), "{loss}, {name}, {head}");
        }
    }
}

#[test]
fn the_mean_of_the_sampled_gradient_is_the_full_one() {
    // Popular items, so that drawing by popularity and drawing uniformly are far apart.
    let histories: Vec<Vec<u32>> = (0..30).map(|u| vec![u % 3, u % 5, 3 + u % 17, u % 2, 20 + u % 4]).collect();
    let slices: Vec<&[u32]> = histories.iter().map(Vec::as_slice).collect();
    let dataset = Dataset::from_histories(&slices, 30).unwrap();
    for head in [Head::Mean, Head::Vanilla] {
        let settings = settings(head);
        let full = change("dmran", &dataset, &settings, &config(Loss::Softmax));
        let mean = |sampling_power: f32, logq: bool| {
            let mut mean = vec![0.0; full.len()];
            for seed in 0..60 {
                let base = config(Loss::SampledSoftmax);
                let config = TrainConfig { seed, sampling_power, logq, shared_negatives: 1000, ..base };
                let one = change("dmran", &dataset, &settings, &config);
                mean.iter_mut().zip(one).for_each(|(mean, x)| *mean += x / 60.0);
            }
            distance(&mean, &full)
        };
        for power in [0.0, 1.0] {
            let off = mean(power, true);
            assert!(off < 0.02, "{head}, power {power}: {off}");
        }
        let off = mean(1.0, false);
        assert!(off > 0.1, "{head}: without the correction popular items weigh too much, {off}");
    }
}

#[test]
fn catalogues_of_one_and_two_items_and_single_samples_train() {
    for items in [1, 2] {
        let dataset = Dataset::from_histories(&[&[0, 0, items - 1, 0, items - 1]], items as usize).unwrap();
        for loss in [Loss::Softmax, Loss::SampledSoftmax] {
            for &head in Head::ALL {
                let config = TrainConfig { batch: 1, shared_negatives: 3, ..config(loss) };
                let [before, after] = steps("dmran", &dataset, &settings(head), &config, 4);
                assert!(after.iter().all(|x| x.is_finite()));
                assert_eq!(before != after, items > 1, "{loss}, {head}: one item leaves nothing to learn");
            }
        }
    }
}

#[test]
fn a_softmax_over_a_poisoned_table_stops_before_any_weight_is_touched() {
    let dataset = ring(20, 30);
    let sizes = Sizes { users: 20, items: 30, categories: 0, item_category: vec![] };
    for head in [Head::Mean, Head::Vanilla] {
        let settings = settings(head);
        let mut model = build("dmran", &settings, &sizes, Start { seed: 1, table_std: None }).unwrap();
        let v = model.params().find_table("V").unwrap();
        model.params_mut().table_mut(v).data[3] = f32::NAN;
        let mut trainer = Trainer::new(model, settings, config(Loss::Softmax), Level::current()).unwrap();
        let samples = train_samples(&dataset, Protocol::Paper);
        let before = Snapshot::take(&trainer);
        let error = trainer.step(&dataset, &Negatives::new(&dataset), &samples, &[0, 1, 2], 0, 0).unwrap_err();
        assert!(error.to_string().contains("the loss is NaN"), "{error}");
        let after = Snapshot::take(&trainer);
        let bits = |snapshot: &Snapshot| snapshot.dense.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(&before), bits(&after));
    }
}
