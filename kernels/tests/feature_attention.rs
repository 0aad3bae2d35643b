//! The fused feature attention against its naive twin, on every level.

#[path = "support/feature.rs"]
mod feature;
#[path = "support/random.rs"]
mod random;

use dmran_kernels::{Level, feature_attention as fused, naive::feature_attention as naive};
use feature::{Outcome, Problem};
use random::bits;

fn fused(problem: &Problem, level: Level) -> Outcome {
    problem.run(level, fused::forward, fused::backward, 0.25)
}

fn naive(problem: &Problem) -> Outcome {
    problem.run(Level::Portable, naive::forward, naive::backward, 0.25)
}

/// Each result within `bound` of the largest entry (at least 1) of its kind; gradients, which are longer sums, within 5 times that.
fn assert_close(a: &Outcome, b: &Outcome, bound: f32, what: &str) {
    for ((name, a), (_, b)) in a.parts().into_iter().zip(b.parts()) {
        let bound = if name == "mhat" { bound } else { 5.0 * bound };
        let size = b.iter().fold(1.0f32, |size, b| size.max(b.abs()));
        for (i, (&a, &b)) in a.iter().zip(b).enumerate() {
            let error = (a - b).abs() / size;
            assert!(error <= bound, "{what}: {name}[{i}] = {a}, expected {b} (largest {size}), error {error}");
        }
    }
}

#[test]
fn every_width_and_length_matches_the_naive_twin() {
    for &level in Level::available() {
        for d in [1, 6, 8, 16, 17, 100, 128] {
            for segments in [&[1][..], &[2], &[3], &[10, 10], &[20], &[4, 0, 1, 33, 7], &[70], &[0, 0], &[]] {
                if d > 20 && segments.contains(&70) {
                    continue;
                }
                let problem = Problem::new(d as u64, d, segments);
                assert_close(&fused(&problem, level), &naive(&problem), 2e-6, &format!("{level} d={d} {segments:?}"));
            }
        }
    }
}

#[test]
fn long_segments_and_groups_match_the_naive_twin() {
    // More than 64 rows: the softmax runs in parts. More than 128 rows together: several groups of gradients.
    for &level in Level::available() {
        for scale in [1.0, 60.0] {
            let mut problem = Problem::new(3, 18, &[65, 10, 10, 129, 10, 64, 63]);
            problem.w_s5.iter_mut().for_each(|w| *w *= scale);
            let bound = if scale > 1.0 { 5e-5 } else { 2e-6 };
            assert_close(&fused(&problem, level), &naive(&problem), bound, &format!("{level} x {scale}"));
        }
    }
}

#[test]
fn large_output_weights_take_the_shifted_softmax() {
    // |f| up to thousands: exp without subtracting the maximum would overflow.
    for &level in Level::available() {
        for (scale, bound) in [(10.0, 2e-5), (1000.0, 2e-3)] {
            let mut problem = Problem::new(4, 33, &[10, 1, 7]);
            problem.w_s5.iter_mut().for_each(|w| *w *= scale);
            let ours = fused(&problem, level);
            assert_close(&ours, &naive(&problem), bound, &format!("{level} x {scale}"));
        }
    }
}

/// A problem where the rows of M choose p and q freely: `p_i = a_i`, `q_j = b_j` for m = (a, b, c), with one dimension each.
fn chosen(a: &[f32], b: &[f32]) -> Problem {
    let mut problem = Problem::new(5, 3, &[a.len() as u32]);
    problem.w_s4.fill(0.0);
    problem.w_s3.fill(0.0);
    problem.b_s2.fill(0.0);
    for k in 0..3 {
        problem.w_s4[k * 3] = 1.0;
        problem.w_s3[k * 3 + 1] = 1.0;
    }
    for (row, (&a, &b)) in problem.m.chunks_exact_mut(3).zip(a.iter().zip(b)) {
        row.copy_from_slice(&[a, b, a / 3e3]);
    }
    problem
}

