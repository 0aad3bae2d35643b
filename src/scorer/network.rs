//! A model's weights in the form in which they are used: packed, and with the products that do not depend on the user
//! formed once, by the kernels and in the order of training, so that scores have the training forward's bits.

use dmran_kernels::gemm::{Matrix, MatrixMut, Output, gemm, pack, packed_len};
use dmran_kernels::{Level, dense};

use super::aligned::Aligned;
use super::model::Model;
use super::packed::{Linear, NormFeedForward, tensor};
use crate::spec::layout::Stream;
use crate::spec::settings::{Head, Settings};

/// Everything that encoding and scoring read, beside the embedding tables.
#[derive(Debug, Clone)]
pub(super) struct Network {
    /// `T' = T W_t^T + b_d` `[K, d]`; one row, `b_d`, without time.
    pub t1: Vec<f32>,
    pub w_v: Linear,
    pub item: Option<ItemLevel>,
    pub feature: Option<FeatureLevel>,
    pub gate: Option<Gate>,
    /// `W_r` of the head `rows`.
    pub w_r: Option<Linear>,
    /// The heads `atrank` over M and over Mhat'.
    pub heads: [Option<AtrankHead>; 2],
}

/// Eq 7.
#[derive(Debug, Clone)]
pub(super) struct ItemLevel {
    /// `W_c = W_s1 W_v`.
    pub w_c: Linear,
    /// `W_c i` of every item `[items, d]`, where they were computed ahead.
    pub of_items: Option<Aligned>,
    /// `T' W_s1^T` `[K, d]`.
    pub t2: Vec<f32>,
    pub w_s2: Linear,
}

/// Eq 9 and the block.
#[derive(Debug, Clone)]
pub(super) struct FeatureLevel {
    pub w_s3: Linear,
    pub w_s4: Linear,
    pub w_s5: Linear,
    pub b_s2: Vec<f32>,
    pub block: Option<NormFeedForward>,
}

/// Eq 16.
#[derive(Debug, Clone)]
pub(super) struct Gate {
    /// `W_f1`, `W_f2`.
    pub sides: [Linear; 2],
    pub bias: Vec<f32>,
}

/// The head `atrank` of one stream.
#[derive(Debug, Clone)]
pub(super) struct AtrankHead {
    pub query: Linear,
    pub key: Linear,
    pub value: Linear,
    /// The queries of all items `[items, d]`, where they were computed ahead.
    pub queries: Option<Aligned>,
    pub end: NormFeedForward,
}

impl Network {
    pub fn new(model: &Model, level: Level) -> Network {
        let s = model.settings();
        let d = s.d;
        let get = |name: &str| tensor(model, name);
        let square = |name: &str| Linear::new(get(name), d, d, None);
        let w_v = square("W_v");
        let t1 = time_rows(model, level);
        let item = s.has_item_attention().then(|| {
            let w_s1 = square("W_s1");
            let mut t2 = vec![0.0; t1.len()];
            w_s1.forward(level, &t1, false, &mut t2);
            let w_c = product(level, get("W_s1"), get("W_v"), d);
            let w_s2 = Linear::new(get("W_s2"), s.hops, d, None);
            ItemLevel { w_c: Linear::new(&w_c, d, d, None), of_items: None, t2, w_s2 }
        });
        let feature = s.has_feature_attention().then(|| FeatureLevel {
            w_s3: square("W_s3"),
            w_s4: square("W_s4"),
            w_s5: square("W_s5"),
            b_s2: get("b_s2").to_vec(),
            block: s.has_block().then(|| NormFeedForward::new(model, "block", d, s.ff_width, s.block_eps)),
        });
        let gate = s.has_gate().then(|| Gate { sides: ["W_f1", "W_f2"].map(square), bias: get("b_f").to_vec() });
        let w_r = s.has_row_map().then(|| Linear::new(get("W_r"), d, s.rows() * d, None));
        let head = |stream| atrank_head(model, s, stream);
        Network { t1, w_v, item, feature, gate, w_r, heads: [Stream::H, Stream::HHat].map(head) }
    }
}

fn atrank_head(model: &Model, s: &Settings, stream: Stream) -> Option<AtrankHead> {
    if s.head != Head::Atrank || !s.streams().contains(&stream) {
        return None;
    }
    let names = stream.head_names();
    let d = s.d;
    let linear = |w, b| Linear::new(tensor(model, w), d, d, Some(tensor(model, b)));
    let prefix = match stream {
        Stream::H => "h",
        Stream::HHat => "hhat",
    };
    Some(AtrankHead {
        query: linear(names.w_q, names.b_q),
        key: linear(names.w_k, names.b_k),
        value: linear(names.w_u, names.b_u),
        queries: None,
        end: NormFeedForward::new(model, prefix, d, s.head_ff_width, s.head_eps),
    })
}

/// `T'`, the part of eq 1 that depends on the bucket alone.
fn time_rows(model: &Model, level: Level) -> Vec<f32> {
    let s = model.settings();
    let b_d = tensor(model, "b_d");
    if !s.uses_time() {
        // As training's `1 b_d + 0`, which turns -0 into 0.
        return b_d.iter().map(|b| b + 0.0).collect();
    }
    let w_t = Linear::new(tensor(model, "W_t"), s.d, s.d, None);
    let mut rows = vec![0.0; s.buckets * s.d];
    let layer = dense::Dense { w: w_t.weight(), bias: Some(b_d), relu: false };
    dense::forward(level, &layer, tensor(model, "T"), &mut rows);
    rows
}

/// `A B`, both `[d, d]`.
fn product(level: Level, a: &[f32], b: &[f32], d: usize) -> Vec<f32> {
    let mut packed = vec![0.0; packed_len(d, d)];
    pack(b, d, d, &mut packed);
    let mut y = vec![0.0; d * d];
    gemm(level, Matrix::new(a, d, d), &packed, MatrixMut::new(&mut y, d, d), Output::OVERWRITE);
    y
}
