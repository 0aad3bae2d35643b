//! One set of rules for serving, whatever the way in: who gets recommendations, what a user owns, how ids and times are
//! read; and when the bundled log is read.

use crate::support::cli::{Folder, Ran, TINY};
use serde_json::{Value, json};
use std::process::{Command, Stdio};
use std::time::Duration;

fn answers(ran: Ran) -> Vec<Value> {
    ran.ok().out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn score(folder: &Folder, lines: &str) -> Vec<Value> {
    folder.write("requests.jsonl", lines);
    answers(folder.run(&["score", "model.dmran", "requests.jsonl"]))
}

fn items(answer: &Value) -> Vec<String> {
    let all = answer["recommendations"].as_array().unwrap();
    all.iter().map(|best| best["item"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_cleaning_of_the_training_leaves_nobody_out_at_serving() {
    let folder = Folder::with_log();
    let cleaned = ["--k-core-users", "5", "--k-core-items", "2", "--duplicates", "keep-first"];
    folder.run(&[&["train", "log.csv"], TINY, &cleaned].concat()).ok();
    folder.write("new.csv", "user,item,timestamp,category\nnew,i3,1600000000,c3\nmix,zzz,1600000000,c3\nmix,i4,1600000001,c0\nodd,zzz,1500000000,c1\n");
    let ran = folder.run(&["recommend", "model.dmran", "new.csv", "--all", "--json"]).ok();
    let users: Vec<Value> =
        ran.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["user"].clone()).collect();
    assert_eq!(users, ["mix", "new"], "everybody with a known event");
    assert!(ran.err.contains("1 users are left out"), "{}", ran.err);
    folder.run(&["recommend", "model.dmran", "new.csv", "--user", "new"]).ok();
    // The last event counts even where it is a repetition, as `score` has it.
    folder.write(
        "twice.csv",
        "user,item,timestamp,category\nu,i3,1500000000,c3\nu,i4,1550000000,c0\nu,i3,1600000000,c3\n",
    );
    let by_log = answers(folder.run(&["recommend", "model.dmran", "twice.csv", "--all", "--json", "-k", "5"]));
    let request = json!({ "history": [["i3", 1_500_000_000], ["i4", 1_550_000_000], ["i3", 1_600_000_000]], "k": 5 });
    let by_line = score(&folder, &request.to_string());
    assert_eq!(by_log[0]["recommendations"], by_line[0]["recommendations"]);
    // Whoever asks for cleaning at serving gets it.
    let flags = ["--k-core-users", "2"];
    let ran = folder.run(&[&["recommend", "model.dmran", "new.csv", "--all", "--json"][..], &flags].concat()).ok();
    assert!(!ran.out.contains("\"new\""), "{}", ran.out);
}

#[test]
fn what_a_user_had_after_the_moment_is_owned_but_no_history() {
    let folder = Folder::with_model();
    folder
        .write("one.csv", "user,item,timestamp,category\nu,i1,1500000000,c1\nu,i2,1500100000,c2\nu,i3,1600000000,c3\n");
    let at = ["--now", "1500200000", "-k", "25", "--json"];
    let recommend = |flags: &[&str]| {
        answers(folder.run(&[&["recommend", "model.dmran", "one.csv", "--all"], &at[..], flags].concat())).remove(0)
    };
    let events = json!([["i1", 1_500_000_000], ["i2", 1_500_100_000], ["i3", 1_600_000_000]]);
    let earlier = json!([["i1", 1_500_000_000], ["i2", 1_500_100_000]]);
    let now = 1_500_200_000;
    let lines = [
        json!({ "history": events, "now": now, "k": 25 }),
        json!({ "history": events, "now": now, "k": 25, "include_owned": true }),
        json!({ "history": earlier, "now": now, "k": 25, "exclude": ["i3"] }),
    ];
    let got = score(&folder, &lines.map(|line| line.to_string()).join("\n"));
    for owned in ["i1", "i2", "i3"] {
        assert!(!items(&got[0]).contains(&owned.to_owned()), "{owned} is owned");
    }
    assert_eq!(items(&got[0]).len(), 22);
    assert_eq!(items(&got[1]).len(), 25);
    assert_eq!(got[0]["recommendations"], got[2]["recommendations"], "the later event is no history");
    assert_eq!(recommend(&[])["recommendations"], got[0]["recommendations"], "`recommend` has the same rule");
    assert_eq!(recommend(&["--include-owned"])["recommendations"], got[1]["recommendations"]);
}

#[test]
fn ids_and_times_of_requests_are_read_as_those_of_a_log() {
    let folder = Folder::new();
    // Items that are numbers, as most logs have them.
    folder.write("log.csv", crate::support::cli::log().replace(",i", ",").replace(",tem,", ",item,"));
    folder.run(&[&["train", "log.csv"], TINY].concat()).ok();
    let plain = r#"{"history": [["3", 1500000000], ["14", 1500500000]], "now": 1500600000, "k": 3}"#;
    let others = [
        r#"{"history": [[3, 1500000000.75], [14, "1500500000"]], "now": 1500600000.5, "k": 3}"#,
        r#"{"history": [[" 3", 1.5e9], {"item": 14, "time": 1500500000.0}], "now": "1500600000", "k": 3}"#,
        r#"{"history": [[3.0, 1500000000], ["14\t", 1500500000]], "now": 1500600000, "k": 3, "exclude": [ ]}"#,
    ];
    let got = score(&folder, &[&[plain], &others[..]].concat().join("\n"));
    for (answer, line) in got.iter().zip([plain].iter().chain(&others)) {
        assert_eq!(answer, &got[0], "{line}");
        assert_eq!(answer["unknown"], 0, "{line}");
    }
    let scored = score(&folder, "{\"history\": [3], \"candidates\": [5, \"5\", \" 5 \", 777]}\n");
    let scores = scored[0]["scores"].as_array().unwrap();
    assert!(scores[0].is_number() && scores[..3].iter().all(|one| *one == scores[0]) && scores[3].is_null());
}

#[test]
fn an_id_comes_back_as_it_went_in() {
    let folder = Folder::with_model();
    let ids = [
        "null",
        "7",
        "-0.10",
        "123456789012345678901234567890",
        "1E400",
        "{\"b\":1, \"a\":[ 2.50 ],\"b\":2}",
        "\"\\u00e9\\/\"",
        "true",
        "[]",
    ];
    let lines: String = ids.iter().map(|id| format!("{{\"k\": 1, \"id\": {id} }}\n")).collect();
    folder.write("requests.jsonl", lines);
    let out = folder.run(&["score", "model.dmran", "requests.jsonl"]).ok().out;
    for (id, line) in ids.iter().zip(out.lines()) {
        assert!(line.starts_with(&format!("{{\"id\":{id},\"unknown\"")), "{id}: {line}");
    }
    assert_eq!(out.lines().count(), ids.len());
    // The same words as in an answer to a line that is wrong; and compressed requests are named.
    folder.write("requests.jsonl", b"\x1f\x8b\x08\x00rest");
    folder.run(&["score", "model.dmran", "requests.jsonl"]).refused(&["requests.jsonl", "gzip -dc"]);
    folder.write("requests.jsonl", "\u{feff}{\"k\": 1}\r\n");
    folder.run(&["score", "model.dmran", "requests.jsonl"]).ok();
}

#[test]
fn moments_in_another_unit_are_refused_at_every_way_in() {
    let folder = Folder::with_model();
    let milliseconds = "1500600000000";
    for request in [
        "{\"history\": [[\"i1\", 1500600000000]]}",
        "{\"history\": [[\"i1\", 1500600000]], \"now\": 1500600000000}",
        "{\"history\": [[\"i1\", 1500600000], [\"i2\", \"1500600000000\"]]}",
    ] {
        folder.write("requests.jsonl", request);
        let ran = folder.run(&["score", "model.dmran", "requests.jsonl"]);
        ran.refused(&["requests.jsonl:1", milliseconds, "looks like milliseconds since 1970"]);
    }
    let recommend = ["recommend", "model.dmran", "log.csv", "--all", "--now"];
    folder.run(&[&recommend[..], &[milliseconds]].concat()).refused(&["--now", "milliseconds"]);
    folder.run(&[&recommend[..], &["1500600000000000000"]].concat()).refused(&["--now", "nanoseconds"]);
    folder.run(&["train", "log.csv", "--since", "1500600000000000"]).refused(&["--since", "microseconds"]);
}

#[test]
fn the_bundled_log_does_not_stand_in_for_a_forgotten_one() {
    let folder = Folder::with_model();
    for (args, usage) in [
        (&["train", "--out", "shop.dmran"][..], "dmran train LOG --out"),
        (&["train", "--run", "run"], "dmran train LOG --run"),
        (&["train", "--report", "page.html"], "dmran train LOG --report"),
        (&["train", "--from", "model.dmran"], "dmran train LOG --from"),
        (&["train", "--since", "5"], "dmran train LOG --since"),
        (&["recommend", "model.dmran", "--all"], "dmran recommend model.dmran LOG"),
        (&["evaluate", "model.dmran"], "dmran evaluate model.dmran LOG"),
        (&["search"], "dmran search LOG"),
        (&["experiment", "table1"], "dmran experiment table1 --data LOG"),
    ] {
        folder.run(args).refused(&["no log was named", usage, "--bundled"]);
    }
    folder.run(&["evaluate", "model.dmran", "log.csv", "--bundled"]).refused(&["name two logs"]);
    let names = ["shop.dmran", "run", "page.html", "results"];
    assert!(names.iter().all(|name| !folder.path(name).exists()));
    // Asked for, it is read: nothing of it is known to this model.
    folder.run(&["evaluate", "model.dmran", "--bundled"]).refused(&["household-goods", "not one of its"]);
    let ran = folder.run(&["experiment", "table1", "--bundled"]).ok();
    assert!(ran.out.contains("household-goods"), "{}", ran.out);
}

/// A training on the bundled log that ends soon.
const SOON: &[&str] = &["train", "--model", "most-popular", "--rank-users", "20"];

#[test]
fn a_log_on_standard_input_is_not_overlooked() {
    let folder = Folder::with_log();
    let train = |stdin: Stdio| Ran::of(folder.command(SOON).stdin(stdin));
    // From a file, and from a program that takes its time.
    train(std::fs::File::open(folder.path("log.csv")).unwrap().into()).refused(&["standard input", "dmran train -"]);
    let slow = |script: &str| Command::new("sh").args(["-c", script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut child = slow("sleep 0.1; echo user,item");
    train(child.stdout.take().unwrap().into()).refused(&["standard input", "dmran train -"]);
    child.wait().unwrap();
    // Nothing there: a null device, an empty pipe, an empty file, an open pipe in which nothing comes.
    assert!(train(Stdio::null()).ok().err.contains("no log was named, so this is the bundled one"));
    let mut child = slow(":");
    train(child.stdout.take().unwrap().into()).ok();
    child.wait().unwrap();
    folder.write("nothing", "");
    train(std::fs::File::open(folder.path("nothing")).unwrap().into()).ok();
    let mut child =
        folder.command(SOON).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let open = child.stdin.take();
    assert!(child.wait().unwrap().success(), "an idle pipe is not waited for");
    drop(open);
    // And what is said to be there is read.
    let log = std::fs::File::open(folder.path("log.csv")).unwrap();
    let ran = Ran::of(folder.command(&[&["train", "-"], TINY].concat()).stdin(log)).ok();
    assert!(ran.err.contains("stdin: 40 users"), "{}", ran.err);
}

#[test]
fn a_log_that_comes_late_stops_the_run_before_its_model_is_written() {
    let folder = Folder::new();
    let small = ["--d", "8", "--variant", "item", "--head", "mean", "--history-cap", "3", "--hops", "1"];
    let fast = ["--epochs", "1", "--batch", "512", "--rank-users", "20", "--validation-negatives", "1"];
    let mut child = folder.command(&[&["train", "-q"][..], &small, &fast].concat());
    let mut child = child.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // Later than the program looks, and long before it has read its log and trained.
    std::thread::sleep(Duration::from_millis(700));
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), b"user,item\n").unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(2));
    assert!(!folder.path("model.dmran").exists());
}

#[test]
fn a_run_cannot_be_said_to_be_shorter_than_it_was() {
    let folder = Folder::with_log();
    let run =
        |flags: &[&str]| folder.run(&[&["train", "log.csv", "--run", "run", "--patience", "0"], TINY, flags].concat());
    run(&["--epochs", "4"]).ok();
    let (model, config) = (folder.read("run/model.dmran"), folder.read("run/config.toml"));
    run(&["--epochs", "2", "--allow", "epochs"]).refused(&["train.epochs", "4 were run already", "-> 2"]);
    assert!(folder.read("run/model.dmran") == model && folder.read("run/config.toml") == config);
    // As many as were run, or more, are true.
    run(&["--epochs", "4", "--allow", "epochs"]).ok();
    assert!(folder.read("run/model.dmran") == model);
    run(&["--epochs", "5", "--allow", "epochs"]).ok();
}

#[test]
fn people_count_epochs_and_steps_from_one() {
    let folder = Folder::with_log();
    let ran = folder.run(&[&["train", "log.csv", "--lr", "1e30", "--clip", "0", "--batch", "32"], TINY].concat());
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("diverged at epoch 1, step ") && !ran.err.contains("step 0 "), "{}", ran.err);
    assert!(!ran.err.contains("samples 0 to"), "{}", ran.err);
}
