//! Logits, maxima, exponentials and sums of a block, and the users' gradients.

use super::{Block, Running, stride};
use crate::gemm::{Matrix, MatrixMut, Output, gemm_in, gemm_tn_in};
use crate::math;
use crate::simd::{Kernel, LANES, Simd, load_at, store_at};

/// Items whose exponentials are summed in `f32` before the sum goes to `f64`.
const SUMMED: usize = 64;

pub(super) struct ForwardBlock<'a, 'r> {
    pub block: &'a Block<'a>,
    pub running: Running<'r>,
    pub e: &'a mut [f32],
}

impl Kernel for ForwardBlock<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { block, mut running, e } = self;
        let (d, rows) = (block.d, block.targets.len());
        let (n, stride) = (block.items.len() / d, stride(rows));
        let items = Matrix::new(block.items, n, d);
        let output = if block.bias.is_empty() { Output::OVERWRITE } else { Output::from_rows(block.bias) };
        gemm_in(s, items, block.users, MatrixMut::strided(e, n, rows, stride), output);
        pick(block, n, running.target, e);
        let mut column = 0;
        while column < rows {
            let vectors = (rows - column).div_ceil(LANES);
            column += LANES
                * match vectors {
                    1 => s.call(Strip::<1> { e, column, d, running: &mut running }),
                    2 | 3 => s.call(Strip::<2> { e, column, d, running: &mut running }),
                    _ => s.call(Strip::<4> { e, column, d, running: &mut running }),
                };
        }
        if !running.d_users.is_empty() {
            let d_users = MatrixMut::new(running.d_users, rows, d);
            gemm_tn_in(s, Matrix::strided(e, n, rows, stride), items, d_users, true);
        }
    }
}

/// Takes down the targets' logits, and puts `-inf` in the place of what is left out.
fn pick(block: &Block, n: usize, target: &mut [f32], e: &mut [f32]) {
    let stride = stride(block.targets.len());
    let items = block.first..block.first + n;
    for (row, (&own, logit)) in block.targets.iter().zip(target).enumerate() {
        if items.contains(&(own as usize)) {
            *logit = e[(own as usize - block.first) * stride + row];
        }
        let out = block.excluded.row(row);
        let start = out.partition_point(|&item| (item as usize) < items.start);
        for &item in out[start..].iter().take_while(|&&item| (item as usize) < items.end) {
            if item != own {
                e[(item as usize - block.first) * stride + row] = f32::NEG_INFINITY;
            }
        }
    }
}

/// `16 C` rows from `column` on: logits to exponentials.
struct Strip<'a, 'r, const C: usize> {
    e: &'a mut [f32],
    column: usize,
    d: usize,
    running: &'a mut Running<'r>,
}

impl<const C: usize> Kernel for Strip<'_, '_, C> {
    /// The vectors done.
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> usize {
        let Self { e, column, d, running } = self;
        let rows = running.max.len();
        let step = stride(rows);
        let mut before = [s.zero(); C];
        for (c, v) in before.iter_mut().enumerate() {
            *v = load_at(s, running.max, column + c * LANES);
        }
        let mut max = before;
        for line in e.chunks_exact(step) {
            let line = &line[column..][..C * LANES];
            for (c, max) in max.iter_mut().enumerate() {
                *max = s.max(*max, s.load(&line[c * LANES..]));
            }
        }
        let mut base = max;
        for (c, base) in base.iter_mut().enumerate() {
            store_at(s, *base, running.max, column + c * LANES);
            *base = finite(s, *base);
        }
        for c in 0..C {
            let factor = s.to_array(math::exp_nonpositive(s, s.sub(before[c], base[c])));
            let from = column + c * LANES;
            for (row, &factor) in (from..rows).zip(&factor) {
                // Mostly, as a block rarely has the largest logit of all before it.
                if factor == 1.0 {
                    continue;
                }
                running.sum[row] *= f64::from(factor);
                if !running.d_users.is_empty() {
                    scale(s, factor, &mut running.d_users[row * d..][..d]);
                }
            }
        }
        for lines in e.chunks_mut(SUMMED * step) {
            let mut sum = [s.zero(); C];
            for line in lines.chunks_exact_mut(step) {
                let line = &mut line[column..][..C * LANES];
                for c in 0..C {
                    let at = &mut line[c * LANES..][..LANES];
                    let v = math::exp_nonpositive(s, s.sub(s.load(at), base[c]));
                    s.store(v, at);
                    sum[c] = s.add(sum[c], v);
                }
            }
            for (c, sum) in sum.into_iter().enumerate() {
                for (to, part) in running.sum[column + c * LANES..].iter_mut().zip(s.to_array(sum)) {
                    *to += f64::from(part);
                }
            }
        }
        C
    }
}

/// What is subtracted from logits whose maximum is `max`: `-inf` less itself would be NaN.
#[inline(always)]
fn finite<S: Simd>(s: S, max: S::F32) -> S::F32 {
    s.select(s.lt(max, s.splat(f32::MIN)), s.zero(), max)
}

/// `x *= c`.
#[inline(always)]
fn scale<S: Simd>(s: S, c: f32, x: &mut [f32]) {
    let c = s.splat(c);
    for at in (0..x.len()).step_by(LANES) {
        store_at(s, s.mul(c, load_at(s, x, at)), x, at);
    }
}

pub(super) struct Combine<'a> {
    pub max: &'a [f32],
    pub sum: &'a [f64],
    pub top: &'a mut [f32],
    pub total: &'a mut [f64],
}

impl Kernel for Combine<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { max, sum, top, total } = self;
        let rows = top.len();
        for at in (0..rows).step_by(LANES) {
            let mut all = s.splat(f32::NEG_INFINITY);
            for max in max.chunks_exact(rows) {
                all = s.max(all, load_at(s, max, at));
            }
            store_at(s, all, top, at);
            let base = finite(s, all);
            let total = &mut total[at..rows.min(at + LANES)];
            total.fill(0.0);
            for (max, sum) in max.chunks_exact(rows).zip(sum.chunks_exact(rows)) {
                let factor = s.to_array(math::exp_nonpositive(s, s.sub(load_at(s, max, at), base)));
                for ((total, sum), factor) in total.iter_mut().zip(&sum[at..]).zip(factor) {
                    *total += sum * f64::from(factor);
                }
            }
        }
    }
}

pub(super) struct Scales<'a> {
    pub max: &'a [f32],
    pub top: &'a [f32],
    pub factor: &'a [f32],
    pub out: &'a mut [f32],
}

impl Kernel for Scales<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { max, top, factor, out } = self;
        for at in (0..out.len()).step_by(LANES) {
            let max = load_at(s, max, at);
            let power = math::exp_nonpositive(s, s.sub(max, load_at(s, top, at)));
            let none = s.lt(max, s.splat(f32::MIN));
            let v = s.select(none, s.zero(), s.mul(load_at(s, factor, at), power));
            store_at(s, v, out, at);
        }
    }
}
