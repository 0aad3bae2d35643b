//! Item level attention over ragged histories: equations 7 and 8 with equation 1 folded in.
//!
//! Equation 1 splits into `u = W_v i + (W_t T[bucket] + b_d)`, whose second part `T1` has one row a bucket; so
//! `W_s1 u = W_c i + T2[bucket]` with `W_c = W_s1 W_v`, `T2 = T1 W_s1^T`, composed once a step, and
//! `M = A H = (A X) W_v^T + (A summed by bucket) T1`: neither H nor `W_s1 H` is formed.
//!
//! The events of a batch are concatenated. A is stored event by event, `[N, r]`: the transpose of the paper's `r x n`,
//! so that the hops of an event are neighbours.

mod linear_time;
mod penalty;
mod segment_kernels;

pub use linear_time::{LinearTime, linear_time, linear_time_backward};
pub use penalty::{penalty, penalty_backward, penalty_scratch_len};

use crate::gemm;
use crate::level::Level;
use crate::segment;
use crate::small::Rows;
use crate::weight::Weight;
use segment_kernels::{GOfItems, MaskRelu, SegmentBackward, SegmentForward};

/// What both directions read. `N` events, `B` samples, `K` buckets.
#[derive(Clone, Copy, Debug)]
pub struct ItemAttention<'a> {
    /// Width of item vectors and hidden vectors.
    pub d: usize,
    /// Hops.
    pub r: usize,
    /// `[N, d]`: the item vectors (equation 1's i).
    pub x: &'a [f32],
    /// `[N]`: each event's time bucket, below K.
    pub bucket: &'a [u32],
    /// `[B + 1]`: sample b has the events `offsets[b]..offsets[b + 1]`.
    pub offsets: &'a [u32],
    /// `[K, d]`: `T W_t^T + b_d`.
    pub t1: &'a [f32],
    /// `[K, d]`: `T1 W_s1^T`.
    pub t2: &'a [f32],
    /// `W_c = W_s1 W_v`, `[d, d]`.
    pub w_c: Weight<'a>,
    /// `W_s2`, `[r, d]`.
    pub w_s2: Weight<'a>,
    /// `W_v`, `[d, d]`.
    pub w_v: Weight<'a>,
}

/// What the forward pass writes.
#[derive(Debug)]
pub struct Output<'a> {
    /// `[N, d]`: `relu(W_s1 H^T)^T`.
    pub g: &'a mut [f32],
    /// `[N, r]`: A, event by event.
    pub a: &'a mut [f32],
    /// `[B r, d]`: `A X`.
    pub ax: &'a mut [f32],
    /// `[B r, d]`: M.
    pub m: &'a mut [f32],
}

/// What the backward pass needs of the forward pass's output.
#[derive(Clone, Copy, Debug)]
pub struct Saved<'a> {
    /// `[N, d]`
    pub g: &'a [f32],
    /// `[N, r]`
    pub a: &'a [f32],
    /// `[B r, d]`
    pub ax: &'a [f32],
}

/// Gradients, all added to.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// `[N, d]`
    pub dx: &'a mut [f32],
    /// `[K, d]`
    pub dt1: &'a mut [f32],
    /// `[K, d]`
    pub dt2: &'a mut [f32],
    /// `[d, d]`
    pub dw_c: &'a mut [f32],
    /// `[r, d]`
    pub dw_s2: &'a mut [f32],
    /// `[d, d]`
    pub dw_v: &'a mut [f32],
}

impl<'a> ItemAttention<'a> {
    /// The linear time layer on the same inputs (it forms H).
    pub fn linear_time(&self) -> LinearTime<'a> {
        LinearTime { d: self.d, x: self.x, bucket: self.bucket, t1: self.t1, w_v: self.w_v }
    }

    /// Checks all lengths; gives (events, samples, buckets).
    fn check(&self) -> (usize, usize, usize) {
        assert!(self.r > 0, "item attention needs at least one hop");
        let events = segment::rows(self.x.len(), self.d);
        let samples = segment::check(self.offsets, events);
        let buckets = segment::rows(self.t1.len(), self.d);
        assert_eq!(self.t2.len(), self.t1.len(), "T1 and T2 differ in length");
        check_buckets(self.bucket, events, buckets);
        self.w_c.expect("W_c", self.d, self.d);
        self.w_s2.expect("W_s2", self.r, self.d);
        self.w_v.expect("W_v", self.d, self.d);
        (events, samples, buckets)
    }
}

/// One bucket an event, all below `buckets`.
fn check_buckets(bucket: &[u32], events: usize, buckets: usize) {
    assert_eq!(bucket.len(), events, "{} buckets for {events} events", bucket.len());
    if let Some(k) = bucket.iter().find(|&&k| k as usize >= buckets) {
        panic!("bucket {k}, but there are only {buckets}");
    }
}

/// Floats of scratch that [`forward`] and [`backward`] need at most, with `events`, `samples`, `buckets` as there.
pub fn scratch_len(d: usize, r: usize, events: usize, samples: usize, buckets: usize) -> usize {
    events * (r + d) + samples * r * d + 2 * buckets * r + r
}

