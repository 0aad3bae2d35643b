//! Feature level self-attention (eq 9, 10, 12) as loops over pairs in `f64`.

use crate::feature_attention::{Backward, BackwardWeights, Forward, Weights};
use crate::level::Level;
use crate::simd::LANES;

/// The intermediates of one segment of r rows.
#[derive(Clone, Debug)]
pub struct Intermediates {
    /// `p_i = W_s4 m_i + b_s2`, `[r, d]`.
    pub p: Vec<f64>,
    /// `q_j = W_s3 m_j`, `[r, d]`.
    pub q: Vec<f64>,
    /// `tanh(p_i + q_j)`, `[r, r, d]`.
    pub t: Vec<f64>,
    /// `f_ij` without `b_s1` (eq 9), `[r, r, d]`.
    pub f: Vec<f64>,
    /// `beta_ij` (eq 10), `[r, r, d]`; the second index is the one that the softmax runs over.
    pub beta: Vec<f64>,
    /// `mhat_i` (eq 12), `[r, d]`.
    pub mhat: Vec<f64>,
}

/// `W[out, in]` of a weight packed by [`crate::gemm::pack_transposed`].
fn at(packed: &[f32], d: usize, out: usize, input: usize) -> f64 {
    f64::from(packed[(out / LANES * d + input) * LANES + out % LANES])
}

fn times(packed: &[f32], d: usize, x: &[f64]) -> Vec<f64> {
    (0..d).map(|out| (0..d).map(|k| at(packed, d, out, k) * x[k]).sum()).collect()
}

/// Everything between `m [r, d]` and `mhat`, for one segment.
///
/// # Panics
/// If a slice is too short.
pub fn intermediates(weights: &Weights<'_>, m: &[f32]) -> Intermediates {
    let d = weights.d;
    let m: Vec<f64> = m.iter().copied().map(f64::from).collect();
    let r = m.len() / d;
    let (mut p, mut q) = (vec![], vec![]);
    for row in m.chunks_exact(d) {
        p.extend(times(weights.w_s4, d, row).iter().zip(weights.b_s2).map(|(p, &b)| p + f64::from(b)));
        q.extend(times(weights.w_s3, d, row));
    }
    let (mut t, mut f, mut beta, mut mhat) = (vec![], vec![], vec![0.0; r * r * d], vec![0.0; r * d]);
    for p in p.chunks_exact(d) {
        for q in q.chunks_exact(d) {
            let pair: Vec<f64> = p.iter().zip(q).map(|(p, q)| (p + q).tanh()).collect();
            f.extend(times(weights.w_s5, d, &pair));
            t.extend(pair);
        }
    }
    for i in 0..r {
        for l in 0..d {
            let of = |j: usize| (i * r + j) * d + l;
            let high = (0..r).map(|j| f[of(j)]).fold(f64::NEG_INFINITY, f64::max);
            let sum: f64 = (0..r).map(|j| (f[of(j)] - high).exp()).sum();
            for j in 0..r {
                beta[of(j)] = (f[of(j)] - high).exp() / sum;
                mhat[i * d + l] += beta[of(j)] * m[j * d + l];
            }
        }
    }
    Intermediates { p, q, t, f, beta, mhat }
}

/// As [`crate::feature_attention::forward`]; only `mhat`, `p` and `q` are written.
///
/// # Panics
/// If a slice is too short.
pub fn forward(_: Level, weights: &Weights<'_>, args: Forward<'_>) {
    let d = weights.d;
    for ends in args.offsets.windows(2) {
        let range = ends[0] as usize * d..ends[1] as usize * d;
        let x = intermediates(weights, &args.m[range.clone()]);
        for (out, values) in [(&mut *args.mhat, x.mhat), (&mut *args.saved.p, x.p), (&mut *args.saved.q, x.q)] {
            for (out, value) in out[range.clone()].iter_mut().zip(values) {
                *out = value as f32;
            }
        }
    }
}

/// As [`crate::feature_attention::backward`]; needs nothing that forward saved.
///
/// # Panics
/// If a slice is too short.
pub fn backward(_: Level, weights: &Weights<'_>, _: &BackwardWeights<'_>, args: Backward<'_>) {
    let d = weights.d;
    let out = args.gradients;
    let [mut dw3, mut dw4, mut dw5] = [(); 3].map(|()| vec![0.0f64; d * d]);
    let mut db = vec![0.0f64; d];
    for ends in args.offsets.windows(2) {
        let range = ends[0] as usize * d..ends[1] as usize * d;
        let r = range.len() / d;
        let m: Vec<f64> = args.m[range.clone()].iter().copied().map(f64::from).collect();
        let dmhat: Vec<f64> = args.dmhat[range.clone()].iter().copied().map(f64::from).collect();
        let x = intermediates(weights, &args.m[range.clone()]);
        let [mut dm, mut dp, mut dq] = [(); 3].map(|()| vec![0.0f64; r * d]);
        for i in 0..r {
            for j in 0..r {
                let pair = (i * r + j) * d;
                // Softmax: df = beta * (dbeta - sum_j beta * dbeta), and that sum is dmhat_i * mhat_i.
                let df: Vec<f64> =
                    (0..d).map(|l| x.beta[pair + l] * dmhat[i * d + l] * (m[j * d + l] - x.mhat[i * d + l])).collect();
                for l in 0..d {
                    dm[j * d + l] += x.beta[pair + l] * dmhat[i * d + l];
                    let dt: f64 = (0..d).map(|o| df[o] * at(weights.w_s5, d, o, l)).sum();
                    let dz = dt * (1.0 - x.t[pair + l] * x.t[pair + l]);
                    dp[i * d + l] += dz;
                    dq[j * d + l] += dz;
                    for o in 0..d {
                        dw5[o * d + l] += df[o] * x.t[pair + l];
                    }
                }
            }
        }
        for i in 0..r {
            for o in 0..d {
                db[o] += dp[i * d + o];
                for k in 0..d {
                    dw4[o * d + k] += dp[i * d + o] * m[i * d + k];
                    dw3[o * d + k] += dq[i * d + o] * m[i * d + k];
                    dm[i * d + k] += dp[i * d + o] * at(weights.w_s4, d, o, k);
                    dm[i * d + k] += dq[i * d + o] * at(weights.w_s3, d, o, k);
                }
            }
        }
        add(&mut out.dm[range], &dm);
    }
    add(out.dw_s3, &dw3);
    add(out.dw_s4, &dw4);
    add(out.dw_s5, &dw5);
    add(out.db_s2, &db);
}

fn add(out: &mut [f32], values: &[f64]) {
    for (out, value) in out.iter_mut().zip(values) {
        *out = (f64::from(*out) + value) as f32;
    }
}
