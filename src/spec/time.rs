//! Eq 2: the time bucket of a history event, from its age in whole days, its place in the history, or both.

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
/// | none, order | all | | | | |
///
/// `age-order` has those of `paper` here, as for the last event of a history. With `buckets` 0 or 1 the answer is always 0.
pub fn bucket_of_gap(kind: TimeKind, buckets: usize, gap: u64) -> u32 {
    let bucket = match kind {
        TimeKind::Paper | TimeKind::AgeOrder | TimeKind::Auto => gap.checked_ilog2().map_or(0, |log| log + 1),
        // gap is at most 2^48, so gap + 1 cannot overflow; saturate for callers who pass anything else.
        TimeKind::Atrank => gap.saturating_add(1).ilog2().min(ATRANK_HIGHEST),
        TimeKind::None | TimeKind::Order => 0,
    };
    bucket.min(last_of(buckets))
}

/// The last of some buckets; 0 of none.
fn last_of(buckets: usize) -> u32 {
    u32::try_from(buckets.saturating_sub(1)).unwrap_or(u32::MAX)
}

/// The bucket of an event at `event`, seen from `now` (both in seconds since 1970): [`gap_days`], then
/// [`bucket_of_gap`].
///
/// ```
/// use dmran::spec::{TimeKind, time::bucket};
/// let day = 86_400;
/// assert_eq!(bucket(TimeKind::Paper, 14, 0, 2 * day), 2);
/// assert_eq!(bucket(TimeKind::Atrank, 14, 0, 2 * day), 1);
/// ```
pub fn bucket(kind: TimeKind, buckets: usize, event: i64, now: i64) -> u32 {
    bucket_of_gap(kind, buckets, gap_days(event, now))
}

/// Places from the end that have buckets of their own with `order`; after them two for each doubling.
const OWN_PLACES: usize = 8;
/// Classes of places of `age-order`: the last event, the one before it, the two before that, all others.
pub(crate) const PLACE_CLASSES: usize = 4;

/// The bucket of an event's place, counted from 0 at the end of the history: places 0 to 7 by themselves, then 8 to 11, 12
/// to 15, 16 to 23, 24 to 31, and so on.
fn bucket_of_place(buckets: usize, place: usize) -> u32 {
    let bucket = if place < OWN_PLACES {
        place
    } else {
        let log = place.ilog2() as usize;
        let upper_half = place >> (log - 1) & 1;
        OWN_PLACES + 2 * (log - OWN_PLACES.ilog2() as usize) + upper_half
    };
    u32::try_from(bucket).unwrap_or(u32::MAX).min(last_of(buckets))
}

/// The bucket, below `buckets`, of the event that stands `place` events before the end of its history (0 is the last one)
/// and took place at `event`, seen from `now` (both in seconds since 1970).
///
/// ```
/// use dmran::spec::{TimeKind, time::bucket_at};
/// assert_eq!(bucket_at(TimeKind::Order, 14, 2, 0, 0), 2);
/// assert_eq!(bucket_at(TimeKind::Paper, 14, 2, 0, 86_400), 1);
/// assert_eq!(bucket_at(TimeKind::AgeOrder, 56, 1, 0, 86_400), 14 + 1);
/// ```
pub fn bucket_at(kind: TimeKind, buckets: usize, place: usize, event: i64, now: i64) -> u32 {
    match kind {
        TimeKind::Order => bucket_of_place(buckets, place),
        TimeKind::AgeOrder => {
            let ages = (buckets / PLACE_CLASSES).max(1);
            let class = match place {
                0 | 1 => place,
                2 | 3 => 2,
                _ => PLACE_CLASSES - 1,
            };
            let of_class = u32::try_from(class * ages).unwrap_or(u32::MAX);
            of_class.saturating_add(bucket(kind, ages, event, now)).min(last_of(buckets))
        }
        TimeKind::Paper | TimeKind::Atrank | TimeKind::None | TimeKind::Auto => bucket(kind, buckets, event, now),
    }
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
    fn places_have_buckets_of_their_own_and_then_two_for_each_doubling() {
        let of = |place| bucket_at(TimeKind::Order, 14, place, 0, 0);
        assert_eq!((0..8).map(of).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6, 7]);
        let starts = [8, 12, 16, 24, 32, 48];
        for (at, start) in starts.into_iter().enumerate() {
            assert_eq!((of(start), of(start - 1)), (8 + at as u32, 7 + at as u32), "place {start}");
        }
        assert_eq!(of(100_000), 13);
        assert_eq!(bucket_at(TimeKind::Order, 3, 7, 0, 0), 2);
        assert_eq!(bucket_at(TimeKind::Order, 0, 7, 0, 0), 0);
        let both = |place, days: i64| bucket_at(TimeKind::AgeOrder, 56, place, 0, days * SECONDS_A_DAY);
        assert_eq!([both(0, 0), both(1, 0), both(2, 0), both(3, 0), both(4, 0), both(90, 0)], [0, 14, 28, 28, 42, 42]);
        assert_eq!((both(0, 1 << 30), both(1, 5), both(90, 1 << 30)), (13, 17, 55));
        assert_eq!(bucket_at(TimeKind::AgeOrder, 2, 90, 0, 0), 1);
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
