//! DMRAN, equations 1 to 17, in all variants, on either engine.

mod entry;
mod last;
mod rows;

use super::{Batch, Items, Model, Output, Users};
use crate::autograd::ops::shared_atrank::SharedAtrank;
use crate::autograd::ops::shared_vanilla::{SharedFeature, SharedVanilla};
use crate::autograd::params::{Form, ParamId, Params};
use crate::autograd::tape::{Engine, Graph};
use crate::autograd::var::{Index, Var};
use crate::autograd::{ops, reference};
use crate::scorer::{Counts, Head, Settings, SettingsError, Shape, TensorSpec, expected_tensors};
pub use entry::ENTRY;
use std::cell::RefCell;

/// Weights of an ATRank pooling block, by name.
#[derive(Clone, Copy, Debug)]
pub struct AtrankIds {
    /// `W_q, b_q, W_k, b_k, W_u, b_u`.
    pub projections: [ParamId; 6],
    /// Gain and bias of the norms before and after the feed forward part.
    pub norms: [ParamId; 4],
    /// `W_1, b_1, W_2, b_2`.
    pub feed_forward: [ParamId; 4],
}

/// Weights of the residual block after the feature level attention.
#[derive(Clone, Copy, Debug)]
struct BlockIds {
    norms: [ParamId; 4],
    feed_forward: [ParamId; 4],
}

/// The fused engine's weights that are products of trained ones.
#[derive(Clone, Copy, Debug)]
struct Derived {
    /// `T' = T W_t^T + b_d` `[K, d]`: the time part of eq 1.
    t1: ParamId,
    /// `W_s1 W_v` `[d, d]` and `T' W_s1^T` `[K, d]`: eq 7 without forming H.
    ila: Option<(ParamId, ParamId)>,
}

/// The model.
#[derive(Clone, Debug)]
pub struct Dmran {
    settings: Settings,
    params: Params,
    items: Items,
    time: Option<[ParamId; 2]>,
    w_v: ParamId,
    b_d: ParamId,
    ila: Option<[ParamId; 2]>,
    flsa: Option<[ParamId; 4]>,
    gate: Option<[ParamId; 3]>,
    w_r: Option<ParamId>,
    block: Option<BlockIds>,
    pool: [Option<AtrankIds>; 2],
    derived: Derived,
}

/// What the user's side comes to; see [`Trace`] for the intermediates.
struct Encoded {
    looked_up: Var,
    big_h: Option<Var>,
    s: Option<Var>,
    /// A, one row an event, with the histories' offsets.
    attention: Option<(Var, Index)>,
    m: Var,
    /// Where each sample's rows begin in M and Mhat'.
    rows: Index,
    alignment: Option<reference::Alignment>,
    mhat: Option<Var>,
    mx: Option<Var>,
    /// What eq 14 and eq 15 read: M and Mhat', where the variant has them.
    sides: [Option<Var>; 2],
}

/// Every intermediate that a forward pass made, for checks against the oracle; what an engine or a variant never
/// forms is `None`.
#[derive(Clone, Copy, Debug)]
pub struct Trace {
    /// H, one row an event.
    pub big_h: Option<Var>,
    /// Pre-softmax scores of the hops, one row an event.
    pub s: Option<Var>,
    /// A, one row an event.
    pub a: Option<Var>,
    /// M, with the last event's row where it has one (or H for the variant `feature`).
    pub m: Var,
    /// Pairs of the feature level attention.
    pub alignment: Option<reference::Alignment>,
    /// Mhat, the result of eq 12.
    pub mhat: Option<Var>,
    /// Mhat', after the block.
    pub mx: Option<Var>,
    /// Eq 14.
    pub h: Option<Var>,
    /// Eq 15.
    pub hhat: Option<Var>,
    /// F of eq 16 (naive engine).
    pub gate: Option<Var>,
    /// Eq 16.
    pub h_c: Var,
}

