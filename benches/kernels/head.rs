//! What follows the attention, at d = 128 and r = 10, for a batch of 256 samples with two candidates each:
//! pooling, gate, layer norm, feed forward, loss.

use super::values;
use criterion::{BenchmarkId, Criterion, Throughput};
use dmran_kernels::gemm::{pack, pack_transposed, packed_len};
use dmran_kernels::pooling::{Mask, Pool};
use dmran_kernels::{Level, Weight, feed_forward, gate, loss, naive, norm, pooling};

const D: usize = 128;
const R: usize = 10;
const BATCH: usize = 256;
const CANDIDATES: usize = 2;

/// Benches `fused` on every level beside `naive`, in samples.
fn compare(c: &mut Criterion, name: &str, mut naive: impl FnMut(), mut fused: impl FnMut(Level)) {
    let mut group = c.benchmark_group(name);
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function(BenchmarkId::from_parameter("naive"), |b| b.iter(&mut naive));
    for &level in Level::available() {
        group.bench_function(BenchmarkId::from_parameter(level), |b| b.iter(|| fused(level)));
    }
}

pub fn bench(c: &mut Criterion) {
    for heads in [1, 8] {
        pooling(c, heads);
    }
    gate(c);
    layer_norm(c);
    feed_forward(c);
    let scores = values(BATCH * CANDIDATES, 4.0);
    let (mut d, mut d2) = (scores.clone(), scores.clone());
    compare(
        c,
        "bce",
        || {
            naive::loss::bce(Level::Portable, &scores, CANDIDATES, 0.1, &mut d);
        },
        |level| {
            loss::bce(level, &scores, CANDIDATES, 0.1, &mut d2);
        },
    );
}

/// Weights and pooled rows, forward and backward: heads = 1 is `vanilla`, 8 is `atrank`.
fn pooling(c: &mut Criterion, heads: usize) {
    let offsets: Vec<u32> = (0..=BATCH as u32).map(|b| b * R as u32).collect();
    let p = Pool { d: D, heads, candidates: CANDIDATES, offsets: &offsets, mask: Mask::Full };
    let (q, x) = (values(BATCH * CANDIDATES * D, 1.0), values(BATCH * R * D, 1.0));
    let weights = || vec![0.0; p.weights_len()];
    let state = || (weights(), weights(), q.clone(), q.clone(), x.clone(), x.clone());
    let (mut w, mut dw, mut h, mut dq, mut dk, mut dy) = state();
    let (mut w2, mut dw2, mut h2, mut dq2, mut dk2, mut dy2) = state();
    let mut scratch = vec![0.0; p.scratch_len()];
    let none = Level::Portable;
    compare(
        c,
        &format!("pooling heads={heads} forward+backward"),
        || {
            naive::pooling::weights(none, &p, &q, &x, &mut w, &mut []);
            naive::pooling::pool_rows(none, &p, &w, &x, false, &mut h);
            naive::pooling::pool_rows_backward(none, &p, &w, &x, &q, &mut dw, &mut dy);
            naive::pooling::weights_backward(none, &p, &q, &x, &w, &mut dw, &mut dq, &mut dk);
        },
        |level| {
            pooling::weights(level, &p, &q, &x, &mut w2, &mut scratch);
            pooling::pool_rows(level, &p, &w2, &x, false, &mut h2);
            pooling::pool_rows_backward(level, &p, &w2, &x, &q, &mut dw2, &mut dy2);
            pooling::weights_backward(level, &p, &q, &x, &w2, &mut dw2, &mut dq2, &mut dk2);
        },
    );
}

fn gate(c: &mut Criterion) {
    let x = values(BATCH * CANDIDATES * D, 1.0);
    let [mut f, mut hc] = [x.clone(), x.clone()];
    let [mut f2, mut hc2] = [x.clone(), x.clone()];
    compare(
        c,
        "gate forward",
        || naive::gate::forward(Level::Portable, &x, &x, &x, &mut f, &mut hc),
        |level| gate::forward(level, &x, &x, &x, &mut f2, &mut hc2),
    );
}

fn layer_norm(c: &mut Criterion) {
    let x = values(BATCH * R * D, 1.0);
    let gain = values(D, 1.0);
    let p = norm::LayerNorm { gain: &gain, bias: &gain, eps: 1e-8 };
    let state = || (x.clone(), vec![0.0; BATCH * R], x.clone(), x.clone(), gain.clone(), gain.clone());
    let (mut xhat, mut rstd, mut out, mut dx, mut dgain, mut dbias) = state();
    let (mut xhat2, mut rstd2, mut out2, mut dx2, mut dgain2, mut dbias2) = state();
    compare(
        c,
        "layer_norm forward+backward",
        || {
            naive::norm::forward(Level::Portable, &p, &x, Some(&x), &mut xhat, &mut rstd, &mut out);
            let mut grads = norm::Gradients { dx: &mut dx, dresidual: None, dgain: &mut dgain, dbias: &mut dbias };
            naive::norm::backward(Level::Portable, &p, &xhat, &rstd, &x, &mut grads);
        },
        |level| {
            norm::forward(level, &p, &x, Some(&x), &mut xhat2, &mut rstd2, &mut out2);
            let mut grads = norm::Gradients { dx: &mut dx2, dresidual: None, dgain: &mut dgain2, dbias: &mut dbias2 };
            norm::backward(level, &p, &xhat2, &rstd2, &x, &mut grads);
        },
    );
}

fn feed_forward(c: &mut Criterion) {
    const INNER: usize = D / 4;
    let x = values(BATCH * R * D, 1.0);
    let w = values(D * INNER, 0.1);
    let mut packed = [(); 4].map(|()| vec![0.0; packed_len(D, INNER).max(packed_len(INNER, D))]);
    pack_transposed(&w, INNER, D, &mut packed[0]);
    pack(&w, INNER, D, &mut packed[1]);
    pack_transposed(&w, D, INNER, &mut packed[2]);
    pack(&w, D, INNER, &mut packed[3]);
    let p = feed_forward::FeedForward {
        w1: Weight { n: INNER, k: D, rows: &w, transposed: &packed[0], straight: &packed[1] },
        b1: None,
        w2: Weight { n: D, k: INNER, rows: &w, transposed: &packed[2], straight: &packed[3] },
        b2: None,
    };
    let state = || (vec![0.0; BATCH * R * INNER], x.clone(), x.clone(), w.clone(), w.clone());
    let (mut inner, mut out, mut dx, mut dw1, mut dw2) = state();
    let (mut inner2, mut out2, mut dx2, mut dw12, mut dw22) = state();
    let mut scratch = vec![0.0; feed_forward::scratch_len(&p, BATCH * R)];
    compare(
        c,
        "feed_forward forward+backward",
        || {
            naive::feed_forward::forward(Level::Portable, &p, &x, &mut inner, &mut out);
            let mut grads = feed_forward::Gradients { dx: &mut dx, dw1: &mut dw1, db1: None, dw2: &mut dw2, db2: None };
            naive::feed_forward::backward(Level::Portable, &p, &x, &inner, &x, &mut grads, &mut []);
        },
        |level| {
            feed_forward::forward(level, &p, &x, &mut inner2, &mut out2);
            let mut grads =
                feed_forward::Gradients { dx: &mut dx2, dw1: &mut dw12, db1: None, dw2: &mut dw22, db2: None };
            feed_forward::backward(level, &p, &x, &inner2, &x, &mut grads, &mut scratch);
        },
    );
}
