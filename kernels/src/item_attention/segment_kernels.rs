//! What item attention does history by history, between the products over the whole batch.

use super::ItemAttention;
use crate::math;
use crate::segment::ranges;
use crate::simd::{AHEAD, Kernel, LANES, Simd, prefetch};
use crate::small::{Coefs, Old, Rows, RowsMut, add, add_dots, combine, load, store};
use std::ops::Range;

/// `relu(t2 + wx)`, row by row.
pub(super) struct GOfItems<'a> {
    pub wx: Rows<'a>,
    pub t2: Rows<'a>,
    pub g: &'a mut [f32],
}

impl Kernel for GOfItems<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let d = self.wx.width;
        let last = self.g.len() / d;
        for (e, g) in self.g.chunks_exact_mut(d).enumerate() {
            prefetch(self.wx.row((e + AHEAD).min(last - 1)));
            let (wx, t2) = (self.wx.row(e).chunks(LANES), self.t2.row(e).chunks(LANES));
            for ((g, wx), t2) in g.chunks_mut(LANES).zip(wx).zip(t2) {
                store(s, s.relu(s.add(load(s, t2), load(s, wx))), g);
            }
        }
    }
}

/// Softmax over the events of each history, `A X`, and M's part that comes from the buckets.
pub(super) struct SegmentForward<'a> {
    pub p: &'a ItemAttention<'a>,
    pub buckets: usize,
    pub a: &'a mut [f32],
    pub ax: &'a mut [f32],
    pub m: &'a mut [f32],
    pub by_bucket: &'a mut [f32],
}

impl Kernel for SegmentForward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { p, buckets, a, ax, m, by_bucket } = self;
        let (d, r) = (p.d, p.r);
        for (b, seg) in ranges(p.offsets).enumerate() {
            let n = seg.len();
            let a = &mut a[seg.start * r..seg.end * r];
            let hops = b * r * d..(b + 1) * r * d;
            softmax_events(s, r, a);
            let coefs = Coefs { data: a, row: 1, term: r };
            let x = Rows::new(&p.x[seg.start * d..seg.end * d], d);
            combine(s, (r, n), coefs, x, &mut RowsMut::new(&mut ax[hops.clone()], d), Old::Forget);
            let m = &mut RowsMut::new(&mut m[hops], d);
            let bucket = &p.bucket[seg];
            if n < buckets {
                combine(s, (r, n), coefs, Rows::lookup(p.t1, bucket, d), m, Old::Forget);
            } else {
                sum_by_bucket(s, r, a, bucket, by_bucket);
                let coefs = Coefs { data: by_bucket, row: 1, term: r };
                combine(s, (r, buckets), coefs, Rows::new(p.t1, d), m, Old::Forget);
            }
        }
    }
}

/// From the gradients of M, `A X` and A to those of the scores before the softmax (in `ds`, where A's gradient comes in),
/// of X as far as it enters `A X`, and of T1.
pub(super) struct SegmentBackward<'a> {
    pub p: &'a ItemAttention<'a>,
    pub buckets: usize,
    pub a: &'a [f32],
    pub dm: &'a [f32],
    pub dax: &'a [f32],
    pub ds: &'a mut [f32],
    pub dx: &'a mut [f32],
    pub dt1: &'a mut [f32],
    pub by_bucket: &'a mut [f32],
    pub dby_bucket: &'a mut [f32],
}

impl Kernel for SegmentBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { p, buckets, a, dm, dax, ds, dx, dt1, by_bucket, dby_bucket } = self;
        let (d, r) = (p.d, p.r);
        for (b, seg) in ranges(p.offsets).enumerate() {
            let n = seg.len();
            let a = &a[seg.start * r..seg.end * r];
            let ds = &mut ds[seg.start * r..seg.end * r];
            let dm = Rows::new(&dm[b * r * d..(b + 1) * r * d], d);
            let dax = Rows::new(&dax[b * r * d..(b + 1) * r * d], d);
            let events = seg.start * d..seg.end * d;
            let bucket = &p.bucket[seg];

            add_dots(s, (n, r), Rows::new(&p.x[events.clone()], d), dax, ds, r);
            if n < buckets {
                add_dots(s, (n, r), Rows::lookup(p.t1, bucket, d), dm, ds, r);
                let out = &mut RowsMut { ids: Some(bucket), ..RowsMut::new(dt1, d) };
                combine(s, (n, r), Coefs { data: a, row: r, term: 1 }, dm, out, Old::Add);
            } else {
                sum_by_bucket(s, r, a, bucket, by_bucket);
                let coefs = Coefs { data: by_bucket, row: r, term: 1 };
                combine(s, (buckets, r), coefs, dm, &mut RowsMut::new(dt1, d), Old::Add);
                dby_bucket.fill(0.0);
                add_dots(s, (buckets, r), Rows::new(p.t1, d), dm, dby_bucket, r);
                for (ds, &k) in ds.chunks_exact_mut(r).zip(bucket) {
                    add(s, &dby_bucket[k as usize * r..][..r], ds);
                }
            }
            softmax_events_backward(s, r, a, ds);
            let coefs = Coefs { data: a, row: r, term: 1 };
            combine(s, (n, r), coefs, dax, &mut RowsMut::new(&mut dx[events], d), Old::Add);
        }
    }
}

