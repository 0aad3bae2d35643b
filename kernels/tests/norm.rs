//! Layer norm, dense layers and the feed forward block against the naive twins, and those against finite differences.

#[path = "support/layers.rs"]
mod layers;
#[path = "support/random.rs"]
mod random;

use dmran_kernels::dense::{self, Dense};
use dmran_kernels::feed_forward::{self, FeedForward};
use dmran_kernels::norm::{self, LayerNorm};
use dmran_kernels::{Level, naive};
use layers::{Layer, check_gradient, inner, to_largest};
use random::{Random, bits, worst};

/// Sums of up to 128 products of numbers around 1.
const BOUND: f32 = 2e-5;
const WIDTHS: [usize; 5] = [1, 6, 17, 100, 128];
const ROWS: [usize; 4] = [0, 1, 7, 40];

/// A forward pass of layer norm: (xhat, rstd, out). Without a level: the naive twin.
fn norm_forward(
    level: Option<Level>,
    p: &LayerNorm,
    x: &[f32],
    residual: Option<&[f32]>,
) -> (Vec<f32>, Vec<f32>, Vec<f32>) {
    let rows = x.len() / p.gain.len();
    let (mut xhat, mut rstd, mut out) = (vec![9.0; x.len()], vec![9.0; rows], vec![9.0; x.len()]);
    match level {
        Some(level) => norm::forward(level, p, x, residual, &mut xhat, &mut rstd, &mut out),
        None => naive::norm::forward(Level::Portable, p, x, residual, &mut xhat, &mut rstd, &mut out),
    }
    (xhat, rstd, out)
}

/// dx, dresidual, dgain, dbias, all started at 0.5.
fn norm_backward(level: Option<Level>, p: &LayerNorm, xhat: &[f32], rstd: &[f32], dout: &[f32]) -> [Vec<f32>; 4] {
    let d = p.gain.len();
    let mut g = [vec![0.5; xhat.len()], vec![0.5; xhat.len()], vec![0.5; d], vec![0.5; d]];
    let [dx, dr, dgain, dbias] = &mut g;
    let mut grads = norm::Gradients { dx, dresidual: Some(dr), dgain, dbias };
    match level {
        Some(level) => norm::backward(level, p, xhat, rstd, dout, &mut grads),
        None => naive::norm::backward(Level::Portable, p, xhat, rstd, dout, &mut grads),
    }
    g
}

