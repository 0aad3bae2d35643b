//! The data report: what is in a log, and what a model will have trouble with.

use std::fmt;

use serde::Serialize;

use super::{Dataset, Log, ReadStats, SkipReport, Taken};

/// Seconds of a day.
const DAY: i64 = 86_400;

/// The day of a time, counted from 1970.
fn day(seconds: i64) -> i64 {
    seconds.div_euclid(DAY)
}

/// What a log holds. Prints as a table, serializes as it stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DataReport {
    /// Number of users.
    pub users: usize,
    /// Number of items.
    pub items: usize,
    /// Number of events.
    pub interactions: usize,
    /// Number of categories; 0 if items have none.
    pub categories: usize,
    /// Events a user.
    pub lengths: Option<Lengths>,
    /// First and last time; `None` for logs that know only the order.
    pub time: Option<TimeRange>,
    /// Share of pairs of neighbours in a history that have the same time, from 0 to 1: their order
    /// is the file's, or drawn. `None` without times or without neighbours.
    pub tied_neighbours: Option<f64>,
    /// Events whose user had the same item before.
    pub duplicates: usize,
    /// Users with fewer than 3 events: too few to learn from, to pick by and to test on.
    pub short_users: usize,
    /// Items with fewer than 5 events.
    pub rare_items: usize,
    /// Users who have every item: no negative can be drawn for them.
    pub users_with_everything: usize,
    /// What reading did.
    pub read: ReadStats,
    /// Malformed lines that were left out.
    pub skipped: SkipReport,
    /// What was taken for what.
    pub taken: Taken,
    /// Flags for `train` that suit the log.
    pub recommended: Vec<String>,
}

/// How long histories are, over users.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lengths {
    /// Mean number of events.
    pub mean: f64,
    /// The 0, 25, 50, 75, 90, 99 and 100 % quantiles (nearest rank).
    pub quantiles: [usize; 7],
    /// Users by length; the bins double in width.
    pub histogram: Vec<LengthBin>,
}

/// Percentages of [`Lengths::quantiles`].
const PERCENT: [usize; 7] = [0, 25, 50, 75, 90, 99, 100];

/// Users whose number of events is in `from..=to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct LengthBin {
    /// Fewest events.
    pub from: usize,
    /// Most events.
    pub to: usize,
    /// How many users.
    pub users: usize,
}

impl LengthBin {
    /// `4-7`, or `1` where the bin has one length.
    pub fn range(&self) -> String {
        match self.to {
            to if to == self.from => to.to_string(),
            to => format!("{}-{to}", self.from),
        }
    }
}

/// The times of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TimeRange {
    /// Earliest, in seconds since 1970.
    pub first: i64,
    /// Latest, in seconds since 1970.
    pub last: i64,
    /// Day of the earliest, `YYYY-MM-DD` (UTC).
    pub first_date: String,
    /// Day of the latest.
    pub last_date: String,
    /// Whether every time is a whole day.
    pub whole_days: bool,
}

impl DataReport {
    /// Looks through a log.
    pub fn new(log: &Log) -> Self {
        let dataset = &log.dataset;
        let lengths: Vec<usize> = (0..dataset.users() as u32).map(|user| dataset.history(user).len()).collect();
        let (duplicates, users_with_everything) = repeats(dataset);
        let mut report = Self {
            users: dataset.users(),
            items: dataset.items(),
            interactions: dataset.events(),
            categories: dataset.categories(),
            time: time_range(dataset),
            tied_neighbours: tied_neighbours(dataset),
            duplicates,
            short_users: lengths.iter().filter(|&&length| length < 3).count(),
            rare_items: dataset.popularity().iter().filter(|&&count| count < 5).count(),
            users_with_everything,
            lengths: Lengths::of(lengths),
            read: log.stats,
            skipped: log.skipped.clone(),
            taken: log.taken.clone(),
            recommended: Vec::new(),
        };
        report.recommended = report.recommend();
        report
    }

