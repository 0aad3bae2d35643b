//! A mutation fuzzer for the model reader that needs nothing but the standard library: seeds are mutated, their
//! checksums repaired, and the reader must refuse them with a typed error or give a model that scores, without a panic
//! and without holding more than the file's length and 64 KiB.
//!
//! ```text
//! DMRAN_FUZZ_RUNS=10000000 cargo test --release --no-default-features --test model_file -- --ignored --nocapture a_long_run
//! ```
//! `fuzz/` has the same targets for `cargo fuzz`, which is led by coverage; this one is for long runs anywhere.

use std::path::{Path, PathBuf};

use crate::support::counting::most_held;
use crate::support::model_file::{ENTRY, HEADER, Mmix, get_u32, parts};
use dmran::scorer::{
    Block, Event, Head, Model, Precision, Scorer, Scratch, Settings, TimeKind, Variant, repair_checksums,
};

/// Models as small as they come, of every kind.
fn seeds() -> Vec<(String, Vec<u8>)> {
    let tiny = Settings {
        d: 2,
        hops: 2,
        history_cap: 4,
        buckets: 2,
        heads: 1,
        ff_width: 1,
        head_ff_width: 1,
        variant: Variant::Item,
        head: Head::Mean,
        block: Block::Plain,
        ..Settings::default()
    };
    let kinds = [
        ("item-mean", tiny.clone()),
        ("feature-vanilla", Settings { variant: Variant::Feature, head: Head::Vanilla, ..tiny.clone() }),
        ("no-time-block", Settings { variant: Variant::NoTime, block: Block::Transformer, ..tiny.clone() }),
        ("full-categories", Settings { variant: Variant::Full, categories: true, ..tiny.clone() }),
        ("item-atrank", Settings { head: Head::Atrank, time: TimeKind::None, item_bias: false, ..tiny.clone() }),
    ];
    let file = |settings| Model::from_parts(parts(settings)).unwrap().to_bytes();
    let full = kinds.into_iter().map(|(name, settings)| (format!("seed-{name}.dmran"), file(settings)));
    let compact = [Precision::Bf16, Precision::Int8].map(|precision| {
        let model =
            Model::from_parts(parts(Settings { variant: Variant::Full, categories: true, ..tiny.clone() })).unwrap();
        (format!("seed-{precision}.dmran"), model.with_precision(precision).to_bytes())
    });
    full.chain(compact).collect()
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/model")
}

#[test]
fn the_committed_seeds_are_these_models() {
    for (name, bytes) in seeds() {
        assert_eq!(std::fs::read(corpus().join(&name)).unwrap(), bytes, "{name}: run the ignored test write_the_seeds");
    }
}

#[test]
#[ignore = "writes fuzz/corpus/model"]
fn write_the_seeds() {
    std::fs::create_dir_all(corpus()).unwrap();
    for (name, bytes) in seeds() {
        std::fs::write(corpus().join(name), bytes).unwrap();
    }
}

/// A number that is worth a try.
fn interesting(random: &mut Mmix, old: u64) -> u64 {
    match random.below(8) {
        0 => 0,
        1 => 1 << random.below(64),
        2 => u64::MAX >> random.below(64),
        3 => old.wrapping_add(1),
        4 => old.wrapping_sub(1),
        5 => old.wrapping_mul(2),
        6 => u64::from(random.next() & 0xff),
        _ => u64::from(random.next()) << 32 | u64::from(random.next()),
    }
}

