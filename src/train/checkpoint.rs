//! A run on disk: everything that it takes to go on, to the same bits, as if it had never stopped.
//!
//! ```text
//! header   32 bytes: magic "DMRANRUN", version (u32), zero (u32), length of the payload (u64), checksum (u64)
//! payload  a `Checkpoint`, by serde and bincode (integers of fixed length, little-endian)
//! ```
//! The checksum covers the header's first 24 bytes and the payload. Only `wire` knows bincode. The order of samples,
//! negatives and dropout masks are functions of seed, epoch and position ([`super::sampler`]): no generator has a state
//! to keep. Of several ranks each has a part of it (`parts`).

mod compare;
mod error;
pub(crate) mod parts;
mod wire;

use crate::autograd::params::Params;
use crate::train::Fit;
use crate::train::fit::{Point, Snapshot, State};
pub use compare::{Allowed, Difference, Identity, UnknownAllowed};
pub use error::CheckpointError;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Cursor, Write};
use std::ops::Range;
use std::path::Path;
#[doc(hidden)]
pub use wire::repair as repair_checksum;

/// A run as it stood between two steps.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Name of the model.
    pub model: String,
    /// All settings of the run as TOML.
    pub config: String,
    /// The tier of instructions that computed.
    pub level: String,
    /// The log's content and names.
    pub identity: Identity,
    /// Names and shapes of the weights, then of the tables.
    pub shapes: Vec<(String, usize, usize)>,
    /// Where the run stands, with the best epoch's weights.
    pub state: State,
    /// Weights and optimiser.
    pub point: Point,
    /// The start of the epoch under way, where `on_nan` may have to go back to it.
    pub rollback: Option<Point>,
}

/// The parts of a [`Checkpoint`], borrowed from a run: the same bytes without a copy of the weights.
#[derive(Serialize)]
struct Borrowed<'a> {
    model: &'a str,
    config: String,
    level: String,
    identity: &'a Identity,
    shapes: Vec<(&'a str, usize, usize)>,
    state: &'a State,
    point: BorrowedPoint<'a>,
    rollback: Option<&'a Point>,
}

#[derive(Serialize)]
struct BorrowedPoint<'a> {
    weights: BorrowedSnapshot<'a>,
    dense: &'a [Vec<f32>; 2],
    tables: &'a Vec<[Vec<f32>; 2]>,
    step: u64,
    average: Option<&'a Snapshot>,
}

#[derive(Serialize)]
struct BorrowedSnapshot<'a> {
    dense: &'a [f32],
    tables: Vec<&'a [f32]>,
}

impl<'a> Borrowed<'a> {
    fn of(fit: &'a Fit<'_>, identity: &'a Identity) -> Result<Borrowed<'a>, CheckpointError> {
        let (trainer, params) = (&fit.trainer, fit.trainer.model().params());
        let optimizer = &trainer.optimizer;
        Ok(Borrowed {
            model: trainer.model().name(),
            config: compare::config_text(fit.config())?,
            level: trainer.level().to_string(),
            identity,
            shapes: shapes(params).collect(),
            state: &fit.state,
            point: BorrowedPoint {
                weights: BorrowedSnapshot {
                    dense: params.trained(),
                    tables: params.tables().iter().zip(trainer.own()).map(|(t, own)| &t.data[own.clone()]).collect(),
                },
                dense: &optimizer.dense,
                tables: &optimizer.tables,
                step: optimizer.step,
                average: trainer.average.as_ref(),
            },
            rollback: fit.rollback(),
        })
    }
}

fn shapes(params: &Params) -> impl Iterator<Item = (&str, usize, usize)> {
    let dense = params.specs().iter().filter(|spec| !spec.derived);
    let tables = params.tables().iter().map(|table| (&*table.name, table.rows, table.cols));
    dense.map(|spec| (&*spec.name, spec.var.rows, spec.var.cols)).chain(tables)
}

impl Checkpoint {
    /// Reads a checkpoint from bytes: any bytes give a checkpoint or a typed error.
    ///
    /// # Errors
    /// Whatever is wrong with the bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Checkpoint, CheckpointError> {
        let mut file = Cursor::new(bytes);
        let header = wire::open(&mut file, bytes.len() as u64)?;
        wire::checkpoint(&mut file, &header)
    }

    /// The checkpoint as bytes.
    ///
    /// # Errors
    /// None but lengths beyond 64 bits.
    pub fn to_bytes(&self) -> Result<Vec<u8>, CheckpointError> {
        let mut out = Vec::new();
        wire::write(self, &mut out)?;
        Ok(out)
    }

