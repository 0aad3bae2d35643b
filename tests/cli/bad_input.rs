//! What becomes of logs that are broken, tiny or odd: a clear error and exit code 2, or a result that is documented.

use crate::support::cli::{Folder, Ran, TINY};
use std::fmt::Write;

fn train(content: impl AsRef<[u8]>, flags: &[&str]) -> Ran {
    let folder = Folder::new();
    folder.write("log.csv", content);
    let ran = folder.run(&[&["train", "log.csv"], TINY, flags].concat());
    // A model is written exactly where the run went well.
    assert_eq!(folder.path("model.dmran").exists(), ran.code == 0, "{}", ran.err);
    ran
}

/// Rows under a header with times.
fn timed(rows: &[(&str, &str, i64)]) -> String {
    let mut text = String::from("user,item,timestamp\n");
    rows.iter().for_each(|(user, item, time)| writeln!(text, "{user},{item},{time}").unwrap());
    text
}

/// Item lists, one a user.
fn ordered(users: &[(&str, &[&str])]) -> String {
    let mut text = String::from("user,item\n");
    for (user, items) in users {
        items.iter().for_each(|item| writeln!(text, "{user},{item}").unwrap());
    }
    text
}

#[test]
fn an_empty_file() {
    train("", &[]).refused(&["log.csv", "empty"]);
    train("\n\n  \n", &[]).refused(&["log.csv", "empty"]);
}

#[test]
fn a_header_alone() {
    train("user,item,timestamp\n", &[]).refused(&["log.csv", "header", "not a single row"]);
}

#[test]
fn a_missing_column() {
    train("user,thing\na,1\n", &[]).refused(&["log.csv", "no column for the item", "\"thing\""]);
    train("user,item\na,1\n", &["--time-column", "when"]).refused(&["log.csv", "time", "when"]);
}

#[test]
fn bytes_that_are_not_utf8() {
    train(b"user,item\na,1\na,\xff\xfe\n", &[]).refused(&["log.csv:3", "\"item\"", "not valid UTF-8"]);
    let mut log = crate::support::cli::log().into_bytes();
    log.extend(b"u1,\xff,1500000000,c1\n");
    let ran = train(log, &["--on-error", "skip"]).ok();
    assert!(ran.err.contains("1 malformed line") && ran.err.contains("not valid UTF-8"), "{}", ran.err);
}

#[test]
fn an_id_of_a_mebibyte() {
    let text = format!("user,item\na,{}\n", "x".repeat(1 << 20));
    let ran = train(&text, &[]);
    assert!(ran.err.len() < 1000, "the message is cut");
    ran.refused(&["log.csv:2", "1048576 bytes", "limit is 65536"]);
    // Asked for, it is an id like any other.
    let long = format!("{}u39,{},1600000000,c1\n", crate::support::cli::log(), "x".repeat(1 << 20));
    train(long, &["--max-id-bytes", "2000000"]).ok();
}

#[test]
fn negative_and_huge_timestamps() {
    // Every 64-bit time is legal, as long as no other tells that it cannot be one: gaps beyond the last bucket fall into it.
    let mut rows = Vec::new();
    for user in ["a", "b", "c"] {
        for (item, time) in [("v", i64::MIN), ("w", -86_400_000), ("x", -1), ("y", 100_000), ("z", i64::MAX)] {
            rows.push((user, item, time));
        }
        rows.push((user, user, 5));
    }
    let ran = train(timed(&rows), &[]).ok();
    assert!(ran.err.contains("-292277022657-01-27 to 292277026596-12-04"), "{}", ran.err);
    assert!(!ran.out.contains("NaN"), "{}", ran.out);
    rows.push(("a", "y", 1_500_000_000));
    train(timed(&rows), &[]).refused(&["-1 (line 4) stands for no time", "--where 'timestamp>0'"]);
    // One more than 64 bits is not.
    train("user,item,timestamp\na,x,9223372036854775808\n", &[]).refused(&["log.csv:2", "64-bit"]);
    train("user,item,timestamp\na,x,noon\n", &[]).refused(&["log.csv:2", "\"timestamp\"", "noon"]);
}

