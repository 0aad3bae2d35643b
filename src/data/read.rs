//! Reading a log: which reader, then everything that comes after it.

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;

use super::amazon::{self, Meta};
use super::builder::LogBuilder;
use super::error::DataError;
use super::options::{Column, Format, ReadOptions, inner_extension};
use super::source::{self, Source};
use super::{Log, delimited, files, json, sequences, time};

/// Reads a log from a file: CSV and its like, JSON Lines, Python dictionaries, sequences or Amazon reviews, plain or
/// compressed with gzip or Zstandard (told by content, not by name), or Parquet. A folder stands for the files in it, a
/// pattern (`logs/*.csv`) for those that fit; they are one log, in the order of their names.
///
/// Rows are parsed on all threads of the current rayon pool; what comes out does not depend on their number. What stays in
/// memory is below 40 bytes a row while reading, 12 bytes a row afterwards, and each name once. Events are sorted by user
/// and time (or position; or left in the order of the file if there is neither). Ids of users, items and categories follow
/// the byte order of their names. An item has the category of its first row that has one; items
/// without one get `unknown` if others have one. White space around names and fields does not
/// count, blank lines do not count. Columns that play no role are not looked at. [`Log::taken`] tells what was chosen.
///
/// ```
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("log.csv");
/// std::fs::write(&path, "user,item,timestamp\nann,tea,200\nann,cup,100\nbob,tea,150\n").unwrap();
/// let log = dmran::data::read(&path, &Default::default()).unwrap();
/// let ann = log.users.id("ann").unwrap();
/// let first = log.dataset.history(ann).items[0];
/// assert_eq!(log.items.name(first), "cup");
/// ```
///
/// # Errors
/// Every [`DataError`]: files that cannot be read, are empty, truncated, of another kind or without the needed
/// columns; times that cannot be what they were read as; with [`OnError::Fail`](super::OnError::Fail) the first malformed
/// line.
pub fn read(path: impl AsRef<Path>, options: &ReadOptions) -> Result<Log, DataError> {
    read_all(&[path.as_ref()], options)
}

/// Reads several files (or folders, or patterns) as one log, in this order.
///
/// # Errors
/// As [`read`]; and where some files have a column that others lack.
pub fn read_all(paths: &[impl AsRef<Path>], options: &ReadOptions) -> Result<Log, DataError> {
    check(options)?;
    // Opened before the log is read: a wrong path shows at once.
    let meta = options.meta.as_deref().map(source::open).transpose()?;
    let all = files::all(paths)?;
    let mut log = LogBuilder::new(options.clone());
    for path in &all {
        read_file(path, options, &mut log)?;
    }
    log.finish_with(meta.map(|meta| Meta::new(meta, options)))
}

/// Reads a log from any stream. `name` stands for the file in messages; its extension counts as
/// a file's would.
///
/// # Errors
/// As [`read`].
pub fn read_from(mut input: impl Read, name: &str, options: &ReadOptions) -> Result<Log, DataError> {
    check(options)?;
    let meta = options.meta.as_deref().map(source::open).transpose()?;
    let mut log = LogBuilder::new(options.clone());
    let mut head = [0; 4];
    let mut got = 0;
    let failed = |source| DataError::Io { file: name.to_owned(), source };
    while got < 4 {
        match input.read(&mut head[got..]) {
            Ok(0) => break,
            Ok(count) => got += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(failed(error)),
        }
    }
    let mut input = std::io::Cursor::new(head[..got].to_vec()).chain(input);
    if is_parquet(&head[..got], options) {
        let mut bytes = Vec::new();
        input.read_to_end(&mut bytes).map_err(failed)?;
        parquet_bytes(bytes, name, options, &mut log)?;
    } else {
        read_source(Source::new(input, name.to_owned())?, Path::new(name), options, &mut log)?;
    }
    log.finish_with(meta.map(|meta| Meta::new(meta, options)))
}

fn check(options: &ReadOptions) -> Result<(), DataError> {
    let wrong = |why: String| Err(DataError::Options(why));
    if let Some(delimiter) = &options.delimiter
        && (delimiter.is_empty() || !delimiter.is_ascii() || delimiter.contains(['"', '\n', '\r']))
    {
        return wrong(format!("delimiter {delimiter:?}: it must be of ASCII characters, no quote or line break"));
    }
    if let Some(escape) = options.escape.filter(|escape| !escape.is_ascii() || escape.is_ascii_control()) {
        return wrong(format!("escape {escape:?}: it must be an ASCII character"));
    }
    if options.comment.as_ref().is_some_and(|comment| comment.trim().is_empty()) {
        return wrong("what comments begin with cannot be empty".into());
    }
    if options.meta.is_some() && matches!(options.columns.category, Column::Named(_)) {
        return wrong("categories come from a column or from a meta file, not from both".into());
    }
    match &options.time_format {
        Some(format) => time::check_format(format).map_err(DataError::Options),
        None => Ok(()),
    }
}

