//! Logits, exponentials and sums of a block, and the users' gradients.

use super::{Block, Running, stride};
use crate::gemm::{Matrix, MatrixMut, Output, Sweep, gemm_tn_near_in};
use crate::math;
use crate::simd::{Kernel, LANES, Simd, load_at, store_at};

/// Rows that pass through all items of a block together: their packed vectors stay in the first level cache.
const GROUP: usize = 64;
/// Items whose logits become exponentials while they are in the first level cache.
const SLAB: usize = 32;
/// How far a logit may lie above what it is taken relative to. Within it nothing need be scaled again; and a million
/// exponentials of it, times weights of any training, are far from the largest number.
const MARGIN: f32 = 20.0;

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
        let n = block.items.len() / d;
        let mut row = 0;
        while row < rows {
            let vectors = (rows - row).div_ceil(LANES);
            row += LANES
                * match vectors {
                    1 => s.call(Group::<1> { block, row, e, running: &mut running }),
                    2 | 3 => s.call(Group::<2> { block, row, e, running: &mut running }),
                    _ => s.call(Group::<{ GROUP / LANES }> { block, row, e, running: &mut running }),
                };
        }
        if !running.d_users.is_empty() {
            let (e, items) = (Matrix::strided(e, n, rows, stride(rows)), Matrix::new(block.items, n, d));
            gemm_tn_near_in(s, e, items, MatrixMut::new(running.d_users, rows, d));
        }
    }
}

/// `16 C` rows from `row` on, through all items of a block.
struct Group<'a, 'r, const C: usize> {
    block: &'a Block<'a>,
    row: usize,
    e: &'a mut [f32],
    running: &'a mut Running<'r>,
}

impl<const C: usize> Kernel for Group<'_, '_, C> {
    /// The vectors done.
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> usize {
        let Self { block, row, e, running } = self;
        let (d, rows) = (block.d, block.targets.len());
        let (n, step) = (block.items.len() / d, stride(rows));
        let users = &block.users[row * d..][..C * LANES * d];
        let items = Matrix::new(block.items, n, d);
        let mut sums = [s.zero(); C];
        for first in (0..n).step_by(SLAB) {
            let last = n.min(first + SLAB);
            let starts = if block.bias.is_empty() { Output::OVERWRITE } else { Output::from_rows(block.bias) };
            // Lanes beyond the rows, which are packed as zeros, are computed like the others.
            let logits = MatrixMut::strided(&mut e[row..], n, C * LANES, step);
            s.call(Sweep { x: items, rows: first..last, packed: users, y: logits, output: starts });
            pick(block, row..rows.min(row + C * LANES), first..last, running.target, e);
            let (before, slab) = e.split_at_mut(first * step);
            let slab = &mut slab[..(last - first) * step];
            let mut base = [s.zero(); C];
            let mut fits = true;
            for (c, base) in base.iter_mut().enumerate() {
                *base = load_at(s, running.max, row + c * LANES);
                let mut max = s.splat(f32::NEG_INFINITY);
                for line in slab.chunks_exact(step) {
                    max = s.max(max, s.load(&line[row + c * LANES..]));
                }
                fits &= s.all(s.le(max, s.add(*base, s.splat(MARGIN))));
            }
            if !fits {
                base = raise::<S, C>(s, (row, d, step), before, slab, running, &mut sums);
            }
            for base in &mut base {
                *base = finite(s, *base);
            }
            let mut part = [s.zero(); C];
            for line in slab.chunks_exact_mut(step) {
                let line = &mut line[row..][..C * LANES];
                for c in 0..C {
                    let at = &mut line[c * LANES..][..LANES];
                    let v = math::exp_nonpositive(s, s.sub(s.load(at), base[c]));
                    s.store(v, at);
                    part[c] = s.add(part[c], v);
                }
            }
            for (sum, part) in sums.iter_mut().zip(part) {
                *sum = s.add(*sum, part);
            }
        }
        for (c, sum) in sums.into_iter().enumerate() {
            for (to, part) in running.sum[row + c * LANES..].iter_mut().zip(s.to_array(sum)) {
                *to += f64::from(part);
            }
        }
        C
    }
}

/// Takes down the targets' logits of some items and rows, and puts `-inf` in the place of what is left out.
#[inline(always)]
fn pick(block: &Block, rows: std::ops::Range<usize>, items: std::ops::Range<usize>, target: &mut [f32], e: &mut [f32]) {
    let step = stride(block.targets.len());
    let (first, count) = ((block.first + items.start) as u32, items.len() as u32);
    let mut hits = 0;
    for &own in &block.targets[rows.clone()] {
        hits += u32::from(own.wrapping_sub(first) < count);
    }
    if hits > 0 {
        for row in rows.clone() {
            let at = block.targets[row].wrapping_sub(first);
            if at < count {
                target[row] = e[(items.start + at as usize) * step + row];
            }
        }
    }
    if block.excluded.items.is_empty() {
        return;
    }
    for row in rows {
        let out = block.excluded.row(row);
        let start = out.partition_point(|&item| item < first);
        for &item in out[start..].iter().take_while(|&&item| item - first < count) {
            if item != block.targets[row] {
                e[(items.start + (item - first) as usize) * step + row] = f32::NEG_INFINITY;
            }
        }
    }
}

/// Makes the largest logit of `slab` what a row is relative to, where it is too far above; and scales what was relative to
/// less: exponentials `before`, sums and gradients. `sums` are the block's until now. Returns the new bases.
#[inline(always)]
fn raise<S: Simd, const C: usize>(
    s: S,
    (row, d, step): (usize, usize, usize),
    before: &mut [f32],
    slab: &[f32],
    running: &mut Running<'_>,
    sums: &mut [S::F32; C],
) -> [S::F32; C] {
    let mut bases = [s.zero(); C];
    for c in 0..C {
        let from = row + c * LANES;
        let old = load_at(s, running.max, from);
        let mut max = s.splat(f32::NEG_INFINITY);
        for line in slab.chunks_exact(step) {
            max = s.max(max, s.load(&line[from..]));
        }
        let base = s.select(s.le(max, s.add(old, s.splat(MARGIN))), old, max);
        store_at(s, base, running.max, from);
        bases[c] = base;
        let factors = math::exp_nonpositive(s, s.sub(old, finite(s, base)));
        sums[c] = s.mul(sums[c], factors);
        for line in before.chunks_exact_mut(step) {
            let at = &mut line[from..][..LANES];
            s.store(s.mul(s.load(at), factors), at);
        }
        for (row, factor) in (from..running.sum.len()).zip(s.to_array(factors)) {
            if factor == 1.0 {
                continue;
            }
            running.sum[row] *= f64::from(factor);
            if !running.d_users.is_empty() {
                scale(s, factor, &mut running.d_users[row * d..][..d]);
            }
        }
    }
    bases
}

/// What is subtracted from logits that are relative to `base`: `-inf` less itself would be NaN.
#[inline(always)]
fn finite<S: Simd>(s: S, base: S::F32) -> S::F32 {
    s.select(s.lt(base, s.splat(f32::MIN)), s.zero(), base)
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
