//! Checkpoints and run folders from the library: the same bits after going on, damage, faults of the disk.

use crate::support::faulty::{Fault, Faulty};
use crate::support::ring::ring;
use dmran::data::{Dataset, Protocol};
use dmran::model::init::initialise;
use dmran::model::{Dmran, Model};
use dmran::scorer::{Settings, TimeKind};
use dmran::train::checkpoint::{Allowed, Checkpoint, CheckpointError, Identity};
use dmran::train::config::{Config, OnNan, OptimizerKind, StopMetric, TrainConfig};
use dmran::train::fit::{EpochReport, Finish, Fit, FitError, Halving, MAX_HALVINGS, Progress, Snapshot, Watch};
use dmran::train::run_folder::{RunFolderError, RunOptions, Started};
use dmran::train::{RunFolder, Trainer};
use dmran_kernels::Level;
use std::path::Path;
use std::time::Duration;

fn config() -> Config {
    Config {
        model: Settings {
            d: 16,
            hops: 3,
            heads: 2,
            ff_width: 8,
            head_ff_width: 8,
            time: TimeKind::None,
            ..Settings::default()
        },
        train: TrainConfig {
            epochs: 3,
            lr: 0.02,
            optimizer: OptimizerKind::Adam,
            dropout: 0.2,
            threads: 1,
            ..TrainConfig::default()
        },
        ..Config::default()
    }
}

fn fit<'a>(dataset: &'a Dataset, config: &Config) -> Fit<'a> {
    let mut model = Dmran::new(config.model.clone(), dataset.items(), 0, vec![]).unwrap();
    initialise(model.params_mut(), 0.1, config.train.seed);
    let trainer = Trainer::new(Box::new(model), config.model.clone(), config.train.clone(), Level::current()).unwrap();
    Fit::new(trainer, dataset, config.clone())
}

fn bits(fit: &Fit<'_>) -> Vec<u32> {
    let Snapshot { dense, tables } = Snapshot::take(&fit.trainer);
    dense.iter().chain(tables.iter().flatten()).map(|x| x.to_bits()).collect()
}

/// All that a report says but the time that it took.
fn timeless(reports: &[EpochReport]) -> Vec<String> {
    let without = |r: &EpochReport| EpochReport { seconds: 0.0, samples_per_second: 0.0, ..r.clone() };
    reports.iter().map(|r| format!("{:?}", without(r))).collect()
}

/// Ends a run after so many steps.
struct Steps(usize);

impl Watch for Steps {
    fn step(&mut self, _: &Progress) -> bool {
        self.0 -= 1;
        self.0 > 0
    }
}

fn written(fit: &Fit<'_>, identity: &Identity) -> Vec<u8> {
    let mut bytes = Vec::new();
    Checkpoint::write(fit, identity, &mut bytes).unwrap();
    bytes
}

#[test]
fn a_run_that_goes_on_ends_with_the_same_bits_from_any_step() {
    let dataset = ring(60, 30);
    let identity = Identity::of_dataset(&dataset);
    for optimizer in [OptimizerKind::Sgd, OptimizerKind::Adagrad, OptimizerKind::Adam] {
        let mut config = config();
        config.train.optimizer = optimizer;
        config.train.average = if optimizer == OptimizerKind::Adam { 0.5 } else { 0.0 };
        let mut whole = fit(&dataset, &config);
        assert!(whole.run(&mut ()).unwrap());
        let steps = whole.trainer.optimizer.step as usize;
        assert!(steps > 20, "{steps}");
        for stop in (1..steps).step_by(5) {
            let mut first = fit(&dataset, &config);
            assert!(!first.run(&mut Steps(stop)).unwrap());
            let bytes = written(&first, &identity);
            // A process of another day, on more threads.
            let mut other = config.clone();
            other.train.threads = 1 + stop % 3;
            let mut second = fit(&dataset, &other);
            Checkpoint::from_bytes(&bytes).unwrap().resume(&mut second, &identity, &[]).unwrap();
            assert_eq!(written(&second, &identity).len(), bytes.len());
            assert!(second.run(&mut ()).unwrap());
            assert!(bits(&second) == bits(&whole), "{optimizer:?}, stopped after {stop}");
            assert_eq!(timeless(&second.state.reports), timeless(&whole.state.reports));
            let [a, b] = [&second, &whole].map(|f| f.state.best.clone().unwrap());
            assert_eq!((a.epoch, a.weights), (b.epoch, b.weights));
        }
    }
}

