//! `dmran train` as a user runs it: results, settings, model file.

use crate::support::cli::{Folder, Ran, TINY};
use dmran::scorer::{Model, TimeKind};
use std::process::Stdio;

#[test]
fn a_log_becomes_a_table_examples_and_a_model() {
    let folder = Folder::with_log();
    let ran = folder.run(&[&["train", "log.csv", "--out", "a.model"], TINY].concat()).ok();
    for part in ["most popular", "AUC, 1 negative", "HR@10", "NDCG@10", "MRR", "±", "validation set", "a.model"] {
        assert!(ran.out.contains(part), "{part:?} is not in\n{}", ran.out);
    }
    // Three users, five recommendations each, with categories.
    assert_eq!(ran.out.lines().filter(|line| line.trim_start().starts_with("advice")).count(), 15);
    assert!(ran.out.lines().filter(|line| line.contains("advice")).all(|line| line.contains(" c")));
    // Not a terminal: one line an epoch, no bar.
    let epochs = ran.err.lines().filter(|line| line.starts_with("epoch ")).count();
    assert_eq!(epochs, 2, "{}", ran.err);
    assert!(!ran.err.contains('\r') && !ran.err.contains('\u{1b}'), "{:?}", ran.err);
    let model = Model::load(folder.path("a.model")).unwrap();
    assert_eq!((model.items().len(), model.categories().len(), model.settings().d), (25, 4, 8));
    assert_eq!(model.card().command, "dmran train log.csv --d 8 --hops 3 --epochs 2 --history-cap 6");
    assert!(model.card().metrics.iter().any(|metric| metric.name == "test AUC, 1 negative"));
}

#[test]
fn the_bits_do_not_depend_on_the_threads() {
    let folder = Folder::with_log();
    let adam = ["--optimizer", "adam", "--lr", "0.01", "--engine", "naive", "--dropout", "0.2", "--batch", "50"];
    for flags in [&[][..], &adam] {
        let train = |threads: &str| {
            let args = [&["train", "log.csv", "-q"], TINY, flags].concat();
            Ran::of(folder.command(&args).env("RAYON_NUM_THREADS", threads)).ok();
            folder.read("model.dmran")
        };
        let one = train("1");
        assert!(train("2") == one && train("5") == one, "{flags:?}");
        folder.run(&[&["train", "log.csv", "-q", "--threads", "3"], TINY, flags].concat()).ok();
        assert!(folder.read("model.dmran") == one, "{flags:?}");
        folder.run(&[&["train", "log.csv", "-q", "--seed", "2"], TINY, flags].concat()).ok();
        assert!(folder.read("model.dmran") != one, "the seed counts");
    }
}

#[test]
fn the_paper_s_protocol_says_on_what_the_epoch_was_picked() {
    let folder = Folder::with_log();
    let ran = folder.run(&[&["train", "log.csv", "--protocol", "paper"], TINY].concat()).ok();
    assert!(ran.out.contains("picked on the test set itself"), "{}", ran.out);
    assert!(ran.err.contains("test AUC"), "{}", ran.err);
}

#[test]
fn a_log_without_times_and_categories_is_said_to_be_one() {
    let folder = Folder::new();
    let text: String = crate::support::cli::log()
        .lines()
        .map(|line| line.split(',').take(2).collect::<Vec<_>>().join("\t") + "\n")
        .collect();
    folder.write("log.tsv", text);
    let ran = folder.run(&[&["train", "log.tsv"], TINY].concat()).ok();
    assert!(ran.err.contains("time = \"order\"") && ran.err.contains("categories = false"), "{}", ran.err);
    let model = Model::load(folder.path("model.dmran")).unwrap();
    assert!(!model.settings().categories && model.settings().time == TimeKind::Order);
}

#[test]
fn quiet_shows_only_the_results() {
    let folder = Folder::with_log();
    let ran = folder.run(&[&["train", "log.csv", "--quiet"], TINY].concat()).ok();
    assert_eq!(ran.err, "");
}

