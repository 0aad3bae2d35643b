//! Splits by hand-made examples; negatives: exact, uniform, and never without an end.

use dmran::data::{Dataset, Negatives, Protocol, Sample, test_samples, train_samples, validation_samples};
use rand::SeedableRng;
use rand::rngs::ChaCha8Rng;

/// Users with 0, 1, 2, 3 and 5 events.
fn dataset() -> Dataset {
    Dataset::from_histories(&[&[], &[0], &[1, 2], &[2, 1, 0], &[4, 3, 2, 1, 0]], 5).unwrap()
}

fn pairs(samples: Vec<Sample>) -> Vec<(u32, u32)> {
    samples.iter().map(|sample| (sample.user, sample.target)).collect()
}

#[test]
fn the_papers_split() {
    let dataset = dataset();
    let train = pairs(train_samples(&dataset, Protocol::Paper));
    assert_eq!(train, [(3, 1), (4, 1), (4, 2), (4, 3)]);
    assert_eq!(pairs(validation_samples(&dataset, Protocol::Paper)), []);
    assert_eq!(pairs(test_samples(&dataset, Protocol::Paper)), [(2, 1), (3, 2), (4, 4)]);
}

#[test]
fn the_honest_split() {
    let dataset = dataset();
    assert_eq!(pairs(train_samples(&dataset, Protocol::Honest)), [(4, 1), (4, 2)]);
    assert_eq!(pairs(validation_samples(&dataset, Protocol::Honest)), [(3, 1), (4, 3)]);
    assert_eq!(pairs(test_samples(&dataset, Protocol::Honest)), [(2, 1), (3, 2), (4, 4)]);
}

#[test]
fn no_event_is_both_learned_from_and_held_out_and_no_history_is_empty() {
    let dataset = dataset();
    for protocol in [Protocol::Paper, Protocol::Honest] {
        let mut all = pairs(train_samples(&dataset, protocol));
        all.extend(pairs(validation_samples(&dataset, protocol)));
        all.extend(pairs(test_samples(&dataset, protocol)));
        assert!(all.iter().all(|&(_, target)| target > 0));
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), count);
        // Every event but the first of each user is used once, where there are three or more.
        assert_eq!(count, 1 + 2 + 4);
    }
}

#[test]
fn negatives_are_uniform_over_what_the_user_never_had() {
    let owned: [u32; 6] = [0, 3, 4, 9, 3, 19];
    let dataset = Dataset::from_histories(&[&owned, &[]], 20).unwrap();
    let negatives = Negatives::new(&dataset);
    assert_eq!(negatives.owned(0), [0, 3, 4, 9, 19]);
    assert!(negatives.owns(0, 9) && !negatives.owns(0, 10));
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    for (user, free) in [(0, 15), (1, 20)] {
        assert_eq!(negatives.available(user), free);
        let draws = 60_000;
        let mut counts = [0u32; 20];
        for _ in 0..draws {
            counts[negatives.sample(user, &mut rng).unwrap() as usize] += 1;
        }
        let expected = f64::from(draws) / f64::from(free);
        let mut chi_square = 0.0;
        for (item, &count) in counts.iter().enumerate() {
            if negatives.owns(user, item as u32) {
                assert_eq!(count, 0, "item {item} is owned");
            } else {
                chi_square += (f64::from(count) - expected).powi(2) / expected;
            }
        }
        // 14 and 19 degrees of freedom: above 50 with probability below 2e-4.
        assert!(chi_square < 50.0, "chi-square {chi_square}");
    }
}

#[test]
fn all_but_one_and_all_of_a_large_catalogue() {
    let items = 500_000u32;
    let all: Vec<u32> = (0..items).rev().collect();
    for missing in [0, 1, items / 2, items - 1] {
        let owned: Vec<u32> = all.iter().copied().filter(|&item| item != missing).collect();
        let dataset = Dataset::from_histories(&[&owned], items as usize).unwrap();
        let negatives = Negatives::new(&dataset);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..100 {
            assert_eq!(negatives.sample(0, &mut rng), Some(missing));
        }
    }
    let dataset = Dataset::from_histories(&[&all], items as usize).unwrap();
    let negatives = Negatives::new(&dataset);
    assert_eq!(negatives.sample(0, &mut ChaCha8Rng::seed_from_u64(1)), None);
    assert_eq!(negatives.available(0), 0);
}
