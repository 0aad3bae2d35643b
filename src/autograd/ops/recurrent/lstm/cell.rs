//! One event of one history through the cell.

use dmran_kernels::math;
use dmran_kernels::simd::{Kernel, LANES, Simd, load_at, store_at};

/// One row of the forward pass.
pub(super) struct Row<'a> {
    /// `[4d]`: the gates before their activation, which becomes them.
    pub z: &'a mut [f32],
    /// `c_{t-1}`; `None` at the first step.
    pub c_before: Option<&'a [f32]>,
    pub c: &'a mut [f32],
    pub tanh_c: &'a mut [f32],
    pub h: &'a mut [f32],
    /// Added to the forget gate.
    pub forget: f32,
}

impl Kernel for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let d = self.c.len();
        let (i, rest) = self.z.split_at_mut(d);
        let (j, rest) = rest.split_at_mut(d);
        let (f, o) = rest.split_at_mut(d);
        let mut at = 0;
        while at < d {
            let input = math::sigmoid(s, load_at(s, i, at));
            let new = math::tanh(s, load_at(s, j, at));
            let forget = math::sigmoid(s, s.add(load_at(s, f, at), s.splat(self.forget)));
            let output = math::sigmoid(s, load_at(s, o, at));
            let mut c = s.mul(input, new);
            if let Some(before) = self.c_before {
                c = s.mul_add(forget, load_at(s, before, at), c);
            }
            let tanh_c = math::tanh(s, c);
            store_at(s, input, i, at);
            store_at(s, new, j, at);
            store_at(s, forget, f, at);
            store_at(s, output, o, at);
            store_at(s, c, self.c, at);
            store_at(s, tanh_c, self.tanh_c, at);
            store_at(s, s.mul(output, tanh_c), self.h, at);
            at += LANES;
        }
    }
}

impl Row<'_> {
    /// The same in plain loops.
    pub(super) fn run_naive(self) {
        let d = self.c.len();
        let sigmoid = |x: f32| 1.0 / (1.0 + (-x).exp());
        for k in 0..d {
            let [i, j, f, o] = [0, 1, 2, 3].map(|gate| self.z[gate * d + k]);
            let gates = [sigmoid(i), j.tanh(), sigmoid(f + self.forget), sigmoid(o)];
            for (gate, value) in gates.into_iter().enumerate() {
                self.z[gate * d + k] = value;
            }
            let [i, j, f, o] = gates;
            self.c[k] = self.c_before.map_or(0.0, |c| f * c[k]) + i * j;
            self.tanh_c[k] = self.c[k].tanh();
            self.h[k] = o * self.tanh_c[k];
        }
    }
}

/// One row of the backward pass: `dc` comes from the step after and leaves for the step before; `dz` is written.
pub(super) fn backward(
    gates: &[f32],
    c_before: Option<&[f32]>,
    tanh_c: &[f32],
    dh: &[f32],
    dc: &mut [f32],
    dz: &mut [f32],
) {
    let d = dc.len();
    let (i, rest) = gates.split_at(d);
    let (j, rest) = rest.split_at(d);
    let (f, o) = rest.split_at(d);
    let (dz_i, rest) = dz.split_at_mut(d);
    let (dz_j, rest) = rest.split_at_mut(d);
    let (dz_f, dz_o) = rest.split_at_mut(d);
    let (tanh_c, dh, o, dz_o) = (&tanh_c[..d], &dh[..d], &o[..d], &mut dz_o[..d]);
    for k in 0..d {
        dz_o[k] = dh[k] * tanh_c[k] * o[k] * (1.0 - o[k]);
        dc[k] += dh[k] * o[k] * (1.0 - tanh_c[k] * tanh_c[k]);
        dz_i[k] = dc[k] * j[k] * i[k] * (1.0 - i[k]);
        dz_j[k] = dc[k] * i[k] * (1.0 - j[k] * j[k]);
    }
    match c_before {
        Some(c) => {
            let c = &c[..d];
            (0..d).for_each(|k| dz_f[k] = dc[k] * c[k] * f[k] * (1.0 - f[k]));
        }
        None => dz_f.fill(0.0),
    }
    dc.iter_mut().zip(f).for_each(|(dc, f)| *dc *= f);
}
