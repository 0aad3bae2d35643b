//! One user a line: the user, then the items in order.

use super::batch::{Batch, Rejected};
use super::blocks::{self, Block};
use super::builder::{FileRead, LogBuilder};
use super::columns::{self, Role};
use super::error::{DataError, Problem, shown};
use super::options::ReadOptions;
use super::source::Source;

/// Reads all lines. Fields are set apart by blanks, or by the delimiter that was asked for.
pub(crate) fn read(mut source: Source<'_>, options: &ReadOptions, log: &mut LogBuilder) -> Result<(), DataError> {
    let file = source.file().to_owned();
    let first = String::from_utf8_lossy(source.first_line().unwrap_or_default()).into_owned();
    let names =
        |text: &str| text.split([' ', '\t', ',', ';']).next().is_some_and(|name| columns::is_usual(Role::User, name));
    if names(&first) {
        let first = shown(first.as_bytes());
        let fix = format!("its first line is a header ({first}): tail -n +2 {file} > rows.txt");
        return Err(DataError::Container { file, what: "no file of sequences", fix });
    }
    let parse = |block: &Block, batch: &mut Batch| {
        for (number, line) in block.text.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            let comment = options.comment.as_deref().unwrap_or("#").as_bytes();
            if line.is_empty() || line.starts_with(comment) {
                continue;
            }
            batch.rows += 1;
            let number = number as u64 + 1;
            if let Err(rejected) = history(line, number, options, batch) {
                batch.reject(&file, number, None, rejected);
            }
        }
        Ok(())
    };
    let batches = blocks::parse_all(&mut source, 0, &blocks::Lines, options, log.names(), parse)?;
    if batches.iter().all(|batch| batch.rows == 0) {
        return Err(DataError::Empty { file });
    }
    let (how, notes) = ("one user a line, then the items in order".to_owned(), Vec::new());
    log.add(FileRead { file, lines_before: 0, unit: options.time_unit, plan: None, batches, how, notes })
}

/// Adds the events of one line; all of it is checked before any of it is kept.
fn history(line: &[u8], number: u64, options: &ReadOptions, batch: &mut Batch) -> Result<(), Rejected> {
    let text = std::str::from_utf8(line).map_err(|_| Rejected::line(Problem::NotUtf8, line))?;
    let mut names: Vec<&str> = match options.delimiter.as_deref() {
        None | Some(" ") => text.split_ascii_whitespace().collect(),
        Some(delimiter) => text.split(delimiter).map(str::trim).collect(),
    };
    if options.delimiter.is_some() && names.last() == Some(&"") {
        names.pop();
    }
    for (place, name) in names.iter().enumerate() {
        let role = if place == 0 { Role::User } else { Role::Item };
        super::batch::id(options, role, super::batch::Cell::text(name.as_bytes()))?;
    }
    let Some((user, items)) = names.split_first() else { return Ok(()) };
    if items.is_empty() {
        let other = [",", ";", "|"].into_iter().find(|other| user.contains(other));
        let hint = other.map_or(String::new(), |other| format!(" (--delimiter '{other}' if that sets them apart)"));
        let problem = Problem::Syntax(format!("a user without an item{hint}"));
        return Err(Rejected::line(problem, line));
    }
    items.iter().for_each(|item| batch.push_plain(number, user, item));
    Ok(())
}

/// What a file of sequences has in place of columns.
pub(crate) fn columns() -> (&'static str, &'static str) {
    ("the first field", "the fields behind it")
}
