//! Gradients of single rows, added to those of a whole table.

use dmran_kernels::Level;
use dmran_kernels::loss::sum_squares;
use dmran_kernels::optim::add_scaled;

/// Adds `grads` `[rows.len(), width]` to the named rows of `dense` `[_, width]`, each at most once; by how much each changes
/// the sum of all squares, into `changes`.
pub(super) fn add_rows(
    level: Level,
    (dense, width): (&mut [f32], usize),
    rows: &[u32],
    grads: &[f32],
    changes: &mut [f64],
) {
    assert_eq!(grads.len(), rows.len() * width, "the gradient of {} rows of width {width}", rows.len());
    assert_eq!(changes.len(), rows.len(), "a change for each of {} rows", rows.len());
    for ((&row, g), change) in rows.iter().zip(grads.chunks_exact(width.max(1))).zip(changes) {
        let to = &mut dense[row as usize * width..][..width];
        let before = sum_squares(level, to);
        add_scaled(level, to, 1.0, g);
        *change = sum_squares(level, to) - before;
    }
}
