//! `dmran experiment` as a user runs it: files, runs that are kept, the same bytes again, errors.

use crate::support::cli::{Folder, Ran, TINY};
use std::collections::BTreeMap;
use std::time::SystemTime;

const FAST: &[&str] = &["--runs", "2", "--out", "out", "--rank-users", "20"];

fn experiment(what: &str, flags: &[&str]) -> Vec<String> {
    let args = [&["experiment", what, "--data", "log.csv"], TINY, FAST, flags].concat();
    args.into_iter().map(String::from).collect()
}

fn run(folder: &Folder, what: &str, flags: &[&str]) -> Ran {
    let args = experiment(what, flags);
    folder.run(&args.iter().map(String::as_str).collect::<Vec<_>>())
}

/// Each file of `out/runs` with its time of writing.
fn runs(folder: &Folder) -> BTreeMap<String, SystemTime> {
    let entries = std::fs::read_dir(folder.path("out/runs")).unwrap().map(|entry| entry.unwrap());
    entries.map(|e| (e.file_name().into_string().unwrap(), e.metadata().unwrap().modified().unwrap())).collect()
}

fn text(folder: &Folder, name: &str) -> String {
    String::from_utf8(folder.read(name)).unwrap()
}

#[test]
fn table_2_has_every_model_and_is_made_once() {
    let folder = Folder::with_log();
    let ran = run(&folder, "table2", &["--protocol", "both"]).ok();
    // Two protocols, two seeds, ten trained models and "most popular".
    assert_eq!(runs(&folder).len(), 44);
    assert_eq!(ran.err.lines().filter(|line| line.starts_with('[')).count(), 44, "{}", ran.err);
    let markdown = text(&folder, "out/table2.md");
    assert!(ran.out.contains(&markdown));
    let variants = ["DMRAN_No_Time", "DMRAN_Item", "DMRAN_Feature"];
    for part in variants.into_iter().chain(["ATRank", "BPR-MF", "Bi-LSTM+Attention", "CNN+Pooling", "SASRec"]) {
        let start = format!("| {part} |");
        assert_eq!(
            markdown.lines().filter(|line| line.starts_with(&start)).count(),
            4,
            "figures and times, two protocols"
        );
    }
    for part in ["| most popular |", "±", ".8932", ".6779", "on the test set itself", "`dmran experiment table2"] {
        assert!(markdown.contains(part), "{part:?} is not in\n{markdown}");
    }
    let (json, before) = (folder.read("out/table2.json"), runs(&folder));
    let again = run(&folder, "table2", &["--protocol", "both"]).ok();
    assert_eq!(again.err.matches("kept from before").count(), 44, "{}", again.err);
    assert!(runs(&folder) == before && folder.read("out/table2.json") == json);
    // Another folder, other threads, one after the other: the same bytes. One protocol alone: its own runs only.
    run(&folder, "table2", &["--protocol", "both", "--out", "other", "--threads", "3", "--jobs", "1"]).ok();
    assert!(folder.read("other/table2.json") == json);
    // A lost run is made again, and only that one.
    let lost = before.keys().find(|name| name.starts_with("atrank-honest-seed2")).unwrap();
    std::fs::remove_file(folder.path("out/runs").join(lost)).unwrap();
    run(&folder, "table2", &["--protocol", "both"]).ok();
    let after = runs(&folder);
    assert!(before.iter().all(|(name, time)| (after[name] == *time) == (name != lost)));
    assert!(folder.read("out/table2.json") == json);
    // Figure 3 needs nothing that Table 2 has not trained.
    let ran = run(&folder, "figure3", &[]).ok();
    assert!(runs(&folder) == after, "{}", ran.err);
    assert!(text(&folder, "out/figure3.svg").contains("\nBi-LSTM+Attention\n"));
    let value: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let row = &value["results"][0]["results"][0]["rows"][1];
    assert_eq!((&row["model"], &row["auc"]["n"], &row["seeds"]), (&"bpr-mf".into(), &2.into(), &[1, 2].into()));
}

