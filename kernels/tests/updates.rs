//! Losses, rows of tables and optimisers against the naive twins.

#[path = "support/layers.rs"]
mod layers;
#[path = "support/random.rs"]
mod random;

use dmran_kernels::loss::{bce, bpr, sum_squares};
use dmran_kernels::optim::{self, Adagrad, Adam, Sgd, Target};
use dmran_kernels::rows::{Columns, gather, scatter_add};
use dmran_kernels::{Level, naive};
use layers::check_gradient;
use random::{Random, bits, worst};

#[test]
fn bce_matches_the_naive_twin() {
    let mut random = Random::new(1);
    for (samples, candidates) in [(0, 2), (1, 1), (1, 2), (3, 2), (7, 3), (8, 2), (300, 2), (2, 17)] {
        let n = samples * candidates;
        let weight = 1.0 / n.max(1) as f32;
        let mut scores = random.vec(1 + n, 5.0);
        if n > 20 {
            scores[1..9].copy_from_slice(&[1e4, 1e4, -1e4, -1e4, 90.0, -90.0, 0.0, -0.0]);
        }
        let scores = &scores[1..];
        let mut truth_d = vec![9.0; n];
        let truth = naive::loss::bce(Level::Portable, scores, candidates, weight, &mut truth_d);
        for &level in Level::available() {
            let mut d = vec![8.0; n];
            let loss = bce(level, scores, candidates, weight, &mut d);
            assert!((loss - truth).abs() <= 1e-6 * truth.max(1.0), "{level} n={n}: {loss}, not {truth}");
            assert!(worst(&d, &truth_d) <= 1e-6, "{level} n={n}");
        }
        if n < 20 {
            check_gradient("scores", scores, &truth_d, |s| {
                naive::loss::bce(Level::Portable, s, candidates, weight, &mut vec![0.0; n])
            });
        }
    }
}

#[test]
fn bce_of_known_scores() {
    for &level in Level::available() {
        // A zero score costs ln 2 either way; a confident right answer nothing; a confident wrong one its margin.
        let mut d = [9.0; 6];
        let loss = bce(level, &[0.0, 0.0, 1e30, -1e30, -50.0, f32::NEG_INFINITY], 2, 1.0, &mut d);
        assert!((loss - (2.0 * 2f64.ln() + 50.0)).abs() < 1e-5, "{level}: {loss}");
        assert_eq!(d, [-0.5, 0.5, 0.0, 0.0, -1.0, 0.0], "{level}");
        let mut d = [9.0; 3];
        assert!(bce(level, &[1.0, f32::NAN, 2.0], 3, 1.0, &mut d).is_nan(), "{level}");
        assert!(d[1].is_nan() && d[0].is_finite() && d[2].is_finite(), "{level}");
    }
}

#[test]
fn bpr_matches_the_naive_twin() {
    let mut random = Random::new(2);
    for n in [0, 1, 6, 16, 100] {
        let (pos, neg) = (random.vec(1 + n, 5.0), random.vec(1 + n, 5.0));
        let (mut tp, mut tn) = (vec![9.0; n], vec![9.0; n]);
        let truth = naive::loss::bpr(Level::Portable, &pos[1..], &neg[1..], 0.5, &mut tp, &mut tn);
        for &level in Level::available() {
            let (mut dp, mut dn) = (vec![8.0; n], vec![8.0; n]);
            let loss = bpr(level, &pos[1..], &neg[1..], 0.5, &mut dp, &mut dn);
            assert!((loss - truth).abs() <= 1e-6 * truth.max(1.0), "{level} n={n}");
            assert!(worst(&dp, &tp) <= 1e-6 && worst(&dn, &tn) <= 1e-6, "{level} n={n}");
        }
        if n <= 16 {
            check_gradient("positive", &pos[1..], &tp, |p| {
                naive::loss::bpr(Level::Portable, p, &neg[1..], 0.5, &mut vec![0.0; n], &mut vec![0.0; n])
            });
        }
    }
}

#[test]
fn sums_of_squares_are_the_same_bits_on_every_level() {
    let mut random = Random::new(3);
    for n in [0, 1, 6, 17, 100, 10_000] {
        let x = random.vec(1 + n, 3.0);
        let truth = naive::loss::sum_squares(Level::Portable, &x[1..]);
        let first = sum_squares(Level::Portable, &x[1..]);
        assert!((first - truth).abs() <= 1e-12 * truth, "n={n}");
        for &level in Level::available() {
            assert_eq!(sum_squares(level, &x[1..]).to_bits(), first.to_bits(), "{level} n={n}");
        }
    }
    assert!(sum_squares(Level::best(), &[1.0, f32::NAN]).is_nan());
}

#[test]
fn rows_match_the_naive_twin() {
    let mut random = Random::new(4);
    for width in [1, 6, 17, 64, 100, 128] {
        let table = random.vec(1 + 20 * width, 1.0);
        for n in [0, 1, 9] {
            // Repeated ids: gradients must add up.
            let ids: Vec<u32> = (0..n).map(|_| (random.next() % 20) as u32 / 4).collect();
            for at in [Columns::all(width), Columns { stride: 2 * width + 1, first: width }] {
                let before = random.vec(1 + n as usize * at.stride, 1.0);
                let mut truth = before.clone();
                naive::rows::gather(Level::Portable, &table[1..], width, &ids, &mut truth[1..], at);
                let mut truth_table = table.clone();
                naive::rows::scatter_add(Level::Portable, &before[1..], at, &ids, width, &mut truth_table[1..]);
                for &level in Level::available() {
                    let mut ours = before.clone();
                    gather(level, &table[1..], width, &ids, &mut ours[1..], at);
                    assert_eq!(ours, truth, "{level} width {width}");
                    let mut ours = table.clone();
                    scatter_add(level, &before[1..], at, &ids, width, &mut ours[1..]);
                    assert_eq!(bits(&ours), bits(&truth_table), "{level} width {width}");
                }
            }
        }
    }
}

