//! Whole steps: the same bits for any number of threads, both engines to one result, a
//! stop instead of NaN.

use crate::support::ring::ring;
use dmran::autograd::tape::Engine;
use dmran::data::{Dataset, Negatives, Protocol, Sample, train_samples};
use dmran::model::init::initialise;
use dmran::model::{Dmran, Model};
use dmran::scorer::{Block, Head, LastEvent, Settings, TimeKind, Variant};
use dmran::train::config::{Config, L2Kind, OptimizerKind, TrainConfig};
use dmran::train::fit::{Fit, Snapshot};
use dmran::train::trainer::TrainError;
use dmran::train::{Trainer, sampler};
use dmran_kernels::Level;

fn settings() -> Settings {
    Settings { d: 16, hops: 3, heads: 2, ff_width: 8, head_ff_width: 8, time: TimeKind::None, ..Settings::default() }
}

fn trainer(dataset: &Dataset, settings: &Settings, config: &TrainConfig) -> Trainer {
    let mut model = Dmran::new(settings.clone(), dataset.items(), 0, vec![]).unwrap();
    initialise(model.params_mut(), 0.1, config.seed);
    Trainer::new(Box::new(model), settings.clone(), config.clone(), Level::current()).unwrap()
}

fn steps(trainer: &mut Trainer, dataset: &Dataset, negatives: &Negatives, samples: &[Sample], count: usize) {
    let batch = trainer.config().batch;
    let order: Vec<u32> = (0..samples.len() as u32).collect();
    for (i, batch) in order.chunks(batch).cycle().take(count).enumerate() {
        trainer.step(dataset, negatives, samples, batch, i / 100, 0).unwrap();
    }
}

fn bits(trainer: &Trainer) -> Vec<u32> {
    let Snapshot { dense, tables } = Snapshot::take(trainer);
    dense.iter().chain(tables.iter().flatten()).map(|x| x.to_bits()).collect()
}

#[test]
fn the_same_bits_with_one_two_and_five_threads() {
    let dataset = ring(60, 30);
    let (negatives, samples) = (Negatives::new(&dataset), train_samples(&dataset, Protocol::Paper));
    for optimizer in [OptimizerKind::Sgd, OptimizerKind::Adagrad, OptimizerKind::Adam] {
        for engine in [Engine::Fused, Engine::Naive] {
            let run = |threads| {
                let config = TrainConfig { threads, engine, optimizer, lr: 0.05, shards: 7, ..TrainConfig::default() };
                let mut trainer = trainer(&dataset, &settings(), &config);
                steps(&mut trainer, &dataset, &negatives, &samples, 12);
                bits(&trainer)
            };
            let one = run(1);
            assert!(one == run(2) && one == run(5), "{optimizer:?}, {engine:?}");
        }
    }
}

#[test]
fn both_engines_learn_the_same() {
    let dataset = ring(300, 40);
    let run = |engine| {
        let config = Config {
            model: settings(),
            train: TrainConfig {
                engine,
                epochs: 4,
                lr: 0.1,
                optimizer: OptimizerKind::Adagrad,
                ..TrainConfig::default()
            },
            ..Config::default()
        };
        let mut fit = Fit::new(trainer(&dataset, &config.model, &config.train), &dataset, config);
        assert!(fit.run(&mut ()).unwrap());
        let report = &fit.state.reports[3];
        (report.loss, report.auc.mean)
    };
    let ((fused, auc), (naive, naive_auc)) = (run(Engine::Fused), run(Engine::Naive));
    assert!((fused - naive).abs() < 2e-3 * naive, "losses {fused} and {naive}");
    assert!((auc - naive_auc).abs() < 0.01, "AUC {auc} and {naive_auc}");
    assert!(auc > 0.75, "what comes next on a ring can be learned; AUC {auc}");
}

#[test]
fn every_variant_head_and_block_trains() {
    let dataset = ring(100, 40);
    for variant in [Variant::Full, Variant::NoTime, Variant::Item, Variant::Feature] {
        for &head in Head::ALL {
            for (block, l2) in [(Block::Plain, L2Kind::Weights), (Block::Transformer, L2Kind::Activation)] {
                let config = Config {
                    model: Settings { variant, head, block, last: LastEvent::Row, ..settings() },
                    train: TrainConfig { epochs: 3, lr: 0.3, l2, ..TrainConfig::default() },
                    ..Config::default()
                };
                let mut fit = Fit::new(trainer(&dataset, &config.model, &config.train), &dataset, config);
                fit.run(&mut ()).unwrap();
                let losses: Vec<f64> = fit.state.reports.iter().map(|r| r.terms.rank).collect();
                assert!(losses[2] < losses[0], "{variant}, {head}, {block}: {losses:?}");
            }
        }
    }
}

#[test]
fn divergence_stops_before_the_weights_are_touched() {
    let dataset = ring(60, 30);
    let (negatives, samples) = (Negatives::new(&dataset), train_samples(&dataset, Protocol::Paper));
    let config = TrainConfig { lr: 1e30, clip: 0.0, ..TrainConfig::default() };
    let mut trainer = trainer(&dataset, &settings(), &config);
    let order: Vec<u32> = (0..samples.len() as u32).collect();
    for (i, batch) in order.chunks(config.batch).cycle().take(20).enumerate() {
        let before = bits(&trainer);
        if let Err(error) = trainer.step(&dataset, &negatives, &samples, batch, 0, i * config.batch) {
            assert!(before == bits(&trainer));
            let text = error.to_string();
            let TrainError::Diverged { step, first, .. } = error else { panic!("{text}") };
            assert_eq!((step, first), (i as u64, i * config.batch), "{text}");
            assert!(text.contains("step") && text.contains("samples"), "{text}");
            return;
        }
    }
    panic!("a learning rate of 1e30 did not diverge");
}

#[test]
fn a_user_who_owns_every_item_is_left_out() {
    let dataset = Dataset::from_histories(&[&[0, 1, 2], &[0, 1, 0]], 3).unwrap();
    let negatives = Negatives::new(&dataset);
    let samples = train_samples(&dataset, Protocol::Paper);
    let mut trainer = trainer(&dataset, &settings(), &TrainConfig::default());
    let report = trainer.step(&dataset, &negatives, &samples, &[0, 1], 0, 0).unwrap();
    assert_eq!((samples.len(), report.samples), (2, 1));
    // All of a batch may fall away: nothing happens then.
    let before = bits(&trainer);
    assert_eq!(trainer.step(&dataset, &negatives, &samples, &[0], 0, 0).unwrap().samples, 0);
    assert!(before == bits(&trainer));
}

#[test]
fn order_and_negatives_depend_on_seed_and_epoch_alone() {
    let (mut a, mut b) = (vec![], vec![]);
    sampler::epoch_order(50, 3, 1, &mut a);
    sampler::epoch_order(50, 3, 1, &mut b);
    assert_eq!(a, b);
    sampler::epoch_order(50, 3, 2, &mut b);
    assert_ne!(a, b);
    b.sort_unstable();
    assert_eq!(b, (0..50).collect::<Vec<_>>());
}
