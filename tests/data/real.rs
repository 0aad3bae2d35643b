//! The bundled log, and two Amazon logs where `DMRAN_DATA` names the folder that holds them.

use std::path::PathBuf;

use dmran::data::{self, DataReport, Log, Protocol, ReadOptions};

#[test]
fn the_bundled_log_is_what_its_notice_says() {
    let log = data::bundled().unwrap();
    let report = DataReport::new(&log);
    let counts = (report.users, report.items, report.interactions, report.categories);
    assert_eq!(counts, (2024, 2619, 64_291, 71));
    assert_eq!((report.duplicates, log.skipped.count, report.rare_items), (0, 0, 0));
    assert!(log.categories.id("SOAP - LIQUID & BAR").is_some());
    let time = report.time.unwrap();
    assert!(time.first_date.starts_with("201") && time.last > time.first);
    // The content's fingerprint: it changes when the file, the order or the hash does.
    assert_eq!(log.hash(), data::bundled().unwrap().hash());
    assert_eq!(format!("{:016x}", log.hash()), "d5b5bd0c92cfd457");
}

/// Reads a log from the folder that `DMRAN_DATA` names, if it is set.
fn research(name: &str) -> Option<Log> {
    let Some(folder) = std::env::var_os("DMRAN_DATA") else {
        println!("skipped: DMRAN_DATA is not set");
        return None;
    };
    let path = PathBuf::from(folder).join(name);
    Some(data::read(&path, &ReadOptions::default()).unwrap())
}

#[test]
fn beauty_has_the_counts_of_the_literature() {
    let Some(log) = research("amazon-beauty-5core.tsv.gz") else {
        return;
    };
    let report = DataReport::new(&log);
    println!("{report}");
    let counts = (report.users, report.items, report.interactions, report.categories);
    assert_eq!(counts, (22_363, 12_101, 198_502, 443));
    assert!(report.time.unwrap().whole_days);
    let ties = report.tied_neighbours.unwrap();
    assert!((0.29..=0.48).contains(&ties), "share of ties {ties}");
    assert_eq!(report.short_users, 0);
    assert_eq!(data::test_samples(&log.dataset, Protocol::Paper).len(), 22_363);
    let train = data::train_samples(&log.dataset, Protocol::Paper).len();
    assert_eq!(train, 198_502 - 2 * 22_363);
}

#[test]
fn clothing_has_the_counts_of_table_1() {
    let Some(log) = research("amazon-clothing-5core.tsv.gz") else {
        return;
    };
    let report = DataReport::new(&log);
    println!("{report}");
    let counts = (report.users, report.items, report.interactions, report.categories);
    assert_eq!(counts, (39_387, 23_033, 278_677, 0));
    assert_eq!((report.time, report.tied_neighbours), (None, None));
}
