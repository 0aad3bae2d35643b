//! Parquet and Arrow: columns of every type that a log may have, and the same log as from text.

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{
    ArrayRef, Date32Array, Decimal128Array, DictionaryArray, Float64Array, Int64Array, LargeStringArray, RecordBatch,
    StringArray, StructArray, TimestampMicrosecondArray, TimestampMillisecondArray, TimestampNanosecondArray,
    TimestampSecondArray, UInt64Array,
};
use arrow_schema::{DataType, Field};
use dmran::data::{self, Column, DataError, Event, Log, LogBuilder, OnError, ReadOptions, read_from};
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;

const TIMES: [i64; 4] = [1_535_061_658, 1_535_267_785, 1_537_519_037, 1_539_056_447];

fn file(rows: &RecordBatch) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut out, rows.schema(), None).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
    out
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true))).unwrap()
}

/// 60,000 events in groups of 1,000 rows.
fn many_groups() -> Vec<u8> {
    let text = |name: &str, of: fn(i64) -> i64| -> ArrayRef {
        Arc::new((0..60_000).map(|row| Some(format!("{name}{}", of(row)))).collect::<StringArray>())
    };
    let rows = batch(vec![
        ("user", text("u", |row| row * row % 997)),
        ("item", text("i", |row| row * 7919 % 4999)),
        ("ts", Arc::new(Int64Array::from_iter_values((0..60_000).map(|row| 1_500_000_000 + row * 31 % 7_000)))),
    ]);
    let groups = WriterProperties::builder().set_max_row_group_row_count(Some(1_000)).build();
    let mut out = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut out, rows.schema(), Some(groups)).unwrap();
    writer.write(&rows).unwrap();
    writer.close().unwrap();
    out
}

#[test]
fn groups_of_a_file_are_read_side_by_side_into_the_same_log() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.parquet");
    std::fs::write(&path, many_groups()).unwrap();
    let on = |threads: usize| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    let want = on(1).install(|| data::read(&path, &ReadOptions::default()).unwrap());
    assert_eq!(want.dataset.events(), 60_000);
    assert_eq!(read_from(many_groups().as_slice(), "log.parquet", &ReadOptions::default()).unwrap(), want);
    for threads in [2, 5, 8] {
        let log = on(threads).install(|| data::read(&path, &ReadOptions::default()).unwrap());
        assert_eq!((&log, log.hash()), (&want, want.hash()), "{threads} threads");
    }
}

#[test]
fn damaged_files_end_in_a_log_or_a_message() {
    let time: ArrayRef = Arc::new(TimestampSecondArray::from(TIMES.to_vec()));
    let whole = file(&batch(vec![("user", users()), ("item", items()), ("ts", time)]));
    let mut state = 3u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let (mut logs, mut messages) = (0, 0);
    for _ in 0..3_000 {
        let mut bytes = whole.clone();
        for _ in 0..=random(3) {
            let at = random(bytes.len());
            match random(3) {
                0 => bytes[at] ^= 1 << random(8),
                1 => bytes[at] = random(256) as u8,
                _ => drop(bytes.splice(at..(at + random(4)).min(bytes.len()), [0xff; 2])),
            }
        }
        match read_from(bytes.as_slice(), "log.parquet", &ReadOptions::default()) {
            Ok(log) => logs += u32::from(log.dataset.users() == log.users.len()),
            Err(error) => messages += u32::from(error.to_string().contains("log.parquet")),
        }
    }
    assert_eq!(logs + messages, 3_000);
    assert!(logs > 100 && messages > 100, "{logs} logs, {messages} messages");
}

fn users() -> ArrayRef {
    Arc::new(StringArray::from(vec!["u", "v", "u", "v"]))
}

fn items() -> ArrayRef {
    Arc::new(Int64Array::from(vec![12, 11, 11, 13]))
}

fn read(rows: &RecordBatch) -> Result<Log, DataError> {
    read_from(file(rows).as_slice(), "log.parquet", &ReadOptions::default())
}

/// The same events by hand.
fn want() -> Log {
    let mut builder = LogBuilder::new(ReadOptions::default());
    for (at, (user, item)) in [("u", "12"), ("v", "11"), ("u", "11"), ("v", "13")].into_iter().enumerate() {
        builder.push(Event { user, item, time: Some(TIMES[at]), category: None }).unwrap();
    }
    builder.finish().unwrap()
}