impl Dmran {
    /// A model of zeros for `items` items, whose categories (below `categories`) `item_category` names where
    /// `settings.categories` asks for them.
    ///
    /// # Errors
    /// The first rule that the settings break.
    ///
    /// # Panics
    /// If `settings.categories` is set and `item_category` does not name one category for each item.
    pub fn new(
        settings: Settings,
        items: usize,
        categories: usize,
        item_category: Vec<u32>,
    ) -> Result<Dmran, SettingsError> {
        settings.validate()?;
        if settings.categories {
            assert_eq!(item_category.len(), items, "one category for each item");
            assert!(item_category.iter().all(|c| (*c as usize) < categories), "categories below {categories}");
        }
        let mut params = Params::default();
        for TensorSpec { name, shape } in expected_tensors(&settings, Counts { items, categories }) {
            let (rows, cols) = shape.rows_columns();
            match name {
                "V" | "C" => drop(params.add_table(name, rows, cols)),
                "bias" => drop(params.add_table(name, cols, 1)),
                // A matrix of one row (one hop, inner width 1) is a matrix still.
                _ => {
                    let form = if matches!(shape, Shape::Matrix(..)) { Form::Packed } else { Form::Plain };
                    params.add(name, rows, cols, form);
                }
            }
        }
        let p = &params;
        // A name that nobody asks for was misspelt here, or by `expected_tensors`.
        let asked = RefCell::new(vec![false; p.specs().len()]);
        let find = |name: &str| {
            let id = p.find(name)?;
            asked.borrow_mut()[id.0] = true;
            Some(id)
        };
        let all = |prefix: &str, names: &[&str]| -> Option<Vec<ParamId>> {
            names.iter().map(|n| find(&format!("{prefix}{n}"))).collect()
        };
        fn fixed<const N: usize>(ids: Option<Vec<ParamId>>) -> Option<[ParamId; N]> {
            ids.and_then(|ids| ids.try_into().ok())
        }
        let norms = |prefix: &str| fixed(all(prefix, &["ln1.g", "ln1.b", "ln2.g", "ln2.b"]));
        let feed_forward = |prefix: &str| fixed(all(prefix, &["W_1", "b_1", "W_2", "b_2"]));
        let atrank = |prefix: &str| {
            Some(AtrankIds {
                projections: fixed(all(prefix, &["W_q", "b_q", "W_k", "b_k", "W_u", "b_u"]))?,
                norms: norms(prefix)?,
                feed_forward: feed_forward(prefix)?,
            })
        };
        let block = norms("block.").zip(feed_forward("block."));
        let [time, ila] = [["T", "W_t"], ["W_s1", "W_s2"]].map(|names| fixed::<2>(all("", &names)));
        let flsa = fixed(all("", &["W_s3", "W_s4", "b_s2", "W_s5"]));
        let gate = fixed(all("", &["W_f1", "W_f2", "b_f"]));
        let pool = [atrank("h."), atrank("hhat.")];
        let items = Items::of(p, item_category).expect("every model has V");
        let (w_v, b_d, w_r) = (find("W_v"), find("b_d"), find("W_r"));
        let unread = asked.borrow().iter().position(|asked| !asked);
        assert!(unread.is_none(), "no part of the model reads {}", unread.map_or("", |at| &p.specs()[at].name));
        let d = settings.d;
        let rows = if time.is_some() { settings.buckets } else { 1 };
        let t1 = params.add_derived("T'", rows, d, Form::Packed);
        let ila_derived = ila.map(|_| {
            (params.add_derived("W_s1 W_v", d, d, Form::Packed), params.add_derived("T' W_s1^T", rows, d, Form::Plain))
        });
        Ok(Dmran {
            items,
            time,
            w_v: w_v.expect("every model has W_v"),
            b_d: b_d.expect("every model has b_d"),
            ila,
            flsa,
            gate,
            w_r,
            block: block.map(|(norms, feed_forward)| BlockIds { norms, feed_forward }),
            pool,
            derived: Derived { t1, ila: ila_derived },
            settings,
            params,
        })
    }

    /// Dimensions and choices.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Category of each item; empty without categories.
    pub fn item_category(&self) -> &[u32] {
        &self.items.item_category
    }

    /// `T'`, within this graph or as the derived weight.
    fn time_rows(&self, g: &mut Graph<'_>) -> Var {
        match g.engine {
            Engine::Fused => g.param(self.derived.t1),
            Engine::Naive => self.project_time(g),
        }
    }

