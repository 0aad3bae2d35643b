//! Files whose place and sections are right and whose content is not: counts, settings, ids, categories, weights,
//! card. Each broken rule is refused with its own error; checksums are repaired after the damage.

use crate::support::model_file::{
    DIM_0, DIM_1, LENGTH, assert_error, entry, get_u64, put, refused, refused_entry, section, settings_field,
    small_file, start,
};
use dmran::scorer::ModelFileError as E;
use dmran::scorer::{CardError, IdsError, SettingsError};

// Counts that would take more memory than there is.

#[test]
fn no_items_and_far_too_many() {
    assert_error!(refused_entry("items", DIM_0, |_| 0), E::NoIds { section: "items" });
    assert_error!(refused_entry("categories", DIM_0, |_| 0), E::NoIds { section: "categories" });
    for count in [u64::MAX, 1 << 40, u64::from(u32::MAX)] {
        assert_error!(
            refused_entry("items", DIM_0, |_| count),
            E::Ids { section: "items", error: IdsError::TooMany { count: c } } if c == count
        );
    }
    // Few enough for an index, but far more than the file has.
    let error = refused_entry("items", DIM_0, |_| 4_000_000_000);
    assert_error!(error, E::SectionLength { section: "items", expected: 16_000_000_024, .. });
    let error = refused_entry("categories", DIM_1, |_| 1 << 33);
    assert_error!(error, E::Ids { section: "categories", error: IdsError::TooMuchText });
    let error = refused_entry("card", DIM_0, |_| u64::MAX);
    assert_error!(error, E::SectionLength { section: "card", expected: u64::MAX, .. });
}

// The settings.

#[test]
fn settings_of_zero() {
    let fields = [
        (0, "d"),
        (1, "hops"),
        (2, "history_cap"),
        (3, "buckets"),
        (8, "heads"),
        (9, "ff_width"),
        (10, "head_ff_width"),
    ];
    for (field, name) in fields {
        assert_error!(
            settings_field(field, 0),
            E::Settings(SettingsError::Zero { setting }) if setting == name
        );
        assert_error!(
            settings_field(field, u32::MAX),
            E::Settings(SettingsError::TooLarge { setting, .. }) if setting == name
        );
    }
}

#[test]
fn settings_at_their_limits_do_not_overflow() {
    // Widths of 16384 and inner widths of 65536: the tensors would take gigabytes.
    let error = settings_field(0, 1 << 14);
    assert_error!(error, E::SectionShape { section: "V", .. });
    let error = settings_field(10, 1 << 16);
    assert_error!(error, E::SectionShape { section: "h.W_1", .. });
}

#[test]
fn settings_that_stand_for_nothing() {
    for (field, name) in
        [(4, "time"), (5, "variant"), (6, "block"), (7, "head"), (11, "item_bias"), (12, "categories"), (15, "last")]
    {
        assert_error!(
            settings_field(field, 77),
            E::Settings(SettingsError::Code { setting, code: 77 }) if setting == name
        );
    }
    assert_error!(settings_field(8, 3), E::Settings(SettingsError::HeadsDoNotDivide { d: 4, heads: 3 }));
    for (field, bits) in [(13, 0), (14, f32::NAN.to_bits()), (14, (-1.0_f32).to_bits())] {
        assert_error!(settings_field(field, bits), E::Settings(SettingsError::Epsilon { .. }));
    }
}

// Ids and categories.

/// Changes the ids of the items: byte positions and text.
fn items(change: impl FnOnce(&mut [u8])) -> IdsError {
    let error = refused(|file| {
        let at = start(file, "items");
        let length = get_u64(file, entry(section(file, "items")) + LENGTH) as usize;
        change(&mut file[at..at + length]);
    });
    match error {
        E::Ids { section: "items", error } => error,
        other => panic!("{other:?}"),
    }
}

/// Where the text of the items begins: after eight positions.
const TEXT: usize = 32;

#[test]
fn duplicate_ids() {
    // b1, b10, b2: the last becomes a second b1, with b10 between; then really next to it.
    assert_eq!(items(|s| s[TEXT + 6] = b'1'), IdsError::Order { index: 2 });
    let twice = |s: &mut [u8]| {
        put(s, TEXT, b"b1b1");
        put(s, 8, &4_u32.to_le_bytes());
    };
    assert_eq!(items(twice), IdsError::Duplicate { index: 1 });
}

#[test]
fn unsorted_ids() {
    assert_eq!(items(|s| s[TEXT] = b'x'), IdsError::Order { index: 1 });
}

#[test]
fn ids_that_are_not_utf8() {
    assert_eq!(items(|s| s[TEXT + 2] = 0xff), IdsError::Utf8 { byte: 2 });
}

#[test]
fn an_id_that_begins_inside_a_character() {
    // The text is b1 b10 b2 c é ...: position 5 moves from after é (10) to its second byte (9).
    let split = |s: &mut [u8]| put(s, 20, &9_u32.to_le_bytes());
    assert_eq!(items(split), IdsError::Boundary { index: 5 });
}

#[test]
fn positions_that_do_not_rise() {
    for (field, value) in [(0, 1), (3, 1000), (3, 0), (7, 5), (7, u32::MAX)] {
        let broken = |s: &mut [u8]| put(s, 4 * field, &u32::to_le_bytes(value));
        assert_eq!(items(broken), IdsError::Offsets, "position {field} = {value}");
    }
}

#[test]
fn a_category_that_does_not_exist() {
    for category in [3, u32::MAX] {
        let error = refused(|file| {
            let at = start(file, "item_category") + 4 * 6;
            put(file, at, &category.to_le_bytes());
        });
        assert_error!(error, E::CategoryIndex { item: 6, category: c, categories: 3 } if c == category);
    }
}

// Weights and card.

#[test]
fn weights_that_are_not_finite() {
    for value in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let error = refused(|file| {
            let at = start(file, "W_s5") + 4 * 7;
            put(file, at, &value.to_le_bytes());
        });
        assert_error!(error, E::NotFinite { tensor: "W_s5", index: 7, value: v } if v.to_bits() == value.to_bits());
    }
}

/// Changes the card from byte `at` on. It begins: seed 8, metrics 4, length 4, "dmran test" 10, ...
fn card(at: usize, bytes: &[u8]) -> CardError {
    let error = refused(|file| {
        let at = start(file, "card") + at;
        put(file, at, bytes);
    });
    match error {
        E::Card(error) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn cards_that_break_a_rule() {
    assert_eq!(card(8, &[0xff; 4]), CardError::TooManyMetrics { count: u64::from(u32::MAX) });
    assert_eq!(card(12, &[0xff; 4]), CardError::CutShort { field: "created_by" });
    assert_eq!(card(16, &[0xff]), CardError::Utf8 { field: "created_by" });
    // One metric less: the bytes of the second follow.
    assert!(matches!(card(8, &1_u32.to_le_bytes()), CardError::Trailing { .. } | CardError::StandardError { .. }));
    let length = card_length();
    // The last metric's value, flag and standard error are the last 20 bytes.
    assert_eq!(card(length - 20, &f64::NAN.to_le_bytes()), CardError::Metric { index: 1 });
    assert_eq!(card(length - 12, &2_u32.to_le_bytes()), CardError::StandardError { index: 1 });
    assert_eq!(card(length - 8, &1.0_f64.to_le_bytes()), CardError::StandardError { index: 1 });
    assert_eq!(card(length - 28, &(-0.5_f64).to_le_bytes()), CardError::StandardError { index: 0 });
}

fn card_length() -> usize {
    let file = small_file();
    get_u64(&file, entry(section(&file, "card")) + LENGTH) as usize
}
