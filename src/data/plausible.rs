//! Whether the times of a column can be what they were read as: the one check that every command makes.

use super::batch::{Cell, Kind, Seen};
use super::clocks::Clock;
use super::error::DataError;
use super::options::ReadOptions;
use super::time::{self, Moment, TimeUnit};

/// What kinds of times were seen, with the first of each.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Plausible {
    /// Numbers that are moments from 1980 to 2099 in each unit.
    units: [Number; 4],
    /// Numbers that fit no unit.
    other: Number,
    /// Those of them that are digits of a date.
    compact: Number,
    /// Numbers that another clock shows in our years.
    clocks: [Number; 5],
    /// Numbers that stand for no time where others are times: 0 and -1.
    blank: Number,
    /// Dates that do: the first days of 1970, of 1900 and of the year 1.
    blank_dates: Number,
    /// Numbers that their writer has rounded.
    rounded: Seen,
    /// Dates.
    pub dates: u64,
    /// Moments after 2099.
    late: Number,
    /// Numbers that are moments before 1980.
    early: Number,
}

/// How many numbers of a kind there were; the first one and its line.
#[derive(Debug, Clone, Default, PartialEq)]
struct Number {
    count: u64,
    first: Option<(u64, i64)>,
}

impl Number {
    fn add(&mut self, line: u64, value: i64) {
        self.count += 1;
        self.first.get_or_insert((line, value));
    }

    fn append(&mut self, later: Number, base: u64) {
        self.count += later.count;
        self.first = self.first.or(later.first.map(|(line, value)| (line + base, value)));
    }
}

impl Plausible {
    /// Looks at one time that was read.
    pub(crate) fn see(&mut self, options: &ReadOptions, cell: Cell<'_>, read: Moment, line: u64) {
        let per_second = options.time_unit.per_second();
        let is_integer = cell.text.iter().all(u8::is_ascii_digit);
        let is_number = match cell.kind {
            Kind::Moment(_) => false,
            _ => options.time_format.is_none() && (is_integer || !is_date(cell.text)),
        };
        if !is_number {
            self.dates += 1;
            if read.seconds >= LATE {
                self.late.add(line, read.seconds);
            } else if BLANK_DATES.contains(&read.seconds) {
                self.blank_dates.add(line, read.seconds);
            }
            return;
        }
        let nanos_each = 1_000_000_000 / per_second;
        let value = read.seconds.saturating_mul(per_second).saturating_add(i64::from(read.nanos) / nanos_each);
        if !is_integer && time::is_rounded(cell.text) {
            self.rounded.add(line, cell.text);
        }
        if let Some(clock) = Clock::of(value) {
            self.clocks[clock as usize].add(line, value);
            return;
        }
        if matches!(value, 0 | -1) {
            self.blank.add(line, value);
        }
        match TimeUnit::fitting(value) {
            Some(unit) => self.units[unit as usize].add(line, value),
            None => {
                self.other.add(line, value);
                if time::compact_format(value).is_some() {
                    self.compact.add(line, value);
                }
                if read.seconds >= LATE {
                    self.late.add(line, read.seconds);
                } else {
                    self.early.add(line, value);
                }
            }
        }
    }

    /// Adds what later lines had, which were counted from `base`.
    pub(crate) fn append(&mut self, later: Plausible, base: u64) {
        for (unit, of_later) in self.units.iter_mut().zip(later.units) {
            unit.append(of_later, base);
        }
        for (clock, of_later) in self.clocks.iter_mut().zip(later.clocks) {
            clock.append(of_later, base);
        }
        self.blank.append(later.blank, base);
        self.blank_dates.append(later.blank_dates, base);
        self.other.append(later.other, base);
        self.compact.append(later.compact, base);
        self.rounded.append(later.rounded, base);
        self.dates += later.dates;
        self.late.append(later.late, base);
        self.early.append(later.early, base);
    }

    fn numbers(&self) -> u64 {
        self.other.count + self.units.iter().chain(&self.clocks).map(|unit| unit.count).sum::<u64>()
    }

    /// What the times are, in words.
    pub(crate) fn kind(&self, unit: TimeUnit) -> String {
        match (self.dates, self.numbers()) {
            (_, 0) => "dates".into(),
            (0, _) => unit.name().into(),
            _ => format!("dates and {}", unit.name()),
        }
    }