    fn project_time(&self, g: &mut Graph<'_>) -> Var {
        let b_d = g.param(self.b_d);
        match self.time {
            Some([t, w_t]) => ops::linear(g, g.param(t), g.param(w_t), Some(b_d)),
            None => b_d,
        }
    }

    /// Eq 1 to 12: what the user's side makes of the histories, whatever the candidates are.
    fn encode(&self, g: &mut Graph<'_>, batch: &Batch<'_>) -> Encoded {
        let r = self.settings.hops as u32;
        let samples = batch.samples() as u32;
        let history = g.index(batch.history.iter().copied());
        let uses_time = self.time.is_some();
        let bucket = g.index(batch.buckets.iter().map(|b| if uses_time { *b } else { 0 }));
        let offsets = g.index(batch.offsets.iter().copied());
        let looked_up = self.items.vectors(g, history);
        let x = batch.dropout.map_or(looked_up, |rate| ops::dropout(g, looked_up, rate));
        let t1 = self.time_rows(g);

        // Eq 1, 2, 7, 8.
        let (mut big_h, mut s, mut a) = (None, None, None);
        let (m, rows) = match self.ila {
            Some([w_s1, w_s2]) => {
                let rows = g.index((0..=samples).map(|b| b * r));
                let m = match (g.engine, self.derived.ila) {
                    (Engine::Fused, Some((w_c, t2))) => {
                        let ids = ops::item_attention::Weights { w_c, t1: self.derived.t1, t2, w_s2, w_v: self.w_v };
                        let (align, m) = ops::item_attention(g, x, &ids, bucket, offsets);
                        a = Some(align);
                        m
                    }
                    _ => {
                        let h = reference::time_linear(g, x, g.param(self.w_v), t1, bucket);
                        let (scores, align, m) = reference::item_attention(g, h, g.param(w_s1), g.param(w_s2), offsets);
                        (big_h, s, a) = (Some(h), Some(scores), Some(align));
                        m
                    }
                };
                (m, rows)
            }
            None => {
                let h = match g.engine {
                    Engine::Fused => ops::time_linear(g, x, self.w_v, self.derived.t1, bucket),
                    Engine::Naive => reference::time_linear(g, x, g.param(self.w_v), t1, bucket),
                };
                big_h = Some(h);
                (h, offsets)
            }
        };

        let (m, rows) = match self.settings.has_last_row() {
            true => self.with_last_row(g, last::Hops { x, bucket, last: batch.rows, big_h, m }),
            false => (m, rows),
        };

        // Eq 9 to 12 and the block.
        let mut alignment = None;
        let mhat = self.flsa.map(|w| match g.engine {
            Engine::Fused => ops::feature_attention(g, m, w, rows),
            Engine::Naive => {
                let vars = w.map(|id| g.param(id));
                let all = reference::feature_attention(g, m, vars, rows);
                alignment = Some(all);
                all.mhat
            }
        });
        let mx = mhat.map(|mhat| match &self.block {
            Some(block) => match g.engine {
                Engine::Fused => ops::transformer(g, m, mhat, block.norms, block.feed_forward, self.settings.block_eps),
                Engine::Naive => {
                    let (norms, ff) = (block.norms.map(|id| g.param(id)), block.feed_forward.map(|id| g.param(id)));
                    reference::transformer(g, m, mhat, norms, ff, self.settings.block_eps)
                }
            },
            None => mhat,
        });

        let sides = [self.ila.map(|_| m), mx];
        let attention = a.map(|a| (a, offsets));
        Encoded { looked_up, big_h, s, attention, m, rows, alignment, mhat, mx, sides }
    }

    /// The forward pass with all its intermediates.
    pub fn trace(&self, g: &mut Graph<'_>, batch: &Batch<'_>) -> (Output, Trace) {
        let encoded = self.encode(g, batch);
        let (output, (h, hhat, gate, h_c)) = self.score(g, batch, &encoded);
        let Encoded { big_h, s, attention, m, alignment, mhat, mx, .. } = encoded;
        let a = attention.map(|(a, _)| a);
        (output, Trace { big_h, s, a, m, alignment, mhat, mx, h, hhat, gate, h_c })
    }

