//! The softmax over the whole catalogue (eq 18, 19) against float64 PyTorch (`cross_entropy/make_cross_entropy.py`), by
//! finite differences, and what its driver promises: the same bits on any number of threads, no allocation when warm.

use crate::support::counting::{allocations, count_this_thread};
use crate::support::oracle::Case;
use dmran::train::catalogue::{Batch, Catalogue, Categories, ItemRows, Sizes, TableOf};
use dmran_kernels::Level;
use dmran_kernels::cross_entropy::Excluded;
use std::sync::Arc;

const CASES: [&str; 7] = ["one-item", "two-items", "categories", "repeated", "many-rows", "several-runs", "saturated"];

/// Owns what a batch and the tables borrow.
#[derive(Clone, Default)]
struct Problem {
    items: usize,
    width: usize,
    category_width: usize,
    table: Vec<f32>,
    categories: Vec<f32>,
    of: Vec<u32>,
    bias: Vec<f32>,
    users: Vec<f32>,
    targets: Vec<u32>,
    weights: Vec<f32>,
    offsets: Vec<u32>,
    excluded: Vec<u32>,
}

impl Problem {
    fn read(case: &Case) -> Problem {
        let f32s = |key: &str| -> Vec<f32> { case.f64(key).into_iter().map(|x| x as f32).collect() };
        let with = |yes: bool, key: &str| if yes { f32s(key) } else { vec![] };
        let has_categories = case.meta("categories") > 0;
        let (mut offsets, mut excluded) = (vec![], vec![]);
        if case.flag("excluded") {
            let pairs = case.ids("in/excluded");
            for row in 0..case.meta("rows") as u32 {
                offsets.push(excluded.len() as u32);
                excluded.extend(pairs.chunks(2).filter(|pair| pair[0] == row).map(|pair| pair[1]));
            }
            offsets.push(excluded.len() as u32);
        }
        Problem {
            items: case.meta("items"),
            width: case.meta("width"),
            category_width: case.meta("category_width"),
            table: f32s("in/items"),
            categories: with(has_categories, "in/categories"),
            of: if has_categories { case.ids("in/item_category") } else { vec![] },
            bias: with(case.flag("bias"), "in/bias"),
            users: f32s("in/users"),
            targets: case.ids("in/targets"),
            weights: f32s("in/weights"),
            offsets,
            excluded,
        }
    }

    /// Any problem, larger than those of the files.
    fn invented(items: usize, width: usize, rows: usize) -> Problem {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        let mut values = |len: usize| -> Vec<f32> { (0..len).map(|_| next()).collect() };
        Problem {
            items,
            width,
            category_width: 3,
            table: values(items * width),
            categories: values(11 * 3),
            of: (0..items as u32).map(|i| i * i % 11).collect(),
            bias: values(items),
            users: values(rows * (width + 3)),
            targets: (0..rows as u32).map(|b| b * 7919 % items as u32).collect(),
            weights: vec![1.0 / rows as f32; rows],
            ..Problem::default()
        }
    }

    fn catalogue(&self, level: Level) -> Catalogue {
        let categories = self.categories.len().checked_div(self.category_width).unwrap_or(0);
        Catalogue::new(
            level,
            &Sizes {
                items: self.items,
                width: self.width,
                categories,
                category_width: self.category_width,
                item_category: &self.of,
                bias: !self.bias.is_empty(),
            },
        )
    }

    fn rows(&self) -> ItemRows<'_> {
        let categories = Categories { table: &self.categories, width: self.category_width, of: &self.of };
        ItemRows {
            items: &self.table,
            width: self.width,
            categories: (self.category_width > 0).then_some(categories),
            bias: &self.bias,
        }
    }

    fn batch(&self) -> Batch<'_> {
        let excluded = Excluded { offsets: &self.offsets, items: &self.excluded };
        Batch { users: &self.users, targets: &self.targets, weights: &self.weights, excluded }
    }

    /// Loss and gradients: of the users, items, categories and biases.
    fn run(&self, catalogue: &mut Catalogue) -> (f64, [Vec<f32>; 4]) {
        let mut d_users = vec![f32::NAN; self.users.len()];
        let loss = catalogue.loss_and_gradients(&self.rows(), &self.batch(), &mut d_users);
        let [items, categories, bias] =
            [catalogue.d_items(), catalogue.d_categories(), catalogue.d_bias()].map(<[f32]>::to_vec);
        (loss, [d_users, items, categories, bias])
    }
}

/// Within `bound` of the largest entry, and `floor`.
fn close(what: &str, got: &[f32], want: &[f64], bound: f64, floor: f64) {
    assert_eq!(got.len(), want.len(), "{what}");
    let largest = want.iter().fold(0.0f64, |m, w| m.max(w.abs()));
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        let error = (f64::from(*g) - w).abs();
        assert!(error <= bound * largest + floor, "{what}[{i}] is {g}, PyTorch has {w} (largest {largest})");
    }
}