#[test]
fn an_average_of_the_weights_changes_what_is_measured_and_kept_and_nothing_of_what_is_learned() {
    let dataset = ring(60, 30);
    let run = |average: f32| {
        let mut config = config();
        config.train.average = average;
        let mut fit = fit(&dataset, &config);
        assert!(fit.run(&mut ()).unwrap());
        let best = fit.state.best.clone().unwrap();
        (bits(&fit), best, fit)
    };
    let (last, best, _) = run(0.0);
    let (with, averaged, mut fit) = run(0.5);
    assert!(with == last, "the steps are the same");
    assert!(averaged.weights != best.weights);
    fit.restore_best();
    assert!(Snapshot::take(&fit.trainer) == averaged.weights);
    let (_, as_last, _) = run(1e-6);
    assert_eq!(as_last.value, best.value);
    assert!(as_last.weights == best.weights, "an average over no time is the last weights");

    // Where nothing is measured the average is what the training comes to.
    let mut config = config();
    config.train.average = 0.5;
    config.eval.protocol = Protocol::None;
    let mut unmeasured = self::fit(&dataset, &config);
    assert!(unmeasured.run(&mut ()).unwrap());
    let average = unmeasured.trainer.average.clone().unwrap();
    assert!(average != Snapshot::take(&unmeasured.trainer));
    unmeasured.restore_best();
    assert!(average == Snapshot::take(&unmeasured.trainer));
}

fn one_checkpoint() -> Vec<u8> {
    let dataset = ring(20, 10);
    let mut config = config();
    config.model = Settings { d: 4, hops: 2, ..config.model };
    let mut run = fit(&dataset, &config);
    // In the second epoch, so that there is a report and a best epoch.
    assert!(!run.run(&mut Steps(run.train().len().div_ceil(config.train.batch) + 1)).unwrap());
    written(&run, &Identity::of_dataset(&dataset))
}

#[test]
fn what_is_read_is_written_again() {
    let bytes = one_checkpoint();
    let checkpoint = Checkpoint::from_bytes(&bytes).unwrap();
    assert!(checkpoint.state.best.is_some() && checkpoint.state.reports.len() == 1);
    assert!(checkpoint.to_bytes().unwrap() == bytes);
}

#[test]
fn every_damage_is_found_and_named() {
    let bytes = one_checkpoint();
    for length in 0..bytes.len() {
        match Checkpoint::from_bytes(&bytes[..length]) {
            Err(CheckpointError::NotACheckpoint) if length < 8 => {}
            Err(CheckpointError::Cut { found, .. }) if found == length as u64 => {}
            other => panic!("{length} of {} bytes: {other:?}", bytes.len()),
        }
    }
    let mut damaged = bytes.clone();
    for bit in 0..8 * bytes.len() {
        damaged[bit / 8] ^= 1 << (bit % 8);
        let error = Checkpoint::from_bytes(&damaged).expect_err(&format!("bit {bit}"));
        damaged[bit / 8] ^= 1 << (bit % 8);
        match (bit / 8, error) {
            (0..8, CheckpointError::NotACheckpoint) => {}
            (16..24, CheckpointError::Cut { .. } | CheckpointError::Trailing { .. }) => {}
            (8..16 | 24.., CheckpointError::Checksum { .. }) => {}
            (at, error) => panic!("bit {bit} in byte {at}: {error:?}"),
        }
    }
    damaged.push(0);
    assert!(matches!(Checkpoint::from_bytes(&damaged), Err(CheckpointError::Trailing { extra: 1 })));
    assert!(Checkpoint::from_bytes(&bytes).is_ok());
}

