//! The loops of the pooling heads.

use super::{Mask, Pool};
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

/// Queries or rows that the backward pass takes at a time where each sees another number of rows.
const STRIP: usize = 10;

/// Cuts `count` queries or rows into strips, within which a causal mask cuts little off: a single one without a mask.
#[inline(always)]
fn strips(p: &Pool, count: usize) -> impl Iterator<Item = core::ops::Range<usize>> {
    let step = match p.mask {
        Mask::Full => count.max(1),
        Mask::Causal => STRIP,
    };
    (0..count).step_by(step).map(move |start| start..(start + step).min(count))
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
            for (i, w) in w.chunks_exact_mut(at.n).enumerate() {
                let (seen, hidden) = w.split_at_mut(p.seen(i / p.heads, at.n));
                softmax(s, seen);
                hidden.fill(0.0);
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
    // What only some of the candidates see is computed for all and overwritten later.
    let seen = p.seen(first + C - 1, n);
    let scale = s.splat(1.0 / (width as f32).sqrt());
    for h in 0..p.heads {
        let mut at = 0;
        while at < seen {
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
            for (i, (w, dw)) in w[at.weights].chunks_exact(n).zip(dw.chunks_exact_mut(n)).enumerate() {
                let seen = p.seen(i / p.heads, n);
                let (dw, hidden) = dw.split_at_mut(seen);
                softmax_backward(s, &w[..seen], dw, scale);
                hidden.fill(0.0);
            }
            let (q, keys) = (&q[at.queries.clone()], &keys[at.rows.clone()]);
            let (dq, dkeys) = (&mut dq[at.queries], &mut dkeys[at.rows]);
            for h in 0..p.heads {
                let dw = &dw[h * n..];
                for strip in strips(p, c) {
                    let coefs = Coefs { data: &dw[strip.start * p.heads * n..], row: p.heads * n, term: 1 };
                    let terms = p.seen(strip.end - 1, n);
                    let dq = &mut head_mut(p, width, &mut dq[strip.start * p.d..], h);
                    combine(s, (strip.len(), terms), coefs, head(p, width, keys, h), dq, Old::Add);
                }
                spread(s, p, (c, n), dw, head(p, width, q, h), dkeys, h);
            }
        }
    }
}

/// Adds `sum_i coefs(i, j) x_i` to each row j of a sample's `out`, in head `h`, over the queries i of `c` that see row j of `n`.
#[inline(always)]
fn spread<S: Simd>(s: S, p: &Pool, (c, n): (usize, usize), coefs: &[f32], x: Rows, out: &mut [f32], h: usize) {
    let width = p.d / p.heads;
    for strip in strips(p, n) {
        let first = match p.mask {
            Mask::Full => 0,
            Mask::Causal => strip.start,
        };
        let coefs =
            Coefs { data: coefs.get(first * p.heads * n + strip.start..).unwrap_or(&[]), row: 1, term: p.heads * n };
        let x = Rows { first: x.first + first * x.stride, ..x };
        let out = &mut head_mut(p, width, &mut out[strip.start * p.d..], h);
        combine(s, (strip.len(), c - first), coefs, x, out, Old::Add);
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
                        1 => pooled::<S, 1>(s, p, c, at.n, w, y, out, accumulate),
                        2 => pooled::<S, 2>(s, p, c, at.n, w, y, out, accumulate),
                        3 => pooled::<S, 3>(s, p, c, at.n, w, y, out, accumulate),
                        _ => pooled::<S, 4>(s, p, c, at.n, w, y, out, accumulate),
                    }
                }
            }
        }
    }
}

/// The sums of `C` candidates from `first` over `n` rows, at least one.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
fn pooled<S: Simd, const C: usize>(
    s: S,
    p: &Pool,
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
        let seen = p.seen(first, n);
        for j in 1..seen {
            let y = s.sub(load(s, &y.row(j)[at..end]), y_0);
            for (c, acc) in acc.iter_mut().enumerate() {
                *acc = s.mul_add(s.splat(w.data[(first + c) * w.row + j * w.term]), y, *acc);
            }
        }
        // What the first of the candidates does not see, the others do in part.
        for (c, acc) in acc.iter_mut().enumerate() {
            for j in seen.max(1)..p.seen(first + c, n) {
                let y = s.sub(load(s, &y.row(j)[at..end]), y_0);
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
            let (w, dw, c) = (&w[at.weights.clone()], &mut dw[at.weights], p.candidates);
            for h in 0..p.heads {
                let dout = head(p, width, &dout[at.queries.clone()], h);
                let y = head(p, width, &y[at.rows.clone()], h);
                for strip in strips(p, c) {
                    let dw = &mut dw[(strip.start * p.heads + h) * at.n..];
                    let rows = Rows { first: dout.first + strip.start * dout.stride, ..dout };
                    add_dots(s, (strip.len(), p.seen(strip.end - 1, at.n)), rows, y, dw, p.heads * at.n);
                }
                spread(s, p, (c, at.n), &w[h * at.n..], dout, &mut dy[at.rows.clone()], h);
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
