//! Item level attention (equations 7, 8), the penalty (21) and the linear time layer (1) in plain loops.

use super::plain::{add_product, add_product_tn, add_scaled, dot, product_nt, softmax, softmax_backward};
use crate::Level;
use crate::item_attention::{Gradients, ItemAttention, LinearTime, Output, Saved};
use crate::segment::ranges;

/// See [`crate::item_attention::forward`]. H is formed here, as the paper writes it.
pub fn forward(_level: Level, p: &ItemAttention, out: &mut Output, _scratch: &mut [f32]) {
    let (d, r) = (p.d, p.r);
    product_nt(p.x, p.w_c.rows, d, out.g);
    for (g, &k) in out.g.chunks_exact_mut(d).zip(p.bucket) {
        for (g, &t) in g.iter_mut().zip(&p.t2[k as usize * d..]) {
            *g = relu(*g + t);
        }
    }
    product_nt(out.g, p.w_s2.rows, d, out.a);
    for seg in ranges(p.offsets) {
        for h in 0..r {
            let mut hop: Vec<f32> = seg.clone().map(|e| out.a[e * r + h]).collect();
            softmax(&mut hop);
            for (e, w) in seg.clone().zip(hop) {
                out.a[e * r + h] = w;
            }
        }
    }
    let hidden = hidden(p);
    for (b, seg) in ranges(p.offsets).enumerate() {
        for h in 0..r {
            let row = (b * r + h) * d;
            for j in 0..d {
                let sum = |v: &[f32]| -> f64 {
                    seg.clone().map(|e| f64::from(out.a[e * r + h]) * f64::from(v[e * d + j])).sum()
                };
                out.ax[row + j] = sum(p.x) as f32;
                out.m[row + j] = sum(&hidden) as f32;
            }
        }
    }
}

/// See [`crate::item_attention::g_of_items`].
pub fn g_of_items(_level: Level, d: usize, wx: &[f32], item: &[u32], t2: &[f32], bucket: &[u32], g: &mut [f32]) {
    for ((g, &i), &k) in g.chunks_exact_mut(d).zip(item).zip(bucket) {
        for ((g, wx), t2) in g.iter_mut().zip(&wx[i as usize * d..]).zip(&t2[k as usize * d..]) {
            *g = relu(wx + t2);
        }
    }
}

/// See [`crate::item_attention::backward`]. The chain rule through H.
pub fn backward(
    _level: Level,
    p: &ItemAttention,
    saved: &Saved,
    dm: &[f32],
    da: &[f32],
    out: &mut Gradients,
    _scratch: &mut [f32],
) {
    let (d, r) = (p.d, p.r);
    let hidden = hidden(p);
    let mut ds = da.to_vec();
    let mut dh = vec![0.0; p.x.len()];
    for (b, seg) in ranges(p.offsets).enumerate() {
        for h in 0..r {
            let dm = &dm[(b * r + h) * d..][..d];
            for e in seg.clone() {
                ds[e * r + h] += dot(dm, &hidden[e * d..][..d]) as f32;
                add_scaled(&mut dh[e * d..][..d], saved.a[e * r + h], dm);
            }
            let w: Vec<f32> = seg.clone().map(|e| saved.a[e * r + h]).collect();
            let mut dw: Vec<f32> = seg.clone().map(|e| ds[e * r + h]).collect();
            softmax_backward(&w, &mut dw);
            for (e, v) in seg.clone().zip(dw) {
                ds[e * r + h] = v;
            }
        }
    }
    linear_time_backward(Level::Portable, &p.linear_time(), &dh, out.dx, out.dw_v, out.dt1);
    add_product_tn(&ds, saved.g, r, d, out.dw_s2);
    let mut dg = vec![0.0; p.x.len()];
    add_product(&ds, p.w_s2.rows, r, d, &mut dg);
    for (dg, &g) in dg.iter_mut().zip(saved.g) {
        if g <= 0.0 {
            *dg = 0.0;
        }
    }
    for (dg, &k) in dg.chunks_exact(d).zip(p.bucket) {
        add_scaled(&mut out.dt2[k as usize * d..][..d], 1.0, dg);
    }
    add_product_tn(&dg, p.x, d, d, out.dw_c);
    add_product(&dg, p.w_c.rows, d, d, out.dx);
}

/// See [`crate::item_attention::linear_time`].
pub fn linear_time(_level: Level, p: &LinearTime, h: &mut [f32]) {
    product_nt(p.x, p.w_v.rows, p.d, h);
    for (h, &k) in h.chunks_exact_mut(p.d).zip(p.bucket) {
        add_scaled(h, 1.0, &p.t1[k as usize * p.d..][..p.d]);
    }
}

/// See [`crate::item_attention::linear_time_backward`].
pub fn linear_time_backward(
    _level: Level,
    p: &LinearTime,
    dh: &[f32],
    dx: &mut [f32],
    dw_v: &mut [f32],
    dt1: &mut [f32],
) {
    let d = p.d;
    add_product(dh, p.w_v.rows, d, d, dx);
    add_product_tn(dh, p.x, d, d, dw_v);
    for (dh, &k) in dh.chunks_exact(d).zip(p.bucket) {
        add_scaled(&mut dt1[k as usize * d..][..d], 1.0, dh);
    }
}

/// See [`crate::item_attention::penalty`].
pub fn penalty(_level: Level, r: usize, offsets: &[u32], a: &[f32], _scratch: &mut [f32]) -> f64 {
    ranges(offsets)
        .map(|seg| {
            let rest = gram_minus_identity(r, &a[seg.start * r..seg.end * r]);
            rest.iter().map(|&v| f64::from(v) * f64::from(v)).sum::<f64>()
        })
        .sum()
}

/// See [`crate::item_attention::penalty_backward`].
pub fn penalty_backward(
    _level: Level,
    r: usize,
    offsets: &[u32],
    a: &[f32],
    coef: f32,
    da: &mut [f32],
    _scratch: &mut [f32],
) {
    for seg in ranges(offsets) {
        let a = &a[seg.start * r..seg.end * r];
        let rest = gram_minus_identity(r, a);
        for (a, da) in a.chunks_exact(r).zip(da[seg.start * r..seg.end * r].chunks_exact_mut(r)) {
            for (h, da) in da.iter_mut().enumerate() {
                *da += 4.0 * coef * dot(&rest[h * r..][..r], a) as f32;
            }
        }
    }
}

/// `A A^T - I` of one sample, `[r, r]`, from event-major `a`.
fn gram_minus_identity(r: usize, a: &[f32]) -> Vec<f32> {
    let mut gram = vec![0.0; r * r];
    add_product_tn(a, a, r, r, &mut gram);
    for h in 0..r {
        gram[h * r + h] -= 1.0;
    }
    gram
}

fn hidden(p: &ItemAttention) -> Vec<f32> {
    let mut h = vec![0.0; p.x.len()];
    linear_time(Level::Portable, &p.linear_time(), &mut h);
    h
}

/// NaN stays NaN, which `f32::max` would drop.
fn relu(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}
