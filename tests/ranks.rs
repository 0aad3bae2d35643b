//! `mpirun -n R dmran train`: the files of a single process, whatever happens on the way. Needs an MPI's `mpirun`.
#![cfg(all(feature = "mpi", feature = "cli", target_os = "linux"))]

#[path = "support/mod.rs"]
mod support;

use crate::support::cli::{Folder, Ran};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const RUN: &[&str] = &[
    "train",
    "log.csv",
    "--d",
    "16",
    "--hops",
    "3",
    "--history-cap",
    "8",
    "--epochs",
    "3",
    // As long as a test says.
    "--patience",
    "0",
    "--lr",
    "0.01",
    "--dropout",
    "0.1",
    "--batch",
    "16",
    "--shards",
    "8",
    "--threads",
    "1",
];

/// The program on so many ranks.
fn command(folder: &Folder, ranks: usize, args: &[&str]) -> Command {
    let program = folder.command(args);
    let mut command = Command::new("mpirun");
    let version = Command::new("mpirun").arg("--version").output().expect("mpirun");
    if String::from_utf8_lossy(&version.stdout).contains("Open MPI") {
        // As in a container: as root, more ranks than cores, all on this machine.
        command.args(["--allow-run-as-root", "--oversubscribe", "--bind-to", "none", "--mca", "btl", "self,vader"]);
    }
    command.arg("-n").arg(ranks.to_string()).arg(program.get_program()).args(program.get_args());
    if let Some(folder) = program.get_current_dir() {
        command.current_dir(folder);
    }
    command
}

fn run(folder: &Folder, ranks: usize, args: &[&str]) -> Ran {
    Ran::of(&mut command(folder, ranks, args))
}

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    RUN.iter().copied().chain(more.iter().copied()).collect()
}

#[test]
fn one_two_four_and_eight_ranks_write_the_same_model_and_print_the_same_results() {
    let folder = Folder::with_log();
    for (loss, head) in [
        ("bce", "atrank"),
        ("bce", "mean"),
        ("softmax", "mean"),
        ("softmax", "atrank"),
        ("sampled-softmax", "mean"),
        ("sampled-softmax", "vanilla"),
    ] {
        let args = with(&["--loss", loss, "--head", head, "--out", "m.dmran"]);
        let alone = folder.run(&args).ok();
        let model = folder.read("m.dmran");
        for ranks in [1, 2, 4, 8] {
            std::fs::remove_file(folder.path("m.dmran")).unwrap();
            let ran = run(&folder, ranks, &args);
            assert_eq!(ran.code, 0, "{}", ran.err);
            assert!(folder.read("m.dmran") == model, "{loss}, {head}: another model on {ranks} ranks");
            assert_eq!(ran.out, alone.out, "{loss}, {head}: {ranks} ranks");
        }
    }
}

/// The processes that a process has started, and theirs.
fn descendants(of: u32) -> Vec<u32> {
    let out = Command::new("pgrep").args(["-P", &of.to_string()]).output().expect("pgrep").stdout;
    let children: Vec<u32> = String::from_utf8_lossy(&out).lines().filter_map(|line| line.parse().ok()).collect();
    children.iter().flat_map(|child| [vec![*child], descendants(*child)].concat()).collect()
}

/// Those of them that are ranks.
fn ranks_of(launcher: &Child) -> Vec<u32> {
    let is_ours =
        |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim_end() == "dmran");
    descendants(launcher.id()).into_iter().filter(is_ours).collect()
}

fn ended(child: &mut Child, within: Duration) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < within {
        if child.try_wait().unwrap().is_some() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    false
}