fn read_file(path: &Path, options: &ReadOptions, log: &mut LogBuilder) -> Result<(), DataError> {
    let mut file = source::open_file(path)?;
    let mut head = [0; 4];
    let failed = |source| DataError::Io { file: path.display().to_string(), source };
    let regular = file.metadata().map_err(failed)?.is_file();
    if regular {
        let mut got = 0;
        while got < 4 {
            match file.read(&mut head[got..]).map_err(failed)? {
                0 => break,
                count => got += count,
            }
        }
        std::io::Seek::rewind(&mut file).map_err(failed)?;
        if is_parquet(&head[..got], options) {
            return parquet_file(&file, path, options, log);
        }
    }
    read_source(Source::new(file, path.display().to_string())?, path, options, log)
}

fn is_parquet(head: &[u8], options: &ReadOptions) -> bool {
    options.format == Format::Parquet || (head == b"PAR1" && options.format == Format::Auto)
}

#[cfg(feature = "parquet")]
fn parquet_file(
    file: &std::fs::File,
    path: &Path,
    options: &ReadOptions,
    log: &mut LogBuilder,
) -> Result<(), DataError> {
    super::parquet::read(file, path, &for_layout(options, &[]), log)
}

#[cfg(feature = "parquet")]
fn parquet_bytes(bytes: Vec<u8>, name: &str, options: &ReadOptions, log: &mut LogBuilder) -> Result<(), DataError> {
    super::parquet::read_bytes(bytes, name, &for_layout(options, &[]), log)
}

#[cfg(not(feature = "parquet"))]
fn without_parquet(file: &str) -> Result<(), DataError> {
    let fix = format!(
        "this program was built without the feature `parquet`; write it as CSV: \
         pandas.read_parquet('{file}').to_csv('log.csv', index=False)"
    );
    Err(DataError::Container { file: file.into(), what: "a Parquet file", fix })
}

#[cfg(not(feature = "parquet"))]
fn parquet_file(_: &std::fs::File, path: &Path, _: &ReadOptions, _: &mut LogBuilder) -> Result<(), DataError> {
    without_parquet(&path.display().to_string())
}

#[cfg(not(feature = "parquet"))]
fn parquet_bytes(_: Vec<u8>, name: &str, _: &ReadOptions, _: &mut LogBuilder) -> Result<(), DataError> {
    without_parquet(name)
}

pub(super) fn read_source(
    source: Source<'_>,
    path: &Path,
    options: &ReadOptions,
    log: &mut LogBuilder,
) -> Result<(), DataError> {
    let extension = inner_extension(path);
    let first_line = source.first_line().unwrap_or_default();
    let format = match options.format {
        Format::Auto if first_line.first() == Some(&b'{') || is_array(first_line) => Format::Jsonl,
        Format::Auto if matches!(extension.as_str(), "json" | "jsonl" | "ndjson") => Format::Jsonl,
        other => other,
    };
    let options = for_layout(options, if format == Format::Amazon { first_line } else { &[] });
    match format {
        Format::Jsonl | Format::Amazon => json::read(source, &options, log),
        Format::Sequences => sequences::read(source, &options, log),
        Format::Auto | Format::Csv | Format::Tsv | Format::Parquet => {
            delimited::read(source, format, &extension, &options, log)
        }
    }
}

fn is_array(line: &[u8]) -> bool {
    line == b"[" || (line.first() == Some(&b'[') && line[1..].trim_ascii_start().first() == Some(&b'{'))
}

/// Options without a category's column where a meta file gives categories, and with Amazon's keys where its `reviews` are
/// asked for.
fn for_layout<'o>(options: &'o ReadOptions, reviews: &[u8]) -> Cow<'o, ReadOptions> {
    let mut options = Cow::Borrowed(options);
    if options.meta.is_some() {
        options.to_mut().columns.category = Column::Ignore;
    }
    if !reviews.is_empty() {
        let columns = amazon::columns(&options.columns, reviews);
        options.to_mut().columns = columns;
    }
    options
}
