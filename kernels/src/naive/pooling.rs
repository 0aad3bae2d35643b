//! The pooling heads (equations 14, 15) in plain loops.

use super::plain::{add_scaled, dot, softmax, softmax_backward};
use crate::Level;
use crate::pooling::Pool;
use crate::segment::ranges;

/// See [`crate::pooling::weights`].
pub fn weights(_level: Level, p: &Pool, q: &[f32], keys: &[f32], w: &mut [f32], _scratch: &mut [f32]) {
    let scale = 1.0 / (p.width() as f32).sqrt();
    each(p, |at| {
        let w = &mut w[at.weights.clone()];
        for (w, j) in w.iter_mut().zip(at.rows.clone()) {
            *w = dot(&q[at.query.clone()], &keys[at.row(j)]) as f32 * scale;
        }
        let (seen, hidden) = w.split_at_mut(at.rows.len());
        softmax(seen);
        hidden.fill(0.0);
    });
}

/// See [`crate::pooling::weights_backward`].
#[allow(clippy::too_many_arguments)]
pub fn weights_backward(
    _level: Level,
    p: &Pool,
    q: &[f32],
    keys: &[f32],
    w: &[f32],
    dw: &mut [f32],
    dq: &mut [f32],
    dkeys: &mut [f32],
) {
    let scale = 1.0 / (p.width() as f32).sqrt();
    each(p, |at| {
        let (ds, hidden) = dw[at.weights.clone()].split_at_mut(at.rows.len());
        softmax_backward(&w[at.weights.clone()][..ds.len()], ds);
        hidden.fill(0.0);
        for (ds, j) in ds.iter_mut().zip(at.rows.clone()) {
            *ds *= scale;
            add_scaled(&mut dq[at.query.clone()], *ds, &keys[at.row(j)]);
            add_scaled(&mut dkeys[at.row(j)], *ds, &q[at.query.clone()]);
        }
    });
}

/// See [`crate::pooling::pool_rows`].
pub fn pool_rows(_level: Level, p: &Pool, w: &[f32], y: &[f32], accumulate: bool, out: &mut [f32]) {
    each(p, |at| {
        let out = &mut out[at.query.clone()];
        if !accumulate {
            out.fill(0.0);
        }
        for (&w, j) in w[at.weights.clone()].iter().zip(at.rows.clone()) {
            add_scaled(out, w, &y[at.row(j)]);
        }
    });
}

/// See [`crate::pooling::pool_rows_backward`].
pub fn pool_rows_backward(_level: Level, p: &Pool, w: &[f32], y: &[f32], dout: &[f32], dw: &mut [f32], dy: &mut [f32]) {
    each(p, |at| {
        let dout = &dout[at.query.clone()];
        for (i, j) in at.weights.clone().zip(at.rows.clone()) {
            dw[i] += dot(dout, &y[at.row(j)]) as f32;
            add_scaled(&mut dy[at.row(j)], w[i], dout);
        }
    });
}

/// See [`crate::pooling::mean`].
pub fn mean(_level: Level, d: usize, offsets: &[u32], x: &[f32], out: &mut [f32]) {
    for (seg, out) in ranges(offsets).zip(out.chunks_exact_mut(d)) {
        out.fill(0.0);
        for j in seg.clone() {
            add_scaled(out, 1.0, &x[j * d..][..d]);
        }
        let scale = 1.0 / seg.len().max(1) as f32;
        out.iter_mut().for_each(|v| *v *= scale);
    }
}

/// See [`crate::pooling::mean_backward`].
pub fn mean_backward(_level: Level, d: usize, offsets: &[u32], dout: &[f32], dx: &mut [f32]) {
    for (seg, dout) in ranges(offsets).zip(dout.chunks_exact(d)) {
        let scale = 1.0 / seg.len().max(1) as f32;
        for j in seg {
            add_scaled(&mut dx[j * d..][..d], scale, dout);
        }
    }
}

/// One head of one candidate.
struct At {
    /// The rows that it sees.
    rows: core::ops::Range<usize>,
    query: core::ops::Range<usize>,
    weights: core::ops::Range<usize>,
    d: usize,
    column: usize,
}

impl At {
    /// Where this head's part of row `j` lies.
    fn row(&self, j: usize) -> core::ops::Range<usize> {
        let start = j * self.d + self.column;
        start..start + self.query.len()
    }
}

fn each(p: &Pool, mut f: impl FnMut(At)) {
    let width = p.width();
    let mut weights = 0;
    for (b, rows) in ranges(p.offsets).enumerate() {
        for c in 0..p.candidates {
            for h in 0..p.heads {
                let query = (b * p.candidates + c) * p.d + h * width;
                let end = weights + rows.len();
                f(At {
                    rows: rows.start..rows.start + p.seen(c, rows.len()),
                    query: query..query + width,
                    weights: weights..end,
                    d: p.d,
                    column: h * width,
                });
                weights = end;
            }
        }
    }
}
