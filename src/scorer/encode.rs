//! Encoding: all of the forward pass that does not depend on the candidate (eq 1 to 12, and the user's side of the
//! heads).

use dmran_kernels::gemm::{Matrix, MatrixMut, Output, gemm};
use dmran_kernels::{Level, feature_attention, gate, item_attention, pooling};

use super::ids::Ids;
use super::network::{FeatureLevel, Gate, Network};
use super::packed::{NormWork, fit, grow};
use super::serve::Scorer;
use super::user::User;
use crate::spec::settings::{Head, Settings};
use crate::spec::time;

/// One event of a user's history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event<I = u32> {
    /// The item: its index in [`Scorer::items`] or its string id.
    pub item: I,
    /// When, in seconds since 1970 (UTC). Not read by models without time.
    pub time: i64,
}

/// What names an item: its index or its string id.
pub trait ItemKey {
    /// The item's index, or `None` for an item that the model does not know.
    fn index(&self, items: &Ids) -> Option<u32>;
}

impl ItemKey for u32 {
    fn index(&self, items: &Ids) -> Option<u32> {
        ((*self as usize) < items.len()).then_some(*self)
    }
}

impl ItemKey for &str {
    fn index(&self, items: &Ids) -> Option<u32> {
        items.find(self)
    }
}

impl ItemKey for String {
    fn index(&self, items: &Ids) -> Option<u32> {
        items.find(self)
    }
}

/// Buffers for encoding and scoring, and the user encoded last. One for each thread (or for each user that is to be
/// kept); it grows to what the longest history and the model need and then allocates no more.
#[derive(Debug, Clone, Default)]
pub struct Scratch {
    pub(super) state: State,
    pub(super) work: Work,
}

impl Scratch {
    /// Empty buffers, for any model.
    pub fn new() -> Scratch {
        Scratch::default()
    }
}

/// The encoded user.
#[derive(Debug, Clone, Default)]
pub(super) struct State {
    /// Known items of the history, oldest first, at most the model's cap.
    pub items: Vec<u32>,
    /// Where each of them stands in the history that the caller gave.
    pub positions: Vec<usize>,
    pub buckets: Vec<u32>,
    pub unknown: usize,
    /// A, event by event `[n, r]`; empty without item level attention.
    pub a: Vec<f32>,
    /// M, with the last event's row where it has one; or H without item level attention: `[rows, d]`.
    pub m: Vec<f32>,
    /// Mhat' `[rows, d]`; empty without feature level attention.
    pub mx: Vec<f32>,
    /// What each head keeps of M and of Mhat'.
    pub sides: [Side; 2],
    /// Eq 16 for the heads with user vectors, `[d]`.
    pub h_c: Vec<f32>,
}

/// What a head keeps of one stream.
#[derive(Debug, Clone, Default)]
pub(super) struct Side {
    /// `atrank`: keys `[rows, d]`.
    pub keys: Vec<f32>,
    /// `atrank`: values `[rows, d]`.
    pub values: Vec<f32>,
    /// `vanilla` with a gate: the rows times `W_f^T`.
    pub gate: Vec<f32>,
}

/// Buffers whose content means nothing between calls.
#[derive(Debug, Clone, Default)]
pub(super) struct Work {
    x: Vec<f32>,
    g: Vec<f32>,
    ax: Vec<f32>,
    mhat: Vec<f32>,
    saved: [Vec<f32>; 4],
    norm: NormWork,
    pub means: Vec<f32>,
    pub kernel: Vec<f32>,
    pub candidates: super::score::CandidateWork,
    pub exclude: Vec<u32>,
}

impl Scorer {
    /// Encodes a user: `history` oldest first, `now` the time of the recommendation in seconds since 1970 (UTC).
    ///
    /// Items that the model does not know are skipped and counted ([`User::unknown`]); of the known ones the latest
    /// [`Settings::history_cap`] are read. Where none is left the user is cold ([`User::is_cold`]): each item's score
    /// is then its item bias (0 for a model without one), so that [`User::top_k`] gives the items in the order of
    /// their bias.
    ///
    /// The user lives in `scratch` until the next call with it.
    pub fn encode<'a, I: ItemKey>(&'a self, history: &[Event<I>], now: i64, scratch: &'a mut Scratch) -> User<'a> {
        scratch.state.read(self, history, now);
        if !scratch.state.items.is_empty() {
            self.forward(&mut scratch.state, &mut scratch.work);
        }
        User::resume(self, scratch)
    }

