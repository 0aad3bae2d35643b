//! Bad input: each kind is a typed error that names the place, or a result that is documented.

use std::io::Write;

use dmran::data::{
    self, Column, DataError, DataReport, Format, LineError, Log, Negatives, OnError, Problem, Protocol, ReadOptions,
    read_from, test_samples, train_samples, validation_samples,
};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

fn read(bytes: impl AsRef<[u8]>) -> Result<Log, DataError> {
    read_from(bytes.as_ref(), "log.csv", &ReadOptions::default())
}

fn line_error(bytes: impl AsRef<[u8]>) -> LineError {
    match read(bytes) {
        Err(DataError::Line(error)) => error,
        other => panic!("not a line error: {other:?}"),
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn files_that_are_not_there() {
    let folder = tempfile::tempdir().unwrap();
    let options = ReadOptions::default();
    let error = data::read(folder.path(), &options).unwrap_err();
    assert!(matches!(error, DataError::Directory { .. }), "{error}");
    assert!(error.to_string().contains("is a folder"));
    let path = folder.path().join("nothing.csv");
    let error = data::read(&path, &options).unwrap_err();
    assert!(matches!(error, DataError::NotFound { .. }), "{error}");
    assert!(error.to_string().contains("nothing.csv: no such file"));
    std::fs::write(&path, "user,item\nu,a\n").unwrap();
    let options = ReadOptions { meta: Some(folder.path().join("meta")), ..options };
    let error = data::read(&path, &options).unwrap_err();
    assert!(error.to_string().contains("meta: no such file"), "{error}");
}

#[test]
fn empty_files_and_headers_alone() {
    for text in ["", "\n\n", "  \r\n", "\u{feff}", "\u{feff}\n"] {
        let error = read(text).unwrap_err();
        assert!(matches!(error, DataError::Empty { .. }), "{text:?}: {error}");
    }
    assert_eq!(read("").unwrap_err().to_string(), "log.csv: the file is empty");
    assert!(matches!(read(gzip(b"")), Err(DataError::Empty { .. })));
    for text in ["user,item", "user,item\n", "user,item\r\n\r\n  \n"] {
        let error = read(text).unwrap_err();
        assert!(matches!(error, DataError::HeaderOnly { .. }), "{text:?}: {error}");
    }
    let jsonl = ReadOptions { format: Format::Jsonl, ..ReadOptions::default() };
    let error = read_from(&b"\n"[..], "log", &jsonl).unwrap_err();
    assert!(matches!(error, DataError::Empty { .. }), "{error}");
}

#[test]
fn a_missing_column_is_named_with_those_that_are_there() {
    let error = read("who,item\nu,a\n").unwrap_err().to_string();
    assert_eq!(
        error,
        "log.csv: no column for the user: looked for \"user\", \"user_id\", \"uid\", \"reviewerID\", \"customer_id\", \
         \"customer\", \"visitor_id\", \"visitor\" and the like; the columns are \"who\", \"item\"; name it with \
         --user-column NAME"
    );
    let mut options = ReadOptions::default();
    options.columns.time = Column::Named("day".into());
    let error = read_from(&b"user,item\nu,a\n"[..], "log.csv", &options).unwrap_err();
    assert!(error.to_string().contains("for the time: looked for \"day\""), "{error}");
    options.columns.user = Column::Ignore;
    let error = read_from(&b"user,item\nu,a\n"[..], "log.csv", &options).unwrap_err();
    assert!(error.to_string().contains("cannot be left out"), "{error}");
}

#[test]
fn a_malformed_line_is_named_by_file_line_column_and_value() {
    let error = line_error("user,item,timestamp\nu,a,1\nu,b,yester\tday\n");
    assert_eq!(
        error.to_string(),
        "log.csv:3: column \"timestamp\" is not a time: neither a number nor a date such as 2018-08-23 22:00:58: \
         \"yester\\tday\"; --time-format FORMAT tells how another date is written, --time-column none goes by the order of the file"
    );
    let cases: [(&[u8], u64, Problem); 9] = [
        (b"user,item\nu,a\nu\n", 3, Problem::FieldCount { expected: 2, found: 1 }),
        (b"user,item\nu,a,b\n", 2, Problem::FieldCount { expected: 2, found: 3 }),
        (b"user,item\nu,a\n,b\n", 3, Problem::Missing),
        (b"user,item\nu,\" \"\n", 2, Problem::Missing),
        (b"user,item,timestamp\nu,a,\n", 2, Problem::Missing),
        (b"user,item,timestamp\nu,a,1e30\n", 2, Problem::OutOfRange),
        (b"user,item,timestamp\nu,a,99999999999999999999\n", 2, Problem::OutOfRange),
        (b"user,item,position\nu,a,1.5\n", 2, Problem::NotAnInteger),
        (b"user,item\nu,a\nu,caf\xe9\n", 3, Problem::NotUtf8),
    ];
    for (bytes, line, problem) in cases {
        let error = line_error(bytes);
        assert_eq!((error.line, error.problem), (line, problem), "{}", bytes.escape_ascii());
    }
    // A column that plays no role may hold anything.
    assert!(read(b"user,item,note\nu,a,caf\xe9\n").is_ok());
}

#[test]
fn lines_are_physical_lines() {
    let with_quotes = "user,item,timestamp\nu,\"a\nb\nc\",1\nu,d,x\n";
    assert_eq!(line_error(with_quotes).line, 5);
    assert_eq!(line_error("user,item,timestamp\nu,\"a\nb\nc\",x\nu,d,1\n").line, 2);
    assert_eq!(line_error("\n\nuser,item,timestamp\n\n\nu,a,1\n\nu,b,x\n").line, 8);
    assert_eq!(line_error("user,item,timestamp\r\nu,a,1\r\n\r\nu,b,x\r\nu,c,1\r\n").line, 4);
    assert_eq!(line_error("user,item,timestamp\nu,a,1\nu,b,x").line, 3, "no line break at the end");
    assert_eq!(line_error("user,item,timestamp\nu,a,1\nu,\"b,1\nu,c,1\n").line, 3, "open quote");
    let far: String = (0..50_000).map(|i| format!("u,i{i},{i}\n")).collect();
    assert_eq!(line_error(format!("user,item,timestamp\n{far}u,b,x\n")).line, 50_002);
}

#[test]
fn an_id_of_a_megabyte_is_an_error_that_does_not_print_it() {
    let long = "x".repeat(1 << 20);
    for text in [format!("user,item\n{long},a\n"), format!("user,item\nu,{long}\n")] {
        let error = line_error(&text);
        assert_eq!(error.problem, Problem::IdTooLong { bytes: 1 << 20, limit: 64 << 10 });
        assert!(error.to_string().len() < 300, "{error}");
    }
    let error = line_error(format!("user,item,category\nu,a,{long}\n"));
    assert_eq!(error.column.as_deref(), Some("category"));
    let options = ReadOptions { max_id_bytes: 1 << 20, ..ReadOptions::default() };
    let text = format!("user,item\n{long},a\n");
    let log = read_from(text.as_bytes(), "log.csv", &options).unwrap();
    assert_eq!(log.users.name(0).len(), 1 << 20);
}

#[test]
fn truncated_and_damaged_archives() {
    let text: String = (0..20_000).map(|i| format!("u{},i{},{i}\n", i * 7919 % 997, i * 31 % 613)).collect();
    let text = format!("user,item,timestamp\n{text}");
    let whole = gzip(text.as_bytes());
    assert!(whole.len() > 20_000);
    for cut in [3, 12, 100, whole.len() / 2, whole.len() - 1] {
        let error = read(&whole[..cut]).unwrap_err();
        assert!(matches!(error, DataError::Truncated { .. }), "cut at {cut}: {error}");
    }
    let error = read(&whole[..5000]).unwrap_err().to_string();
    assert_eq!(error, "log.csv: the compressed file is truncated");
    let mut damaged = whole.clone();
    let at = damaged.len() - 6;
    damaged[at] ^= 1; // the checksum
    let error = read(&damaged).unwrap_err();
    assert!(matches!(error, DataError::Corrupt { .. }), "{error}");
    let zstd = zstd::encode_all(text.as_bytes(), 1).unwrap();
    for cut in [100, zstd.len() / 2, zstd.len() - 1] {
        let error = read(&zstd[..cut]).unwrap_err();
        assert!(matches!(error, DataError::Truncated { .. }), "cut at {cut}: {error}");
    }
    let mut damaged = zstd.clone();
    damaged[40..200].fill(0xff);
    let error = read(&damaged).unwrap_err();
    assert!(matches!(error, DataError::Corrupt { .. }), "{error}");
    // Even when lines are skipped, a broken file is not.
    let skip = ReadOptions { on_error: OnError::Skip, ..ReadOptions::default() };
    assert!(read_from(&whole[..5000], "log.csv", &skip).is_err());
}

#[test]
fn all_rows_malformed_is_an_error_even_when_skipping() {
    let skip = ReadOptions { on_error: OnError::Skip, ..ReadOptions::default() };
    let error = read_from(&b"user,item\nu\nv\n"[..], "log.csv", &skip).unwrap_err().to_string();
    assert!(error.starts_with("log.csv: all 2 rows are malformed; the first: log.csv:2:"), "{error}");
}

#[test]
fn options_that_make_no_sense() {
    for delimiter in ["\"", "\n", "é", ""] {
        let options = ReadOptions { delimiter: Some(delimiter.into()), ..ReadOptions::default() };
        let error = read_from(&b"user,item\nu,a\n"[..], "log.csv", &options).unwrap_err();
        assert!(matches!(error, DataError::Options(_)), "{error}");
    }
    let mut options = ReadOptions { meta: Some("meta".into()), ..ReadOptions::default() };
    options.columns.category = Column::Named("c".into());
    let error = read_from(&b"user,item,c\nu,a,k\n"[..], "log.csv", &options).unwrap_err();
    assert!(matches!(error, DataError::Options(_)), "{error}");
}

#[test]
fn bytes_that_are_no_log_at_all() {
    let mut state = 1u64;
    for length in [1, 2, 5, 100, 5000, 200_000] {
        let bytes: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 56) as u8
        })
        .take(length)
        .collect();
        for format in [Format::Auto, Format::Csv, Format::Tsv, Format::Jsonl, Format::Amazon] {
            for on_error in [OnError::Fail, OnError::Skip] {
                let options = ReadOptions { format, on_error, ..ReadOptions::default() };
                let error = read_from(bytes.as_slice(), "noise", &options).unwrap_err();
                assert!(error.to_string().len() < 10_000);
            }
        }
    }
}

