//! `dmran evaluate`, `recommend` and `inspect` on a model that `train` wrote.

use crate::support::cli::{Folder, TINY};
use std::collections::HashSet;

/// The items of a user in `log.csv`, in order.
fn items_of(user: &str) -> Vec<String> {
    let rows = crate::support::cli::log();
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
    assert_eq!(report["model"]["ranking"]["values"][1]["k"], 3);
    assert_eq!(report["model"]["auc"]["n"], 40);
    assert_eq!(report["rivals"].as_array().unwrap().len(), 3);
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
        assert_eq!(report["model"]["ranking"]["values"][1]["k"], 3);
        // The same stamp as in the folder, but for the cutoff.
        let mut stamp = json(std::str::from_utf8(&folder.read("run/protocol.json")).unwrap());
        let loss = match model {
            "bpr-mf" => "bpr",
            "dmran" | "sasrec" => "softmax",
            _ => "bce",
        };
        assert_eq!((&stamp["k"], &stamp["loss"]), (&serde_json::json!([10]), &loss.into()));
        stamp["k"] = serde_json::json!([3]);
        assert_eq!(report["stamp"], stamp);
        folder.write("other.csv", crate::support::cli::log().replace("u1,", "v1,"));
        folder.run(&["evaluate", "run", "other.csv"]).refused(&["checkpoints"]);
    }
    let folder = Folder::with_log();
    std::fs::create_dir(folder.path("empty")).unwrap();
    folder.run(&["evaluate", "empty", "log.csv"]).refused(&["empty", "no checkpoint"]);
}

#[test]
fn evaluate_writes_a_line_a_user_or_nothing() {
    let folder = Folder::with_model();
    folder.run(&["evaluate", "model.dmran", "log.csv", "--per-user", "users.csv"]).ok();
    let text = String::from_utf8(folder.read("users.csv")).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("user,item,rank,ranked_items,history"));
    let mut mrr = Vec::new();
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        let had = items_of(fields[0]);
        let number = |at: usize| fields[at].parse::<f64>().unwrap();
        assert_eq!((fields[1], number(4)), (&*had[had.len() - 1], had.len() as f64 - 1.0), "{line}");
        assert!(number(2) >= 1.0 && number(2) <= number(3), "{line}");
        mrr.push(1.0 / number(2));
    }
    let report = json(&folder.run(&["evaluate", "model.dmran", "log.csv", "--json"]).ok().out);
    let values = report["model"]["ranking"]["values"].as_array().unwrap();
    let want =
        values.iter().find(|value| value["name"] == "MRR" && value["k"].is_null()).unwrap()["mean"].as_f64().unwrap();
    assert!((mrr.iter().sum::<f64>() / mrr.len() as f64 - want).abs() < 1e-12);
    let ran = folder.run(&["evaluate", "model.dmran", "log.csv", "--per-user", "nowhere/users.csv"]);
    assert!(ran.code == 1 && ran.err.contains("nowhere/users.csv"), "{}", ran.err);
}

#[test]
fn the_protocol_time_is_trained_measured_and_explained() {
    let folder = Folder::with_log();
    let time = ["--protocol", "time", "--split-at", "0.8", "--early-stop-metric", "ndcg", "--run", "run"];
    let trained = folder.run(&[&["train", "log.csv"], TINY, &time].concat()).ok();
    assert!(
        trained.out.contains("before the moment") && trained.err.contains("NDCG@10"),
        "{}{}",
        trained.out,
        trained.err
    );
    let stamp = json(std::str::from_utf8(&folder.read("run/protocol.json")).unwrap());
    assert_eq!((&stamp["protocol"], &stamp["picked_by"]), (&"time".into(), &"ndcg".into()));
    assert!(stamp["time"]["validation_from"].as_i64() < stamp["time"]["test_from"].as_i64());
    let report = json(&folder.run(&["evaluate", "run", "log.csv", "--json", "--test-all"]).ok().out);
    assert_eq!((&report["protocol"], &report["stamp"]["time"]["test_all"]), (&"time".into(), &true.into()));
    assert!(report["stamp"]["test_events"].as_u64() > stamp["test_events"].as_u64());
    folder.run(&["train", "log.csv", "--protocol", "time", "--split-at", "1.5"]).refused(&["a share between"]);
    folder
        .run(&["train", "log.csv", "--protocol", "time", "--time-column", "none"])
        .refused(&["needs a log with times"]);
}

