//! What may be written where: outputs are checked before the work, and nothing of the user's is ever replaced.

use crate::support::cli::{Folder, Ran, TINY};
use std::fs::{self, Permissions};
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

/// A folder with a log, a model, and everything that must not be replaced.
fn minefield() -> Folder {
    let folder = Folder::with_model();
    let at = |name: &str| folder.path(name);
    symlink("log.csv", at("link-to-log")).unwrap();
    fs::hard_link(at("log.csv"), at("twin-of-log")).unwrap();
    folder.run(&["recommend", "model.dmran", "log.csv", "--all", "--out", "recs.csv"]).ok();
    symlink("model.dmran", at("link-to-model")).unwrap();
    symlink("nowhere", at("link-to-nothing")).unwrap();
    fs::create_dir(at("folder")).unwrap();
    drop(UnixListener::bind(at("socket")).unwrap());
    assert!(Command::new("mkfifo").arg(at("pipe")).status().unwrap().success());
    // The superuser alone could replace a device. Everybody else has one that cannot be lost.
    let made = Command::new("mknod").arg(at("device")).args(["c", "1", "3"]).stderr(Stdio::null()).status();
    if !made.is_ok_and(|status| status.success()) {
        symlink("/dev/null", at("device")).unwrap();
    }
    folder.write("thesis.txt", "the only copy");
    folder.write("search.toml", "[search]\nhops = [1]\n");
    fs::copy(at("model.dmran"), at("sealed")).unwrap();
    fs::set_permissions(at("sealed"), Permissions::from_mode(0o444)).unwrap();
    folder
}

/// Everything in a folder: name, inode, kind, time of change, length.
fn listing(folder: &Path) -> Vec<(String, u64, u32, i64, u64)> {
    let entry = |entry: fs::DirEntry| {
        let metadata = entry.metadata().unwrap();
        let name = entry.file_name().into_string().unwrap();
        (name, metadata.ino(), metadata.mode(), metadata.mtime_nsec(), metadata.len())
    };
    let mut all: Vec<_> = fs::read_dir(folder).unwrap().map(|one| entry(one.unwrap())).collect();
    all.sort();
    all
}

#[test]
fn no_output_of_any_command_lands_on_something_that_is_not_its_own() {
    let folder = minefield();
    assert!(fs::symlink_metadata(folder.path("pipe")).unwrap().file_type().is_fifo());
    let before = listing(&folder.path(""));
    let targets: [(&str, &str); 16] = [
        ("log.csv", "log.csv, which is read"),
        ("./folder/../log.csv", "log.csv, which is read"),
        ("link-to-log", "log.csv, which is read"),
        ("twin-of-log", "log.csv, which is read"),
        ("link-to-model", "symbolic link to model.dmran"),
        ("link-to-nothing", "symbolic link to nowhere"),
        ("folder", "is a folder"),
        ("folder/", "is a folder"),
        ("pipe", "is a pipe"),
        ("socket", "is a socket"),
        ("device", "is a "),
        ("thesis.txt", "of dmran's: remove it first or choose another name"),
        ("sealed", "is read-only"),
        ("nowhere/x", "its folder does not exist"),
        (".", "is a folder"),
        ("log.csv/x", "its folder does not exist"),
    ];
    let train = |flags: &[&str]| folder.run(&[&["train", "log.csv"], TINY, flags].concat());
    let recommend = ["recommend", "model.dmran", "log.csv", "--all", "--out-format", "csv", "--out"];
    for (target, why) in targets {
        train(&["--out", target]).refused(&["--out", why]);
        // The link names the file that the model goes to.
        let page = if target == "link-to-model" { "is --out model.dmran" } else { why };
        train(&["--report", target]).refused(&["--report", page]);
        train(&["--model", "bpr-mf", "--report", target]).refused(&["--report", why]);
        train(&["--run", "run", "--out", target]).refused(&["--out", why]);
        // `recommend` reads the model, which the link names.
        let why = if target == "link-to-model" { "model.dmran, which is read" } else { why };
        folder.run(&[&recommend[..], &[target]].concat()).refused(&["--out", why]);
    }
    for (target, why) in [
        ("log.csv", "is no folder"),
        ("pipe", "is no folder"),
        ("link-to-log", "is no folder"),
        ("link-to-nothing", "is no folder"),
        ("log.csv/x", "cannot be written to"),
    ] {
        train(&["--run", target]).refused(&["--run", why]);
        folder.run(&["search", "log.csv", "--config", "search.toml", "--out", target]).refused(&["--out", why]);
        folder.run(&["experiment", "table1", "--data", "log.csv", "--out", target]).refused(&["--out", why]);
    }
    train(&["--run", "."]).refused(&["--run .", "is no run folder"]);
    assert_eq!(listing(&folder.path("")), before, "nothing was written, not even beside");
}

