//! Gradients of a block's items and biases.

use super::{Gradients, Rows, Write, stride};
use crate::gemm::{Matrix, MatrixMut, Output, Sweep};
use crate::simd::{Kernel, LANES, Simd, load_at};
use crate::small::{add_scaled, dot};

/// Rows that are summed at a time: of so many, 64 packed columns stay in the first level cache.
const ROWS: usize = 128;
/// Columns that are computed together.
const COLUMNS: usize = 64;

pub(super) struct BackwardBlock<'a, 'g> {
    pub rows: &'a Rows<'a>,
    pub first: usize,
    pub e: &'a [f32],
    pub out: Gradients<'g>,
}

impl Kernel for BackwardBlock<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { rows, first, e, out } = self;
        let (d, count) = (rows.d, rows.targets.len());
        let (n, stride) = (out.items.len() / d, stride(count));
        let mut packed = rows.packed;
        for row in (0..count).step_by(ROWS) {
            let k = ROWS.min(count - row);
            let go_on = row > 0 || out.write == Write::Add;
            let output = if go_on { Output::ACCUMULATE } else { Output::OVERWRITE };
            for column in (0..d).step_by(COLUMNS) {
                let width = COLUMNS.min(d - column);
                let (panels, rest) = packed.split_at(width.next_multiple_of(LANES) * k);
                packed = rest;
                let x = Matrix::strided(&e[row.min(e.len())..], n, k, stride);
                let y = MatrixMut::strided(&mut out.items[column.min(n * d)..], n, width, d);
                s.call(Sweep { x, rows: 0..n, packed: panels, y, output });
            }
        }
        if count == 0 && out.write == Write::Over {
            out.items.fill(0.0);
        }
        for (g, line) in out.bias.iter_mut().zip(e.chunks_exact(stride)) {
            let sum = dot(s, rows.scale, line);
            *g = if out.write == Write::Add { *g + sum } else { sum };
        }
        for (row, (&target, &weight)) in rows.targets.iter().zip(rows.weights).enumerate() {
            let target = (target as usize).wrapping_sub(first);
            if target < n {
                add_scaled(s, -weight, &rows.users[row * d..][..d], &mut out.items[target * d..][..d]);
                if let Some(g) = out.bias.get_mut(target) {
                    *g -= weight;
                }
            }
        }
    }
}

pub(super) struct PackScaled<'a> {
    pub d: usize,
    pub users: &'a [f32],
    pub scale: &'a [f32],
    pub out: &'a mut [f32],
}

impl Kernel for PackScaled<'_> {
    type Output = ();

    /// Some rows after the other, each as [`crate::gemm::pack`] would pack them.
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { d, users, scale, out } = self;
        let parts = users.chunks(ROWS * d).zip(scale.chunks(ROWS));
        for ((users, scale), out) in parts.zip(out.chunks_mut(d.next_multiple_of(LANES) * ROWS)) {
            for (row, (user, &scale)) in users.chunks_exact(d).zip(scale).enumerate() {
                let v = s.splat(scale);
                for (panel, at) in out.chunks_exact_mut(users.len() / d * LANES).zip((0..).step_by(LANES)) {
                    s.store(s.mul(v, load_at(s, user, at)), &mut panel[row * LANES..]);
                }
            }
        }
    }
}
