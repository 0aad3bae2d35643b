//! Eq 2: the time bucket of a history event, from its age in whole days.

use super::settings::TimeKind;

const SECONDS_A_DAY: i64 = 86_400;
/// ATRank's thresholds are 2, 4, ..., 2^12 = 4096, so its highest bucket is 12.
const ATRANK_HIGHEST: u32 = 12;

/// The whole days between the day of the event and the day of `now` (both in seconds since 1970, UTC); 0 for an
/// event after `now`.
pub fn gap_days(event: i64, now: i64) -> u64 {
    // Days lie within 2^47 of zero, so the difference cannot overflow.
    let gap = now.div_euclid(SECONDS_A_DAY) - event.div_euclid(SECONDS_A_DAY);
    u64::try_from(gap).unwrap_or(0)
}

/// The bucket, below `buckets`, of an event `gap` days ago. The last bucket takes every longer gap.
///
/// | kind | bucket 0 | 1 | 2 | 3 | ... |
/// |---|---|---|---|---|---|
/// | paper | `[0,1)` | `[1,2)` | `[2,4)` | `[4,8)` | doubling |
/// | atrank | `[0,1)` | `[1,3)` | `[3,7)` | `[7,15)` | up to bucket 12 = `[4095,..)` |
/// | none | all | | | | |
///
/// With `buckets` 0 or 1 the answer is always 0.
pub fn bucket_of_gap(kind: TimeKind, buckets: usize, gap: u64) -> u32 {
    let bucket = match kind {
        TimeKind::Paper => gap.checked_ilog2().map_or(0, |log| log + 1),
        // gap is at most 2^48, so gap + 1 cannot overflow; saturate for callers who pass anything else.
        TimeKind::Atrank => gap.saturating_add(1).ilog2().min(ATRANK_HIGHEST),
        TimeKind::None => 0,
    };
    let last = u32::try_from(buckets.saturating_sub(1)).unwrap_or(u32::MAX);
    bucket.min(last)
}

/// The bucket of an event at `event`, seen from `now` (both in seconds since 1970): [`gap_days`], then
/// [`bucket_of_gap`].
///
/// ```
/// use dmran::scorer::{TimeKind, time::bucket};
/// let day = 86_400;
/// assert_eq!(bucket(TimeKind::Paper, 14, 0, 2 * day), 2);
/// assert_eq!(bucket(TimeKind::Atrank, 14, 0, 2 * day), 1);
/// ```
pub fn bucket(kind: TimeKind, buckets: usize, event: i64, now: i64) -> u32 {
    bucket_of_gap(kind, buckets, gap_days(event, now))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Straight from the tables: count the thresholds that the gap has reached.
    fn by_thresholds(thresholds: &[u64], value: u64, buckets: usize) -> u32 {
        let reached = thresholds.iter().filter(|&&t| value >= t).count();
        reached.min(buckets - 1) as u32
    }

    #[test]
    fn equals_the_threshold_tables() {
        let paper: Vec<u64> = (0..63).map(|k| 1 << k).collect();
        let atrank: Vec<u64> = (1..=12).map(|k| 1 << k).collect();
        for buckets in [1, 2, 5, 13, 14, 20] {
            for gap in 0..10_000 {
                assert_eq!(bucket_of_gap(TimeKind::Paper, buckets, gap), by_thresholds(&paper, gap, buckets));
                assert_eq!(bucket_of_gap(TimeKind::Atrank, buckets, gap), by_thresholds(&atrank, gap + 1, buckets));
                assert_eq!(bucket_of_gap(TimeKind::None, buckets, gap), 0);
            }
        }
        assert_eq!(bucket_of_gap(TimeKind::Atrank, 64, 1 << 40), 12);
        assert_eq!(bucket_of_gap(TimeKind::Paper, 64, 1 << 40), 41);
    }

    #[test]
    fn days_are_calendar_days_and_never_negative() {
        // One second apart, but on two sides of midnight.
        assert_eq!(gap_days(86_399, 86_400), 1);
        assert_eq!(gap_days(0, 86_399), 0);
        // Before 1970 the days go on in the same rhythm.
        assert_eq!(gap_days(-1, 0), 1);
        assert_eq!(gap_days(-86_400, -1), 0);
        assert_eq!(gap_days(-86_401, -1), 1);
        // An event of the future counts as one of today.
        assert_eq!(gap_days(86_400 * 9, 0), 0);
    }

    #[test]
    fn the_ends_of_time_do_not_overflow() {
        for kind in TimeKind::ALL {
            for buckets in [0, 1, 14, usize::MAX] {
                for (event, now) in [(i64::MIN, i64::MAX), (i64::MAX, i64::MIN), (i64::MIN, i64::MIN)] {
                    let b = bucket(*kind, buckets, event, now);
                    assert!(b as usize <= buckets.saturating_sub(1).min(48));
                }
                bucket_of_gap(*kind, buckets, u64::MAX);
            }
        }
        assert_eq!(bucket(TimeKind::Paper, 14, i64::MIN, i64::MAX), 13);
        assert_eq!(bucket(TimeKind::Paper, 14, i64::MAX, i64::MIN), 0);
    }
}
