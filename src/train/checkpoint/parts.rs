//! A checkpoint in parts: a file for each rank that shared the tables, with its own rows, and in the place of a checkpoint the list of
//! them, which is written last. Any number of ranks can go on from it, or a single process.
//!
//! ```text
//! NUMBER-epoch-E-step-S.checkpoint   the list: header of version 4, then a `Manifest`
//! NUMBER-epoch-E-step-S.part-K       rank K's part: a checkpoint of which all tables are cut
//! ```
//! Rank 0 alone reads and writes files; it sends what others need, and gets what they have.

use super::{Allowed, Borrowed, Checkpoint, CheckpointError, Identity, wire};
use crate::train::Fit;
use crate::train::fit::{Best, Point, Snapshot, State};
use crate::train::ranks::Team;
use crate::train::ranks::shares::Shares;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The list of a checkpoint's parts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// Which rows of the tables are in which part.
    shares: Shares,
    /// The checksum of each part.
    checksums: Vec<u64>,
}

/// What stands between the name of a checkpoint and the number of its part.
const PART: &str = "part-";

/// The file of a checkpoint's part.
pub fn file(checkpoint: &Path, part: usize) -> PathBuf {
    checkpoint.with_extension(format!("{PART}{part}"))
}

/// Whether a file's name is that of a part of some checkpoint.
pub fn is_part(name: &Path) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let extension = name.extension().and_then(|extension| extension.to_str());
    extension.and_then(|extension| extension.strip_prefix(PART)).is_some_and(digits)
}

impl Manifest {
    /// Reads a part of the checkpoint `path`.
    pub(super) fn load(&self, path: &Path, part: usize) -> Result<Checkpoint, CheckpointError> {
        self.with(path, part, wire::checkpoint)
    }

    /// Reads all parts of the checkpoint `path` into one.
    pub(super) fn load_all(&self, path: &Path) -> Result<Checkpoint, CheckpointError> {
        let mut whole = self.load(path, 0)?;
        for part in 1..self.checksums.len() {
            whole.append(self.load(path, part)?);
        }
        Ok(whole)
    }

    fn with<T>(
        &self,
        path: &Path,
        part: usize,
        read: impl FnOnce(&mut File, &wire::Header) -> Result<T, CheckpointError>,
    ) -> Result<T, CheckpointError> {
        let file = file(path, part);
        let open = || {
            let mut file = File::open(&file)?;
            let length = file.metadata()?.len();
            let header = wire::open(&mut file, length)?;
            let expected = self.checksums.get(part).copied().unwrap_or_default();
            if header.checksum != expected {
                return Err(CheckpointError::Checksum { found: header.checksum, expected });
            }
            read(&mut file, &header)
        };
        open().map_err(|error| CheckpointError::Part { file: file.clone(), error: Box::new(error) })
    }
}

/// A checkpoint's files, all of which have been found whole.
pub(crate) struct Found {
    path: PathBuf,
    /// Of one in parts.
    manifest: Option<Manifest>,
}

impl Found {
    /// Reads all files of a checkpoint once, and keeps nothing of them.
    pub fn new(path: &Path) -> Result<Found, CheckpointError> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let header = wire::open(&mut file, length)?;
        let manifest = if header.is_manifest() { Some(wire::manifest(&mut file, &header)?) } else { None };
        if let Some(manifest) = &manifest {
            for part in 0..manifest.checksums.len() {
                manifest.with(path, part, |_, _| Ok(()))?;
            }
        }
        Ok(Found { path: path.to_owned(), manifest })
    }

    fn parts(&self) -> usize {
        self.manifest.as_ref().map_or(1, |manifest| manifest.checksums.len())
    }

    fn load(&self, part: usize) -> Result<Checkpoint, CheckpointError> {
        match &self.manifest {
            Some(manifest) => manifest.load(&self.path, part),
            None => Checkpoint::load(&self.path),
        }
    }
}

