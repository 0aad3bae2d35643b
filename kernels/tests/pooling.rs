//! The pooling heads, the gate and the score against the naive twins, and those against finite differences.

#[path = "support/layers.rs"]
mod layers;
#[path = "support/random.rs"]
mod random;

use dmran_kernels::pooling::{self, Mask, Pool};
use dmran_kernels::{Level, gate, naive};
use layers::{check_gradient, inner, offsets, to_largest};
use random::{Random, bits, worst};

/// Sums of up to 128 products of numbers around 1, softmaxed and summed again.
const BOUND: f32 = 2e-5;

/// (d, heads, candidates, rows of each sample)
const SHAPES: [(usize, usize, usize, &[usize]); 9] = [
    (1, 1, 1, &[1]),
    (6, 3, 2, &[4, 1, 0, 2]),
    (17, 1, 2, &[16, 17, 15]),
    (100, 10, 3, &[10, 10]),
    (128, 8, 2, &[10, 10, 10]),
    (128, 1, 5, &[10, 50, 3]),
    (128, 8, 7, &[20]),
    (32, 2, 2, &[]),
    (32, 2, 0, &[3, 2]),
];

/// (d, heads, rows of the sample): self-attention has as many queries as rows.
const CAUSAL: [(usize, usize, usize); 9] =
    [(1, 1, 1), (6, 3, 4), (17, 1, 2), (17, 1, 17), (128, 2, 1), (128, 2, 50), (100, 10, 16), (64, 1, 33), (32, 2, 3)];

struct Case {
    mask: Mask,
    d: usize,
    heads: usize,
    candidates: usize,
    offsets: Vec<u32>,
    q: Vec<f32>,
    keys: Vec<f32>,
    y: Vec<f32>,
    dout: Vec<f32>,
}

impl Case {
    fn new((d, heads, candidates, lengths): (usize, usize, usize, &[usize])) -> Self {
        let mut random = Random::new(d as u64);
        let rows = lengths.iter().sum::<usize>();
        let queries = lengths.len() * candidates * d;
        Self {
            mask: Mask::Full,
            d,
            heads,
            candidates,
            offsets: offsets(lengths),
            q: random.vec(1 + queries, 1.0),
            keys: random.vec(1 + rows * d, 2.0),
            y: random.vec(1 + rows * d, 1.0),
            dout: random.vec(1 + queries, 1.0),
        }
    }

    /// One sample whose rows attend to those up to themselves.
    fn causal((d, heads, rows): (usize, usize, usize)) -> Self {
        Self { mask: Mask::Causal, ..Self::new((d, heads, rows, &[rows])) }
    }

    fn pool(&self) -> Pool<'_> {
        Pool { d: self.d, heads: self.heads, candidates: self.candidates, offsets: &self.offsets, mask: self.mask }
    }

    /// (weights, pooled rows added to 0.5). Without a level: the naive twins.
    fn forward(
        &self,
        level: Option<Level>,
        q: &[f32],
        keys: &[f32],
        y: &[f32],
        accumulate: bool,
    ) -> (Vec<f32>, Vec<f32>) {
        let p = self.pool();
        let (mut w, mut out) = (vec![9.0; p.weights_len()], vec![0.5; q.len()]);
        match level {
            Some(level) => {
                let mut scratch = vec![3.0; p.scratch_len()];
                pooling::weights(level, &p, q, keys, &mut w, &mut scratch);
                pooling::pool_rows(level, &p, &w, y, accumulate, &mut out);
            }
            None => {
                naive::pooling::weights(Level::Portable, &p, q, keys, &mut w, &mut []);
                naive::pooling::pool_rows(Level::Portable, &p, &w, y, accumulate, &mut out);
            }
        }
        (w, out)
    }

    /// dq, dkeys, dy from `dout` and from a gradient of 0.1 on each weight.
    fn backward(&self, level: Option<Level>, w: &[f32]) -> [Vec<f32>; 4] {
        let p = self.pool();
        let (q, keys, y, dout) = (&self.q[1..], &self.keys[1..], &self.y[1..], &self.dout[1..]);
        let mut dw = (0..w.len()).map(|i| 0.1 * (i % 3) as f32).collect::<Vec<_>>();
        let (mut dq, mut dkeys, mut dy) = (vec![0.5; q.len()], vec![0.5; keys.len()], vec![0.5; y.len()]);
        match level {
            Some(level) => {
                pooling::pool_rows_backward(level, &p, w, y, dout, &mut dw, &mut dy);
                pooling::weights_backward(level, &p, q, keys, w, &mut dw, &mut dq, &mut dkeys);
            }
            None => {
                let level = Level::Portable;
                naive::pooling::pool_rows_backward(level, &p, w, y, dout, &mut dw, &mut dy);
                naive::pooling::weights_backward(level, &p, q, keys, w, &mut dw, &mut dq, &mut dkeys);
            }
        }
        [dq, dkeys, dy, dw]
    }
}

