//! The top of a delimited file: delimiter, header, and what to make of a file without one.

use super::amazon;
use super::columns::{self, Plan, Role};
use super::error::{DataError, shown};
use super::fields::{Dialect, Fields, Record, Records, RowShape};
use super::hints;
use super::not_a_header;
use super::options::{Column, Format, Quote, ReadOptions};
use super::time::TimeUnit;
use super::time_parts;

/// Rows that are looked at to tell a column's kind.
const SAMPLE: usize = 100;

/// How a delimited file is laid out.
pub(crate) struct Layout {
    pub dialect: Dialect,
    pub plan: Plan,
    /// Names of the columns.
    pub header: Vec<String>,
    /// Whether the file has them; otherwise they are numbers, or those of a well-known file.
    pub has_header: bool,
    /// Bytes and lines above the first row.
    pub skipped: (usize, u64),
    pub notes: Vec<String>,
    /// What its times count.
    pub unit: TimeUnit,
}

/// The lines above the header.
struct Top {
    /// Where the header (or the first row) begins, and the lines above it.
    at: usize,
    lines: u64,
    /// What the line `sep=;` says.
    delimiter: Option<String>,
    notes: Vec<String>,
}

/// Looks at the first bytes of a file.
pub(crate) fn find(
    file: &str,
    options: &ReadOptions,
    format: Format,
    extension: &str,
    head: (&[u8], bool),
) -> Result<Layout, DataError> {
    let (text, whole) = head;
    let mut top = top(options, text);
    let comment = options.comment.as_ref().map(|comment| comment.clone().into_bytes());
    let mut first = first_line(text, top.at);
    let quote = |delimiter: &str| match options.quote {
        Some(Quote::None) => None,
        Some(Quote::Char(quote)) => Some(quote),
        None => (delimiter != "\t").then_some(b'"'),
    };
    let with = |delimiter: &str| Dialect {
        delimiter: delimiter.as_bytes().to_vec(),
        quote: quote(delimiter),
        escape: options.escape.map(|escape| escape as u8),
        comment: comment.clone(),
        rows: None,
    };
    let makes_columns = |line: &[u8], delimiter: &str| {
        let names = split(&with(delimiter), line);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        columns::plan(file, options, &names).is_ok()
    };
    let delimiter = |line: &[u8]| {
        let asked = options.delimiter.clone().or(top.delimiter.clone());
        asked.unwrap_or_else(|| delimiter(format, extension, line, &makes_columns))
    };
    let mut delimiter_of_file = delimiter(first);
    // A header may have a comment's sign: "# user,item,time".
    let sign = options.comment.as_deref().unwrap_or("#").as_bytes();
    let (mut commented, mut header_has_sign) = (0, false);
    while first.starts_with(sign) && (options.comment.is_some() || !options.no_header) {
        let stripped = first[sign.len()..].trim_ascii_start();
        let names = split(&with(&delimiter(stripped)), stripped);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        if options.comment.is_none() && columns::plan(file, options, &names).is_ok() {
            delimiter_of_file = delimiter(stripped);
            header_has_sign = true;
            break;
        }
        commented += 1;
        let length = memchr::memchr(b'\n', &text[top.at..]).map_or(text.len() - top.at, |length| length + 1);
        let (at, lines) = blank_lines(text, top.at + length);
        (top.at, top.lines) = (at, top.lines + 1 + lines);
        first = first_line(text, top.at);
        delimiter_of_file = delimiter(first);
    }
    if commented > 0 {
        top.notes.push(format!("{commented} comment lines above the header were passed over"));
    }
    let mut dialect = with(&delimiter_of_file);
    let mut records = Records::new(&dialect, &text[top.at..], whole);
    let mut fields = Fields::default();
    let body = &text[top.at..];
    let mut lines = top.lines;
    let inside = loop {
        match records.next(&dialect, &mut fields) {
            Record::Row(inside) => break inside,
            Record::Nothing => lines += 1,
            Record::End if commented > 0 => {
                let fix = "if they are rows, say --no-header, or what comments begin with: --comment TEXT".into();
                return Err(DataError::Container { file: file.into(), what: "a file of comments alone", fix });
            }
            Record::End => return Err(DataError::Empty { file: file.into() }),
            Record::Bad(problem) => {
                let line = memchr::memchr(b'\n', body).map_or(body, |end| &body[..end]);
                let (file, column, value) = (file.to_owned(), None, shown(line));
                return Err(super::LineError { file, line: lines + 1, column, problem, value }.into());
            }
            Record::Incomplete => {
                return Err(DataError::RecordTooLong { file: file.into(), line: lines + 1, limit: text.len() as u64 });
            }
        }
    };
    let mut header: Vec<String> =
        fields.all(body).map(|name| String::from_utf8_lossy(name.trim_ascii()).into_owned()).collect();
    let below = (top.at + records.at(), lines + 1 + inside);
    if let Some(first) = header.first_mut().filter(|_| header_has_sign) {
        *first = first.trim_start_matches('#').trim_start().to_owned();
    }
    let has_usual_name = Role::ALL.into_iter().any(|role| header.iter().any(|name| columns::is_usual(role, name)));
    let names: Vec<&str> = header.iter().map(String::as_str).collect();
    let start = (top.at, top.lines);
    let (header, plan, has_header, skipped) = if options.no_header {
        let numbers: Vec<String> = (1..=header.len()).map(|number| number.to_string()).collect();
        let names: Vec<&str> = numbers.iter().map(String::as_str).collect();
        let plan = columns::plan(file, options, &names).map_err(|error| match error {
            DataError::MissingColumn { .. } => without_header(file, options, &dialect, body, whole, &header),
            other => other,
        })?;
        let usual: Vec<&str> = header.iter().map(String::as_str).collect();
        if columns::plan(file, &ReadOptions::default(), &usual).is_ok() {
            let line = shown(first_line(body, 0));
            return Err(DataError::Options(format!(
                "{file}: --no-header, but its first line is names: {line:?}; leave the flag out"
            )));
        }
        (numbers, plan, false, start)
    } else {
        match columns::plan(file, options, &names) {
            Ok(plan) if not_a_header::holds_values(&plan, &header) => {
                return Err(without_header(file, options, &dialect, body, whole, &header));
            }
            Ok(plan) => {
                if !has_usual_name && columns::is_by_number(options, &names) {
                    top.notes.push(format!(
                        "columns by number, and the first line ({}) taken for their names: --no-header if it is a row",
                        shown(first_line(body, 0))
                    ));
                }
                (header, plan, true, below)
            }
            Err(mut error @ DataError::MissingColumn { .. }) => {
                if let Some(fix) = not_a_header::lines_above(text, top.at, |line| makes_columns(line, &delimiter(line)))
                {
                    let what = "text above the header";
                    return Err(DataError::Container { file: file.into(), what, fix: fix.replace("FILE", file) });
                }
                if header.iter().flat_map(|name| name.chars()).any(|c| c == '\0' || c == '\u{fffd}') {
                    let fix = "write it as CSV or JSON Lines, in UTF-8 (iconv -f ENCODING -t UTF-8 OLD > NEW)".into();
                    return Err(DataError::Container { file: file.into(), what: "no text in UTF-8", fix });
                }
                if header[0].starts_with('<') && header[0].contains('>') {
                    let fix = "write its rows as CSV".into();
                    return Err(DataError::Container { file: file.into(), what: "an XML or HTML file", fix });
                }
                if let Some((what, fix)) = odd_quotes(file, &header, (&dialect, options), first_line(body, 0)) {
                    return Err(DataError::Container { file: file.into(), what, fix });
                }
                if !header.iter().any(|name| is_value(name)) {
                    if let DataError::MissingColumn { hint, .. } = &mut error {
                        *hint = not_a_header::what_else(&header, !has_usual_name);
                    }
                    return Err(error);
                }
                if !is_movie_lens(&dialect, &sample(&dialect, body, whole)) {
                    return Err(without_header(file, options, &dialect, body, whole, &header));
                }
                let known = ["user", "item", "rating", "timestamp"].map(String::from).to_vec();
                let names: Vec<&str> = known.iter().map(String::as_str).collect();
                let plan = columns::plan(file, options, &names)?;
                top.notes.push("no header: read as MovieLens' columns user, item, rating, timestamp".into());
                (known, plan, false, start)
            }
            Err(error) => return Err(error),
        }
    };
    let sampled = sample(&dialect, &text[skipped.0..], whole);
    if sampled.first().is_some_and(|row| not_a_header::is_ruler(row)) {
        return Err(DataError::Container {
            file: file.into(),
            what: "no CSV",
            fix: not_a_header::RULED.replace("FILE", file),
        });
    }
    let names: Vec<&str> = header.iter().map(String::as_str).collect();
    let column = |index: usize| sampled.iter().filter_map(|row| row.get(index)).map(String::as_bytes).collect();
    let lines = time_parts::Layout::Lines { delimiter: &delimiter_of_file };
    columns::refuse_unclear_time(file, (&plan, options), &names, lines, column)?;
    let when = plan.index(Role::Time).unwrap_or(header.len());
    let unit = amazon::unit(options, &plan, sampled.iter().filter_map(|row| row.get(when)).map(String::as_bytes));
    if options.quote.is_none() {
        dialect.rows = Some(RowShape { fields: header.len(), time: plan.index(Role::Time) });
    }
    Ok(Layout { dialect, plan, header, has_header, skipped, notes: top.notes, unit })
}

