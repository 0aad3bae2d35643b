//! The scorer itself: a model with its weights packed, ready for any number of threads.

use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::path::Path;

use dmran_kernels::score::{Second, StoredRows};
use dmran_kernels::simd::LANES;
use dmran_kernels::{Level, LevelError};

use super::aligned::Aligned;
use super::file::ModelFileError;
use super::ids::Ids;
use super::item_rows::{Categories, ItemRows};
use super::model::{Model, Tensor};
use super::network::Network;
use crate::spec::settings::Settings;

/// A trained model, ready to encode users and score items.
///
/// `Scorer` is `Send + Sync`, has no locks, no threads and no global state: share one by reference or in an `Arc`, and
/// give each thread a [`Scratch`](super::Scratch) of its own. A call with a warm scratch allocates nothing.
///
/// On one [`Level`] all scores have the bits of the training forward pass (fused engine).
///
/// **Memory.** Embedding tables are used where the [`Model`] has them (with categories an item's two halves are read
/// where they stand, or put side by side per block of candidates, never as a whole table); dense weights are held twice, as in the file and
/// packed. Of each item the first product of eq 7 is computed ahead, which saves a quarter of the time of encoding
/// and takes d floats an item; [`ScorerOptions::precompute`] tells when, and does without.
#[derive(Debug, Clone)]
pub struct Scorer {
    model: Model,
    level: Level,
    pub(super) network: Network,
    v: usize,
    c: Option<usize>,
    bias: Option<usize>,
}

/// How a [`Scorer`] is made.
#[derive(Debug, Clone, Copy, Default)]
pub struct ScorerOptions {
    /// The SIMD level; without, the best one of this CPU, or the one that `DMRAN_SIMD` names.
    pub level: Option<Level>,
    /// Whether `W_s1 W_v i` (eq 1, 7) of every item is computed ahead: `2 d^2` floating point operations (9 ms for 63,001
    /// items of width 128, on one core with AVX-512) and d floats an item. The scores have the same bits either way.
    /// Without a choice it is, unless the model's tables are mapped. Models without item level attention have no use for it.
    pub precompute: Option<bool>,
}

/// Why a model could not be made ready.
#[derive(Debug)]
#[non_exhaustive]
pub enum ScorerError {
    /// The model file breaks a rule.
    File(ModelFileError),
    /// The SIMD level asked for (by `DMRAN_SIMD` or the caller) does not exist or is not there on this CPU.
    Level(LevelError),
}

impl fmt::Display for ScorerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(error) => error.fmt(f),
            Self::Level(error) => error.fmt(f),
        }
    }
}

impl Error for ScorerError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::File(error) => error.source(),
            Self::Level(error) => error.source(),
        }
    }
}

impl From<ModelFileError> for ScorerError {
    fn from(error: ModelFileError) -> Self {
        Self::File(error)
    }
}

impl From<LevelError> for ScorerError {
    fn from(error: LevelError) -> Self {
        Self::Level(error)
    }
}

impl Scorer {
    /// Packs a model's weights, with the default [`ScorerOptions`].
    ///
    /// # Errors
    /// [`ScorerError::Level`] if `DMRAN_SIMD` names a level that does not exist or is not there on this CPU.
    pub fn new(model: Model) -> Result<Scorer, ScorerError> {
        Scorer::with_options(model, ScorerOptions::default())
    }

    /// Reads a model file into memory and packs its weights.
    ///
    /// # Errors
    /// The first rule that the file breaks, or as [`Scorer::new`].
    pub fn load(path: impl AsRef<Path>) -> Result<Scorer, ScorerError> {
        Scorer::new(Model::load(path)?)
    }

    /// As [`Scorer::new`], on a given level.
    ///
    /// # Errors
    /// [`ScorerError::Level`] if this CPU lacks the level.
    pub fn with_level(model: Model, level: Level) -> Result<Scorer, ScorerError> {
        Scorer::with_options(model, ScorerOptions { level: Some(level), ..ScorerOptions::default() })
    }

    /// As [`Scorer::new`], with other options.
    ///
    /// # Errors
    /// [`ScorerError::Level`] if this CPU lacks the level, or as [`Scorer::new`].
    pub fn with_options(model: Model, options: ScorerOptions) -> Result<Scorer, ScorerError> {
        let level = match options.level {
            Some(level) => level,
            None => Level::from_env()?,
        };
        if !level.is_available() {
            return Err(LevelError::Unavailable { level }.into());
        }
        let at = |name: &str| model.tensors().iter().position(|tensor| tensor.name() == name);
        let (v, c, bias) = (at("V").unwrap_or_default(), at("C"), at("bias"));
        let network = Network::new(&model, level);
        let mut scorer = Scorer { model, level, network, v, c, bias };
        if options.precompute.unwrap_or_else(|| scorer.model.tensors().iter().all(Tensor::is_owned)) {
            scorer.precompute();
        }
        Ok(scorer)
    }

