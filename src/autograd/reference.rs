//! The fused ops rebuilt from primitives: slow, simple, and what the fused ones are compared with.
//!
//! Segments are given by `offsets` (one entry more than segments). A is stored one row an event, `[N, r]`, which is
//! the transpose of the paper's `r x n`.

pub(crate) mod gemm;

use super::ops::self_attention::Mask;
use super::ops::{
    add, group_expand, group_sum, layer_norm, linear, mul, relu, row_dot, scale, scale_rows, segment_softmax,
    segment_sum, segment_tn, segments, select_rows, sigmoid, tanh,
};
use crate::autograd::tape::Graph;
use crate::autograd::var::{Index, Var};

/// Eq 1, 2: `H = X W_v^T + T'[bucket]`, where `T' = T W_t^T + b_d` `[K, d]` has one row a time bucket.
pub fn time_linear(g: &mut Graph<'_>, x: Var, w_v: Var, t1: Var, bucket: Index) -> Var {
    let h = linear(g, x, w_v, None);
    let t = select_rows(g, t1, bucket);
    add(g, h, t)
}

/// Eq 7, 8: the scores S `[N, r]`, `A = softmax_n(W_s2 relu(W_s1 H^T))` `[N, r]` and `M = A H` `[B r, d]`.
pub fn item_attention(g: &mut Graph<'_>, h: Var, w_s1: Var, w_s2: Var, offsets: Index) -> (Var, Var, Var) {
    let z = linear(g, h, w_s1, None);
    let z = relu(g, z);
    let s = linear(g, z, w_s2, None);
    let a = segment_softmax(g, s, offsets);
    let m = segment_tn(g, a, h, offsets);
    (s, a, m)
}

/// All pairs of rows within the segments of `left` and `right`: row numbers of both sides, left-major, and the
/// offsets of the runs that share a left row.
fn pairs(g: &mut Graph<'_>, left: Index, right: Index) -> (Index, Index, Index) {
    let (left, right) = (g.indices(left).to_vec(), g.indices(right).to_vec());
    let mut pairs = Vec::new();
    let mut runs = vec![0];
    for (l, r) in segments(&left).zip(segments(&right)) {
        for i in l {
            pairs.extend(r.clone().map(|j| (i as u32, j as u32)));
            runs.push(pairs.len() as u32);
        }
    }
    let i = g.index(pairs.iter().map(|p| p.0));
    let j = g.index(pairs.iter().map(|p| p.1));
    (i, j, g.index(runs))
}

/// As [`pairs`] of each segment's rows with themselves, without those whose right row comes after the left one.
fn causal_pairs(g: &mut Graph<'_>, rows: Index) -> (Index, Index, Index) {
    let offsets = g.indices(rows).to_vec();
    let runs: Vec<_> = segments(&offsets).flat_map(|s| s.clone().map(move |i| (i as u32, s.start as u32))).collect();
    let i = g.index(runs.iter().flat_map(|&(i, first)| (first..=i).map(move |_| i)));
    let j = g.index(runs.iter().flat_map(|&(i, first)| first..=i));
    let mut end = 0;
    let ends = runs.iter().map(|&(i, first)| {
        end += i - first + 1;
        end
    });
    (i, j, g.index([0].into_iter().chain(ends)))
}

/// What [`feature_attention`] computes on its way.
#[derive(Clone, Copy, Debug)]
pub struct Alignment {
    /// `tanh(p_i + q_j)`, one row a pair (i, j).
    pub t: Var,
    /// Eq 9 without `b_s1`, one row a pair.
    pub f: Var,
    /// Eq 10, one row a pair.
    pub beta: Var,
    /// Eq 12, one row a row of M.
    pub mhat: Var,
}

/// Eq 9-12: `f_ij = W_s5 tanh(W_s4 m_i + W_s3 m_j + b_s2)`, softmax over j in each dimension, weighted sum of m_j.
/// `b_s1` cancels in the softmax and is left out.
pub fn feature_attention(g: &mut Graph<'_>, m: Var, [w_s3, w_s4, b_s2, w_s5]: [Var; 4], offsets: Index) -> Alignment {
    let p = linear(g, m, w_s4, Some(b_s2));
    let q = linear(g, m, w_s3, None);
    let (i, j, runs) = pairs(g, offsets, offsets);
    let (pi, qj, mj) = (select_rows(g, p, i), select_rows(g, q, j), select_rows(g, m, j));
    let sum = add(g, pi, qj);
    let t = tanh(g, sum);
    let f = linear(g, t, w_s5, None);
    let beta = segment_softmax(g, f, runs);
    let weighted = mul(g, beta, mj);
    Alignment { t, f, beta, mhat: segment_sum(g, weighted, runs) }
}