/// A header whose names are in quotes of another kind, or that is in quotes as a whole: what it is, and what to do.
fn odd_quotes(
    file: &str,
    header: &[String],
    (dialect, options): (&Dialect, &ReadOptions),
    line: &[u8],
) -> Option<(&'static str, String)> {
    let between = |open: char, close: char| {
        header.iter().all(|name| name.chars().count() > 1 && name.starts_with(open) && name.ends_with(close))
    };
    if dialect.quote.is_none() && options.quote.is_none() && between('"', '"') {
        return Some(("text set apart by tabs, with quotes", "say --quote '\"'".into()));
    }
    if options.quote.is_none() && between('\'', '\'') {
        return Some(("a log whose fields are in single quotes", "say --quote \"'\"".into()));
    }
    if between('"', '"') {
        let fix = format!("take one pair off: sed 's/\"\"\"/\"/g' {file} > once.csv");
        return Some(("a log whose fields were quoted twice", fix));
    }
    for (open, close) in ['\u{201c}', '\u{201e}', '\u{2018}', '\u{201a}', '\u{ab}', '\u{bb}', '`']
        .into_iter()
        .zip(['\u{201d}', '\u{201c}', '\u{2019}', '\u{2018}', '\u{bb}', '\u{ab}', '`'])
    {
        if between(open, close) {
            let fix = format!("write straight quotes: sed 's/[{open}{close}]/\"/g' {file} > straight.csv");
            return Some(("a log whose fields are in curly quotes", fix));
        }
    }
    let ([only], [b'"', ..]) = (header, line) else { return None };
    let several = [',', ';', '\t', '|'].into_iter().any(|delimiter| only.contains(delimiter));
    several.then(|| {
        let fix = format!("take those quotes off: sed 's/^\"//; s/\"$//; s/\"\"/\"/g' {file} > rows.csv");
        ("a log whose rows are in quotes as a whole", fix)
    })
}

