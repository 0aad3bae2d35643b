//! A feature attention problem with all of its buffers, and runs of a kernel on it.

use crate::random::Random;
use dmran_kernels::Level;
use dmran_kernels::feature_attention::{
    Backward, BackwardWeights, Forward, Gradients, Saved, SavedMut, Weights, kept_len, scratch_len,
};
use dmran_kernels::gemm::{pack, pack_transposed, packed_len};

pub type ForwardFn = fn(Level, &Weights<'_>, Forward<'_>);
pub type BackwardFn = fn(Level, &Weights<'_>, &BackwardWeights<'_>, Backward<'_>);

/// Parameters and inputs; every slice that a kernel sees starts one float off.
#[derive(Clone)]
pub struct Problem {
    pub d: usize,
    pub offsets: Vec<u32>,
    pub w_s3: Vec<f32>,
    pub w_s4: Vec<f32>,
    pub w_s5: Vec<f32>,
    pub b_s2: Vec<f32>,
    pub m: Vec<f32>,
    pub dmhat: Vec<f32>,
    /// Whether forward keeps its exponentials for backward.
    pub keep: bool,
}

/// Results without the leading float.
pub struct Outcome {
    pub mhat: Vec<f32>,
    pub dm: Vec<f32>,
    pub dw_s3: Vec<f32>,
    pub dw_s4: Vec<f32>,
    pub dw_s5: Vec<f32>,
    pub db_s2: Vec<f32>,
}

impl Outcome {
    pub fn parts(&self) -> [(&'static str, &[f32]); 6] {
        [
            ("mhat", &self.mhat),
            ("dm", &self.dm),
            ("dw_s3", &self.dw_s3),
            ("dw_s4", &self.dw_s4),
            ("dw_s5", &self.dw_s5),
            ("db_s2", &self.db_s2),
        ]
    }
}

impl Problem {
    pub fn new(seed: u64, d: usize, segments: &[u32]) -> Self {
        let mut random = Random::new(seed);
        let scale = (3.0 / d as f32).sqrt();
        let mut offsets = vec![0];
        for r in segments {
            offsets.push(offsets[offsets.len() - 1] + r);
        }
        let rows = offsets[segments.len()] as usize;
        Self {
            d,
            offsets,
            w_s3: random.vec(d * d, scale),
            w_s4: random.vec(d * d, scale),
            w_s5: random.vec(d * d, scale),
            b_s2: random.vec(d, 0.5),
            m: random.vec(rows * d, 1.0),
            dmhat: random.vec(rows * d, 1.0),
            keep: true,
        }
    }

    pub fn rows(&self) -> usize {
        self.offsets[self.offsets.len() - 1] as usize
    }

    /// Only segment `b`.
    #[allow(dead_code)]
    pub fn segment(&self, b: usize) -> Self {
        let range = self.offsets[b] as usize * self.d..self.offsets[b + 1] as usize * self.d;
        Self {
            offsets: vec![0, self.offsets[b + 1] - self.offsets[b]],
            m: self.m[range.clone()].to_vec(),
            dmhat: self.dmhat[range].to_vec(),
            ..self.clone()
        }
    }

    pub fn packed(&self, with: fn(&[f32], usize, usize, &mut [f32]), w: &[f32]) -> Vec<f32> {
        let mut out = vec![f32::NAN; packed_len(self.d, self.d) + 1];
        with(w, self.d, self.d, &mut out[1..]);
        out
    }

    /// Forward, then backward into gradients that start at `start`.
    pub fn run(&self, level: Level, forward: ForwardFn, backward: BackwardFn, start: f32) -> Outcome {
        let (d, rows) = (self.d, self.rows());
        let [w_s3, w_s4, w_s5] = [&self.w_s3, &self.w_s4, &self.w_s5].map(|w| self.packed(pack_transposed, w));
        let [b_s3, b_s4, b_s5] = [&self.w_s3, &self.w_s4, &self.w_s5].map(|w| self.packed(pack, w));
        let weights = Weights { d, w_s3: &w_s3[1..], w_s4: &w_s4[1..], w_s5: &w_s5[1..], b_s2: &self.b_s2 };
        let back = BackwardWeights { w_s3: &b_s3[1..], w_s4: &b_s4[1..], w_s5: &b_s5[1..] };
        let longest = self.offsets.windows(2).map(|w| w[1] - w[0]).max().unwrap_or(0) as usize;
        // Whatever the buffers hold must not matter.
        let fresh = |len: usize, value: f32| vec![value; len + 1];
        let mut scratch = fresh(scratch_len(d, longest), f32::NAN);
        let mut m = fresh(0, 0.0);
        m.extend(&self.m);
        let [mut mhat, mut p, mut q, mut shift, mut inverse_sum] = [(); 5].map(|()| fresh(rows * d, f32::NAN));
        let mut kept = fresh(if self.keep { kept_len(d, &self.offsets) } else { 0 }, f32::NAN);
        let saved = SavedMut {
            p: &mut p[1..],
            q: &mut q[1..],
            shift: &mut shift[1..],
            inverse_sum: &mut inverse_sum[1..],
            kept: &mut kept[1..],
        };
        let args =
            Forward { offsets: &self.offsets, m: &m[1..], mhat: &mut mhat[1..], saved, scratch: &mut scratch[1..] };
        forward(level, &weights, args);
        let mut dm = fresh(rows * d, start);
        let [mut dw_s3, mut dw_s4, mut dw_s5] = [(); 3].map(|()| fresh(d * d, start));
        let mut db_s2 = fresh(d, start);
        let mut scratch = fresh(scratch_len(d, longest), f32::NAN);
        let args = Backward {
            offsets: &self.offsets,
            m: &m[1..],
            mhat: &mhat[1..],
            saved: Saved {
                p: &p[1..],
                q: &q[1..],
                shift: &shift[1..],
                inverse_sum: &inverse_sum[1..],
                kept: &kept[1..],
            },
            dmhat: &self.dmhat,
            gradients: Gradients {
                dm: &mut dm[1..],
                dw_s3: &mut dw_s3[1..],
                dw_s4: &mut dw_s4[1..],
                dw_s5: &mut dw_s5[1..],
                db_s2: &mut db_s2[1..],
            },
            scratch: &mut scratch[1..],
        };
        backward(level, &weights, &back, args);
        let [mhat, dm, dw_s3, dw_s4, dw_s5, db_s2] = [mhat, dm, dw_s3, dw_s4, dw_s5, db_s2].map(|v| v[1..].to_vec());
        Outcome { mhat, dm, dw_s3, dw_s4, dw_s5, db_s2 }
    }
}
