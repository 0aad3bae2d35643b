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
    /// The time is neither an integer nor a decimal number of seconds.
    #[error("is not a number of seconds")]
    NotATime,
    /// The position is not an integer.
    #[error("is not an integer")]
    NotAnInteger,
    /// The number does not fit into 64 bits.
    #[error("is outside the range of 64-bit integers")]
    OutOfRange,
    /// The identifier is neither a string nor an integer (JSON only).
    #[error("is neither a string nor an integer")]
    NotAnId,
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
        Ok(())
    }
}

impl std::error::Error for LineError {}

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
    #[error("{}: is a folder, a file is needed", path.display())]
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
    #[error("{file}: no column for the {role}: looked for {wanted}; the columns are {}", quoted(found))]
    MissingColumn {
        /// The file.
        file: String,
        /// What the column is for: user, item, time, category or position.
        role: &'static str,
        /// The names that would have been accepted.
        wanted: String,
        /// The names that are there, each cut after 60 characters, 50 names at most.
        found: Vec<String>,
    },
    /// Two columns carry the name that was asked for.
    #[error("{file}: two columns are named {column:?}")]
    AmbiguousColumn {
        /// The file.
        file: String,
        /// The name.
        column: String,
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
        assert_eq!(error.to_string(), "log.csv:7: column \"timestamp\" is not a number of seconds: \"noon\"");
    }
}
