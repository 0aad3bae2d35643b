//! A log of 1.7 million rows, the size of Amazon Electronics, in bounded memory. A file of its own: the peak is that of the
//! process.
#![cfg(feature = "train")]

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use dmran::data::{self, ReadOptions};

const ROWS: u32 = 1_700_000;
const USERS: u32 = 192_403;
const ITEMS: u32 = 63_001;

/// Rows grouped by item, as in the Amazon files, with ids of their length and a column that plays
/// no role.
fn write(path: &Path) -> std::io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    writeln!(out, "reviewerID,asin,overall,timestamp,category")?;
    for row in 0..ROWS {
        let item = (u64::from(row) * u64::from(ITEMS) / u64::from(ROWS)) as u32;
        let user = row.wrapping_mul(2_654_435_761) % USERS;
        let time = 1_000_000_000 + (row.wrapping_mul(40_503) % 5000) * 86_400;
        writeln!(out, "A{user:012},B{item:09},5.0,{time},category {}", item % 801)?;
    }
    out.flush()
}

/// Peak resident memory of this process in KiB, where the system tells.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

#[test]
fn a_large_log_is_read_in_bounded_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.csv");
    write(&path).unwrap();
    let start = std::time::Instant::now();
    let log = data::read(&path, &ReadOptions::default()).unwrap();
    let seconds = start.elapsed().as_secs_f64();
    assert_eq!(log.dataset.events(), ROWS as usize);
    assert_eq!(log.dataset.users(), USERS as usize);
    assert_eq!(log.dataset.items(), ITEMS as usize);
    assert_eq!(log.dataset.categories(), 801);
    let peak = peak_kib();
    println!("{ROWS} rows in {seconds:.2} s, peak {:?} MiB", peak.map(|kib| kib >> 10));
    if let Some(peak) = peak {
        assert!(peak < 300 << 10, "peak resident memory is {peak} KiB");
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let mut text = String::from("user,item,timestamp,category\n");
    for row in 0..200_000u32 {
        let (user, item) = (row.wrapping_mul(2_654_435_761) % 9_973, row.wrapping_mul(40_503) % 1_009);
        let name =
            if row % 97 == 0 { format!("\"item \"\"{item}\"\"\nof two lines\"") } else { format!("item {item}") };
        let time = if row % 50_021 == 50_020 { "soon".into() } else { (1_500_000_000 + row % 1000).to_string() };
        text += &format!("u{user},{name},{time},c{}\n", (row / 7) % 13);
    }
    assert!(text.len() > 4 << 20, "several blocks");
    let options = ReadOptions { on_error: data::OnError::Skip, ..ReadOptions::default() };
    let read = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| data::read_from(text.as_bytes(), "log.csv", &options).unwrap())
    };
    let one = read(1);
    assert_eq!((one.skipped.count, one.stats.category_conflicts > 0), (3, true));
    for threads in [2, 5] {
        let log = read(threads);
        assert_eq!((&log, log.hash(), &log.taken), (&one, one.hash(), &one.taken), "{threads} threads");
    }
    // The first malformed line is the same as well.
    let fail = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| data::read_from(text.as_bytes(), "log.csv", &ReadOptions::default()).unwrap_err().to_string())
    };
    assert!((2..5).all(|threads| fail(threads) == fail(1)), "{}", fail(1));
}