#[test]
fn without_a_file_the_bundled_log_is_trained_on() {
    let folder = Folder::new();
    let small = ["--d", "8", "--variant", "item", "--head", "mean", "--history-cap", "3", "--hops", "1"];
    let fast = ["--epochs", "1", "--batch", "512", "--rank-users", "20", "--validation-negatives", "1"];
    let ran = folder.run(&[&["train"][..], &small, &fast].concat()).ok();
    assert!(ran.err.starts_with("household-goods.csv.zst: 2024 users, 2619 items, 64291 events, 71 categories"));
    assert!(ran.out.contains("CANDY"), "categories are readable:\n{}", ran.out);
    folder.run(&["train", "--k-core-users", "5"]).refused(&["bundled"]);
}

#[test]
fn printed_settings_give_the_same_run() {
    let folder = Folder::with_log();
    folder.write("a.toml", "[model]\nd = 8\nhops = 3\n[train]\nepochs = 9\nlr = 0.05\n");
    let ran = folder.run(&["train", "--config", "a.toml", "--epochs", "1", "--print-config"]).ok();
    for line in ["d = 8 ", "hops = 3 ", "epochs = 1 ", "lr = 0.05 ", "ff_width = 2 "] {
        assert!(ran.out.lines().any(|l| l.starts_with(line)), "{line:?} is not in\n{}", ran.out);
    }
    assert!(!folder.path("model.dmran").exists());
    folder.write("b.toml", &ran.out);
    let again = folder.run(&["train", "--config", "b.toml", "--print-config"]).ok();
    assert_eq!(again.out, ran.out);
    let weights = |args: &[&str]| {
        folder.run(&[&["train", "log.csv", "-q"], args].concat()).ok();
        Model::load(folder.path("model.dmran")).unwrap().tensors().to_vec()
    };
    let first = weights(&["--config", "a.toml", "--epochs", "1"]);
    assert_eq!(weights(&["--config", "b.toml"]), first);
}

#[test]
fn wrong_settings_are_named() {
    let folder = Folder::with_log();
    folder.write("a.toml", "[train]\nepoch = 3\n");
    folder.write("b.toml", "[model]\nhead = \"best\"\n");
    folder.write("c.toml", "[train]\nlr = -1.0\n");
    folder.write("d.toml", b"\xff");
    folder.write("e.toml", "[model]\nwidth = 3\n");
    let train = |flags: &[&str]| folder.run(&[&["train", "log.csv"], flags].concat());
    train(&["--config", "a.toml"]).refused(&["a.toml", "line 2", "epoch"]);
    train(&["--config", "b.toml"]).refused(&["b.toml", "line 2", "best", "vanilla"]);
    train(&["--config", "c.toml"]).refused(&["train.lr is -1"]);
    train(&["--config", "d.toml"]).refused(&["d.toml", "UTF-8"]);
    train(&["--config", "e.toml"]).refused(&["e.toml", "width"]);
    train(&["--config", "nowhere.toml"]).refused(&["nowhere.toml"]);
    train(&["--head", "best"]).refused(&["--head", "best", "vanilla"]);
    train(&["--head", "atrank", "--heads", "3"]).refused(&["128", "3 heads"]);
    train(&["--hops", "0"]).refused(&["hops is 0"]);
    train(&["--nothing"]).refused(&["--nothing"]);
    train(&["--out", "no/where"]).refused(&["no/where", "folder"]);
    train(&["--out", "."]).refused(&["folder"]);
    Ran::of(folder.command(&["train", "log.csv"]).env("DMRAN_SIMD", "mmx")).refused(&["DMRAN_SIMD", "mmx"]);
    assert!(!folder.path("model.dmran").exists());
}

#[test]
fn a_diverging_run_is_no_bad_input() {
    let folder = Folder::with_log();
    let ran = folder.run(&[&["train", "log.csv", "--lr", "1e30", "--clip", "0"], TINY].concat());
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains("diverged"), "{}", ran.err);
    assert!(!folder.path("model.dmran").exists());
}

#[test]
fn what_several_machines_would_reach_is_told_without_training() {
    let folder = Folder::with_log();
    let args = ["train", "log.csv", "--batch", "64", "--shards", "4", "--simulate-ranks", "8", "--network", "10GbE"];
    let ran = folder.run(&[&args[..], TINY].concat()).ok();
    let ranks: Vec<&str> = ran.out.lines().skip(2).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(ranks, ["1", "2", "4", "More"], "{}", ran.out);
    assert!(ran.out.contains("network: 10 Gbit/s") && !folder.path("model.dmran").exists(), "{}", ran.out);
    folder.run(&["train", "log.csv", "--simulate-ranks", "4", "--network", "fast"]).refused(&["25GbE"]);
}