/// Eq 14, 15 `vanilla`: `h = softmax(c X^T / sqrt(d)) X` for each candidate over the rows of its own segment.
/// `candidates` are offsets into the rows of `c`, `rows` into those of `x`.
pub fn pool_vanilla(g: &mut Graph<'_>, x: Var, c: Var, rows: Index, candidates: Index) -> Var {
    let (i, j, runs) = pairs(g, candidates, rows);
    let (ci, xj) = (select_rows(g, c, i), select_rows(g, x, j));
    let s = row_dot(g, ci, xj);
    let s = scale(g, s, 1.0 / (x.cols as f32).sqrt(), 0.0);
    let w = segment_softmax(g, s, runs);
    let weighted = scale_rows(g, xj, w);
    segment_sum(g, weighted, runs)
}

/// Eq 14, 15 `mean`: the mean of the rows of each segment, repeated for each of its candidates.
pub fn pool_mean(g: &mut Graph<'_>, x: Var, rows: Index, candidates: Index) -> Var {
    let offsets = g.indices(rows).to_vec();
    let weights = g.constant(x.rows, 1, |w| {
        for rows in segments(&offsets) {
            let share = 1.0 / rows.len() as f32;
            w[rows].fill(share);
        }
    });
    let weighted = scale_rows(g, x, weights);
    let mean = segment_sum(g, weighted, rows);
    let of: Vec<u32> =
        segments(g.indices(candidates)).enumerate().flat_map(|(b, c)| c.map(move |_| b as u32)).collect();
    let of = g.index(of);
    select_rows(g, mean, of)
}

/// Weights of one ATRank attention block, as variables.
#[derive(Clone, Copy, Debug)]
pub struct AtrankVars {
    /// `[W_q, b_q]`.
    pub q: [Var; 2],
    /// `[W_k, b_k]`.
    pub k: [Var; 2],
    /// `[W_u, b_u]`, the projection of the values.
    pub u: [Var; 2],
    /// Gain and bias of the first layer norm.
    pub ln1: [Var; 2],
    /// `[W_1, b_1, W_2, b_2]` of the feed forward.
    pub ff: [Var; 4],
    /// Gain and bias of the second layer norm.
    pub ln2: [Var; 2],
    /// Number of heads.
    pub heads: usize,
    /// The layer norms' eps.
    pub eps: f32,
}

/// Eq 14, 15 `atrank`: multi-head attention of each candidate over the rows of its own segment, then residual, layer
/// norm, feed forward, residual, layer norm.
pub fn pool_atrank(g: &mut Graph<'_>, x: Var, c: Var, w: &AtrankVars, rows: Index, candidates: Index) -> Var {
    let dense = |g: &mut Graph<'_>, x: Var, [w, b]: [Var; 2]| {
        let y = linear(g, x, w, Some(b));
        relu(g, y)
    };
    let (q, k, u) = (dense(g, c, w.q), dense(g, x, w.k), dense(g, x, w.u));
    let pairs = pairs(g, candidates, rows);
    let attended = attend(g, [q, k, u], pairs, w.heads);
    let y = add(g, c, attended);
    let y = layer_norm(g, y, w.ln1[0], w.ln1[1], w.eps);
    let y = feed_forward(g, y, w.ff);
    layer_norm(g, y, w.ln2[0], w.ln2[1], w.eps)
}

/// Multi-head attention over pairs of rows of queries and of keys and values, in runs that share a query.
fn attend(g: &mut Graph<'_>, [q, k, v]: [Var; 3], (i, j, runs): (Index, Index, Index), heads: usize) -> Var {
    let d = q.cols;
    let (qi, kj, vj) = (select_rows(g, q, i), select_rows(g, k, j), select_rows(g, v, j));
    let products = mul(g, qi, kj);
    let s = group_sum(g, products, heads);
    let s = scale(g, s, 1.0 / ((d / heads) as f32).sqrt(), 0.0);
    let a = segment_softmax(g, s, runs);
    let a = group_expand(g, a, d);
    let weighted = mul(g, a, vj);
    segment_sum(g, weighted, runs)
}

/// Attention within each segment of `rows`, of each row over all of them or over those up to itself.
pub fn self_attention(g: &mut Graph<'_>, inputs: [Var; 3], rows: Index, heads: usize, mask: Mask) -> Var {
    let pairs = match mask {
        Mask::Full => pairs(g, rows, rows),
        Mask::Causal => causal_pairs(g, rows),
    };
    attend(g, inputs, pairs, heads)
}