fn kills() -> u64 {
    std::env::var("DMRAN_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(3)
}

#[test]
fn a_rank_that_is_killed_ends_all_and_the_run_goes_on_to_the_same_bytes() {
    let folder = Folder::with_log();
    let long = ["--epochs", "40", "--checkpoint-minutes", "0.0003"];
    folder.run(&with(&[&long[..], &["--out", "whole.dmran"]].concat())).ok();
    let whole = folder.read("whole.dmran");
    let start = |args: &[&str]| {
        let mut child = command(&folder, 4, args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let begun = Instant::now();
        while ranks_of(&child).len() < 4 && child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < Duration::from_secs(60), "no four ranks");
            std::thread::sleep(Duration::from_millis(5));
        }
        child
    };
    // How long nobody disturbs one.
    let mut child = start(&with(&[&long[..], &["--run", "undisturbed"]].concat()));
    let begun = Instant::now();
    child.wait().unwrap();
    let whole_time = begun.elapsed();
    let (mut killed, mut went_on, mut number) = (0, 0, 0);
    while killed < kills() {
        number += 1;
        assert!(number < 20 * kills(), "only {killed} of {number} runs were killed before their end");
        let name = format!("run-{number}");
        let args = with(&[&long[..], &["--run", &name]].concat());
        let mut child = start(&args);
        // From the very beginning to the end.
        std::thread::sleep(whole_time.mul_f64(number as f64 * 0.618 % 1.0));
        let ranks = ranks_of(&child);
        if ranks.is_empty() {
            child.wait().unwrap();
            continue;
        }
        let victim = ranks[number as usize % ranks.len()].to_string();
        let hit = Command::new("kill").args(["-KILL", &victim]).stderr(Stdio::null()).status().unwrap().success();
        let left = ranks.clone();
        assert!(ended(&mut child, Duration::from_secs(10)), "mpirun still runs 10 s after a rank was killed");
        killed += u64::from(hit);
        let begun = Instant::now();
        let there = |pid: &u32| std::path::Path::new(&format!("/proc/{pid}")).exists();
        while left.iter().any(there) {
            assert!(begun.elapsed() < Duration::from_secs(10), "ranks are left 10 s after one was killed");
            std::thread::sleep(Duration::from_millis(20));
        }
        let checkpoints = std::fs::read_dir(folder.path(&name).join("checkpoints"));
        went_on += usize::from(checkpoints.is_ok_and(|mut entries| entries.next().is_some()));
        // Another number of ranks each time, one process among them.
        let ran = match number % 3 {
            0 => run(&folder, 2, &args),
            1 => folder.run(&args),
            _ => run(&folder, 4, &args),
        };
        assert_eq!(ran.code, 0, "{}", ran.err);
        assert!(folder.read(&format!("{name}/model.dmran")) == whole, "run {number}");
    }
    println!("{killed} ranks killed, {went_on} runs went on from a checkpoint: all models byte-identical");
    assert!(killed > 0 && went_on > 0);
}

/// The run folder `from` again, without its model, and of its checkpoints with those alone that `keeps` says: given how many
/// there are, and the number of one.
fn copy(folder: &Folder, from: &str, to: &str, keeps: impl Fn(usize, usize) -> bool) -> Vec<PathBuf> {
    let (from, to) = (folder.path(from), folder.path(to));
    std::fs::create_dir_all(to.join("checkpoints")).unwrap();
    let files = |path: &Path| -> Vec<PathBuf> {
        let mut files: Vec<_> = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.retain(|path| path.is_file());
        files.sort();
        files
    };
    for file in files(&from).into_iter().filter(|file| file.extension().is_none_or(|it| it != "dmran")) {
        std::fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
    }
    let all = files(&from.join("checkpoints"));
    let number = |file: &Path| -> usize {
        file.file_name().unwrap().to_str().unwrap().split('-').next().unwrap().parse().unwrap()
    };
    let most = all.iter().map(|file| number(file)).max().unwrap();
    for file in all.iter().filter(|file| keeps(most, number(file))) {
        std::fs::copy(file, to.join("checkpoints").join(file.file_name().unwrap())).unwrap();
    }
    files(&to.join("checkpoints"))
}