    /// Flags that suit the log: the columns that were taken, and what its figures ask for.
    fn recommend(&self) -> Vec<String> {
        let mut flags = if self.taken.format.is_empty() { Vec::new() } else { self.taken.flags() };
        let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
        if self.duplicates > 0 && share(self.duplicates, self.interactions) < 0.02 {
            flags.push("--duplicates keep-first".into());
        }
        let rare = share(self.short_users, self.users) > 0.3 || share(self.rare_items, self.items) > 0.5;
        if rare && self.interactions > 10_000 {
            flags.push("--k-core-users 5 --k-core-items 5".into());
        }
        if self.tied_neighbours.is_some_and(|share| share > 0.05) {
            flags.push("--ties 'random(1)'".into());
        }
        flags
    }
}

impl Lengths {
    fn of(mut lengths: Vec<usize>) -> Option<Self> {
        lengths.sort_unstable();
        let last = lengths.len().checked_sub(1)?;
        let mean = lengths.iter().sum::<usize>() as f64 / lengths.len() as f64;
        let quantiles = PERCENT.map(|percent| lengths[(last * percent).div_ceil(100)]);
        let mut histogram = Vec::new();
        let (mut from, mut to) = (0, 0);
        while from <= lengths[last] {
            let below = |bound: usize| lengths.partition_point(|&length| length < bound);
            let users = below(to + 1) - below(from);
            if users > 0 || !histogram.is_empty() {
                histogram.push(LengthBin { from, to, users });
            }
            (from, to) = (to + 1, 2 * to + 1);
        }
        Some(Self { mean, quantiles, histogram })
    }
}

fn time_range(dataset: &Dataset) -> Option<TimeRange> {
    let times = || (0..dataset.users() as u32).flat_map(|user| dataset.history(user).times);
    let (first, last) = (*times().min()?, *times().max()?);
    let whole_days = times().all(|time| time.rem_euclid(DAY) == 0);
    Some(TimeRange { first, last, first_date: date(first), last_date: date(last), whole_days })
}

fn tied_neighbours(dataset: &Dataset) -> Option<f64> {
    let (mut pairs, mut tied) = (0usize, 0usize);
    for user in 0..dataset.users() as u32 {
        for pair in dataset.history(user).times.windows(2) {
            pairs += 1;
            tied += usize::from(pair[0] == pair[1]);
        }
    }
    (pairs > 0).then(|| tied as f64 / pairs as f64)
}

/// Events that repeat an item of the same user, and users who have every item.
fn repeats(dataset: &Dataset) -> (usize, usize) {
    let mut seen = vec![u32::MAX; dataset.items()];
    let (mut repeated, mut complete) = (0, 0);
    for user in 0..dataset.users() as u32 {
        let items = dataset.history(user).items;
        let again = |item: &&u32| std::mem::replace(&mut seen[**item as usize], user) == user;
        let again = items.iter().filter(again).count();
        repeated += again;
        complete += usize::from(items.len() - again == dataset.items());
    }
    (repeated, complete)
}

/// The day of a time as `YYYY-MM-DD` in the Gregorian calendar, for any `i64`.
pub(crate) fn date(seconds: i64) -> String {
    // Days from 0000-03-01, so that the leap day ends the year; eras of 400 years repeat.
    let days = day(seconds) + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let leaps = day_of_era / 1_460 - day_of_era / 36_524 + day_of_era / 146_096;
    let year_of_era = (day_of_era - leaps) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day_of_month:02}")
}

