//! The softmax over the catalogue in plain `f64` loops.

use super::plain::dot;
use crate::Level;
use crate::cross_entropy::{Block, Gradients, Rows, Running, Write, stride};
use crate::simd::LANES;

/// See [`crate::cross_entropy::forward`].
pub fn forward(_: Level, block: &Block, running: Running, e: &mut [f32]) {
    let (d, rows, n) = (block.d, block.targets.len(), block.check());
    let step = stride(rows);
    for b in 0..rows {
        let user = unpacked(block.users, d, b);
        let own = block.targets[b] as usize;
        let mut logits = vec![0.0; n];
        for (i, logit) in logits.iter_mut().enumerate() {
            *logit = dot(&block.items[i * d..][..d], &user) + block.bias.get(i).map_or(0.0, |&b| f64::from(b));
            if block.first + i == own {
                running.target[b] = *logit as f32;
            } else if block.excluded.row(b).contains(&((block.first + i) as u32)) {
                *logit = f64::NEG_INFINITY;
            }
        }
        let before = f64::from(running.max[b]);
        let max = logits.iter().fold(before, |max, &x| if max > x { max } else { x });
        let base = if max == f64::NEG_INFINITY { 0.0 } else { max };
        let old = (before - base).exp();
        running.max[b] = max as f32;
        let powers: Vec<f64> = logits.iter().map(|x| (x - base).exp()).collect();
        running.sum[b] = running.sum[b] * old + powers.iter().sum::<f64>();
        for (i, &p) in powers.iter().enumerate() {
            e[i * step + b] = p as f32;
        }
        if !running.d_users.is_empty() {
            for (t, g) in running.d_users[b * d..][..d].iter_mut().enumerate() {
                let sum: f64 = powers.iter().enumerate().map(|(i, p)| p * f64::from(block.items[i * d + t])).sum();
                *g = (f64::from(*g) * old + sum) as f32;
            }
        }
    }
}

/// See [`crate::cross_entropy::combine`].
pub fn combine(_: Level, max: &[f32], sum: &[f64], top: &mut [f32], total: &mut [f64]) {
    let rows = top.len();
    for b in 0..rows {
        let of_row = || max.iter().zip(sum).skip(b).step_by(rows);
        top[b] = of_row().fold(f32::NEG_INFINITY, |top, (&x, _)| top.max(x));
        let base = if top[b] == f32::NEG_INFINITY { 0.0 } else { f64::from(top[b]) };
        total[b] = of_row().map(|(&x, sum)| sum * (f64::from(x) - base).exp()).sum();
    }
}

/// See [`crate::cross_entropy::scales`].
pub fn scales(_: Level, max: &[f32], top: &[f32], factor: &[f32], out: &mut [f32]) {
    for (b, out) in out.iter_mut().enumerate() {
        *out = if max[b] == f32::NEG_INFINITY {
            0.0
        } else {
            (f64::from(factor[b]) * (f64::from(max[b]) - f64::from(top[b])).exp()) as f32
        };
    }
}

/// See [`crate::cross_entropy::backward`].
pub fn backward(_: Level, rows: &Rows, first: usize, e: &[f32], out: Gradients) {
    let (d, count) = (rows.d, rows.targets.len());
    let n = out.items.len() / d;
    let add = out.write == Write::Add;
    for i in 0..n {
        let hit = |b: usize| if rows.targets[b] as usize == first + i { f64::from(rows.weights[b]) } else { 0.0 };
        let g: Vec<f64> =
            (0..count).map(|b| f64::from(e[i * stride(count) + b]) * f64::from(rows.scale[b]) - hit(b)).collect();
        let old = |x: f32| if add { f64::from(x) } else { 0.0 };
        for (t, to) in out.items[i * d..][..d].iter_mut().enumerate() {
            let sum: f64 = g.iter().enumerate().map(|(b, g)| g * f64::from(rows.users[b * d + t])).sum();
            *to = (old(*to) + sum) as f32;
        }
        if let Some(to) = out.bias.get_mut(i) {
            *to = (old(*to) + g.iter().sum::<f64>()) as f32;
        }
    }
}

/// Row `b` of `[_, d]` that [`crate::gemm::pack_transposed`] packed.
fn unpacked(packed: &[f32], d: usize, b: usize) -> Vec<f32> {
    (0..d).map(|t| packed[(b / LANES * d + t) * LANES + b % LANES]).collect()
}
