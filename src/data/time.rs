//! Equation 2: the bucket of the gap between a past event and the one to be predicted.
//!
//! Gaps are counted in whole days: `g = floor(now / 86400) - floor(event / 86400)`, never below 0.
//! Times are seconds since 1970; every `i64` is legal.

/// Seconds in a day.
pub const DAY: i64 = 86_400;

/// How gaps are turned into buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimeKind {
    /// The paper's: g in [0, 1) is bucket 0, [1, 2) is 1, [2, 4) is 2, and [2^k, 2^(k+1)) is k + 1.
    #[default]
    Paper,
    /// ATRank's code: the number of thresholds 2, 4, ..., 4096 that g + 1 reaches.
    Atrank,
    /// No time: every gap is bucket 0.
    None,
}

/// The day on which a time in seconds falls (rounded down, also before 1970).
pub fn day(seconds: i64) -> i64 {
    seconds.div_euclid(DAY)
}

/// The bucket of an event at `event_time` as seen at `now` (both in seconds), below `buckets`.
///
/// The last bucket takes every gap that is longer. An event after `now` counts as a gap of 0.
///
/// # Panics
/// If `buckets` is 0.
pub fn bucket(kind: TimeKind, buckets: u32, event_time: i64, now: i64) -> u32 {
    assert!(buckets > 0, "at least one time bucket is needed");
    // Days are below 2^47 in size, so neither the difference nor the + 1 can overflow.
    let gap = (day(now) - day(event_time)).max(0) as u64;
    let bucket = match kind {
        TimeKind::Paper => gap.checked_ilog2().map_or(0, |k| k + 1),
        TimeKind::Atrank => (gap + 1).ilog2().min(12),
        TimeKind::None => 0,
    };
    bucket.min(buckets - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of_gap(kind: TimeKind, buckets: u32, gap: i64) -> u32 {
        bucket(kind, buckets, 0, gap * DAY)
    }

    #[test]
    fn paper_buckets_by_powers_of_two() {
        let gaps = [0, 1, 2, 3, 4, 7, 8, 4095, 4096, 1 << 40];
        let want = [0, 1, 2, 2, 3, 3, 4, 12, 13, 13];
        assert_eq!(gaps.map(|gap| of_gap(TimeKind::Paper, 14, gap)), want);
    }

    #[test]
    fn atrank_counts_thresholds_as_its_code_does() {
        let thresholds: Vec<i64> = (1..=12).map(|k| 1 << k).collect();
        for gap in 0..10_000 {
            let reached = thresholds.iter().filter(|&&t| gap + 1 >= t).count() as u32;
            assert_eq!(of_gap(TimeKind::Atrank, 14, gap), reached, "gap {gap}");
        }
        assert_ne!(of_gap(TimeKind::Atrank, 14, 2), of_gap(TimeKind::Paper, 14, 2));
    }

    #[test]
    fn days_are_calendar_days_not_spans_of_24_hours() {
        // One second apart, across midnight; and the same day, before 1970.
        assert_eq!(bucket(TimeKind::Paper, 14, DAY - 1, DAY), 1);
        assert_eq!(bucket(TimeKind::Paper, 14, -DAY, -1), 0);
        assert_eq!(bucket(TimeKind::Paper, 14, -1, 0), 1);
    }

    #[test]
    fn extremes_neither_overflow_nor_leave_the_range() {
        for kind in [TimeKind::Paper, TimeKind::Atrank, TimeKind::None] {
            for (event, now) in [(i64::MIN, i64::MAX), (i64::MAX, i64::MIN), (i64::MAX, i64::MAX)] {
                for buckets in [1, 2, 14] {
                    assert!(bucket(kind, buckets, event, now) < buckets);
                }
            }
        }
        assert_eq!(bucket(TimeKind::Paper, 14, i64::MAX, i64::MIN), 0, "clamped at 0");
    }
}