#[test]
fn every_input_is_spared() {
    let folder = minefield();
    folder.write("run.toml", "[train]\nepochs = 1\n");
    folder.write("requests.jsonl", "{}\n");
    let before = listing(&folder.path(""));
    let read = "which is read";
    folder.run(&["train", "log.csv", "--from", "model.dmran", "--out", "model.dmran"]).refused(&["model.dmran", read]);
    folder.run(&["train", "log.csv", "--config", "run.toml", "--out", "run.toml"]).refused(&["run.toml", read]);
    folder.run(&["train", "log.csv", "--meta", "thesis.txt", "--report", "thesis.txt"]).refused(&["thesis.txt", read]);
    folder.run(&["train", "log.csv", "--out", "x", "--report", "./x"]).refused(&["--report ./x", "--out x"]);
    let ran =
        folder.run(&["recommend", "model.dmran", "log.csv", "--all", "--out-format", "csv", "--out", "model.dmran"]);
    ran.refused(&["model.dmran", read]);
    // A log that comes in by standard input, and results that would go into what they are made from.
    let log = || Stdio::from(fs::File::open(folder.path("log.csv")).unwrap());
    Ran::of(folder.command(&["train", "-", "--out", "log.csv"]).stdin(log())).refused(&["standard input"]);
    for args in [
        &["recommend", "model.dmran", "log.csv", "--all"][..],
        &["evaluate", "model.dmran", "log.csv"],
        &["train", "log.csv"],
        &["experiment", "table1", "--data", "log.csv"],
    ] {
        let onto = fs::OpenOptions::new().append(true).open(folder.path("log.csv")).unwrap();
        let ran = Ran::of(folder.command(args).stdout(onto));
        assert!(ran.code == 2 && ran.err.contains("standard output goes to log.csv"), "{args:?}: {}", ran.err);
    }
    let onto = fs::OpenOptions::new().append(true).open(folder.path("requests.jsonl")).unwrap();
    let ran = Ran::of(folder.command(&["score", "model.dmran", "requests.jsonl"]).stdout(onto));
    assert!(ran.code == 2 && ran.err.contains("standard output goes to requests.jsonl"), "{}", ran.err);
    folder.run(&["search", "log.csv", "--config", "search.toml", "--out", "found"]).ok();
    let ran = folder.run(&["search", "log.csv", "--config", "found/best.toml", "--out", "found"]);
    ran.refused(&["best.toml"]);
    let after = listing(&folder.path(""));
    assert!(before.iter().all(|one| after.contains(one)));
}

#[test]
fn our_own_files_and_empty_ones_are_replaced_and_keep_their_permissions() {
    let folder = Folder::with_log();
    folder.write("empty", "");
    folder.write("s.toml", "[search]\nhops = [1]\n");
    fs::set_permissions(folder.path("empty"), Permissions::from_mode(0o600)).unwrap();
    for _ in 0..2 {
        folder.run(&[&["train", "log.csv", "--out", "empty", "--report", "page.html"], TINY].concat()).ok();
        for file in ["recs.csv", "recs.jsonl", "recs.txt"] {
            folder.run(&["recommend", "empty", "log.csv", "--all", "--out", file]).ok();
        }
        folder.run(&["experiment", "table1", "--data", "log.csv", "--out", "results"]).ok();
        folder
            .run(&[&["experiment", "figure4", "--data", "log.csv", "--runs", "1", "--out", "results"], TINY].concat())
            .ok();
        folder.run(&[&["train", "log.csv", "--run", "run"], TINY].concat()).ok();
    }
    assert_eq!(fs::metadata(folder.path("empty")).unwrap().permissions().mode() & 0o777, 0o600);
    // One kind is not another.
    let refused = |args: &[&str], what: &str| folder.run(args).refused(&[what]);
    refused(&["train", "log.csv", "--out", "page.html"], "page.html: exists and is no model of dmran's");
    refused(&["train", "log.csv", "--report", "empty"], "empty: exists and is no page of dmran's");
    let onto = |file: &'static str| ["recommend", "empty", "log.csv", "--all", "--out-format", "csv", "--out", file];
    refused(&onto("recs.jsonl"), "recs.jsonl: exists and is no result of dmran's");
    refused(&onto("log.csv"), "log.csv, which is read");
    // Logs that look like results at first sight.
    folder.write("other.jsonl", "{\"user\":\"ann\",\"item\":\"tea\"}\n");
    folder.write("other.txt", "user item\nann tea\n");
    let onto = |file: &'static str| ["recommend", "empty", "log.csv", "--all", "--out", file];
    refused(&onto("other.jsonl"), "other.jsonl: exists and is no result of dmran's");
    refused(&onto("other.txt"), "other.txt: exists and is no result of dmran's");
    // Results and charts that somebody else made.
    folder.write("results/table1.md", "# My own notes\n");
    refused(&["experiment", "table1", "--data", "log.csv", "--out", "results"], "table1.md: exists and is no report");
    folder.write("results/figure4.svg", "<svg not ours>");
    fs::remove_file(folder.path("results/figure4.md")).unwrap();
    refused(&["experiment", "figure4", "--data", "log.csv", "--out", "results"], "figure4.svg: exists and is no chart");
    fs::create_dir(folder.path("mine")).unwrap();
    folder.write("mine/search.json", "{\"trials\": 1}");
    refused(&["search", "log.csv", "--out", "mine", "--config", "s.toml"], "search.json: exists and is no result");
}

