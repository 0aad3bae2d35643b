//! Gather and scatter of table rows in plain loops.

use crate::Level;
use crate::rows::Columns;

/// See [`crate::rows::gather`].
pub fn gather(_level: Level, table: &[f32], width: usize, ids: &[u32], dst: &mut [f32], at: Columns) {
    for (i, &id) in ids.iter().enumerate() {
        for j in 0..width {
            dst[i * at.stride + at.first + j] = table[id as usize * width + j];
        }
    }
}

/// See [`crate::rows::scatter_add`].
pub fn scatter_add(_level: Level, src: &[f32], at: Columns, ids: &[u32], width: usize, table: &mut [f32]) {
    for (i, &id) in ids.iter().enumerate() {
        for j in 0..width {
            table[id as usize * width + j] += src[i * at.stride + at.first + j];
        }
    }
}
