//! Moments: numbers in a unit, dates, and whether they can be what they claim to be.
//!
//! Everything that takes a time from a person or a file goes through here: the readers of logs row by row, and
//! [`parse`] for single values, such as those of flags and requests.

use jiff::civil::DateTime;
use jiff::fmt::{rfc2822, strtime};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::error::{Problem, shown};
use super::hints::hint;

/// What the numbers of a time column count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimeUnit {
    /// Seconds since 1970; decimals order events within a second.
    #[default]
    #[serde(alias = "s")]
    Seconds,
    /// Milliseconds since 1970.
    #[serde(alias = "ms")]
    Milliseconds,
    /// Microseconds since 1970.
    #[serde(alias = "us")]
    Microseconds,
    /// Nanoseconds since 1970.
    #[serde(alias = "ns")]
    Nanoseconds,
}

impl TimeUnit {
    /// All units, the longest first.
    pub const ALL: [TimeUnit; 4] = [Self::Seconds, Self::Milliseconds, Self::Microseconds, Self::Nanoseconds];

    /// How many of them are a second.
    pub fn per_second(self) -> i64 {
        [1, 1_000, 1_000_000, 1_000_000_000][self as usize]
    }

    /// The word for it.
    pub fn name(self) -> &'static str {
        ["seconds", "milliseconds", "microseconds", "nanoseconds"][self as usize]
    }

    /// The short form, as in `--time-unit ms`.
    pub fn short(self) -> &'static str {
        ["s", "ms", "us", "ns"][self as usize]
    }

    /// The unit in which a number is a moment from 1980 to 2099, if there is one; no number fits two.
    pub fn fitting(number: i64) -> Option<TimeUnit> {
        TimeUnit::ALL.into_iter().find(|unit| SENSIBLE.contains(&number.div_euclid(unit.per_second())))
    }
}

/// From 1980 to 2099, in seconds.
pub(crate) const SENSIBLE: std::ops::Range<i64> = 315_532_800..4_102_444_800;

/// A moment: seconds since 1970 (UTC), and the nanoseconds after them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment {
    /// Whole seconds since 1970, rounded down.
    pub seconds: i64,
    /// Nanoseconds after the second, below 10^9.
    pub nanos: u32,
}

/// Why a single value is no moment.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TimeError {
    /// Neither a number nor a date.
    #[error("{value:?} {problem}{hint}")]
    Unreadable {
        /// What was given.
        value: String,
        /// What is wrong with it.
        problem: Problem,
        /// What may help; empty or a sentence's end.
        hint: String,
    },
    /// A number that is sensible in another unit alone.
    #[error(
        "{value} is no moment of these centuries in {}, but one in {}: {}", unit.name(), fits.name(), date_of(*value, *fits)
    )]
    Unit {
        /// The number.
        value: i64,
        /// The unit it was taken in.
        unit: TimeUnit,
        /// The unit that fits.
        fits: TimeUnit,
    },
    /// Digits that are a date, such as 20180823.
    #[error("{value} looks like the date {}: write it with dashes", dashed(*value))]
    CompactDate {
        /// The number.
        value: i64,
    },
}

/// Reads one moment: a number in `unit` (decimals and exponents too), a date of ISO 8601 in its usual forms (`2018-08-23`,
/// `2018-08-23T22:00:58.5+02:00`, `2018/08/23 22:00 UTC`; UTC where no offset is given), one as e-mail has it, or, with
/// `format`, what strptime reads by that format. Gives seconds since 1970, rounded down.
///
/// ```
/// use dmran::data::{TimeUnit, time::parse};
/// assert_eq!(parse("2018-08-23 22:00:58", TimeUnit::Seconds, None), Ok(1_535_061_658));
/// assert_eq!(parse("1535061658826", TimeUnit::Milliseconds, None), Ok(1_535_061_658));
/// assert_eq!(parse("8/23/2018 22:00", TimeUnit::Seconds, Some("%m/%d/%Y %H:%M")), Ok(1_535_061_600));
/// assert!(parse("1535061658826", TimeUnit::Seconds, None).unwrap_err().to_string().contains("milliseconds: 2018"));
/// ```
///
/// # Errors
/// [`TimeError`]: what cannot be read, numbers that are sensible in another unit alone, and dates without separators.
pub fn parse(text: &str, unit: TimeUnit, format: Option<&str>) -> Result<i64, TimeError> {
    let text = text.trim();
    let moment = read(text.as_bytes(), unit, format).map_err(|problem| TimeError::Unreadable {
        value: shown(text.as_bytes()),
        problem,
        hint: hint(text),
    })?;
    if format.is_none()
        && let Some(value) = whole_number(text.as_bytes())
    {
        if compact_format(value).is_some() {
            return Err(TimeError::CompactDate { value });
        }
        if let Some(fits) = TimeUnit::fitting(value).filter(|fits| *fits != unit) {
            return Err(TimeError::Unit { value, unit, fits });
        }
    }
    Ok(moment.seconds)
}