#[test]
fn a_run_folder_is_told_from_others_and_its_files_are_plain() {
    let folder = Folder::with_log();
    let run = |dir: &str| folder.run(&[&["train", "log.csv", "--run", dir], TINY].concat());
    run("run").ok();
    // A file called lock makes no run folder.
    fs::create_dir(folder.path("project")).unwrap();
    folder.write("project/lock", "");
    folder.write("project/config.toml", "mine");
    run("project").refused(&["--run project", "is no run folder"]);
    assert_eq!(folder.read("project/config.toml"), b"mine");
    folder.run(&["evaluate", "project", "log.csv"]).refused(&["no checkpoint"]);
    assert_eq!(fs::read_dir(folder.path("project")).unwrap().count(), 2, "evaluate makes no run folder");
    // Within one, links are not followed and foreign models not replaced.
    fs::remove_file(folder.path("run/model.dmran")).unwrap();
    symlink("../log.csv", folder.path("run/model.dmran")).unwrap();
    run("run").refused(&["run/model.dmran", "log.csv, which is read"]);
    fs::remove_file(folder.path("run/model.dmran")).unwrap();
    folder.write("run/model.dmran", "mine");
    run("run").refused(&["run/model.dmran", "no model of dmran's"]);
    folder.run(&["train", "log.csv", "--run", "run", "--out", "run/config.toml"]).refused(&["--out run/config.toml"]);
    let config = ["train", "log.csv", "--config", "run/config.toml", "--run", "run"];
    folder.run(&config).refused(&["run/config.toml", "which is read"]);
}

/// Mounts something, where that is allowed.
fn mounted(args: &[&str], target: &Path) -> Option<Unmount> {
    let status = Command::new("mount").args(args).arg(target).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success()).then(|| Unmount(target.to_owned()))
}

struct Unmount(std::path::PathBuf);

impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn places_that_cannot_be_written_to_are_known_before_the_training() {
    let folder = Folder::with_model();
    let train = |flags: &[&str]| folder.run(&[&["train", "log.csv"], TINY, flags].concat());
    // The name itself fits, that of the temporary file does not.
    let long = "x".repeat(250);
    train(&["--out", &long]).refused(&["--out", "cannot be written"]);
    fs::create_dir(folder.path("disk")).unwrap();
    match mounted(&["-t", "tmpfs", "-o", "ro", "none"], &folder.path("disk")) {
        Some(_mounted) => {
            train(&["--out", "disk/x"]).refused(&["--out disk/x", "cannot be written", "Read-only"]);
            train(&["--run", "disk/run"]).refused(&["--run disk/run", "Read-only"]);
            train(&["--run", "disk/a/b"]).refused(&["--run disk/a/b", "Read-only"]);
            folder
                .run(&["experiment", "table1", "--data", "log.csv", "--out", "disk"])
                .refused(&["--out disk", "Read-only"]);
        }
        None => eprintln!("read-only file system left out: mounting is not allowed here"),
    }
    // A single file that a container binds: it can be written to, but not replaced.
    fs::copy(folder.path("model.dmran"), folder.path("bound.dmran")).unwrap();
    let model = folder.path("model.dmran");
    match mounted(&["--bind", model.to_str().unwrap()], &folder.path("bound.dmran")) {
        Some(_mounted) => train(&["--out", "bound.dmran"]).refused(&["--out bound.dmran", "is a mount point"]),
        None => eprintln!("bound file left out: mounting is not allowed here"),
    }
    fs::create_dir(folder.path("closed")).unwrap();
    fs::set_permissions(folder.path("closed"), Permissions::from_mode(0o555)).unwrap();
    // Permissions do not stop the superuser, so there is nothing to be told.
    let superuser = fs::write(folder.path("closed/probe"), "").is_ok();
    match superuser {
        true => drop(train(&["--out", "closed/x"]).ok()),
        false => train(&["--out", "closed/x"]).refused(&["--out closed/x", "Permission denied"]),
    }
    fs::set_permissions(folder.path("closed"), Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn what_gets_the_name_during_the_training_is_spared_and_the_model_is_not_lost() {
    let folder = Folder::with_log();
    let args = [&["train", "log.csv"], TINY, &["--epochs", "40"]].concat();
    let mut child = folder.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut err = BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("memory: ") {
        line.clear();
        assert!(err.read_line(&mut line).unwrap() > 0, "it ended");
    }
    folder.write("model.dmran", "written meanwhile");
    let mut rest = String::new();
    err.read_to_string(&mut rest).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{rest}");
    assert_eq!(folder.read("model.dmran"), b"written meanwhile");
    let name = rest.trim_end().rsplit("the model is in ").next().unwrap();
    assert!(rest.contains("model.dmran: exists and is no model of dmran's"), "{rest}");
    folder.run(&["inspect", "model", name]).ok();
    assert!(String::from_utf8(output.stdout).unwrap().contains("AUC"), "the figures are shown all the same");
}

#[test]
fn recommendations_go_into_a_file_in_the_form_of_its_name() {
    let folder = Folder::with_model();
    let to = |file: &str, flags: &[&str]| {
        folder.run(&[&["recommend", "model.dmran", "log.csv", "--all", "-k", "3", "--out", file], flags].concat())
    };
    let ran = to("a.jsonl", &[]).ok();
    assert_eq!(ran.out, "");
    assert!(ran.err.starts_with("log.csv: user = user") && ran.err.lines().count() == 1, "{}", ran.err);
    let lines = folder.run(&["recommend", "model.dmran", "log.csv", "--all", "-k", "3", "--json"]).ok().out;
    assert_eq!(folder.read("a.jsonl"), lines.as_bytes());
    to("a.csv", &[]).ok();
    let csv = String::from_utf8(folder.read("a.csv")).unwrap();
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(rows[0], ["user", "rank", "item", "category", "score"]);
    assert_eq!(rows.len(), 1 + 40 * 3);
    let mut row = rows[1..].iter();
    for line in lines.lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        for (rank, best) in line["recommendations"].as_array().unwrap().iter().enumerate() {
            let row = row.next().unwrap();
            assert_eq!(row[..2], [line["user"].as_str().unwrap(), &(rank + 1).to_string()]);
            assert_eq!((&best["item"], &best["category"]), (&row[2].into(), &row[3].into()));
            assert_eq!(best["score"].as_f64().unwrap() as f32, row[4].parse::<f32>().unwrap());
        }
    }
    // Names that CSV has to quote.
    folder.write("odd.csv", crate::support::cli::log().replace("u7,", "\"u,\"\"7\",").replace("\nu3,", "\n\"u\n3\","));
    let ran = folder.run(&["recommend", "model.dmran", "odd.csv", "--all", "-k", "1", "--out-format", "csv"]).ok();
    assert!(ran.out.contains("\n\"u,\"\"7\",1,i") && ran.out.contains("\n\"u\n3\",1,i"), "{}", ran.out);
    to("a.xlsx", &[]).refused(&["--out a.xlsx", "its name tells no form", ".csv, .jsonl"]);
    to("a.parquet", &[]).ok();
    assert!(folder.read("a.parquet").starts_with(b"PAR1"));
    to("a", &["--out-format", "csv"]).ok();
    assert_eq!(folder.read("a"), csv.as_bytes());
    to("b.csv", &["--user", "nobody"]).refused(&["--all", "--user"]);
    let ran = folder.run(&["recommend", "model.dmran", "log.csv", "--user", "u1", "nobody", "--out", "b.csv"]);
    ran.refused(&["no user \"nobody\""]);
    assert!(!folder.path("b.csv").exists(), "whole or not at all");
}