#[test]
fn losses_and_gradients_are_those_of_pytorch_in_double_precision() {
    for name in CASES {
        let case = Case::read(&format!("cross_entropy/{name}.safetensors"));
        let problem = Problem::read(&case);
        // A logit of 1e4 errs by 1e-3, and by as much of itself does a probability.
        let bound = if name == "saturated" { 3e-3 } else { 5e-6 };
        // What is left of a weight times a vector less itself.
        let floor = 1e-7 * f64::from(problem.weights.iter().fold(0.0f32, |m, &w| m.max(w)));
        for &level in Level::available() {
            let mut catalogue = problem.catalogue(level);
            // The second time in warm buffers.
            for _ in 0..2 {
                let (loss, gradients) = problem.run(&mut catalogue);
                let what = format!("{name} {level}");
                let want = case.f64("out/loss")[0];
                assert!((loss - want).abs() <= 2e-6 * want.abs().max(0.1), "{what}: loss {loss}, PyTorch has {want}");
                for (b, (got, want)) in catalogue.row_losses().iter().zip(case.f64("out/losses")).enumerate() {
                    let error = (got - want).abs();
                    assert!(error <= bound * want.abs().max(0.3), "{what}: row {b} {got}, PyTorch has {want}");
                }
                let squares: f64 = gradients[1..].iter().flatten().map(|&g| f64::from(g) * f64::from(g)).sum();
                assert!((catalogue.sum_squares() - squares).abs() <= 1e-9 * squares.max(1e-9), "{what}: squares");
                for (key, got) in ["users", "items", "categories", "bias"].into_iter().zip(&gradients) {
                    if !got.is_empty() {
                        close(&format!("{what} {key}"), got, &case.f64(&format!("grad/{key}")), bound, floor);
                    }
                }
                let only = catalogue.loss(&problem.rows(), &problem.batch());
                assert_eq!(only.to_bits(), loss.to_bits(), "{what}: the loss alone");
                assert_eq!(catalogue.d_items(), gradients[1], "{what}: the loss alone leaves gradients as they are");
            }
        }
    }
}

#[test]
fn gradients_are_those_of_finite_differences() {
    let case = Case::read("cross_entropy/categories.safetensors");
    let problem = Problem::read(&case);
    let mut catalogue = problem.catalogue(Level::current());
    let (_, gradients) = problem.run(&mut catalogue);
    let field: [fn(&mut Problem) -> &mut Vec<f32>; 4] =
        [|p| &mut p.users, |p| &mut p.table, |p| &mut p.categories, |p| &mut p.bias];
    for (which, (field, gradient)) in field.into_iter().zip(&gradients).enumerate() {
        for at in (0..gradient.len()).step_by(7) {
            let mut moved = problem.clone();
            let mut loss = |step: f32| {
                field(&mut moved)[at] += step;
                catalogue.loss(&moved.rows(), &moved.batch())
            };
            let difference = (loss(1e-2) - loss(-2e-2)) / 2e-2;
            let error = (difference - f64::from(gradient[at])).abs();
            assert!(error < 2e-4, "input {which}, entry {at}: {difference} by differences, not {}", gradient[at]);
        }
    }
}

#[test]
fn bits_do_not_depend_on_the_number_of_threads() {
    // Several runs, the last one short; several chunks of rows, the last one short.
    let problem = Problem::invented(5_003, 9, 300);
    let mut first = None;
    for threads in [1, 2, 3, 8] {
        let pool = rayon_pool(threads);
        let (loss, gradients) = pool.install(|| problem.run(&mut problem.catalogue(Level::current())));
        let bits: Vec<Vec<u32>> = gradients.iter().map(|g| g.iter().map(|x| x.to_bits()).collect()).collect();
        let (want_loss, want) = first.get_or_insert_with(|| (loss, bits.clone()));
        assert_eq!(loss.to_bits(), want_loss.to_bits(), "{threads} threads");
        assert_eq!(&bits, want, "{threads} threads");
    }
}

#[test]
fn a_batch_without_rows_has_gradients_of_zero() {
    let mut problem = Problem::invented(700, 5, 4);
    let mut catalogue = problem.catalogue(Level::current());
    problem.run(&mut catalogue);
    problem.users.clear();
    problem.targets.clear();
    problem.weights.clear();
    let (loss, gradients) = problem.run(&mut catalogue);
    assert_eq!(loss, 0.0);
    assert!(gradients.iter().flatten().all(|&g| g == 0.0));
    assert_eq!(catalogue.sum_squares(), 0.0);
}

#[test]
fn rows_that_were_read_elsewhere_are_added_with_their_squares() {
    let problem = Problem::invented(900, 4, 10);
    let mut catalogue = problem.catalogue(Level::current());
    let (_, before) = problem.run(&mut catalogue);
    let mut changes = [0.0; 2];
    catalogue.add_rows(TableOf::Items, &[3, 899], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], &mut changes);
    let mut want = before[1].clone();
    for (at, g) in (12..16).chain(899 * 4..900 * 4).zip(1..) {
        want[at] += g as f32;
    }
    assert_eq!(catalogue.d_items(), want);
    let squares: f64 = want.iter().chain(&before[2]).chain(&before[3]).map(|&g| f64::from(g) * f64::from(g)).sum();
    let sum = catalogue.sum_squares() + changes.iter().sum::<f64>();
    assert!((sum - squares).abs() < 1e-9 * squares);
}

#[test]
fn a_warm_call_allocates_nothing() {
    let problem = Problem::invented(3_000, 8, 200);
    let mut catalogue = problem.catalogue(Level::current());
    let mut d_users = vec![0.0; problem.users.len()];
    let pool = rayon_pool(1);
    pool.broadcast(|_| count_this_thread());
    let count = pool.install(|| {
        let mut before = 0;
        for round in 0..4 {
            if round == 2 {
                before = allocations();
            }
            catalogue.loss_and_gradients(&problem.rows(), &problem.batch(), &mut d_users);
            catalogue.loss(&problem.rows(), &problem.batch());
        }
        allocations() - before
    });
    assert_eq!(count, 0);
}

fn rayon_pool(threads: usize) -> Arc<rayon::ThreadPool> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
    Arc::new(pool.start_handler(|_| dmran_kernels::gemm::prepare_thread()).build().unwrap())
}

#[test]
#[should_panic(expected = "target 20 of a catalogue of 20 items")]
fn a_target_beyond_the_catalogue_is_refused() {
    let mut problem = Problem::invented(20, 4, 3);
    problem.targets[1] = 20;
    problem.run(&mut problem.catalogue(Level::current()));
}
