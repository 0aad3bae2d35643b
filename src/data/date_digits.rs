//! Numbers that are the digits of a date in forms that other numbers may have by chance: told by whole columns of them.

use std::ops::RangeInclusive;

/// A form of such digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    YearToHour,
    YearToMillisecond,
    MonthDayYear,
    DayMonthYear,
    ShortYearMonthDay,
    DayOfYear,
    YearMonth,
    Year,
    MonthDay,
}

const YEARS: RangeInclusive<i64> = 1980..=2099;

fn is_day(month: i64, day: i64) -> bool {
    (1..=12).contains(&month) && (1..=31).contains(&day)
}

impl Form {
    pub(crate) const ALL: [Form; 9] = [
        Self::YearToHour,
        Self::YearToMillisecond,
        Self::MonthDayYear,
        Self::DayMonthYear,
        Self::ShortYearMonthDay,
        Self::DayOfYear,
        Self::YearMonth,
        Self::Year,
        Self::MonthDay,
    ];

    /// Whether a number may be of any form at all: seconds of our years are not, which saves asking of each.
    pub(crate) fn any(number: i64) -> bool {
        matches!(number, 0..=31_122_099 | 1_980_010_100..=2_099_123_123 | 19_800_101_000_000_000..)
    }

    pub(crate) fn fits(self, number: i64) -> bool {
        // The number's parts from its end, of as many digits each.
        let part = |digits: u32, width: u32| number / 10i64.pow(digits) % 10i64.pow(width);
        match self {
            Self::YearToHour => {
                YEARS.contains(&(number / 1_000_000)) && is_day(part(4, 2), part(2, 2)) && part(0, 2) < 24
            }
            Self::YearToMillisecond => {
                YEARS.contains(&(number / 10i64.pow(13)))
                    && is_day(part(11, 2), part(9, 2))
                    && part(7, 2) < 24
                    && part(5, 2) < 60
                    && part(3, 2) < 60
            }
            Self::MonthDayYear => YEARS.contains(&part(0, 4)) && is_day(number / 1_000_000, part(4, 2)),
            Self::DayMonthYear => YEARS.contains(&part(0, 4)) && is_day(part(4, 2), number / 1_000_000),
            Self::ShortYearMonthDay => (1..=99).contains(&(number / 10_000)) && is_day(part(2, 2), part(0, 2)),
            Self::DayOfYear => YEARS.contains(&(number / 1000)) && (1..=366).contains(&part(0, 3)),
            Self::YearMonth => YEARS.contains(&(number / 100)) && (1..=12).contains(&part(0, 2)),
            Self::Year => (1980..=2040).contains(&number),
            Self::MonthDay => is_day(number / 100, part(0, 2)),
        }
    }

    /// Rows that a column must have to be taken for such digits: small numbers may be anything.
    pub(crate) fn rows(self) -> u64 {
        if self == Self::MonthDay { 30 } else { 1 }
    }

    /// What to do about a column of them.
    pub(crate) fn fix(self) -> &'static str {
        match self {
            Self::YearToHour => "say --time-format %Y%m%d%H",
            Self::YearToMillisecond => "say --time-format %Y%m%d%H%M%S%3f",
            Self::MonthDayYear => "say --time-format %m%d%Y",
            Self::DayMonthYear => "say --time-format %d%m%Y",
            Self::ShortYearMonthDay => "say --time-format %y%m%d",
            Self::DayOfYear => "say --time-format %Y%j",
            Self::YearMonth => "write a day behind the month, as 2018-08-01",
            Self::MonthDay => "write the year in front, as 2018-08-23",
            Self::Year => "write a day behind the year, as 2018-01-01",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_told_by_its_digits() {
        for (number, form) in [
            (2_018_082_322, Form::YearToHour),
            (20_180_823_220_058_123, Form::YearToMillisecond),
            (8_232_018, Form::MonthDayYear),
            (23_082_018, Form::DayMonthYear),
            (180_823, Form::ShortYearMonthDay),
            (2_018_235, Form::DayOfYear),
            (201_808, Form::YearMonth),
            (2018, Form::Year),
            (823, Form::MonthDay),
        ] {
            let fitting: Vec<Form> = Form::ALL.into_iter().filter(|form| form.fits(number)).collect();
            assert_eq!(fitting, [form], "{number}");
            assert!(Form::any(number), "{number}");
        }
        for number in [0, -1, 1, 17_000, 1_535_061_658, i64::MIN, i64::MAX, 20_180_823] {
            assert!(!Form::ALL.into_iter().any(|form| form.fits(number)), "{number}");
        }
    }
}