#[test]
fn saturated_inputs_of_mixed_signs_stay_right() {
    let a = [5000.0, -1e4, 1e4, 21.4, 21.6, -60.0, 0.0, 300.0];
    let b = [-4999.5, 1e4, -1e4, -21.0, -21.4, 60.25, 0.5, -300.5];
    for &level in Level::available() {
        let problem = chosen(&a, &b);
        let (ours, truth) = (fused(&problem, level), naive(&problem));
        // Relative to the largest entry of M, 1e4; the exact sums p + q in f32 make tanh right to a few ulp.
        assert_close(&ours, &truth, 2e-6, &format!("{level}"));
        // The third dimension has values of size 3: there tanh(0.5) itself shows.
        for i in 0..a.len() {
            let (ours, truth) = (ours.mhat[i * 3 + 2], truth.mhat[i * 3 + 2]);
            assert!((ours - truth).abs() < 5e-6, "{level} row {i}: {ours}, expected {truth}");
        }
    }
}

#[test]
fn both_ways_of_tanh_agree_at_the_limit() {
    // |2p| just below and just above 43: the factorised and the direct form.
    for &level in Level::available() {
        let run = |x: f32| fused(&chosen(&[x, -x, 1.0], &[-x, x + 0.5, -1.5]), level);
        assert_close(&run(21.499), &run(21.501), 2e-3, &format!("{level}"));
        for x in [21.499, 21.501] {
            let problem = chosen(&[x, -x, 1.0], &[-x, x + 0.5, -1.5]);
            assert_close(&fused(&problem, level), &naive(&problem), 2e-6, &format!("{level} {x}"));
        }
    }
}

#[test]
fn nan_and_infinity_spoil_their_own_segment_only() {
    for &level in Level::available() {
        for bad in
            [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::from_bits(0x7f80_0155), f32::from_bits(0xffc0_00ff)]
        {
            for d in [6, 17, 64] {
                let clean = Problem::new(6, d, &[3, 10, 2]);
                let mut problem = clean.clone();
                problem.m[(3 + 4) * d + 2] = bad;
                let (ours, before) = (fused(&problem, level), fused(&clean, level));
                let segment = 3 * d..13 * d;
                assert!(ours.mhat[segment.clone()].iter().any(|x| x.is_nan()), "{level} {bad}");
                if bad.is_nan() {
                    assert!(ours.mhat[segment.clone()].iter().all(|x| x.is_nan()), "{level}");
                    assert!(ours.dm[segment].iter().all(|x| x.is_nan()), "{level}");
                    assert!(ours.dw_s5.iter().all(|x| x.is_nan()), "{level}");
                }
                for range in [0..3 * d, 13 * d..15 * d] {
                    assert_eq!(ours.mhat[range.clone()], before.mhat[range.clone()], "{level}");
                    assert_eq!(ours.dm[range.clone()], before.dm[range], "{level}");
                }
                let mut problem = clean.clone();
                problem.w_s5[2 * d + 1] = bad;
                let ours = fused(&problem, level);
                assert!(ours.mhat.iter().skip(2).step_by(d).all(|x| x.is_nan()), "{level} weight {bad}");
            }
        }
    }
}

#[test]
fn a_segment_has_the_same_bits_alone_and_in_a_batch() {
    for &level in Level::available() {
        for d in [17, 128] {
            let problem = Problem::new(7, d, &[10, 3, 1, 0, 10, 66, 2]);
            let batch = fused(&problem, level);
            for b in 0..problem.offsets.len() - 1 {
                let range = problem.offsets[b] as usize * d..problem.offsets[b + 1] as usize * d;
                let alone = fused(&problem.segment(b), level);
                assert_eq!(bits(&alone.mhat), bits(&batch.mhat[range.clone()]), "{level} segment {b}");
                assert_eq!(bits(&alone.dm), bits(&batch.dm[range]), "{level} segment {b}");
            }
        }
    }
}

#[test]
fn what_forward_keeps_changes_no_bit() {
    for &level in Level::available() {
        for d in [17, 128] {
            // Kept, too long to be kept, and one after the other.
            for scale in [1.0, 100.0] {
                let mut kept = Problem::new(11, d, &[10, 1, 16, 17, 0, 10]);
                kept.w_s5.iter_mut().for_each(|w| *w *= scale);
                let again = Problem { keep: false, ..kept.clone() };
                let (kept, again) = (fused(&kept, level), fused(&again, level));
                for ((name, a), (_, b)) in kept.parts().into_iter().zip(again.parts()) {
                    assert_eq!(bits(a), bits(b), "{level} {name}");
                }
            }
        }
    }
}

