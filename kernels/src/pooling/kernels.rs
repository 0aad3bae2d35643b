//! The loops of the pooling heads.

use super::Pool;
use crate::math;
use crate::segment::ranges;
use crate::simd::{Kernel, LANES, Simd};
use crate::small::{Coefs, Old, Rows, RowsMut, add, add_dots, add_scaled, combine, load, store};
use crate::transpose::transpose_rows;

/// Where one sample's parts lie.
struct Sample {
    rows: core::ops::Range<usize>,
    queries: core::ops::Range<usize>,
    weights: core::ops::Range<usize>,
    /// Its number of rows.
    n: usize,
}

#[inline(always)]
fn sample(p: &Pool, b: usize) -> Sample {
    let (start, end) = (p.offsets[b] as usize, p.offsets[b + 1] as usize);
    let each = p.candidates * p.heads;
    Sample {
        rows: start * p.d..end * p.d,
        queries: b * p.candidates * p.d..(b + 1) * p.candidates * p.d,
        weights: start * each..end * each,
        n: end - start,
    }
}

/// Head `h` of the rows in `data`.
#[inline(always)]
fn head<'a>(p: &Pool, width: usize, data: &'a [f32], h: usize) -> Rows<'a> {
    Rows { first: h * width, width, ..Rows::new(data, p.d) }
}

#[inline(always)]
fn head_mut<'a>(p: &Pool, width: usize, data: &'a mut [f32], h: usize) -> RowsMut<'a> {
    RowsMut { first: h * width, width, ..RowsMut::new(data, p.d) }
}

pub(super) struct Weights<'a> {
    pub p: &'a Pool<'a>,
    pub q: &'a [f32],
    pub keys: &'a [f32],
    pub w: &'a mut [f32],
    pub transposed: &'a mut [f32],
}

impl Kernel for Weights<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { p, q, keys, w, transposed } = self;
        for b in 0..p.samples() {
            let at = sample(p, b);
            if at.weights.is_empty() {
                continue;
            }
            transpose_rows(s, &keys[at.rows], p.d, transposed);
            relative(s, p.d, at.n, transposed);
            let (q, w) = (&q[at.queries], &mut w[at.weights]);
            let mut c = 0;
            while c < p.candidates {
                c += match p.candidates - c {
                    1 => scores::<S, 1>(s, p, c, q, transposed, w),
                    2 => scores::<S, 2>(s, p, c, q, transposed, w),
                    3 => scores::<S, 3>(s, p, c, q, transposed, w),
                    _ => scores::<S, 4>(s, p, c, q, transposed, w),
                }
            }
            for w in w.chunks_exact_mut(at.n) {
                softmax(s, w);
            }
        }
    }
}

/// Subtracts the first of `n` transposed rows of width `d` from all.
#[inline(always)]
fn relative<S: Simd>(s: S, d: usize, n: usize, transposed: &mut [f32]) {
    let blocks = n.div_ceil(LANES);
    let (lines, _) = transposed.as_chunks_mut::<LANES>();
    for t in 0..d {
        let first = s.splat(lines[t][0]);
        for block in 0..blocks {
            let line = &mut lines[block * d + t];
            s.store(s.sub(s.load(line), first), line);
        }
    }
}

/// The scores of `C` candidates with 16 rows at a time in the lanes: one chain over the dimensions of the head.
#[inline(always)]
fn scores<S: Simd, const C: usize>(s: S, p: &Pool, first: usize, q: &[f32], keys: &[f32], w: &mut [f32]) -> usize {
    let width = p.d / p.heads;
    let n = w.len() / (p.candidates * p.heads);
    let scale = s.splat(1.0 / (width as f32).sqrt());
    for h in 0..p.heads {
        let mut at = 0;
        while at < n {
            let end = (at + LANES).min(n);
            let keys = &keys[at * p.d + h * width * LANES..][..width * LANES];
            let mut acc = [s.zero(); C];
            for (t, k) in keys.chunks_exact(LANES).enumerate() {
                let k = s.load(k);
                for (c, acc) in acc.iter_mut().enumerate() {
                    *acc = s.mul_add(s.splat(q[(first + c) * p.d + h * width + t]), k, *acc);
                }
            }
            for (c, acc) in acc.into_iter().enumerate() {
                let row = ((first + c) * p.heads + h) * n;
                store(s, s.mul(acc, scale), &mut w[row + at..row + end]);
            }
            at = end;
        }
    }
    C
}