    /// Refuses times that cannot be what they were read as; says what is odd about the others.
    pub(crate) fn check(&self, file: &str, column: &str, asked: TimeUnit) -> Result<Vec<String>, DataError> {
        let (file, column) = (file.to_owned(), column.to_owned());
        if let (true, Some((_, example))) = (self.compact.count == self.numbers(), self.compact.first) {
            let format = time::compact_format(example).unwrap_or("%Y%m%d");
            return Err(DataError::CompactDates { file, column, example, format });
        }
        for clock in Clock::ALL {
            let shown = &self.clocks[clock as usize];
            let Some((line, value)) = shown.first.filter(|_| shown.count == self.numbers()) else { continue };
            let day = super::report::date(clock.seconds(value));
            let what = format!("{value} (line {line}) looks like {}, {day}", clock.name());
            let formula = clock.formula();
            let fix = format!(
                "write seconds since 1970 in its place, {formula}; where it only counts events, say --time-column none \
                 --position-column {column:?}"
            );
            return Err(DataError::OddTimes { file, column, what, fix });
        }
        let mut kinds: Vec<(&'static str, u64, i64)> = Vec::new();
        for unit in TimeUnit::ALL {
            if let Some((line, value)) = self.units[unit as usize].first {
                kinds.push((unit.name(), line, value));
            }
        }
        if let (false, Some((line, value))) = (kinds.is_empty(), self.compact.first) {
            kinds.push(("a date without separators", line, value));
        }
        for clock in Clock::ALL {
            if let (false, Some((line, value))) = (kinds.is_empty(), self.clocks[clock as usize].first) {
                kinds.push((clock.name(), line, value));
            }
        }
        kinds.sort_by_key(|(_, line, _)| *line);
        match kinds.as_slice() {
            [] | [_] => {}
            [first, second, ..] => {
                let at = |kind: &(&str, u64, i64)| format!("{} (line {}) fits {}", kind.2, kind.1, kind.0);
                return Err(DataError::MixedUnits { file, column, first: at(first), second: at(second) });
            }
        }
        let fits = TimeUnit::ALL.into_iter().find(|unit| self.units[*unit as usize].count > 0);
        if let Some(fits) = fits.filter(|fits| *fits != asked) {
            let example = self.units[fits as usize].first.map_or(0, |(_, value)| value);
            return Err(DataError::WrongUnit { file, column, unit: asked, fits, example });
        }
        if let (true, Some((_, example))) = (self.units[asked as usize].count > 0, &self.rounded.first) {
            return Err(DataError::RoundedTimes { file, column, example: example.clone() });
        }
        self.refuse_blanks(&file, &column, asked)?;
        let mut odd = Vec::new();
        if let Some((line, value)) = &self.rounded.first {
            let count = self.rounded.count;
            odd.push(format!("{count} times of {column:?} were rounded by whoever wrote them ({value}, line {line})"));
        }
        if let Some((line, seconds)) = self.late.first {
            let (count, date) = (self.late.count, super::report::date(seconds));
            odd.push(format!("{count} times of {column:?} are after the year 2099 (line {line}: {date})"));
        }
        if let Some((line, value)) = self.early.first {
            odd.push(format!(
                "times of {column:?} are from before 1980 as {} since 1970 (line {line}: {value}): if they count something \
                 else, ages of events will be wrong",
                asked.name()
            ));
        }
        Ok(odd)
    }
}

impl Plausible {
    /// Refuses numbers and dates that stand for an unknown time among others that are times: they would order events.
    fn refuse_blanks(&self, file: &str, column: &str, asked: TimeUnit) -> Result<(), DataError> {
        let fitting: u64 = self.units.iter().map(|unit| unit.count).sum();
        let (count, what, condition) = if let (true, Some((line, value))) = (fitting + self.dates > 0, self.blank.first)
        {
            let condition = if self.dates == 0 { format!("{column}>0") } else { format!("{column}!={value}") };
            (self.blank.count, format!("{value} (line {line})"), condition)
        } else if let (true, Some((line, value))) = (fitting > 0, self.early.first) {
            // So are 1 and the smallest number there is.
            let condition = format!("{column}>={}", time::SENSIBLE.start.saturating_mul(asked.per_second()));
            (self.early.count, format!("{value} (line {line})"), condition)
        } else if let (true, Some((line, seconds))) =
            (fitting + self.dates > self.blank_dates.count, self.blank_dates.first)
        {
            let day = super::report::date(seconds);
            (self.blank_dates.count, format!("{day} (line {line})"), format!("{column}!={day}"))
        } else if let (true, Some((line, seconds))) = (fitting > 0 || self.dates > self.late.count, self.late.first) {
            let day = super::report::date(seconds);
            let number = || format!("{column}<{}", LATE.saturating_mul(asked.per_second()));
            let condition = if self.dates > 0 { format!("{column}!={day}") } else { number() };
            (self.late.count, format!("{day} (line {line})"), condition)
        } else {
            return Ok(());
        };
        let what = format!("{what} stands for no time among others that are times, in {count} rows");
        let fix = format!("leave those rows out, for example with --where '{condition}', or write what is known");
        Err(DataError::OddTimes { file: file.into(), column: column.into(), what, fix })
    }
}

/// The first moments of 1970, of 1900 and of the year 1, in seconds.
const BLANK_DATES: [i64; 3] = [0, -2_208_988_800, -62_135_596_800];

/// The end of 2099, in seconds.
const LATE: i64 = time::SENSIBLE.end;

/// Whether a time that was read is a date: it has colons, letters, two points, or dashes and slashes behind a digit.
fn is_date(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    let after_digit = |pair: &[u8]| matches!(pair[1], b'-' | b'/') && pair[0].is_ascii_digit();
    let letter = |byte: &u8| *byte == b':' || (byte.is_ascii_alphabetic() && !matches!(byte, b'e' | b'E'));
    let points = text.iter().filter(|byte| **byte == b'.').count();
    points > 1 || text.windows(2).any(after_digit) || text.iter().any(letter)
}