/// Equations 7 and 8: G, A, A X and M of every sample.
///
/// A sample without events has a zero M.
///
/// # Panics
/// If a length does not fit the dimensions, a bucket is out of range, or `scratch` is shorter than [`scratch_len`].
pub fn forward(level: Level, p: &ItemAttention, out: &mut Output, scratch: &mut [f32]) {
    let buckets = check_output(p, out);
    for (g, &k) in out.g.chunks_exact_mut(p.d).zip(p.bucket) {
        g.copy_from_slice(&p.t2[k as usize * p.d..][..p.d]);
    }
    p.w_c.apply(level, p.x, out.g, gemm::Output::ADD.relu());
    attend(level, p, buckets, out, scratch);
}

/// [`forward`] where G is there already, for instance from [`g_of_items`].
///
/// # Panics
/// As [`forward`].
pub fn forward_from_g(level: Level, p: &ItemAttention, out: &mut Output, scratch: &mut [f32]) {
    let buckets = check_output(p, out);
    attend(level, p, buckets, out, scratch);
}

/// From G to M.
fn attend(level: Level, p: &ItemAttention, buckets: usize, out: &mut Output, scratch: &mut [f32]) {
    p.w_s2.apply(level, out.g, out.a, gemm::Output::OVERWRITE);
    let by_bucket = &mut scratch[..buckets * p.r];
    level.dispatch(SegmentForward { p, buckets, a: out.a, ax: out.ax, m: out.m, by_bucket });
    p.w_v.apply(level, out.ax, out.m, gemm::Output::ACCUMULATE);
}

/// The rows of G of some items: `g[e] = relu(T2[bucket[e]] + wx[item[e]])`, with `wx` `[items, d]` the products `W_c i` of
/// all items. The bits of [`forward`].
///
/// # Panics
/// If the lengths do not fit each other, or an item or bucket is out of range.
pub fn g_of_items(level: Level, d: usize, wx: &[f32], item: &[u32], t2: &[f32], bucket: &[u32], g: &mut [f32]) {
    assert_eq!(segment::rows(g.len(), d), item.len(), "G has the wrong length");
    check_buckets(bucket, item.len(), segment::rows(t2.len(), d));
    let items = segment::rows(wx.len(), d);
    assert!(item.iter().all(|&i| (i as usize) < items), "an item beyond the {items} of the table");
    level.dispatch(GOfItems { wx: Rows::lookup(wx, item, d), t2: Rows::lookup(t2, bucket, d), g });
}

/// The gradients of [`forward`], given those of M (`dm`, `[B r, d]`) and of A (`da`, `[N, r]`, from the penalty).
///
/// # Panics
/// As [`forward`].
pub fn backward(
    level: Level,
    p: &ItemAttention,
    saved: &Saved,
    dm: &[f32],
    da: &[f32],
    out: &mut Gradients,
    scratch: &mut [f32],
) {
    let (events, samples, buckets) = p.check();
    check_saved(p, saved, (events, samples));
    let (d, r) = (p.d, p.r);
    assert_eq!(dm.len(), samples * r * d, "dM has the wrong length");
    assert_eq!(da.len(), events * r, "dA has the wrong length");
    assert_eq!(out.dx.len(), events * d, "dX has the wrong length");
    assert_eq!((out.dt1.len(), out.dt2.len()), (buckets * d, buckets * d), "dT1 or dT2 has the wrong length");

    let (ds, scratch) = scratch.split_at_mut(events * r);
    let (dg, scratch) = scratch.split_at_mut(events * d);
    let (dax, scratch) = scratch.split_at_mut(samples * r * d);
    let (by_bucket, scratch) = scratch.split_at_mut(buckets * r);
    let dby_bucket = &mut scratch[..buckets * r];

    p.w_v.apply_transposed(level, dm, dax, gemm::Output::OVERWRITE);
    p.w_v.add_gradient(level, dm, saved.ax, out.dw_v);
    ds.copy_from_slice(da);
    level.dispatch(SegmentBackward {
        p,
        buckets,
        a: saved.a,
        dm,
        dax,
        ds,
        dx: out.dx,
        dt1: out.dt1,
        by_bucket,
        dby_bucket,
    });
    p.w_s2.add_gradient(level, ds, saved.g, out.dw_s2);
    p.w_s2.apply_transposed(level, ds, dg, gemm::Output::OVERWRITE);
    level.dispatch(MaskRelu { d, g: saved.g, bucket: p.bucket, dg, dt2: out.dt2 });
    p.w_c.add_gradient(level, dg, p.x, out.dw_c);
    p.w_c.apply_transposed(level, dg, out.dx, gemm::Output::ACCUMULATE);
}

/// Checks all lengths; gives the number of buckets.
fn check_output(p: &ItemAttention, out: &Output) -> usize {
    let (events, samples, buckets) = p.check();
    check_saved(p, &Saved { g: out.g, a: out.a, ax: out.ax }, (events, samples));
    assert_eq!(out.m.len(), samples * p.r * p.d, "M has the wrong length");
    buckets
}

fn check_saved(p: &ItemAttention, saved: &Saved, (events, samples): (usize, usize)) {
    assert_eq!(saved.g.len(), events * p.d, "G has the wrong length");
    assert_eq!(saved.a.len(), events * p.r, "A has the wrong length");
    assert_eq!(saved.ax.len(), samples * p.r * p.d, "AX has the wrong length");
}
