//! The loops of the optimisers.

use super::{Adagrad, Adam, Sgd};
use crate::simd::{LANES, Simd};
use crate::small::{load, store};

/// One optimiser with its weights and state.
pub(super) trait Step {
    /// Updates the weights from index `from` on, one for each element of `g`.
    fn run<S: Simd>(&mut self, s: S, from: usize, g: &[f32]);
}

pub(super) struct SgdStep<'a> {
    pub p: &'a Sgd,
    pub w: &'a mut [f32],
}

impl Step for SgdStep<'_> {
    #[inline(always)]
    fn run<S: Simd>(&mut self, s: S, from: usize, g: &[f32]) {
        let (lr, scale) = (s.splat(self.p.lr), s.splat(self.p.scale));
        let w = &mut self.w[from..from + g.len()];
        for (g, w) in g.chunks(LANES).zip(w.chunks_mut(LANES)) {
            let v = s.neg_mul_add(lr, s.mul(scale, load(s, g)), load(s, w));
            store(s, v, w);
        }
    }
}

pub(super) struct AdagradStep<'a> {
    pub p: &'a Adagrad,
    pub w: &'a mut [f32],
    pub squares: &'a mut [f32],
}

impl Step for AdagradStep<'_> {
    #[inline(always)]
    fn run<S: Simd>(&mut self, s: S, from: usize, g: &[f32]) {
        let (lr, eps, scale) = (s.splat(self.p.lr), s.splat(self.p.eps), s.splat(self.p.scale));
        let at = from..from + g.len();
        let state = self.w[at.clone()].chunks_mut(LANES).zip(self.squares[at].chunks_mut(LANES));
        for (g, (w, squares)) in g.chunks(LANES).zip(state) {
            let g = s.mul(scale, load(s, g));
            let sum = s.mul_add(g, g, load(s, squares));
            store(s, sum, squares);
            let step = s.div(s.mul(lr, g), s.add(s.sqrt(sum), eps));
            let v = s.sub(load(s, w), step);
            store(s, v, w);
        }
    }
}

/// What Adam multiplies with, rounded once from `f64`.
pub(super) struct AdamFactors {
    rest1: f32,
    rest2: f32,
    /// `1 / (1 - beta1^step)`
    correct1: f32,
    /// `1 / (1 - beta2^step)`
    correct2: f32,
}

impl AdamFactors {
    pub fn new(p: &Adam) -> Self {
        let (beta1, beta2) = (f64::from(p.beta1), f64::from(p.beta2));
        Self {
            rest1: (1.0 - beta1) as f32,
            rest2: (1.0 - beta2) as f32,
            correct1: (1.0 / (1.0 - beta1.powi(p.step))) as f32,
            correct2: (1.0 / (1.0 - beta2.powi(p.step))) as f32,
        }
    }
}

pub(super) struct AdamStep<'a> {
    pub p: &'a Adam,
    pub factors: AdamFactors,
    pub w: &'a mut [f32],
    pub m: &'a mut [f32],
    pub v: &'a mut [f32],
}

impl Step for AdamStep<'_> {
    #[inline(always)]
    fn run<S: Simd>(&mut self, s: S, from: usize, g: &[f32]) {
        let (p, f) = (self.p, &self.factors);
        let (beta1, beta2) = (s.splat(p.beta1), s.splat(p.beta2));
        let (rest1, rest2) = (s.splat(f.rest1), s.splat(f.rest2));
        let (correct1, correct2) = (s.splat(f.correct1), s.splat(f.correct2));
        let (lr, eps, scale) = (s.splat(p.lr), s.splat(p.eps), s.splat(p.scale));
        let at = from..from + g.len();
        let moments = self.m[at.clone()].chunks_mut(LANES).zip(self.v[at.clone()].chunks_mut(LANES));
        for ((g, w), (m, v)) in g.chunks(LANES).zip(self.w[at].chunks_mut(LANES)).zip(moments) {
            let g = s.mul(scale, load(s, g));
            let first = s.mul_add(beta1, load(s, m), s.mul(rest1, g));
            store(s, first, m);
            let second = s.mul_add(beta2, load(s, v), s.mul(rest2, s.mul(g, g)));
            store(s, second, v);
            let root = s.add(s.sqrt(s.mul(second, correct2)), eps);
            let step = s.div(s.mul(lr, s.mul(first, correct1)), root);
            let weight = s.sub(load(s, w), step);
            store(s, weight, w);
        }
    }
}
