//! Rows as readers hand them over: checked, interned, counted.

use serde::Serialize;

use super::columns::{Found, Role};
use super::error::{DataError, LineError, Problem, shown};
use super::options::{OnError, ReadOptions, TimeUnit};
use super::vocabulary::Interner;

/// How many malformed lines are kept for the report.
const KEPT: usize = 10;

/// The category of items that have none while others do.
pub(crate) const UNKNOWN_CATEGORY: &str = "unknown";

/// Stands for "no category seen yet".
pub(crate) const NO_CATEGORY: u32 = u32::MAX;

/// The malformed lines that were left out.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SkipReport {
    /// How many there were.
    pub count: u64,
    /// The first ten.
    pub first: Vec<LineError>,
}

/// The fields of one row: `None` where the log has no such column, empty where the row has nothing
/// in it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Row<'a> {
    pub user: &'a [u8],
    pub item: &'a [u8],
    pub time: Option<&'a [u8]>,
    pub position: Option<&'a [u8]>,
    pub category: Option<&'a [u8]>,
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

/// All rows read so far, in the order of the file, with ids in order of first appearance.
pub(crate) struct Rows<'o> {
    options: &'o ReadOptions,
    pub users: Interner,
    pub items: Interner,
    pub categories: Interner,
    pub user: Vec<u32>,
    pub item: Vec<u32>,
    /// Seconds; empty if the log has no time.
    pub time: Vec<i64>,
    /// Orders events of the same time: the position, or else the nanoseconds. Empty if not needed.
    pub minor: Vec<i64>,
    /// Category of each item.
    pub item_category: Vec<u32>,
    /// Rows whose category is not the one that their item had first.
    pub category_conflicts: u64,
    pub skipped: SkipReport,
}

impl<'o> Rows<'o> {
    pub(crate) fn new(options: &'o ReadOptions) -> Self {
        Self {
            options,
            users: Interner::new("users"),
            items: Interner::new("items"),
            categories: Interner::new("categories"),
            user: Vec::new(),
            item: Vec::new(),
            time: Vec::new(),
            minor: Vec::new(),
            item_category: Vec::new(),
            category_conflicts: 0,
            skipped: SkipReport::default(),
        }
    }

    /// How many rows were kept.
    pub(crate) fn len(&self) -> usize {
        self.user.len()
    }

    /// Adds a row. All of it is checked before any of it is kept.
    ///
    /// The outer error stops reading; the inner one is for [`reject`](Self::reject).
    pub(crate) fn push(&mut self, row: &Row<'_>) -> Result<Result<(), Rejected>, DataError> {
        let checked = match self.check(row) {
            Ok(checked) => checked,
            Err(rejected) => return Ok(Err(rejected)),
        };
        let limit = u32::MAX as usize - 1;
        if self.len() >= limit {
            return Err(DataError::TooMany { what: "events", limit });
        }
        let user = self.users.intern(checked.user)?;
        let item = self.intern_item(checked.item)?;
        if let Some(category) = checked.category {
            self.set_category(item, category)?;
        }
        if row.position.is_some() || (checked.minor != 0 && self.minor.is_empty()) {
            // Rows before the first fraction of a second had none.
            self.minor.resize(self.len(), 0);
            self.minor.push(checked.minor);
        } else if !self.minor.is_empty() {
            self.minor.push(checked.minor);
        }
        self.user.push(user);
        self.item.push(item);
        self.time.extend(checked.time);
        Ok(Ok(()))
    }

    fn intern_item(&mut self, name: &str) -> Result<u32, DataError> {
        let item = self.items.intern(name)?;
        self.item_category.resize(self.items.len(), NO_CATEGORY);
        Ok(item)
    }

    /// The first category of an item stays; a different one later is counted.
    pub(crate) fn set_category(&mut self, item: u32, category: &str) -> Result<(), DataError> {
        let known = self.item_category[item as usize];
        if known == NO_CATEGORY {
            self.item_category[item as usize] = self.categories.intern(category)?;
        } else if self.categories.name(known) != category {
            self.category_conflicts += 1;
        }
        Ok(())
    }