    /// Eq 14 to 17 for the batch's own candidates; with the output what eq 14 to 16 give, as [`Dmran::read`].
    fn score(&self, g: &mut Graph<'_>, batch: &Batch<'_>, encoded: &Encoded) -> (Output, Readings) {
        let (samples, per) = (batch.samples(), batch.per_row());
        let Encoded { looked_up, attention, rows, sides, .. } = *encoded;
        let candidates = g.index(batch.candidates.iter().copied());
        let candidate_offsets = g.index((0..=samples).map(|b| (b * per) as u32));
        let c = self.items.vectors(g, candidates);
        let readings = self.read(g, sides, Some(c), rows, candidate_offsets);
        let h_c = readings.3;
        let scores = self.items.scores(g, h_c, c, candidates).reshape(samples, per);
        let output = Output { scores, attention, activations: [Some(h_c), Some(c)], rows: [Some(c), Some(looked_up)] };
        (output, readings)
    }
}

/// h, hhat, the gate and `h_c`; see [`Trace`].
type Readings = (Option<Var>, Option<Var>, Option<Var>, Var);

impl Dmran {
    /// Eq 14 to 16: both readings of the rows, the gate (naive engine) and `h_c`. Without candidates (the heads `mean` and `rows`)
    /// there is one reading a sample.
    fn read(
        &self,
        g: &mut Graph<'_>,
        [m, mx]: [Option<Var>; 2],
        c: Option<Var>,
        rows: Index,
        candidates: Index,
    ) -> Readings {
        let h = m.map(|x| self.pool(g, x, c, self.pool[0], rows, candidates));
        let hhat = mx.map(|x| self.pool(g, x, c, self.pool[1], rows, candidates));
        let (h, hhat, f, h_c) = match (h, hhat, self.gate) {
            (Some(h), Some(hhat), Some(w)) => {
                let (f, h_c) = match g.engine {
                    Engine::Fused => (None, ops::gate(g, [h, hhat], w)),
                    Engine::Naive => {
                        let vars = w.map(|id| g.param(id));
                        let (f, h_c) = reference::gate(g, h.h, hhat.h, vars);
                        (Some(f), h_c)
                    }
                };
                (Some(h.h), Some(hhat.h), f, h_c)
            }
            (Some(h), None, _) => (Some(h.h), None, None, h.h),
            (_, Some(hhat), _) => (None, Some(hhat.h), None, hhat.h),
            (None, None, _) => unreachable!("every variant has one of the attentions"),
        };
        let h_c = match (self.w_r, mx.or(m)) {
            (Some(w_r), Some(x)) => rows::add_map(g, h_c, x, w_r),
            _ => h_c,
        };
        (h, hhat, f, h_c)
    }

    /// The weights of the head `atrank`.
    fn atrank(&self, AtrankIds { projections, norms, feed_forward }: AtrankIds) -> ops::pool_atrank::Weights {
        let (heads, eps) = (self.settings.heads, self.settings.head_eps);
        ops::pool_atrank::Weights { projections, norms, feed_forward, heads, eps }
    }

    fn pool(
        &self,
        g: &mut Graph<'_>,
        x: Var,
        c: Option<Var>,
        ids: Option<AtrankIds>,
        rows: Index,
        candidates: Index,
    ) -> ops::gate::Side {
        let plain = |h| ops::gate::Side { h, table: None };
        // Only the heads with user vectors read without candidates; they look at none.
        let (head, c) = c.map_or((Head::Mean, x), |c| (self.settings.head, c));
        let per = g.indices(candidates).get(1).map_or(1, |per| *per as usize);
        match (head, g.engine) {
            (Head::Vanilla, Engine::Fused) => {
                let pooled = ops::pool_vanilla(g, x, c, rows);
                ops::gate::Side::pooled(pooled, x, rows)
            }
            (Head::Vanilla, Engine::Naive) => plain(reference::pool_vanilla(g, x, c, rows, candidates)),
            (Head::Mean | Head::Rows, Engine::Fused) => plain(ops::pool_mean(g, x, rows, per)),
            (Head::Mean | Head::Rows, Engine::Naive) => plain(reference::pool_mean(g, x, rows, candidates)),
            (Head::Atrank, engine) => {
                let ids = ids.expect("the head's weights");
                let (heads, eps) = (self.settings.heads, self.settings.head_eps);
                if engine == Engine::Fused {
                    return plain(ops::pool_atrank(g, x, c, &self.atrank(ids), rows));
                }
                let [q, bq, k, bk, u, bu] = ids.projections.map(|id| g.param(id));
                let [g1, b1, g2, b2] = ids.norms.map(|id| g.param(id));
                let w = reference::AtrankVars {
                    q: [q, bq],
                    k: [k, bk],
                    u: [u, bu],
                    ln1: [g1, b1],
                    ff: ids.feed_forward.map(|id| g.param(id)),
                    ln2: [g2, b2],
                    heads,
                    eps,
                };
                plain(reference::pool_atrank(g, x, c, &w, rows, candidates))
            }
        }
    }
}

