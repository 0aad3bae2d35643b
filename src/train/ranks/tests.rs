//! Ranks that are threads against a single process, bit for bit.

use super::cost::{Compared, Step, Traffic};
use super::threads::Thread;
use super::{Differs, Sameness, Team, Unshared};
use crate::data::Dataset;
use crate::model::Kind;
use crate::scorer::Head;
use crate::train::config::{Config, Denominator, L2Kind, OnNan, OptimizerKind, TrainConfig};
use crate::train::fit::{Fit, Point, Progress, Snapshot, Watch};
use crate::train::{Loss, start};
use dmran_kernels::Level;
use std::collections::BTreeSet;

/// Users who go round a ring of items, each with a step of their own.
fn ring(users: usize, items: usize) -> Dataset {
    let histories: Vec<Vec<u32>> = (0..users)
        .map(|user| (0..5 + user % 11).map(|at| ((user * 7 + at * (1 + user % 3)) % items) as u32).collect())
        .collect();
    Dataset::from_histories(&histories.iter().map(Vec::as_slice).collect::<Vec<_>>(), items).unwrap()
}

fn config(head: Head, loss: Loss) -> Config {
    let mut config = Config::default();
    config.model.d = 16;
    config.model.hops = 3;
    config.model.heads = 2;
    config.model.head = head;
    config.train = TrainConfig {
        loss,
        epochs: 2,
        batch: 24,
        shards: 8,
        shared_negatives: 9,
        threads: 1,
        dropout: 0.2,
        optimizer: OptimizerKind::Adam,
        lr: 0.01,
        ..config.train
    };
    config
}

/// What a run comes to: all numbers, the terms of each epoch, the figures of the test.
fn run(dataset: &Dataset, config: &Config, team: Team) -> (Vec<u32>, String, Traffic) {
    let mut config = config.clone();
    config.adapt(dataset);
    let mut fit = start(config, dataset, Level::best()).unwrap();
    fit.trainer.join(team).unwrap();
    fit.run(&mut ()).unwrap();
    fit.restore_best();
    let figures = fit.test_figures();
    let Snapshot { dense, tables } = Snapshot::of(fit.trainer.model().params());
    let bits = dense.iter().chain(tables.iter().flatten()).map(|x| x.to_bits()).collect();
    let epochs: Vec<_> =
        fit.state.reports.iter().map(|epoch| (epoch.terms, epoch.auc, epoch.validation_loss, epoch.best)).collect();
    (bits, format!("{epochs:?} {figures:?}"), fit.trainer.team().traffic())
}

/// The same on so many ranks, each of them a thread.
fn run_on<R: Send>(ranks: usize, each: impl Fn(Team) -> R + Sync) -> Vec<R> {
    std::thread::scope(|scope| {
        let each = &each;
        let run = |thread| scope.spawn(move || each(Team::new(Box::new(thread))));
        let running: Vec<_> = Thread::ranks(ranks).into_iter().map(run).collect();
        running.into_iter().map(|rank| rank.join().unwrap()).collect()
    })
}

#[test]
fn ranks_come_to_the_bits_and_figures_of_one_process() {
    let dataset = ring(60, 30);
    let mut models = BTreeSet::new();
    for (at, head) in [Head::Mean, Head::Atrank, Head::Vanilla].into_iter().enumerate() {
        for (loss, denominator) in [
            (Loss::Bce, Denominator::All),
            (Loss::Softmax, Denominator::Unseen),
            (Loss::SampledSoftmax, Denominator::Unseen),
        ] {
            let mut config = config(head, loss);
            config.train.denominator = denominator;
            config.train.optimizer = [OptimizerKind::Adam, OptimizerKind::Adagrad, OptimizerKind::Sgd][at];
            config.train.l2 = if at == 0 { L2Kind::Weights } else { L2Kind::Activation };
            let alone = run(&dataset, &config, Team::default());
            for ranks in [2, 8] {
                for (rank, got) in run_on(ranks, |team| run(&dataset, &config, team)).into_iter().enumerate() {
                    assert!(got.0 == alone.0, "{head}, {loss}: other bits on rank {rank} of {ranks}");
                    assert_eq!(got.1, alone.1, "{head}, {loss}: rank {rank} of {ranks}");
                }
            }
            models.insert(alone.0);
        }
    }
    assert_eq!(models.len(), 9, "each is a model of its own");
}