#[test]
fn users_with_one_or_two_events() {
    // They can be neither learned from nor, with one event, tested on; a user with no event is in no log.
    let short = ordered(&[("a", &["1"]), ("b", &["1", "2"])]);
    train(&short, &[]).refused(&["nothing to learn from", "longest history has 2 events", "needs 4"]);
    train(&short, &["--protocol", "paper"]).refused(&["longest history has 2 events", "needs 3"]);
    let three = ordered(&[("a", &["1", "2", "3"]), ("b", &["4"])]);
    train(&three, &[]).refused(&["--protocol paper"]);
    train(&three, &["--protocol", "paper"]).ok();
    // Beside users with more they do no harm.
    let mixed = crate::support::cli::log() + "one,i1,1500000000,c1\ntwo,i1,1500000000,c1\ntwo,i2,1500000001,c2\n";
    let ran = train(mixed, &[]).ok();
    assert!(ran.err.contains("42 users"), "{}", ran.err);
    assert!(ran.out.contains("over 41 users"), "the one with two events is tested on: {}", ran.out);
}

#[test]
fn one_user() {
    // Who has every item of the log: there is no negative.
    let one = ordered(&[("a", &["1", "2", "3", "4", "5"])]);
    train(one, &[]).refused(&["nothing to learn from", "has every item"]);
}

#[test]
fn one_item() {
    let one = ordered(&[("a", &["1", "1", "1", "1"]), ("b", &["1", "1", "1", "1", "1"])]);
    train(one, &[]).refused(&["nothing to learn from", "has every item"]);
}

#[test]
fn one_hop_and_more_hops_than_events() {
    train(crate::support::cli::log(), &["--hops", "1", "--ff-width", "1", "--head-ff-width", "1"]).ok();
    // Legal: the redundancy penalty is then at least r - n.
    let ran = train(crate::support::cli::log(), &["--hops", "30"]).ok();
    assert!(!ran.out.contains("NaN"), "{}", ran.out);
}

#[test]
fn a_user_who_has_every_item() {
    let all: Vec<String> =
        (0..25).map(|item| format!("whale,i{item},{},c{}", 1_500_000_000 + item, item % 4)).collect();
    let log = crate::support::cli::log() + &all.join("\n");
    let folder = Folder::new();
    folder.write("log.csv", log);
    let ran = folder.run(&[&["train", "log.csv"], TINY].concat()).ok();
    assert!(ran.err.contains("1 users have every item"), "{}", ran.err);
    assert!(ran.out.contains("over 40 users"), "neither learned from nor tested on: {}", ran.out);
    let ran = folder.run(&["recommend", "model.dmran", "log.csv", "--user", "whale"]).ok();
    assert!(ran.out.contains("nothing: the user has every item"), "{}", ran.out);
    let ran = folder.run(&["recommend", "model.dmran", "log.csv", "--user", "whale", "--include-owned", "-k", "3"]);
    assert_eq!(ran.ok().out.lines().count(), 4);
}

#[test]
fn paths_that_are_no_logs() {
    let folder = Folder::new();
    folder.run(&["train", "nowhere.csv"]).refused(&["nowhere.csv", "no such file"]);
    folder.run(&["train", "."]).refused(&["folder"]);
    folder.write("cut.csv.gz", b"\x1f\x8b\x08\x00\x00\x00\x00\x00");
    folder.run(&["train", "cut.csv.gz"]).refused(&["cut.csv.gz", "truncated"]);
    folder.write("log.csv", crate::support::cli::log());
    folder.run(&["train", "log.csv", "--k-core-items", "1000"]).refused(&["nothing is left"]);
    folder.run(&["train", "log.csv", "--delimiter", "é"]).refused(&["delimiter"]);
    folder.run(&["train", "log.csv", "--meta", "nowhere.json"]).refused(&["nowhere.json"]);
}
