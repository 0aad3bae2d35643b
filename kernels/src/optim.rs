//! The optimisers' steps, over whole weights or over the rows that a batch touched.

mod kernels;

use crate::level::Level;
use crate::simd::{Kernel, Simd};
use kernels::{AdagradStep, AdamFactors, AdamStep, SgdStep, Step};

/// What a step updates.
#[derive(Clone, Copy, Debug)]
pub enum Target<'a> {
    /// Every weight; the gradient has the weights' length.
    All,
    /// Rows of a table; the gradient is `[ids.len(), width]`. Other rows are neither read nor written (their state
    /// stands still: the lazy form).
    Rows {
        /// The rows, each at most once.
        ids: &'a [u32],
        /// Their width.
        width: usize,
    },
}

/// `w -= lr * scale * g`.
#[derive(Clone, Copy, Debug)]
pub struct Sgd {
    /// Step size.
    pub lr: f32,
    /// Multiplies the gradient (clipping).
    pub scale: f32,
}

/// `squares += g^2; w -= lr * g / (sqrt(squares) + eps)`.
#[derive(Clone, Copy, Debug)]
pub struct Adagrad {
    /// Step size.
    pub lr: f32,
    /// Added to the root.
    pub eps: f32,
    /// Multiplies the gradient (clipping).
    pub scale: f32,
}

/// Adam with bias correction.
#[derive(Clone, Copy, Debug)]
pub struct Adam {
    /// Step size.
    pub lr: f32,
    /// Decay of the first moment.
    pub beta1: f32,
    /// Decay of the second moment.
    pub beta2: f32,
    /// Added to the root.
    pub eps: f32,
    /// Multiplies the gradient (clipping).
    pub scale: f32,
    /// Number of this step, from 1.
    pub step: i32,
}

impl Target<'_> {
    fn check(self, g: usize, weights: &[usize]) {
        assert!(weights.windows(2).all(|w| w[0] == w[1]), "weights and state differ in length: {weights:?}");
        match self {
            Self::All => assert_eq!(g, weights[0], "weights and gradient differ in length"),
            Self::Rows { ids, width } => {
                assert!(width > 0, "a row must be at least 1 wide");
                assert_eq!(g, ids.len() * width, "the gradient of {} rows has the wrong length", ids.len());
                let rows = weights[0] / width;
                if let Some(id) = ids.iter().find(|&&id| id as usize >= rows) {
                    panic!("row {id} of a table of {rows} rows");
                }
            }
        }
    }
}

/// One step of gradient descent.
///
/// # Panics
/// If the lengths do not fit or a row is beyond the table.
pub fn sgd(level: Level, p: &Sgd, target: Target, w: &mut [f32], g: &[f32]) {
    target.check(g.len(), &[w.len()]);
    level.dispatch(Run { target, g, step: SgdStep { p, w } });
}

/// One step of Adagrad; `squares` is its state, as long as `w`.
///
/// # Panics
/// As [`sgd`].
pub fn adagrad(level: Level, p: &Adagrad, target: Target, w: &mut [f32], g: &[f32], squares: &mut [f32]) {
    target.check(g.len(), &[w.len(), squares.len()]);
    level.dispatch(Run { target, g, step: AdagradStep { p, w, squares } });
}

/// One step of Adam; `m` and `v` are its state, as long as `w`.
///
/// # Panics
/// As [`sgd`], and if `step` is below 1.
pub fn adam(level: Level, p: &Adam, target: Target, w: &mut [f32], g: &[f32], m: &mut [f32], v: &mut [f32]) {
    target.check(g.len(), &[w.len(), m.len(), v.len()]);
    assert!(p.step >= 1, "Adam's steps count from 1, not {}", p.step);
    let factors = AdamFactors::new(p);
    level.dispatch(Run { target, g, step: AdamStep { p, factors, w, m, v } });
}

/// `y += c * x`: an L2 term's gradient, among others.
///
/// # Panics
/// If the lengths differ.
pub fn add_scaled(level: Level, y: &mut [f32], c: f32, x: &[f32]) {
    assert_eq!(y.len(), x.len(), "slices of different lengths");
    level.dispatch(AddScaled { y, c, x });
}

struct Run<'a, T> {
    target: Target<'a>,
    g: &'a [f32],
    step: T,
}

impl<T: Step> Kernel for Run<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Self { target, g, mut step } = self;
        match target {
            Target::All => step.run(s, 0, g),
            Target::Rows { ids, width } => {
                for (g, &id) in g.chunks_exact(width).zip(ids) {
                    step.run(s, id as usize * width, g);
                }
            }
        }
    }
}

struct AddScaled<'a> {
    y: &'a mut [f32],
    c: f32,
    x: &'a [f32],
}

impl Kernel for AddScaled<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        crate::small::add_scaled(s, self.c, self.x, self.y);
    }
}
