//! Runs of the program that are killed, stopped, refused, out of room: what is left, and where they go on.
//!
//! `DMRAN_KILLS=100 cargo test --test survival -- --nocapture` is the long version: 100 runs killed with SIGKILL at
//! random moments, and ten times as many kills while checkpoints are written.
#![cfg(feature = "cli")]

#[path = "support/mod.rs"]
mod support;

use crate::support::cli::Folder;
use crate::support::ring::ring;
use dmran::model::init::initialise;
use dmran::model::{Dmran, Model};
use dmran::scorer::{Settings, TimeKind};
use dmran::train::checkpoint::Identity;
use dmran::train::run_folder::{RunOptions, Started};
use dmran::train::{Config, Fit, RunFolder, Trainer};
use dmran_kernels::Level;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Runs to kill; ten times as many kills of a writer.
fn kills() -> usize {
    std::env::var("DMRAN_KILLS").map_or(3, |text| text.parse().expect("DMRAN_KILLS is a number"))
}

/// Numbers that differ from run to run: the moments of the kills are random.
struct Random(u64);

impl Random {
    fn new() -> Random {
        let seed = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos() as u64;
        Random(seed | 1)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn up_to(&mut self, most: Duration) -> Duration {
        Duration::from_micros(self.below(most.as_micros().max(1) as u64))
    }
}

const RUN: &[&str] = &[
    "train",
    "log.csv",
    "-q",
    "--d",
    "16",
    "--hops",
    "3",
    "--history-cap",
    "8",
    "--epochs",
    "6",
    "--optimizer",
    "adam",
    "--lr",
    "0.01",
    "--dropout",
    "0.1",
    "--batch",
    "16",
];

fn run(more: &[&str]) -> Vec<&'static str> {
    let more = more.iter().map(|part| &*Box::leak(part.to_string().into_boxed_str()));
    RUN.iter().copied().chain(more).collect()
}

/// Metrics without what depends on the clock.
fn metrics(folder: &Folder, path: &str) -> Vec<serde_json::Value> {
    let text = String::from_utf8(folder.read(path)).unwrap();
    let line = |line: &str| {
        let mut value: serde_json::Value = serde_json::from_str(line).unwrap();
        let object = value.as_object_mut().unwrap();
        assert!(object.remove("seconds").is_some() && object.remove("samples_per_second").is_some());
        value
    };
    text.lines().map(line).collect()
}

