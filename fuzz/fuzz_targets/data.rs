//! The data readers: any bytes give a log or a typed error, in every format and with every way to treat bad lines.
//! The first byte chooses the options, the rest is the file.
#![no_main]

use dmran::data::{Format, OnError, ReadOptions, read_from};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((choice, file)) = bytes.split_first() else { return };
    let formats = [
        (Format::Auto, "log"),
        (Format::Auto, "log.csv"),
        (Format::Auto, "log.tsv"),
        (Format::Auto, "log.jsonl"),
        (Format::Csv, "log"),
        (Format::Tsv, "log"),
        (Format::Jsonl, "log"),
        (Format::Amazon, "log"),
    ];
    let (format, name) = formats[usize::from(choice & 7)].clone();
    let on_error = if choice & 8 == 0 { OnError::Fail } else { OnError::Skip };
    let core = u32::from(choice >> 4 & 3);
    let options = ReadOptions { format, on_error, k_core_users: core, k_core_items: core, ..ReadOptions::default() };
    if let Ok(log) = read_from(file, name, &options) {
        assert_eq!(log.dataset.users(), log.users.len());
        assert_eq!(log.dataset.items(), log.items.len());
    }
});
