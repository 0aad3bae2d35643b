//! Scores of many candidates: the naive twin's values, and the bits of the training path.

#[path = "support/random.rs"]
mod random;
#[path = "support/shared.rs"]
mod shared;

use dmran_kernels::pooling::{self, Mask, Pool};
use dmran_kernels::score::{self, Candidates, Feature, Second, StoredRows, Vanilla};
use dmran_kernels::{Level, gate, naive};
use random::{Random, bits, worst};

/// Sums of up to 128 products of numbers around 1, softmaxed and summed again.
const BOUND: f32 = 2e-5;
const WIDTHS: [usize; 5] = [1, 6, 17, 100, 128];
const COUNTS: [usize; 9] = [0, 1, 2, 8, 9, 17, 33, 50, 97];

struct Case {
    d: usize,
    rows: usize,
    rows_hat: usize,
    tables: [Vec<f32>; 5],
    c: Vec<f32>,
    bias: Vec<f32>,
}

impl Case {
    fn new(d: usize, (rows, rows_hat): (usize, usize), n: usize) -> Self {
        let mut random = Random::new((d * 1000 + n) as u64);
        let sizes = [rows * d, rows_hat * d, rows * d, rows_hat * d, d];
        Self {
            d,
            rows,
            rows_hat,
            tables: sizes.map(|len| random.vec(1 + len, 1.0)),
            c: random.vec(1 + n * d, 1.0),
            bias: random.vec(n, 1.0),
        }
    }

    fn user(&self, feature: bool) -> Vanilla<'_> {
        let [m, mhat, gate_m, gate_mhat, gate_bias] = self.tables.each_ref().map(|t| &t[1..]);
        let feature = feature.then_some(Feature { mhat, gate_m, gate_mhat, gate_bias });
        Vanilla { d: self.d, m, feature }
    }

    fn scores(&self, level: Option<Level>, feature: bool) -> Vec<f32> {
        let user = self.user(feature);
        let mut score = vec![9.0; self.bias.len()];
        match level {
            Some(level) => {
                let mut scratch = vec![7.0; user.scratch_len()];
                score::vanilla(level, &user, self.c[1..].into(), &self.bias, &mut score, &mut scratch);
            }
            None => naive::score::vanilla(Level::Portable, &user, self.c[1..].into(), &self.bias, &mut score, &mut []),
        }
        score
    }

    /// As a training step computes it, with all candidates as one sample's.
    fn training(&self, level: Level, feature: bool) -> Vec<f32> {
        let (d, n, c) = (self.d, self.bias.len(), &self.c[1..]);
        let [m, mhat, gate_m, gate_mhat, gate_bias] = self.tables.each_ref().map(|t| &t[1..]);
        let head = |x: &[f32], rows: usize| {
            let offsets = [0, rows as u32];
            let p = Pool { d, heads: 1, candidates: n, offsets: &offsets, mask: Mask::Full };
            let (mut w, mut h) = (vec![0.0; p.weights_len()], vec![0.0; n * d]);
            pooling::weights(level, &p, c, x, &mut w, &mut vec![0.0; p.scratch_len()]);
            pooling::pool_rows(level, &p, &w, x, false, &mut h);
            (w, h)
        };
        let (w, h) = head(m, self.rows);
        let mut hc = h.clone();
        if feature {
            let (what, hhat) = head(mhat, self.rows_hat);
            let mut z = gate_bias.repeat(n);
            for (w, y, rows) in [(&w, gate_m, self.rows), (&what, gate_mhat, self.rows_hat)] {
                let offsets = [0, rows as u32];
                let p = Pool { d, heads: 1, candidates: n, offsets: &offsets, mask: Mask::Full };
                pooling::pool_rows(level, &p, w, y, true, &mut z);
            }
            gate::forward(level, &z, &h, &hhat, &mut vec![0.0; n * d], &mut hc);
        }
        let mut score = vec![0.0; n];
        gate::dot_rows(level, d, &hc, c, &self.bias, &mut score);
        score
    }
}

#[test]
fn vanilla_matches_the_naive_twin_and_has_the_bits_of_training() {
    for d in WIDTHS {
        for n in COUNTS {
            for rows in [(10, 10), (1, 1), (7, 23)] {
                let case = Case::new(d, rows, n);
                for feature in [true, false] {
                    let truth = case.scores(None, feature);
                    for &level in Level::available() {
                        let ours = case.scores(Some(level), feature);
                        let error = worst(&ours, &truth);
                        assert!(error <= BOUND, "{level} d={d} n={n} {rows:?} {feature}: {error}");
                        let training = case.training(level, feature);
                        assert_eq!(bits(&ours), bits(&training), "{level} d={d} n={n} {rows:?} {feature}");
                    }
                }
            }
        }
    }
}

