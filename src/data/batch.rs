//! Some rows of a log: checked, counted, and with numbers for names.

use serde::Serialize;

use super::columns::{Plan, Role};
use super::error::{DataError, LineError, Problem, shown};
use super::interner::{Interner, Names};
use super::numbers::Numbers;
use super::options::ReadOptions;
use super::plausible::Plausible;
use super::time::{self, Moment};

/// How many malformed lines are kept for the report.
const KEPT: usize = 10;

/// The malformed lines that were left out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SkipReport {
    /// How many there were.
    pub count: u64,
    /// The first ten.
    pub first: Vec<LineError>,
}

impl SkipReport {
    pub(crate) fn add(&mut self, error: LineError) {
        self.count += 1;
        if self.first.len() < KEPT {
            self.first.push(error);
        }
    }

    /// Adds those of later lines.
    pub(crate) fn append(&mut self, later: SkipReport) {
        self.count += later.count;
        let room = KEPT - self.first.len().min(KEPT);
        self.first.extend(later.first.into_iter().take(room));
    }
}

/// What kind of value a field holds. A CSV has text alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Kind {
    /// Not there, or null.
    #[default]
    Absent,
    Text,
    Integer,
    Float,
    /// The last element of a list.
    Last,
    /// A moment, already read.
    Moment(Moment),
    /// Text with half a surrogate pair.
    Broken,
    Other,
}

/// A field of a row.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cell<'a> {
    pub kind: Kind,
    pub text: &'a [u8],
}

impl<'a> Cell<'a> {
    pub(crate) fn text(text: &'a [u8]) -> Self {
        Self { kind: Kind::Text, text }
    }
}

/// A row that cannot be used.
#[derive(Debug)]
pub(crate) struct Rejected {
    pub role: Option<Role>,
    pub problem: Problem,
    pub value: String,
}

impl Rejected {
    pub(crate) fn new(role: Role, problem: Problem, value: &[u8]) -> Self {
        Self { role: Some(role), problem, value: shown(value) }
    }

    pub(crate) fn line(problem: Problem, value: &[u8]) -> Self {
        Self { role: None, problem, value: shown(value) }
    }
}

/// Something that happened on several lines: how often, and where first.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Seen {
    pub count: u64,
    pub first: Option<(u64, String)>,
}

impl Seen {
    pub(crate) fn add(&mut self, line: u64, value: &[u8]) {
        self.count += 1;
        if self.first.is_none() {
            self.first = Some((line, shown(value)));
        }
    }

    /// Adds what happened on later lines, which were counted from `base`.
    pub(crate) fn append(&mut self, later: Seen, base: u64) {
        self.count += later.count;
        if self.first.is_none() {
            self.first = later.first.map(|(line, value)| (line + base, value));
        }
    }
}

/// What is worth a word although it is no error.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Oddities {
    /// Ids that stand for "nothing", such as NA: of users and of items.
    pub nothing: [Seen; 2],
    /// Ids between quotes that mean nothing.
    pub quoted: Seen,
    /// Ids with the character that stands for unreadable ones.
    pub damaged: Seen,
    /// Ids that are whole numbers with `.0` behind them.
    pub floats: Seen,
    /// Ids that are lists.
    pub lists: Seen,
    /// Items of sequences that end in a colon and a number.
    pub glued: Seen,
    /// Rows that repeat the header.
    pub headers: Seen,
    /// Records over several lines.
    pub several_lines: Seen,
    /// Rows that the filters left out.
    pub filtered: u64,
    /// The filtered columns' values in the first row that was left out.
    pub filtered_first: String,
}

impl Oddities {
    /// Adds those of later lines, which were counted from `base`.
    pub(crate) fn append(&mut self, later: Oddities, base: u64) {
        for (seen, of_later) in self.nothing.iter_mut().zip(later.nothing) {
            seen.append(of_later, base);
        }
        self.quoted.append(later.quoted, base);
        self.damaged.append(later.damaged, base);
        self.floats.append(later.floats, base);
        self.lists.append(later.lists, base);
        self.glued.append(later.glued, base);
        self.headers.append(later.headers, base);
        self.several_lines.append(later.several_lines, base);
        if self.filtered == 0 {
            self.filtered_first = later.filtered_first;
        }
        self.filtered += later.filtered;
    }
}

