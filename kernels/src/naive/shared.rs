//! Users who share their candidates, in plain `f64` loops.

use super::score;
use crate::Level;
use crate::segment::ranges;
use crate::shared::{Gradients, Users};

/// See [`crate::shared::forward`].
pub fn forward(level: Level, users: &Users, c: &[f32], bias: &[f32], out: &mut [f32], scratch: &mut [f32]) {
    for (b, rows) in ranges(users.offsets).enumerate() {
        score::vanilla(level, &users.one(rows), c.into(), bias, &mut out[b * bias.len()..][..bias.len()], scratch);
    }
}

/// See [`crate::shared::backward`]. One user and one candidate after the other, by the chain rule.
pub fn backward(_: Level, users: &Users, c: &[f32], dscore: &[f32], mut out: Gradients, _: &mut [f32]) {
    let d = users.d;
    let n = c.len() / d;
    for (b, rows) in ranges(users.offsets).enumerate() {
        let (at, user) = (rows.start * d..rows.end * d, users.one(rows.clone()));
        for (i, c) in c.chunks_exact(d).enumerate() {
            let g = f64::from(dscore[b * n + i]);
            let c = wide(c);
            let (m, w) = read(d, user.m, &c);
            let h = pool(d, &w, &m);
            let (mut dh, mut h_c): (Vec<f64>, _) = (c.iter().map(|c| g * c).collect(), h.clone());
            let (mut dw, mut dc) = (vec![0.0; w.len()], vec![0.0; d]);
            if let (Some(f), Some(df)) = (&user.feature, &mut out.feature) {
                let (mhat, what) = read(d, f.mhat, &c);
                let hhat = pool(d, &what, &mhat);
                let (gate_m, gate_mhat) = (wide(f.gate_m), wide(f.gate_mhat));
                let z = pool(d, &w, &gate_m).into_iter().zip(pool(d, &what, &gate_mhat));
                let z = z.zip(f.gate_bias).map(|((a, b), &bias)| a + b + f64::from(bias));
                let gate: Vec<f64> = z.map(|z| 1.0 / (1.0 + (-z).exp())).collect();
                let (mut dhhat, mut dz, mut dwhat) = (vec![0.0; d], vec![0.0; d], vec![0.0; what.len()]);
                for t in 0..d {
                    h_c[t] = gate[t] * h[t] + (1.0 - gate[t]) * hhat[t];
                    dz[t] = gate[t] * (1.0 - gate[t]) * (h[t] - hhat[t]) * dh[t];
                    dhhat[t] = (1.0 - gate[t]) * dh[t];
                    dh[t] *= gate[t];
                    df.gate_bias[t] += dz[t] as f32;
                }
                pool_backward(&w, &gate_m, &dz, &mut dw, &mut df.gate_m[at.clone()]);
                pool_backward(&what, &gate_mhat, &dz, &mut dwhat, &mut df.gate_mhat[at.clone()]);
                pool_backward(&what, &mhat, &dhhat, &mut dwhat, &mut df.mhat[at.clone()]);
                read_backward(&what, &dwhat, &mhat, &c, &mut dc, &mut df.mhat[at.clone()]);
            }
            pool_backward(&w, &m, &dh, &mut dw, &mut out.m[at.clone()]);
            read_backward(&w, &dw, &m, &c, &mut dc, &mut out.m[at.clone()]);
            for (t, to) in out.c[i * d..][..d].iter_mut().enumerate() {
                *to += (dc[t] + g * h_c[t]) as f32;
            }
        }
    }
}

fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x)).collect()
}

/// Rows, and a candidate's weights over them.
fn read(d: usize, rows: &[f32], c: &[f64]) -> (Vec<f64>, Vec<f64>) {
    let rows = wide(rows);
    let dot = |row: &[f64]| row.iter().zip(c).map(|(a, b)| a * b).sum::<f64>() / (d as f64).sqrt();
    let scores: Vec<f64> = rows.chunks_exact(d).map(dot).collect();
    let max = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let e: Vec<f64> = scores.iter().map(|x| (x - max).exp()).collect();
    let sum: f64 = e.iter().sum();
    (rows, e.into_iter().map(|e| e / sum).collect())
}

/// `sum_j w_j rows_j`
fn pool(d: usize, w: &[f64], rows: &[f64]) -> Vec<f64> {
    (0..d).map(|t| w.iter().zip(rows.chunks_exact(d)).map(|(w, row)| w * row[t]).sum()).collect()
}

fn pool_backward(w: &[f64], rows: &[f64], dout: &[f64], dw: &mut [f64], drows: &mut [f32]) {
    let d = dout.len();
    for (j, (row, drow)) in rows.chunks_exact(d).zip(drows.chunks_exact_mut(d)).enumerate() {
        for t in 0..d {
            dw[j] += row[t] * dout[t];
            drow[t] += (w[j] * dout[t]) as f32;
        }
    }
}

fn read_backward(w: &[f64], dw: &[f64], rows: &[f64], c: &[f64], dc: &mut [f64], drows: &mut [f32]) {
    let d = c.len();
    let mean: f64 = w.iter().zip(dw).map(|(w, dw)| w * dw).sum();
    for (j, (row, drow)) in rows.chunks_exact(d).zip(drows.chunks_exact_mut(d)).enumerate() {
        let ds = w[j] * (dw[j] - mean) / (d as f64).sqrt();
        for t in 0..d {
            dc[t] += ds * row[t];
            drow[t] += (ds * c[t]) as f32;
        }
    }
}