#[test]
fn fma_levels_agree_bit_for_bit() {
    if ![Level::Avx2, Level::Avx512].iter().all(|l| l.is_available()) {
        println!("skipped: this CPU lacks AVX2 or AVX-512");
        return;
    }
    for d in WIDTHS {
        let case = Case::new(d, (10, 7), 50);
        for feature in [true, false] {
            assert_eq!(
                bits(&case.scores(Some(Level::Avx2), feature)),
                bits(&case.scores(Some(Level::Avx512), feature))
            );
        }
    }
}

#[test]
fn nan_stays_in_its_candidate() {
    let mut case = Case::new(17, (10, 10), 20);
    case.c[1 + 17 * 3] = f32::NAN;
    for &level in Level::available() {
        for (i, s) in case.scores(Some(level), true).iter().enumerate() {
            assert_eq!(s.is_nan(), i == 3, "{level} {i}");
        }
    }
}

#[test]
fn fixed_matches_the_naive_twin_and_has_the_bits_of_training() {
    let mut random = Random::new(3);
    for d in WIDTHS {
        for n in COUNTS {
            let (hc, c, bias) = (random.vec(1 + d, 1.0), random.vec(1 + n * d, 1.0), random.vec(n, 1.0));
            let mut truth = vec![9.0; n];
            naive::score::fixed(Level::Portable, &hc[1..], c[1..].into(), &bias, &mut truth);
            for &level in Level::available() {
                let (mut ours, mut training) = (vec![8.0; n], vec![7.0; n]);
                score::fixed(level, &hc[1..], c[1..].into(), &bias, &mut ours);
                assert!(worst(&ours, &truth) <= BOUND, "{level} d={d} n={n}");
                gate::dot_rows(level, d, &hc[1..].repeat(n), &c[1..], &bias, &mut training);
                assert_eq!(bits(&ours), bits(&training), "{level} d={d} n={n}");
            }
        }
    }
}

/// Compact rows of every code, from the second element on: `(halves, codes, scales, both widened)`.
fn compact_rows(random: &mut Random, d: usize, n: usize) -> (Vec<u16>, Vec<i8>, Vec<f32>, [Vec<f32>; 2]) {
    let halves: Vec<u16> = random.vec(1 + n * d, 1.0).iter().map(|x| (x.to_bits() >> 16) as u16).collect();
    let codes: Vec<i8> = (0..1 + n * d).map(|_| random.next() as i8).collect();
    let scales = random.vec(n, 0.02);
    let wide = halves[1..].iter().map(|&half| f32::from_bits(u32::from(half) << 16)).collect();
    let scaled = codes[1..].iter().enumerate().map(|(at, &code)| scales[at / d] * f32::from(code)).collect();
    (halves, codes, scales, [wide, scaled])
}

#[test]
fn compact_rows_match_the_naive_twin_and_have_the_bits_of_widened_ones() {
    let mut random = Random::new(4);
    for d in [1, 6, 15, 16, 17, 33, 100, 128] {
        for n in COUNTS {
            let (halves, codes, scales, wide) = compact_rows(&mut random, d, n);
            let (hc, bias) = (random.vec(1 + d, 1.0), random.vec(n, 1.0));
            let rows = [StoredRows::Bf16(&halves[1..]), StoredRows::Int8 { codes: &codes[1..], scales: &scales }];
            for (rows, wide) in rows.into_iter().zip(&wide) {
                let mut truth = vec![9.0; n];
                naive::score::fixed_stored(Level::Portable, &hc[1..], rows, None, &bias, &mut truth);
                for &level in Level::available() {
                    let (mut ours, mut widened) = (vec![8.0; n], vec![7.0; n]);
                    score::fixed_stored(level, &hc[1..], rows, None, &bias, &mut ours);
                    assert!(worst(&ours, &truth) <= BOUND, "{level} d={d} n={n}");
                    score::fixed(level, &hc[1..], wide[..].into(), &bias, &mut widened);
                    assert_eq!(bits(&ours), bits(&widened), "{level} d={d} n={n}");
                }
            }
        }
    }
}