pub(super) fn first_line(text: &[u8], at: usize) -> &[u8] {
    let rest = &text[at..];
    memchr::memchr(b'\n', rest).map_or(rest, |end| &rest[..end]).trim_ascii()
}

/// Where the first line is that is not blank, and how many are above it.
fn blank_lines(text: &[u8], from: usize) -> (usize, u64) {
    let (mut at, mut lines) = (from, 0);
    while let Some(length) = memchr::memchr(b'\n', &text[at..]) {
        if !text[at..at + length].trim_ascii().is_empty() {
            break;
        }
        at += length + 1;
        lines += 1;
    }
    (at, lines)
}

fn top(options: &ReadOptions, text: &[u8]) -> Top {
    let (at, lines) = blank_lines(text, 0);
    let mut top = Top { at, lines, delimiter: None, notes: Vec::new() };
    // Excel's word for the delimiter.
    if let Some(delimiter) = not_a_header::said_delimiter(text, at)
        && options.delimiter.is_none()
    {
        top.delimiter = Some(delimiter);
        let length = memchr::memchr(b'\n', &text[at..]).map_or(text.len() - at, |length| length + 1);
        let (at, more) = blank_lines(text, at + length);
        (top.at, top.lines) = (at, lines + 1 + more);
    }
    top
}

/// The delimiter of a header: a log has two columns at least, so what the header lacks is not it. Where a name has a comma in
/// it, it is the delimiter that `makes_columns` of the right names.
fn delimiter(format: Format, extension: &str, line: &[u8], makes_columns: &dyn Fn(&[u8], &str) -> bool) -> String {
    let usual = match (format, extension) {
        (Format::Csv, _) => return ",".into(),
        (Format::Tsv, _) => return "\t".into(),
        (_, "tsv") => "\t",
        _ => ",",
    };
    let candidates = [usual, "\t", ",", ";", "|", "::", "\u{1}", "\u{1f}", "\u{1e}", "~", "^", " "];
    let there = |delimiter: &&str| memchr::memmem::find(line, delimiter.as_bytes()).is_some();
    let found = candidates.into_iter().filter(there).find(|delimiter| makes_columns(line, delimiter));
    found.or_else(|| candidates.into_iter().find(there)).unwrap_or(usual).into()
}

fn split(dialect: &Dialect, line: &[u8]) -> Vec<String> {
    let mut fields = Fields::default();
    Records::new(dialect, line, true).next(dialect, &mut fields);
    fields.all(line).map(|name| String::from_utf8_lossy(name.trim_ascii()).into_owned()).collect()
}