#[test]
fn a_divergence_is_told_alike_and_gone_back_from_alike() {
    let dataset = ring(60, 30);
    for lr in [1e30, 3e4] {
        let mut config = config(Head::Mean, Loss::Bce);
        config.adapt(&dataset);
        (config.train.optimizer, config.train.lr, config.train.clip) = (OptimizerKind::Sgd, lr, 0.0);
        config.train.on_nan = OnNan::HalveLr;
        let run = |team: Team| {
            let mut fit = start(config.clone(), &dataset, Level::best()).unwrap();
            fit.trainer.join(team).unwrap();
            let ended = fit.run(&mut ()).map_err(|error| error.to_string());
            let weights = Snapshot::of(fit.trainer.model().params());
            (ended, format!("{:?}", fit.state.halvings), weights.tables.concat().into_iter().map(f32::to_bits))
        };
        let (ended, halvings, weights) = run(Team::default());
        assert!(halvings.contains("cause"), "{halvings}");
        for got in run_on(4, run) {
            assert_eq!((&got.0, &got.1), (&ended, &halvings));
            assert!(got.2.eq(weights.clone()));
        }
    }
}

#[test]
fn a_rank_has_state_and_copies_of_its_own_rows_alone() {
    let dataset = ring(60, 64);
    for loss in [Loss::Bce, Loss::Softmax] {
        let mut config = config(Head::Mean, loss);
        config.train.average = 0.5;
        config.adapt(&dataset);
        let lengths = |team: Team| {
            let mut fit = start(config.clone(), &dataset, Level::best()).unwrap();
            fit.trainer.join(team).unwrap();
            fit.run(&mut ()).unwrap();
            let Point { weights, tables, average, .. } = Point::take(&fit.trainer);
            let of = |tables: &[Vec<f32>]| tables.iter().map(Vec::len).sum::<usize>();
            let states = tables.iter().map(|states| of(states)).sum::<usize>();
            let best = fit.state.best.as_ref().map(|best| of(&best.weights.tables));
            [Some(of(&weights.tables)), Some(states / 2), average.map(|average| of(&average.tables)), best]
        };
        let [whole, ..] = lengths(Team::default());
        // 64 items are a single run of the softmax: one rank has them all.
        let most = if loss == Loss::Bce { 4 } else { 1 };
        let all = run_on(4, lengths);
        assert_eq!(all.iter().map(|rank| rank[0].unwrap()).sum::<usize>(), whole.unwrap());
        for rank in all {
            assert!(rank.iter().all(|length| *length == rank[0]), "{rank:?}");
            assert!(rank[0].unwrap() * most <= whole.unwrap() + 4 * 17, "{rank:?} of {whole:?}");
        }
    }
}

#[test]
fn a_rival_trains_on_ranks_too() {
    let dataset = ring(60, 30);
    let mut config = Config::of(Default::default(), Kind::Sasrec);
    config.model.d = 16;
    config.train.epochs = 1;
    config.train.batch = 24;
    config.train.shards = 6;
    config.train.threads = 1;
    let alone = run(&dataset, &config, Team::default());
    for got in run_on(3, |team| run(&dataset, &config, team)) {
        assert!((got.0 == alone.0) && (got.1 == alone.1));
    }
}

/// Keeps what the last step sent, and stops after some.
struct Steps {
    left: usize,
    sent: Traffic,
}

impl Watch for Steps {
    fn step(&mut self, progress: &Progress) -> bool {
        (self.left, self.sent) = (self.left - 1, progress.sent);
        self.left > 0
    }
}

