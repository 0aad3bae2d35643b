//! `dmran train --from`: a newer log and a model that was trained before; and the page about a run.

use crate::support::cli::{Folder, TINY};
use dmran::scorer::Model;

/// The log of [`crate::support::cli::log`] with events after it: of items that are known, and of new ones in old and new categories.
fn newer_log() -> String {
    let mut text = crate::support::cli::log();
    for user in 0..40 {
        let time = 1_600_000_000 + user;
        text += &format!("u{user},fresh{},{time},c{}\n", user % 3, user % 3);
        text += &format!("u{user},odd,{},brand new\n", time + 100_000);
        text += &format!("u{user},i{},{},c{}\n", user % 25, time + 200_000, (user % 25) % 4);
    }
    text
}

fn tensor<'a>(model: &'a Model, name: &str) -> &'a [f32] {
    model.tensor(name).unwrap()
}

/// The row of an item in the table V.
fn row<'a>(model: &'a Model, item: &str) -> &'a [f32] {
    let width = tensor(model, "V").len() / model.items().len();
    let at = model.items().find(item).unwrap() as usize;
    &tensor(model, "V")[at * width..][..width]
}

#[test]
fn known_items_keep_their_rows_and_new_ones_start_from_their_category() {
    let folder = Folder::with_model();
    folder.write("newer.csv", newer_log());
    // A learning rate that moves nothing shows where the training starts.
    let still = ["--lr", "1e-30", "--out", "grown.dmran"];
    let ran = folder.run(&[&["train", "newer.csv", "--from", "model.dmran"], &still[..]].concat()).ok();
    assert!(ran.err.contains("going on from model.dmran: 4 of 29 items are new"), "{}", ran.err);
    let load = |name: &str| Model::load(folder.path(name)).unwrap();
    let (old, new) = (load("model.dmran"), load("grown.dmran"));
    for item in old.items().iter() {
        assert_eq!(row(&old, item), row(&new, item), "{item}");
    }
    assert_eq!(tensor(&old, "W_s5"), tensor(&new, "W_s5"));
    // c1 holds i1, i5, ... i21.
    let of_c1: Vec<&[f32]> = (1..25).step_by(4).map(|item| row(&old, &format!("i{item}"))).collect();
    for (k, x) in row(&new, "fresh1").iter().enumerate() {
        let mean: f64 = of_c1.iter().map(|row| f64::from(row[k])).sum::<f64>() / of_c1.len() as f64;
        assert!((f64::from(*x) - mean).abs() < 1e-9, "{x} is not {mean}");
    }
    // A category without known items: the mean of all items; its own row the mean of all categories.
    let all = tensor(&old, "V");
    let width = all.len() / old.items().len();
    let mean = |k: usize| all.iter().skip(k).step_by(width).map(|x| f64::from(*x)).sum::<f64>() / 25.0;
    assert!(row(&new, "odd").iter().enumerate().all(|(k, x)| (f64::from(*x) - mean(k)).abs() < 1e-9));
    assert_eq!(new.categories().len(), 5);
    // And a real learning rate learns from there.
    let ran = folder.run(&["train", "newer.csv", "--from", "model.dmran", "--out", "learned.dmran", "-q"]).ok();
    assert!(ran.out.contains("AUC, 1 negative"));
    let learned = load("learned.dmran");
    assert_ne!(row(&learned, "i1"), row(&old, "i1"));
    assert_eq!(learned.settings(), old.settings());
    // The same again gives the same bytes; the model that it went on from is part of the settings.
    folder.run(&["train", "newer.csv", "--from", "model.dmran", "--out", "again.dmran", "-q", "--threads", "3"]).ok();
    assert_eq!(folder.read("learned.dmran"), folder.read("again.dmran"));
    assert!(learned.card().config.contains("from = "), "{}", learned.card().config);
}

#[test]
fn vanished_items_stay_or_are_dropped_and_the_base_is_measured_beside_the_new_model() {
    let folder = Folder::with_model();
    // i1, i5, ... (all of c1) are gone; "fresh1" is new there.
    let gone = |item: &str| item.strip_prefix('i').and_then(|n| n.parse().ok()).is_some_and(|n: usize| n % 4 == 1);
    let kept: String = newer_log()
        .lines()
        .filter(|line| !gone(line.split(',').nth(1).unwrap_or("")))
        .filter(|line| !line.ends_with(",c1"))
        .map(|line| format!("{line}\n"))
        .collect();
    folder.write("newer.csv", kept);
    let train = |flags: &[&str]| {
        let out = ["train", "newer.csv", "--from", "model.dmran", "--lr", "1e-30", "--out", "new.dmran"];
        let ran = folder.run(&[&out[..], flags].concat()).ok();
        (ran, Model::load(folder.path("new.dmran")).unwrap())
    };
    let old = Model::load(folder.path("model.dmran")).unwrap();
    let (stay, with) = train(&[]);
    assert!(stay.err.contains("6 items of model.dmran are not in the log and stay"), "{}", stay.err);
    let (dropped, without) = train(&["--vanished", "drop"]);
    assert!(dropped.err.contains("6 items of model.dmran are not in the log and are dropped"), "{}", dropped.err);
    assert!(with.items().find("i5").is_some() && with.categories().find("c1").is_some());
    assert!(without.items().find("i5").is_none() && without.categories().find("c1").is_none());
    assert_eq!(with.items().len(), without.items().len() + 6);
    for item in without.items().iter().filter(|item| old.items().find(item).is_some()) {
        assert_eq!(row(&old, item), row(&without, item), "{item}");
    }
    // At a learning rate that moves nothing the model is its base, and so are its figures.
    for ran in [&stay, &dropped] {
        let line = |start: &str| ran.out.lines().find(|line| line.starts_with(start)).unwrap().to_owned();
        assert!(line("  ").contains("before"), "{}", ran.out);
        let ndcg: Vec<String> = line("NDCG@10").split_whitespace().map(str::to_owned).collect();
        assert_eq!(ndcg[1..4], ndcg[4..7], "{}", ran.out);
    }
    let learned =
        folder.run(&["train", "newer.csv", "--from", "model.dmran", "--epochs", "3", "--out", "x.dmran"]).ok();
    assert!(learned.out.contains("before"), "{}", learned.out);
    // The choice is the model's, as its other settings are: the next night's run has it without the flag.
    assert!(without.card().config.contains("vanished = \"drop\""));
    let wrong = folder.run(&["train", "newer.csv", "--vanished", "drop"]);
    wrong.refused(&["train.vanished", "--from"]);
}