/// Reads one value of a column.
pub(crate) fn read(text: &[u8], unit: TimeUnit, format: Option<&str>) -> Result<Moment, Problem> {
    let text = text.trim_ascii();
    if text.is_empty() {
        return Err(Problem::Missing);
    }
    if let Some(format) = format {
        let text = std::str::from_utf8(text).map_err(|_| Problem::NotATime)?;
        return by_format(text, format).ok_or_else(|| Problem::NotOfFormat(format.to_owned()));
    }
    match number(text, unit) {
        Err(Problem::NotATime) => date(text).ok_or(Problem::NotATime),
        other => other,
    }
}

/// Whether text is a date, without a format.
pub(crate) fn date(text: &[u8]) -> Option<Moment> {
    // A date has a year, whatever comes before or after it; this keeps most text from the parsers.
    if text.len() < 8 || text.len() > 64 || !text.is_ascii() {
        return None;
    }
    let text = std::str::from_utf8(text).ok()?;
    if !text.as_bytes()[0].is_ascii_digit() {
        return rfc2822::parse(text).ok().map(|zoned| moment(zoned.timestamp()));
    }
    let plain = ["UTC", "utc", "GMT", "Z", "z"].into_iter().find_map(|zone| text.strip_suffix(zone));
    let plain = plain.map(str::trim_end);
    if !text.as_bytes()[..4].iter().all(u8::is_ascii_digit) || text.as_bytes()[4].is_ascii_digit() {
        return None;
    }
    let slashes = |text: &str| match (text.as_bytes()[4], text.as_bytes().get(7)) {
        (separator @ (b'/' | b'.'), Some(second)) if *second == separator => {
            Some(format!("{}-{}-{}", &text[..4], &text[5..7], &text[8..]))
        }
        _ => None,
    };
    if let Some(plain) = plain {
        if plain.len() < 8 {
            return None;
        }
        return civil(slashes(plain).as_deref().unwrap_or(plain));
    }
    let slashed = slashes(text);
    let text = slashed.as_deref().unwrap_or(text);
    civil(text).or_else(|| text.parse::<Timestamp>().ok().map(moment))
}

/// A date and time without an offset: UTC.
fn civil(text: &str) -> Option<Moment> {
    // The parser passes over an offset, which would be a silent error of hours.
    let clock = text.get(10..).unwrap_or_default();
    if clock.contains(['+', '-', 'Z', 'z', '[']) {
        return None;
    }
    at_utc(text.parse::<DateTime>().ok()?)
}

fn at_utc(when: DateTime) -> Option<Moment> {
    Offset::UTC.to_timestamp(when).ok().map(moment)
}

fn moment(timestamp: Timestamp) -> Moment {
    let (seconds, nanos) = (timestamp.as_second(), timestamp.subsec_nanosecond());
    if nanos < 0 {
        Moment { seconds: seconds - 1, nanos: (nanos + 1_000_000_000) as u32 }
    } else {
        Moment { seconds, nanos: nanos as u32 }
    }
}

pub(crate) fn by_format(text: &str, format: &str) -> Option<Moment> {
    let broken = strtime::parse(format, text).ok()?;
    if let Ok(timestamp) = broken.to_timestamp() {
        return Some(moment(timestamp));
    }
    if let Ok(when) = broken.to_datetime() {
        return at_utc(when);
    }
    at_utc(broken.to_date().ok()?.at(0, 0, 0, 0))
}

/// Whether a format can be one at all.
pub(crate) fn check_format(format: &str) -> Result<(), String> {
    if !format.contains('%') {
        return Err(format!("time format {format:?}: it has no %; an example: %d.%m.%Y %H:%M"));
    }
    let sample = SignedDuration::from_secs(1_535_061_658);
    let sample = Timestamp::from_duration(sample).map_err(|error| error.to_string())?;
    strtime::format(format, sample).map(drop).map_err(|error| format!("time format {format:?}: {error}"))
}