/// Rows in the order of the file, by columns.
#[derive(Default)]
pub(crate) struct Batch {
    /// Numbers of the interners.
    pub user: Vec<u32>,
    pub item: Vec<u32>,
    /// Empty if the log has no categories.
    pub category: Vec<u32>,
    /// Seconds; empty if the log has no time.
    pub time: Numbers,
    /// Orders events of the same time: the position, or else the nanoseconds. Empty where all are 0.
    pub minor: Numbers,
    /// Rows seen, malformed and filtered ones included.
    pub rows: u64,
    /// Line breaks seen.
    pub lines: u64,
    /// Malformed lines; their line numbers count from the batch's first line.
    pub skipped: SkipReport,
    pub times: Plausible,
    pub odd: Oddities,
    /// A key that appears here for the first time and would have been taken.
    pub late: Option<super::json::LateKey>,
    users: Names,
    items: Names,
    categories: Names,
}

/// What all batches of a log share.
pub(crate) struct Interners {
    pub users: Interner,
    pub items: Interner,
    pub categories: Interner,
}

impl Interners {
    pub(crate) fn new() -> Self {
        Self { users: Interner::new("users"), items: Interner::new("items"), categories: Interner::new("categories") }
    }
}

/// Words that stand for "nothing" where an id is expected.
pub(crate) fn is_nothing(id: &[u8]) -> bool {
    const WORDS: [&[u8]; 38] = [
        b"na",
        b"n/a",
        b"#n/a",
        b"nan",
        b"null",
        b"none",
        b"nil",
        b"undefined",
        b"(null)",
        b"<na>",
        b"\\n",
        b"-",
        b"?",
        b"nat",
        b"-1",
        b"--",
        b".",
        b"n.a.",
        b"n/d",
        b"#ref!",
        b"#value!",
        b"#name?",
        b"#div/0!",
        b"#null!",
        b"#num!",
        b"missing",
        b"unknown",
        b"(none)",
        b"(not set)",
        b"not set",
        b"<null>",
        b"<nil>",
        b"[null]",
        b"guest",
        b"anonymous",
        b"[object object]",
        b"0000-00-00",
        b"00000000-0000-0000-0000-000000000000",
    ];
    let begins = |first: &u8| b"nu#(<[\\-?.mga0".contains(&first.to_ascii_lowercase());
    id.first().is_some_and(begins) && id.len() <= 36 && WORDS.iter().any(|word| id.eq_ignore_ascii_case(word))
}

/// Whether an id is whole numbers with something between them that separates elements.
fn is_list(id: &[u8]) -> bool {
    let Some(separator) = id.iter().find(|byte| !byte.is_ascii_digit()).filter(|byte| b"|,; ".contains(byte)) else {
        return false;
    };
    let mut parts = id.split(|byte| byte == separator).map(<[u8]>::trim_ascii);
    parts.all(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit))
}

/// Whether an id is between quotes that are not ASCII's.
fn is_between_quotes(id: &str) -> bool {
    let pairs = [('\u{201c}', '\u{201d}'), ('\u{201e}', '\u{201c}'), ('\u{2018}', '\u{2019}'), ('\u{ab}', '\u{bb}')];
    pairs.into_iter().any(|(open, close)| id.starts_with(open) && id.ends_with(close))
}

impl Batch {
    /// How many rows were kept.
    pub(crate) fn len(&self) -> usize {
        self.users.len() + self.user.len()
    }