/// Puts all ranks of a team to where a checkpoint stands; all of them call this, and rank 0 says which it is, if there is any.
/// Whether there was.
///
/// # Errors
/// On rank 0 as [`Checkpoint::resume`]; the others wait for it then, and have to be ended.
pub(crate) fn resume(
    fit: &mut Fit<'_>,
    found: Option<&Found>,
    identity: &Identity,
    allowed: &[Allowed],
) -> Result<bool, CheckpointError> {
    let mut team = std::mem::take(fit.trainer.team_mut());
    let own = deal(&mut team, fit, found, identity, allowed);
    *fit.trainer.team_mut() = team;
    let Some(own) = own? else { return Ok(false) };
    own.check(fit, fit.trainer.own())?;
    let Checkpoint { state, point, rollback, .. } = own;
    fit.go_on_from(state, point, rollback);
    Ok(true)
}

/// What of a checkpoint is this rank's.
fn deal(
    team: &mut Team,
    fit: &Fit<'_>,
    found: Option<&Found>,
    identity: &Identity,
    allowed: &[Allowed],
) -> Result<Option<Checkpoint>, CheckpointError> {
    let (rank, shares, tables) = (team.rank(), fit.trainer.shares(), fit.trainer.model().params().tables());
    let mut own: Option<Checkpoint> = None;
    let mut take = |checkpoint: Checkpoint| match &mut own {
        Some(own) => own.append(checkpoint),
        None => own = Some(checkpoint),
    };
    let parts = team.told(found.map_or(0, Found::parts) as u64) as usize;
    for part in 0..parts {
        let Some(found) = found else {
            for to in 1..team.count() {
                let length = team.told(0);
                let mut bytes = Vec::new();
                team.passes((0, to), length, |piece| bytes.write_all(piece))?;
                if to == rank {
                    take(Checkpoint::from_bytes(&bytes)?);
                }
            }
            continue;
        };
        let checkpoint = found.load(part)?;
        if part == 0 {
            checkpoint.compare(fit, identity, allowed)?;
        }
        let whole = Shares::whole(tables);
        let has = found.manifest.as_ref().map_or(&whole, |manifest| &manifest.shares);
        if !has.fit(tables, parts) {
            return Err(CheckpointError::Payload("the parts are not those of this model's tables".into()));
        }
        let has = has.of(part);
        checkpoint.check(fit, &has)?;
        for to in 1..team.count() {
            let cut = checkpoint.cut(&has, &shares.of(to));
            let length = team.told(wire::length(&cut)?);
            wire::write(&cut, &mut team.sends(to, length))?;
        }
        take(checkpoint.cut(&has, &shares.of(rank)));
    }
    Ok(own)
}

/// Keeps what the ranks of a team share: all of them call this. Rank 0 has `write`, which writes the file of a part, and gets the list of
/// all.
///
/// # Errors
/// What `write` answers; the other ranks wait then, and have to be ended.
#[allow(clippy::type_complexity)]
pub(crate) fn keep(
    fit: &mut Fit<'_>,
    identity: &Identity,
    mut write: Option<&mut dyn FnMut(usize, &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> io::Result<()>>,
) -> Result<Vec<u8>, CheckpointError> {
    let mut team = std::mem::take(fit.trainer.team_mut());
    let mut collect = || {
        let own = Borrowed::of(fit, identity)?;
        let mut checksums = Vec::new();
        for part in 0..team.count() {
            let length = team.told_by(part, wire::length(&own)?);
            match &mut write {
                Some(write) => {
                    let mut checksum = 0;
                    write(part, &mut |out| {
                        let mut noting = Noting { out, head: Vec::new() };
                        match part {
                            0 => wire::write(&own, &mut noting).map_err(io::Error::from)?,
                            _ => team.passes((part, 0), length, |piece| noting.write_all(piece))?,
                        }
                        checksum = wire::checksum_of(&noting.head);
                        Ok(())
                    })?;
                    checksums.push(checksum);
                }
                None if part == team.rank() => wire::write(&own, &mut team.sends(0, length))?,
                None if part > 0 => team.passes((part, 0), length, |_| Ok(()))?,
                None => {}
            }
        }
        let manifest = Manifest { shares: fit.trainer.shares().clone(), checksums };
        let mut bytes = Vec::new();
        wire::write_manifest(&manifest, &mut bytes)?;
        Ok(bytes)
    };
    let result = collect();
    *fit.trainer.team_mut() = team;
    result
}

/// Passes bytes on, and keeps the first of them.
struct Noting<'a> {
    out: &'a mut dyn Write,
    head: Vec<u8>,
}

