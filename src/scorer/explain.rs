//! Why an item has its score: the events that carried it, and the dimensions in which the feature level attention
//! made a choice.

use dmran_kernels::pooling::{self, Mask, Pool};

use super::encode::{State, fuse, offsets, rows_of_map};
use super::network::FeatureLevel;
use super::score::HeadWork;
use super::serve::Scorer;
use super::user::{ScoreError, User};
use crate::spec::settings::Head;

/// Why an item has its score, see [`User::explain`].
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// The score (eq 17), bias included.
    pub score: f32,
    /// The item's bias, which no event carries; 0 for a model without.
    pub bias: f32,
    /// The mean of the gate F (eq 16) over the dimensions: 1 where only the item level attention's reading h is used,
    /// 0 where only the feature level's hhat is.
    pub gate: f32,
    /// The events that the model read, the largest share first (equal ones oldest first). Shares are positive and sum
    /// to 1; no events for a cold user.
    pub events: Vec<EventShare>,
    /// All d dimensions, the most focused first; empty without feature level attention and for a cold user.
    pub dimensions: Vec<DimensionFocus>,
}

/// An event's part in a score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EventShare {
    /// Where the event stands in the history given to [`Scorer::encode`].
    pub position: usize,
    /// Its item.
    pub item: u32,
    /// Its share.
    pub share: f32,
}

/// What the feature level attention did in one dimension.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DimensionFocus {
    /// The dimension of the hidden vectors.
    pub dimension: usize,
    /// The largest weight that the dimension gives to one row: `1 / rows` where all rows weigh the same, 1 where the
    /// dimension takes everything from one.
    pub focus: f32,
    /// The row (hop, or after all hops the last event where it has a row of its own; event for the variant `feature`) with
    /// that weight.
    pub row: usize,
}