#[test]
fn another_model_log_or_setting_is_refused_and_nothing_is_touched() {
    let (dataset, other) = (ring(60, 30), ring(61, 30));
    let identity = Identity::of_dataset(&dataset);
    let config = config();
    let mut run = fit(&dataset, &config);
    assert!(!run.run(&mut Steps(5)).unwrap());
    let bytes = written(&run, &identity);
    let refused = |dataset: &Dataset, identity: &Identity, config: &Config, allowed: &[Allowed]| {
        let mut run = fit(dataset, config);
        let before = bits(&run);
        let error = Checkpoint::from_bytes(&bytes).unwrap().resume(&mut run, identity, allowed).unwrap_err();
        assert!(bits(&run) == before && run.trainer.optimizer.step == 0, "untouched");
        error.to_string()
    };
    let text = refused(&other, &Identity::of_dataset(&other), &config, &[]);
    assert!(text.contains("users: 60 -> 61") && text.contains("fingerprint"), "{text}");
    let renamed = Identity { names: [0, 7, 0], ..identity.clone() };
    let text = refused(&dataset, &renamed, &config, &[]);
    assert!(text.contains("names of the 30 items"), "{text}");
    let mut changed = config.clone();
    changed.train.lr = 0.25;
    changed.train.epochs = 9;
    let text = refused(&dataset, &identity, &changed, &[Allowed::Epochs]);
    assert!(text.contains("train.lr: ") && text.contains("-> 0.25") && !text.contains("epochs"), "{text}");
    changed.train.lr = config.train.lr;
    let text = refused(&dataset, &identity, &changed, &[]);
    assert!(text.contains("train.epochs: 3 -> 9") && text.contains("--allow epochs"), "{text}");
    let mut run = fit(&dataset, &changed);
    Checkpoint::from_bytes(&bytes).unwrap().resume(&mut run, &identity, &[Allowed::Epochs]).unwrap();
    assert_eq!(run.trainer.optimizer.step, 5);
    // A file that contradicts itself, with a good checksum.
    let broken = |change: fn(&mut Checkpoint)| {
        let mut checkpoint = Checkpoint::from_bytes(&bytes).unwrap();
        change(&mut checkpoint);
        let checkpoint = Checkpoint::from_bytes(&checkpoint.to_bytes().unwrap()).unwrap();
        let mut run = fit(&dataset, &config);
        checkpoint.resume(&mut run, &identity, &[]).unwrap_err().to_string()
    };
    assert!(broken(|c| c.model = "bpr-mf".into()).contains("bpr-mf in the checkpoint, dmran in the model"));
    assert!(broken(|c| c.shapes[0].1 += 1).contains("weight 0"));
    assert!(broken(|c| c.point.weights.dense.truncate(9)).contains("lengths of the weights"));
    assert!(broken(|c| c.point.weights.tables.truncate(0)).contains("lengths of the weights"));
    assert!(broken(|c| c.point.tables[0][1].truncate(9)).contains("optimiser"));
    assert!(broken(|c| c.state.epoch = 2).contains("reports"));
    assert!(broken(|c| c.state.position = 1 << 30).contains("position"));
    assert!(broken(|c| c.config = "d = [".into()).contains("settings"));
}

#[test]
fn the_last_few_are_kept_and_a_broken_one_is_passed_over() {
    let dataset = ring(60, 30);
    let identity = Identity::of_dataset(&dataset);
    let folder = tempfile::tempdir().unwrap();
    let options = RunOptions { keep: 2, every: Duration::ZERO };
    let open = || RunFolder::open(folder.path().join("run"), options).unwrap();
    let mut run = fit(&dataset, &config());
    let mut kept = open();
    assert!(matches!(kept.start(&mut run, identity.clone(), &[]).unwrap(), Started::Fresh));
    assert!(!run.run_keeping(&mut Steps(7), &mut kept).unwrap());
    let paths = kept.checkpoints().unwrap();
    let names: Vec<_> = paths.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["00000006-epoch-0-step-6.checkpoint", "00000007-epoch-0-step-7.checkpoint"]);

    // A second trainer is kept out, and told why.
    let error = RunFolder::open(folder.path().join("run"), options).err().unwrap();
    assert!(matches!(&error, RunFolderError::Locked { .. }) && error.to_string().contains("run"), "{error}");
    drop(kept);

    let mut bytes = std::fs::read(&paths[1]).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&paths[1], &bytes).unwrap();
    std::fs::write(folder.path().join("run/checkpoints/.00000009-epoch-0-step-9.checkpoint.1-0.tmp"), "x").unwrap();
    std::fs::write(folder.path().join("run/.metrics.jsonl.12-3.tmp"), "x").unwrap();
    let mut kept = open();
    let mut run = fit(&dataset, &config());
    match kept.start(&mut run, identity.clone(), &[]).unwrap() {
        Started::Resumed { from, skipped } => {
            assert_eq!((from, &skipped[0].0), (paths[0].clone(), &paths[1]));
            assert!(skipped[0].1.to_string().contains("checksum"), "{}", skipped[0].1);
        }
        Started::Fresh => panic!("there was a checkpoint"),
    }
    let orphans = walk(folder.path()).into_iter().filter(|(name, _)| name.ends_with(".tmp")).count();
    assert_eq!((orphans, run.trainer.optimizer.step), (0, 6));
    // The broken one goes with the first that is written, not the good one.
    run.trainer.optimizer.step = 8;
    run.state.position += 1;
    kept.save(&mut run).unwrap();
    assert!(paths[0].exists() && !paths[1].exists());
    drop(kept);

    // If none can be read nothing is touched, temporary files included.
    for path in open().checkpoints().unwrap() {
        std::fs::write(path, b"DMRANRUN and then nothing of any sense").unwrap();
    }
    std::fs::write(folder.path().join("run/.metrics.jsonl.12-3.tmp"), "x").unwrap();
    let before = walk(folder.path());
    let mut kept = open();
    let error = kept.start(&mut fit(&dataset, &config()), identity, &[]).unwrap_err().to_string();
    assert!(error.contains("no checkpoint can be read") && error.contains("step-8"), "{error}");
    assert_eq!(walk(folder.path()), before);
}