    fn check<'a>(&self, row: &Row<'a>) -> Result<Checked<'a>, Rejected> {
        let user = self.check_id(Role::User, row.user)?;
        let item = self.check_id(Role::Item, row.item)?;
        let category = match row.category.map(<[u8]>::trim_ascii) {
            None | Some([]) => None,
            Some(category) => Some(self.check_id(Role::Category, category)?),
        };
        let (mut time, mut minor) = (None, 0);
        if let Some(text) = row.time {
            let reject = |problem| Rejected::new(Role::Time, problem, text);
            let (seconds, nanos) = parse_time(text, self.options.time_unit).map_err(reject)?;
            (time, minor) = (Some(seconds), i64::from(nanos));
        }
        if let Some(text) = row.position {
            minor = parse_integer(text).map_err(|problem| Rejected::new(Role::Position, problem, text))?;
        }
        Ok(Checked { user, item, category, time, minor })
    }

    /// An id: text that is neither empty nor too long.
    pub(crate) fn check_id<'a>(&self, role: Role, bytes: &'a [u8]) -> Result<&'a str, Rejected> {
        let bytes = bytes.trim_ascii();
        let limit = self.options.max_id_bytes;
        if bytes.is_empty() {
            return Err(Rejected::new(role, Problem::Missing, bytes));
        }
        if bytes.len() > limit {
            let problem = Problem::IdTooLong { bytes: bytes.len(), limit };
            return Err(Rejected::new(role, problem, bytes));
        }
        std::str::from_utf8(bytes).map_err(|_| Rejected::new(role, Problem::NotUtf8, bytes))
    }

    /// Handles a malformed line as the options say.
    pub(crate) fn reject(
        &mut self,
        file: &str,
        line: u64,
        columns: Option<&Found>,
        rejected: Rejected,
    ) -> Result<(), DataError> {
        let column = rejected.role.and_then(|role| columns?.name(role)).map(str::to_owned);
        let Rejected { problem, value, .. } = rejected;
        let error = LineError { file: file.into(), line, column, problem, value };
        match self.options.on_error {
            OnError::Fail => return Err(error.into()),
            OnError::Skip => {
                self.skipped.count += 1;
                if self.skipped.first.len() < KEPT {
                    self.skipped.first.push(error);
                }
            }
        }
        Ok(())
    }
}

struct Checked<'a> {
    user: &'a str,
    item: &'a str,
    category: Option<&'a str>,
    time: Option<i64>,
    minor: i64,
}

/// A decimal integer with an optional sign.
fn parse_integer(text: &[u8]) -> Result<i64, Problem> {
    let text = text.trim_ascii();
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    if text.is_empty() {
        return Err(Problem::Missing);
    }
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Problem::NotAnInteger);
    }
    let mut value = 0i64;
    for digit in digits {
        let digit = i64::from(digit - b'0');
        let next = value
            .checked_mul(10)
            .and_then(|tens| if negative { tens.checked_sub(digit) } else { tens.checked_add(digit) });
        value = next.ok_or(Problem::OutOfRange)?;
    }
    Ok(value)
}

/// A time as whole seconds (rounded down) and nanoseconds.
pub(crate) fn parse_time(text: &[u8], unit: TimeUnit) -> Result<(i64, u32), Problem> {
    let text = text.trim_ascii();
    let (whole, nanos) = match parse_integer(text) {
        Ok(whole) => (whole, 0),
        Err(Problem::NotAnInteger) => parse_decimal(text)?,
        Err(problem) => return Err(problem),
    };
    Ok(match unit {
        TimeUnit::Seconds => (whole, nanos),
        TimeUnit::Milliseconds => {
            let millis = whole.rem_euclid(1000) as u32;
            (whole.div_euclid(1000), millis * 1_000_000 + nanos / 1000)
        }
    })
}

