//! Scores of many candidates of one user, from the naive twins of the heads and the gate.

use super::{gate, pooling};
use crate::Level;
use crate::pooling::{Mask, Pool};
use crate::score::{Candidates, Second, StoredRows, Vanilla};

/// See [`crate::score::vanilla`].
pub fn vanilla(level: Level, user: &Vanilla, c: Candidates, bias: &[f32], score: &mut [f32], _scratch: &mut [f32]) {
    let d = user.d;
    let c = c.rows(d);
    for (i, (bias, score)) in bias.chunks_exact(1).zip(score.chunks_exact_mut(1)).enumerate() {
        let c = c.row(i);
        let (w, h) = head(level, d, user.m, c);
        let mut hc = h.clone();
        if let Some(f) = &user.feature {
            let (what, hhat) = head(level, d, f.mhat, c);
            let mut z = f.gate_bias.to_vec();
            pool(level, d, &w, f.gate_m, &mut z);
            pool(level, d, &what, f.gate_mhat, &mut z);
            gate::forward(level, &z, &h, &hhat, &mut vec![0.0; d], &mut hc);
        }
        gate::dot_rows(level, d, &hc, c, bias, score);
    }
}

/// See [`crate::score::fixed`].
pub fn fixed(level: Level, hc: &[f32], c: Candidates, bias: &[f32], score: &mut [f32]) {
    let c = c.rows(hc.len());
    for (i, (bias, score)) in bias.chunks_exact(1).zip(score.chunks_exact_mut(1)).enumerate() {
        gate::dot_rows(level, hc.len(), hc, c.row(i), bias, score);
    }
}

/// See [`crate::score::fixed_stored`].
pub fn fixed_stored(level: Level, hc: &[f32], c: StoredRows, second: Option<Second>, bias: &[f32], score: &mut [f32]) {
    let (n, width) = (bias.len(), hc.len() - second.map_or(0, |second| second.width));
    let own: Vec<f32> = match c {
        StoredRows::F32(rows) => rows.to_vec(),
        StoredRows::Bf16(rows) => rows.iter().map(|&half| f32::from_bits(u32::from(half) << 16)).collect(),
        StoredRows::Int8 { codes, scales } => {
            codes.iter().enumerate().map(|(at, &code)| scales[at / width] * f32::from(code)).collect()
        }
    };
    let mut whole = Vec::new();
    for i in 0..n {
        whole.extend_from_slice(&own[i * width..(i + 1) * width]);
        if let Some(Second { table, width, of }) = second {
            whole.extend_from_slice(&table[of[i] as usize * width..][..width]);
        }
    }
    fixed(level, hc, whole[..].into(), bias, score);
}

/// One candidate's weights over the rows of `x`, and their weighted sum.
fn head(level: Level, d: usize, x: &[f32], c: &[f32]) -> (Vec<f32>, Vec<f32>) {
    let rows = x.len() / d;
    let (mut w, mut h) = (vec![0.0; rows], vec![0.0; d]);
    let p = Pool { d, heads: 1, candidates: 1, offsets: &[0, rows as u32], mask: Mask::Full };
    pooling::weights(level, &p, c, x, &mut w, &mut []);
    pool(level, d, &w, x, &mut h);
    (w, h)
}

fn pool(level: Level, d: usize, w: &[f32], y: &[f32], out: &mut [f32]) {
    let p = Pool { d, heads: 1, candidates: 1, offsets: &[0, w.len() as u32], mask: Mask::Full };
    pooling::pool_rows(level, &p, w, y, true, out);
}
