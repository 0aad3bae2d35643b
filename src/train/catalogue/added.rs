//! Gradients of single rows, added to those of a whole table.

use dmran_kernels::Level;
use dmran_kernels::loss::sum_squares;
use dmran_kernels::optim::add_scaled;

/// Adds `grads` `[rows.len(), width]` to the named rows of `dense` `[_, width]`, each at most once; by how much that changes
/// the sum of all squares.
pub(super) fn add_rows(level: Level, dense: &mut [f32], width: usize, rows: &[u32], grads: &[f32]) -> f64 {
    assert_eq!(grads.len(), rows.len() * width, "the gradient of {} rows of width {width}", rows.len());
    let mut change = 0.0;
    for (&row, g) in rows.iter().zip(grads.chunks_exact(width.max(1))) {
        let to = &mut dense[row as usize * width..][..width];
        let before = sum_squares(level, to);
        add_scaled(level, to, 1.0, g);
        change += sum_squares(level, to) - before;
    }
    change
}