#[test]
fn a_checkpoint_in_parts_serves_any_number_of_ranks_and_a_broken_part_is_named() {
    let every_step = ["--checkpoint-minutes", "0", "--keep-checkpoints", "999"];
    for (loss, head) in [("bce", "atrank"), ("softmax", "mean")] {
        let folder = Folder::with_log();
        let args =
            |run: &'static str| with(&[&["--loss", loss, "--head", head, "--run", run][..], &every_step].concat());
        folder.run(&args("one")).ok();
        let whole = folder.read("one/model.dmran");
        let ran = run(&folder, 4, &args("four"));
        assert!(ran.code == 0 && folder.read("four/model.dmran") == whole, "{}", ran.err);
        for (from, files) in [("one", 1), ("four", 5)] {
            for ranks in [0, 2, 8] {
                let middle = |most: usize, number: usize| number == most / 2;
                assert_eq!(copy(&folder, from, "again", middle).len(), files);
                let args = args("again");
                let ran = if ranks == 0 { folder.run(&args) } else { run(&folder, ranks, &args) };
                assert!(ran.code == 0 && ran.err.contains("going on: "), "{}", ran.err);
                assert!(folder.read("again/model.dmran") == whole, "{loss}: from {from} to {ranks}");
                std::fs::remove_dir_all(folder.path("again")).unwrap();
            }
        }
        if loss == "softmax" {
            continue;
        }
        // The last one alone, of which a part is missing or has another bit; then with the one before it.
        for (broken, ranks, why) in [(2, 1, "No such file"), (1, 2, "checksum"), (3, 4, "checksum")] {
            for older in [0, 1] {
                let files = copy(&folder, "four", "again", |most, number| number + older >= most);
                let part = files.iter().rfind(|file| file.extension().unwrap() == &*format!("part-{broken}")).unwrap();
                if broken == 2 {
                    std::fs::remove_file(part).unwrap();
                } else {
                    let mut bytes = std::fs::read(part).unwrap();
                    let middle = bytes.len() / 2;
                    bytes[middle] ^= 1;
                    std::fs::write(part, bytes).unwrap();
                }
                let ran = if ranks == 1 { folder.run(&args("again")) } else { run(&folder, ranks, &args("again")) };
                let name = part.file_name().unwrap().to_str().unwrap();
                assert!(ran.err.contains(name) && ran.err.contains(why), "{name}: {}", ran.err);
                if older == 0 {
                    assert!(ran.code == 2 && ran.err.contains("put that file back, or remove"), "{}", ran.err);
                } else {
                    assert!(ran.code == 0 && folder.read("again/model.dmran") == whole, "{}", ran.err);
                }
                std::fs::remove_dir_all(folder.path("again")).unwrap();
            }
        }
    }
}

#[test]
fn a_signal_to_any_rank_stops_all_after_the_same_step_and_the_run_goes_on() {
    let folder = Folder::with_log();
    // Long enough that a signal finds it at work.
    let long = ["--epochs", "200"];
    folder.run(&with(&[&long[..], &["--out", "whole.dmran"]].concat())).ok();
    for (signal, code, which) in [("-TERM", 143, 0), ("-INT", 130, 1), ("-TERM", 143, 3)] {
        let name = format!("run{signal}-{which}");
        let args = with(&[&long[..], &["--run", &name]].concat());
        let mut child = command(&folder, 4, &args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        // It trains once the folder has its settings.
        let begun = Instant::now();
        while !folder.path(&format!("{name}/metrics.jsonl")).exists() && begun.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(100));
        let rank = ranks_of(&child)[which].to_string();
        assert!(Command::new("kill").args([signal, &rank]).status().unwrap().success());
        assert!(ended(&mut child, Duration::from_secs(30)), "it goes on after {signal}");
        let mut text = String::new();
        child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{text}");
        assert_eq!(text.matches("stopped by SIG").count(), 1, "one rank says so: {text}");
        let ran = run(&folder, 2, &args);
        assert!(ran.code == 0 && ran.err.contains("going on: "), "{}", ran.err);
        assert!(folder.read(&format!("{name}/model.dmran")) == folder.read("whole.dmran"), "{signal}");
    }
}

#[test]
fn what_is_wrong_is_said_once_with_the_exit_code_of_a_single_process() {
    let folder = Folder::with_log();
    let refused = |ranks: usize, args: &[&str], code: i32, what: &str| {
        let ran = run(&folder, ranks, args);
        assert!(ran.code == code && ran.out.is_empty(), "{}: {}", ran.code, ran.err);
        assert_eq!(ran.err.matches("error: ").count(), 1, "{}", ran.err);
        assert!(ran.err.contains(what), "{}", ran.err);
    };
    refused(2, &["train", "none.csv"], 2, "none.csv");
    refused(4, &with(&["--shards", "6"]), 2, "--shards 8 can be shared");
    refused(2, &with(&["--lr", "1e30", "--clip", "0", "--optimizer", "sgd"]), 1, "training diverged");
    // One rank alone sees another log.
    let mixed = folder.path("mixed.sh");
    std::fs::write(
        &mixed,
        "#!/bin/sh\n[ \"${OMPI_COMM_WORLD_RANK:-$PMI_RANK}\" = 2 ] && export DMRAN_SIMD=portable\nexec \"$@\"\n",
    )
    .unwrap();
    let plain = command(&folder, 4, &with(&[]));
    let mut command = Command::new("mpirun");
    let args: Vec<_> = plain.get_args().collect();
    let at = args.iter().position(|arg| *arg == "-n").unwrap() + 2;
    command.args(&args[..at]).arg("sh").arg(&mixed).args(&args[at..]).current_dir(plain.get_current_dir().unwrap());
    let out = command.output().unwrap();
    let text = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{text}");
    assert!(text.contains("rank 2 of 4 differs from rank 0 in SIMD tier: portable there"), "{text}");
}