fn mutate(random: &mut Mmix, file: &mut Vec<u8>, other: &[u8]) {
    let index_end = (HEADER + ENTRY * get_u32(file, 24) as usize).min(file.len());
    let anywhere = |random: &mut Mmix, file: &[u8]| match random.below(3) {
        0 => random.below(file.len()),
        // Header, index, settings and the ids behind them.
        1 => random.below(index_end),
        _ => random.below((index_end + 512).min(file.len())),
    };
    match random.below(9) {
        0 => {
            let at = anywhere(random, file);
            file[at] ^= 1 << random.below(8);
        }
        1 => {
            let at = anywhere(random, file);
            file[at] = random.next() as u8;
        }
        2 | 3 => {
            let at = anywhere(random, file) & !3;
            if let Some(field) = file.get_mut(at..at + 4) {
                let old = u32::from_le_bytes([field[0], field[1], field[2], field[3]]);
                field.copy_from_slice(&(interesting(random, u64::from(old)) as u32).to_le_bytes());
            }
        }
        4 | 5 => {
            let at = anywhere(random, file) & !7;
            if let Some(field) = file.get_mut(at..at + 8) {
                let mut old = [0; 8];
                old.copy_from_slice(field);
                field.copy_from_slice(&interesting(random, u64::from_le_bytes(old)).to_le_bytes());
            }
        }
        6 => {
            // An index entry over another, or a part of another file.
            let (from, to) = (anywhere(random, file) & !63, anywhere(random, file) & !63);
            let source = if random.below(2) == 0 { file.clone() } else { other.to_vec() };
            if let (Some(part), Some(place)) = (source.get(from..from + 64), file.get_mut(to..to + 64)) {
                place.copy_from_slice(part);
            }
        }
        7 => file.truncate(random.below(file.len()).max(1)),
        _ => {
            let more = random.below(200);
            file.extend(std::iter::repeat_n(0, more));
        }
    }
}

/// Whether the reader took the file.
fn run(file: &[u8], scratch: &mut Scratch) -> bool {
    let mut model = None;
    let held = most_held(|| model = Some(Model::from_bytes(file)));
    assert!(held <= file.len() as isize + 64 * 1024, "{held} bytes for a file of {}", file.len());
    let Some(Ok(model)) = model else { return false };
    assert_eq!(model.to_bytes(), file, "a model is written as it was read");
    let scorer = Scorer::new(model).unwrap();
    let history = [(0, i64::MIN), (u32::MAX, 0), (1, 5)].map(|(item, time)| Event { item, time });
    let mut best = Vec::new();
    let mut user = scorer.encode(&history, i64::MAX, scratch);
    user.top_k(3, &[0], &mut best);
    user.explain(0).unwrap();
    true
}

fn fuzz(runs: u64, seed: u64) {
    let seeds = seeds();
    let mut random = Mmix(seed);
    let mut scratch = Scratch::new();
    let mut accepted = 0;
    let start = std::time::Instant::now();
    for i in 0..runs {
        // What a failure needs to be repeated: the generator's state before the run.
        let state = random.0;
        let mut file = seeds[random.below(seeds.len())].1.clone();
        let other = &seeds[random.below(seeds.len())].1;
        for _ in 0..=random.below(4) {
            if file.len() > HEADER {
                mutate(&mut random, &mut file, other);
            }
        }
        // Some keep their wrong checksums.
        if random.below(16) > 0 {
            repair_checksums(&mut file);
        }
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&file, &mut scratch)));
        match result {
            Ok(taken) => accepted += u64::from(taken),
            Err(panic) => {
                println!("run {i}: seed {state}");
                std::panic::resume_unwind(panic);
            }
        }
        if (i + 1) % 1_000_000 == 0 {
            println!("{} runs, {accepted} accepted, {:.0} s", i + 1, start.elapsed().as_secs_f64());
        }
    }
    println!("{runs} runs of the model reader without a panic: {accepted} accepted, {} refused", runs - accepted);
    assert!(accepted * 50 > runs, "{accepted} of {runs} accepted: the fuzzer does not get past the first checks");
}

#[test]
fn a_short_run() {
    fuzz(20_000, 1);
}

#[test]
#[ignore = "long: DMRAN_FUZZ_RUNS runs"]
fn a_long_run() {
    let get = |name: &str, default| std::env::var(name).map_or(default, |n| n.parse().unwrap());
    fuzz(get("DMRAN_FUZZ_RUNS", 10_000_000), get("DMRAN_FUZZ_SEED", 2));
}