#[test]
fn equal_rows_take_a_short_way_to_the_same_results() {
    for &level in Level::available() {
        for d in [1, 17, 128] {
            let mut problem = Problem::new(12, d, &[10, 3, 10]);
            let first = problem.m[..d].to_vec();
            problem.m[..10 * d].chunks_exact_mut(d).for_each(|row| row.copy_from_slice(&first));
            assert_close(&fused(&problem, level), &naive(&problem), 2e-6, &format!("{level} d={d}"));
            // A weight that is no number shows in such a segment too.
            problem.w_s5[0] = f32::NAN;
            assert!(fused(&problem, level).mhat[0].is_nan(), "{level} d={d}");
            problem.w_s5[0] = 0.0;
            problem.w_s4[0] = f32::NAN;
            assert!(fused(&problem, level).mhat[..10 * d].iter().all(|x| x.is_nan()), "{level} d={d}");
        }
    }
}

#[test]
fn fused_levels_agree_bit_for_bit() {
    let levels: Vec<Level> = Level::available().iter().copied().filter(|&l| l != Level::Portable).collect();
    for pair in levels.windows(2) {
        for d in [17, 128] {
            let problem = Problem::new(8, d, &[10, 3, 70]);
            let (a, b) = (fused(&problem, pair[0]), fused(&problem, pair[1]));
            for ((name, a), (_, b)) in a.parts().into_iter().zip(b.parts()) {
                assert_eq!(bits(a), bits(b), "{name}: {} and {}", pair[0], pair[1]);
            }
        }
    }
}

#[test]
fn naive_gradients_match_finite_differences() {
    // The naive twin is the specification, so its own gradient is checked against its forward pass in f64.
    use dmran_kernels::feature_attention::Weights;
    use dmran_kernels::gemm::pack_transposed;
    let problem = Problem::new(9, 5, &[4]);
    let loss = |x: &Problem| -> f64 {
        let [w_s3, w_s4, w_s5] = [&x.w_s3, &x.w_s4, &x.w_s5].map(|w| x.packed(pack_transposed, w));
        let weights = Weights { d: 5, w_s3: &w_s3[1..], w_s4: &w_s4[1..], w_s5: &w_s5[1..], b_s2: &x.b_s2 };
        let mhat = naive::intermediates(&weights, &x.m).mhat;
        mhat.iter().zip(&x.dmhat).map(|(a, &b)| a * f64::from(b)).sum()
    };
    let out = problem.run(Level::Portable, naive::forward, naive::backward, 0.0);
    type Field = fn(&mut Problem) -> &mut Vec<f32>;
    let fields: [(&str, Field, &[f32]); 5] = [
        ("m", |p| &mut p.m, &out.dm),
        ("w_s3", |p| &mut p.w_s3, &out.dw_s3),
        ("w_s4", |p| &mut p.w_s4, &out.dw_s4),
        ("w_s5", |p| &mut p.w_s5, &out.dw_s5),
        ("b_s2", |p| &mut p.b_s2, &out.db_s2),
    ];
    for (name, field, gradient) in fields {
        for (i, &g) in gradient.iter().enumerate() {
            let (mut up, mut down) = (problem.clone(), problem.clone());
            field(&mut up)[i] += 1e-3;
            field(&mut down)[i] -= 1e-3;
            // The step that f32 really made.
            let step = f64::from(field(&mut up)[i]) - f64::from(field(&mut down)[i]);
            let slope = (loss(&up) - loss(&down)) / step;
            assert!((slope - f64::from(g)).abs() < 1e-5, "{name}[{i}]: {g}, finite difference {slope}");
        }
    }
}

#[test]
#[should_panic(expected = "the scratch has")]
fn a_short_scratch_is_refused() {
    let problem = Problem::new(1, 4, &[3]);
    problem.run(
        Level::best(),
        |level, w, mut args| {
            args.scratch = &mut [];
            fused::forward(level, w, args);
        },
        fused::backward,
        0.0,
    );
}