#[test]
fn rows_with_a_second_part_have_the_bits_of_whole_ones() {
    let mut random = Random::new(5);
    for (own, behind) in [(16, 1), (16, 16), (32, 6), (64, 64), (48, 33)] {
        for n in COUNTS {
            let (halves, codes, scales, [wide, scaled]) = compact_rows(&mut random, own, n);
            let (hc, bias, plain) =
                (random.vec(1 + own + behind, 1.0), random.vec(n, 1.0), random.vec(1 + n * own, 1.0));
            let table = random.vec(5 * behind + 1, 1.0);
            let of: Vec<u32> = (0..n as u32).map(|i| i * 7 % 5).collect();
            let second = Second { table: &table[1..], width: behind, of: &of };
            let rows = [
                (StoredRows::F32(&plain[1..]), &plain[1..]),
                (StoredRows::Bf16(&halves[1..]), &wide[..]),
                (StoredRows::Int8 { codes: &codes[1..], scales: &scales }, &scaled[..]),
            ];
            for (rows, own_part) in rows {
                let part =
                    |i: usize| [&own_part[i * own..(i + 1) * own], &table[1..][of[i] as usize * behind..][..behind]];
                let whole: Vec<f32> = (0..n).flat_map(part).flatten().copied().collect();
                let mut truth = vec![9.0; n];
                naive::score::fixed_stored(Level::Portable, &hc[1..], rows, Some(second), &bias, &mut truth);
                for &level in Level::available() {
                    let (mut ours, mut joined) = (vec![8.0; n], vec![7.0; n]);
                    score::fixed_stored(level, &hc[1..], rows, Some(second), &bias, &mut ours);
                    assert!(worst(&ours, &truth) <= BOUND, "{level} {own}+{behind} n={n}");
                    score::fixed(level, &hc[1..], whole[..].into(), &bias, &mut joined);
                    assert_eq!(bits(&ours), bits(&joined), "{level} {own}+{behind} n={n}");
                }
            }
        }
    }
}

#[test]
#[should_panic(expected = "a second part behind 17 numbers")]
fn a_second_part_in_the_middle_of_a_vector_is_refused() {
    let second = Second { table: &[0.0; 3], width: 3, of: &[0] };
    let rows = StoredRows::F32(&[0.0; 17]);
    score::fixed_stored(Level::Portable, &[0.0; 20], rows, Some(second), &[0.0], &mut [0.0]);
}

#[test]
fn extreme_codes_are_widened_exactly_and_nan_stays_in_its_row() {
    let d = 17;
    let (ones, bias) = (vec![1.0; d], [0.0; 3]);
    let codes: Vec<i8> = [-128i8, 127, 1].iter().flat_map(|&code| vec![code; d]).collect();
    let mut halves = vec![0x3f80u16; 3 * d];
    halves[d + 16] = 0x7fc0;
    for &level in Level::available() {
        let mut score = [9.0; 3];
        let rows = StoredRows::Int8 { codes: &codes, scales: &[1.0, 1.0, f32::NAN] };
        score::fixed_stored(level, &ones, rows, None, &bias, &mut score);
        assert!(score[..2] == [-128.0 * 17.0, 127.0 * 17.0] && score[2].is_nan(), "{level} {score:?}");
        score::fixed_stored(level, &ones, StoredRows::Bf16(&halves), None, &bias, &mut score);
        assert!(score[0] == 17.0 && score[1].is_nan() && score[2] == 17.0, "{level} {score:?}");
    }
}

#[test]
#[should_panic(expected = "scales of 2 candidates")]
fn compact_rows_without_their_scales_are_refused() {
    let rows = StoredRows::Int8 { codes: &[0; 4], scales: &[1.0] };
    score::fixed_stored(Level::Portable, &[0.0; 2], rows, None, &[0.0; 2], &mut [0.0; 2]);
}

#[test]
fn listed_candidates_have_the_bits_of_rows() {
    for d in WIDTHS {
        let case = Case::new(d, (10, 7), 97);
        let table = &case.c[1..];
        // Repeated, in any order, of any number.
        for n in COUNTS {
            let ids: Vec<u32> = (0..n as u32).map(|i| i * 17 % 31).collect();
            let rows: Vec<f32> = ids.iter().flat_map(|&id| &table[id as usize * d..][..d]).copied().collect();
            let (bias, listed) = (&case.bias[..n], Candidates { table, ids: Some(&ids) });
            let (user, hc) = (case.user(true), &table[..d]);
            for &level in Level::available() {
                let mut scratch = vec![7.0; user.scratch_len()];
                let mut score = |c: Candidates| {
                    let (mut vanilla, mut fixed) = (vec![9.0; n], vec![8.0; n]);
                    score::vanilla(level, &user, c, bias, &mut vanilla, &mut scratch);
                    score::fixed(level, hc, c, bias, &mut fixed);
                    (bits(&vanilla), bits(&fixed))
                };
                assert_eq!(score(listed), score(rows[..].into()), "{level} d={d} n={n}");
            }
        }
    }
}

#[test]
#[should_panic(expected = "candidate 3 of a table of 3 rows")]
fn a_candidate_beyond_the_table_is_refused() {
    let c = Candidates { table: &[0.0; 6], ids: Some(&[2, 3]) };
    score::fixed(Level::Portable, &[0.0; 2], c, &[0.0; 2], &mut [0.0; 2]);
}

#[test]
#[should_panic(expected = "a user needs at least one row")]
fn a_user_without_rows_is_refused() {
    let user = Vanilla { d: 2, m: &[], feature: None };
    score::vanilla(Level::Portable, &user, [0.0; 2][..].into(), &[0.0], &mut [0.0], &mut [0.0; 999]);
}
