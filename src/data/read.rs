//! Reading a log: which reader, then everything that comes after it.

use std::io::Read;
use std::path::Path;

use super::error::DataError;
use super::options::{Column, Format, ReadOptions, inner_extension};
use super::rows::Rows;
use super::source::{self, Source};
use super::{Log, amazon, assemble, delimited, json};

/// Reads a log from a file: CSV, TSV, JSON Lines or Amazon 2014, plain or compressed with gzip or
/// Zstandard (told by content, not by name).
///
/// Rows are read one after the other; what stays in memory is about 24 bytes a row while reading,
/// 12 bytes a row afterwards, and each name once. Events are sorted by user and time (or position;
/// or left in the order of the file if there is neither). Ids of users, items and categories follow
/// the byte order of their names. An item has the category of its first row that has one; items
/// without one get `unknown` if others have one. White space around names and fields does not
/// count, blank lines do not count. Columns that play no role are not looked at.
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
/// Every [`DataError`]: files that cannot be read, are empty, truncated or without the needed
/// columns; with [`OnError::Fail`](super::OnError::Fail) the first malformed line.
pub fn read(path: impl AsRef<Path>, options: &ReadOptions) -> Result<Log, DataError> {
    check(options)?;
    let path = path.as_ref();
    read_source(source::open(path)?, path, options)
}

/// Reads a log from any stream. `name` stands for the file in messages; its extension counts as
/// a file's would.
///
/// # Errors
/// As [`read`].
pub fn read_from(input: impl Read, name: &str, options: &ReadOptions) -> Result<Log, DataError> {
    check(options)?;
    read_source(Source::new(input, name.to_owned())?, Path::new(name), options)
}

fn check(options: &ReadOptions) -> Result<(), DataError> {
    if let Some(c) = options.delimiter
        && (!c.is_ascii() || matches!(c, '"' | '\n' | '\r'))
    {
        let why = format!("delimiter {c:?}: it must be an ASCII character, no quote or line break");
        return Err(DataError::Options(why));
    }
    if options.meta.is_some() && matches!(options.columns.category, Column::Named(_)) {
        let why = "categories come from a column or from a meta file, not from both";
        return Err(DataError::Options(why.into()));
    }
    Ok(())
}

fn read_source(source: Source<'_>, path: &Path, options: &ReadOptions) -> Result<Log, DataError> {
    // Opened before the log is read: a wrong path shows at once.
    let meta = options.meta.as_deref().map(source::open).transpose()?;
    let mut columns = options.columns.clone();
    if meta.is_some() {
        columns.category = Column::Ignore;
    }
    let file = source.file().to_owned();
    let mut rows = Rows::new(options);
    match detect(&source, path, options) {
        Found::Delimited(delimiter) => delimited::read(source, delimiter, &columns, &mut rows)?,
        Found::Jsonl => json::read(source, &columns, &mut rows)?,
        Found::Amazon => json::read(source, &amazon::columns(&columns), &mut rows)?,
    }
    if rows.len() == 0
        && let Some(first) = rows.skipped.first.first()
    {
        let (skipped, first) = (rows.skipped.count, Box::new(first.clone()));
        return Err(DataError::AllSkipped { file, skipped, first });
    }
    let read = rows.len() as u64 + rows.skipped.count;
    if let Some(meta) = meta {
        amazon::read_meta(meta, &mut rows)?;
    }
    let mut log = assemble::assemble(rows, options)?;
    log.stats.rows = read;
    Ok(log)
}

enum Found {
    Delimited(u8),
    Jsonl,
    Amazon,
}

fn detect(source: &Source<'_>, path: &Path, options: &ReadOptions) -> Found {
    let asked = options.delimiter.map(|c| c as u8);
    let first_line = source.first_line().unwrap_or_default();
    let extension = inner_extension(path);
    match options.format {
        Format::Csv => Found::Delimited(asked.unwrap_or(b',')),
        Format::Tsv => Found::Delimited(asked.unwrap_or(b'\t')),
        Format::Jsonl => Found::Jsonl,
        Format::Amazon => Found::Amazon,
        Format::Auto if first_line.first() == Some(&b'{') => Found::Jsonl,
        Format::Auto if matches!(extension.as_str(), "json" | "jsonl" | "ndjson") => Found::Jsonl,
        Format::Auto => {
            // A log has two columns at least: a delimiter that the header lacks is not the one.
            let usual = if extension == "tsv" { b'\t' } else { b',' };
            let candidates = [usual, b'\t', b',', b';', b'|'];
            let found = candidates.into_iter().find(|delimiter| first_line.contains(delimiter));
            Found::Delimited(asked.or(found).unwrap_or(usual))
        }
    }
}
