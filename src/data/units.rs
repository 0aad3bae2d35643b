//! Whether numbers that are said to be seconds since 1970 can be that.

use super::date_digits::Form;
use super::time::SENSIBLE;
use std::fmt;

/// What a number looks like that is hardly a number of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LooksLike {
    /// Milliseconds since 1970.
    Milliseconds,
    /// Microseconds since 1970.
    Microseconds,
    /// Nanoseconds since 1970.
    Nanoseconds,
    /// A date written as one number, 20181231 or 2018123123.
    YearMonthDay,
    /// No time: 0, -1, 2147483647 and whatever else is beside moments of our years and none of them.
    Nothing,
}

impl fmt::Display for LooksLike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LooksLike::Milliseconds => "milliseconds since 1970",
            LooksLike::Microseconds => "microseconds since 1970",
            LooksLike::Nanoseconds => "nanoseconds since 1970",
            LooksLike::YearMonthDay => "a date written as year, month and day",
            LooksLike::Nothing => "an unknown time beside known ones",
        })
    }
}

/// Moments that people have logs of: 1985 to 2100.
const MOMENTS: std::ops::Range<i64> = 473_385_600..4_102_444_800;

/// The first of `seconds` that looks like something else, and what it looks like.
///
/// Other units show in a single number: as seconds they are tens of thousands of years away. A date shows only where all
/// numbers (two or more) are dates, or where others are moments: as seconds it is a day of August 1970, which a log that
/// counts from some moment of its own may well hold. So does what stands for no time. Where none is a moment, numbers that no
/// unit makes plausible are taken as they are.
pub fn unit_of(seconds: impl IntoIterator<Item = i64, IntoIter: Clone>) -> Option<(i64, LooksLike)> {
    let seconds = seconds.into_iter();
    let of_moment = |time: i64| {
        let units = [
            (1_000, LooksLike::Milliseconds),
            (1_000_000, LooksLike::Microseconds),
            (1_000_000_000, LooksLike::Nanoseconds),
        ];
        units.into_iter().find(|(a_second, _)| MOMENTS.contains(&(time / a_second)) && time > MOMENTS.end)
    };
    let is_date = |time: i64| {
        Form::YearToHour.fits(time)
            || (1985..2100).contains(&(time / 10_000))
                && (1..=12).contains(&(time / 100 % 100))
                && (1..=31).contains(&(time % 100))
    };
    if let Some((time, (_, unit))) = seconds.clone().find_map(|time| Some((time, of_moment(time)?))) {
        return Some((time, unit));
    }
    let nothing = |time: i64| !SENSIBLE.contains(&time) || time == i64::from(i32::MAX);
    let beside_moments = seconds.clone().any(|time| MOMENTS.contains(&time) && !is_date(time) && !nothing(time));
    let date = seconds.clone().find(|time| is_date(*time));
    let all = seconds.clone().all(is_date) && seconds.clone().any(|time| Some(time) != date);
    if let Some(date) = date.filter(|_| all || beside_moments) {
        return Some((date, LooksLike::YearMonthDay));
    }
    seconds.clone().find(|time| beside_moments && nothing(*time)).map(|time| (time, LooksLike::Nothing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_units_show_and_odd_seconds_pass() {
        let of = |times: &[i64]| unit_of(times.iter().copied()).map(|(_, unit)| unit);
        let moment = 1_542_329_050;
        assert_eq!(of(&[moment * 1_000 + 116]), Some(LooksLike::Milliseconds));
        assert_eq!(of(&[moment, moment * 1_000_000]), Some(LooksLike::Microseconds));
        assert_eq!(of(&[moment * 1_000_000_000]), Some(LooksLike::Nanoseconds));
        assert_eq!(of(&[20_181_231, 20_190_102]), Some(LooksLike::YearMonthDay));
        assert_eq!(of(&[20_181_231, moment]), Some(LooksLike::YearMonthDay));
        assert_eq!(of(&[2_018_082_322, moment]), Some(LooksLike::YearMonthDay));
        for nothing in [0, -1, 17_660, -86_400_000, i64::from(i32::MAX), 4_102_444_800] {
            assert_eq!(of(&[moment, nothing]), Some(LooksLike::Nothing), "{nothing}");
        }
        for seconds in [
            &[][..],
            &[0, 1, 2, 3],
            &[moment, moment + 1],
            &[-moment],
            &[i64::MIN, i64::MAX],
            &[20_181_231],
            &[20_181_231, 20_181_232],
            &[4_102_444_800],
            &[0, 17_660],
            &[i64::from(i32::MAX)],
        ] {
            assert_eq!(of(seconds), None, "{seconds:?}");
        }
    }
}