/// Every file below a folder with its length.
fn walk(folder: &Path) -> Vec<(String, u64)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files.extend(walk(&path)),
            false => files.push((path.display().to_string(), path.metadata().unwrap().len())),
        }
    }
    files.sort();
    files
}

#[test]
fn a_folder_of_something_else_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("thesis.tex"), "x").unwrap();
    let error = RunFolder::open(folder.path(), RunOptions::default()).err().unwrap();
    assert!(matches!(error, RunFolderError::Foreign { .. }), "{error}");
    assert_eq!(walk(folder.path()).len(), 1);
}

#[test]
fn whatever_call_fails_a_checkpoint_still_loads_and_the_error_says_why() {
    let dataset = ring(200, 100);
    let identity = Identity::of_dataset(&dataset);
    // Large enough for several writes of the buffer's size.
    let mut config = config();
    config.model = Settings { d: 64, ..config.model };
    for (fault, word) in [
        (Fault::Short, ""),
        (Fault::Nothing, "failed to write"),
        (Fault::Errno(28), "No space left on device"),
        (Fault::Errno(5), "Input/output error"),
    ] {
        let mut calls = 0;
        for strike in 1.. {
            let folder = tempfile::tempdir().unwrap();
            let faulty = Faulty::new(fault);
            let options = RunOptions { keep: 1, ..RunOptions::default() };
            let mut kept = RunFolder::open_on(Box::new(faulty.clone()), folder.path(), options).unwrap();
            let mut run = fit(&dataset, &config);
            kept.start(&mut run, identity.clone(), &[]).unwrap();
            run.trainer.optimizer.step = 1;
            kept.save(&mut run).unwrap();
            run.state.position = 32;
            run.trainer.optimizer.step = 2;
            faulty.strike_at(strike);
            let saved = kept.save(&mut run);
            let struck = faulty.has_struck();
            let (_, newest, skipped) = kept.newest().unwrap().expect("a checkpoint");
            assert!(skipped.is_empty(), "nothing half written has a checkpoint's name");
            match saved {
                Ok(()) => assert_eq!(newest.point.step, 2),
                Err(error) => {
                    let text = error.to_string();
                    assert!(struck && text.contains(word) && text.contains("step-2.checkpoint"), "{text}");
                    assert!(text.contains("step-1.checkpoint is untouched"), "{text}");
                    assert!(
                        walk(folder.path()).iter().all(|(name, _)| !name.ends_with(".tmp")),
                        "no temporary file stays"
                    );
                    // And once the disk is well again the run can be kept.
                    faulty.strike_at(0);
                    kept.save(&mut run).unwrap();
                    assert_eq!(kept.newest().unwrap().unwrap().1.point.step, 2);
                }
            }
            if !struck {
                calls = strike - 1;
                break;
            }
        }
        assert!(calls >= 8, "{fault:?}: create, several writes, sync, rename, sync: {calls} calls");
    }
}

#[derive(Default)]
struct Halvings(Vec<Halving>);