#[test]
fn attention_matches_the_naive_twin() {
    let causal = CAUSAL.map(|shape| (format!("causal {shape:?}"), Case::causal(shape)));
    let full = SHAPES.map(|shape| (format!("{shape:?}"), Case::new(shape)));
    for (shape, case) in full.into_iter().chain(causal) {
        let (q, keys, y) = (&case.q[1..], &case.keys[1..], &case.y[1..]);
        for accumulate in [false, true] {
            let truth = case.forward(None, q, keys, y, accumulate);
            for &level in Level::available() {
                let ours = case.forward(Some(level), q, keys, y, accumulate);
                assert!(worst(&ours.0, &truth.0) <= BOUND, "{level} {shape} weights");
                assert!(worst(&ours.1, &truth.1) <= BOUND, "{level} {shape} pooled");
            }
        }
        let w = case.forward(None, q, keys, y, false).0;
        let truth = case.backward(None, &w);
        for &level in Level::available() {
            for (a, b) in case.backward(Some(level), &w).iter().zip(&truth) {
                assert!(to_largest(a, b) <= BOUND, "{level} {shape}: {}", to_largest(a, b));
            }
        }
    }
}

#[test]
fn attention_gradients_match_finite_differences() {
    for case in [Case::new((6, 2, 2, &[4, 1, 3])), Case::causal((6, 2, 5))] {
        let (q, keys, y) = (&case.q[1..], &case.keys[1..], &case.y[1..]);
        let w = case.forward(None, q, keys, y, false).0;
        let mut grads = case.backward(None, &w);
        grads[..3].iter_mut().flatten().for_each(|v| *v -= 0.5);
        let loss = |q: &[f32], keys: &[f32], y: &[f32]| {
            let (w, out) = case.forward(None, q, keys, y, false);
            let dw = (0..w.len()).map(|i| 0.1 * (i % 3) as f32).collect::<Vec<_>>();
            inner(&out, &case.dout[1..]) + inner(&w, &dw)
        };
        check_gradient("q", q, &grads[0], |q| loss(q, keys, y));
        check_gradient("keys", keys, &grads[1], |keys| loss(q, keys, y));
        check_gradient("y", y, &grads[2], |y| loss(q, keys, y));
    }
}

#[test]
fn a_causal_query_sees_as_much_as_if_nothing_came_after_it() {
    for (d, heads, rows) in [(17, 1, 23), (128, 2, 50)] {
        let case = Case::causal((d, heads, rows));
        for &level in Level::available() {
            let (_, all) = case.forward(Some(level), &case.q[1..], &case.keys[1..], &case.y[1..], false);
            for n in [1, 2, 3, 16, 17, rows - 1] {
                let mut short = Case::causal((d, heads, n));
                let [q, keys, y] = [&case.q, &case.keys, &case.y].map(|x| x[..1 + n * d].to_vec());
                (short.q, short.keys, short.y) = (q, keys, y);
                let (_, out) = short.forward(Some(level), &short.q[1..], &short.keys[1..], &short.y[1..], false);
                assert_eq!(bits(&out), bits(&all[..n * d]), "{level} {n} of {rows} rows");
            }
            // Not even what is no number looks back.
            let [mut q, mut keys, mut y] = [&case.q, &case.keys, &case.y].map(|x| x[1..].to_vec());
            for x in [&mut q, &mut keys, &mut y] {
                x[18 * d..].fill(f32::NAN);
            }
            let (_, out) = case.forward(Some(level), &q, &keys, &y, false);
            assert_eq!(bits(&out[..18 * d]), bits(&all[..18 * d]), "{level} before NaN");
            assert!(out[18 * d..].iter().all(|x| x.is_nan()), "{level} from NaN on");
        }
    }
}

#[test]
#[should_panic(expected = "as many queries of each sample as it has rows")]
fn a_causal_mask_is_for_self_attention() {
    let case = Case { mask: Mask::Causal, ..Case::new((6, 1, 3, &[3, 2])) };
    case.forward(Some(Level::best()), &case.q[1..], &case.keys[1..], &case.y[1..], false);
}