#[test]
#[cfg(not(feature = "mpi"))]
fn several_processes_of_a_program_without_mpi_are_refused() {
    let folder = Folder::with_log();
    let mut command = folder.command(&[&["train", "log.csv"], TINY].concat());
    Ran::of(command.env("OMPI_COMM_WORLD_SIZE", "4")).refused(&["one of 4 processes", "--features mpi"]);
    assert!(!folder.path("model.dmran").exists());
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let folder = Folder::with_model();
    for args in [
        &["recommend", "model.dmran", "log.csv", "--all"][..],
        &["recommend", "model.dmran", "log.csv", "--all", "--json"],
        &["evaluate", "model.dmran", "log.csv", "--json"],
        &["inspect", "model", "model.dmran"],
        &["inspect", "data", "log.csv"],
        &["train", "--print-config"],
    ] {
        let mut child = folder.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(said.lines().all(|line| line.starts_with("log.csv: user = ")), "{args:?}: {said}");
    }
}

#[test]
fn every_model_trains_by_name() {
    let folder = Folder::with_log();
    for (name, title) in [
        ("bpr-mf", "BPR-MF"),
        ("bi-lstm", "Bi-LSTM"),
        ("bi-lstm-attention", "Bi-LSTM+Attention"),
        ("cnn-pooling", "CNN+Pooling"),
        ("atrank", "ATRank"),
        ("sasrec", "SASRec"),
    ] {
        let ran = folder.run(&[&["train", "log.csv", "--model", name], TINY].concat()).ok();
        assert!(ran.out.contains(title) && ran.out.contains("most popular"), "{}", ran.out);
        assert!(ran.out.contains("MRR") && !ran.out.contains("advice"), "{}", ran.out);
        assert_eq!(ran.err.lines().filter(|line| line.starts_with("epoch ")).count(), 2, "{}", ran.err);
    }
    let ran = folder.run(&["train", "log.csv", "--model", "most-popular"]).ok();
    assert!(ran.out.contains("most popular") && !ran.out.contains("DMRAN"), "{}", ran.out);
    assert!(!folder.path("model.dmran").exists(), "only dmran is exported");
    folder.run(&["train", "log.csv", "--model", "atrank", "--out", "x"]).refused(&["--out x", "dmran alone", "atrank"]);
    folder.run(&["train", "log.csv", "--model", "gru4rec"]).refused(&["--model", "gru4rec", "bi-lstm-attention"]);
}

#[test]
fn presets_are_what_files_and_flags_change() {
    let folder = Folder::with_log();
    folder.write("a.toml", "preset = \"paper\"\n[train]\nmodel = \"bpr-mf\"\nlr = 0.5\n");
    folder.write("b.toml", "[train]\nmodel = \"best\"\n");
    folder.write("c.toml", "preset = \"best\"\n");
    let shows = |flags: &[&str], lines: &[&str]| {
        let ran = folder.run(&[&["train", "--print-config"], flags].concat()).ok();
        for line in lines {
            assert!(ran.out.lines().any(|l| l.starts_with(line)), "{line:?} is not in\n{}", ran.out);
        }
    };
    shows(&["--preset", "paper"], &["preset = \"paper\" ", "model = \"dmran\" ", "clip = 5.0 ", "decay = 0.9 "]);
    shows(&["--model", "bpr-mf", "--preset", "paper"], &["model = \"bpr-mf\" ", "clip = 0.0 ", "lr = 1.0 "]);
    shows(&["--config", "a.toml"], &["preset = \"paper\" ", "model = \"bpr-mf\" ", "clip = 0.0 ", "lr = 0.5 "]);
    shows(
        &["--config", "a.toml", "--model", "atrank", "--lr", "2"],
        &["model = \"atrank\" ", "clip = 5.0 ", "lr = 2.0 "],
    );
    folder.run(&["train", "--config", "b.toml"]).refused(&["b.toml", "line 2", "best", "most-popular"]);
    folder.run(&["train", "--config", "c.toml"]).refused(&["c.toml", "line 1", "best", "everyday"]);
    folder.run(&["train", "--preset", "best"]).refused(&["--preset", "best", "everyday"]);
}