#[test]
fn figures_4_and_5_and_table_1() {
    let folder = Folder::with_log();
    let ran = run(&folder, "figure4", &["--runs", "1"]).ok();
    for part in ["figure4.svg", "| DMRAN_Item |", "| epoch 2 |", "over users"] {
        assert!(ran.out.contains(part), "{part:?} is not in\n{}", ran.out);
    }
    let ran = run(&folder, "figure5", &["--hops-list", "1,3,4", "--quiet"]).ok();
    assert_eq!(ran.err, "");
    assert!(ran.out.contains("| 4 | ") && ran.out.contains("standard error over seeds"), "{}", ran.out);
    assert!(text(&folder, "out/figure5.svg").starts_with("<svg "));
    // r = 3 with seed 1 is the run of figure 4.
    assert_eq!(runs(&folder).len(), 4 + 5);
    let ran = run(&folder, "table1", &[]).ok();
    assert!(ran.out.contains("| log.csv | 40 | 25 |") && ran.out.contains("None of these"), "{}", ran.out);
    let value: serde_json::Value = serde_json::from_slice(&folder.read("out/table1.json")).unwrap();
    assert_eq!(value["data"][0]["categories"], 4);
}

#[test]
fn several_logs_and_a_choice_of_models() {
    let folder = Folder::with_log();
    let untimed: String = crate::support::cli::log()
        .lines()
        .map(|line| line.split(',').take(2).collect::<Vec<_>>().join(",") + "\n")
        .collect();
    folder.write("plain.csv", untimed);
    let models = ["--models", "dmran,dmran-no-time,most-popular", "--runs", "1"];
    let ran = run(&folder, "table2", &models).ok();
    assert!(ran.out.contains("| DMRAN_No_Time |") && !ran.out.contains("| ATRank |"), "{}", ran.out);
    let args = [&["experiment", "figure4", "--data", "log.csv", "plain.csv"], TINY, FAST, &["--runs", "1"]].concat();
    folder.run(&args).ok();
    // Without times the variant without time is the model itself.
    assert!(text(&folder, "out/figure4-log.svg").contains("DMRAN_No_Time"));
    assert!(!text(&folder, "out/figure4-plain.svg").contains("DMRAN_No_Time"));
}

#[test]
fn a_model_that_diverges_is_a_line_and_not_the_end() {
    let folder = Folder::with_log();
    let flags = ["--models", "bpr-mf,dmran", "--lr", "1e30", "--clip", "0", "--runs", "1"];
    let ran = run(&folder, "table2", &flags).ok();
    assert!(ran.out.contains("ended early") && ran.out.contains("diverged"), "{}", ran.out);
    let again = run(&folder, "table2", &flags).ok();
    assert_eq!(again.err.matches("kept from before").count(), 2);
}

#[test]
fn wrong_flags_are_named() {
    let folder = Folder::with_log();
    run(&folder, "table3", &[]).refused(&["table3", "figure5"]);
    run(&folder, "table2", &["--models", "gru4rec"]).refused(&["--models", "gru4rec", "dmran-no-time"]);
    run(&folder, "table2", &["--runs", "0"]).refused(&["--runs 0"]);
    run(&folder, "table2", &["--protocol", "best"]).refused(&["--protocol", "both"]);
    run(&folder, "table2", &["--preset", "best"]).refused(&["--preset", "everyday"]);
    run(&folder, "table2", &["--lr", "0"]).refused(&["train.lr"]);
    run(&folder, "figure5", &["--hops-list", "2,0"]).refused(&["hops is 0"]);
    run(&folder, "table2", &["--category-data", "a", "b"]).refused(&["--category-data", "2", "1"]);
    run(&folder, "table2", &["--out", "log.csv"]).refused(&["--out", "log.csv"]);
    folder.run(&["experiment", "table2", "--data", "no.csv", "--out", "o"]).refused(&["no.csv"]);
    folder.write("short.csv", "user,item\na,x\na,y\na,z\nb,x\n");
    folder
        .run(&["experiment", "table2", "--data", "short.csv", "--out", "o"])
        .refused(&["short.csv", "nothing to learn"]);
    run(&folder, "table2", &["--models", "most-popular", "--runs", "1"]).ok();
    let name = runs(&folder).into_keys().next().unwrap();
    folder.write(&format!("out/runs/{name}"), "{}");
    run(&folder, "table2", &["--models", "most-popular", "--runs", "1"]).refused(&[&name, "remove it"]);
}