#[test]
fn bytes_and_messages_of_a_step_are_those_of_the_formula() {
    let dataset = ring(400, 3000);
    for (head, loss) in [(Head::Atrank, Loss::Bce), (Head::Mean, Loss::Softmax)] {
        let mut config = config(head, loss);
        config.train.batch = 96;
        config.adapt(&dataset);
        for ranks in [2, 4] {
            let all = run_on(ranks, |team| {
                let mut fit: Fit<'_> = start(config.clone(), &dataset, Level::best()).unwrap();
                fit.trainer.join(team).unwrap();
                let mut steps = Steps { left: 3, sent: Traffic::default() };
                fit.run(&mut steps).unwrap();
                (steps.sent, fit.trainer.sizes())
            });
            let mean = |of: &dyn Fn(&(Traffic, Step)) -> f64| all.iter().map(of).sum::<f64>() / ranks as f64;
            let mut step = all[0].1.clone();
            for (at, read) in step.tables.iter_mut().enumerate() {
                read.by_rank = mean(&|rank| rank.1.tables[at].by_rank);
            }
            let width = config.model.d + usize::from(config.model.item_bias);
            let compared = Compared { targets: 96, d: config.model.d, items: 3000, width, runs: 12, again: 0 };
            assert_eq!(step.compared, (loss == Loss::Softmax).then_some(compared));
            let (bytes, formula) = (mean(&|rank| rank.0.bytes as f64), step.bytes());
            println!("{head}, {loss}, {ranks} ranks: {bytes} bytes, by formula {formula}");
            assert!((bytes - formula).abs() < 0.1 * formula, "{head}, {loss}: {bytes} bytes, by formula {formula}");
            let messages = all.iter().map(|rank| rank.0.messages as usize).max();
            assert!(messages <= Some(step.messages()), "{messages:?} of {}", step.messages());
        }
    }
}

#[test]
fn shards_that_cannot_be_shared_are_refused_with_a_number_that_can() {
    let check = |ranks: usize, shards: usize| {
        let config = TrainConfig { shards, ..TrainConfig::default() };
        let team = Team::new(Box::new(Thread::ranks(ranks).remove(0)));
        team.check(&config).map_err(|Unshared { ranks, shards }| Unshared { ranks, shards }.to_string())
    };
    assert_eq!((check(1, 7), check(4, 64), check(3, 12), check(8, 8)), (Ok(()), Ok(()), Ok(()), Ok(())));
    for (ranks, shards, possible) in [(4, 2, 4), (2, 6, 8), (3, 64, 96), (5, 16, 20)] {
        let error = check(ranks, shards).unwrap_err();
        assert!(error.contains(&format!("--shards {possible} can be shared")), "{error}");
        assert_eq!(check(ranks, possible), Ok(()));
    }
}

#[test]
fn the_rank_that_differs_is_named_with_what_it_differs_in() {
    let things = |log: &str| Sameness::new(Level::best(), "seed = 1\nlr = 0.5\n", log.to_owned());
    let same = run_on(3, |mut team| team.agree(&things("abc")));
    assert_eq!(same, [Ok(()), Ok(()), Ok(())]);
    let got = run_on(3, |mut team| {
        let log = if team.rank() == 1 { "abd" } else { "abc" };
        team.agree(&things(log))
    });
    for answer in got {
        let Differs { rank, what, theirs, leads, .. } = answer.unwrap_err();
        assert_eq!((rank, &*what, &*theirs, &*leads), (1, "log's fingerprint", "abd", "abc"));
    }
    let settings = |text: &str| Sameness::new(Level::best(), text, String::new());
    let got = run_on(2, |mut team| {
        let text = if team.rank() == 1 { "seed = 1" } else { "seed = 1\nlr = 0.5" };
        team.agree(&settings(text)).unwrap_err().to_string()
    });
    assert!(
        got[0].contains("rank 1 of 2 differs from rank 0 in settings: nothing there, lr = 0.5 on rank 0"),
        "{}",
        got[0]
    );
}

#[test]
fn bytes_of_all_lengths_come_through() {
    let text = |rank: usize| b"abcdefghij"[..rank * 2 + 1].to_vec();
    for all in run_on(4, |mut team| team.gather_bytes(&text(team.rank()))) {
        assert_eq!(all, (0..4).map(text).collect::<Vec<_>>());
    }
}
