//! The same for everybody: items by how often they occur.

use crate::data::{Dataset, Sample};
use crate::metrics::Ranked;
use crate::train::evaluate::Scorer;
use crate::train::rank::{Request, each};

const DAY: i64 = 86_400;

/// Scores every item by how often it occurs in events to learn from.
#[derive(Clone, Debug)]
pub struct MostPopular {
    counts: Vec<u32>,
}

impl MostPopular {
    /// Counts each user's first events, `learned` of them (one number a user).
    pub fn new(dataset: &Dataset, learned: &[u32]) -> MostPopular {
        MostPopular::counting(dataset, learned, |_| true)
    }

    /// Counts those of them that are at most `days` days older than the latest of all; `None` without times.
    pub fn lately(dataset: &Dataset, learned: &[u32], days: i64) -> Option<MostPopular> {
        let times = (0..)
            .zip(learned)
            .filter_map(|(user, learned)| dataset.history(user).times.get(..*learned as usize)?.last().copied());
        let since = times.max()?.saturating_sub(days * DAY);
        Some(MostPopular::counting(dataset, learned, |time| time > Some(since)))
    }

    fn counting(dataset: &Dataset, learned: &[u32], counts_at: impl Fn(Option<i64>) -> bool) -> MostPopular {
        let mut counts = vec![0; dataset.items()];
        for (user, learned) in (0..).zip(learned) {
            let events = dataset.history(user);
            for (at, item) in events.items[..*learned as usize].iter().enumerate() {
                counts[*item as usize] += u32::from(counts_at(events.times.get(at).copied()));
            }
        }
        MostPopular { counts }
    }

    /// How often each item occurs.
    pub fn counts(&self) -> &[u32] {
        &self.counts
    }

    fn of(&self, item: usize) -> f32 {
        self.counts[item] as f32
    }
}

impl Scorer for MostPopular {
    fn score(&mut self, _: &Dataset, _: &[Sample], candidates: &[u32], out: &mut [f32]) {
        out.iter_mut().zip(candidates).for_each(|(s, item)| *s = self.of(*item as usize));
    }

    fn rank(&mut self, request: &Request<'_>) -> Vec<Ranked> {
        each(request, || (), |_, _, scores| scores.iter_mut().enumerate().for_each(|(at, s)| *s = self.of(at)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Protocol, learned_events};

    #[test]
    fn held_out_events_are_not_counted() {
        // Item 3 is bought twice, but only as a test event.
        let dataset = Dataset::from_histories(&[&[0, 1, 3], &[0, 2, 3], &[1, 0, 2]], 5).unwrap();
        let popular = MostPopular::new(&dataset, &learned_events(&dataset, Protocol::Paper));
        assert_eq!(popular.counts(), [3, 2, 1, 0, 0]);
        assert!(MostPopular::lately(&dataset, &[2, 2, 2], 30).is_none(), "no times");
    }

    #[test]
    fn lately_is_counted_back_from_the_latest_event_to_learn_from() {
        let times = [0, 10, 40, 15, 41, 90].map(|day| day * DAY).to_vec();
        let dataset = Dataset::from_parts(vec![0, 3, 6], vec![0, 1, 2, 1, 0, 2], times, vec![], 3, 0).unwrap();
        let counts = |learned: &[u32]| MostPopular::lately(&dataset, learned, 30).unwrap().counts().to_vec();
        // The latest is day 41: 11 and earlier are too old.
        assert_eq!(counts(&[3, 2]), [1, 1, 1]);
        // The latest is day 15.
        assert_eq!(counts(&[2, 1]), [1, 2, 0]);
    }
}
