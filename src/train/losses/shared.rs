//! Scores of a target and of candidates that all samples of a shard share: what the softmax losses compare.

use crate::autograd::ops;
use crate::autograd::tape::Graph;
use crate::model::{Batch, Model, Output};
use dmran_kernels::loss::MASKED;

/// Candidates that all rows share.
#[derive(Clone, Copy, Debug)]
pub struct Shared<'a> {
    /// The items, each of which may stand several times.
    pub items: &'a [u32],
    /// What is added to each item's score: minus the logarithm of how often it is expected in the sample (logQ), so that
    /// the sum of their exponentials is an unbiased estimate of that over all items. Empty for nothing.
    pub shift: &'a [f32],
    /// For each row the items, ascending, that do not count for it, its target not among them.
    pub left_out: Option<LeftOut<'a>>,
}

/// Items that do not count, row by row.
#[derive(Clone, Copy, Debug)]
pub struct LeftOut<'a> {
    /// Where each row's begin; one entry more than rows.
    pub offsets: &'a [u32],
    /// The items, ascending within a row.
    pub items: &'a [u32],
}

impl LeftOut<'_> {
    fn has(&self, row: usize, item: u32) -> bool {
        self.items[self.offsets[row] as usize..self.offsets[row + 1] as usize].binary_search(&item).is_ok()
    }
}

/// Records the forward pass of a shard whose batch has one candidate a row, the target. The scores are
/// `[rows, 1 + shared]`: the target's, then those of the shared items, corrected; where such an item is the row's target
/// (an accidental hit) or left out, [`MASKED`].
///
/// `expanded` is working memory for models that take shared items as candidates of each row. The l2 term counts the user's reading
/// for the target and the target's vector, whatever the model.
pub fn scores(
    g: &mut Graph<'_>,
    model: &dyn Model,
    batch: &Batch<'_>,
    shared: Shared<'_>,
    expanded: &mut Vec<u32>,
) -> Output {
    let output = match model.users(g, batch) {
        Some(users) => {
            let items = model.items();
            let targets = g.index(batch.candidates.iter().copied());
            let c = items.vectors(g, targets);
            let of_target = items.scores(g, users.u, c, targets);
            let scores = if shared.items.is_empty() {
                of_target
            } else {
                let ids = g.index(shared.items.iter().copied());
                let (vectors, bias) = (items.vectors(g, ids), items.biases(g, ids));
                let of_shared = ops::shared_scores(g, users.u, vectors, bias);
                ops::concat(g, of_target, of_shared)
            };
            let (attention, activations) = (users.attention, [Some(users.u), Some(c)]);
            Output { scores, attention, activations, rows: [Some(c), users.looked_up] }
        }
        None => {
            let ids = g.index(shared.items.iter().copied());
            match model.forward_shared(g, batch, ids) {
                Some((output, of_shared)) => Output { scores: ops::concat(g, output.scores, of_shared), ..output },
                None => repeated(g, model, batch, shared.items, expanded),
            }
        }
    };
    let scores = ops::shift_columns(g, output.scores, |row, shift| {
        let target = batch.candidates[row];
        shift[0] = 0.0;
        for (k, (shift, item)) in shift[1..].iter_mut().zip(shared.items).enumerate() {
            let out = *item == target || shared.left_out.is_some_and(|out| out.has(row, *item));
            *shift = if out { MASKED } else { shared.shift.get(k).copied().unwrap_or(0.0) };
        }
    });
    Output { scores, ..output }
}

/// Each shared item as a candidate of each row, through the model's own forward pass.
fn repeated(
    g: &mut Graph<'_>,
    model: &dyn Model,
    batch: &Batch<'_>,
    shared: &[u32],
    expanded: &mut Vec<u32>,
) -> Output {
    let (rows, width) = (batch.rows.len(), 1 + shared.len());
    expanded.clear();
    for target in batch.candidates {
        expanded.push(*target);
        expanded.extend_from_slice(shared);
    }
    let output = model.forward(g, &Batch { candidates: expanded, ..*batch });
    let first = g.index((0..rows).map(|row| (row * width) as u32));
    let activations = output.activations.map(|x| x.map(|x| ops::select_rows(g, x, first)));
    let c = output.rows[0].map(|c| ops::select_rows(g, c, first));
    Output { activations, rows: [c, output.rows[1]], ..output }
}
