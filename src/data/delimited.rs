//! CSV and TSV with a header.

use std::io;

use csv::{ByteRecord, Reader, ReaderBuilder, Terminator};

use super::columns::{self, Role};
use super::error::{DataError, Problem};
use super::options::Columns;
use super::rows::{Rejected, Row, Rows};
use super::source::Source;

/// Reads all rows below the header.
pub(crate) fn read(source: Source<'_>, delimiter: u8, columns: &Columns, rows: &mut Rows<'_>) -> Result<(), DataError> {
    let file = source.file().to_owned();
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(delimiter)
        // Carriage returns are trimmed with other white space: the parser would otherwise end a
        // record at \r and count the \n for the next one, and lines could not be told exactly.
        .terminator(Terminator::Any(b'\n'))
        .buffer_capacity(64 << 10)
        .from_reader(source);
    let mut record = ByteRecord::new();
    if !next(&mut reader, &mut record)? {
        return Err(DataError::Empty { file });
    }
    let header: Vec<String> =
        record.iter().map(|name| String::from_utf8_lossy(name.trim_ascii()).into_owned()).collect();
    let names: Vec<&str> = header.iter().map(String::as_str).collect();
    let found = columns::find(&file, columns, &names)?;
    let [user, item, time, category, position] = Role::ALL.map(|role| found.index(role));

    let mut any = false;
    loop {
        let before = reader.position().line();
        if !next(&mut reader, &mut record)? {
            break;
        }
        any = true;
        let pushed = if record.len() == header.len() {
            let field = |index: Option<usize>| index.map(|index| &record[index]);
            rows.push(&Row {
                user: field(user).unwrap_or_default(),
                item: field(item).unwrap_or_default(),
                time: field(time),
                category: field(category),
                position: field(position),
            })?
        } else {
            let problem = Problem::FieldCount { expected: header.len(), found: record.len() };
            Err(Rejected::line(problem, record.iter().next().unwrap_or_default()))
        };
        if let Err(rejected) = pushed {
            rows.reject(&file, start_line(&reader, &record, before), Some(&found), rejected)?;
        }
    }
    if any { Ok(()) } else { Err(DataError::HeaderOnly { file }) }
}

/// Reads the next record that is not blank; `false` at the end.
fn next(reader: &mut Reader<Source<'_>>, record: &mut ByteRecord) -> Result<bool, DataError> {
    loop {
        let line = reader.position().line();
        reader.get_mut().mark();
        let more = reader.read_byte_record(record).map_err(|error| {
            let error = match error.into_kind() {
                csv::ErrorKind::Io(error) => error,
                other => io::Error::other(format!("{other:?}")),
            };
            reader.get_ref().error(error, line)
        })?;
        let blank = record.len() == 1 && record[0].trim_ascii().is_empty();
        if !more || !blank {
            return Ok(more);
        }
    }
}

/// The physical line on which a record that was just read starts.
///
/// The parser stands behind the record's line break; line breaks inside quotes are in its fields.
/// The record cannot start before the line at which the parser stood `before`.
fn start_line(reader: &Reader<Source<'_>>, record: &ByteRecord, before: u64) -> u64 {
    let inside = record.as_slice().iter().filter(|&&byte| byte == b'\n').count() as u64;
    reader.position().line().saturating_sub(1 + inside).max(before)
}