#[test]
fn killed_runs_end_with_the_bytes_of_an_undisturbed_one() {
    let folder = Folder::with_log();
    let started = Instant::now();
    folder.run(&run(&["--run", "whole"])).ok();
    let whole = started.elapsed();
    let model = folder.read("whole/model.dmran");
    let reports = metrics(&folder, "whole/metrics.jsonl");
    folder.run(&run(&["--out", "alone.dmran"])).ok();
    assert!(folder.read("alone.dmran") == model, "a run folder changes nothing");
    let (mut random, mut killed, mut went_on) = (Random::new(), 0, 0);
    for number in 0..kills() {
        let name = format!("run-{number}");
        let mut hit = 0;
        // Killed three times each; how far it is by then is up to chance.
        while hit < 3 {
            let threads = (1 + random.below(3)).to_string();
            let args = run(&["--run", &name, "--checkpoint-minutes", "0.0003", "--threads", &threads]);
            let mut child = folder.command(&args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep(random.up_to(whole));
            if child.try_wait().unwrap().is_some() {
                if hit > 0 {
                    break;
                }
                // It was done before it could be killed even once: that does not count.
                std::fs::remove_dir_all(folder.path(&name)).unwrap();
                continue;
            }
            child.kill().unwrap();
            hit += usize::from(child.wait().unwrap().code().is_none());
        }
        killed += hit;
        let checkpoints = std::fs::read_dir(folder.path(&name).join("checkpoints"));
        went_on += usize::from(checkpoints.is_ok_and(|mut entries| entries.next().is_some()));
        folder.run(&run(&["--run", &name])).ok();
        assert!(folder.read(&format!("{name}/model.dmran")) == model, "run {number} after {hit} kills");
        assert_eq!(metrics(&folder, &format!("{name}/metrics.jsonl")), reports);
        std::fs::remove_dir_all(folder.path(&name)).unwrap();
    }
    println!("{} runs, {killed} kills, {went_on} went on from a checkpoint: all models byte-identical", kills());
    assert!(killed > 0 && went_on > 0);
}

fn small_config() -> Config {
    let model = Settings { d: 32, hops: 2, heads: 2, time: TimeKind::None, ..Settings::default() };
    Config { model, ..Config::default() }
}

/// The child of the next test: writes checkpoints one after the other until it is killed.
#[test]
fn child_that_writes_checkpoints() {
    let Ok(folder) = std::env::var("DMRAN_TEST_WRITES_IN") else { return };
    with_fit(|fit| {
        let options = RunOptions { keep: 2, every: Duration::ZERO };
        let mut folder = RunFolder::open(&folder, options).unwrap();
        folder.start(fit, Identity::of_dataset(fit.dataset()), &[]).unwrap();
        loop {
            fit.trainer.optimizer.step += 1;
            fit.state.position = 1 + fit.trainer.optimizer.step as usize % 50;
            folder.save(fit).unwrap();
        }
    });
}

fn with_fit<R>(f: impl FnOnce(&mut Fit<'_>) -> R) -> R {
    let (dataset, config) = (ring(100, 200), small_config());
    let mut model = Dmran::new(config.model.clone(), dataset.items(), 0, vec![]).unwrap();
    initialise(model.params_mut(), 0.1, 1);
    let trainer = Trainer::new(Box::new(model), config.model.clone(), config.train.clone(), Level::current()).unwrap();
    f(&mut Fit::new(trainer, &dataset, config))
}

#[test]
fn a_checkpoint_loads_whenever_the_writer_was_killed() {
    let folder = Folder::new();
    let (path, mut random) = (folder.path("run"), Random::new());
    let options = RunOptions { keep: 2, every: Duration::ZERO };
    with_fit(|fit| {
        let mut folder = RunFolder::open(&path, options).unwrap();
        folder.start(fit, Identity::of_dataset(fit.dataset()), &[]).unwrap();
        folder.save(fit).unwrap();
    });
    let count = 10 * kills();
    let (mut last, mut orphans, mut advanced) = (0, 0, 0);
    for number in 0..count {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child_that_writes_checkpoints", "--test-threads=1"])
            .env("DMRAN_TEST_WRITES_IN", &path)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_millis(15) + random.up_to(Duration::from_millis(60)));
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().code(), None, "the writer ended by itself");
        let names = std::fs::read_dir(path.join("checkpoints")).unwrap();
        orphans += names.filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().ends_with(".tmp")).count();
        let folder = RunFolder::open(&path, options).unwrap();
        let (_, checkpoint, skipped) = folder.newest().unwrap().expect("a checkpoint");
        assert!(skipped.is_empty(), "kill {number}: {skipped:?}");
        assert!(checkpoint.point.step >= last, "kill {number}: {} after {last}", checkpoint.point.step);
        advanced += usize::from(checkpoint.point.step > last);
        last = checkpoint.point.step;
    }
    println!("{count} kills of a writer: a checkpoint loaded each time; {last} were written, {orphans} half ones left");
    assert!(advanced > 0, "the writer was always killed before it wrote");
    with_fit(|fit| {
        let mut folder = RunFolder::open(&path, options).unwrap();
        let started = folder.start(fit, Identity::of_dataset(fit.dataset()), &[]).unwrap();
        assert!(matches!(started, Started::Resumed { .. }));
        assert!(std::fs::read_dir(path.join("checkpoints")).unwrap().count() <= 3, "half ones are cleaned up");
    });
}

