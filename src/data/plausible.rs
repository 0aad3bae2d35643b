//! Whether the times of a column can be what they were read as: the one check that every command makes.

use super::batch::{Cell, Kind, Seen};
use super::clocks::Clock;
use super::date_digits::Form;
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
    clocks: [Number; 6],
    /// Numbers that are digits of a date in a form that may be chance.
    forms: [Number; 9],
    /// Numbers that stand for no time where others are times: 0, -1 and the largest of 31 bits.
    blank: Number,
    /// Dates that do: see [`is_blank_date`].
    blank_dates: Number,
    /// Numbers that their writer has rounded.
    rounded: Seen,
    /// Dates, in seconds.
    dates: Number,
    /// The first and the last moment, in seconds with their lines.
    ends: Option<[(i64, u64); 2]>,
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
        let here = (read.seconds, line);
        self.ends = Some(self.ends.map_or([here; 2], |ends| wider(ends, [here; 2])));
        let is_integer = cell.text.iter().all(u8::is_ascii_digit);
        let is_number = match cell.kind {
            Kind::Moment(_) => false,
            _ => options.time_format.is_none() && (is_integer || !is_date(cell.text)),
        };
        if !is_number {
            self.dates.add(line, read.seconds);
            if read.seconds >= LATE {
                self.late.add(line, read.seconds);
            } else if is_blank_date(read.seconds) {
                self.blank_dates.add(line, read.seconds);
            }
            return;
        }
        let nanos_each = 1_000_000_000 / per_second;
        let value = read.seconds.saturating_mul(per_second).saturating_add(i64::from(read.nanos) / nanos_each);
        if !is_integer && time::is_rounded(cell.text) {
            self.rounded.add(line, cell.text);
        }
        for form in Form::ALL.into_iter().filter(|form| Form::any(value) && form.fits(value)) {
            self.forms[form as usize].add(line, value);
        }
        if let Some(clock) = Clock::of(value) {
            self.clocks[clock as usize].add(line, value);
            return;
        }
        if matches!(value, 0 | -1) || read.seconds == i64::from(i32::MAX) {
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
        for (form, of_later) in self.forms.iter_mut().zip(later.forms) {
            form.append(of_later, base);
        }
        let later_ends = later.ends.map(|ends| ends.map(|(seconds, line)| (seconds, line + base)));
        self.ends = match (self.ends, later_ends) {
            (Some(ends), Some(later)) => Some(wider(ends, later)),
            (ends, later) => ends.or(later),
        };
        self.blank.append(later.blank, base);
        self.blank_dates.append(later.blank_dates, base);
        self.other.append(later.other, base);
        self.compact.append(later.compact, base);
        self.rounded.append(later.rounded, base);
        self.dates.append(later.dates, base);
        self.late.append(later.late, base);
        self.early.append(later.early, base);
    }

    fn numbers(&self) -> u64 {
        self.other.count + self.units.iter().chain(&self.clocks).map(|unit| unit.count).sum::<u64>()
    }

    /// What the times are, in words.
    pub(crate) fn kind(&self, unit: TimeUnit) -> String {
        match (self.dates.count, self.numbers()) {
            (_, 0) => "dates".into(),
            (0, _) => unit.name().into(),
            _ => format!("dates and {}", unit.name()),
        }
    }

    /// Refuses times that cannot be what they were read as; says what is odd about the others.
    pub(crate) fn check(&self, file: &str, column: &str, asked: TimeUnit) -> Result<Vec<String>, DataError> {
        let (file, column) = (file.to_owned(), column.to_owned());
        let alone = self.dates.count == 0;
        if let (true, Some((_, example))) = (alone && self.compact.count == self.numbers(), self.compact.first) {
            let format = time::compact_format(example).unwrap_or("%Y%m%d");
            return Err(DataError::CompactDates { file, column, example, format });
        }
        for form in Form::ALL {
            let shown = &self.forms[form as usize];
            let Some((line, value)) =
                shown.first.filter(|_| alone && shown.count == self.numbers() && shown.count >= form.rows())
            else {
                continue;
            };
            let (what, fix) = (format!("{value} (line {line}) looks like digits of a date"), form.fix().to_owned());
            return Err(DataError::OddTimes { file, column, what, fix });
        }
        for clock in Clock::ALL {
            let shown = &self.clocks[clock as usize];
            let Some((line, value)) = shown.first.filter(|_| alone && shown.count == self.numbers()) else { continue };
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
        let some = !kinds.is_empty() || !alone;
        if let (true, Some((line, value))) = (some, self.compact.first) {
            kinds.push(("a date without separators", line, value));
        }
        for clock in Clock::ALL {
            if let (true, Some((line, value))) = (some, self.clocks[clock as usize].first) {
                kinds.push((clock.name(), line, value));
            }
        }
        kinds.sort_by_key(|(_, line, _)| *line);
        match kinds.as_slice() {
            [] => {}
            // Dates and numbers go together only where the numbers count what was said.
            [(name, line, value)] if *name != asked.name() && !alone => {
                let (of_date, day) = self.dates.first.unwrap_or_default();
                let first = format!("{} (line {of_date}) is a date", super::report::date(day));
                let second = format!("{value} (line {line}) fits {name}");
                return Err(DataError::MixedUnits { file, column, first, second });
            }
            [_] => {}
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
        if let (true, Some((line, _))) = (alone && self.late.count == self.numbers(), self.late.first) {
            let value = self.other.first.map_or(0, |(_, value)| value);
            let what =
                format!("{value} (line {line}) is after 2099 in {}, as all are, and fits no other unit", asked.name());
            let fix = "write seconds since 1970, or say --time-column none to go by the order of the file".to_owned();
            return Err(DataError::OddTimes { file, column, what, fix });
        }
        self.refuse_blanks(&file, &column, asked)?;
        let mut odd = self.words_on_ends(&column);
        if let Some((line, value)) = &self.rounded.first {
            let count = self.rounded.count;
            odd.push(format!("{count} times of {column:?} were rounded by whoever wrote them ({value}, line {line})"));
        }
        if let Some((line, seconds)) = self.late.first {
            let (count, date) = (self.late.count, super::report::date(seconds));
            odd.push(format!("{count} times of {column:?} are after the year 2099 (line {line}: {date})"));
        }
        if let Some((line, value)) = self.early.first {
            let longer = [
                ("days", 86_400, 10_957..29_221),
                ("hours", 3_600, 262_968..701_280),
                ("minutes", 60, 15_778_080..42_076_800),
            ];
            let fitting = longer.into_iter().find(|(_, _, range)| range.contains(&value));
            let hint = fitting.map_or(String::new(), |(name, seconds, _)| {
                format!(
                    " (as {name} since 1970: {}; t * {seconds} makes seconds of them)",
                    super::report::date(value * seconds)
                )
            });
            odd.push(format!(
                "times of {column:?} are from before 1980 as {} since 1970 (line {line}: {value}){hint}: if they count \
                 something else, ages of events will be wrong",
                asked.name()
            ));
        }
        Ok(odd)
    }
}

impl Plausible {
    /// What is odd about the first and the last moment, though it may be right.
    fn words_on_ends(&self, column: &str) -> Vec<String> {
        let Some([(first, first_line), (last, last_line)]) = self.ends else { return Vec::new() };
        let (day, mut words) = (super::report::date, Vec::new());
        let today = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let tomorrow = today.map_or(i64::MAX, |since| since.as_secs() as i64 + 86_400);
        if tomorrow < last && last < LATE {
            let line = format!("times of {column:?} go to {} (line {last_line}), which is after today", day(last));
            words.push(match first > tomorrow && self.dates.count == 0 {
                true => format!(
                    "{line}, all of them: seconds since 1904 or 1900? Then t - 2082844800 or t - 2208988800 is right"
                ),
                false => line,
            });
        }
        if first == last && self.dates.count + self.numbers() > 2 {
            words.push(format!("all times of {column:?} are the same: the order of the file counts"));
        }
        let old = time::SENSIBLE.start;
        if first < old && self.dates.count > 0 && last >= old {
            words
                .push(format!("times of {column:?} begin at {} (line {first_line}), long before the last", day(first)));
        }
        // From 2015 to 2027 seconds since 2001 and since 2000 are moments of these years.
        if self.dates.count == 0 && (441_763_200..851_990_400).contains(&first) && last < 851_990_400 {
            words.push(format!(
                "times of {column:?} lie between {} and {}: if they are Apple's seconds since 2001, t + 978307200 is right \
                 ({}); if seconds since 2000, t + 946684800",
                day(first),
                day(last),
                day(first + 978_307_200)
            ));
        }
        words
    }

    /// Refuses numbers and dates that stand for an unknown time among others that are times: they would order events.
    fn refuse_blanks(&self, file: &str, column: &str, asked: TimeUnit) -> Result<(), DataError> {
        let fitting: u64 = self.units.iter().map(|unit| unit.count).sum();
        let (dates, numbers) = (self.dates.count, self.numbers());
        let all = self.blank.count + self.blank_dates.count;
        if all > 1 && all == dates + numbers {
            let value = self.blank.first.map_or_else(|| super::report::date(0), |(_, value)| value.to_string());
            let what = format!("{value} in every row stands for no time");
            let fix = "take another column, or say --time-column none to go by the order of the file".to_owned();
            return Err(DataError::OddTimes { file: file.into(), column: column.into(), what, fix });
        }
        let (count, what, condition) = if let (true, Some((line, value))) = (fitting + dates > 0, self.blank.first) {
            let condition = if dates == 0 && value <= 0 { format!("{column}>0") } else { format!("{column}!={value}") };
            (self.blank.count, format!("{value} (line {line})"), condition)
        } else if let (true, Some((line, value))) = (fitting + dates > 0, self.early.first) {
            // So are 1 and the smallest number there is.
            let condition = format!("{column}>={}", time::SENSIBLE.start.saturating_mul(asked.per_second()));
            (self.early.count, format!("{value} (line {line})"), condition)
        } else if let (true, Some((line, seconds))) = (fitting + dates > self.blank_dates.count, self.blank_dates.first)
        {
            let day = super::report::date(seconds);
            (self.blank_dates.count, format!("{day} (line {line})"), format!("{column}!={day}"))
        } else if let (true, Some((line, seconds))) = (fitting > 0 || dates > self.late.count, self.late.first) {
            let day = super::report::date(seconds);
            let number = || format!("{column}<{}", LATE.saturating_mul(asked.per_second()));
            let condition = if dates > 0 { format!("{column}!={day}") } else { number() };
            (self.late.count, format!("{day} (line {line})"), condition)
        } else {
            return Ok(());
        };
        let what = format!("{what} stands for no time among others that are times, in {count} rows");
        let fix = format!("leave those rows out, for example with --where '{condition}', or write what is known");
        Err(DataError::OddTimes { file: file.into(), column: column.into(), what, fix })
    }
}

/// Whether a date stands for none: where a clock or a format begins or ends, in any zone, or what programs write for nothing.
fn is_blank_date(seconds: i64) -> bool {
    // The years 1, 1601, 1753, the last days of 1899, 1900, 1904, 1980 (January 1st and 6th), 2079 (June 6th), 2099's last day.
    const DAYS: [i64; 11] =
        [-719_162, -134_774, -79_257, -25_569, -25_568, -25_567, -24_107, 3_652, 3_657, 39_968, 47_481];
    let around = |moment: i64| (seconds - moment).abs() <= 14 * 3_600;
    (DAYS.contains(&seconds.div_euclid(86_400)) && seconds.rem_euclid(86_400) == 0)
        || (around(0) && seconds.rem_euclid(1_800) == 0)
        || seconds == -1
        || (around(i64::from(i32::MAX)) && (seconds - i64::from(i32::MAX)) % 1_800 == 0)
}

/// The earlier of the first and the later of the last moments; of equal ones that of the first pair.
fn wider([first, last]: [(i64, u64); 2], [other_first, other_last]: [(i64, u64); 2]) -> [(i64, u64); 2] {
    [if other_first.0 < first.0 { other_first } else { first }, if other_last.0 > last.0 { other_last } else { last }]
}

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