    fn forward(&self, user: &mut State, work: &mut Work) {
        let (level, s, net) = (self.level(), self.settings(), &self.network);
        let x = fit(&mut work.x, user.items.len() * s.d);
        self.gather(user.items.iter().map(|&item| item as usize), x);
        item_level(level, s, net, user, work);
        match &net.feature {
            Some(feature) => feature_level(level, s.d, feature, user, work),
            None => user.mx.clear(),
        }
        heads(level, s, net, user, work);
    }
}

impl State {
    /// Takes the events that the model will read.
    fn read<I: ItemKey>(&mut self, scorer: &Scorer, history: &[Event<I>], now: i64) {
        let s = scorer.settings();
        self.items.clear();
        self.positions.clear();
        self.buckets.clear();
        self.unknown = 0;
        for (position, event) in history.iter().enumerate().rev() {
            if self.items.len() == s.history_cap {
                break;
            }
            let Some(item) = event.item.index(scorer.items()) else {
                self.unknown += 1;
                continue;
            };
            let place = self.items.len();
            self.items.push(item);
            self.positions.push(position);
            let bucket = if s.uses_time() { time::bucket_at(s.time, s.buckets, place, event.time, now) } else { 0 };
            self.buckets.push(bucket);
        }
        self.items.reverse();
        self.positions.reverse();
        self.buckets.reverse();
    }

    /// The rows that the candidate reads, by stream.
    pub fn streams(&self) -> [&[f32]; 2] {
        [&self.m, &self.mx]
    }
}

/// The number of rows as an offset. A history's cap and the hops are far below 2^32.
pub(super) fn offsets(rows: usize) -> [u32; 2] {
    [0, rows as u32]
}

/// Eq 1, 2, 7, 8: M, or H where there is no item level attention.
fn item_level(level: Level, s: &Settings, net: &Network, user: &mut State, work: &mut Work) {
    let (d, r, n) = (s.d, s.hops, user.items.len());
    let Some(item) = &net.item else {
        user.a.clear();
        let layer =
            item_attention::LinearTime { d, x: &work.x, bucket: &user.buckets, t1: &net.t1, w_v: net.w_v.weight() };
        item_attention::linear_time(level, &layer, fit(&mut user.m, n * d));
        return;
    };
    let layer = item_attention::ItemAttention {
        d,
        r,
        x: &work.x,
        bucket: &user.buckets,
        offsets: &offsets(n),
        t1: &net.t1,
        t2: &item.t2,
        w_c: item.w_c.weight(),
        w_s2: item.w_s2.weight(),
        w_v: net.w_v.weight(),
    };
    let (m, last) = fit(&mut user.m, s.rows() * d).split_at_mut(r * d);
    let mut to = item_attention::Output {
        g: fit(&mut work.g, n * d),
        a: fit(&mut user.a, n * r),
        ax: fit(&mut work.ax, r * d),
        m,
    };
    let scratch = grow(&mut work.kernel, item_attention::scratch_len(d, r, n, 1, net.t1.len() / d));
    match &item.of_items {
        Some(wx) => {
            item_attention::g_of_items(level, d, wx, &user.items, &item.t2, &user.buckets, to.g);
            item_attention::forward_from_g(level, &layer, &mut to, scratch);
        }
        None => item_attention::forward(level, &layer, &mut to, scratch),
    }
    if s.has_last_row() {
        let (x, bucket) = (&work.x[(n - 1) * d..], &user.buckets[n - 1..]);
        let layer = item_attention::LinearTime { d, x, bucket, t1: &net.t1, w_v: net.w_v.weight() };
        item_attention::linear_time(level, &layer, last);
    }
}

