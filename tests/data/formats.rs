//! JSON Lines, Amazon 2014 and compression.

use std::io::Write;
use std::path::Path;

use dmran::data::{self, Column, DataError, Format, Log, OnError, Problem, ReadOptions, read_from};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn json(text: &str) -> Result<Log, DataError> {
    read_from(text.as_bytes(), "log.jsonl", &ReadOptions::default())
}

#[test]
fn compression_is_told_by_content_and_not_by_name() {
    let text = b"user,item,timestamp\nu,a,2\nu,b,1\nv,a,3\n";
    let plain = read_from(&text[..], "log.csv", &ReadOptions::default()).unwrap();
    let (head, tail) = text.split_at(27);
    let folder = tempfile::tempdir().unwrap();
    for (what, bytes) in [
        ("plain", text.to_vec()),
        ("gzip", gzip(text)),
        ("two members", [gzip(head), gzip(tail)].concat()),
        ("zstd", zstd::encode_all(&text[..], 3).unwrap()),
        ("two frames", [zstd::encode_all(head, 3).unwrap(), zstd::encode_all(tail, 3).unwrap()].concat()),
    ] {
        for name in ["log.csv", "log.csv.gz", "log.csv.zst"] {
            let path = folder.path().join(name);
            std::fs::write(&path, &bytes).unwrap();
            let log = data::read(&path, &ReadOptions::default()).unwrap();
            assert_eq!(log, plain, "{what} as {name}");
        }
    }
}

#[test]
fn a_byte_order_mark_inside_an_archive() {
    let text = "\u{feff}user,item\nu,a\n".as_bytes();
    let log = read_from(gzip(text).as_slice(), "log.csv.gz", &ReadOptions::default()).unwrap();
    assert_eq!(log.users.names().collect::<Vec<_>>(), ["u"]);
}

#[test]
fn json_lines() {
    let text = concat!(
        r#"{"user": "u", "item": 17, "timestamp": 20, "category": "k", "extra": {"a": [1]}}"#,
        "\r\n\n",
        r#"{"timestamp": "10", "item": "\u00e9\n", "user": "u", "category": null}"#,
        "\n",
        r#"  {"user": -3, "item": "17", "timestamp": 1.5e1, "more": "x"}  "#,
    );
    let log = json(text).unwrap();
    assert_eq!(log.users.names().collect::<Vec<_>>(), ["-3", "u"]);
    assert_eq!(log.items.names().collect::<Vec<_>>(), ["17", "é"]);
    let events = log.dataset.history(log.users.id("u").unwrap());
    assert_eq!((events.items, events.times), (&[1, 0][..], &[10, 20][..]));
    assert_eq!(log.categories.names().collect::<Vec<_>>(), ["k", "unknown"]);
    // The same by sniffing, whatever the file is called.
    for name in ["log.csv", "log", "log.json.gz"] {
        assert_eq!(read_from(text.as_bytes(), name, &ReadOptions::default()).unwrap(), log);
    }
}

#[test]
fn json_keys_by_name_and_two_roles_for_one() {
    let mut options = ReadOptions::default();
    options.columns.user = Column::Named("who".into());
    options.columns.item = Column::Named("what".into());
    options.columns.category = Column::Named("what".into());
    let text = "{\"who\": \"u\", \"what\": \"x\", \"user\": 1}\n{\"who\": \"u\", \"what\": \"y\"}\n";
    let log = read_from(text.as_bytes(), "log.jsonl", &options).unwrap();
    assert_eq!(log.items, log.categories);
    assert_eq!(log.dataset.history(0).items, [0, 1]);
    let error = json(text).unwrap_err().to_string();
    assert!(error.contains("for the item") && error.contains("\"what\""), "{error}");
}

