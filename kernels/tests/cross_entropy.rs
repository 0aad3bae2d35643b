//! The softmax over the catalogue against the naive twin, on every level, with odd sizes and unaligned slices; finite
//! differences; extreme values.

#[path = "support/catalogue.rs"]
mod catalogue;
#[path = "support/layers.rs"]
mod layers;
#[path = "support/random.rs"]
mod random;

use catalogue::Problem;
use dmran_kernels::Level;
use layers::{check_gradient, to_largest};
use random::bits;

/// (rows, items, d), items of a block, rows of a chunk.
const CASES: [((usize, usize, usize), usize, usize); 15] = [
    ((1, 1, 1), 4, 8),
    ((1, 2, 16), 4, 8),
    ((2, 1, 5), 1, 1),
    ((3, 2, 7), 1, 2),
    ((5, 33, 17), 7, 5),
    ((16, 64, 16), 64, 16),
    ((17, 65, 33), 16, 17),
    ((31, 70, 100), 13, 16),
    ((33, 129, 64), 65, 40),
    ((64, 200, 128), 128, 64),
    ((97, 61, 20), 100, 96),
    ((150, 301, 12), 300, 128),
    ((256, 130, 128), 64, 256),
    ((200, 90, 136), 90, 200),
    ((259, 70, 48), 65, 257),
];

/// Logits of size 9 over up to 128 products err by 1e-5 at most, probabilities by as much of themselves.
const BOUND: f32 = 2e-5;

fn compare(what: &str, problem: &Problem, level: Level) {
    let (ours, truth) = (problem.run(Some(level)), problem.run(None));
    for (b, (x, y)) in ours.losses.iter().zip(&truth.losses).enumerate() {
        assert!((x - y).abs() <= f64::from(BOUND) * y.abs().max(1.0), "{what}: loss of row {b} is {x}, not {y}");
    }
    let parts = [
        ("d_users", &ours.d_users, &truth.d_users),
        ("d_items", &ours.d_items, &truth.d_items),
        ("d_bias", &ours.d_bias, &truth.d_bias),
    ];
    for (name, x, y) in parts {
        let error = to_largest(x, y);
        assert!(error <= BOUND, "{what} {name}: {error}");
    }
}

#[test]
fn all_levels_match_the_naive_twin() {
    for &level in Level::available() {
        for (i, (sizes, block, chunk)) in CASES.into_iter().enumerate() {
            let mut problem = Problem::new(i as u64, sizes, block, chunk);
            compare(&format!("{level} {sizes:?}"), &problem, level);
            problem.bias.clear();
            problem.excluded.iter_mut().for_each(Vec::clear);
            compare(&format!("{level} {sizes:?} without bias"), &problem, level);
        }
    }
}

#[test]
fn levels_with_fused_multiply_adds_agree_bit_for_bit() {
    let fused: Vec<_> = Level::available().iter().filter(|&&l| l != Level::Portable).collect();
    for pair in fused.windows(2) {
        for (i, (sizes, block, chunk)) in CASES.into_iter().enumerate() {
            let problem = Problem::new(i as u64, sizes, block, chunk);
            let [a, b] = [pair[0], pair[1]].map(|&level| problem.run(Some(level)));
            assert_eq!(a.losses, b.losses, "{sizes:?}");
            for (a, b) in [(a.d_users, b.d_users), (a.d_items, b.d_items), (a.d_bias, b.d_bias)] {
                assert_eq!(bits(&a), bits(&b), "{sizes:?}");
            }
        }
    }
}

#[test]
fn gradients_match_finite_differences() {
    for &level in Level::available() {
        let problem = Problem::new(5, (7, 23, 9), 6, 4);
        let outcome = problem.run(Some(level));
        let with = |change: &dyn Fn(&mut Problem)| {
            let mut moved = problem.clone();
            change(&mut moved);
            moved.run(Some(level)).loss(&problem.weights)
        };
        check_gradient("users", &problem.users, &outcome.d_users, |x| with(&|p| p.users = x.to_vec()));
        check_gradient("items", &problem.items, &outcome.d_items, |x| with(&|p| p.items = x.to_vec()));
        check_gradient("bias", &problem.bias, &outcome.d_bias, |x| with(&|p| p.bias = x.to_vec()));
    }
}

#[test]
fn saturated_logits_stay_finite() {
    for &level in Level::available() {
        // Logits 1e4 and -1e4 in turn, over several blocks, with the largest in the last: block maxima are far apart.
        let mut problem = Problem::new(1, (3, 20, 4), 3, 8);
        problem.excluded.iter_mut().for_each(Vec::clear);
        problem.users = [1.0, 0.0, 0.0, 0.0].repeat(3);
        for (i, item) in problem.items.chunks_exact_mut(4).enumerate() {
            item[0] = if i == 19 { 1e4 } else { -1e4 + i as f32 };
        }
        problem.bias.fill(0.0);
        problem.targets = vec![19, 0, 7];
        problem.weights.fill(1.0);
        let outcome = problem.run(Some(level));
        assert_eq!(outcome.losses, [0.0, 2e4, 2e4 - 7.0], "{level}");
        assert_eq!(outcome.d_bias[19], 2.0, "{level}: all of the mass, less one hit");
        assert_eq!((outcome.d_bias[0], outcome.d_bias[7]), (-1.0, -1.0), "{level}");
        let all = [outcome.d_users, outcome.d_items, outcome.d_bias].concat();
        assert!(all.iter().all(|g| g.is_finite()), "{level}");
    }
}

