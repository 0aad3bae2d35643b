//! Users who share their candidates: values and gradients against the naive twin, bits across levels.

use crate::random::{Random, bits, worst};
use dmran_kernels::score::Feature;
use dmran_kernels::shared::{self, FeatureGradients, Gradients, Users};
use dmran_kernels::{Level, naive};

/// Chains of up to 128 products, softmaxed, gated and summed over 130 candidates of three users, relative to the largest.
const BOUND: f32 = 2e-5;

/// Every slice that a kernel sees starts one float off.
struct Case {
    d: usize,
    offsets: Vec<u32>,
    tables: [Vec<f32>; 5],
    c: Vec<f32>,
    bias: Vec<f32>,
    dscore: Vec<f32>,
}

impl Case {
    fn new(d: usize, offsets: &[u32], n: usize, scale: f32) -> Self {
        let mut random = Random::new((d * 1000 + n) as u64);
        let (users, rows) = (offsets.len() - 1, offsets[offsets.len() - 1] as usize);
        Self {
            d,
            offsets: offsets.to_vec(),
            tables: [rows * d, rows * d, rows * d, rows * d, d].map(|len| random.vec(1 + len, scale)),
            c: random.vec(1 + n * d, scale),
            bias: random.vec(1 + n, 1.0),
            dscore: random.vec(1 + users * n, 1.0),
        }
    }

    fn users(&self, feature: bool) -> Users<'_> {
        let [m, mhat, gate_m, gate_mhat, gate_bias] = self.tables.each_ref().map(|t| &t[1..]);
        let feature = feature.then_some(Feature { mhat, gate_m, gate_mhat, gate_bias });
        Users { d: self.d, offsets: &self.offsets, m, feature }
    }

    fn scores(&self, level: Option<Level>, feature: bool) -> Vec<f32> {
        let users = self.users(feature);
        let mut score = vec![f32::NAN; self.dscore.len()];
        let kernel = if level.is_some() { shared::forward } else { naive::shared::forward };
        let mut scratch = vec![f32::NAN; 1 + users.scratch_len()];
        let level = level.unwrap_or(Level::Portable);
        kernel(level, &users, &self.c[1..], &self.bias[1..], &mut score[1..], &mut scratch[1..]);
        score.split_off(1)
    }

    /// The gradients of M, Mhat, their gate tables, the gate's bias and the candidates, added to ones.
    fn gradients(&self, level: Option<Level>, feature: bool) -> Vec<Vec<f32>> {
        let users = self.users(feature);
        let mut out: Vec<Vec<f32>> = self.tables.iter().chain([&self.c]).map(|x| vec![1.0; x.len()]).collect();
        let [m, mhat, gate_m, gate_mhat, gate_bias, c] = &mut out[..] else { unreachable!("six") };
        let feature = feature.then_some(FeatureGradients {
            mhat: &mut mhat[1..],
            gate_m: &mut gate_m[1..],
            gate_mhat: &mut gate_mhat[1..],
            gate_bias: &mut gate_bias[1..],
        });
        let gradients = Gradients { m: &mut m[1..], feature, c: &mut c[1..] };
        let kernel = if level.is_some() { shared::backward } else { naive::shared::backward };
        let mut scratch = vec![f32::NAN; 1 + users.backward_scratch_len()];
        let level = level.unwrap_or(Level::Portable);
        kernel(level, &users, &self.c[1..], &self.dscore[1..], gradients, &mut scratch[1..]);
        out
    }
}

#[test]
fn scores_and_gradients_of_shared_candidates_match_the_naive_twin() {
    for d in [1, 6, 17, 100, 128] {
        for n in [0, 1, 16, 63, 64, 130] {
            for offsets in [&[0, 10, 20, 30][..], &[0, 1], &[0, 7, 8, 31]] {
                for scale in [1.0, 0.1] {
                    let case = Case::new(d, offsets, n, scale);
                    for feature in [true, false] {
                        let (scores, truth) = (case.scores(None, feature), case.gradients(None, feature));
                        for &level in Level::available() {
                            let of = format!("{level} d={d} n={n} {offsets:?} {scale} {feature}");
                            let error = worst(&case.scores(Some(level), feature), &scores);
                            assert!(error <= BOUND, "{of}: scores are off by {error}");
                            for (i, (ours, truth)) in
                                case.gradients(Some(level), feature).iter().zip(&truth).enumerate()
                            {
                                let largest = truth.iter().fold(1.0f32, |most, x| most.max(x.abs()));
                                let off = ours.iter().zip(truth).fold(0.0f32, |most, (a, b)| {
                                    let off = (a - b).abs();
                                    if off <= most { most } else { off }
                                });
                                assert!(off <= BOUND * largest, "{of}: gradient {i} is off by {off} of {largest}");
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn gradients_of_shared_candidates_have_the_same_bits_on_all_fma_levels() {
    let case = Case::new(100, &[0, 10, 13], 70, 1.0);
    let mut all = Level::available().iter().filter(|level| **level != Level::Portable);
    let Some(first) = all.next() else { return };
    let truth = case.gradients(Some(*first), true);
    for level in all {
        for (a, b) in case.gradients(Some(*level), true).iter().zip(&truth) {
            assert_eq!(bits(a), bits(b), "{level} and {first}");
        }
    }
}

#[test]
fn saturated_gates_and_weights_have_finite_gradients_and_nan_stays_with_its_candidate() {
    let mut case = Case::new(17, &[0, 5, 9], 40, 100.0);
    for &level in Level::available() {
        assert!(case.gradients(Some(level), true).iter().flatten().all(|x| x.is_finite()), "{level}");
    }
    case.c[1 + 17 * 3] = f32::NAN;
    for &level in Level::available() {
        let out = case.gradients(Some(level), true);
        for i in 0..40 {
            assert_eq!(out[5][1 + 17 * i..][..17].iter().any(|x| x.is_nan()), i == 3, "{level} {i}");
        }
    }
}

#[test]
#[should_panic(expected = "a user needs at least one row")]
fn a_user_without_rows_has_no_gradients() {
    let users = Users { d: 2, offsets: &[0, 0, 1], m: &[0.0; 2], feature: None };
    let out = Gradients { m: &mut [0.0; 2], feature: None, c: &mut [0.0; 2] };
    shared::backward(Level::Portable, &users, &[0.0; 2], &[0.0; 2], out, &mut [0.0; 9999]);
}
