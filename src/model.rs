//! Models: what the trainer sees of one ([`Model`]), DMRAN itself, and the paper's baselines.

pub mod atrank;
mod baseline;
pub mod bi_lstm;
pub mod bpr_mf;
pub mod build;
pub mod cnn_pooling;
pub mod dmran;
pub mod export;
pub mod init;
pub mod items;
pub mod mapped;
mod recipes;
pub mod registry;
pub mod sasrec;

use crate::autograd::ops::dropout::Rate;
use crate::autograd::params::{ParamId, Params};
use crate::autograd::tape::Graph;
use crate::autograd::var::{Index, Var};
use crate::scorer::Settings;
pub use atrank::AtRank;
pub use bi_lstm::BiLstm;
pub use bpr_mf::BprMf;
pub use build::{BuildError, Sizes, Start, build};
pub use cnn_pooling::CnnPooling;
pub use dmran::Dmran;
pub use items::Items;
pub use mapped::Mapped;
pub use registry::Kind;
pub use sasrec::SasRec;

/// One shard of a batch: ragged histories and the same number of candidates for each of them.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Dense user ids, one a sample (for models that know their users).
    pub users: &'a [u32],
    /// Items of all histories, oldest first within each.
    pub history: &'a [u32],
    /// Time bucket of each history event (eq 2).
    pub buckets: &'a [u32],
    /// Where each history begins in `history`; one entry more than samples.
    pub offsets: &'a [u32],
    /// Rows to score: for each the place in `history` of the last event that it sees. One a sample, or, while a model of
    /// [`Model::every_position`] is trained, one for every event.
    pub rows: &'a [u32],
    /// Candidates, row by row, the same number for each; in training the first of each row is the positive.
    pub candidates: &'a [u32],
    /// Dropout of the histories' item vectors; `None` where nothing is trained.
    pub dropout: Option<Rate>,
}

impl Batch<'_> {
    /// Number of samples.
    pub fn samples(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Candidates of one row.
    pub fn per_row(&self) -> usize {
        self.candidates.len() / self.rows.len().max(1)
    }
}

/// [`Batch::rows`] of histories that begin at `offsets`, each of at least one event, with one row each: its last event.
pub fn last_rows(offsets: &[u32]) -> Vec<u32> {
    offsets.iter().skip(1).map(|end| end - 1).collect()
}

/// What a forward pass hands to the loss.
#[derive(Clone, Copy, Debug)]
pub struct Output {
    /// Scores `[rows, candidates of one row]` (eq 17).
    pub scores: Var,
    /// A, one row an event, with the histories' offsets: the penalty's input (eq 21).
    pub attention: Option<(Var, Index)>,
    /// The activations that ATRank's l2 takes: user vector (or h_c) and candidate vector.
    pub activations: [Option<Var>; 2],
    /// The looked-up rows that the paper's l2 takes: candidates' and histories' vectors.
    pub rows: [Option<Var>; 2],
}

/// What a forward pass knows of its users before it looks at candidates.
#[derive(Clone, Copy, Debug)]
pub struct Users {
    /// User vectors `[rows, d]`: the score of item i is `u . [V; C]_i + bias_i`.
    pub u: Var,
    /// As in [`Output`].
    pub attention: Option<(Var, Index)>,
    /// The histories' vectors as they were looked up, where the model reads histories.
    pub looked_up: Option<Var>,
}

/// A model that the trainer can train.
pub trait Model: Send + Sync {
    /// Short name, as on the command line.
    fn name(&self) -> &'static str;

    /// Weights and tables.
    fn params(&self) -> &Params;

    /// Weights and tables, to change; the trainer calls [`Params::repack`] after it has done so.
    fn params_mut(&mut self) -> &mut Params;

    /// Tables of the items.
    fn items(&self) -> &Items;

    /// Records the forward pass of one shard.
    fn forward(&self, g: &mut Graph<'_>, batch: &Batch<'_>) -> Output;

    /// Records the forward pass up to the user vectors, without a look at the batch's candidates; `None` (and nothing
    /// recorded) where the score depends on the candidate in another way than by a product.
    fn users(&self, _g: &mut Graph<'_>, _batch: &Batch<'_>) -> Option<Users> {
        None
    }

    /// Records the forward pass of a shard with one candidate a row, and beside it the scores `[rows, n]` of the `n` items
    /// `shared` for every row, in memory that does not grow with rows times `n` times the model's width. `None` (and nothing
    /// recorded) where a model has no such way on the graph's engine.
    fn forward_shared(&self, _g: &mut Graph<'_>, _batch: &Batch<'_>, _shared: Index) -> Option<(Output, Var)> {
        None
    }

    /// Whether [`Model::users`] gives vectors.
    fn has_user_vectors(&self) -> bool {
        false
    }

    /// Whether every event of a history is a target in training, each predicted from those before it: one sample a user
    /// then stands for all of its prefixes.
    fn every_position(&self) -> bool {
        false
    }

    /// Computes the derived weights from the trained ones, once a step: pairs of a derived weight and the variable
    /// that becomes its value. Models without derived weights push nothing.
    fn derive(&self, _g: &mut Graph<'_>, _derived: &mut Vec<(ParamId, Var)>) {}

    /// Whether a shard is trained on block by block, few samples at a time, so that a block's activations are still in
    /// the second level cache when they are read again. For models whose products run over events; one whose products
    /// run over samples wants them all at once.
    fn in_blocks(&self) -> bool {
        false
    }

    /// The settings with which the scorer takes this model's numbers, if it can.
    fn scorer_settings(&self) -> Option<&Settings> {
        None
    }

    /// Whether a history's time buckets matter.
    fn uses_time(&self) -> bool;
}
