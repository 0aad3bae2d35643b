//! Equation 1 where H itself is wanted: the variant `feature`, and checks.

use super::check_buckets;
use crate::gemm::Output;
use crate::level::Level;
use crate::segment;
use crate::simd::{Kernel, Simd};
use crate::small::add;
use crate::weight::Weight;

/// What both directions read.
#[derive(Clone, Copy, Debug)]
pub struct LinearTime<'a> {
    /// Width of item vectors and hidden vectors.
    pub d: usize,
    /// `[N, d]`: the item vectors.
    pub x: &'a [f32],
    /// `[N]`: time buckets, below K.
    pub bucket: &'a [u32],
    /// `[K, d]`: `T W_t^T + b_d`.
    pub t1: &'a [f32],
    /// `W_v`, `[d, d]`.
    pub w_v: Weight<'a>,
}

impl LinearTime<'_> {
    fn check(&self) {
        let events = segment::rows(self.x.len(), self.d);
        check_buckets(self.bucket, events, segment::rows(self.t1.len(), self.d));
        self.w_v.expect("W_v", self.d, self.d);
    }
}

/// Equation 1: `H = X W_v^T + T1[bucket]`, `[N, d]`.
///
/// # Panics
/// If a length does not fit the dimensions or a bucket is out of range.
pub fn linear_time(level: Level, p: &LinearTime, h: &mut [f32]) {
    p.check();
    assert_eq!(h.len(), p.x.len(), "H has the wrong length");
    for (h, &k) in h.chunks_exact_mut(p.d).zip(p.bucket) {
        h.copy_from_slice(&p.t1[k as usize * p.d..][..p.d]);
    }
    p.w_v.apply(level, p.x, h, Output::ACCUMULATE);
}

/// The gradients of [`linear_time`], all added to: `dx` `[N, d]`, `dw_v` `[d, d]`, `dt1` `[K, d]`.
///
/// # Panics
/// As [`linear_time`].
pub fn linear_time_backward(
    level: Level,
    p: &LinearTime,
    dh: &[f32],
    dx: &mut [f32],
    dw_v: &mut [f32],
    dt1: &mut [f32],
) {
    p.check();
    assert_eq!(dh.len(), p.x.len(), "dH has the wrong length");
    assert_eq!(dt1.len(), p.t1.len(), "dT1 has the wrong length");
    p.w_v.apply_transposed(level, dh, dx, Output::ACCUMULATE);
    p.w_v.add_gradient(level, dh, p.x, dw_v);
    level.dispatch(AddToBuckets { d: p.d, dh, bucket: p.bucket, dt1 });
}

struct AddToBuckets<'a> {
    d: usize,
    dh: &'a [f32],
    bucket: &'a [u32],
    dt1: &'a mut [f32],
}

impl Kernel for AddToBuckets<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (dh, &k) in self.dh.chunks_exact(self.d).zip(self.bucket) {
            add(s, dh, &mut self.dt1[k as usize * self.d..][..self.d]);
        }
    }
}
