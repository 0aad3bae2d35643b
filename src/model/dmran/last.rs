//! The last event as a row of M of its own: `M <- [M; H_n]`, after eq 8 and before eq 9.
//!
//! What a user did last says more about the next step than anything before it, and the hops only see it mixed with the rest.

use super::Dmran;
use crate::autograd::ops;
use crate::autograd::tape::{Engine, Graph};
use crate::autograd::var::{Index, Var};

/// What the row is made of, and the rows that it follows.
pub(super) struct Hops<'a> {
    /// The events' item vectors, and their time buckets.
    pub x: Var,
    pub bucket: Index,
    /// Each sample's last event, as [`Batch::rows`](crate::model::Batch::rows) has it.
    pub last: &'a [u32],
    /// H, where the engine has formed it.
    pub big_h: Option<Var>,
    /// M `[samples r, d]`.
    pub m: Var,
}

impl Dmran {
    /// M with one more row a sample `[samples (r + 1), d]`, and where each sample's rows begin.
    pub(super) fn with_last_row(&self, g: &mut Graph<'_>, hops: Hops<'_>) -> (Var, Index) {
        let Hops { x, bucket, last, big_h, m } = hops;
        let samples = last.len();
        let at = g.index(last.iter().copied());
        let row = match (g.engine, big_h) {
            (Engine::Naive, Some(h)) => ops::select_rows(g, h, at),
            _ => {
                let bucket = g.index_from(|all| {
                    for event in last {
                        all.push(all[bucket.start + *event as usize]);
                    }
                });
                let x = ops::select_rows(g, x, at);
                ops::time_linear(g, x, self.w_v, self.derived.t1, bucket)
            }
        };
        let (d, rows) = (self.settings.d, self.settings.rows());
        let side_by_side = ops::concat(g, m.reshape(samples, self.settings.hops * d), row);
        let begins = g.index((0..=samples as u32).map(|sample| sample * rows as u32));
        (side_by_side.reshape(samples * rows, d), begins)
    }
}
