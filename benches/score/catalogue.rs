//! A model of random weights with as many items as the Amazon Electronics log, and a user of 50 events.

use dmran::scorer::{
    Block, Card, Counts, Event, Head, Ids, LastEvent, Model, ModelParts, Scorer, ScorerOptions, Settings,
    expected_tensors,
};

/// Items.
pub const ITEMS: usize = 63_001;
const DAY: i64 = 86_400;

/// A scorer with width 128, 10 hops, the block `plain` (as the PyTorch model beside it has it) and this head.
pub fn scorer(head: Head, options: ScorerOptions) -> Scorer {
    Scorer::with_options(model(head, ITEMS), options).expect("a level of this CPU")
}

/// Such a model of some number of items, at least [`ITEMS`] if [`history`] and [`candidates`] are for it.
pub fn model(head: Head, items: usize) -> Model {
    model_of(Settings { head, block: Block::Plain, ..Settings::default() }, items, 0)
}

/// A scorer with the default preset's settings.
pub fn everyday(options: ScorerOptions) -> Scorer {
    let settings = Settings {
        hops: 5,
        last: LastEvent::Row,
        head: Head::Rows,
        block: Block::Transformer,
        categories: true,
        ..Settings::default()
    };
    Scorer::with_options(model_of(settings, ITEMS, 250), options).expect("a level of this CPU")
}

fn model_of(settings: Settings, items: usize, categories: usize) -> Model {
    let mut state = 1u32;
    let mut weight = |scale: f32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 8) as f32 / (1 << 23) as f32 - 1.0) * scale
    };
    let counts = Counts { items, categories };
    let tensors = expected_tensors(&settings, counts)
        .into_iter()
        .map(|spec| {
            let (rows, columns) = spec.shape.rows_columns();
            let scale = (6.0 / (rows.min(columns) + columns) as f32).sqrt();
            (spec.name.to_owned(), (0..rows * columns).map(|_| weight(scale)).collect())
        })
        .collect();
    let names = Ids::from_sorted((0..items).map(|i| format!("B{i:09}"))).expect("sorted");
    let parts = ModelParts {
        settings,
        items: names,
        categories: Ids::from_sorted((0..categories).map(|i| format!("C{i:03}"))).expect("sorted"),
        item_category: (0..items as u32)
            .map(|i| i % categories.max(1) as u32)
            .take(items * categories.min(1))
            .collect(),
        card: Card::default(),
        tensors,
    };
    Model::from_parts(parts).expect("a whole model")
}

/// 50 events, and the time after them.
pub fn history() -> (Vec<Event>, i64) {
    let now = 16_000 * DAY;
    let event =
        |i: u32| Event { item: i.wrapping_mul(2_654_435_761) % ITEMS as u32, time: now - i64::from(i * i) * DAY };
    ((0..50).rev().map(event).collect(), now)
}

/// `n` candidates all over the table.
pub fn candidates(n: usize) -> Vec<u32> {
    (0..n as u32).map(|i| i.wrapping_mul(40_503).wrapping_add(77) % ITEMS as u32).collect()
}