impl Write for Noting<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        let more = written.min(wire::HEADER.saturating_sub(self.head.len()));
        self.head.extend_from_slice(&bytes[..more]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// What of numbers that stand at `has` is also at `want`, counted from where they begin.
fn common(has: &Range<usize>, want: &Range<usize>) -> Range<usize> {
    let (start, end) = (has.start.max(want.start), has.end.min(want.end));
    if start < end { start - has.start..end - has.start } else { 0..0 }
}

/// The same of each table's list; one that is empty has nothing of any.
fn cut(list: &[f32], of: &Range<usize>) -> Vec<f32> {
    list.get(of.clone()).map_or_else(Vec::new, <[f32]>::to_vec)
}

impl Snapshot {
    fn cut(&self, of: &[Range<usize>]) -> Snapshot {
        let tables = self.tables.iter().zip(of).map(|(table, of)| cut(table, of));
        Snapshot { dense: self.dense.clone(), tables: tables.collect() }
    }

    fn append(&mut self, more: Snapshot) {
        self.tables.iter_mut().zip(more.tables).for_each(|(table, more)| table.extend(more));
    }
}

impl Point {
    fn cut(&self, of: &[Range<usize>]) -> Point {
        let tables = self.tables.iter().zip(of).map(|(states, of)| states.each_ref().map(|state| cut(state, of)));
        Point {
            weights: self.weights.cut(of),
            dense: self.dense.clone(),
            tables: tables.collect(),
            step: self.step,
            average: self.average.as_ref().map(|average| average.cut(of)),
        }
    }

    fn append(&mut self, more: Point) {
        self.weights.append(more.weights);
        let states = self.tables.iter_mut().zip(more.tables).flat_map(|(states, more)| states.iter_mut().zip(more));
        states.for_each(|(state, more)| state.extend(more));
        if let (Some(average), Some(more)) = (&mut self.average, more.average) {
            average.append(more);
        }
    }
}

impl Checkpoint {
    /// What of a checkpoint, whose tables have the numbers `has`, is among those that are wanted.
    fn cut(&self, has: &[Range<usize>], want: &[Range<usize>]) -> Checkpoint {
        let of: Vec<_> = has.iter().zip(want).map(|(has, want)| common(has, want)).collect();
        let State { epoch, position, sums, counted, seconds, reports, halvings, best } = &self.state;
        let best = best.as_ref().map(|Best { epoch, auc, value, weights }| Best {
            epoch: *epoch,
            auc: *auc,
            value: *value,
            weights: weights.cut(&of),
        });
        Checkpoint {
            model: self.model.clone(),
            config: self.config.clone(),
            level: self.level.clone(),
            identity: self.identity.clone(),
            shapes: self.shapes.clone(),
            state: State {
                epoch: *epoch,
                position: *position,
                sums: *sums,
                counted: *counted,
                seconds: *seconds,
                reports: reports.clone(),
                halvings: halvings.clone(),
                best,
            },
            point: self.point.cut(&of),
            rollback: self.rollback.as_ref().map(|point| point.cut(&of)),
        }
    }

    /// Puts what follows at the end of each table.
    fn append(&mut self, more: Checkpoint) {
        self.point.append(more.point);
        if let (Some(best), Some(more)) = (&mut self.state.best, more.state.best) {
            best.weights.append(more.weights);
        }
        if let (Some(point), Some(more)) = (&mut self.rollback, more.rollback) {
            point.append(more);
        }
    }
}