#[cfg(unix)]
fn signal(child: &Child, name: &str) {
    assert!(Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success());
}

/// Starts the program and waits until it trains.
#[cfg(unix)]
fn training(folder: &Folder, args: &[&str]) -> (Child, BufReader<std::process::ChildStderr>) {
    let mut child = folder.command(args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("memory: ") {
        line.clear();
        assert!(err.read_line(&mut line).unwrap() > 0, "it ended");
    }
    (child, err)
}

#[cfg(unix)]
fn ended(mut child: Child, mut err: BufReader<std::process::ChildStderr>) -> (Option<i32>, String) {
    let mut text = String::new();
    err.read_to_string(&mut text).unwrap();
    (child.wait().unwrap().code(), text)
}

#[test]
#[cfg(unix)]
fn signals_end_a_run_after_its_step_and_it_goes_on() {
    let folder = Folder::with_log();
    // Long enough that a signal finds it at work.
    let args = |more: &[&str]| {
        let args = run(more).into_iter().filter(|arg| *arg != "-q").collect::<Vec<_>>();
        [args, vec!["--epochs", "40"]].concat()
    };
    folder.run(&args(&["--out", "whole.dmran"])).ok();
    for (name, code) in [("-INT", 130), ("-TERM", 143)] {
        let args = args(&["--run", name.trim_start_matches('-')]);
        let (child, err) = training(&folder, &args);
        signal(&child, name);
        let (ended, text) = ended(child, err);
        assert_eq!(ended, Some(code), "{text}");
        assert!(text.contains("stopped by SIG") && text.contains("goes on from there"), "{text}");
        let ran = folder.run(&args).ok();
        assert!(ran.err.contains("going on: "), "{}", ran.err);
        let model = format!("{}/model.dmran", name.trim_start_matches('-'));
        assert!(folder.read(&model) == folder.read("whole.dmran"), "{name}");
    }
    let (child, err) = training(&folder, &args(&["--out", "b.dmran"]));
    signal(&child, "-INT");
    let (ended, text) = ended(child, err);
    assert_eq!(ended, Some(130));
    assert!(text.contains("nothing was saved") && text.contains("--run DIR"), "{text}");
    assert!(!folder.path("b.dmran").exists());
}

#[test]
#[cfg(unix)]
fn a_second_signal_ends_it_at_once() {
    let folder = Folder::new();
    // One step of the naive engine on the bundled log takes long.
    let args = ["train", "--bundled", "--engine", "naive", "--batch", "16384", "--threads", "1", "--run", "run"];
    let (child, err) = training(&folder, &args);
    signal(&child, "-INT");
    std::thread::sleep(Duration::from_millis(100));
    signal(&child, "-INT");
    let (ended, text) = ended(child, err);
    assert_eq!((ended, text.contains("stopped by")), (Some(130), false), "not after the step: {text}");
}

#[test]
fn what_changed_is_shown_and_refused() {
    let folder = Folder::with_log();
    let args =
        |more: &[&'static str]| [&["train", "log.csv", "--run", "run"], crate::support::cli::TINY, more].concat();
    folder.run(&args(&[])).ok();
    let model = folder.read("run/model.dmran");
    let ran = folder.run(&args(&["--threads", "2", "--keep-checkpoints", "1"])).ok();
    assert!(ran.out.contains("is finished: 2 epochs") && ran.out.contains("model.dmran"), "{}", ran.out);
    std::fs::remove_file(folder.path("run/model.dmran")).unwrap();
    folder.run(&args(&[])).ok();
    assert!(folder.read("run/model.dmran") == model, "written again");
    folder.run(&args(&["--lr", "0.5", "--d", "16"])).refused(&["train.lr: 0.003 -> 0.5", "model.d: 8 -> 16"]);
    folder.run(&args(&["--epochs", "3"])).refused(&["train.epochs: 2 -> 3", "--allow epochs"]);
    folder.run(&args(&["--epochs", "3", "--lr", "0.5", "--allow", "epochs"])).refused(&["train.lr"]);
    folder.run(&args(&["--allow", "lr"])).refused(&["\"lr\"", "epochs, patience"]);
    let log = String::from_utf8(folder.read("log.csv")).unwrap();
    folder.write("log.csv", log.replacen(",i7,", ",i8,", 1));
    folder.run(&args(&[])).refused(&["the log is not the one", "fingerprint"]);
    folder.write("log.csv", format!("{log}u0,i1,1900000000,c1\n"));
    folder.run(&args(&[])).refused(&["the log is not the one", "events: "]);
    folder.write("log.csv", log.replace("u39,", "u39x,"));
    folder.run(&args(&[])).refused(&["names of the 40 users"]);
    folder.write("log.csv", log);
    assert!(folder.read("run/model.dmran") == model, "untouched by all of this");
    folder.run(&args(&["--epochs", "3", "--allow", "epochs,threads"])).ok();
    folder
        .run(&[&["train", "log.csv", "--out", "whole.dmran"], crate::support::cli::TINY, &["--epochs", "3"]].concat())
        .ok();
    let without_command = |name: &str| {
        let model = dmran::scorer::Model::load(folder.path(name)).unwrap();
        (model.tensors().to_vec(), model.card().config.clone(), model.card().metrics.clone())
    };
    assert_eq!(without_command("run/model.dmran"), without_command("whole.dmran"));
    assert_eq!(metrics(&folder, "run/metrics.jsonl").len(), 3);
}

#[test]
fn a_folder_in_use_is_named() {
    let folder = Folder::with_log();
    let held = RunFolder::open(folder.path("run"), RunOptions::default()).unwrap();
    let ran = folder.run(&run(&["--run", "run"]));
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains("run: another trainer"), "{}", ran.err);
    drop(held);
    folder.run(&run(&["--run", "run"])).ok();
}

#[test]
fn a_hopeless_learning_rate_stops_with_what_is_known() {
    let folder = Folder::with_log();
    let hopeless = |more: &[&str]| folder.run(&run(&[&["--lr", "1e9", "--optimizer", "sgd"], more].concat()));
    let ran = hopeless(&["--run", "a", "--checkpoint-minutes", "0"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    for part in ["diverged at epoch", "step", "samples", "--on-nan halve-lr"] {
        assert!(ran.err.contains(part), "{part:?} is not in {}", ran.err);
    }
    assert!(!folder.path("a/model.dmran").exists());
    let ran = hopeless(&["--run", "b", "--on-nan", "halve-lr"]);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert_eq!(ran.err.matches("x the learning rate").count(), 5, "{}", ran.err);
    assert!(ran.err.contains("halved 5 times"), "{}", ran.err);
    folder.run(&run(&["--on-nan", "hope"])).refused(&["stop", "halve-lr"]);
    folder.run(&run(&["--early-stop-metric", "beauty"])).refused(&["auc", "loss"]);
}

/// A small file system of its own, where that is allowed.
struct SmallDisk<'a>(&'a Path);

impl SmallDisk<'_> {
    fn mount<'a>(path: &'a Path, size: &str) -> Option<SmallDisk<'a>> {
        std::fs::create_dir(path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "none"]).arg(path).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success()).then_some(SmallDisk(path))
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.0).status();
    }
}

