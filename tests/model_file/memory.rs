//! Reading a model takes no more memory than the file's length and 64 KiB, whatever the file says; and where its tables are
//! compact, their numbers as `f32`.

use crate::support::counting::most_held;
use crate::support::model_file::{ENTRY, HEADER, Mmix, get_u32, parts, put, small_file, small_models, small_settings};
use dmran::scorer::{Ids, Model, Precision, repair_checksums};

const SPARE: isize = 64 * 1024;

#[test]
fn a_good_file_takes_its_length() {
    let mut parts = parts(small_settings());
    // Large enough that twice the length would show: one long text, one large table.
    parts.card.config = "x".repeat(300_000);
    parts.settings.ff_width = 20_000;
    for (name, values) in &mut parts.tensors {
        match name.as_str() {
            "block.W_1" | "block.W_2" => values.resize(4 * 20_000, 0.5),
            "block.b_1" => values.resize(20_000, 0.5),
            _ => {}
        }
    }
    let file = Model::from_parts(parts).unwrap().to_bytes();
    let limit = file.len() as isize + SPARE;
    let held = most_held(|| drop(Model::from_bytes(&file).unwrap()));
    assert!(held > 600_000 && held <= limit, "{held} for {limit}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    std::fs::write(&path, &file).unwrap();
    let held = most_held(|| drop(Model::load(&path).unwrap()));
    assert!(held <= limit, "{held} for {limit}");
}

#[test]
fn a_compact_file_takes_its_length_and_the_widened_tables() {
    let (items, mut parts) = (20_000, parts(small_settings()));
    let (before, mut table) = (parts.items.len(), 0);
    parts.items = Ids::from_sorted((0..items).map(|item| format!("{item:05}"))).unwrap();
    if !parts.item_category.is_empty() {
        parts.item_category.resize(items, 0);
    }
    for (name, values) in &mut parts.tensors {
        if let "V" | "bias" = name.as_str() {
            values.resize(values.len() / before * items, 0.25);
        }
        if name == "V" {
            table = 4 * values.len();
        }
    }
    let model = Model::from_parts(parts).unwrap();
    for precision in [Precision::Bf16, Precision::Int8] {
        let file = model.clone().with_precision(precision).to_bytes();
        let limit = (file.len() + table) as isize + SPARE;
        let held = most_held(|| drop(Model::from_bytes(&file).unwrap()));
        assert!(held > table as isize && held <= limit, "{precision}: {held} for {limit}");
    }
}

/// The settings, header and index fields at random values, with repaired checksums.
#[test]
fn a_hostile_file_takes_no_more_than_its_length() {
    let files: Vec<Vec<u8>> = small_models().map(|model| model.to_bytes()).collect();
    for (seed, file) in (4..).zip(&files) {
        hostile(file, seed);
    }
}

fn hostile(file: &[u8], seed: u64) {
    let index_end = HEADER + ENTRY * get_u32(file, 24) as usize;
    let mut random = Mmix(seed);
    let mut refused = 0;
    for round in 0..7_000 {
        let mut damaged = file.to_vec();
        for _ in 0..=random.below(2) {
            // Mostly where counts and lengths stand, at the granularity of their fields.
            let end = if round % 2 == 0 { index_end + 1000 } else { file.len() };
            let at = 16 + 4 * random.below((end - 16) / 4);
            let value = match random.below(4) {
                0 => random.next(),
                1 => 1 << random.below(32),
                2 => u32::MAX,
                _ => random.next() & 0xff,
            };
            put(&mut damaged, at, &value.to_le_bytes());
        }
        repair_checksums(&mut damaged);
        let held = most_held(|| refused += usize::from(Model::from_bytes(&damaged).is_err()));
        assert!(held <= damaged.len() as isize + SPARE, "round {round}: {held}");
    }
    assert!(refused > 350, "{refused} of 7,000 were refused");
}

/// The largest index that a header may state is read without the heap.
#[test]
fn a_file_of_zeros_with_a_good_header_is_refused_cheaply() {
    let mut file = small_file();
    file[HEADER..].fill(0);
    repair_checksums(&mut file);
    let held = most_held(|| assert!(Model::from_bytes(&file).is_err()));
    assert!(held <= 16 * 1024, "{held}");
}