/// Softmax in place; the terms are added from the first to the last.
#[inline(always)]
fn softmax<S: Simd>(s: S, w: &mut [f32]) {
    let mut max = f32::NEG_INFINITY;
    for &v in &*w {
        if v > max {
            max = v;
        }
    }
    for w in w.chunks_mut(LANES) {
        store(s, math::exp_nonpositive(s, s.sub(load(s, w), s.splat(max))), w);
    }
    let mut sum = 0.0;
    for &e in &*w {
        sum += e;
    }
    let scale = s.splat(1.0 / sum);
    for w in w.chunks_mut(LANES) {
        store(s, s.mul(load(s, w), scale), w);
    }
}

pub(super) struct WeightsBackward<'a> {
    pub p: &'a Pool<'a>,
    pub q: &'a [f32],
    pub keys: &'a [f32],
    pub w: &'a [f32],
    pub dw: &'a mut [f32],
    pub dq: &'a mut [f32],
    pub dkeys: &'a mut [f32],
}

impl Kernel for WeightsBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { p, q, keys, w, dw, dq, dkeys } = self;
        let width = p.d / p.heads;
        let scale = 1.0 / (width as f32).sqrt();
        for b in 0..p.samples() {
            let at = sample(p, b);
            if at.weights.is_empty() {
                continue;
            }
            let (n, c) = (at.n, p.candidates);
            let dw = &mut dw[at.weights.clone()];
            for (w, dw) in w[at.weights].chunks_exact(n).zip(dw.chunks_exact_mut(n)) {
                softmax_backward(s, w, dw, scale);
            }
            for h in 0..p.heads {
                let dw = &dw[h * n..];
                let dq = &mut head_mut(p, width, &mut dq[at.queries.clone()], h);
                let coefs = Coefs { data: dw, row: p.heads * n, term: 1 };
                combine(s, (c, n), coefs, head(p, width, &keys[at.rows.clone()], h), dq, Old::Add);
                let dkeys = &mut head_mut(p, width, &mut dkeys[at.rows.clone()], h);
                let coefs = Coefs { data: dw, row: 1, term: p.heads * n };
                combine(s, (n, c), coefs, head(p, width, &q[at.queries.clone()], h), dkeys, Old::Add);
            }
        }
    }
}

/// `dw` becomes `scale *` the gradient of the scores.
#[inline(always)]
fn softmax_backward<S: Simd>(s: S, w: &[f32], dw: &mut [f32], scale: f32) {
    let mut mean = 0.0;
    for (&w, &dw) in w.iter().zip(&*dw) {
        mean += w * dw;
    }
    let (mean, scale) = (s.splat(mean), s.splat(scale));
    for (w, dw) in w.chunks(LANES).zip(dw.chunks_mut(LANES)) {
        let w = s.mul(load(s, w), scale);
        store(s, s.mul(w, s.sub(load(s, dw), mean)), dw);
    }
}

pub(super) struct PoolRows<'a> {
    pub p: &'a Pool<'a>,
    pub w: &'a [f32],
    pub y: &'a [f32],
    pub accumulate: bool,
    pub out: &'a mut [f32],
}

impl Kernel for PoolRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { p, w, y, accumulate, out } = self;
        let width = p.d / p.heads;
        for b in 0..p.samples() {
            let at = sample(p, b);
            if at.n == 0 {
                if !accumulate {
                    out[at.queries].fill(0.0);
                }
                continue;
            }
            let w = &w[at.weights];
            for h in 0..p.heads {
                let w = Coefs { data: w.get(h * at.n..).unwrap_or(&[]), row: p.heads * at.n, term: 1 };
                let y = head(p, width, &y[at.rows.clone()], h);
                let out = &mut head_mut(p, width, &mut out[at.queries.clone()], h);
                let mut c = 0;
                while c < p.candidates {
                    c += match p.candidates - c {
                        1 => pooled::<S, 1>(s, c, at.n, w, y, out, accumulate),
                        2 => pooled::<S, 2>(s, c, at.n, w, y, out, accumulate),
                        3 => pooled::<S, 3>(s, c, at.n, w, y, out, accumulate),
                        _ => pooled::<S, 4>(s, c, at.n, w, y, out, accumulate),
                    }
                }
            }
        }
    }
}