#[test]
fn a_full_disk_stops_with_a_clear_error_and_nothing_is_lost() {
    let folder = Folder::with_log();
    let path = folder.path("disk");
    let Some(_disk) = SmallDisk::mount(&path, "1m") else {
        println!("SKIPPED: no small file system may be mounted here");
        return;
    };
    folder.run(&run(&["--out", "whole.dmran"])).ok();
    // Room for the folder and some checkpoints, then for no more.
    let first = folder.command(&run(&["--run", "disk/run", "--epochs", "2"])).output().unwrap();
    assert!(first.status.success(), "{}", String::from_utf8_lossy(&first.stderr));
    let mut size = 1 << 20;
    while size > 0 && std::fs::write(path.join(format!("filler-{size}")), vec![0; size]).is_ok() || size > 4096 {
        size /= 2;
    }
    let more = run(&["--run", "disk/run", "--allow", "epochs"]);
    let ran = folder.run(&more);
    assert_eq!(ran.code, 1, "{}", ran.err);
    assert!(ran.err.contains("No space left on device") && ran.err.contains("disk/run"), "{}", ran.err);
    for entry in std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_file() {
            std::fs::remove_file(entry).unwrap();
        }
    }
    folder.run(&more).ok();
    let tensors = |name: &str| dmran::scorer::Model::load(folder.path(name)).unwrap().tensors().to_vec();
    assert!(tensors("disk/run/model.dmran") == tensors("whole.dmran"), "it went on as if nothing had been");
}