/// Eq 9 to 12 and the block: Mhat'.
fn feature_level(level: Level, d: usize, net: &FeatureLevel, user: &mut State, work: &mut Work) {
    let len = user.m.len();
    let rows = len / d;
    let weights = feature_attention::Weights {
        d,
        w_s3: net.w_s3.packed(),
        w_s4: net.w_s4.packed(),
        w_s5: net.w_s5.packed(),
        b_s2: &net.b_s2,
    };
    let mhat = match net.block {
        Some(_) => fit(&mut work.mhat, len),
        None => fit(&mut user.mx, len),
    };
    let [p, q, shift, inverse_sum] = work.saved.each_mut().map(|buffer| fit(buffer, len));
    let args = feature_attention::Forward {
        offsets: &offsets(rows),
        m: &user.m,
        mhat,
        saved: feature_attention::SavedMut { p, q, shift, inverse_sum, kept: &mut [] },
        scratch: grow(&mut work.kernel, feature_attention::scratch_len(d, rows)),
    };
    feature_attention::forward(level, &weights, args);
    if let Some(block) = &net.block {
        block.forward(level, &work.mhat, &user.m, &mut work.norm, fit(&mut user.mx, len));
    }
}

/// The user's side of the heads: tables of the gate, keys and values, or `h_c` itself.
fn heads(level: Level, s: &Settings, net: &Network, user: &mut State, work: &mut Work) {
    let d = s.d;
    match s.head {
        Head::Vanilla => {
            if let Some(gate) = &net.gate {
                for ((x, side), w) in [&user.m, &user.mx].into_iter().zip(&mut user.sides).zip(&gate.sides) {
                    let rows = x.len() / d;
                    let y = MatrixMut::new(fit(&mut side.gate, x.len()), rows, d);
                    gemm(level, Matrix::new(x, rows, d), w.packed(), y, Output::OVERWRITE);
                }
            }
        }
        Head::Atrank => {
            for ((x, side), head) in [&user.m, &user.mx].into_iter().zip(&mut user.sides).zip(&net.heads) {
                if let Some(head) = head {
                    head.key.forward(level, x, true, fit(&mut side.keys, x.len()));
                    head.value.forward(level, x, true, fit(&mut side.values, x.len()));
                }
            }
        }
        Head::Mean | Head::Rows => {
            mean_reading(level, s, net, [&user.m, &user.mx], (&mut work.means, &mut work.kernel), &mut user.h_c);
        }
    }
}

/// Eq 16 for the heads `mean` and `rows`, from M and Mhat': the user's vector `h_c` `[d]`, which does not depend on the
/// candidate.
pub(super) fn mean_reading(
    level: Level,
    s: &Settings,
    net: &Network,
    streams: [&[f32]; 2],
    (means, kernel): (&mut Vec<f32>, &mut Vec<f32>),
    h_c: &mut Vec<f32>,
) {
    let d = s.d;
    let means = fit(means, 2 * d);
    for (x, mean) in streams.into_iter().zip(means.chunks_exact_mut(d)) {
        pooling::mean(level, d, &offsets(x.len() / d), x, mean);
    }
    let (h, hhat) = means.split_at(d);
    let h_c = fit(h_c, d);
    match &net.gate {
        Some(gate) => {
            let (z, f) = grow(kernel, 2 * d).split_at_mut(d);
            fuse(level, gate, [h, hhat], (z, f), h_c);
        }
        None => h_c.copy_from_slice(if s.has_item_attention() { h } else { hhat }),
    }
    if let Some(w_r) = &net.w_r {
        let y = &mut grow(kernel, d)[..d];
        w_r.forward(level, rows_of_map(streams), false, y);
        h_c.iter_mut().zip(&*y).for_each(|(h_c, y)| *h_c += y);
    }
}

/// The rows that the head `rows` maps: Mhat', or M where there is none.
pub(super) fn rows_of_map([m, mx]: [&[f32]; 2]) -> &[f32] {
    if mx.is_empty() { m } else { mx }
}

/// Eq 16 on rows of h and hhat; all slices of one length, a multiple of d.
pub(super) fn fuse(level: Level, net: &Gate, sides: [&[f32]; 2], (z, f): (&mut [f32], &mut [f32]), h_c: &mut [f32]) {
    let d = net.bias.len();
    let rows = h_c.len() / d;
    z.chunks_exact_mut(d).for_each(|row| row.copy_from_slice(&net.bias));
    for (h, w) in sides.into_iter().zip(&net.sides) {
        gemm(level, Matrix::new(h, rows, d), w.packed(), MatrixMut::new(z, rows, d), Output::ACCUMULATE);
    }
    gate::forward(level, z, sides[0], sides[1], f, h_c);
}
