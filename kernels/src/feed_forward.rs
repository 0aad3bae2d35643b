//! The feed forward block with its residual: `out = x + W_2 relu(W_1 x + b_1) + b_2`.

use crate::dense::{self, Dense, SumRows};
use crate::gemm::Output;
use crate::level::Level;
use crate::simd::{Kernel, Simd};
use crate::small::add;
use crate::weight::Weight;

/// Parameters of the block, of width d and any inner width.
#[derive(Clone, Copy, Debug)]
pub struct FeedForward<'a> {
    /// `[inner, d]`
    pub w1: Weight<'a>,
    /// `[inner]`
    pub b1: Option<&'a [f32]>,
    /// `[d, inner]`
    pub w2: Weight<'a>,
    /// `[d]`
    pub b2: Option<&'a [f32]>,
}

/// Gradients, all added to.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// `[rows, d]`
    pub dx: &'a mut [f32],
    /// `[inner, d]`
    pub dw1: &'a mut [f32],
    /// `[inner]`; `None` if the block has no b_1.
    pub db1: Option<&'a mut [f32]>,
    /// `[d, inner]`
    pub dw2: &'a mut [f32],
    /// `[d]`; `None` if the block has no b_2.
    pub db2: Option<&'a mut [f32]>,
}

impl<'a> FeedForward<'a> {
    /// `relu(W_1 x + b_1)`
    pub(crate) fn first(&self) -> Dense<'a> {
        Dense { w: self.w1, bias: self.b1, relu: true }
    }

    /// `W_2 x + b_2`
    pub(crate) fn second(&self) -> Dense<'a> {
        Dense { w: self.w2, bias: self.b2, relu: false }
    }

    fn check(&self, x: &[f32], inner: &[f32], out: &[f32]) {
        self.w1.expect("W_1", self.w1.n, self.w2.n);
        self.w2.expect("W_2", self.w1.k, self.w1.n);
        let rows = x.len() / self.w1.k;
        assert_eq!(x.len(), rows * self.w1.k, "{} values are not rows of width {}", x.len(), self.w1.k);
        assert_eq!(inner.len(), rows * self.w1.n, "the inner layer has the wrong length");
        assert_eq!(out.len(), x.len(), "input and output of a feed forward block differ in length");
    }
}

/// `out = x + W_2 relu(W_1 x + b_1) + b_2`: `x` and `out` `[rows, d]`; `inner` `[rows, inner]` is saved for [`backward`].
///
/// # Panics
/// If the lengths do not fit each other.
pub fn forward(level: Level, p: &FeedForward, x: &[f32], inner: &mut [f32], out: &mut [f32]) {
    p.check(x, inner, out);
    dense::forward(level, &p.first(), x, inner);
    out.copy_from_slice(x);
    p.w2.apply(level, inner, out, p.b2.map_or(Output::ACCUMULATE, |b| Output::ACCUMULATE.bias(b)));
}

/// Floats of scratch that [`backward`] needs for `rows` rows.
pub fn scratch_len(p: &FeedForward, rows: usize) -> usize {
    2 * rows * p.w1.n
}

/// The gradients of [`forward`], given its input, the inner layer and the output's gradient.
///
/// # Panics
/// If the lengths do not fit each other, or `scratch` is shorter than [`scratch_len`].
pub fn backward(
    level: Level,
    p: &FeedForward,
    x: &[f32],
    inner: &[f32],
    dout: &[f32],
    grads: &mut Gradients,
    scratch: &mut [f32],
) {
    p.check(x, inner, dout);
    assert_eq!(grads.dx.len(), x.len(), "dx has the wrong length");
    let (dinner, scratch) = scratch.split_at_mut(inner.len());
    p.w2.apply_transposed(level, dout, dinner, Output::OVERWRITE);
    p.w2.add_gradient(level, dout, inner, grads.dw2);
    if let Some(db2) = grads.db2.as_deref_mut() {
        assert_eq!(db2.len(), p.w2.n, "the gradient of b_2 has the wrong length");
        level.dispatch(SumRows { x: dout, out: db2 });
    }
    let mut first = dense::Gradients { dx: Some(grads.dx), dw: grads.dw1, db: grads.db1.as_deref_mut() };
    dense::backward(level, &p.first(), x, inner, dinner, &mut first, scratch);
    level.dispatch(AddTo { x: dout, y: grads.dx });
}

/// `y += x`.
struct AddTo<'a> {
    x: &'a [f32],
    y: &'a mut [f32],
}

impl Kernel for AddTo<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        add(s, self.x, self.y);
    }
}