#[test]
fn memory_beyond_the_limit_is_refused_before_it_is_taken() {
    let folder = Folder::with_log();
    let args = ["train", "log.csv", "--d", "16384", "--max-memory", "200MiB"];
    folder.run(&args).refused(&["the parameters alone", "--max-memory allows 200.0 MiB"]);
    let args = ["train", "log.csv", "--d", "256", "--batch", "256", "--max-memory", "50MiB"];
    folder.run(&args).refused(&["workspaces", "--max-memory allows 50.0 MiB"]);
    folder.run(&run(&["--max-memory", "2 GiX"])).refused(&["--max-memory", "GiX"]);
    folder.run(&run(&["--max-memory", "2GiB"])).ok();
}

/// The estimate holds within a tenth, and 2 MiB for what the allocator does.
#[test]
#[cfg(target_os = "linux")]
fn the_memory_estimate_holds() {
    let folder = Folder::new();
    let mut log = String::from("user,item,timestamp\n");
    for user in 0..400u64 {
        for step in 0..60u64 {
            let item = (user * 31 + step * step * 7 + step * user) % 20_000;
            log += &format!("u{user},i{item},{}\n", 1_500_000_000 + step * 90_000);
        }
    }
    folder.write("large.csv", log);
    for shape in [
        &["--d", "64", "--batch", "64", "--optimizer", "adam", "--lr", "0.001"][..],
        &["--d", "32", "--batch", "512", "--history-cap", "50", "--shards", "16"],
        &["--d", "32", "--batch", "32", "--variant", "feature", "--history-cap", "20"],
    ] {
        let fast = ["train", "large.csv", "--epochs", "1", "--hops", "6", "--rank-users", "40", "--threads", "2"];
        let ran = folder.run(&[&fast[..], shape].concat()).ok();
        let of = |prefix: &str| {
            let line = ran.err.lines().find_map(|line| line.strip_prefix("memory: ")?.strip_prefix(prefix));
            line.unwrap_or_else(|| panic!("{}", ran.err)).split(' ').next().unwrap().parse::<f64>().unwrap()
        };
        let peak = ran.err.lines().rev().find_map(|l| l.strip_prefix("memory: ")?.strip_suffix(" MiB at its peak"));
        let (estimate, peak) = (of("about "), peak.unwrap().parse::<f64>().unwrap());
        println!("{shape:?}: estimate {estimate} MiB, peak {peak} MiB, ratio {:.3}", peak / estimate);
        assert!(peak <= 1.1 * estimate + 2.0 && estimate <= 1.1 * peak + 2.0, "{peak} MiB, estimate {estimate} MiB");
    }
}

#[test]
fn flags_of_a_run_need_sense() {
    let folder = Folder::with_log();
    let refused = |more: &[&str], parts: &[&str]| folder.run(&run(more)).refused(parts);
    refused(&["--keep-checkpoints", "0"], &["--keep-checkpoints"]);
    refused(&["--checkpoint-minutes=-1"], &["--checkpoint-minutes"]);
    refused(&["--allow", "epochs"], &["--run"]);
    refused(&["--run", "."], &["is no run folder"]);
}
