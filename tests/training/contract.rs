//! What every model of the registry must do, with its everyday settings and each loss: train, give the same bits on any
//! number of threads and after a stop, be measured, and be saved or refused by a clear rule.

use dmran::data::{Event, LogBuilder, Opened, ReadOptions};
use dmran::model::Kind;
use dmran::train::fit::{EpochReport, Watch};
use dmran::train::session::{Keeping, SaveError, SessionError};
use dmran::train::{Config, Loss, Preset, Session};
use std::path::Path;

/// Users who walk around a ring of items with two categories, in steps of one to three.
fn log() -> Opened {
    let mut log = LogBuilder::new(ReadOptions::default());
    for user in 0..40i64 {
        for step in 0..5 + user % 4 {
            let item = (user * 7 + step * (1 + user % 3)) % 24;
            let (user, time) = (format!("u{user:02}"), 1_700_000_000 + user * 1000 + step * 90_000);
            let (item, category) = (format!("i{item:02}"), format!("c{}", item % 2));
            log.push(Event { user: &user, item: &item, time: Some(time), category: Some(&category) }).unwrap();
        }
    }
    Opened::named(log.finish().unwrap(), "ring")
}

fn config(kind: Kind, loss: Loss, threads: usize) -> Config {
    let small = "[model]\nd = 8\nheads = 2\nhops = 3\nhistory_cap = 6\n[train]\nbatch = 32\nepochs = 6\npatience = 0\n\
                 shared_negatives = 12\nlr = 0.01\ndecay = 1.0\n";
    let mut config = Config::from_toml_over(small, Some(Preset::Everyday), Some(kind)).unwrap();
    (config.train.loss, config.train.threads) = (loss, threads);
    config
}

/// Ends the run after so many epochs.
struct Stop(usize);

impl Watch for Stop {
    fn epoch(&mut self, report: &EpochReport) -> bool {
        report.epoch < self.0
    }
}

/// The trained numbers at the run's end, its epochs' losses, and whether it came to its end.
fn trained(config: Config, folder: Option<&Path>, epochs: usize) -> (Vec<u32>, Vec<f64>, bool) {
    let keeping = folder.map(|folder| Keeping { folder: folder.to_owned(), ..Keeping::default() });
    let mut session = Session::new(log(), config).unwrap().keeping(keeping);
    session.prepare().unwrap();
    let mut run = session.start().unwrap();
    run.resume().unwrap();
    let ended = run.train(&mut Stop(epochs)).unwrap();
    let params = run.fit.trainer.model().params();
    let tables = params.tables().iter().flat_map(|table| table.data.iter());
    let bits = params.trained().iter().chain(tables).map(|x| x.to_bits()).collect();
    (bits, run.fit.state.reports.iter().map(|report| report.loss).collect(), ended)
}

#[test]
fn every_model_trains_with_every_loss_to_the_same_bits_on_any_number_of_threads_and_after_a_stop() {
    for kind in Kind::trained() {
        for loss in Loss::ALL {
            let what = format!("{kind} with {loss}");
            let (bits, losses, ended) = trained(config(kind, loss, 1), None, 9);
            assert!(ended && losses.len() == 6 && losses.iter().all(|loss| loss.is_finite()), "{what}: {losses:?}");
            assert!(losses[5] < losses[0], "{what} learns nothing: {losses:?}");
            assert_eq!(trained(config(kind, loss, 3), None, 9).0, bits, "{what}: threads");
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("run");
            assert!(!trained(config(kind, loss, 2), Some(&path), 1).2, "{what} was to be stopped");
            assert_eq!(trained(config(kind, loss, 2), Some(&path), 9).0, bits, "{what}: a stop");
        }
    }
}

#[test]
fn every_model_is_measured_and_saved_or_refused_by_its_name() {
    for kind in Kind::trained() {
        let trained = Session::train(log(), config(kind, Loss::Bce, 1)).unwrap();
        assert_eq!((trained.kind, trained.epochs.len()), (kind, 6));
        let hr = trained.figures.ranking.get("HR", Some(10)).unwrap();
        assert!((0.0..=1.0).contains(&hr.mean) && hr.n == 40, "{kind}: {hr}");
        assert!(trained.rivals.len() >= 3, "{kind}: {:?}", trained.rivals);
        let folder = tempfile::tempdir().unwrap();
        let saved = trained.save(folder.path().join("model.dmran"));
        match kind {
            Kind::Dmran => saved.unwrap(),
            _ => {
                let error = saved.unwrap_err();
                assert!(matches!(error, SaveError::Unsaved(SessionError::Unsaved(of)) if of == kind), "{kind}");
                assert!(error.to_string().contains(kind.name()), "{error}");
                assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{kind}: nothing is left behind");
            }
        }
    }
}

#[test]
fn every_model_refuses_sizes_that_it_cannot_have() {
    for kind in Kind::trained() {
        for (wrong, part) in
            [("model.d = 0", "d is 0"), ("train.batch = 0", "batch is 0"), ("train.lr = -1.0", "lr is -1")]
        {
            let config = Config::from_toml_over(wrong, None, Some(kind)).unwrap();
            let error =
                Session::train(log(), config).err().unwrap_or_else(|| panic!("{kind} takes {wrong}")).to_string();
            assert!(error.contains(part), "{kind}: {error}");
        }
    }
    let untrained = Config::of(Preset::Everyday, Kind::MostPopular);
    assert!(Session::train(log(), untrained).err().unwrap().to_string().contains("most-popular"));
}