/// A decimal integer with an optional sign.
pub(crate) fn integer(text: &[u8]) -> Result<i64, Problem> {
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
    if digits.len() <= 18 {
        let value = digits.iter().fold(0i64, |value, digit| value * 10 + i64::from(digit - b'0'));
        return Ok(if negative { -value } else { value });
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

/// The whole part of a number, rounded down; `None` for what is no number or does not fit.
pub(crate) fn whole_number(text: &[u8]) -> Option<i64> {
    match integer(text) {
        Ok(whole) => Some(whole),
        Err(Problem::NotAnInteger) => decimal(text).ok().map(|(whole, _)| whole),
        Err(_) => None,
    }
}

/// A number of units since 1970.
fn number(text: &[u8], unit: TimeUnit) -> Result<Moment, Problem> {
    let (whole, part) = match integer(text) {
        Ok(whole) => (whole, 0),
        Err(Problem::NotAnInteger) => decimal(text)?,
        Err(problem) => return Err(problem),
    };
    let per_second = unit.per_second();
    let nanos_each = 1_000_000_000 / per_second;
    let nanos = whole.rem_euclid(per_second) * nanos_each + i64::from(part) / per_second;
    Ok(Moment { seconds: whole.div_euclid(per_second), nanos: nanos as u32 })
}

/// A moment from a number of units.
pub(crate) fn of_integer(whole: i64, unit: TimeUnit) -> Moment {
    let per_second = unit.per_second();
    let nanos = whole.rem_euclid(per_second) * (1_000_000_000 / per_second);
    Moment { seconds: whole.div_euclid(per_second), nanos: nanos as u32 }
}

/// A number with a decimal point or an exponent: rounded down, and the billionths above.
fn decimal(text: &[u8]) -> Result<(i64, u32), Problem> {
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
            whole => integer(whole.as_bytes()).map_err(|problem| match problem {
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

/// Whether a number was rounded by whoever wrote it with an exponent: `1.54E+09` stands for ten million seconds.
pub(crate) fn is_rounded(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    let Some(at) = text.iter().position(|byte| matches!(byte, b'e' | b'E')) else { return false };
    let exponent = std::str::from_utf8(&text[at + 1..]).ok().and_then(|text| text.parse::<i64>().ok());
    let after_point = text[..at].iter().position(|byte| *byte == b'.').map_or(0, |point| at - point - 1);
    exponent.is_some_and(|exponent| exponent > after_point as i64)
}

/// The format of digits that are a date: `20180823`, `201808232200` or `20180823220058`, from 1900 to 2100.
pub(crate) fn compact_format(number: i64) -> Option<&'static str> {
    let (date, clock, format) = match number {
        19_000_101..=21_001_231 => (number, 0, "%Y%m%d"),
        190_001_010_000..=210_012_312_359 => (number / 10_000, number % 10_000 * 100, "%Y%m%d%H%M"),
        19_000_101_000_000..=21_001_231_235_959 => (number / 1_000_000, number % 1_000_000, "%Y%m%d%H%M%S"),
        _ => return None,
    };
    let (month, day) = (date / 100 % 100, date % 100);
    let (hour, minute, second) = (clock / 10_000, clock / 100 % 100, clock % 100);
    let legal = (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 60;
    legal.then_some(format)
}

/// A date without separators, with dashes.
fn dashed(number: i64) -> String {
    let digits = number.to_string();
    match digits.get(..8) {
        Some(date) => format!("{}-{}-{}", &date[..4], &date[4..6], &date[6..]),
        None => digits,
    }
}

/// The day of a number in a unit.
pub(crate) fn date_of(number: i64, unit: TimeUnit) -> String {
    super::report::date(number.div_euclid(unit.per_second()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(text: &str) -> Result<(i64, u32), Problem> {
        read(text.as_bytes(), TimeUnit::Seconds, None).map(|moment| (moment.seconds, moment.nanos))
    }

    #[test]
    fn times_are_rounded_down_and_never_overflow() {
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
        for text in ["noon", "12:30", "1,5", "1.2.3", ".", "-", "1e", "nan", "inf", "0x10", "--1", "2018-13-01"] {
            assert_eq!(seconds(text), Err(Problem::NotATime), "{text}");
        }
        for text in ["9223372036854775808", "-9223372036854775809", "1e19", "-9223372036854775808.5", "1e999"] {
            assert_eq!(seconds(text), Err(Problem::OutOfRange), "{text}");
        }
        assert_eq!(seconds("  "), Err(Problem::Missing));
    }

    #[test]
    fn small_units_keep_their_order_within_a_second() {
        let of = |text: &str, unit| read(text.as_bytes(), unit, None).unwrap();
        let millis = |text| of(text, TimeUnit::Milliseconds);
        assert_eq!(millis("1500"), Moment { seconds: 1, nanos: 500_000_000 });
        assert_eq!(millis("-1"), Moment { seconds: -1, nanos: 999_000_000 });
        assert!(millis("1500.25") > millis("1500"));
        assert_eq!(millis("-9223372036854775808").seconds, -9_223_372_036_854_776);
        assert_eq!(of("1500001", TimeUnit::Microseconds), Moment { seconds: 1, nanos: 500_001_000 });
        assert_eq!(of("-1", TimeUnit::Nanoseconds), Moment { seconds: -1, nanos: 999_999_999 });
    }

    #[test]
    fn dates_in_their_usual_forms() {
        for text in [
            "2018-08-23T22:00:58",
            "2018-08-23 22:00:58",
            "2018-08-23T22:00:58Z",
            "2018-08-23t22:00:58z",
            "2018-08-23 22:00:58 UTC",
            "2018-08-23 22:00:58UTC",
            "2018-08-23 22:00:58 GMT",
            "2018-08-23T22:00:58+00:00",
            "2018-08-24T00:00:58+02:00",
            "2018-08-24 00:00:58+0200",
            "2018-08-24 00:00:58+02",
            "2018-08-23T17:00:58-05:00",
            "2018/08/23 22:00:58",
            "2018.08.23 22:00:58",
            "Thu, 23 Aug 2018 22:00:58 +0000",
            "Thu, 23 Aug 2018 22:00:58 GMT",
        ] {
            assert_eq!(seconds(text), Ok((1_535_061_658, 0)), "{text}");
        }
        assert_eq!(seconds("2018-08-23T22:00:58.25Z"), Ok((1_535_061_658, 250_000_000)));
        assert_eq!(seconds("2018-08-23 22:00:58.123456789"), Ok((1_535_061_658, 123_456_789)));
        assert_eq!(seconds("2018-08-23"), Ok((1_534_982_400, 0)));
        assert_eq!(seconds("2018/08/23"), Ok((1_534_982_400, 0)));
        assert_eq!(seconds("2018-08-23 22:00"), Ok((1_535_061_600, 0)));
        assert_eq!(seconds("1969-12-31T23:59:59.5Z"), Ok((-1, 500_000_000)));
    }

    #[test]
    fn dates_by_a_format_and_what_is_said_of_one_without() {
        let by = |text: &str, format| parse(text, TimeUnit::Seconds, Some(format));
        assert_eq!(by("8/23/2018 22:00", "%m/%d/%Y %H:%M"), Ok(1_535_061_600));
        assert_eq!(by("23.08.2018", "%d.%m.%Y"), Ok(1_534_982_400));
        assert_eq!(by("08 23, 2018", "%m %d, %Y"), Ok(1_534_982_400));
        assert_eq!(by("20180823", "%Y%m%d"), Ok(1_534_982_400));
        assert_eq!(by("23/Aug/2018:22:00:58 +0000", "%d/%b/%Y:%H:%M:%S %z"), Ok(1_535_061_658));
        assert_eq!(by("1535061658", "%s"), Ok(1_535_061_658));
        let said = |text| parse(text, TimeUnit::Seconds, None).unwrap_err().to_string();
        assert!(
            said("8/23/2018 22:00").contains("--time-format '%m/%d/%Y %H:%M' reads it"),
            "{}",
            said("8/23/2018 22:00")
        );
        assert!(said("8/2/2018").contains("'%m/%d/%Y' reads it, or '%d/%m/%Y'"), "{}", said("8/2/2018"));
        assert!(said("1,535,061,658").contains("thousands"));
        assert!(said("20180823").contains("2018-08-23"));
        assert!(said("1535061658000000000").contains("nanoseconds: 2018-08-23"));
        assert!(check_format("%d.%m.%Y").is_ok());
        assert!(check_format("d.m.Y").is_err() && check_format("%Q%!").is_err());
    }

    #[test]
    fn numbers_fit_one_unit_or_none() {
        for (number, want) in [
            (1_535_061_658, Some(TimeUnit::Seconds)),
            (1_535_061_658_000, Some(TimeUnit::Milliseconds)),
            (1_535_061_658_000_000, Some(TimeUnit::Microseconds)),
            (1_535_061_658_000_000_000, Some(TimeUnit::Nanoseconds)),
            (100, None),
            (20_180_823, None),
            (i64::MAX, None),
            (i64::MIN, None),
        ] {
            assert_eq!(TimeUnit::fitting(number), want, "{number}");
        }
        assert_eq!(compact_format(20_180_823), Some("%Y%m%d"));
        assert_eq!(compact_format(20_181_323), None);
        assert_eq!(compact_format(20_180_823_220_058), Some("%Y%m%d%H%M%S"));
        assert!(is_rounded(b"1.54E+09") && !is_rounded(b"1.535061658e9") && !is_rounded(b"1535061658"));
    }
}