    /// Adds a row, whose fields `cell` gives by their places in the plan. All of it is checked before any of it is kept.
    pub(crate) fn push<'a>(
        &mut self,
        options: &ReadOptions,
        plan: &Plan,
        line: u64,
        cell: impl Fn(usize) -> Cell<'a>,
    ) -> Result<(), Rejected> {
        if !plan.tests.iter().all(|(slot, test)| test.holds(cell(*slot).text)) {
            if self.odd.filtered == 0 {
                let seen = plan.tests.iter().map(|(slot, _)| {
                    format!("{} = \"{}\"", plan.columns[*slot].name, shown(cell(*slot).text.trim_ascii()))
                });
                self.odd.filtered_first = seen.collect::<Vec<_>>().join(", ");
            }
            self.odd.filtered += 1;
            return Ok(());
        }
        let of = |role: Role| plan.slot(role).map(&cell);
        let user = id(options, Role::User, of(Role::User).unwrap_or_default())?;
        let item = id(options, Role::Item, of(Role::Item).unwrap_or_default())?;
        let category = match of(Role::Category) {
            Some(cell) if !cell.text.trim_ascii().is_empty() => Some(id(options, Role::Category, cell)?),
            _ => None,
        };
        let (mut moment, mut minor) = (None, 0);
        if let Some(cell) = of(Role::Time) {
            let read = when(options, cell).map_err(|problem| Rejected::new(Role::Time, problem, cell.text))?;
            self.times.see(options, cell, read, line);
            (moment, minor) = (Some(read.seconds), i64::from(read.nanos));
        }
        if let Some(cell) = of(Role::Position) {
            minor = position(cell).map_err(|problem| Rejected::new(Role::Position, problem, cell.text))?;
        }
        self.look_at(line, user, item);
        if minor != 0 && self.minor.is_empty() {
            // Rows before the first one that needs it had 0.
            self.minor.push_zeros(self.users.len());
            self.minor.push(minor);
        } else if !self.minor.is_empty() {
            self.minor.push(minor);
        }
        self.users.push(user);
        self.items.push(item);
        match category {
            Some(category) => self.categories.push(category),
            None if plan.slot(Role::Category).is_some() => self.categories.push_none(),
            None => {}
        }
        if let Some(moment) = moment {
            self.time.push(moment);
        }
        Ok(())
    }

    /// Adds a row of names alone, which were checked, to a batch of such rows.
    pub(crate) fn push_plain(&mut self, line: u64, user: &str, item: &str) {
        self.look_at(line, user, item);
        if item.rsplit_once(':').is_some_and(|(name, number)| !name.is_empty() && number.parse::<f64>().is_ok()) {
            self.odd.glued.add(line, item.as_bytes());
        }
        self.users.push(user);
        self.items.push(item);
    }

    /// Notes what is odd about the ids of a row.
    fn look_at(&mut self, line: u64, user: &str, item: &str) {
        for (at, id) in [user, item].into_iter().enumerate() {
            if is_nothing(id.as_bytes()) {
                self.odd.nothing[at].add(line, id.as_bytes());
            }
            let seen = match (id.as_bytes(), id.strip_suffix(".0")) {
                ([b'"', .., b'"'] | [b'\'', .., b'\''] | [b'`', .., b'`'] | [b'=', b'"', .., b'"'], _) => {
                    &mut self.odd.quoted
                }
                ([b'[', .., b']'] | [b'{', .., b'}'] | [b'(', .., b')'], _) => &mut self.odd.lists,
                (bytes, _) if is_list(bytes) => &mut self.odd.lists,
                _ if !id.is_ascii() && is_between_quotes(id) => &mut self.odd.quoted,
                _ if !id.is_ascii() && id.contains('\u{fffd}') => &mut self.odd.damaged,
                (_, Some(whole)) if !whole.is_empty() && whole.bytes().all(|byte| byte.is_ascii_digit()) => {
                    &mut self.odd.floats
                }
                _ => continue,
            };
            seen.add(line, id.as_bytes());
        }
    }

    /// Notes a malformed line.
    pub(crate) fn reject(&mut self, file: &str, line: u64, plan: Option<&Plan>, rejected: Rejected) {
        let column = rejected.role.and_then(|role| plan?.name(role)).map(str::to_owned);
        let Rejected { problem, value, .. } = rejected;
        self.skipped.add(LineError { file: file.into(), line, column, problem, value });
    }

    /// Gives the names their numbers.
    pub(crate) fn intern(&mut self, interners: &Interners) -> Result<(), DataError> {
        interners.users.intern(&mut self.users, &mut self.user)?;
        interners.items.intern(&mut self.items, &mut self.item)?;
        interners.categories.intern(&mut self.categories, &mut self.category)?;
        for column in [&mut self.user, &mut self.item, &mut self.category] {
            column.shrink_to_fit();
        }
        self.time.pack();
        self.minor.pack();
        self.users = Names::default();
        self.items = Names::default();
        self.categories = Names::default();
        Ok(())
    }
}

/// An id: text that is neither empty nor too long.
pub(crate) fn id<'a>(options: &ReadOptions, role: Role, cell: Cell<'a>) -> Result<&'a str, Rejected> {
    let text = cell.text.trim_ascii();
    let problem = match cell.kind {
        Kind::Broken => Problem::HalfSurrogate,
        Kind::Float | Kind::Other => Problem::NotAnId,
        Kind::Last if role != Role::Category => Problem::NotAnId,
        _ if text.is_empty() => Problem::Missing,
        _ if text.len() > options.max_id_bytes => Problem::IdTooLong { bytes: text.len(), limit: options.max_id_bytes },
        _ => return std::str::from_utf8(text).map_err(|_| Rejected::new(role, Problem::NotUtf8, text)),
    };
    Err(Rejected::new(role, problem, text))
}

fn when(options: &ReadOptions, cell: Cell<'_>) -> Result<Moment, Problem> {
    match cell.kind {
        Kind::Moment(moment) => Ok(moment),
        Kind::Other | Kind::Last => Err(Problem::NotATime),
        Kind::Broken => Err(Problem::HalfSurrogate),
        _ => time::read(cell.text, options.time_unit, options.time_format.as_deref()),
    }
}

fn position(cell: Cell<'_>) -> Result<i64, Problem> {
    match cell.kind {
        Kind::Other | Kind::Last | Kind::Moment(_) => Err(Problem::NotAnInteger),
        _ => time::integer(cell.text),
    }
}
