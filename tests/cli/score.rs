//! `dmran score`: requests and answers as JSON Lines.

use crate::support::cli::{Folder, Ran};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdout, Stdio};

fn score(folder: &Folder, lines: &str, flags: &[&str]) -> Ran {
    folder.write("requests.jsonl", lines);
    folder.run(&[&["score", "model.dmran", "requests.jsonl"], flags].concat())
}

fn answers(ran: Ran) -> Vec<Value> {
    ran.ok().out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The history of a user in `log.csv` as a request has it.
fn history(user: &str) -> Value {
    let log = crate::support::cli::log();
    let rows = log.lines().map(|line| line.split(',').collect::<Vec<_>>()).filter(|row| row[0] == user);
    rows.map(|row| json!([row[1], row[2].parse::<i64>().unwrap()])).collect()
}

#[test]
fn the_best_items_are_those_of_recommend() {
    let folder = Folder::with_model();
    let users: Vec<String> = (0..40).map(|user| format!("u{user}")).collect();
    let requests = users.iter().map(|user| json!({ "id": user, "history": history(user), "k": 4 }).to_string() + "\n");
    let requests: String = requests.collect();
    let want = folder.run(&["recommend", "model.dmran", "log.csv", "--all", "-k", "4", "--json"]);
    let mut want = answers(want);
    want.sort_by_key(|line| users.iter().position(|user| *user == line["user"]));
    let got = answers(score(&folder, &requests, &[]));
    assert_eq!(got.len(), 40);
    for (got, want) in got.iter().zip(&want) {
        assert_eq!(got["id"], want["user"]);
        assert_eq!(got["recommendations"], want["recommendations"], "{}", want["user"]);
        assert_eq!((&got["unknown"], &got["cold"]), (&json!(0), &json!(false)));
    }
    let one = score(&folder, &requests, &["--threads", "1"]).ok();
    assert_eq!(one.out, score(&folder, &requests, &["--threads", "3"]).ok().out);
}

#[test]
fn given_candidates_have_the_scores_of_the_ranking() {
    let folder = Folder::with_model();
    let all: Vec<String> = (0..25).map(|item| format!("i{item}")).collect();
    let ranked = json!({ "history": history("u7"), "k": 25, "include_owned": true });
    let scored = json!({ "history": history("u7"), "candidates": all });
    let some = json!({ "history": history("u7"), "candidates": ["i3", "nothing", "i3", "i1"], "k": 9,
                       "include_owned": true });
    let got = answers(score(&folder, &format!("{ranked}\n\n{scored}\n{some}"), &[]));
    assert_eq!(got.len(), 3, "a blank line has no answer");
    let ranking = got[0]["recommendations"].as_array().unwrap();
    assert_eq!(ranking.len(), 25);
    for best in ranking {
        let at = all.iter().position(|item| *item == best["item"]).unwrap();
        assert_eq!(got[1]["scores"][at], best["score"], "{best}");
    }
    assert!(got[1].get("recommendations").is_none());
    assert_eq!(got[2]["scores"], json!([got[1]["scores"][3], null, got[1]["scores"][3], got[1]["scores"][1]]));
    let of_some = got[2]["recommendations"].as_array().unwrap();
    assert_eq!(of_some.len(), 2, "known candidates, each once");
    assert!(of_some[0]["score"].as_f64() >= of_some[1]["score"].as_f64());
}

#[test]
fn moments_exclusions_and_explanations() {
    let folder = Folder::with_model();
    let events = history("u7");
    let second = events[1][1].as_i64().unwrap();
    let mut shuffled = events.as_array().unwrap().clone();
    shuffled.reverse();
    let requests = [
        json!({ "history": events, "now": second, "k": 2, "include_owned": true }),
        json!({ "history": events.as_array().unwrap()[..2], "k": 2, "include_owned": true }),
        json!({ "history": events, "k": 25 }),
        json!({ "history": shuffled, "k": 25, "explain": true, "exclude": ["i0", "nothing"] }),
        json!({ "history": ["what", "ever"], "k": 1 }),
        json!({}),
    ];
    let lines: String = requests.iter().map(|request| format!("{request}\n")).collect();
    let got = answers(score(&folder, &lines, &[]));
    assert_eq!(got[0], got[1], "events after `now` do not count");
    let items = |answer: &Value| -> Vec<Value> {
        answer["recommendations"].as_array().unwrap().iter().map(|r| r["item"].clone()).collect()
    };
    let without: Vec<Value> = items(&got[2]).into_iter().filter(|item| item != "i0").collect();
    assert_eq!(items(&got[3]), without, "the order of timed events does not matter");
    for best in got[3]["recommendations"].as_array().unwrap() {
        let reasons = best["because"].as_array().unwrap();
        assert!(!reasons.is_empty() && reasons.len() <= 5);
        for reason in reasons {
            let at = reason["position"].as_u64().unwrap() as usize;
            assert_eq!(reason["item"], shuffled[at][0]);
        }
    }
    assert_eq!((&got[4]["unknown"], &got[4]["cold"]), (&json!(2), &json!(true)));
    assert_eq!(items(&got[5]).len(), 10, "the default");
}

#[test]
fn wrong_lines_are_named_and_answers_before_them_are_given() {
    let folder = Folder::with_model();
    let lines = "{\"k\": 1}\n\n{\"k\": one}\n{\"k\": 1}\n";
    let ran = score(&folder, lines, &[]);
    assert_eq!(ran.code, 2);
    assert!(ran.err.contains("error: requests.jsonl:3: expected") && ran.err.contains("at column 7"), "{}", ran.err);
    assert_eq!(ran.out.lines().count(), 1);
    let got = answers(score(&folder, lines, &["--on-error", "skip"]));
    assert_eq!(got.len(), 3);
    assert_eq!((&got[1]["line"], got[0] == got[2]), (&json!(3), true));
    assert!(got[1]["error"].as_str().unwrap().contains("expected"), "{}", got[1]);
    folder.run(&["score", "model.dmran", "nowhere.jsonl"]).refused(&["nowhere.jsonl"]);
    folder.run(&["score", "log.csv"]).refused(&["log.csv", "not a model"]);
    assert_eq!(folder.run(&["score", "model.dmran"]).ok().out, "", "no requests, no answers");
}

#[test]
fn an_open_pipe_is_answered_line_by_line() {
    let folder = Folder::with_model();
    let mut child =
        folder.command(&["score", "model.dmran"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut questions = child.stdin.take().unwrap();
    let mut read: BufReader<ChildStdout> = BufReader::new(child.stdout.take().unwrap());
    for id in 0..3 {
        writeln!(questions, "{}", json!({ "id": id, "history": ["i1"], "k": 1 })).unwrap();
        let mut line = String::new();
        // Would wait for ever if the answer stayed in a buffer.
        read.read_line(&mut line).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&line).unwrap()["id"], id);
    }
    drop(questions);
    assert!(child.wait().unwrap().success());
}