impl Model for Dmran {
    fn name(&self) -> &'static str {
        "dmran"
    }

    fn params(&self) -> &Params {
        &self.params
    }

    fn params_mut(&mut self) -> &mut Params {
        &mut self.params
    }

    fn items(&self) -> &Items {
        &self.items
    }

    fn forward(&self, g: &mut Graph<'_>, batch: &Batch<'_>) -> Output {
        self.trace(g, batch).0
    }

    fn users(&self, g: &mut Graph<'_>, batch: &Batch<'_>) -> Option<Users> {
        if !self.has_user_vectors() {
            return None;
        }
        let Encoded { looked_up, attention, rows, sides, .. } = self.encode(g, batch);
        let one_each = g.index(0..=batch.samples() as u32);
        let (.., u) = self.read(g, sides, None, rows, one_each);
        Some(Users { u, attention, looked_up: Some(looked_up) })
    }

    fn forward_shared(&self, g: &mut Graph<'_>, batch: &Batch<'_>, shared: Index) -> Option<(Output, Var)> {
        if g.engine == Engine::Naive || self.has_user_vectors() {
            return None;
        }
        let encoded = self.encode(g, batch);
        let (output, _) = self.score(g, batch, &encoded);
        let (c, bias) = (self.items.vectors(g, shared), self.items.biases(g, shared));
        let (rows, sides) = (encoded.rows, encoded.sides);
        if self.settings.head == Head::Atrank {
            let weights = |side: usize| self.atrank(self.pool[side].expect("the head's weights"));
            let (first, x) = if sides[0].is_some() { (0, sides) } else { (1, [sides[1], None]) };
            let other = self.gate.filter(|_| x[1].is_some()).map(|gate| (weights(1), gate));
            let w = SharedAtrank { first: weights(first), other };
            return Some((output, ops::shared_atrank(g, w, x, rows, c, bias)));
        }
        let (m, feature) = match (sides, self.gate) {
            ([Some(m), Some(mhat)], Some([w_f1, w_f2, bias])) => {
                let tables = [(m, w_f1), (mhat, w_f2)].map(|(rows, w)| ops::dense(g, rows, w, None, false));
                (m, Some(SharedFeature { mhat, tables, bias }))
            }
            ([Some(only), _] | [_, Some(only)], _) => (only, None),
            ([None, None], _) => unreachable!("every variant has one of the attentions"),
        };
        Some((output, ops::shared_vanilla(g, SharedVanilla { m, feature, rows }, c, bias)))
    }

    fn has_user_vectors(&self) -> bool {
        self.settings.has_user_vectors()
    }

    fn derive(&self, g: &mut Graph<'_>, derived: &mut Vec<(ParamId, Var)>) {
        let t1 = match self.time {
            Some([t, w_t]) => ops::dense(g, g.param(t), w_t, Some(self.b_d), false),
            None => ops::scale(g, g.param(self.b_d), 1.0, 0.0),
        };
        derived.push((self.derived.t1, t1));
        if let (Some((w_c, t2)), Some([w_s1, _])) = (self.derived.ila, self.ila) {
            let w = ops::matmul_packed(g, g.param(w_s1), self.w_v);
            derived.push((w_c, w));
            let t = ops::dense(g, t1, w_s1, None, false);
            derived.push((t2, t));
        }
    }

    fn in_blocks(&self) -> bool {
        true
    }

    fn scorer_settings(&self) -> Option<&Settings> {
        Some(&self.settings)
    }

    fn uses_time(&self) -> bool {
        self.time.is_some()
    }
}
