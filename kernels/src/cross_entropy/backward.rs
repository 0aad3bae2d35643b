//! Gradients of a block's items and biases.

use super::{Gradients, Rows, Write, stride};
use crate::gemm::{Matrix, MatrixMut, Output, gemm_in};
use crate::simd::{Kernel, LANES, Simd, load_at};
use crate::small::{add_scaled, dot};

pub(super) struct BackwardBlock<'a, 'g> {
    pub rows: &'a Rows<'a>,
    pub first: usize,
    pub e: &'a [f32],
    pub out: Gradients<'g>,
    pub scratch: &'a mut [f32],
}

impl Kernel for BackwardBlock<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { rows, first, e, out, scratch } = self;
        let (d, count) = (rows.d, rows.targets.len());
        let (n, stride) = (out.items.len() / d, stride(count));
        pack_scaled(s, rows, scratch);
        let output = if out.write == Write::Add { Output::ACCUMULATE } else { Output::OVERWRITE };
        let e_matrix = Matrix::strided(e, n, count, stride);
        gemm_in(s, e_matrix, scratch, MatrixMut::new(out.items, n, d), output);
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

/// The users times their scales, as [`crate::gemm::pack`] would pack them.
#[inline(always)]
fn pack_scaled<S: Simd>(s: S, rows: &Rows, packed: &mut [f32]) {
    let count = rows.targets.len();
    if count == 0 {
        return;
    }
    for (row, (user, &scale)) in rows.users.chunks_exact(rows.d).zip(rows.scale).enumerate() {
        let scale = s.splat(scale);
        for (panel, at) in packed.chunks_exact_mut(count * LANES).zip((0..).step_by(LANES)) {
            s.store(s.mul(scale, load_at(s, user, at)), &mut panel[row * LANES..]);
        }
    }
}