#[test]
fn logits_that_climb_past_what_they_are_relative_to_scale_what_was_before() {
    for &level in Level::available() {
        // From -70 to 70 within blocks, between blocks and between runs, for every third row; the others fall, or stay.
        let mut problem = Problem::new(11, (70, 140, 8), 60, 70);
        problem.bias.fill(0.0);
        for (b, user) in problem.users.chunks_exact_mut(8).enumerate() {
            user[0] = [1.0, 0.0, -1.0][b % 3];
        }
        for (i, item) in problem.items.chunks_exact_mut(8).enumerate() {
            item[0] = i as f32 - 70.0;
        }
        compare(&level.to_string(), &problem, level);
    }
}

#[test]
fn a_nan_or_an_infinity_makes_its_rows_loss_and_gradients_nan() {
    for &level in Level::available() {
        for bad in [f32::NAN, f32::INFINITY] {
            for at in [0, 13, 49] {
                let mut problem = Problem::new(2, (20, 50, 6), 16, 32);
                problem.excluded.iter_mut().for_each(Vec::clear);
                problem.bias[at] = bad;
                let outcome = problem.run(Some(level));
                assert!(outcome.losses.iter().all(|l| l.is_nan()), "{level}: {bad} in item {at}");
                assert!(outcome.d_items.iter().all(|g| g.is_nan()), "{level}: {bad} in item {at}");
                assert!(outcome.d_users.iter().all(|g| g.is_nan()), "{level}: {bad} in item {at}");
            }
        }
        // One user alone.
        let mut problem = Problem::new(2, (20, 50, 6), 16, 32);
        problem.users[3 * 6] = f32::NAN;
        let outcome = problem.run(Some(level));
        for (b, loss) in outcome.losses.iter().enumerate() {
            assert_eq!(loss.is_nan(), b == 3, "{level}: row {b}");
        }
    }
}

#[test]
fn items_at_minus_infinity_have_no_probability_and_make_no_nan() {
    for &level in Level::available() {
        // The whole first blocks are out of the question: by their biases, or because all rows leave them out.
        let plain = Problem::new(3, (18, 40, 8), 8, 32);
        let mut by_bias = plain.clone();
        by_bias.excluded.iter_mut().for_each(Vec::clear);
        by_bias.targets.iter_mut().for_each(|t| *t = 20 + *t % 20);
        let mut by_list = by_bias.clone();
        by_bias.bias[..20].fill(f32::NEG_INFINITY);
        by_list.excluded.iter_mut().for_each(|list| *list = (0..20).collect());
        let mut alone = by_bias.clone();
        alone.items.drain(..20 * 8);
        alone.bias.drain(..20);
        alone.targets.iter_mut().for_each(|t| *t -= 20);
        let truth = alone.run(None);
        for problem in [by_bias, by_list] {
            let outcome = problem.run(Some(level));
            assert!(outcome.d_items[..20 * 8].iter().all(|&g| g == 0.0), "{level}");
            assert!(to_largest(&outcome.d_items[20 * 8..], &truth.d_items) <= BOUND, "{level}");
            assert!(to_largest(&outcome.d_users, &truth.d_users) <= BOUND, "{level}");
        }
        // Where nothing at all is possible, the loss says so, and gradients are those of the target alone.
        let mut nothing = Problem::new(4, (1, 2, 3), 1, 8);
        nothing.bias.fill(f32::NEG_INFINITY);
        let outcome = nothing.run(Some(level));
        assert_eq!(outcome.losses, [f64::INFINITY], "{level}");
        assert!(outcome.d_bias.iter().all(|g| !g.is_nan()), "{level}: {:?}", outcome.d_bias);
    }
}

#[test]
fn a_target_stays_in_even_if_it_is_listed_as_left_out() {
    for &level in Level::available() {
        let mut problem = Problem::new(6, (9, 5, 4), 2, 16);
        problem.excluded.iter_mut().for_each(|list| *list = (0..5).collect());
        let outcome = problem.run(Some(level));
        assert!(outcome.losses.iter().all(|l| l.abs() < 1e-6), "{level}: {:?}", outcome.losses);
    }
}

#[test]
fn one_target_for_all_rows_gets_all_of_their_hits() {
    for &level in Level::available() {
        let mut problem = Problem::new(7, (40, 50, 8), 16, 16);
        problem.excluded.iter_mut().for_each(Vec::clear);
        problem.targets.fill(49);
        compare(&level.to_string(), &problem, level);
    }
}

#[test]
fn rows_of_weight_zero_have_zero_gradients() {
    for &level in Level::available() {
        let mut problem = Problem::new(8, (1, 9, 4), 4, 4);
        problem.weights.fill(0.0);
        let outcome = problem.run(Some(level));
        assert!(outcome.d_items.iter().chain(&outcome.d_bias).all(|&g| g == 0.0), "{level}");
    }
}

#[test]
#[should_panic(expected = "exponentials of 1 items and 1 rows")]
fn a_short_buffer_is_refused() {
    use dmran_kernels::cross_entropy::{Block, Excluded, Running, forward};
    let (items, users, targets) = ([1.0], [1.0; 16], [0]);
    let excluded = Excluded::default();
    let block = Block { d: 1, first: 0, items: &items, bias: &[], users: &users, targets: &targets, excluded };
    let running = Running { max: &mut [0.0], sum: &mut [0.0], target: &mut [0.0], d_users: &mut [] };
    forward(Level::best(), &block, running, &mut [0.0; 15]);
}
