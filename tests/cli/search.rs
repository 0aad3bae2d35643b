//! `dmran search` as a user runs it.

use crate::support::cli::{Folder, Ran, TINY};

fn search(folder: &Folder, toml: &str, flags: &[&str]) -> Ran {
    folder.write("s.toml", toml);
    folder.run(&[&["search", "log.csv", "--config", "s.toml", "--out", "out"], TINY, flags].concat())
}

fn json(folder: &Folder) -> serde_json::Value {
    serde_json::from_slice(&folder.read("out/search.json")).unwrap()
}

#[test]
fn a_grid_is_tried_once_and_its_best_can_be_trained() {
    let folder = Folder::with_log();
    let toml = "[train]\nbatch = 16\n[search]\nhops = [1, 2, 4]\nlr = [0.1, 1.0]\n";
    // TINY's --hops 3 is what the search changes.
    let ran = search(&folder, toml, &[]).ok();
    assert_eq!(ran.err.lines().filter(|line| line.starts_with('[')).count(), 6, "{}", ran.err);
    for part in ["not looked at", "| 6 |", "[train]", "best.toml", "![search-hops](search-hops.svg)"] {
        assert!(ran.out.contains(part), "{part:?} is not in\n{}", ran.out);
    }
    let values: Vec<f64> =
        json(&folder)["trials"].as_array().unwrap().iter().map(|t| t["validation"]["mean"].as_f64().unwrap()).collect();
    assert!(values.len() == 6 && values.is_sorted_by(|a, b| a >= b), "{values:?}");
    let kept = std::fs::read_dir(folder.path("out/runs")).unwrap();
    for entry in kept {
        let record: serde_json::Value = serde_json::from_slice(&std::fs::read(entry.unwrap().path()).unwrap()).unwrap();
        assert!(record["test"].is_null() && record["protocol"] == "honest", "the test set is left alone");
    }
    let before = folder.read("out/search.json");
    // One more value: only its trials are made.
    let again = search(&folder, &toml.replace("[1, 2, 4]", "[1, 2, 4, 5]"), &[]).ok();
    assert_eq!(again.err.matches("kept from before").count(), 6, "{}", again.err);
    search(&folder, toml, &[]).ok();
    assert!(folder.read("out/search.json") == before);
    // The best settings hold the flags too, and give the figure that was promised.
    let best = String::from_utf8(folder.read("out/best.toml")).unwrap();
    for line in ["d = 8", "history_cap = 6", "batch = 16", "model = \"dmran\"", "epochs = "] {
        assert!(best.contains(line), "{line:?} is not in\n{best}");
    }
    let ran = folder.run(&["train", "log.csv", "--config", "out/best.toml"]).ok();
    let promised = format!("NDCG@10 {:.4}", values[0]);
    assert!(ran.err.contains(&promised), "{promised} is not in\n{}", ran.err);
}

#[test]
fn ranges_are_drawn_by_the_seed() {
    let folder = Folder::with_log();
    let toml =
        "[train]\nmodel = \"bpr-mf\"\n[search]\nlr = { min = 0.01, max = 1.0, log = true }\nl2_weight = [0, 1e-4]\n";
    search(&folder, toml, &["--trials", "3", "--runs", "2"]).ok();
    let three = json(&folder)["trials"].clone();
    assert_eq!((three.as_array().unwrap().len(), &three[0]["validation"]["n"]), (3, &2.into()));
    assert_eq!(json(&folder)["model"], "bpr-mf");
    let more = search(&folder, toml, &["--trials", "4", "--runs", "2"]).ok();
    assert_eq!(more.err.matches("kept from before").count(), 6, "the first three trials are the same ones");
    search(&folder, toml, &["--trials", "3", "--runs", "2", "--seed", "9"]).ok();
    assert_ne!(json(&folder)["trials"], three);
}

#[test]
fn wrong_searches_are_named() {
    let folder = Folder::with_log();
    search(&folder, "", &[]).refused(&["s.toml", "[search]"]);
    search(&folder, "[search]\nwidth = [1]\n", &[]).refused(&["s.toml", "width"]);
    search(&folder, "[search]\nhops = [0]\n", &[]).refused(&["s.toml", "hops = 0", "at least 1"]);
    search(&folder, "[search]\nlr = { min = 0.1, max = 1.0 }\n", &[]).refused(&["s.toml", "--trials"]);
    search(&folder, "[search]\nhops = [1]\n", &["--trials", "0"]).refused(&["--trials 0"]);
    search(&folder, "[eval]\nprotocol = \"paper\"\n[search]\nhops = [1]\n", &[]).refused(&["paper", "validation"]);
    search(&folder, "[search]\nlr = [1]\n", &["--model", "most-popular"]).refused(&["most-popular"]);
    search(&folder, "search = 3\n", &[]).refused(&["s.toml", "line 1"]);
    let ran = search(&folder, "[train]\nclip = 0\nbatch = 32\n[search]\nlr = [1e30]\n", &[]);
    assert!(ran.code == 1 && ran.err.contains("diverged"), "{}", ran.err);
}