impl Watch for Halvings {
    fn halved(&mut self, halving: &Halving) {
        self.0.push(halving.clone());
    }
}

/// Settings under which nothing keeps a run from diverging but its learning rate.
fn unclipped(lr: f32) -> Config {
    let mut config = config();
    config.train.optimizer = OptimizerKind::Sgd;
    config.train.clip = 0.0;
    config.train.dropout = 0.0;
    config.train.on_nan = OnNan::HalveLr;
    config.train.lr = lr;
    config
}

#[test]
fn halving_the_learning_rate_goes_on_and_survives() {
    let dataset = ring(60, 30);
    let identity = Identity::of_dataset(&dataset);
    // The smallest of many rates that diverges, of which a half or a quarter does not. Where most of them break depends on
    // the last bits, so that powers of two alone may all miss.
    let (config, whole, watch) = (0..120)
        .find_map(|quarter| {
            let mut config = unclipped(2f32.powf(0.25 * quarter as f32));
            // The first epoch decides: there is something to go back to that is not spoilt.
            config.train.decay = 0.01;
            let mut run = fit(&dataset, &config);
            let mut watch = Halvings::default();
            let ended = run.run(&mut watch);
            (ended.is_ok() && !watch.0.is_empty()).then_some((config, run, watch))
        })
        .expect("some learning rate diverges and its half does not");
    let halvings = whole.state.halvings.clone();
    assert!(!halvings.is_empty() && halvings.len() <= MAX_HALVINGS, "{halvings:?}");
    assert_eq!(watch.0, halvings);
    let noted: Vec<Halving> = whole.state.reports.iter().flat_map(|r| r.halvings.clone()).collect();
    assert_eq!(noted, halvings, "each is in its epoch's report");
    let factor = 0.5f32.powi(halvings.len() as i32);
    assert_eq!(halvings.last().unwrap().factor, factor);
    let last = whole.state.reports.last().unwrap();
    assert_eq!(last.lr, config.train.learning_rate(2, 0) * factor);
    for stop in (1..whole.trainer.optimizer.step as usize).step_by(3) {
        let mut first = fit(&dataset, &config);
        assert!(!first.run(&mut Steps(stop)).unwrap());
        let bytes = written(&first, &identity);
        let mut second = fit(&dataset, &config);
        Checkpoint::from_bytes(&bytes).unwrap().resume(&mut second, &identity, &[]).unwrap();
        assert!(second.run(&mut ()).unwrap());
        assert!(bits(&second) == bits(&whole), "stopped after {stop} steps");
        assert_eq!(second.state.halvings, halvings);
    }
}

#[test]
fn halving_ends_somewhere() {
    let dataset = ring(60, 30);
    let config = unclipped(1e30);
    let mut run = fit(&dataset, &config);
    match run.run(&mut ()) {
        Err(error @ FitError::StillDiverges { times: MAX_HALVINGS, .. }) => {
            assert!(error.to_string().contains("halved 5 times"), "{error}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn patience_ends_a_run_and_the_best_epoch_is_the_metric_s() {
    let dataset = ring(60, 30);
    for metric in [StopMetric::Auc, StopMetric::Loss] {
        let mut config = config();
        config.train.epochs = 40;
        config.train.lr = 0.1;
        config.train.early_stop_metric = metric;
        config.train.patience = 2;
        let mut run = fit(&dataset, &config);
        assert!(run.run(&mut ()).unwrap());
        assert_eq!(run.finish(), Some(Finish::Patience), "{metric}");
        let reports = &run.state.reports;
        let best = run.state.best.as_ref().unwrap();
        assert_eq!(reports.len(), best.epoch + 2);
        let value = |r: &EpochReport| if metric == StopMetric::Auc { -r.auc.mean } else { r.validation_loss.mean };
        let least = reports.iter().map(value).fold(f64::INFINITY, f64::min);
        assert_eq!(value(&reports[best.epoch - 1]), least);
        // It is finished for whoever opens it again, and goes on with more patience.
        let identity = Identity::of_dataset(&dataset);
        let checkpoint = Checkpoint::from_bytes(&written(&run, &identity)).unwrap();
        config.train.patience = 3;
        let mut more = fit(&dataset, &config);
        checkpoint.resume(&mut more, &identity, &[Allowed::Patience]).unwrap();
        assert_eq!(more.finish(), None);
    }
}