/// `x + W_2 relu(W_1 x + b_1) + b_2`.
pub fn feed_forward(g: &mut Graph<'_>, x: Var, [w1, b1, w2, b2]: [Var; 4]) -> Var {
    let z = linear(g, x, w1, Some(b1));
    let z = relu(g, z);
    let z = linear(g, z, w2, Some(b2));
    add(g, x, z)
}

/// `Mhat' = LN(X + W_2 relu(W_1 X))` with `X = LN(M + Mhat)`.
pub fn transformer(g: &mut Graph<'_>, m: Var, mhat: Var, [g1, b1, g2, b2]: [Var; 4], ff: [Var; 4], eps: f32) -> Var {
    let x = add(g, m, mhat);
    let x = layer_norm(g, x, g1, b1, eps);
    let x = feed_forward(g, x, ff);
    layer_norm(g, x, g2, b2, eps)
}

/// Eq 16: `F = sigmoid(W_f1 h + W_f2 hhat + b_f)`, `h_c = F * h + (1 - F) * hhat`. Returns F and h_c.
pub fn gate(g: &mut Graph<'_>, h: Var, hhat: Var, [w_f1, w_f2, b_f]: [Var; 3]) -> (Var, Var) {
    let z1 = linear(g, h, w_f1, Some(b_f));
    let z2 = linear(g, hhat, w_f2, None);
    let z = add(g, z1, z2);
    let f = sigmoid(g, z);
    let rest = scale(g, f, -1.0, 1.0);
    let (a, b) = (mul(g, f, h), mul(g, rest, hhat));
    (f, add(g, a, b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autograd::check;
    use crate::autograd::tape::Engine;

    #[test]
    fn gradients_of_every_composition() {
        let offsets = [0, 3, 4];
        check::gradients(&[[4, 3], [3, 3], [2, 3]], Engine::Naive, |g, x| {
            let offsets = g.index(offsets);
            let (s, a, m) = item_attention(g, g.param(x[0]), g.param(x[1]), g.param(x[2]), offsets);
            vec![s, a, m]
        });
        check::gradients(&[[4, 3], [3, 3], [3, 3], [1, 3], [3, 3]], Engine::Naive, |g, x| {
            let offsets = g.index(offsets);
            let w = [1, 2, 3, 4].map(|i| g.param(x[i]));
            vec![feature_attention(g, g.param(x[0]), w, offsets).mhat]
        });
        check::gradients(&[[4, 4], [4, 4]], Engine::Naive, |g, x| {
            let (rows, candidates) = (g.index(offsets), g.index([0, 2, 4]));
            let v = pool_vanilla(g, g.param(x[0]), g.param(x[1]), rows, candidates);
            vec![v, pool_mean(g, g.param(x[0]), rows, candidates)]
        });
        let shapes = [
            [4, 4],
            [4, 4],
            [4, 4],
            [1, 4],
            [4, 4],
            [1, 4],
            [4, 4],
            [1, 4],
            [1, 4],
            [1, 4],
            [2, 4],
            [1, 2],
            [4, 2],
            [1, 4],
            [1, 4],
            [1, 4],
        ];
        check::gradients(&shapes, Engine::Naive, |g, x| {
            let v = |i: usize| g.params.var(x[i]);
            let w = AtrankVars {
                q: [v(2), v(3)],
                k: [v(4), v(5)],
                u: [v(6), v(7)],
                ln1: [v(8), v(9)],
                ff: [v(10), v(11), v(12), v(13)],
                ln2: [v(14), v(15)],
                heads: 2,
                eps: 1e-2,
            };
            let (m, c) = (v(0), v(1));
            let (rows, candidates) = (g.index(offsets), g.index([0, 2, 4]));
            vec![pool_atrank(g, m, c, &w, rows, candidates)]
        });
        check::gradients(&[[5, 4], [5, 4], [5, 4]], Engine::Naive, |g, x| {
            let (rows, inputs) = (g.index([0, 3, 3, 5]), [0, 1, 2].map(|i| g.param(x[i])));
            [Mask::Full, Mask::Causal].map(|mask| self_attention(g, inputs, rows, 2, mask)).to_vec()
        });
        check::gradients(&[[2, 3], [2, 3], [3, 3], [3, 3], [1, 3]], Engine::Naive, |g, x| {
            let (f, h) = gate(g, g.param(x[0]), g.param(x[1]), [2, 3, 4].map(|i| g.params.var(x[i])));
            vec![f, h]
        });
    }
}