/// The sums of `C` candidates from `first` over `n` rows, at least one.
#[inline(always)]
fn pooled<S: Simd, const C: usize>(
    s: S,
    first: usize,
    n: usize,
    w: Coefs,
    y: Rows,
    out: &mut RowsMut,
    accumulate: bool,
) -> usize {
    for at in (0..y.width).step_by(LANES) {
        let end = (at + LANES).min(y.width);
        let y_0 = load(s, &y.row(0)[at..end]);
        let mut acc = [y_0; C];
        if accumulate {
            for (c, acc) in acc.iter_mut().enumerate() {
                *acc = s.add(load(s, &out.row(first + c)[at..end]), y_0);
            }
        }
        for j in 1..n {
            let y = s.sub(load(s, &y.row(j)[at..end]), y_0);
            for (c, acc) in acc.iter_mut().enumerate() {
                *acc = s.mul_add(s.splat(w.data[(first + c) * w.row + j * w.term]), y, *acc);
            }
        }
        for (c, acc) in acc.into_iter().enumerate() {
            store(s, acc, &mut out.row(first + c)[at..end]);
        }
    }
    C
}

pub(super) struct PoolRowsBackward<'a> {
    pub p: &'a Pool<'a>,
    pub w: &'a [f32],
    pub y: &'a [f32],
    pub dout: &'a [f32],
    pub dw: &'a mut [f32],
    pub dy: &'a mut [f32],
}

impl Kernel for PoolRowsBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { p, w, y, dout, dw, dy } = self;
        let width = p.d / p.heads;
        for b in 0..p.samples() {
            let at = sample(p, b);
            if at.weights.is_empty() {
                continue;
            }
            let (w, dw) = (&w[at.weights.clone()], &mut dw[at.weights]);
            for h in 0..p.heads {
                let dout = head(p, width, &dout[at.queries.clone()], h);
                let y = head(p, width, &y[at.rows.clone()], h);
                add_dots(s, (p.candidates, at.n), dout, y, &mut dw[h * at.n..], p.heads * at.n);
                let coefs = Coefs { data: &w[h * at.n..], row: 1, term: p.heads * at.n };
                let dy = &mut head_mut(p, width, &mut dy[at.rows.clone()], h);
                combine(s, (at.n, p.candidates), coefs, dout, dy, Old::Add);
            }
        }
    }
}

pub(super) struct Mean<'a> {
    pub d: usize,
    pub offsets: &'a [u32],
    pub x: &'a [f32],
    pub out: &'a mut [f32],
}

impl Kernel for Mean<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let d = self.d;
        for (seg, out) in ranges(self.offsets).zip(self.out.chunks_exact_mut(d)) {
            let scale = s.splat(1.0 / seg.len().max(1) as f32);
            out.fill(0.0);
            for x in self.x[seg.start * d..seg.end * d].chunks_exact(d) {
                add(s, x, out);
            }
            for out in out.chunks_mut(LANES) {
                store(s, s.mul(load(s, out), scale), out);
            }
        }
    }
}

pub(super) struct MeanBackward<'a> {
    pub d: usize,
    pub offsets: &'a [u32],
    pub dout: &'a [f32],
    pub dx: &'a mut [f32],
}

impl Kernel for MeanBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let d = self.d;
        for (seg, dout) in ranges(self.offsets).zip(self.dout.chunks_exact(d)) {
            let scale = 1.0 / seg.len().max(1) as f32;
            for dx in self.dx[seg.start * d..seg.end * d].chunks_exact_mut(d) {
                add_scaled(s, scale, dout, dx);
            }
        }
    }
}