#[test]
fn a_candidate_has_the_same_bits_alone_and_in_a_batch() {
    let case = Case::new((100, 1, 7, &[10, 20, 3]));
    let d = case.d;
    for &level in Level::available() {
        let (all_w, all) = case.forward(Some(level), &case.q[1..], &case.keys[1..], &case.y[1..], false);
        for b in 0..3 {
            let (start, end) = (case.offsets[b] as usize, case.offsets[b + 1] as usize);
            for c in 0..7 {
                let mut alone = Case::new((d, 1, 1, &[end - start]));
                alone.keys = case.keys[start * d..1 + end * d].to_vec();
                alone.y = case.y[start * d..1 + end * d].to_vec();
                let query = (b * 7 + c) * d;
                let q = &case.q[1 + query..][..d];
                let (w, out) = alone.forward(Some(level), q, &alone.keys[1..], &alone.y[1..], false);
                let at = 7 * start + c * (end - start);
                assert_eq!(bits(&w), bits(&all_w[at..][..end - start]), "{level} {b} {c}");
                assert_eq!(bits(&out), bits(&all[query..][..d]), "{level} {b} {c}");
            }
        }
    }
}

#[test]
fn huge_scores_saturate_and_nan_stays() {
    let mut case = Case::new((17, 1, 2, &[3, 3]));
    case.keys[1..].iter_mut().for_each(|v| *v *= 1e4);
    case.q[1] = f32::NAN;
    for &level in Level::available() {
        let (w, out) = case.forward(Some(level), &case.q[1..], &case.keys[1..], &case.y[1..], false);
        assert!(w[..3].iter().chain(&out[..17]).all(|v| v.is_nan()), "{level}");
        assert!(w[3..].iter().chain(&out[17..]).all(|v| v.is_finite()), "{level}");
        for w in w[3..].chunks(3) {
            assert!((w.iter().sum::<f32>() - 1.0).abs() < 1e-6, "{level}");
        }
    }
}

#[test]
#[should_panic(expected = "8 heads do not divide the width 100")]
fn heads_must_divide_the_width() {
    Case::new((100, 8, 1, &[1])).forward(Some(Level::Portable), &[0.0; 100], &[0.0; 100], &[0.0; 100], false);
}

#[test]
fn mean_matches_the_naive_twin() {
    let mut random = Random::new(2);
    for d in [1, 6, 17, 100, 128] {
        let offsets = offsets(&[3, 0, 1, 20]);
        let (x, dout) = (random.vec(1 + 24 * d, 1.0), random.vec(1 + 4 * d, 1.0));
        let (mut truth, mut truth_dx) = (vec![7.0; 4 * d], vec![0.5; 24 * d]);
        naive::pooling::mean(Level::Portable, d, &offsets, &x[1..], &mut truth);
        naive::pooling::mean_backward(Level::Portable, d, &offsets, &dout[1..], &mut truth_dx);
        for &level in Level::available() {
            let (mut out, mut dx) = (vec![7.0; 4 * d], vec![0.5; 24 * d]);
            pooling::mean(level, d, &offsets, &x[1..], &mut out);
            pooling::mean_backward(level, d, &offsets, &dout[1..], &mut dx);
            assert!(worst(&out, &truth) <= BOUND && worst(&dx, &truth_dx) <= BOUND, "{level} d={d}");
        }
        let mut dx = truth_dx;
        dx.iter_mut().for_each(|v| *v -= 0.5);
        check_gradient("x", &x[1..], &dx, |x| {
            let mut out = vec![0.0; 4 * d];
            naive::pooling::mean(Level::Portable, d, &offsets, x, &mut out);
            inner(&out, &dout[1..])
        });
    }
}

#[test]
fn gate_matches_the_naive_twin() {
    let mut random = Random::new(3);
    for n in [0, 1, 6, 16, 17, 300] {
        let [mut z, h, hhat, dhc] = [4.0, 1.0, 1.0, 1.0].map(|scale| random.vec(1 + n, scale));
        if n > 100 {
            // Saturated both ways.
            z[5] = 1e4;
            z[6] = -1e4;
        }
        let (mut f, mut hc) = (vec![9.0; n], vec![9.0; n]);
        naive::gate::forward(Level::Portable, &z[1..], &h[1..], &hhat[1..], &mut f, &mut hc);
        let mut truth = [vec![0.5; n], vec![0.5; n], vec![0.5; n]];
        let [dz, dh, dhhat] = &mut truth;
        naive::gate::backward(Level::Portable, &h[1..], &hhat[1..], &f, &dhc[1..], dz, dh, dhhat);
        for &level in Level::available() {
            let (mut f2, mut hc2) = (vec![8.0; n], vec![8.0; n]);
            gate::forward(level, &z[1..], &h[1..], &hhat[1..], &mut f2, &mut hc2);
            assert!(worst(&f2, &f) <= 1e-6 && worst(&hc2, &hc) <= 1e-6, "{level} n={n}");
            let mut grads = [vec![0.5; n], vec![0.5; n], vec![0.5; n]];
            let [dz, dh, dhhat] = &mut grads;
            gate::backward(level, &h[1..], &hhat[1..], &f, &dhc[1..], dz, dh, dhhat);
            for (a, b) in grads.iter().zip(&truth) {
                assert!(worst(a, b) <= 1e-6, "{level} n={n}");
            }
        }
        if n <= 17 {
            truth.iter_mut().flatten().for_each(|v| *v -= 0.5);
            let loss = |z: &[f32], h: &[f32], hhat: &[f32]| {
                let (mut f, mut hc) = (vec![0.0; n], vec![0.0; n]);
                naive::gate::forward(Level::Portable, z, h, hhat, &mut f, &mut hc);
                inner(&hc, &dhc[1..])
            };
            check_gradient("z", &z[1..], &truth[0], |z| loss(z, &h[1..], &hhat[1..]));
            check_gradient("h", &h[1..], &truth[1], |h| loss(&z[1..], h, &hhat[1..]));
            check_gradient("hhat", &hhat[1..], &truth[2], |hhat| loss(&z[1..], &h[1..], hhat));
        }
    }
}