#[test]
fn layer_norm_matches_the_naive_twin() {
    let mut random = Random::new(1);
    for d in WIDTHS {
        let (gain, bias) = (random.vec(d + 1, 2.0), random.vec(d + 1, 2.0));
        for eps in [1e-5, 1e-8] {
            let p = LayerNorm { gain: &gain[1..], bias: &bias[1..], eps };
            for rows in ROWS {
                let x = random.vec(1 + rows * d, 3.0);
                let r = random.vec(1 + rows * d, 3.0);
                let dout = random.vec(1 + rows * d, 1.0);
                for residual in [None, Some(&r[1..])] {
                    let (xhat, rstd, out) = norm_forward(None, &p, &x[1..], residual);
                    let truth = norm_backward(None, &p, &xhat, &rstd, &dout[1..]);
                    for &level in Level::available() {
                        let ours = norm_forward(Some(level), &p, &x[1..], residual);
                        assert!(worst(&ours.0, &xhat) <= BOUND, "{level} d={d} xhat");
                        assert!(worst(&ours.1, &rstd) <= BOUND, "{level} d={d} rstd");
                        assert!(worst(&ours.2, &out) <= BOUND, "{level} d={d} out");
                        let grads = norm_backward(Some(level), &p, &xhat, &rstd, &dout[1..]);
                        for (a, b) in grads.iter().zip(&truth) {
                            assert!(to_largest(a, b) <= BOUND, "{level} d={d} rows={rows}: {}", to_largest(a, b));
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn layer_norm_gradients_match_finite_differences() {
    let (d, rows) = (6, 5);
    let mut random = Random::new(2);
    let (gain, bias) = (random.vec(d, 2.0), random.vec(d, 2.0));
    let (x, r, dout) = (random.vec(rows * d, 2.0), random.vec(rows * d, 2.0), random.vec(rows * d, 1.0));
    let p = LayerNorm { gain: &gain, bias: &bias, eps: 1e-5 };
    let (xhat, rstd, _) = norm_forward(None, &p, &x, Some(&r));
    let mut grads = norm_backward(None, &p, &xhat, &rstd, &dout);
    grads.iter_mut().flatten().for_each(|v| *v -= 0.5);
    let loss = |p: &LayerNorm, x: &[f32], r: &[f32]| inner(&norm_forward(None, p, x, Some(r)).2, &dout);
    check_gradient("x", &x, &grads[0], |x| loss(&p, x, &r));
    check_gradient("residual", &r, &grads[1], |r| loss(&p, &x, r));
    check_gradient("gain", &gain, &grads[2], |gain| loss(&LayerNorm { gain, ..p }, &x, &r));
    check_gradient("bias", &bias, &grads[3], |bias| loss(&LayerNorm { bias, ..p }, &x, &r));
}

#[test]
fn layer_norm_rows_do_not_touch_each_other() {
    let (d, rows) = (17, 9);
    let mut random = Random::new(3);
    let (gain, bias) = (random.vec(d, 2.0), random.vec(d, 2.0));
    let p = LayerNorm { gain: &gain, bias: &bias, eps: 1e-8 };
    let mut x = random.vec(rows * d, 3.0);
    x[4 * d + 3] = f32::NAN;
    for &level in Level::available() {
        let all = norm_forward(Some(level), &p, &x, None).2;
        for i in 0..rows {
            let alone = norm_forward(Some(level), &p, &x[i * d..][..d], None).2;
            assert_eq!(bits(&alone), bits(&all[i * d..][..d]), "{level} row {i}");
            assert_eq!(alone.iter().all(|v| v.is_nan()), i == 4, "{level} row {i}");
        }
    }
}

/// dx, dw, db, started at 0.5.
fn dense_backward(level: Option<Level>, p: &Dense, x: &[f32], y: &[f32], dy: &[f32]) -> [Vec<f32>; 3] {
    let mut g = [vec![0.5; x.len()], vec![0.5; p.w.n * p.w.k], vec![0.5; p.w.n]];
    let [dx, dw, db] = &mut g;
    let mut grads = dense::Gradients { dx: Some(dx), dw, db: p.bias.is_some().then_some(db) };
    match level {
        Some(level) => {
            let mut scratch = vec![3.0; dense::scratch_len(p, y.len() / p.w.n)];
            dense::backward(level, p, x, y, dy, &mut grads, &mut scratch);
        }
        None => naive::dense::backward(Level::Portable, p, x, y, dy, &mut grads, &mut []),
    }
    g
}

#[test]
fn dense_matches_the_naive_twin() {
    let mut random = Random::new(4);
    for (k, n) in [(1, 1), (6, 17), (17, 1), (100, 12), (128, 128), (1, 33)] {
        let layer = Layer::random(&mut random, n, k);
        let bias = random.vec(n + 1, 1.0);
        for rows in ROWS {
            let x = random.vec(1 + rows * k, 1.0);
            let dy = random.vec(1 + rows * n, 1.0);
            for (with_bias, relu) in [(false, false), (true, false), (true, true), (false, true)] {
                let p = Dense { w: layer.weight(), bias: with_bias.then_some(&bias[1..]), relu };
                let mut truth = vec![5.0; rows * n];
                naive::dense::forward(Level::Portable, &p, &x[1..], &mut truth);
                let truth_grads = dense_backward(None, &p, &x[1..], &truth, &dy[1..]);
                for &level in Level::available() {
                    let mut y = vec![6.0; rows * n];
                    dense::forward(level, &p, &x[1..], &mut y);
                    assert!(worst(&y, &truth) <= BOUND, "{level} [{n}, {k}] rows {rows}");
                    let grads = dense_backward(Some(level), &p, &x[1..], &truth, &dy[1..]);
                    for (a, b) in grads.iter().zip(&truth_grads) {
                        assert!(to_largest(a, b) <= BOUND, "{level} [{n}, {k}] rows {rows}");
                    }
                }
            }
        }
    }
}

#[test]
fn dense_gradients_match_finite_differences() {
    let (rows, n, k) = (5, 7, 6);
    let mut random = Random::new(5);
    let layer = Layer::random(&mut random, n, k);
    let (x, dy, bias) = (random.vec(rows * k, 1.0), random.vec(rows * n, 1.0), random.vec(n, 0.1));
    let forward = |layer: &Layer, bias: &[f32], x: &[f32]| {
        let mut y = vec![0.0; rows * n];
        naive::dense::forward(Level::Portable, &Dense { w: layer.weight(), bias: Some(bias), relu: true }, x, &mut y);
        y
    };
    let p = Dense { w: layer.weight(), bias: Some(&bias), relu: true };
    let mut grads = dense_backward(None, &p, &x, &forward(&layer, &bias, &x), &dy);
    grads.iter_mut().flatten().for_each(|v| *v -= 0.5);
    check_gradient("x", &x, &grads[0], |x| inner(&forward(&layer, &bias, x), &dy));
    check_gradient("w", &layer.rows, &grads[1], |w| inner(&forward(&Layer::new(n, k, w.to_vec()), &bias, &x), &dy));
    check_gradient("b", &bias, &grads[2], |b| inner(&forward(&layer, b, &x), &dy));
}

/// dx, dw1, dw2, db1, db2, started at 0.5.
fn feed_forward_backward(
    level: Option<Level>,
    p: &FeedForward,
    x: &[f32],
    inner: &[f32],
    dout: &[f32],
) -> [Vec<f32>; 5] {
    let (d, wide) = (p.w1.k, p.w1.n);
    let mut g = [vec![0.5; x.len()], vec![0.5; d * wide], vec![0.5; d * wide], vec![0.5; wide], vec![0.5; d]];
    let [dx, dw1, dw2, db1, db2] = &mut g;
    let mut grads = feed_forward::Gradients {
        dx,
        dw1,
        db1: p.b1.is_some().then_some(db1),
        dw2,
        db2: p.b2.is_some().then_some(db2),
    };
    match level {
        Some(level) => {
            let mut scratch = vec![3.0; feed_forward::scratch_len(p, x.len() / d)];
            feed_forward::backward(level, p, x, inner, dout, &mut grads, &mut scratch);
        }
        None => naive::feed_forward::backward(Level::Portable, p, x, inner, dout, &mut grads, &mut []),
    }
    g
}

#[test]
fn feed_forward_matches_the_naive_twin() {
    let mut random = Random::new(6);
    for (d, wide) in [(1, 1), (6, 12), (17, 1), (100, 25), (128, 32)] {
        let (first, second) = (Layer::random(&mut random, wide, d), Layer::random(&mut random, d, wide));
        let (b1, b2) = (random.vec(wide, 1.0), random.vec(d, 1.0));
        for with_bias in [true, false] {
            let p = FeedForward {
                w1: first.weight(),
                b1: with_bias.then_some(&b1),
                w2: second.weight(),
                b2: with_bias.then_some(&b2),
            };
            for rows in ROWS {
                let x = random.vec(1 + rows * d, 1.0);
                let dout = random.vec(1 + rows * d, 1.0);
                let (mut truth_inner, mut truth) = (vec![5.0; rows * wide], vec![5.0; rows * d]);
                naive::feed_forward::forward(Level::Portable, &p, &x[1..], &mut truth_inner, &mut truth);
                let truth_grads = feed_forward_backward(None, &p, &x[1..], &truth_inner, &dout[1..]);
                for &level in Level::available() {
                    let (mut inner, mut out) = (vec![6.0; rows * wide], vec![6.0; rows * d]);
                    feed_forward::forward(level, &p, &x[1..], &mut inner, &mut out);
                    assert!(worst(&inner, &truth_inner) <= BOUND, "{level} d={d} inner");
                    assert!(worst(&out, &truth) <= BOUND, "{level} d={d} out");
                    let grads = feed_forward_backward(Some(level), &p, &x[1..], &truth_inner, &dout[1..]);
                    for (a, b) in grads.iter().zip(&truth_grads) {
                        assert!(to_largest(a, b) <= BOUND, "{level} d={d} rows {rows}");
                    }
                }
            }
        }
    }
}

#[test]
fn feed_forward_gradients_match_finite_differences() {
    let (rows, d, wide) = (4, 6, 5);
    let mut random = Random::new(7);
    let (first, second) = (Layer::random(&mut random, wide, d), Layer::random(&mut random, d, wide));
    let (b1, b2) = (random.vec(wide, 0.1), random.vec(d, 0.1));
    let (x, dout) = (random.vec(rows * d, 1.0), random.vec(rows * d, 1.0));
    let forward = |first: &Layer, second: &Layer, b1: &[f32], b2: &[f32], x: &[f32]| {
        let p = FeedForward { w1: first.weight(), b1: Some(b1), w2: second.weight(), b2: Some(b2) };
        let (mut inner, mut out) = (vec![0.0; rows * wide], vec![0.0; rows * d]);
        naive::feed_forward::forward(Level::Portable, &p, x, &mut inner, &mut out);
        (inner, out)
    };
    let p = FeedForward { w1: first.weight(), b1: Some(&b1), w2: second.weight(), b2: Some(&b2) };
    let saved = forward(&first, &second, &b1, &b2, &x).0;
    let mut grads = feed_forward_backward(None, &p, &x, &saved, &dout);
    grads.iter_mut().flatten().for_each(|v| *v -= 0.5);
    let loss = |f: (Vec<f32>, Vec<f32>)| inner(&f.1, &dout);
    check_gradient("x", &x, &grads[0], |x| loss(forward(&first, &second, &b1, &b2, x)));
    check_gradient("w1", &first.rows, &grads[1], |w| {
        loss(forward(&Layer::new(wide, d, w.to_vec()), &second, &b1, &b2, &x))
    });
    check_gradient("w2", &second.rows, &grads[2], |w| {
        loss(forward(&first, &Layer::new(d, wide, w.to_vec()), &b1, &b2, &x))
    });
    check_gradient("b1", &b1, &grads[3], |b| loss(forward(&first, &second, b, &b2, &x)));
    check_gradient("b2", &b2, &grads[4], |b| loss(forward(&first, &second, &b1, b, &x)));
}

#[test]
fn fma_levels_agree_bit_for_bit() {
    if ![Level::Avx2, Level::Avx512].iter().all(|l| l.is_available()) {
        println!("skipped: this CPU lacks AVX2 or AVX-512");
        return;
    }
    let mut random = Random::new(8);
    for d in WIDTHS {
        let gain = random.vec(d, 2.0);
        let p = LayerNorm { gain: &gain, bias: &gain, eps: 1e-8 };
        let x = random.vec(7 * d, 3.0);
        let [a, b] = [Level::Avx2, Level::Avx512].map(|level| {
            let (xhat, rstd, out) = norm_forward(Some(level), &p, &x, None);
            let grads = norm_backward(Some(level), &p, &xhat, &rstd, &x);
            (bits(&out), grads.map(|g| bits(&g)))
        });
        assert_eq!(a, b, "d={d}");
    }
}