#[test]
fn times_of_every_type_are_the_same_moments() {
    let times: [ArrayRef; 5] = [
        Arc::new(Int64Array::from(TIMES.to_vec())),
        Arc::new(TimestampSecondArray::from(TIMES.to_vec())),
        Arc::new(TimestampMillisecondArray::from(TIMES.map(|t| t * 1_000).to_vec()).with_timezone("UTC")),
        Arc::new(TimestampMicrosecondArray::from(TIMES.map(|t| t * 1_000_000).to_vec())),
        Arc::new(TimestampNanosecondArray::from(TIMES.map(|t| t * 1_000_000_000).to_vec())),
    ];
    for time in times {
        let rows = batch(vec![("user", users()), ("item", items()), ("ts", time)]);
        assert_eq!(read(&rows).unwrap(), want());
        let mut builder = LogBuilder::new(ReadOptions::default());
        builder.push_arrow(&rows).unwrap();
        assert_eq!(builder.finish().unwrap(), want());
    }
    let days = Arc::new(Date32Array::from(vec![17_766, 17_769, 17_795, 17_813]));
    let log = read(&batch(vec![("user", users()), ("item", items()), ("day", days)]));
    let message = log.unwrap_err().to_string();
    assert!(message.contains("day") && message.contains("--time-column"), "{message}");
}

#[test]
fn ids_of_every_type_are_the_same_names() {
    let of: [ArrayRef; 6] = [
        Arc::new(StringArray::from(vec!["12", "11", "11", "13"])),
        Arc::new(LargeStringArray::from(vec!["12", "11", "11", "13"])),
        Arc::new(UInt64Array::from(vec![12, 11, 11, 13])),
        Arc::new(Float64Array::from(vec![12.0, 11.0, 11.0, 13.0])),
        Arc::new(Decimal128Array::from(vec![1200, 1100, 1100, 1300]).with_precision_and_scale(10, 2).unwrap()),
        Arc::new(vec!["12", "11", "11", "13"].into_iter().collect::<DictionaryArray<Int32Type>>()),
    ];
    for item in of {
        let kind = item.data_type().clone();
        let time: ArrayRef = Arc::new(TimestampSecondArray::from(TIMES.to_vec()));
        assert_eq!(read(&batch(vec![("user", users()), ("item", item), ("ts", time)])).unwrap(), want(), "{kind}");
    }
}

#[test]
fn structures_are_reached_with_dots_and_nulls_are_missing() {
    let id: ArrayRef = users();
    let user: ArrayRef = Arc::new(StructArray::from(vec![(Arc::new(Field::new("id", DataType::Utf8, true)), id)]));
    let time: ArrayRef = Arc::new(TimestampSecondArray::from(TIMES.to_vec()));
    let rows = batch(vec![("who", user), ("item", items()), ("ts", time.clone())]);
    let mut options = ReadOptions::default();
    options.columns.user = Column::Named("who.id".into());
    assert_eq!(read_from(file(&rows).as_slice(), "log.parquet", &options).unwrap(), want());

    let item: ArrayRef = Arc::new(Int64Array::from(vec![Some(12), None, Some(11), Some(13)]));
    let rows = batch(vec![("user", users()), ("item", item), ("ts", time)]);
    let error = read(&rows).unwrap_err().to_string();
    assert!(error.contains("log.parquet:2") && error.contains("\"item\" is empty or missing"), "{error}");
    let skip = ReadOptions { on_error: OnError::Skip, ..ReadOptions::default() };
    let log = read_from(file(&rows).as_slice(), "log.parquet", &skip).unwrap();
    assert_eq!((log.dataset.events(), log.skipped.count), (3, 1));
}

#[test]
fn filters_see_moments_as_text_and_a_damaged_file_is_named() {
    let time: ArrayRef = Arc::new(TimestampSecondArray::from(TIMES.to_vec()));
    let rows = batch(vec![("user", users()), ("item", items()), ("ts", time)]);
    let mut options = ReadOptions::default();
    options.filters.push("ts>=2018-09-01".parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log.parquet");
    std::fs::write(&path, file(&rows)).unwrap();
    assert_eq!(data::read(&path, &options).unwrap().dataset.events(), 2);
    let mut bytes = file(&rows);
    bytes.truncate(bytes.len() / 2);
    let error = read_from(bytes.as_slice(), "log.parquet", &ReadOptions::default()).unwrap_err();
    assert!(error.to_string().contains("log.parquet"), "{error}");
}