#[test]
fn the_gate_keeps_its_bound_and_its_limits() {
    let mut z: Vec<f32> = (-2_000_000..=2_000_000).map(|i| i as f32 * 1e-4).collect();
    z.extend([f32::MAX, -f32::MAX, f32::INFINITY, f32::NEG_INFINITY, f32::MIN_POSITIVE, -0.0]);
    let zero = vec![0.0; z.len()];
    let (mut f, mut hc) = (zero.clone(), zero.clone());
    // All patterns of the low bits: a NaN's payload must not leak into an exponent.
    let nans: Vec<f32> = (0..512).map(|low| f32::from_bits(0x7fc0_0000 | low)).collect();
    for &level in Level::available() {
        gate::forward(level, &z, &zero, &zero, &mut f, &mut hc);
        for (&z, &f) in z.iter().zip(&f) {
            let exact = 1.0 / (1.0 + (-f64::from(z)).exp());
            assert!((f64::from(f) - exact).abs() <= 1.5e-7, "{level}: the gate of {z} is {f}, not {exact}");
        }
        let (mut f, mut hc) = (vec![0.0; 512], vec![0.0; 512]);
        gate::forward(level, &nans, &zero[..512], &zero[..512], &mut f, &mut hc);
        assert!(f.iter().chain(&hc).all(|x| x.is_nan()), "{level}: the gate of a NaN");
    }
}

#[test]
fn the_score_matches_the_naive_twin() {
    let mut random = Random::new(4);
    for d in [1, 6, 17, 100, 128] {
        for rows in [0, 1, 5] {
            let [x, c] = [1.0, 1.0].map(|scale| random.vec(1 + rows * d, scale));
            let [bias, ds] = [1.0, 1.0].map(|scale| random.vec(rows, scale));
            let mut truth = vec![9.0; rows];
            naive::gate::dot_rows(Level::Portable, d, &x[1..], &c[1..], &bias, &mut truth);
            let mut grads = [vec![0.5; rows * d], vec![0.5; rows * d], vec![0.5; rows]];
            let [dx, dc, db] = &mut grads;
            naive::gate::dot_rows_backward(Level::Portable, d, &x[1..], &c[1..], &ds, dx, dc, db);
            for &level in Level::available() {
                let mut score = vec![8.0; rows];
                gate::dot_rows(level, d, &x[1..], &c[1..], &bias, &mut score);
                assert!(worst(&score, &truth) <= BOUND, "{level} d={d}");
                let mut ours = [vec![0.5; rows * d], vec![0.5; rows * d], vec![0.5; rows]];
                let [dx, dc, db] = &mut ours;
                gate::dot_rows_backward(level, d, &x[1..], &c[1..], &ds, dx, dc, db);
                for (a, b) in ours.iter().zip(&grads) {
                    assert!(worst(a, b) <= BOUND, "{level} d={d}");
                }
            }
            grads.iter_mut().flatten().for_each(|v| *v -= 0.5);
            let loss = |x: &[f32], c: &[f32], bias: &[f32]| {
                let mut score = vec![0.0; rows];
                naive::gate::dot_rows(Level::Portable, d, x, c, bias, &mut score);
                inner(&score, &ds)
            };
            check_gradient("x", &x[1..], &grads[0], |x| loss(x, &c[1..], &bias));
            check_gradient("c", &c[1..], &grads[1], |c| loss(&x[1..], c, &bias));
            check_gradient("bias", &bias, &grads[2], |b| loss(&x[1..], &c[1..], b));
        }
    }
}
