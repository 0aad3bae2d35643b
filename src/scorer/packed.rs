//! The layers of a model as the kernels read them: packed once at load, never written again.

use dmran_kernels::gemm::{pack_transposed, packed_len};
use dmran_kernels::{Level, Weight, dense, feed_forward, norm};

use super::model::Model;

/// `W [n, k]` packed for `y = x W^T`, and the bias where there is one.
#[derive(Debug, Clone)]
pub(super) struct Linear {
    n: usize,
    k: usize,
    transposed: Vec<f32>,
    bias: Option<Vec<f32>>,
}

impl Linear {
    /// Packs `rows` `[n, k]`.
    pub fn new(rows: &[f32], n: usize, k: usize, bias: Option<&[f32]>) -> Linear {
        let mut transposed = vec![0.0; packed_len(k, n)];
        pack_transposed(rows, n, k, &mut transposed);
        Linear { n, k, transposed, bias: bias.map(<[f32]>::to_vec) }
    }

    /// The weight as the kernels take it, without the forms that only naive and backward kernels read.
    pub fn weight(&self) -> Weight<'_> {
        Weight { n: self.n, k: self.k, rows: &[], transposed: &self.transposed, straight: &[] }
    }

    /// The packed weight alone.
    pub fn packed(&self) -> &[f32] {
        &self.transposed
    }

    /// `y = x W^T + b` for any number of rows, then ReLU if asked for.
    pub fn forward(&self, level: Level, x: &[f32], relu: bool, y: &mut [f32]) {
        dense::forward(level, &dense::Dense { w: self.weight(), bias: self.bias.as_deref(), relu }, x, y);
    }
}

/// `LN(y + W_2 relu(W_1 y + b_1) + b_2)` with `y = LN(x + residual)`: the block after eq 12 and the end of the head
/// `atrank`.
#[derive(Debug, Clone)]
pub(super) struct NormFeedForward {
    /// Gain and bias of the inner norm, then of the outer one.
    norms: [Vec<f32>; 4],
    first: Linear,
    second: Linear,
    eps: f32,
}

/// Buffers of [`NormFeedForward::forward`].
#[derive(Debug, Clone, Default)]
pub(super) struct NormWork {
    xhat: Vec<f32>,
    rstd: Vec<f32>,
    y: Vec<f32>,
    inner: Vec<f32>,
    fed: Vec<f32>,
}

impl NormFeedForward {
    /// The layers called `{prefix}.ln1.g` and so on, of width `d` and inner width `ff`.
    pub fn new(model: &Model, prefix: &str, d: usize, ff: usize, eps: f32) -> NormFeedForward {
        let get = |name: &str| tensor(model, &format!("{prefix}.{name}"));
        NormFeedForward {
            norms: ["ln1.g", "ln1.b", "ln2.g", "ln2.b"].map(|name| get(name).to_vec()),
            first: Linear::new(get("W_1"), ff, d, Some(get("b_1"))),
            second: Linear::new(get("W_2"), d, ff, Some(get("b_2"))),
            eps,
        }
    }

    /// Rows of `x` and `residual` to rows of `out`, all `[rows, d]`.
    pub fn forward(&self, level: Level, x: &[f32], residual: &[f32], work: &mut NormWork, out: &mut [f32]) {
        let rows = x.len() / self.norms[0].len();
        let xhat = fit(&mut work.xhat, x.len());
        let rstd = fit(&mut work.rstd, rows);
        let y = fit(&mut work.y, x.len());
        let inner = fit(&mut work.inner, rows * self.first.n);
        let fed = fit(&mut work.fed, x.len());
        let [gain1, bias1, gain2, bias2] = &self.norms;
        let layer = norm::LayerNorm { gain: gain1, bias: bias1, eps: self.eps };
        norm::forward(level, &layer, x, Some(residual), xhat, rstd, y);
        let layer = feed_forward::FeedForward {
            w1: self.first.weight(),
            b1: self.first.bias.as_deref(),
            w2: self.second.weight(),
            b2: self.second.bias.as_deref(),
        };
        feed_forward::forward(level, &layer, y, inner, fed);
        let layer = norm::LayerNorm { gain: gain2, bias: bias2, eps: self.eps };
        norm::forward(level, &layer, fed, None, xhat, rstd, out);
    }
}

/// A tensor that the settings demand; a checked [`Model`] has it.
pub(super) fn tensor<'a>(model: &'a Model, name: &str) -> &'a [f32] {
    model.tensor(name).unwrap_or_else(|| panic!("a checked model has the tensor {name}"))
}

/// A buffer at exactly this length. Allocates only where it has never been as long.
pub(super) fn fit(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    buffer.resize(len, 0.0);
    buffer
}

/// At least `len` elements of any content.
pub(super) fn grow(buffer: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if buffer.len() < len {
        buffer.resize(len, 0.0);
    }
    &mut buffer[..len]
}