impl User<'_> {
    /// Why `item` has its score.
    ///
    /// Shares follow the attention weights from the candidate back to the events:
    ///
    /// - `w_i`, `what_i`: the weight that the candidate's head gives to row i of M and of Mhat' (`atrank`: the mean
    ///   over its heads; `mean`: `1 / rows`);
    /// - `A_in`: the item level attention from hop i to event n (eq 7);
    /// - `b_ij`: the feature level attention from row i to row j (eq 10), the mean over the dimensions;
    /// - `f`: [`Explanation::gate`].
    ///
    /// The share of event n is `f sum_i w_i A_in + (1 - f) sum_ij what_i b_ij A_jn`; a variant without one of the
    /// levels has the other's term alone, and without item level attention the rows are the events themselves. The weight of
    /// the last event's own row ([`LastEvent::Row`](crate::spec::LastEvent::Row)) is added to its share.
    /// The head `rows` adds a part for each row, whose weight `what_i` is by the size of what `W_r` makes of it for the
    /// candidate, beside the size of what the readings give.
    ///
    /// Residual connections, norms and feed forward parts are not followed: shares tell where the model looked, not
    /// how the score would change without an event.
    ///
    /// The focus of dimension k is `max_j sum_i what_i beta_ij[k]`.
    ///
    /// Unlike scoring, this allocates its answer, and takes time and memory for all pairs of rows.
    ///
    /// # Errors
    /// [`ScoreError::NoSuchItem`] for an index that is no item.
    pub fn explain(&mut self, item: u32) -> Result<Explanation, ScoreError> {
        let mut score = [0.0];
        self.score(&[item], &mut score)?;
        let bias = self.scorer.item_rows().bias_of(item as usize);
        let mut explanation =
            Explanation { score: score[0], bias, gate: 0.0, events: Vec::new(), dimensions: Vec::new() };
        if self.is_cold() {
            return Ok(explanation);
        }
        let (scorer, user) = (self.scorer, &self.scratch.state);
        let (s, net) = (scorer.settings(), &scorer.network);
        let mut c = vec![0.0; s.d];
        scorer.gather(std::iter::once(item as usize), &mut c);

        let streams = user.streams();
        let mut readings = [None, None];
        for (at, rows) in streams.into_iter().enumerate() {
            let read = [s.has_item_attention(), s.has_feature_attention()][at];
            readings[at] = read.then(|| scorer.reading(rows, &user.sides[at].keys, at, &c));
        }
        let [h, hhat] = &readings;
        let gate = match (h, hhat) {
            (Some(_), Some(_)) => mean_gate(scorer, user, &c),
            (Some(_), None) => 1.0,
            _ => 0.0,
        };
        explanation.gate = gate;

        // Weights of the rows of M, of which the events' shares follow.
        let mut rows = vec![0.0; user.m.len() / s.d];
        let (read, mapped) = scorer.parts(user, &c, score[0] - bias);
        if let Some(w) = h {
            rows.iter_mut().zip(w).for_each(|(row, w)| *row += read * gate * w);
        }
        match (hhat, &net.feature) {
            (Some(w), Some(feature)) => {
                let all = 1.0 - read * gate;
                // Where M has it all, the dimensions still tell what Mhat' looked at.
                let part = |(w, part): (&f32, &f32)| {
                    if all > 0.0 { (read * (1.0 - gate) * w + part) / all } else { *w }
                };
                let what: Vec<f32> = w.iter().zip(&mapped).map(part).collect();
                let (to, dimensions) = scorer.follow(feature, &user.m, &what);
                rows.iter_mut().zip(to).for_each(|(row, w)| *row += all * w);
                explanation.dimensions = dimensions;
            }
            _ => rows.iter_mut().zip(&mapped).for_each(|(row, part)| *row += part),
        }
        let events = user.items.iter().zip(&user.positions).enumerate();
        explanation.events = events
            .map(|(n, (&item, &position))| {
                let mut share = match user.a.chunks_exact(s.hops).nth(n) {
                    Some(a) => a.iter().zip(&rows).map(|(a, w)| a * w).sum(),
                    None => rows[n],
                };
                if s.has_last_row() && n + 1 == user.items.len() {
                    share += rows[s.hops];
                }
                EventShare { position, item, share }
            })
            .collect();
        explanation.events.sort_by(|a, b| b.share.total_cmp(&a.share));
        explanation.dimensions.sort_by(|a, b| b.focus.total_cmp(&a.focus));
        Ok(explanation)
    }
}

impl Scorer {
    /// What the readings of eq 14 to 16 add to the score of `c` (without its bias), and what the map of the head `rows` adds
    /// row by row, as parts of the sum of their sizes; without a map all of it and zeros.
    fn parts(&self, user: &State, c: &[f32], score: f32) -> (f32, Vec<f32>) {
        let d = c.len();
        let mut parts = vec![0.0; user.m.len() / d];
        let Some(w_r) = &self.network.w_r else { return (1.0, parts) };
        let x = rows_of_map(user.streams());
        let mut y = vec![0.0; d];
        let mut read = score;
        for (row, part) in parts.iter_mut().enumerate() {
            let mut alone = vec![0.0; x.len()];
            let of = row * d..(row + 1) * d;
            alone[of.clone()].copy_from_slice(&x[of]);
            w_r.forward(self.level(), &alone, false, &mut y);
            let added: f32 = c.iter().zip(&y).map(|(c, y)| c * y).sum();
            read -= added;
            *part = added.abs();
        }
        let read = read.abs();
        let all = read + parts.iter().sum::<f32>();
        if all == 0.0 {
            return (1.0, vec![0.0; parts.len()]);
        }
        parts.iter_mut().for_each(|part| *part /= all);
        (read / all, parts)
    }

