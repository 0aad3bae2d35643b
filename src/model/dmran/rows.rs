//! The head `rows`: `h_c <- h_c + W_r [x_1; ...; x_R]`, all rows of Mhat' (of M, without feature level attention) side by side.
//!
//! The mean forgets which hop said what; here each has weights of its own, and the user's vector still does not depend on the
//! candidate.

use crate::autograd::ops;
use crate::autograd::params::ParamId;
use crate::autograd::tape::{Engine, Graph};
use crate::autograd::var::Var;

/// Adds the map of a sample's rows to each of its readings `h_c`; `W_r` is `[d, R d]`, and `x` has R rows a sample.
pub(super) fn add_map(g: &mut Graph<'_>, h_c: Var, x: Var, w_r: ParamId) -> Var {
    let wide = g.param(w_r).cols;
    let samples = x.len() / wide;
    let x = x.reshape(samples, wide);
    let mut y = match g.engine {
        Engine::Fused => ops::dense(g, x, w_r, None, false),
        Engine::Naive => ops::linear(g, x, g.param(w_r), None),
    };
    let per = h_c.rows / samples;
    if per != 1 {
        let of = g.index((0..h_c.rows).map(|reading| (reading / per) as u32));
        y = ops::select_rows(g, y, of);
    }
    ops::add(g, h_c, y)
}