/// A number with a decimal point or an exponent: rounded down, and the nanoseconds above.
fn parse_decimal(text: &[u8]) -> Result<(i64, u32), Problem> {
    let legal = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
    if !text.iter().all(legal) {
        return Err(Problem::NotATime);
    }
    let text = std::str::from_utf8(text).map_err(|_| Problem::NotATime)?;
    let value: f64 = text.parse().map_err(|_| Problem::NotATime)?;
    if let Some((whole, fraction)) = text.split_once('.')
        && !fraction.contains(['e', 'E'])
    {
        // By digits: an f64 would lose fractions of a second beyond 2^53 nanoseconds.
        let negative = whole.starts_with('-');
        let whole = match whole {
            "" | "-" | "+" => 0,
            whole => parse_integer(whole.as_bytes()).map_err(|problem| match problem {
                Problem::OutOfRange => Problem::OutOfRange,
                _ => Problem::NotATime,
            })?,
        };
        let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
        let nanos = digits.fold(0u32, |sum, digit| sum * 10 + u32::from(digit - b'0'));
        return match (negative, nanos) {
            (_, 0) | (false, _) => Ok((whole, nanos)),
            (true, _) => Ok((whole.checked_sub(1).ok_or(Problem::OutOfRange)?, 1_000_000_000 - nanos)),
        };
    }
    // Both bounds are exact in f64: -2^63 and 2^63.
    if value.floor() >= i64::MIN as f64 && value.floor() < i64::MAX as f64 {
        Ok((value.floor() as i64, ((value - value.floor()) * 1e9) as u32))
    } else {
        Err(Problem::OutOfRange)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_down_and_never_overflow() {
        let seconds = |text: &str| parse_time(text.as_bytes(), TimeUnit::Seconds);
        for (text, want) in [
            ("0", (0, 0)),
            (" 1318896000 ", (1_318_896_000, 0)),
            ("+5", (5, 0)),
            ("-5", (-5, 0)),
            ("1318896000.0", (1_318_896_000, 0)),
            ("1.25", (1, 250_000_000)),
            ("-1.25", (-2, 750_000_000)),
            ("-.25", (-1, 750_000_000)),
            ("3.", (3, 0)),
            ("1.3e3", (1300, 0)),
            ("25e-2", (0, 250_000_000)),
            ("9223372036854775807", (i64::MAX, 0)),
            ("-9223372036854775808", (i64::MIN, 0)),
            ("-9223372036854775808.0", (i64::MIN, 0)),
            ("1318896000.123456789123", (1_318_896_000, 123_456_789)),
        ] {
            assert_eq!(seconds(text), Ok(want), "{text}");
        }
        for text in ["noon", "12:30", "1,5", "1.2.3", ".", "-", "1e", "nan", "inf", "0x10", "--1"] {
            assert_eq!(seconds(text), Err(Problem::NotATime), "{text}");
        }
        for text in ["9223372036854775808", "-9223372036854775809", "1e19", "-9223372036854775808.5", "1e999"] {
            assert_eq!(seconds(text), Err(Problem::OutOfRange), "{text}");
        }
        assert_eq!(seconds("  "), Err(Problem::Missing));
    }

    #[test]
    fn milliseconds_keep_their_order_within_a_second() {
        let millis = |text: &str| parse_time(text.as_bytes(), TimeUnit::Milliseconds).unwrap();
        assert_eq!(millis("1500"), (1, 500_000_000));
        assert_eq!(millis("-1"), (-1, 999_000_000));
        assert!(millis("1500.25") > millis("1500"));
        assert_eq!(millis("-9223372036854775808").0, -9_223_372_036_854_776);
    }

    #[test]
    fn a_rejected_row_leaves_no_trace() {
        let options = ReadOptions::default();
        let mut rows = Rows::new(&options);
        let row = Row { user: b"u", item: b"i", time: Some(b"x"), ..Row::default() };
        assert!(rows.push(&row).unwrap().is_err());
        assert_eq!((rows.users.len(), rows.items.len(), rows.len()), (0, 0, 0));
    }
}