/// Passes `dg` through the ReLU that gave `g`, and adds its rows to their buckets.
pub(super) struct MaskRelu<'a> {
    pub d: usize,
    pub g: &'a [f32],
    pub bucket: &'a [u32],
    pub dg: &'a mut [f32],
    pub dt2: &'a mut [f32],
}

impl Kernel for MaskRelu<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let d = self.d;
        let rows = self.g.chunks_exact(d).zip(self.dg.chunks_exact_mut(d));
        for ((g, dg), &k) in rows.zip(self.bucket) {
            let dt2 = &mut self.dt2[k as usize * d..][..d];
            let mut at = 0;
            while at < d {
                let end = (at + LANES).min(d);
                let off = s.le(load(s, &g[at..end]), s.zero());
                let v = s.select(off, s.zero(), load(s, &dg[at..end]));
                store(s, v, &mut dg[at..end]);
                let sum = s.add(load(s, &dt2[at..end]), v);
                store(s, sum, &mut dt2[at..end]);
                at = end;
            }
        }
    }
}

/// Softmax of the columns of `a` (`[n, r]`), 16 hops at a time.
#[inline(always)]
fn softmax_events<S: Simd>(s: S, r: usize, a: &mut [f32]) {
    let mut at = 0;
    while at < r {
        let end = (at + LANES).min(r);
        let mut max = s.splat(f32::NEG_INFINITY);
        for row in a.chunks_exact(r) {
            max = s.max(max, load(s, &row[at..end]));
        }
        let sum = exp_rows(s, r, at..end, a, max);
        scale_rows(s, r, at..end, a, s.div(s.splat(1.0), sum));
        at = end;
    }
}

/// Rows that are read before the first of them is written: a part of a vector, once written, holds up reads of what
/// stands behind it until it is in the cache.
const AT_A_TIME: usize = 8;

/// The columns `part` of `a` become `exp(a - max)`; their sums.
#[inline(always)]
fn exp_rows<S: Simd>(s: S, r: usize, part: Range<usize>, a: &mut [f32], max: S::F32) -> S::F32 {
    let mut sum = s.zero();
    for rows in a.chunks_mut(AT_A_TIME * r) {
        let mut e = [s.zero(); AT_A_TIME];
        for (e, row) in e.iter_mut().zip(rows.chunks_exact(r)) {
            *e = math::exp(s, s.sub(load(s, &row[part.clone()]), max));
        }
        for (e, row) in e.into_iter().zip(rows.chunks_exact_mut(r)) {
            sum = s.add(sum, e);
            store(s, e, &mut row[part.clone()]);
        }
    }
    sum
}

/// Multiplies the columns `part` of `a`.
#[inline(always)]
fn scale_rows<S: Simd>(s: S, r: usize, part: Range<usize>, a: &mut [f32], scale: S::F32) {
    for rows in a.chunks_mut(AT_A_TIME * r) {
        let mut x = [s.zero(); AT_A_TIME];
        for (x, row) in x.iter_mut().zip(rows.chunks_exact(r)) {
            *x = s.mul(load(s, &row[part.clone()]), scale);
        }
        for (x, row) in x.into_iter().zip(rows.chunks_exact_mut(r)) {
            store(s, x, &mut row[part.clone()]);
        }
    }
}

/// `da` becomes the gradient of the scores that [`softmax_events`] turned into `a`.
#[inline(always)]
fn softmax_events_backward<S: Simd>(s: S, r: usize, a: &[f32], da: &mut [f32]) {
    let mut at = 0;
    while at < r {
        let end = (at + LANES).min(r);
        let mut mean = s.zero();
        for (a, da) in a.chunks_exact(r).zip(da.chunks_exact(r)) {
            mean = s.mul_add(load(s, &a[at..end]), load(s, &da[at..end]), mean);
        }
        for (a, da) in a.chunks_exact(r).zip(da.chunks_exact_mut(r)) {
            let da = &mut da[at..end];
            store(s, s.mul(load(s, &a[at..end]), s.sub(load(s, da), mean)), da);
        }
        at = end;
    }
}

/// `by_bucket[k, h]` = the sum of `a[e, h]` over the events e of bucket k.
#[inline(always)]
fn sum_by_bucket<S: Simd>(s: S, r: usize, a: &[f32], bucket: &[u32], by_bucket: &mut [f32]) {
    by_bucket.fill(0.0);
    for at in (0..r).step_by(LANES) {
        let end = (at + LANES).min(r);
        let mut rows = a.chunks_exact(r);
        // Neighbours mostly share a bucket, whose sum then stays in a register.
        for run in bucket.chunk_by(|a, b| a == b) {
            let to = &mut by_bucket[run[0] as usize * r..][at..end];
            let mut sum = load(s, to);
            for row in rows.by_ref().take(run.len()) {
                sum = s.add(sum, load(s, &row[at..end]));
            }
            store(s, sum, to);
        }
    }
}