/// The first rows of a text.
fn sample(dialect: &Dialect, text: &[u8], whole: bool) -> Vec<Vec<String>> {
    let mut records = Records::new(dialect, text, whole);
    let (mut fields, mut rows) = (Fields::default(), Vec::new());
    while rows.len() < SAMPLE {
        match records.next(dialect, &mut fields) {
            // The last line of a beginning may be cut.
            Record::Row(_) if !whole && records.at() == text.len() => break,
            Record::Row(_) => {
                rows.push(
                    fields.all(text).map(|name| String::from_utf8_lossy(name.trim_ascii()).into_owned()).collect(),
                );
            }
            Record::Nothing | Record::Bad(_) => {}
            Record::Incomplete | Record::End => break,
        }
    }
    rows
}

/// Whether a field is a number or a date, as no column's name is.
pub(super) fn is_value(field: &str) -> bool {
    !field.is_empty() && (field.parse::<f64>().is_ok() || hints::looks_like_one(field.as_bytes()))
}

/// MovieLens without a header: user, item, a rating up to 10, and a time in seconds, with tabs or `::` between them.
fn is_movie_lens(dialect: &Dialect, rows: &[Vec<String>]) -> bool {
    let is_row = |row: &Vec<String>| {
        row.len() == 4
            && row.iter().all(|field| field.parse::<f64>().is_ok())
            && row[2].parse::<f64>().is_ok_and(|rating| (0.0..=10.0).contains(&rating))
            && row[3].parse::<i64>().is_ok_and(|time| TimeUnit::fitting(time) == Some(TimeUnit::Seconds))
    };
    matches!(&dialect.delimiter[..], b"\t" | b"::") && !rows.is_empty() && rows.iter().all(is_row)
}

/// What to say of a file whose first line is a row, as far as can be told.
fn without_header(
    file: &str,
    options: &ReadOptions,
    dialect: &Dialect,
    text: &[u8],
    whole: bool,
    first: &[String],
) -> DataError {
    let rows = sample(dialect, text, whole);
    let line = shown(first_line(text, 0));
    let lengths = || rows.iter().map(Vec::len);
    let sequences = "if each line is a user and then the items in order, say --format sequences";
    let uneven = lengths().min() != lengths().max();
    let blanks_within = rows.iter().all(|row| row.len() == 2 && row[1].contains(' '));
    let hint =
        if uneven && matches!(&dialect.delimiter[..], b" " | b"\t") || dialect.delimiter == b"\t" && blanks_within {
            sequences.to_owned()
        } else if let ([one], true) = (&dialect.delimiter[..], uneven) {
            format!("{sequences} --delimiter '{}'", char::from(*one))
        } else {
            let mut flags = String::from("say --no-header");
            if dialect.delimiter != b"," && dialect.delimiter != b"\t" || options.delimiter.is_some() {
                let delimiter = String::from_utf8_lossy(&dialect.delimiter);
                let text = match &dialect.delimiter[..] {
                    b" " => "space".to_owned(),
                    [one] if one.is_ascii_control() => format!("$'\\x{one:02x}'"),
                    _ => format!("'{delimiter}'"),
                };
                flags += &format!(" --delimiter {text}");
            }
            let columns = guess(&rows, first.len());
            for (role, flag) in [
                (Role::User, &options.columns.user),
                (Role::Item, &options.columns.item),
                (Role::Time, &options.columns.time),
            ] {
                match (flag, columns[role as usize]) {
                    (Column::Named(name), _) => flags += &format!(" --{}-column {name}", role.name()),
                    (_, Some(index)) => flags += &format!(" --{}-column {}", role.name(), index + 1),
                    _ => {}
                }
            }
            flags += " (or the numbers of other columns)";
            let integers =
                rows.iter().flatten().all(|field| field.bytes().all(|byte| byte.is_ascii_digit() || byte == b':'));
            if integers && columns[Role::Time as usize].is_none() && first.len() > 2 {
                flags += &format!("; {sequences}");
            }
            flags
        };
    DataError::NoHeader { file: file.into(), line, hint }
}

/// Columns that may be the user, the item and the time.
fn guess(rows: &[Vec<String>], columns: usize) -> [Option<usize>; 3] {
    let of = |index: usize| rows.iter().filter_map(move |row| row.get(index));
    let is_time =
        |index: &usize| of(*index).count() > 0 && of(*index).all(|value| hints::looks_like_one(value.as_bytes()));
    let when = (0..columns).find(is_time);
    let user = (0..columns).find(|index| Some(*index) != when);
    let is_decimal = |index: usize| of(index).any(|value| value.contains('.') && value.parse::<f64>().is_ok());
    let distinct = |index: usize| of(index).collect::<std::collections::HashSet<_>>().len();
    let others = (0..columns).filter(|index| Some(*index) != when && Some(*index) != user && !is_decimal(*index));
    // The first of those with the most values.
    let item = others.rev().max_by_key(|index| distinct(*index));
    [user, item, when]
}