#[test]
fn users_with_one_or_two_events_one_user_and_one_item() {
    let log = read("user,item\none,a\ntwo,a\ntwo,b\nthree,a\nthree,b\nthree,c\n").unwrap();
    let names = |samples: Vec<data::Sample>| -> Vec<(String, u32)> {
        let name = |s: &data::Sample| (log.users.name(s.user).to_owned(), s.target);
        samples.iter().map(name).collect()
    };
    let (three, two) = (("three".to_string(), 2), ("two".to_string(), 1));
    let dataset = &log.dataset;
    assert_eq!(names(test_samples(dataset, Protocol::Honest)), [three, two]);
    assert_eq!(names(train_samples(dataset, Protocol::Paper)), [("three".to_string(), 1)]);
    assert_eq!(names(validation_samples(dataset, Protocol::Honest)), [("three".to_string(), 1)]);
    assert_eq!(names(train_samples(dataset, Protocol::Honest)), []);
    assert_eq!(DataReport::new(&log).short_users, 2);

    // One user, one item: legal, but there is nothing to predict and no negative.
    let log = read("user,item\nu,a\n").unwrap();
    assert_eq!((log.dataset.users(), log.dataset.items()), (1, 1));
    assert_eq!(test_samples(&log.dataset, Protocol::Paper), []);
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    assert_eq!(Negatives::new(&log.dataset).sample(0, &mut rng), None);
    let report = DataReport::new(&log);
    assert_eq!((report.users_with_everything, report.tied_neighbours), (1, None));
    assert!(report.to_string().contains("users who have all items  1"));
}