#[test]
fn malformed_json_is_named() {
    let good = r#"{"user": "u", "item": "a", "timestamp": 1}"#;
    for (bad, column, problem) in [
        (r#"{"user": "u", "item": ["a"], "timestamp": 1}"#, Some("item"), Some(Problem::NotAnId)),
        (r#"{"user": 1.5, "item": "a", "timestamp": 1}"#, Some("user"), Some(Problem::NotAnId)),
        (r#"{"user": null, "item": "a", "timestamp": 1}"#, Some("user"), Some(Problem::Missing)),
        (r#"{"user": "", "item": "a", "timestamp": 1}"#, Some("user"), Some(Problem::Missing)),
        (r#"{"user": "u", "item": "a"}"#, Some("timestamp"), Some(Problem::Missing)),
        (r#"{"user": "u", "item": "a", "timestamp": true}"#, Some("timestamp"), Some(Problem::NotATime)),
        (r#"{"user": "u", "item": "a", "timestamp": 1e99}"#, Some("timestamp"), Some(Problem::OutOfRange)),
        (r#"{"user": "u", "item": "a""#, None, None),
        (r#"{"user": "u", "item": "a", "timestamp": 1} x"#, None, None),
        (r#"["u", "a", 1]"#, None, None),
        ("user,item", None, None),
    ] {
        let error = match json(&format!("{good}\n\n{bad}\n{good}\n")) {
            Err(DataError::Line(error)) => error,
            other => panic!("{bad}: {other:?}"),
        };
        assert_eq!((error.line, error.column.as_deref()), (3, column), "{bad}");
        match problem {
            Some(problem) => assert_eq!(error.problem, problem, "{bad}"),
            None => assert!(matches!(error.problem, Problem::Syntax(_)), "{bad}: {error}"),
        }
        assert!(!error.to_string().contains("at line"), "{error}");
    }
    let bytes = [good.as_bytes(), b"\n{\"user\": \"\xff\"}\n"].concat();
    let error = read_from(bytes.as_slice(), "log.jsonl", &ReadOptions::default()).unwrap_err();
    assert!(error.to_string().contains("log.jsonl:2: line is not valid UTF-8"), "{error}");
}

#[test]
fn malformed_json_is_skipped_on_request_also_at_the_start() {
    let options = ReadOptions { on_error: OnError::Skip, ..ReadOptions::default() };
    let text = "{\"user\"\n{\"user\": \"u\", \"item\": \"a\"}\n[]\n{\"user\": \"u\", \"item\": \"b\"}\n";
    let log = read_from(text.as_bytes(), "log.jsonl", &options).unwrap();
    assert_eq!((log.dataset.events(), log.skipped.count, log.stats.rows), (2, 2, 4));
    assert_eq!(log.skipped.first[1].line, 3);
}

const REVIEWS: &str = r#"{"reviewerID": "A1", "asin": "0001", "reviewerName": "x", "helpful": [0, 1], "overall": 5.0, "unixReviewTime": 1318896000, "reviewTime": "10 18, 2011"}
{"reviewerID": "A1", "asin": "0002", "overall": 4.0, "unixReviewTime": 1318809600}
{"reviewerID": "A2", "asin": "0003", "overall": 1.0, "unixReviewTime": 1318809600}
"#;

const META: &str = r#"{'asin': '0002', 'title': "It's \"new\"", 'categories': [['Beauty', 'Hair'], ['Beauty', 'Skin']]}
{'asin': '9999', 'categories': [['Toys']]}
{'asin': '0001', 'salesRank': {'Beauty': 3}, 'categories': [['Beauty', "Men's Care"]]}
{'asin': '0001', 'categories': [['Later']]}
"#;

fn amazon(folder: &Path, reviews: &str, meta: &[u8], options: ReadOptions) -> Result<Log, DataError> {
    let path = folder.join("reviews_X_5.json.gz");
    std::fs::write(&path, gzip(reviews.as_bytes())).unwrap();
    std::fs::write(folder.join("meta_X.json.gz"), meta).unwrap();
    let meta = Some(folder.join("meta_X.json.gz"));
    data::read(path, &ReadOptions { meta, ..options })
}

#[test]
fn amazon_reviews_with_meta() {
    let folder = tempfile::tempdir().unwrap();
    for format in [Format::Amazon, Format::Auto] {
        let options = ReadOptions { format, ..ReadOptions::default() };
        let log = amazon(folder.path(), REVIEWS, &gzip(META.as_bytes()), options).unwrap();
        assert_eq!(log.users.names().collect::<Vec<_>>(), ["A1", "A2"]);
        assert_eq!(log.items.names().collect::<Vec<_>>(), ["0001", "0002", "0003"]);
        assert_eq!(log.dataset.history(0).items, [1, 0]);
        let category = |item| log.categories.name(log.dataset.category_of(item).unwrap());
        assert_eq!([0, 1, 2].map(category), ["Men's Care", "Skin", "unknown"]);
        assert_eq!(log.categories.len(), 3, "categories of other items are not kept");
        assert_eq!(log.stats.category_conflicts, 0);
    }
    // Without the meta file there are no categories.
    let path = folder.path().join("reviews_X_5.json.gz");
    let log = data::read(path, &ReadOptions::default()).unwrap();
    assert_eq!((log.dataset.events(), log.dataset.categories()), (3, 0));
}

#[test]
fn a_malformed_meta_line_is_named_or_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let meta = format!("{META}{{'asin': 'x\n");
    let error = amazon(folder.path(), REVIEWS, meta.as_bytes(), ReadOptions::default()).unwrap_err();
    assert!(error.to_string().contains("meta_X.json.gz:5: line does not parse"), "{error}");
    let skip = ReadOptions { on_error: OnError::Skip, ..ReadOptions::default() };
    let log = amazon(folder.path(), REVIEWS, meta.as_bytes(), skip).unwrap();
    assert_eq!((log.skipped.count, log.stats.rows), (1, 3));
    let whole = gzip(META.as_bytes());
    let cut = &whole[..whole.len() - 9];
    let error = amazon(folder.path(), REVIEWS, cut, ReadOptions::default()).unwrap_err();
    assert!(matches!(&error, DataError::Truncated { file } if file.contains("meta")), "{error}");
    let error = amazon(folder.path(), REVIEWS, b"", ReadOptions::default()).unwrap_err();
    assert!(matches!(&error, DataError::Empty { file } if file.contains("meta")), "{error}");
}
