//! The data readers: any bytes give a log or a typed error, in every format and layout and with every way to treat bad
//! lines. The first two bytes choose the options, the rest is the file.
#![no_main]

use dmran::data::{Format, OnError, ReadOptions, TimeUnit, read_from};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let [choice, layout, file @ ..] = bytes else { return };
    let formats = [
        (Format::Auto, "log"),
        (Format::Auto, "log.tsv"),
        (Format::Auto, "log.jsonl"),
        (Format::Csv, "log"),
        (Format::Sequences, "log"),
        (Format::Jsonl, "log"),
        (Format::Amazon, "log"),
        (Format::Parquet, "log"),
    ];
    let (format, name) = formats[usize::from(choice & 7)].clone();
    let on_error = if choice & 8 == 0 { OnError::Fail } else { OnError::Skip };
    let core = u32::from(choice >> 4 & 3);
    let mut options = ReadOptions { format, on_error, k_core_users: core, k_core_items: core, ..ReadOptions::default() };
    options.time_unit = TimeUnit::ALL[usize::from(choice >> 6)];
    let set = |bit: u8| layout >> bit & 1 == 1;
    if set(0) {
        options.no_header = true;
        let number = |number: &str| number.to_owned().into();
        options.columns.user = number("1");
        options.columns.item = number("2");
        if set(1) {
            options.columns.time = number("3");
        }
    }
    if set(2) {
        options.filters = ["1>=2", "event=buy"].map(|text| text.parse().unwrap())[usize::from(set(3))..][..1].to_vec();
    }
    options.delimiter = set(4).then(|| if set(3) { "::".into() } else { " ".into() });
    options.escape = set(5).then_some('\\');
    options.quote = set(6).then(|| if set(3) { "none" } else { "\"" }.parse().unwrap());
    options.time_format = set(7).then(|| "%d.%m.%Y".into());
    if let Ok(log) = read_from(file, name, &options) {
        assert_eq!(log.dataset.users(), log.users.len());
        assert_eq!(log.dataset.items(), log.items.len());
    }
});
