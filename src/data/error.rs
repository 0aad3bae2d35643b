//! What can go wrong while a log is read, with the file, the line and the value in the message.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

/// Longest piece of an offending value that a message shows, in characters.
const SHOWN_CHARS: usize = 60;

/// Why one line of a log cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Problem {
    /// The line has another number of fields than the header.
    #[error("has {found} fields where the header has {expected}")]
    FieldCount {
        /// Fields in the header.
        expected: usize,
        /// Fields on this line.
        found: usize,
    },
    /// A field that must hold something is empty, absent or null.
    #[error("is empty or missing")]
    Missing,
    /// The field is not valid UTF-8.
    #[error("is not valid UTF-8")]
    NotUtf8,
    /// The identifier is longer than [`max_id_bytes`](super::ReadOptions::max_id_bytes).
    #[error("is {bytes} bytes long, the limit is {limit}")]
    IdTooLong {
        /// Length of the value.
        bytes: usize,
        /// Longest length that is accepted.
        limit: usize,
    },
    /// The time is neither a number nor a date in one of its usual forms.
    #[error("is not a time: neither a number nor a date such as 2018-08-23 22:00:58")]
    NotATime,
    /// The time is not written as [`time_format`](super::ReadOptions::time_format) says.
    #[error("is not of the format {0}")]
    NotOfFormat(String),
    /// The position is not an integer.
    #[error("is not an integer")]
    NotAnInteger,
    /// The number does not fit into 64 bits.
    #[error("is outside the range of 64-bit integers")]
    OutOfRange,
    /// The identifier is neither a string nor an integer (JSON only).
    #[error("is neither a string nor an integer")]
    NotAnId,
    /// A quote is opened in this record and never closed.
    #[error("opens a quote that is never closed")]
    OpenQuote,
    /// Something stands between a closing quote and the next delimiter.
    #[error("has text after a closing quote")]
    TextAfterQuote,
    /// A quoted field runs over lines that are rows themselves.
    #[error("opens a quote that is closed {lines} lines further down, and what lies between looks like rows")]
    SwallowedRows {
        /// How many line breaks are in the record.
        lines: u64,
    },
    /// The text has half a surrogate pair (`\ud83d` alone), so it is no name that could be told from others.
    #[error("has half a surrogate pair")]
    HalfSurrogate,
    /// The line is not a JSON object, or a meta line is not a Python dictionary.
    #[error("does not parse: {0}")]
    Syntax(String),
}

/// One malformed line: where it is, which column, what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LineError {
    /// The file, as it was given.
    pub file: String,
    /// Physical line, counted from 1, on which the record starts (line breaks inside quotes count).
    pub line: u64,
    /// The column at fault, where one is.
    pub column: Option<String>,
    /// What is wrong.
    pub problem: Problem,
    /// The offending value: escaped, and cut after 60 characters.
    pub value: String,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        match &self.column {
            Some(column) => write!(f, "column {column:?} ")?,
            None => write!(f, "line ")?,
        }
        write!(f, "{}", self.problem)?;
        if !self.value.is_empty() {
            write!(f, ": \"{}\"", self.value)?;
        }
        f.write_str(&self.problem.fix(&self.value))
    }
}

impl std::error::Error for LineError {}

impl Problem {
    /// What to do about it, as the end of a message; empty where that is plain.
    fn fix(&self, value: &str) -> String {
        match self {
            Problem::NotATime => super::hints::hint(value),
            Problem::NotUtf8 => " (if it is Windows-1252: iconv -f CP1252 -t UTF-8 OLD > NEW)".into(),
            Problem::Missing => " (--on-error skip leaves such lines out)".into(),
            Problem::OpenQuote | Problem::SwallowedRows { .. } => {
                " (--quote none takes quotes as they are; --quote '\"' insists on them)".into()
            }
            Problem::FieldCount { expected, found } => {
                let what = match value.trim_start().chars().next() {
                    Some(sign @ ('#' | '%' | ';')) if *found == 1 => format!("--comment '{sign}' if it is a comment; "),
                    _ if found > expected && value.contains('"') => {
                        "--quote '\"' if delimiters stand within quotes; ".into()
                    }
                    _ if found > expected => "a delimiter within a field needs quotes around it; ".into(),
                    _ => String::new(),
                };
                format!(" ({what}--on-error skip leaves such lines out)")
            }
            Problem::Syntax(problem) if problem.starts_with("expected value") && !value.starts_with('{') => {
                " (--format csv if it is no JSON)".into()
            }
            Problem::Syntax(problem) if problem.starts_with("trailing characters") => {
                " (one object a line: jq -c . OLD > NEW; a comma behind each: sed 's/,$//' OLD > NEW)".into()
            }
            // The value is escaped: a backslash of the file is two here.
            Problem::TextAfterQuote if value.contains("\\\\") => {
                " (--escape '\\' where a quote inside quotes is written \\\"; --quote none takes quotes as they are)"
                    .into()
            }
            Problem::TextAfterQuote => {
                " (a quote inside quotes is written twice; --quote none takes quotes as they are)".into()
            }
            _ => String::new(),
        }
    }
}