    /// `W_c i` of every item, some items at a time.
    fn precompute(&mut self) {
        const ITEMS: usize = 256;
        let (d, items) = (self.settings().d, self.items().len());
        let Some(item) = &self.network.item else { return };
        let (mut x, mut part) = (vec![0.0; ITEMS * d], vec![0.0; ITEMS * d]);
        let mut products = Aligned::with_capacity(items * d);
        for start in (0..items).step_by(ITEMS) {
            let end = items.min(start + ITEMS);
            let (x, part) = (&mut x[..(end - start) * d], &mut part[..(end - start) * d]);
            self.gather(start..end, x);
            item.w_c.forward(self.level, x, false, part);
            products.extend(part.iter().copied());
        }
        if let Some(item) = &mut self.network.item {
            item.of_items = Some(products);
        }
    }

    /// The queries of every item for the head `atrank`, which do not depend on the user: twice what the items' vectors take, for
    /// a third of a score's products. Worth it where all items are scored for many users.
    #[cfg(feature = "train")]
    pub(crate) fn precompute_queries(&mut self) {
        const ITEMS: usize = 256;
        let (d, items) = (self.settings().d, self.items().len());
        let (mut x, mut part) = (vec![0.0; ITEMS * d], vec![0.0; ITEMS * d]);
        for at in 0..self.network.heads.len() {
            let Some(head) = &self.network.heads[at] else { continue };
            let mut queries = Aligned::with_capacity(items * d);
            for start in (0..items).step_by(ITEMS) {
                let end = items.min(start + ITEMS);
                let (x, part) = (&mut x[..(end - start) * d], &mut part[..(end - start) * d]);
                self.gather(start..end, x);
                head.query.forward(self.level, x, true, part);
                queries.extend(part.iter().copied());
            }
            if let Some(head) = &mut self.network.heads[at] {
                head.queries = Some(queries);
            }
        }
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Dimensions and choices of the model.
    pub fn settings(&self) -> &Settings {
        self.model.settings()
    }

    /// Ids of the items. An item's index, which the scorer takes and gives, is its place here:
    /// `scorer.items().find("B0042")`, `scorer.items().get(7)`.
    pub fn items(&self) -> &Ids {
        self.model.items()
    }

    /// The SIMD level of all computations.
    pub fn level(&self) -> Level {
        self.level
    }

    /// Whether the first product of eq 7 of every item was computed ahead ([`ScorerOptions::precompute`]).
    pub fn is_precomputed(&self) -> bool {
        self.network.item.as_ref().is_some_and(|item| item.of_items.is_some())
    }

    /// The tables of the items.
    pub(crate) fn item_rows(&self) -> ItemRows<'_> {
        let d = self.settings().d;
        let table = |at: usize| self.model.tensors()[at].values();
        let categories = self.c.map(|c| Categories { table: table(c), width: d / 2, of: self.model.item_category() });
        let width = if categories.is_some() { d / 2 } else { d };
        ItemRows { items: table(self.v), width, categories, bias: self.bias.map_or(&[], table) }
    }

    /// The item vectors (eq 1) of `ids`, `[ids, d]`.
    pub(super) fn gather(&self, ids: impl Iterator<Item = usize>, out: &mut [f32]) {
        self.item_rows().gather(ids, out);
    }

    /// The item vectors of all items, where they stand as one table.
    pub(super) fn whole_table(&self) -> Option<&[f32]> {
        self.c.is_none().then(|| self.model.tensors()[self.v].values())
    }

    /// The rows of neighbouring items as they are stored, and what stands behind them, where a kernel reads them so: in fewer
    /// bytes than [`Self::whole_table`] has.
    pub(super) fn stored_rows(&self, range: Range<usize>) -> Option<(StoredRows<'_>, Option<Second<'_>>)> {
        let rows = self.item_rows();
        let own = &self.model.tensors()[self.v];
        let second = rows.categories.map(|c| Second { table: c.table, width: c.width, of: &c.of[range.clone()] });
        match own.compact() {
            _ if second.is_some() && !rows.width.is_multiple_of(LANES) => None,
            Some(compact) => Some((compact.rows(range, rows.width), second)),
            None => {
                let numbers = range.start * rows.width..range.end * rows.width;
                second.is_some().then(|| (StoredRows::F32(&rows.items[numbers]), second))
            }
        }
    }
}
