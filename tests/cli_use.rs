//! `dmran evaluate`, `recommend` and `inspect` on a model that `train` wrote.
#![cfg(feature = "cli")]

#[path = "support/cli.rs"]
mod cli;

use cli::{Folder, TINY};
use std::collections::HashSet;

/// The items of a user in `log.csv`, in order.
fn items_of(user: &str) -> Vec<String> {
    let rows = cli::log();
    let rows = rows.lines().map(|line| line.split(',').collect::<Vec<_>>());
    rows.filter(|row| row[0] == user).map(|row| row[1].to_owned()).collect()
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn evaluate_repeats_the_figures_of_the_training() {
    let folder = Folder::with_log();
    let trained = folder.run(&[&["train", "log.csv"], TINY].concat()).ok();
    let measured = folder.run(&["evaluate", "model.dmran", "log.csv"]).ok();
    let choices = "log.csv: user = user, item = item, time = timestamp (seconds), category = category; read as CSV\n";
    assert_eq!(measured.err, choices);
    let table = |text: &str| {
        let rows = text.lines().skip_while(|line| !line.contains("most popular")).take(7);
        rows.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(table(&measured.out), table(&trained.out));
    let report = json(&folder.run(&["evaluate", "model.dmran", "log.csv", "--json", "-k", "3"]).ok().out);
    assert_eq!(report["same_log_as_in_training"], true);
    assert_eq!(report["protocol"], "honest");
    assert_eq!(report["model"]["ranking"]["at"][0]["k"], 3);
    assert_eq!(report["model"]["auc"]["n"], 40);
}

#[test]
fn evaluate_measures_the_best_epoch_of_any_run() {
    let table = |text: &str| {
        let rows = text.lines().skip_while(|line| !line.contains("most popular")).take(7);
        rows.map(str::to_owned).collect::<Vec<_>>()
    };
    for model in ["dmran", "bpr-mf", "atrank"] {
        let folder = Folder::with_log();
        let trained =
            folder.run(&[&["train", "log.csv", "--run", "run", "--model", model, "--heads", "2"], TINY].concat());
        let measured = folder.run(&["evaluate", "run", "log.csv"]).ok();
        assert_eq!(table(&measured.out), table(&trained.ok().out), "{model}");
        let report = json(&folder.run(&["evaluate", "run", "log.csv", "--json", "-k", "3", "--threads", "1"]).ok().out);
        assert_eq!(report["model"]["ranking"]["at"][0]["k"], 3);
        folder.write("other.csv", cli::log().replace("u1,", "v1,"));
        folder.run(&["evaluate", "run", "other.csv"]).refused(&["checkpoints"]);
    }
    let folder = Folder::with_log();
    std::fs::create_dir(folder.path("empty")).unwrap();
    folder.run(&["evaluate", "empty", "log.csv"]).refused(&["empty", "no checkpoint"]);
}

#[test]
fn evaluate_on_another_log_says_so_and_maps_items_by_name() {
    let folder = Folder::with_model();
    // The same events under other users, and items that the model has never seen.
    let mut text = cli::log().replace("u1", "v1");
    for user in 0..5 {
        text += &format!("u{user},new,1600000000,c1\nu{user},a new one,1600000001,c9\n");
    }
    folder.write("other.csv", text);
    let ran = folder.run(&["evaluate", "model.dmran", "other.csv", "--json"]).ok();
    assert!(ran.err.contains("not the log that the model was trained on"), "{}", ran.err);
    assert!(ran.err.contains("10 of ") && ran.err.contains("2 items"), "{}", ran.err);
    let report = json(&ran.out);
    assert_eq!(report["unknown_events"], 10);
    // Without the unknown items it is the same log.
    let same = json(&folder.run(&["evaluate", "model.dmran", "log.csv", "--json"]).ok().out);
    assert_eq!(report["model"]["ranking"]["mrr"]["n"], same["model"]["ranking"]["mrr"]["n"]);
    folder.write("strange.csv", "user,item\na,x\na,y\n");
    folder.run(&["evaluate", "model.dmran", "strange.csv"]).refused(&["strange.csv", "not one of its 2 items"]);
}

#[test]
fn settings_of_the_log_come_from_the_training() {
    let folder = Folder::new();
    let rows = cli::log();
    let rows = rows.lines().skip(1).map(|line| line.split(',').collect::<Vec<_>>());
    let text: String =
        rows.map(|row| format!("{{\"who\":{:?},\"what\":{:?},\"at\":{}}}\n", row[0], row[1], row[2])).collect();
    folder.write("log.jsonl", text);
    let columns = ["--user-column", "who", "--item-column", "what", "--time-column", "at", "--format", "jsonl"];
    folder.run(&[&["train", "log.jsonl"], TINY, &columns].concat()).ok();
    let ran = folder.run(&["evaluate", "model.dmran", "log.jsonl", "--json"]).ok();
    assert_eq!(json(&ran.out)["same_log_as_in_training"], true);
    // Flags win.
    folder.run(&["evaluate", "model.dmran", "log.jsonl", "--user-column", "nobody"]).refused(&["nobody"]);
}

#[test]
fn recommendations_leave_out_what_a_user_has() {
    let folder = Folder::with_model();
    let recommend = |args: &[&str]| folder.run(&[&["recommend", "model.dmran", "log.csv"], args].concat()).ok().out;
    let items = |out: &str| -> Vec<Vec<String>> {
        let line = |line| {
            let all = json(line)["recommendations"].as_array().unwrap().clone();
            all.iter().map(|r| r["item"].as_str().unwrap().to_owned()).collect()
        };
        out.lines().map(line).collect()
    };
    let got = items(&recommend(&["--user", "u7", "--user", "u3", "-k", "25", "--json"]));
    for (user, got) in ["u7", "u3"].iter().zip(&got) {
        let mut all: HashSet<String> = (0..25).map(|i| format!("i{i}")).collect();
        items_of(user).iter().for_each(|item| _ = all.remove(item));
        assert_eq!(got.iter().cloned().collect::<HashSet<_>>(), all, "{user}");
        assert_eq!(got.len(), all.len());
    }
    assert_eq!(items(&recommend(&["--user", "u7", "-k", "25", "--json", "--include-owned"]))[0].len(), 25);
    let all = recommend(&["--all", "-k", "2", "--json"]);
    assert_eq!(all.lines().count(), 40);
    let of_u3 = all.lines().find(|line| line.contains("\"u3\"")).unwrap();
    assert_eq!(items(of_u3)[0], got[1][..2], "alone or among all");
    let scores: Vec<f64> =
        json(of_u3)["recommendations"].as_array().unwrap().iter().map(|r| r["score"].as_f64().unwrap()).collect();
    assert!(scores[0] >= scores[1]);
    let category = &json(of_u3)["recommendations"][0]["category"];
    let item: u32 = got[1][0][1..].parse().unwrap();
    assert_eq!(category, &format!("c{}", item % 4));
    let text = recommend(&["--user", "u3", "-k", "2"]);
    assert!(text.starts_with("user u3\n") && text.lines().count() == 3, "{text}");
}

#[test]
fn recommendations_at_an_earlier_moment_know_less() {
    let folder = Folder::with_model();
    let rows = cli::log();
    let rows: Vec<Vec<&str>> = rows.lines().filter(|l| l.starts_with("u7,")).map(|l| l.split(',').collect()).collect();
    let now = rows[1][2];
    let ran = folder.run(&["recommend", "model.dmran", "log.csv", "--user", "u7", "--now", now, "-k", "25", "--json"]);
    let seen: HashSet<&str> = rows.iter().filter(|r| r[2] <= now).map(|r| r[1]).collect();
    let got = json(&ran.ok().out)["recommendations"].as_array().unwrap().len();
    assert_eq!(got, 25 - seen.len());
    folder
        .run(&["recommend", "model.dmran", "log.csv", "--user", "u7", "--now", "-5"])
        .refused(&["u7", "no event up to --now"]);
    let ran = folder.run(&["recommend", "model.dmran", "log.csv", "--all", "--now", "-5"]).ok();
    assert!(ran.out.is_empty() && ran.err.contains("40 users are left out"), "{}", ran.err);
}

#[test]
fn wrong_questions_are_refused() {
    let folder = Folder::with_model();
    let run = |args: &[&str]| folder.run(args);
    run(&["recommend", "model.dmran", "log.csv", "--user", "u3", "nobody"]).refused(&["log.csv", "no user \"nobody\""]);
    run(&["recommend", "model.dmran", "log.csv"]).refused(&["--user", "--all"]);
    run(&["recommend", "log.csv", "log.csv", "--all"]).refused(&["log.csv", "not a model"]);
    run(&["evaluate", "nowhere.model", "log.csv"]).refused(&["nowhere.model"]);
    run(&["evaluate", "model.dmran", "nowhere.csv"]).refused(&["nowhere.csv"]);
    run(&["inspect", "model", "log.csv"]).refused(&["log.csv", "not a model"]);
    run(&["inspect", "data", "nowhere.csv"]).refused(&["nowhere.csv"]);
    // A damaged model.
    let mut bytes = folder.read("model.dmran");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    folder.write("damaged.model", bytes);
    run(&["evaluate", "damaged.model", "log.csv"]).refused(&["damaged.model", "damaged"]);
}

#[test]
fn inspect_shows_logs_and_models() {
    let folder = Folder::with_model();
    let data = folder.run(&["inspect", "data", "log.csv"]).ok().out;
    assert!(data.contains("users                     40\n"), "{data}");
    let report = json(&folder.run(&["inspect", "data", "log.csv", "--json"]).ok().out);
    assert_eq!((&report["users"], &report["items"]), (&json("40"), &json("25")));
    let model = folder.run(&["inspect", "model", "model.dmran"]).ok().out;
    for part in ["dmran train log.csv", "log.csv: 40 users", "W_s5", "width d", "test HR@10", "epochs = 2"] {
        assert!(model.contains(part), "{part:?} is not in\n{model}");
    }
}