/// A value made fit for a message: lossy UTF-8, control characters escaped, cut after 60 characters.
pub(crate) fn shown(value: &[u8]) -> String {
    // Four bytes a character at most, plus one character to see that something was cut.
    let head = &value[..value.len().min(4 * (SHOWN_CHARS + 1))];
    let text = String::from_utf8_lossy(head);
    let mut out = String::new();
    for (taken, c) in text.chars().enumerate() {
        if taken == SHOWN_CHARS {
            out.push('…');
            return out;
        }
        out.extend(c.escape_debug());
    }
    if head.len() < value.len() {
        out.push('…');
    }
    out
}

/// Everything that stops a log from being read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The file does not exist.
    #[error("{}: no such file", path.display())]
    NotFound {
        /// The path that was given.
        path: PathBuf,
    },
    /// The path is a folder.
    #[error("{}: is a folder without a file to read, or is where a file is needed", path.display())]
    Directory {
        /// The path that was given.
        path: PathBuf,
    },
    /// The operating system refused to open or read the file.
    #[error("{file}: {source}")]
    Io {
        /// The file.
        file: String,
        /// The system's error.
        source: std::io::Error,
    },
    /// The compressed stream ends in the middle.
    #[error("{file}: the compressed file is truncated")]
    Truncated {
        /// The file.
        file: String,
    },
    /// The compressed stream is damaged.
    #[error("{file}: the compressed file is damaged: {reason}")]
    Corrupt {
        /// The file.
        file: String,
        /// What the decompressor says.
        reason: String,
    },
    /// The file holds nothing, or nothing but blank lines.
    #[error("{file}: the file is empty")]
    Empty {
        /// The file.
        file: String,
    },
    /// The file holds a header and no row.
    #[error("{file}: there is a header, but not a single row below it")]
    HeaderOnly {
        /// The file.
        file: String,
    },
    /// The header (or the first JSON object) lacks a column.
    #[error(
        "{file}: no column for the {role}: looked for {wanted}; the columns are {}; name it with --{role}-column NAME{hint}",
        quoted(found)
    )]
    MissingColumn {
        /// The file.
        file: String,
        /// What the column is for: user, item, time, category or position.
        role: &'static str,
        /// The names that would have been accepted.
        wanted: String,
        /// The names that are there, each cut after 60 characters, 50 names at most.
        found: Vec<String>,
        /// What else may help; empty or a sentence's end.
        hint: &'static str,
    },
    /// Two columns carry the name that was asked for.
    #[error("{file}: two columns are named {column:?}: name one by its number, for instance --{role}-column {place}")]
    AmbiguousColumn {
        /// The file.
        file: String,
        /// The name.
        column: String,
        /// What the column is for.
        role: &'static str,
        /// Place of the first one, counted from 1.
        place: usize,
    },
    /// There are two columns that could be meant.
    #[error("{file}: {first:?} and {second:?} could both be the {role}: say which with --{role}-column NAME")]
    TwoCandidates {
        /// The file.
        file: String,
        /// What the column is for.
        role: &'static str,
        /// One name.
        first: String,
        /// The other name.
        second: String,
    },
    /// The first line holds values where names were expected.
    #[error("{file}: this file seems to have no header: its first line is {line:?}; {hint}")]
    NoHeader {
        /// The file.
        file: String,
        /// The first line, cut after 60 characters.
        line: String,
        /// The flags that would read it.
        hint: String,
    },
    /// A column looks like times, but none was taken, so that the order of the file would count.
    #[error(
        "{file}: no column was taken for the time, but {column:?} looks like one ({example:?}): \
         say --time-column {column:?}, or --time-column none to go by the order of the file"
    )]
    UnclearTime {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// A value of it.
        example: String,
    },
    /// A key that would have been taken first appears far into the file.
    #[error(
        "{file}:{line}: {column:?} appears here for the first time, too late to be taken for the {role}: \
         say --{role}-column {column:?} or --{role}-column none"
    )]
    LateColumn {
        /// The file.
        file: String,
        /// The line.
        line: u64,
        /// The key.
        column: String,
        /// What it would be for.
        role: &'static str,
    },
    /// Times are moments of these centuries in another unit alone.
    #[error(
        "{file}: column {column:?} was read as {}, but its times fit {}: {example} is {}; say --time-unit {}",
        unit.name(), fits.name(), super::time::date_of(*example, *fits), fits.short()
    )]
    WrongUnit {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// The unit that was asked for.
        unit: super::TimeUnit,
        /// The unit that fits.
        fits: super::TimeUnit,
        /// One of the numbers.
        example: i64,
    },
    /// Times of several units in one column.
    #[error(
        "{file}: column {column:?} mixes units: {first}, {second}; --where '{column}<LIMIT' or '{column}>LIMIT' keeps those \
         of one unit"
    )]
    MixedUnits {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// A time of one unit, with its line and what it fits.
        first: String,
        /// A time of another unit, likewise.
        second: String,
    },
    /// Digits that are a date, such as 20180823.
    #[error("{file}: column {column:?} holds dates without separators ({example}): say --time-format {format}")]
    CompactDates {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// One of the numbers.
        example: i64,
        /// The format that reads it.
        format: &'static str,
    },
    /// Times that a spreadsheet has rounded to a few digits.
    #[error(
        "{file}: column {column:?} was rounded by whoever wrote it ({example:?}): the times are lost. Write the file \
         again with whole numbers, or go by the order of the file with --time-column none"
    )]
    RoundedTimes {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// One of the values.
        example: String,
    },
    /// Times that cannot be what they were read as, or that stand for none.
    #[error("{file}: column {column:?}: {what}: {fix}")]
    OddTimes {
        /// The file.
        file: String,
        /// The column.
        column: String,
        /// What they are, with an example and its line.
        what: String,
        /// What makes times of them.
        fix: String,
    },
    /// Columns that only together are a time.
    #[error(
        "{file}: {columns}: parts of a time, and no time was taken: {fix}, or --time-column none to go by the order of the file"
    )]
    TimeParts {
        /// The file.
        file: String,
        /// Their names.
        columns: String,
        /// What joins them.
        fix: String,
    },
    /// A kind of file that is not read here.
    #[error("{file}: this is {what}: {fix}")]
    Container {
        /// The file.
        file: String,
        /// What it is.
        what: &'static str,
        /// What makes a log of it.
        fix: String,
    },
    /// No row passes the filters.
    #[error("{file}: not one of {rows} rows holds --where {filters}; the columns' values are {seen}")]
    NothingHolds {
        /// The file.
        file: String,
        /// How many rows there are.
        rows: u64,
        /// The filters.
        filters: String,
        /// Values of the first row.
        seen: String,
    },
    /// Some files of a log have times and others not.
    #[error("{first} has a column for the {role}, {second} has none: one log needs the same columns in all its files")]
    UnlikeFiles {
        /// A file with the column.
        first: String,
        /// A file without it.
        second: String,
        /// What the column is for.
        role: &'static str,
    },
    /// A pattern that no file fits, or a folder without a file.
    #[error("{}: there is no file to read", path.display())]
    NoFiles {
        /// The path or pattern.
        path: PathBuf,
    },
    /// A malformed line, with [`OnError::Fail`](super::OnError::Fail).
    #[error(transparent)]
    Line(#[from] LineError),
    /// A record runs on without end: most often a quote that is opened and never closed.
    #[error(
        "{file}:{line}: the record that starts here is longer than {limit} bytes \
         (is a quote opened and never closed?)"
    )]
    RecordTooLong {
        /// The file.
        file: String,
        /// Line on which the record starts.
        line: u64,
        /// Longest record accepted, in bytes.
        limit: u64,
    },
    /// More distinct names, or more events, than 32-bit ids can tell apart.
    #[error("more than {limit} {what}")]
    TooMany {
        /// Users, items, categories or events.
        what: &'static str,
        /// The limit.
        limit: usize,
    },
    /// Every row was malformed and skipped.
    #[error("{file}: all {skipped} rows are malformed; the first: {first}")]
    AllSkipped {
        /// The file.
        file: String,
        /// How many rows were skipped.
        skipped: u64,
        /// The first of them.
        first: Box<LineError>,
    },
    /// The k-core is empty.
    #[error(
        "nothing is left of {events} events in the core of users with at least {users} \
         and items with at least {items} events"
    )]
    EmptyCore {
        /// Events before the cut.
        events: usize,
        /// Fewest events a user may have.
        users: u32,
        /// Fewest events an item may have.
        items: u32,
    },
    /// Options that contradict each other.
    #[error("{0}")]
    Options(String),
    /// Arrays handed to [`Dataset::from_parts`](super::Dataset::from_parts) do not fit together.
    #[error("inconsistent dataset: {0}")]
    Inconsistent(String),
}

fn quoted(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_escapes_and_cuts() {
        assert_eq!(shown(b"a\tb\xff"), "a\\tb\u{fffd}");
        assert_eq!(shown(&[b'x'; 60]).chars().count(), 60);
        let cut = shown(&vec![b'x'; 1 << 20]);
        assert_eq!(cut.chars().count(), 61);
        assert!(cut.ends_with('…'));
    }

    #[test]
    fn a_line_error_names_file_line_column_and_value() {
        let error = LineError {
            file: "log.csv".into(),
            line: 7,
            column: Some("timestamp".into()),
            problem: Problem::NotATime,
            value: "noon".into(),
        };
        let text = error.to_string();
        assert!(text.starts_with("log.csv:7: column \"timestamp\" is not a time:"), "{text}");
        assert!(text.contains(": \"noon\"; --time-format"), "{text}");
    }
}