#[test]
#[should_panic(expected = "row 5 of a table of 5 rows")]
fn a_row_beyond_the_table_is_refused() {
    gather(Level::Portable, &[0.0; 10], 2, &[4, 5], &mut [0.0; 4], Columns::all(2));
}

/// Weights and two states after three steps over `target`; without a level the naive twins.
fn steps(level: Option<Level>, which: usize, target: Target, start: &[f32], g: &[f32]) -> [Vec<f32>; 3] {
    let mut w = start.to_vec();
    let mut m = vec![0.1; w.len()];
    let mut v = vec![0.1; w.len()];
    for step in 1..4 {
        let sgd = Sgd { lr: 0.1, scale: 0.5 };
        let adagrad = Adagrad { lr: 0.1, eps: 1e-8, scale: 0.5 };
        let adam = Adam { lr: 0.1, beta1: 0.9, beta2: 0.999, eps: 1e-8, scale: 0.5, step };
        match (level, which) {
            (Some(l), 0) => optim::sgd(l, &sgd, target, &mut w, g),
            (Some(l), 1) => optim::adagrad(l, &adagrad, target, &mut w, g, &mut m),
            (Some(l), _) => optim::adam(l, &adam, target, &mut w, g, &mut m, &mut v),
            (None, 0) => naive::optim::sgd(Level::Portable, &sgd, target, &mut w, g),
            (None, 1) => naive::optim::adagrad(Level::Portable, &adagrad, target, &mut w, g, &mut m),
            (None, _) => naive::optim::adam(Level::Portable, &adam, target, &mut w, g, &mut m, &mut v),
        }
    }
    [w, m, v]
}

#[test]
fn optimisers_match_the_naive_twins() {
    let mut random = Random::new(5);
    for which in 0..3 {
        for width in [1, 6, 17, 100, 128] {
            let w = random.vec(7 * width, 1.0);
            let g = random.vec(1 + w.len(), 1.0);
            let ids = [6, 0, 3];
            let rows = Target::Rows { ids: &ids, width };
            let some = &g[1..][..3 * width];
            for (target, g) in [(Target::All, &g[1..]), (rows, some), (Target::Rows { ids: &[], width }, &[])] {
                let truth = steps(None, which, target, &w, g);
                for &level in Level::available() {
                    let ours = steps(Some(level), which, target, &w, g);
                    for (a, b) in ours.iter().zip(&truth) {
                        assert!(worst(a, b) <= 1e-6, "{level} optimiser {which} width {width}: {}", worst(a, b));
                    }
                    if let Target::Rows { .. } = target {
                        // Rows that are not named stand still, and so does their state.
                        assert_eq!(ours[0][width..3 * width], w[width..3 * width]);
                        assert!(ours[1][width..3 * width].iter().all(|&v| v == 0.1));
                    }
                }
            }
        }
    }
}

#[test]
fn the_first_step_of_adam_moves_by_the_learning_rate() {
    let adam = Adam { lr: 0.25, beta1: 0.9, beta2: 0.999, eps: 0.0, scale: 1.0, step: 1 };
    for &level in Level::available() {
        let (mut w, mut m, mut v) = ([1.0, 1.0], [0.0; 2], [0.0; 2]);
        optim::adam(level, &adam, Target::All, &mut w, &[3.0, -0.01], &mut m, &mut v);
        assert!(worst(&w, &[0.75, 1.25]) < 1e-6, "{level}: {w:?}");
    }
}

#[test]
fn add_scaled_matches_the_naive_twin() {
    let mut random = Random::new(6);
    for n in [0, 1, 17, 100] {
        let (x, y) = (random.vec(1 + n, 1.0), random.vec(1 + n, 1.0));
        let mut truth = y.clone();
        naive::optim::add_scaled(Level::Portable, &mut truth[1..], 0.3, &x[1..]);
        for &level in Level::available() {
            let mut ours = y.clone();
            optim::add_scaled(level, &mut ours[1..], 0.3, &x[1..]);
            assert!(worst(&ours, &truth) <= 2.4e-7, "{level}");
        }
    }
}

#[test]
fn fma_levels_agree_bit_for_bit() {
    if ![Level::Avx2, Level::Avx512].iter().all(|l| l.is_available()) {
        println!("skipped: this CPU lacks AVX2 or AVX-512");
        return;
    }
    let mut random = Random::new(7);
    let (w, g) = (random.vec(333, 1.0), random.vec(333, 1.0));
    for which in 0..3 {
        let a = steps(Some(Level::Avx2), which, Target::All, &w, &g);
        let b = steps(Some(Level::Avx512), which, Target::All, &w, &g);
        for (a, b) in a.iter().zip(&b) {
            assert_eq!(bits(a), bits(b));
        }
    }
    let (mut a, mut b) = (vec![0.0; 333], vec![0.0; 333]);
    let x = bce(Level::Avx2, &w, 3, 0.1, &mut a);
    let y = bce(Level::Avx512, &w, 3, 0.1, &mut b);
    assert_eq!((x.to_bits(), bits(&a)), (y.to_bits(), bits(&b)));
}