/// A count with commas: 198,502.
pub(crate) fn grouped(count: impl TryInto<u64>) -> String {
    let digits = count.try_into().unwrap_or(u64::MAX).to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

impl fmt::Display for DataReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.taken.format.is_empty() {
            writeln!(f, "{}", self.taken)?;
            self.taken.notes.iter().try_for_each(|note| writeln!(f, "note: {note}"))?;
            writeln!(f)?;
        }
        let mut line = |label: &str, value: String| writeln!(f, "{label:<26}{value}");
        line("users", grouped(self.users))?;
        line("items", grouped(self.items))?;
        line("interactions", grouped(self.interactions))?;
        line(
            "categories",
            match self.categories {
                0 => "none".into(),
                categories => grouped(categories),
            },
        )?;
        match &self.time {
            None => line("time", "none: only the order is known".into())?,
            Some(time) => {
                let unit = if time.whole_days { ", whole days" } else { "" };
                line("time", format!("{} to {}{unit}", time.first_date, time.last_date))?;
            }
        }
        if let Some(share) = self.tied_neighbours {
            line("neighbours at one time", format!("{:.1} %", 100.0 * share))?;
        }
        let share = |part: usize, whole: usize| {
            let percent = 100.0 * part as f64 / whole.max(1) as f64;
            format!("{} ({percent:.1} %)", grouped(part))
        };
        line("repeated (user, item)", share(self.duplicates, self.interactions))?;
        line("users with < 3 events", share(self.short_users, self.users))?;
        line("items with < 5 events", share(self.rare_items, self.items))?;
        if self.users_with_everything > 0 {
            line("users who have all items", grouped(self.users_with_everything))?;
        }
        for (label, count) in [
            ("rows left out by --where", self.read.filtered),
            ("dropped as duplicates", self.read.duplicates_dropped),
            ("dropped by the k-core", self.read.core_dropped),
            ("rows of other category", self.read.category_conflicts),
            ("malformed lines skipped", self.skipped.count),
        ] {
            if count > 0 {
                line(label, grouped(count))?;
            }
        }
        if let Some(lengths) = &self.lengths {
            lengths.write(f)?;
        }
        if !self.recommended.is_empty() {
            writeln!(f, "\nto train: dmran train {}", self.recommended.join(" "))?;
        }
        if !self.skipped.first.is_empty() {
            writeln!(f, "\nfirst skipped lines")?;
            self.skipped.first.iter().try_for_each(|error| writeln!(f, "  {error}"))?;
        }
        Ok(())
    }
}

impl Lengths {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quantiles: Vec<String> = PERCENT
            .iter()
            .zip(self.quantiles)
            .map(|(percent, length)| match percent {
                0 => format!("min {length}"),
                100 => format!("max {length}"),
                50 => format!("median {length}"),
                _ => format!("{percent} % {length}"),
            })
            .collect();
        writeln!(f, "\nevents a user: mean {:.2}, {}", self.mean, quantiles.join(", "))?;
        let most = self.histogram.iter().map(|bin| bin.users).max().unwrap_or(0).max(1);
        for bin in &self.histogram {
            let range = bin.range();
            let bar = "#".repeat((bin.users * 40).div_ceil(most));
            let row = format!("{range:>15} {:>10} {bar}", grouped(bin.users));
            writeln!(f, "{}", row.trim_end())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_every_time() {
        for (seconds, want) in [
            (0, "1970-01-01"),
            (86_399, "1970-01-01"),
            (-1, "1969-12-31"),
            (951_782_400, "2000-02-29"),
            (1_318_896_000, "2011-10-18"),
            (4_107_542_400, "2100-03-01"),
            (-62_135_596_800, "0001-01-01"),
        ] {
            assert_eq!(date(seconds), want);
        }
        assert_eq!(date(i64::MAX), "292277026596-12-04");
        assert_eq!(date(i64::MIN), "-292277022657-01-27");
    }

    #[test]
    fn lengths_by_hand() {
        let lengths = Lengths::of(vec![5, 1, 1, 2, 3, 9, 0]).unwrap();
        assert_eq!(lengths.mean, 3.0);
        assert_eq!(lengths.quantiles, [0, 1, 2, 5, 9, 9, 9]);
        let bins: Vec<_> = lengths.histogram.iter().map(|b| (b.from, b.to, b.users)).collect();
        assert_eq!(bins, [(0, 0, 1), (1, 1, 2), (2, 3, 2), (4, 7, 1), (8, 15, 1)]);
        assert_eq!(Lengths::of(vec![]), None);
    }

    #[test]
    fn counts_are_grouped_by_three() {
        let got = [0usize, 999, 1000, 198_502, 1_234_567].map(grouped);
        assert_eq!(got, ["0", "999", "1,000", "198,502", "1,234,567"]);
    }
}