#[test]
fn only_new_events_are_learned_with_since() {
    let folder = Folder::with_model();
    folder.write("newer.csv", newer_log());
    let samples = |flags: &[&str]| -> usize {
        let ran =
            folder.run(&[&["train", "newer.csv", "--from", "model.dmran", "--out", "new.dmran"], flags].concat()).ok();
        let line = ran.err.lines().find(|line| line.contains("numbers to learn from")).unwrap().to_owned();
        line.split(" to learn from ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap()
    };
    // Of the three new events a user, the last two are held out.
    assert_eq!(samples(&["--since", "1599999999"]), 40);
    assert_eq!(samples(&["--since", "1600000019"]), 20);
    assert!(samples(&[]) > 100);
}

#[test]
fn what_does_not_fit_the_model_is_refused() {
    let folder = Folder::with_model();
    folder.write("untimed.csv", "user,item,category\na,i1,c1\na,i2,c2\na,i3,c3\na,i4,c0\na,i5,c1\n");
    folder.write("plain.csv", "user,item,timestamp\na,i1,1\na,i2,2\na,i3,3\na,new,4\na,i5,5\n");
    let run = |args: &[&str]| folder.run(&[&["train", "--out", "new.dmran"], args].concat());
    run(&["log.csv", "--from", "model.dmran", "--d", "64"]).refused(&["--from model.dmran", "d is 8", "64"]);
    folder
        .run(&["train", "log.csv", "--from", "model.dmran", "--model", "atrank"])
        .refused(&["holds dmran, not atrank"]);
    run(&["log.csv", "--from", "log.csv"]).refused(&["log.csv", "not a model"]);
    run(&["untimed.csv", "--from", "model.dmran"]).refused(&["untimed.csv", "no times"]);
    run(&["plain.csv", "--from", "model.dmran"]).refused(&["plain.csv", "categories", "\"new\""]);
    run(&["log.csv", "--from", "model.dmran", "--since", "1900000000"]).refused(&["log.csv", "--since 1900000000"]);
    folder.write("order.csv", "user,item\na,1\na,2\na,3\na,4\n");
    run(&["order.csv", "--since", "5"]).refused(&["order.csv", "--since needs a log with times"]);
}

/// Every tag of the page is closed in order, and nothing in it asks for anything from outside.
fn sound(html: &str) {
    let body = &html[html.find("<body>").unwrap()..];
    let mut open: Vec<&str> = Vec::new();
    for part in body.split('<').skip(1) {
        let (tag, _) = part.split_once('>').unwrap();
        match tag.strip_prefix('/') {
            Some("html") => {}
            Some(name) => assert_eq!(open.pop(), Some(name), "before {part:.60}"),
            None if tag.ends_with('/') => {}
            None => open.push(tag.split(' ').next().unwrap()),
        }
    }
    assert!(open.is_empty(), "{open:?}");
    for part in ["<script", "http://", "https://", "src=", "@import"] {
        let found = html.matches(part).count()
            - html.matches("http://www.w3.org/2000/svg").count() * usize::from(part == "http://");
        assert_eq!(found, 0, "{part}");
    }
}

#[test]
fn the_page_about_a_run_holds_it_all() {
    let folder = Folder::new();
    // Names that would break a page that did not escape them.
    folder.write("log.csv", crate::support::cli::log().replace(",i3,", ",<b>i3&,").replace("u13,", "<u>13,"));
    folder.run(&[&["train", "log.csv", "--run", "run"], TINY].concat()).ok();
    let html = String::from_utf8(folder.read("run/report.html")).unwrap();
    sound(&html);
    for part in [
        "AUC on the validation set",
        "Users by their number of events",
        "Events by time",
        "AUC on the test set by the length",
    ] {
        assert!(html.contains(part), "{part} is missing");
    }
    for part in ["A: where each hop looks", "Beta: dimensions", "&lt;b&gt;i3&amp;", "carried by", "hops = 3"] {
        assert!(html.contains(part), "{part} is missing");
    }
    assert!(!html.contains("<b>i3"));
    // A baseline has a page without examples; without a run folder one asks for it.
    let baseline = ["train", "log.csv", "--model", "bpr-mf", "--report", "page.html"];
    let ran = folder.run(&[&baseline[..], TINY].concat()).ok();
    assert!(ran.out.contains("page.html"), "{}", ran.out);
    let html = String::from_utf8(folder.read("page.html")).unwrap();
    sound(&html);
    assert!(html.contains("BPR-MF on log.csv") && !html.contains("carried by"));
    folder.run(&["train", "log.csv", "--report", "no/page.html"]).refused(&[
        "--report",
        "no/page.html",
        "does not exist",
    ]);
}