#[test]
fn evaluate_on_another_log_says_so_and_maps_items_by_name() {
    let folder = Folder::with_model();
    // The same events under other users, and items that the model has never seen.
    let mut text = crate::support::cli::log().replace("u1", "v1");
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
    let rows = crate::support::cli::log();
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
    let rows = crate::support::cli::log();
    let rows: Vec<Vec<&str>> = rows.lines().filter(|l| l.starts_with("u7,")).map(|l| l.split(',').collect()).collect();
    let now = rows[1][2];
    let ran = folder.run(&["recommend", "model.dmran", "log.csv", "--user", "u7", "--now", now, "-k", "25", "--json"]);
    let owned: HashSet<&str> = rows.iter().map(|row| row[1]).collect();
    let got = json(&ran.ok().out)["recommendations"].as_array().unwrap().clone();
    assert_eq!(got.len(), 25 - owned.len(), "what came later is owned all the same");
    // But it is no history: whoever had the first two events alone gets the same scores.
    let later: Vec<String> = rows[2..].iter().map(|row| row.join(",")).collect();
    let early = crate::support::cli::log()
        .lines()
        .filter(|line| !later.contains(&line.to_string()))
        .collect::<Vec<_>>()
        .join("\n");
    folder.write("early.csv", early);
    let ran = folder.run(&["recommend", "model.dmran", "early.csv", "--user", "u7", "-k", "25", "--json"]);
    let early = json(&ran.ok().out)["recommendations"].as_array().unwrap().clone();
    assert!(got.iter().all(|best| early.contains(best)));
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
fn convert_writes_smaller_models_that_recommend() {
    let folder = Folder::with_model();
    let size = |name: &str| folder.read(name).len();
    for (table, name) in [("bf16", "half.dmran"), ("int8", "quarter.dmran")] {
        folder.run(&["convert", "model.dmran", "--table", table, "--out", name]).ok();
        let shown = folder.run(&["inspect", "model", name]).ok().out;
        assert!(shown.contains(&format!("in the file: {table}\n")), "{shown}");
        folder.run(&["recommend", name, "log.csv", "--all", "-k", "3"]).ok();
    }
    // With so narrow a table a row's scale takes what its codes save beside bf16.
    assert!(size("quarter.dmran") <= size("half.dmran") && size("half.dmran") < size("model.dmran"));
    folder.run(&["convert", "model.dmran", "--table", "f32", "--out", "same.dmran"]).ok();
    assert_eq!(folder.read("same.dmran"), folder.read("model.dmran"));
    let grown = folder.run(&["train", "log.csv", "--from", "half.dmran", "--epochs", "1", "--out", "grown.dmran"]).ok();
    assert!(grown.err.contains("half.dmran were rounded to bf16"), "{}", grown.err);
    folder.run(&["convert", "model.dmran", "--table", "int4", "--out", "x"]).refused(&["int4", "int8"]);
    folder
        .run(&["convert", "model.dmran", "--table", "int8", "--out", "model.dmran"])
        .refused(&["model.dmran", "read"]);
}

#[test]
fn a_smaller_model_proposes_and_the_exact_one_ranks() {
    let folder = Folder::with_model();
    folder.run(&["convert", "model.dmran", "--table", "int8", "--out", "small.dmran"]).ok();
    let all = ["recommend", "model.dmran", "log.csv", "--all", "-k", "3"];
    let lists = |more: &[&str]| folder.run(&[&all, more].concat()).ok().out;
    let (exact, small) =
        (lists(&[]), folder.run(&["recommend", "small.dmran", "log.csv", "--all", "-k", "3"]).ok().out);
    assert_ne!(small, exact, "the rounded scores are others");
    assert_eq!(lists(&["--proposer", "small.dmran"]), exact, "100 proposals are all 25 items");
    let few = lists(&["--proposer", "small.dmran", "--shortlist", "6"]);
    // A user's line, then an item a line: rank, score, item.
    let items = |text: &str| {
        let mut user = String::new();
        let mut found = Vec::new();
        for line in text.lines() {
            match line.strip_prefix("user ") {
                Some(name) => user = name.to_owned(),
                None => found.extend(line.split_whitespace().nth(2).map(|item| format!("{user} {item}"))),
            }
        }
        found
    };
    assert_eq!(few.lines().count(), exact.lines().count());
    let (exact, few) = (items(&exact), items(&few));
    let same = exact.iter().filter(|item| few.contains(item)).count();
    assert!(
        exact.len() == 120 && 10 * same >= 9 * exact.len(),
        "{same} of {} items are those of the full ranking",
        exact.len()
    );

    let line = r#"{"history": [["i3", 1700000000], ["i4", 1700090000]], "k": 4}"#;
    folder.write("lines.jsonl", format!("{line}\n"));
    let answers = |more: &[&str]| folder.run(&[&["score", "model.dmran", "lines.jsonl"], more].concat()).ok().out;
    assert_eq!(answers(&["--proposer", "small.dmran"]), answers(&[]));
    assert_eq!(answers(&["--map", "--proposer", "small.dmran", "--shortlist", "25"]), answers(&[]));

    let walk = |user: usize| (0..6).map(move |step| format!("u{user},x{}\n", (user + step) % 8));
    let capped = ["--per-category", "1"];
    let proposed = [&capped[..], &["--proposer", "small.dmran", "--shortlist", "3"]].concat();
    assert_eq!(lists(&proposed), lists(&capped), "with a cap all items are ranked");

    folder.write("other.csv", format!("user,item\n{}", (0..9).flat_map(walk).collect::<String>()));
    folder.run(&["train", "other.csv", "--d", "8", "--hops", "2", "--epochs", "1", "--out", "other.dmran"]).ok();
    folder.run(&[&all[..], &["--proposer", "other.dmran"]].concat()).refused(&[
        "--proposer other.dmran",
        "different items",
        "dmran convert",
    ]);
    folder.run(&["score", "model.dmran", "--shortlist", "5"]).refused(&["--proposer"]);
    folder.run(&[&all[..], &["--proposer", "nowhere.dmran"]].concat()).refused(&["nowhere.dmran"]);
}

#[test]
fn train_writes_a_smaller_table_at_once() {
    let folder = Folder::with_model();
    let tiny = ["train", "log.csv", "--d", "8", "--hops", "3", "--epochs", "1", "--history-cap", "6"];
    folder.run(&[&tiny[..], &["--table", "bf16", "--out", "half.dmran"]].concat()).ok();
    assert!(folder.run(&["inspect", "model", "half.dmran"]).ok().out.contains("in the file: bf16\n"));
    folder.run(&[&tiny[..], &["--table", "int4"]].concat()).refused(&["int4", "int8"]);
    folder.run(&[&tiny[..], &["--model", "bpr-mf", "--table", "int8"]].concat()).refused(&["--table int8", "bpr-mf"]);
    // A finished run whose model stands there in another form is written anew.
    let run = |table: &str| folder.run(&[&tiny[..], &["--run", "run", "--table", table]].concat()).ok();
    run("f32");
    let again = run("int8");
    assert!(again.err.contains("writing it"), "{}", again.err);
    assert!(folder.run(&["inspect", "model", "run/model.dmran"]).ok().out.contains("in the file: int8\n"));
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
