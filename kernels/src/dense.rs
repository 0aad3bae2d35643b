//! A dense layer on rows: `y = x W^T + b`, with or without ReLU.

use crate::gemm::Output;
use crate::level::Level;
use crate::simd::{Kernel, LANES, Simd};
use crate::small::{load, store};
use crate::weight::Weight;

/// Parameters of a dense layer.
#[derive(Clone, Copy, Debug)]
pub struct Dense<'a> {
    /// `W`, `[n, k]`.
    pub w: Weight<'a>,
    /// `[n]`
    pub bias: Option<&'a [f32]>,
    /// Whether `relu` follows.
    pub relu: bool,
}

/// Gradients, all added to.
#[derive(Debug)]
pub struct Gradients<'a> {
    /// `[rows, k]`; `None` if nobody needs it.
    pub dx: Option<&'a mut [f32]>,
    /// `[n, k]`
    pub dw: &'a mut [f32],
    /// `[n]`; `None` if the layer has no bias.
    pub db: Option<&'a mut [f32]>,
}

impl Dense<'_> {
    /// Checks lengths; gives the number of rows.
    fn check(&self, x: &[f32], y: &[f32]) -> usize {
        let (n, k) = (self.w.n, self.w.k);
        self.w.expect("the weight of a dense layer", n, k);
        assert!(self.bias.is_none_or(|b| b.len() == n), "the bias of a dense layer has the wrong length");
        let rows = y.len() / n;
        assert_eq!((x.len(), y.len()), (rows * k, rows * n), "a dense layer [{n}, {k}] cannot map these lengths");
        rows
    }
}

/// `y = x W^T + b`, then ReLU if asked for: `x` `[rows, k]`, `y` `[rows, n]`.
///
/// # Panics
/// If the lengths do not fit each other.
pub fn forward(level: Level, p: &Dense, x: &[f32], y: &mut [f32]) {
    p.check(x, y);
    let output = p.bias.map_or(Output::OVERWRITE, |b| Output::OVERWRITE.bias(b));
    p.w.apply(level, x, y, if p.relu { output.relu() } else { output });
}

/// Floats of scratch that [`backward`] needs for `rows` rows.
pub fn scratch_len(p: &Dense, rows: usize) -> usize {
    if p.relu { rows * p.w.n } else { 0 }
}

/// The gradients of [`forward`], given its input, its output `y` (read only with ReLU) and the output's gradient.
///
/// # Panics
/// If the lengths do not fit each other, or `scratch` is shorter than [`scratch_len`].
pub fn backward(level: Level, p: &Dense, x: &[f32], y: &[f32], dy: &[f32], grads: &mut Gradients, scratch: &mut [f32]) {
    let rows = p.check(x, dy);
    let dz = if p.relu {
        assert_eq!(y.len(), dy.len(), "output and gradient of a dense layer differ in length");
        let dz = &mut scratch[..rows * p.w.n];
        level.dispatch(Mask { y, dy, dz });
        dz
    } else {
        dy
    };
    if let Some(dx) = grads.dx.as_deref_mut() {
        p.w.apply_transposed(level, dz, dx, Output::ACCUMULATE);
    }
    p.w.add_gradient(level, dz, x, grads.dw);
    if let Some(db) = grads.db.as_deref_mut() {
        assert_eq!(db.len(), p.w.n, "the bias's gradient has the wrong length");
        level.dispatch(SumRows { x: dz, out: db });
    }
}

/// `dz = dy` where `y` is positive, else 0.
struct Mask<'a> {
    y: &'a [f32],
    dy: &'a [f32],
    dz: &'a mut [f32],
}

impl Kernel for Mask<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let read = self.y.chunks(LANES).zip(self.dy.chunks(LANES));
        for ((y, dy), dz) in read.zip(self.dz.chunks_mut(LANES)) {
            let off = s.le(load(s, y), s.zero());
            store(s, s.select(off, s.zero(), load(s, dy)), dz);
        }
    }
}

/// `out +=` the rows of `x`, from the first to the last.
pub(crate) struct SumRows<'a> {
    pub x: &'a [f32],
    pub out: &'a mut [f32],
}

impl Kernel for SumRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let n = self.out.len();
        let mut at = 0;
        while at < n {
            let end = (at + LANES).min(n);
            let mut sum = load(s, &self.out[at..end]);
            for row in self.x.chunks_exact(n) {
                sum = s.add(sum, load(s, &row[at..end]));
            }
            store(s, sum, &mut self.out[at..end]);
            at = end;
        }
    }
}