    /// Reads a checkpoint's file, in the memory that its numbers take; with the files beside it, where it is one in parts.
    ///
    /// # Errors
    /// If the file cannot be read, or as [`Checkpoint::from_bytes`].
    pub fn load(path: impl AsRef<Path>) -> Result<Checkpoint, CheckpointError> {
        let mut file = File::open(&path)?;
        let length = file.metadata()?.len();
        let header = wire::open(&mut file, length)?;
        match header.is_manifest() {
            true => wire::manifest(&mut file, &header)?.load_all(path.as_ref()),
            false => wire::checkpoint(&mut file, &header),
        }
    }

    /// Writes a run as it stands: the bytes of its checkpoint (of one of several ranks its part), without a copy of its weights.
    ///
    /// # Errors
    /// What `out` answers.
    pub fn write(fit: &Fit<'_>, identity: &Identity, out: &mut dyn Write) -> Result<(), CheckpointError> {
        wire::write(&Borrowed::of(fit, identity)?, out)
    }

    /// Puts the run that was kept in place of `fit`, which goes on from there to the same bits as a run that was never
    /// stopped. Everything is compared first: where anything differs that `allowed` does not name, `fit` is untouched.
    ///
    /// # Errors
    /// [`CheckpointError::Data`], [`CheckpointError::Vocabulary`], [`CheckpointError::Config`] with the differences,
    /// and errors for a checkpoint that is not of this model or contradicts itself.
    pub fn resume(self, fit: &mut Fit<'_>, identity: &Identity, allowed: &[Allowed]) -> Result<(), CheckpointError> {
        self.compare(fit, identity, allowed)?;
        self.check(fit, fit.trainer.own())?;
        let Checkpoint { state, point, rollback, .. } = self;
        fit.go_on_from(state, point, rollback);
        Ok(())
    }

    /// Every length against the model, of whose tables the numbers `own` are here, and the numbers against each other.
    fn check(&self, fit: &Fit<'_>, own: &[Range<usize>]) -> Result<(), CheckpointError> {
        let params = fit.trainer.model().params();
        if self.model != fit.trainer.model().name() {
            let (found, expected) = (self.model.clone(), fit.trainer.model().name().to_owned());
            return Err(CheckpointError::Shapes { what: "the model".into(), found, expected });
        }
        let expected: Vec<_> = shapes(params).collect();
        let text = |shape: Option<(&str, usize, usize)>| match shape {
            Some((name, rows, cols)) => format!("{name} [{rows}, {cols}]"),
            None => "nothing".into(),
        };
        for at in 0..expected.len().max(self.shapes.len()) {
            let found = self.shapes.get(at).map(|(name, rows, cols)| (&**name, *rows, *cols));
            let expected = expected.get(at).copied();
            if found != expected {
                let what = format!("weight {at}");
                return Err(CheckpointError::Shapes { what, found: text(found), expected: text(expected) });
            }
        }
        let lengths = |what: &str, found: &[usize], expected: &[usize]| match found == expected {
            true => Ok(()),
            false => Err(CheckpointError::Shapes {
                what: format!("lengths of {what}"),
                found: format!("{found:?}"),
                expected: format!("{expected:?}"),
            }),
        };
        let of = |snapshot: &Snapshot| -> Vec<usize> {
            [snapshot.dense.len()].into_iter().chain(snapshot.tables.iter().map(Vec::len)).collect()
        };
        let state_of = |dense: &[Vec<f32>; 2], tables: &[[Vec<f32>; 2]]| -> Vec<usize> {
            [dense].into_iter().chain(tables).flatten().map(Vec::len).collect()
        };
        let weights: Vec<usize> = [params.trained().len()].into_iter().chain(own.iter().map(Range::len)).collect();
        let states = fit.trainer.config().optimizer.states();
        let optimizer: Vec<usize> =
            weights.iter().flat_map(|len| [states > 0, states > 1].map(|is| if is { *len } else { 0 })).collect();
        for point in [&self.point].into_iter().chain(&self.rollback) {
            lengths("the weights", &of(&point.weights), &weights)?;
            lengths("the optimiser's state", &state_of(&point.dense, &point.tables), &optimizer)?;
            if let Some(average) = &point.average {
                lengths("the weights' average", &of(average), &weights)?;
            }
        }
        if let Some(best) = &self.state.best {
            lengths("the best epoch's weights", &of(&best.weights), &weights)?;
        }
        let State { epoch, position, reports, .. } = &self.state;
        lengths("the epochs' reports", &[reports.len()], &[*epoch])?;
        if *position > fit.train().len() {
            return Err(CheckpointError::Shapes {
                what: "the position in the epoch".into(),
                found: position.to_string(),
                expected: format!("at most {}", fit.train().len()),
            });
        }
        Ok(())
    }
}
