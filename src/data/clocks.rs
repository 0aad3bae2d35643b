//! Clocks that do not count seconds from 1970: told by the numbers that they give for our years.

use super::time::SENSIBLE;
use std::ops::Range;

/// A way of counting time that is no unit since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    /// Days since the end of 1899.
    Spreadsheet,
    /// Days since the year -4712.
    JulianDay,
    /// Tenths of a microsecond since 1601.
    Windows,
    /// Tenths of a microsecond since the year 1.
    Ticks,
    /// Microseconds since 1601.
    Chrome,
    /// Days since the year 0.
    Matlab,
}

/// Seconds from 1601 to 1970, and from the year 1.
const FROM_1601: i64 = 11_644_473_600;
const FROM_YEAR_1: i64 = 62_135_596_800;

impl Clock {
    pub(crate) const ALL: [Clock; 6] =
        [Self::Spreadsheet, Self::JulianDay, Self::Windows, Self::Ticks, Self::Chrome, Self::Matlab];

    /// What it shows from 1980 (a spreadsheet, whose numbers could be anything, from 1990, MATLAB from 2000) to 2099.
    fn range(self) -> Range<i64> {
        let years = |of: fn(i64) -> i64| of(SENSIBLE.start)..of(SENSIBLE.end);
        match self {
            Self::Spreadsheet => 32_874..73_051,
            Self::JulianDay => 2_444_239..2_488_070,
            Self::Windows => years(|seconds| (seconds + FROM_1601) * 10_000_000),
            Self::Ticks => years(|seconds| (seconds + FROM_YEAR_1) * 10_000_000),
            Self::Matlab => 730_486..767_011,
            Self::Chrome => years(|seconds| (seconds + FROM_1601) * 1_000_000),
        }
    }

    /// The one that shows such a number in our years. Ticks of our years would be nanoseconds of 1990.
    pub(crate) fn of(number: i64) -> Option<Clock> {
        Self::ALL.into_iter().find(|clock| clock.range().contains(&number))
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Spreadsheet => "a spreadsheet's days since 1900",
            Self::JulianDay => "Julian days",
            Self::Windows => "Windows' tenths of a microsecond since 1601",
            Self::Ticks => ".NET's ticks since the year 1",
            Self::Chrome => "Chrome's microseconds since 1601",
            Self::Matlab => "MATLAB's days since the year 0",
        }
    }

    /// Seconds since 1970 of what it shows.
    pub(crate) fn seconds(self, number: i64) -> i64 {
        match self {
            Self::Spreadsheet => (number - 25_569) * 86_400,
            Self::JulianDay => (number - 2_440_587) * 86_400 - 43_200,
            Self::Windows => number / 10_000_000 - FROM_1601,
            Self::Ticks => number / 10_000_000 - FROM_YEAR_1,
            Self::Chrome => number / 1_000_000 - FROM_1601,
            Self::Matlab => (number - 719_529) * 86_400,
        }
    }

    /// Seconds since 1970 as a formula of `t`.
    pub(crate) fn formula(self) -> &'static str {
        match self {
            Self::Spreadsheet => "(t - 25569) * 86400",
            Self::JulianDay => "(t - 2440587.5) * 86400",
            Self::Windows => "t / 10000000 - 11644473600",
            Self::Ticks => "t / 10000000 - 62135596800",
            Self::Chrome => "t / 1000000 - 11644473600",
            Self::Matlab => "(t - 719529) * 86400",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::report::date;
    use crate::data::time::TimeUnit;

    #[test]
    fn each_clock_is_told_by_its_numbers() {
        for (number, clock, day) in [
            (45_000, Clock::Spreadsheet, "2023-03-15"),
            (2_459_001, Clock::JulianDay, "2020-05-31"),
            (132_500_000_000_000_000, Clock::Windows, "2020-11-16"),
            (637_500_000_000_000_000, Clock::Ticks, "2021-02-27"),
            (13_250_000_000_000_000, Clock::Chrome, "2020-11-16"),
            (737_295, Clock::Matlab, "2018-08-23"),
        ] {
            assert_eq!(Clock::of(number), Some(clock));
            assert_eq!(date(clock.seconds(number)), day, "{clock:?}");
        }
    }

    #[test]
    fn moments_since_1970_are_no_other_clocks() {
        for unit in TimeUnit::ALL {
            for seconds in [946_684_800, 1_535_061_658, 4_000_000_000] {
                assert_eq!(Clock::of(seconds * unit.per_second()), None);
            }
        }
        for number in [0, 1, 17_000, 100_000] {
            assert_eq!(Clock::of(number), None);
        }
    }
}
