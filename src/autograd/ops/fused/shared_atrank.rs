//! Eq 14 to 17 with the head `atrank` for candidates that all users share, in blocks: queries are made once an item, keys and
//! values once a user.

use super::gate::{Side, gate};
use super::pool_atrank::{Projected, Weights, project, read};
use super::score::score;
use super::shared_blocks::{Parts, Reader, shared_blocks};
use crate::autograd::params::ParamId;
use crate::autograd::tape::Graph;
use crate::autograd::var::{Index, Var};

/// The weights of the head's sides, one or two of them, and the gate of two.
#[derive(Clone, Copy, Debug)]
pub struct SharedAtrank {
    /// Of the first side.
    pub first: Weights,
    /// Of the other, with `W_f1, W_f2, b_f`; without, the first one's reading is `h_c`.
    pub other: Option<(Weights, [ParamId; 3])>,
}

impl Reader for SharedAtrank {
    fn read(&self, g: &mut Graph<'_>, [keys, values, keys_hat, values_hat]: Parts, candidates: Parts) -> Var {
        let [c, q, q_hat, bias] = candidates;
        let there = "a part of each side";
        let (c, keys, values) = (c.expect(there), keys.expect(there), values.expect(there));
        let rows = g.index([0, keys.rows as u32]);
        let h = read(g, Projected { q: q.expect(there), keys, values }, c, &self.first, rows);
        let h_c = match &self.other {
            Some((w, of_gate)) => {
                let (keys, values) = (keys_hat.expect(there), values_hat.expect(there));
                let hhat = read(g, Projected { q: q_hat.expect(there), keys, values }, c, w, rows);
                gate(g, [h, hhat].map(|h| Side { h, table: None }), *of_gate)
            }
            None => h,
        };
        score(g, h_c, c, bias)
    }
}

/// The scores `[users, n]` of the candidates `c` `[n, d]`, with the bias `[n, 1]`, for users with the rows `x` of the first
/// side and, where there is one, of the other.
///
/// # Panics
/// If the shapes do not fit, or one of a second side and its weights is missing.
pub fn shared_atrank(
    g: &mut Graph<'_>,
    w: SharedAtrank,
    x: [Option<Var>; 2],
    rows: Index,
    c: Var,
    bias: Option<Var>,
) -> Var {
    let mut side = |x: Option<Var>, w: &Weights| {
        let Projected { q, keys, values } = project(g, x.expect("rows of each side"), c, w);
        [q, keys, values].map(Some)
    };
    let [q, keys, values] = side(x[0], &w.first);
    let [q_hat, keys_hat, values_hat] = w.other.map_or([None; 3], |(w, _)| side(x[1], &w));
    shared_blocks(g, w, [keys, values, keys_hat, values_hat], rows, [Some(c), q, q_hat, bias])
}
