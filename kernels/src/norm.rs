//! Layer norm over rows, with the residual sum before it.

use crate::level::Level;
use crate::segment;
use crate::simd::{Kernel, LANES, Simd};
use crate::small::{dot, load, store};

/// Parameters of a layer norm of width `d = gain.len()`.
#[derive(Clone, Copy, Debug)]
pub struct LayerNorm<'a> {
    /// `[d]`
    pub gain: &'a [f32],
    /// `[d]`
    pub bias: &'a [f32],
    /// Added to the variance.
    pub eps: f32,
}

/// Gradients, all added to.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// `[rows, d]`
    pub dx: &'a mut [f32],
    /// `[rows, d]`: the residual's gradient, the same as dx's; `None` if there was no residual or its gradient shares dx.
    pub dresidual: Option<&'a mut [f32]>,
    /// `[d]`
    pub dgain: &'a mut [f32],
    /// `[d]`
    pub dbias: &'a mut [f32],
}

impl LayerNorm<'_> {
    fn check(&self, xhat: &[f32], rstd: &[f32], out: &[f32]) {
        assert_eq!(self.gain.len(), self.bias.len(), "gain and bias of a layer norm differ in length");
        assert_eq!(segment::rows(xhat.len(), self.gain.len()), rstd.len(), "rstd has the wrong length");
        assert_eq!(xhat.len(), out.len(), "xhat and the output of a layer norm differ in length");
    }
}

/// `out = gain * xhat + bias` with `xhat = (v - mean(v)) / sqrt(var(v) + eps)`, `v = x + residual`, row by row.
///
/// `x`, `residual`, `xhat` and `out` are `[rows, d]`; `xhat` and `rstd` `[rows]` (`1 / sqrt(var + eps)`) are saved for
/// [`backward`]. The variance is the mean square, not the sample's.
///
/// # Panics
/// If the lengths do not fit each other.
pub fn forward(
    level: Level,
    p: &LayerNorm,
    x: &[f32],
    residual: Option<&[f32]>,
    xhat: &mut [f32],
    rstd: &mut [f32],
    out: &mut [f32],
) {
    p.check(xhat, rstd, out);
    assert_eq!(x.len(), out.len(), "input and output of a layer norm differ in length");
    assert!(residual.is_none_or(|r| r.len() == x.len()), "input and residual of a layer norm differ in length");
    level.dispatch(Forward { p, x, residual, xhat, rstd, out });
}

/// The gradients of [`forward`], given what it saved and the gradient of its output.
///
/// # Panics
/// If the lengths do not fit each other.
pub fn backward(level: Level, p: &LayerNorm, xhat: &[f32], rstd: &[f32], dout: &[f32], grads: &mut Gradients) {
    p.check(xhat, rstd, dout);
    let d = p.gain.len();
    assert_eq!(grads.dx.len(), dout.len(), "dx has the wrong length");
    assert!(
        grads.dresidual.as_ref().is_none_or(|r| r.len() == dout.len()),
        "the residual's gradient has the wrong length"
    );
    assert_eq!((grads.dgain.len(), grads.dbias.len()), (d, d), "dgain or dbias has the wrong length");
    level.dispatch(Backward { p, xhat, rstd, dout, grads });
}

struct Forward<'a> {
    p: &'a LayerNorm<'a>,
    x: &'a [f32],
    residual: Option<&'a [f32]>,
    xhat: &'a mut [f32],
    rstd: &'a mut [f32],
    out: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { p, x, residual, xhat, rstd, out } = self;
        let d = p.gain.len();
        for (i, rstd) in rstd.iter_mut().enumerate() {
            let row = i * d..(i + 1) * d;
            let xhat = &mut xhat[row.clone()];
            let mut sum = s.zero();
            for (at, v) in xhat.chunks_mut(LANES).enumerate() {
                let at = row.start + at * LANES..row.start + at * LANES + v.len();
                let mut value = load(s, &x[at.clone()]);
                if let Some(residual) = residual {
                    value = s.add(value, load(s, &residual[at]));
                }
                sum = s.add(sum, value);
                store(s, value, v);
            }
            let mean = s.splat(s.reduce_sum(sum) / d as f32);
            for v in xhat.chunks_mut(LANES) {
                store(s, s.sub(load(s, v), mean), v);
            }
            *rstd = 1.0 / (dot(s, xhat, xhat) / d as f32 + p.eps).sqrt();
            let scale = s.splat(*rstd);
            let affine = p.gain.chunks(LANES).zip(p.bias.chunks(LANES));
            let rows = xhat.chunks_mut(LANES).zip(out[row].chunks_mut(LANES));
            for ((v, out), (gain, bias)) in rows.zip(affine) {
                let value = s.mul(load(s, v), scale);
                store(s, value, v);
                store(s, s.mul_add(load(s, gain), value, load(s, bias)), out);
            }
        }
    }
}

struct Backward<'a, 'g> {
    p: &'a LayerNorm<'a>,
    xhat: &'a [f32],
    rstd: &'a [f32],
    dout: &'a [f32],
    grads: &'a mut Gradients<'g>,
}

impl Kernel for Backward<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { p, xhat, rstd, dout, grads } = self;
        let d = p.gain.len();
        for (i, &rstd) in rstd.iter().enumerate() {
            let row = i * d..(i + 1) * d;
            let (xhat, dout) = (&xhat[row.clone()], &dout[row.clone()]);
            let (mut sum, mut sum_x) = (s.zero(), s.zero());
            let mut at = 0;
            while at < d {
                let end = (at + LANES).min(d);
                let (x, g) = (load(s, &xhat[at..end]), load(s, &dout[at..end]));
                let scaled = s.mul(g, load(s, &p.gain[at..end]));
                sum = s.add(sum, scaled);
                sum_x = s.mul_add(scaled, x, sum_x);
                let dgain = &mut grads.dgain[at..end];
                let v = s.mul_add(g, x, load(s, dgain));
                store(s, v, dgain);
                let dbias = &mut grads.dbias[at..end];
                let v = s.add(g, load(s, dbias));
                store(s, v, dbias);
                at = end;
            }
            let mean = s.splat(s.reduce_sum(sum) / d as f32);
            let mean_x = s.splat(s.reduce_sum(sum_x) / d as f32);
            let rstd = s.splat(rstd);
            let mut at = 0;
            while at < d {
                let end = (at + LANES).min(d);
                let scaled = s.mul(load(s, &dout[at..end]), load(s, &p.gain[at..end]));
                let centred = s.neg_mul_add(load(s, &xhat[at..end]), mean_x, s.sub(scaled, mean));
                let at_row = row.start + at..row.start + end;
                let dx = &mut grads.dx[at_row.clone()];
                let v = s.mul_add(rstd, centred, load(s, dx));
                store(s, v, dx);
                if let Some(dr) = grads.dresidual.as_deref_mut() {
                    let dr = &mut dr[at_row];
                    let v = s.mul_add(rstd, centred, load(s, dr));
                    store(s, v, dr);
                }
                at = end;
            }
        }
    }
}