    /// The weights that the candidate `c` gives to the rows of one stream: positive, with sum 1.
    fn reading(&self, rows: &[f32], keys: &[f32], at: usize, c: &[f32]) -> Vec<f32> {
        let (level, s) = (self.level(), self.settings());
        let n = rows.len() / s.d;
        let offsets = offsets(n);
        let (heads, keys, query) = match (s.head, &self.network.heads[at]) {
            (Head::Atrank, Some(head)) => {
                let mut query = vec![0.0; s.d];
                head.query.forward(level, c, true, &mut query);
                (s.heads, keys, query)
            }
            (Head::Mean | Head::Rows, _) => return vec![1.0 / n as f32; n],
            _ => (1, rows, c.to_vec()),
        };
        let pool = Pool { d: s.d, heads, candidates: 1, offsets: &offsets, mask: Mask::Full };
        let mut weights = vec![0.0; pool.weights_len()];
        pooling::weights(level, &pool, &query, keys, &mut weights, &mut vec![0.0; pool.scratch_len()]);
        (0..n).map(|i| weights.iter().skip(i).step_by(n).sum::<f32>() / heads as f32).collect()
    }

    /// Where the weights `what` of the rows of Mhat come from: weights of the rows of M, and each dimension's focus.
    fn follow(&self, net: &FeatureLevel, m: &[f32], what: &[f32]) -> (Vec<f32>, Vec<DimensionFocus>) {
        let d = self.settings().d;
        let n = what.len();
        let (mut p, mut q) = (vec![0.0; m.len()], vec![0.0; m.len()]);
        net.w_s4.forward(self.level(), m, false, &mut p);
        net.w_s3.forward(self.level(), m, false, &mut q);
        let (mut tanh, mut f) = (vec![0.0; m.len()], vec![0.0; m.len()]);
        // sum_i what_i beta_ij, one row for each j.
        let mut total = vec![0.0; m.len()];
        for (p, what) in p.chunks_exact(d).zip(what) {
            for (tanh, q) in tanh.chunks_exact_mut(d).zip(q.chunks_exact(d)) {
                for (k, tanh) in tanh.iter_mut().enumerate() {
                    *tanh = (p[k] + net.b_s2[k] + q[k]).tanh();
                }
            }
            net.w_s5.forward(self.level(), &tanh, false, &mut f);
            for k in 0..d {
                let column = || f.iter().skip(k).step_by(d);
                let high = column().copied().fold(f32::NEG_INFINITY, f32::max);
                let sum: f32 = column().map(|f| (f - high).exp()).sum();
                let to = total.iter_mut().skip(k).step_by(d);
                to.zip(column()).for_each(|(to, f)| *to += what * (f - high).exp() / sum);
            }
        }
        let rows = total.chunks_exact(d).map(|row| row.iter().sum::<f32>() / d as f32).collect();
        let dimensions = (0..d).map(|dimension| {
            let mut best = DimensionFocus { dimension, focus: f32::NEG_INFINITY, row: 0 };
            for row in 0..n {
                let focus = total[row * d + dimension];
                if focus > best.focus {
                    best = DimensionFocus { dimension, focus, row };
                }
            }
            best
        });
        (rows, dimensions.collect())
    }
}

/// The mean over the dimensions of F (eq 16), for the candidate `c`.
fn mean_gate(scorer: &Scorer, user: &State, c: &[f32]) -> f32 {
    let Some(net) = &scorer.network.gate else { return 1.0 };
    let (level, d) = (scorer.level(), c.len());
    let mut work = HeadWork::default();
    let h = match scorer.settings().head {
        Head::Atrank => {
            scorer.fused_rows(user, c, None, &mut work);
            work.h
        }
        Head::Vanilla | Head::Mean | Head::Rows => [0, 1].map(|at| {
            let rows = user.streams()[at];
            let weights = scorer.reading(rows, &[], at, c);
            let mut h = vec![0.0; d];
            for (row, w) in rows.chunks_exact(d).zip(weights) {
                h.iter_mut().zip(row).for_each(|(h, x)| *h += w * x);
            }
            h
        }),
    };
    let [mut z, mut f, mut h_c] = [0; 3].map(|_| vec![0.0; d]);
    fuse(level, net, [&h[0], &h[1]], (&mut z, &mut f), &mut h_c);
    f.iter().sum::<f32>() / d as f32
}
