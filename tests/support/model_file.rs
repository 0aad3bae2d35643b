//! Small models and tools to damage their files, for the tests of the model file.
#![allow(dead_code, unused_imports, unused_macros)] // each test file uses a part of it

use dmran::scorer::{
    Card, Counts, Ids, Metric, Model, ModelFileError, ModelParts, Precision, Settings, expected_tensors,
    repair_checksums,
};

pub const HEADER: usize = 64;
pub const ENTRY: usize = 64;
// Where the fields of an index entry lie.
pub const DIM_0: usize = 24;
pub const DIM_1: usize = 32;
pub const OFFSET: usize = 40;
pub const LENGTH: usize = 48;

/// Knuth's MMIX generator (multiplier 6364136223846793005, increment 1442695040888963407): the upper 32 bits.
pub struct Mmix(pub u64);

impl Mmix {
    pub fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 32) as u32
    }

    pub fn below(&mut self, limit: usize) -> usize {
        ((u64::from(self.next()) * limit as u64) >> 32) as usize
    }

    /// Between -0.5 and 0.5.
    pub fn weight(&mut self) -> f32 {
        self.next() as f32 / u32::MAX as f32 - 0.5
    }
}

/// Four wide, everything there that a model can have.
pub fn small_settings() -> Settings {
    Settings {
        d: 4,
        hops: 3,
        history_cap: 20,
        buckets: 5,
        heads: 2,
        ff_width: 3,
        head_ff_width: 2,
        categories: true,
        ..Settings::default()
    }
}

pub fn card() -> Card {
    Card {
        created_by: "dmran test".to_owned(),
        command: "dmran train --epochs 3".to_owned(),
        config: "d = 4\nvariant = \"full\"\n".to_owned(),
        data_summary: "7 items\n3 categories".to_owned(),
        data_hash: "0123abcd".to_owned(),
        seed: 42,
        metrics: vec![
            Metric { name: "test AUC".to_owned(), value: 0.8125, standard_error: Some(0.0024) },
            Metric { name: "HR@10".to_owned(), value: 0.125, standard_error: None },
        ],
    }
}

/// Seven items, three categories, weights from [`Mmix`].
pub fn parts(settings: Settings) -> ModelParts {
    let items = Ids::from_sorted(["b1", "b10", "b2", "c", "é", "日本", "🛒"]).unwrap();
    let (categories, item_category) = match settings.categories {
        true => (Ids::from_sorted(["", "lamps", "tables"]).unwrap(), vec![0, 1, 2, 2, 1, 0, 1]),
        false => (Ids::default(), Vec::new()),
    };
    let counts = Counts { items: items.len(), categories: categories.len() };
    let mut random = Mmix(7);
    let tensors = expected_tensors(&settings, counts)
        .into_iter()
        .map(|spec| {
            let len = spec.shape.checked_len().unwrap();
            (spec.name.to_owned(), (0..len).map(|_| random.weight()).collect())
        })
        .collect();
    ModelParts { settings, items, categories, item_category, card: card(), tensors }
}

pub fn small_model() -> Model {
    Model::from_parts(parts(small_settings())).unwrap()
}

pub fn small_file() -> Vec<u8> {
    small_model().to_bytes()
}

/// The small model with its tables in each form.
pub fn small_models() -> impl Iterator<Item = Model> {
    Precision::ALL.iter().map(|precision| small_model().with_precision(*precision))
}

/// The number of an index entry with this name.
pub fn section(file: &[u8], name: &str) -> usize {
    let count = get_u32(file, 24) as usize;
    let mut padded = [0; 24];
    padded[..name.len()].copy_from_slice(name.as_bytes());
    (0..count).find(|i| file[entry(*i)..entry(*i) + 24] == padded).expect("no such section")
}

/// Where an index entry begins.
pub fn entry(section: usize) -> usize {
    HEADER + ENTRY * section
}

/// Where the bytes of a section begin.
pub fn start(file: &[u8], name: &str) -> usize {
    get_u64(file, entry(section(file, name)) + OFFSET) as usize
}

pub fn get_u32(file: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(file[at..at + 4].try_into().unwrap())
}

pub fn get_u64(file: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(file[at..at + 8].try_into().unwrap())
}

pub fn put(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

/// Damages a small file, repairs its checksums and gives the reader's answer.
pub fn refused(damage: impl FnOnce(&mut Vec<u8>)) -> ModelFileError {
    let mut file = small_file();
    damage(&mut file);
    repair_checksums(&mut file);
    Model::from_bytes(&file).expect_err("the file should be refused")
}

/// Like [`refused`], changing one field of one section's index entry.
pub fn refused_entry(name: &str, field: usize, change: impl FnOnce(u64) -> u64) -> ModelFileError {
    refused(|file| {
        let at = entry(section(file, name)) + field;
        let value = change(get_u64(file, at));
        put(file, at, &value.to_le_bytes());
    })
}

/// Changes the `field`-th `u32` of the settings.
pub fn settings_field(field: usize, value: u32) -> ModelFileError {
    refused(|file| {
        let at = start(file, "settings") + 4 * field;
        put(file, at, &value.to_le_bytes());
    })
}

/// The error must match a pattern.
macro_rules! assert_error {
    ($error:expr, $($pattern:tt)+) => {{
        let error = $error;
        let shown = format!("{error:?}: {error}");
        assert!(matches!(error, $($pattern)+), "{shown}");
    }};
}

pub(crate) use assert_error;
