//! A run on disk, in a folder of its own.
//!
//! ```text
//! DIR/config.toml    all settings
//! DIR/protocol.json  what its figures are measured by
//! DIR/metrics.jsonl  one line an epoch: its report
//! DIR/checkpoints/   the last few: NUMBER-epoch-E-step-S.checkpoint, highest number = newest; of several ranks with a file for each
//! DIR/model.dmran    the model, at the end (written by the program)
//! DIR/lock           held while a trainer works here; the operating system lets go of it whatever happens
//! ```
//! Each file is written whole or not at all. A checkpoint that was written is never changed, only removed once enough
//! newer ones stand beside it.

mod error;

use crate::durable::{Disk, Storage, is_temporary, write_atomically_on};
use crate::train::Fit;
use crate::train::checkpoint::parts::{self, Found};
use crate::train::checkpoint::{Allowed, Checkpoint, CheckpointError, Identity};
use crate::train::fit::Keep;
use crate::train::stamp::Stamp;
pub use error::RunFolderError;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const CONFIG: &str = "config.toml";
const METRICS: &str = "metrics.jsonl";
const STAMP: &str = "protocol.json";
const CHECKPOINTS: &str = "checkpoints";
const SUFFIX: &str = ".checkpoint";
const LOCK: &str = "lock";
/// The model's name in the folder.
const MODEL: &str = "model.dmran";

/// When a run folder writes and what it keeps.
#[derive(Clone, Copy, Debug)]
pub struct RunOptions {
    /// Checkpoints to keep, at least 1.
    pub keep: usize,
    /// Time between two checkpoints within an epoch; zero asks for one after each step.
    pub every: Duration,
}

impl Default for RunOptions {
    /// The last three, one every ten minutes.
    fn default() -> RunOptions {
        RunOptions { keep: 3, every: Duration::from_secs(600) }
    }
}

/// A folder of one run, locked against other trainers for as long as this lives.
///
/// ```no_run
/// # use dmran::train::checkpoint::Identity;
/// # use dmran::train::{Fit, RunFolder};
/// # fn example(log: &dmran::data::Log, mut fit: Fit<'_>) -> Result<(), Box<dyn std::error::Error>> {
/// let mut folder = RunFolder::open("runs/first", Default::default())?;
/// // Goes on where a run in this folder stopped, or begins one.
/// folder.start(&mut fit, Identity::of(log), &[])?;
/// fit.run_keeping(&mut (), &mut folder)?;
/// # Ok(())
/// # }
/// ```
pub struct RunFolder {
    path: PathBuf,
    options: RunOptions,
    storage: Box<dyn Storage>,
    identity: Option<Identity>,
    /// Held until it is dropped.
    _lock: File,
    last: Instant,
    /// Epoch, position and halvings of the newest checkpoint.
    newest: Option<(usize, usize, usize)>,
    /// Checkpoints that do not load: they go first.
    broken: Vec<PathBuf>,
}

/// How a run started.
#[derive(Debug)]
pub enum Started {
    /// There was no checkpoint: from the beginning.
    Fresh,
    /// From a checkpoint.
    Resumed {
        /// Its file.
        from: PathBuf,
        /// Newer ones that did not load, and why.
        skipped: Vec<(PathBuf, CheckpointError)>,
    },
}

impl RunFolder {
    /// Opens a folder, which may not exist yet, and locks it.
    ///
    /// # Errors
    /// [`RunFolderError::Locked`] if another trainer works there, [`RunFolderError::Foreign`] if it holds something
    /// else, [`RunFolderError::Io`].
    pub fn open(path: impl AsRef<Path>, options: RunOptions) -> Result<RunFolder, RunFolderError> {
        RunFolder::open_on(Box::new(Disk), path, options)
    }

    /// [`RunFolder::open`] with writes going through `storage`.
    ///
    /// # Errors
    /// As [`RunFolder::open`].
    pub fn open_on(
        storage: Box<dyn Storage>,
        path: impl AsRef<Path>,
        options: RunOptions,
    ) -> Result<RunFolder, RunFolderError> {
        let path = path.as_ref().to_owned();
        fs::create_dir_all(&path).map_err(RunFolderError::io("create", &path))?;
        let lock = path.join(LOCK);
        if !lock.exists() && fs::read_dir(&path).map_err(RunFolderError::io("read", &path))?.next().is_some() {
            return Err(RunFolderError::Foreign { path });
        }
        let file = File::options().create(true).truncate(false).write(true).open(&lock);
        let file = file.map_err(RunFolderError::io("open", &lock))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(RunFolderError::Locked { path }),
            Err(TryLockError::Error(error)) => return Err(RunFolderError::io("lock", &lock)(error)),
        }
        let checkpoints = path.join(CHECKPOINTS);
        fs::create_dir_all(&checkpoints).map_err(RunFolderError::io("create", &checkpoints))?;
        Ok(RunFolder {
            path,
            options: RunOptions { keep: options.keep.max(1), ..options },
            storage,
            identity: None,
            _lock: file,
            last: Instant::now(),
            newest: None,
            broken: Vec::new(),
        })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the model belongs.
    pub fn model_path(&self) -> PathBuf {
        self.path.join(MODEL)
    }

    /// The checkpoints, oldest first.
    ///
    /// # Errors
    /// If the folder cannot be read.
    pub fn checkpoints(&self) -> Result<Vec<PathBuf>, RunFolderError> {
        Ok(self.numbered()?.into_iter().map(|(_, path)| path).collect())
    }

    fn numbered(&self) -> Result<Vec<(u64, PathBuf)>, RunFolderError> {
        let folder = self.path.join(CHECKPOINTS);
        let mut found = Vec::new();
        for entry in fs::read_dir(&folder).map_err(RunFolderError::io("read", &folder))? {
            let entry = entry.map_err(RunFolderError::io("read", &folder))?;
            let name = entry.file_name();
            let number = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)?.split('-').next()?.parse().ok());
            found.extend(number.map(|number: u64| (number, entry.path())));
        }
        found.sort_unstable();
        Ok(found)
    }

    /// The newest checkpoint that loads, and the newer ones that do not. Nothing is written.
    ///
    /// # Errors
    /// [`RunFolderError::NoneLoads`] if there are checkpoints but none of them can be read.
    #[allow(clippy::type_complexity)]
    pub fn newest(&self) -> Result<Option<(PathBuf, Checkpoint, Vec<(PathBuf, CheckpointError)>)>, RunFolderError> {
        self.newest_by(|path| Checkpoint::load(path))
    }

    /// The newest checkpoint of which `read` makes something, and the newer ones that are damaged.
    #[allow(clippy::type_complexity)]
    fn newest_by<T>(
        &self,
        read: impl Fn(&Path) -> Result<T, CheckpointError>,
    ) -> Result<Option<(PathBuf, T, Vec<(PathBuf, CheckpointError)>)>, RunFolderError> {
        let mut skipped = Vec::new();
        for path in self.checkpoints()?.into_iter().rev() {
            match read(&path) {
                Ok(checkpoint) => return Ok(Some((path, checkpoint, skipped))),
                Err(error) if error.is_damage() => skipped.push((path, error)),
                Err(error) => return Err(RunFolderError::Checkpoint { path, error }),
            }
        }
        if skipped.is_empty() { Ok(None) } else { Err(RunFolderError::NoneLoads { skipped }) }
    }

    /// Puts `fit` to where the run in this folder stopped, or begins a run; where ranks share it, rank 0 calls this, and the others
    /// follow. Afterwards the folder's settings and
    /// metrics are those of the run up to there, and what an interrupted write left behind is gone.
    ///
    /// # Errors
    /// [`RunFolderError::NoneLoads`]; [`RunFolderError::Checkpoint`] where settings, log or names have changed in a
    /// way that `allowed` does not name. Neither `fit` nor the folder is touched then.
    pub fn start(
        &mut self,
        fit: &mut Fit<'_>,
        identity: Identity,
        allowed: &[Allowed],
    ) -> Result<Started, RunFolderError> {
        let resumed = if fit.trainer.team().is_alone() {
            let newest = self.newest()?;
            newest.map(|(from, checkpoint, skipped)| (checkpoint.resume(fit, &identity, allowed), from, skipped))
        } else {
            let newest = self.newest_by(Found::new)?;
            let resumed = parts::resume(fit, newest.as_ref().map(|(_, found, _)| found), &identity, allowed);
            newest.map(|(from, _, skipped)| (resumed.map(|_| ()), from, skipped))
        };
        let started = match resumed {
            None => Started::Fresh,
            Some((resumed, from, skipped)) => {
                resumed.map_err(|error| RunFolderError::Checkpoint { path: from.clone(), error })?;
                self.newest = Some(mark(fit));
                self.broken = skipped.iter().map(|(path, _)| path.clone()).collect();
                Started::Resumed { from, skipped }
            }
        };
        self.identity = Some(identity);
        self.remove_orphans()?;
        let config = toml::to_string(fit.config()).map_err(|error| RunFolderError::Text(error.to_string()))?;
        self.write(&self.path.join(CONFIG), config.as_bytes())?;
        self.write_metrics(fit)?;
        self.last = Instant::now();
        Ok(started)
    }

    /// Temporary files of a writer that was killed. We hold the lock, so nobody is writing here now.
    fn remove_orphans(&self) -> Result<(), RunFolderError> {
        for folder in [self.path.clone(), self.path.join(CHECKPOINTS)] {
            for entry in fs::read_dir(&folder).map_err(RunFolderError::io("read", &folder))? {
                let entry = entry.map_err(RunFolderError::io("read", &folder))?;
                let name = entry.file_name();
                let Some(name) = name.to_str() else { continue };
                let path = entry.path();
                let ours = [CONFIG, STAMP, METRICS, MODEL].iter().any(|target| is_temporary(name, target));
                let target = name.strip_prefix('.').and_then(|name| name.strip_suffix(".tmp")?.rsplit_once('.'));
                let kept = |target: &str| target.ends_with(SUFFIX) || parts::is_part(Path::new(target));
                let ours = ours || target.is_some_and(|(target, _)| kept(target) && is_temporary(name, target));
                // Parts whose list was not written.
                let listed = || path.with_extension(&SUFFIX[1..]).exists();
                if ours || parts::is_part(&path) && !listed() {
                    self.storage.remove(&path).map_err(RunFolderError::io("remove", &path))?;
                }
            }
        }
        Ok(())
    }

    /// Writes what the run's figures are measured by.
    ///
    /// # Errors
    /// What the operating system answers.
    pub fn write_stamp(&self, stamp: &Stamp) -> Result<(), RunFolderError> {
        let mut text = serde_json::to_vec_pretty(stamp).map_err(|error| RunFolderError::Text(error.to_string()))?;
        text.push(b'\n');
        self.write(&self.path.join(STAMP), &text)
    }

    /// Removes a checkpoint, then the parts that it lists.
    fn remove(&self, path: &Path) -> Result<(), RunFolderError> {
        let remove = |path: &Path| self.storage.remove(path).map_err(RunFolderError::io("remove", path));
        remove(path)?;
        let parts = (0..).map(|part| parts::file(path, part)).take_while(|part| part.exists());
        parts.into_iter().try_for_each(|part| remove(&part))
    }

    fn write(&self, path: &Path, content: &[u8]) -> Result<(), RunFolderError> {
        let written = write_atomically_on(&*self.storage, path, |out| out.write_all(content));
        written.map_err(RunFolderError::io("write", path))
    }

    fn write_metrics(&self, fit: &Fit<'_>) -> Result<(), RunFolderError> {
        let mut text = Vec::new();
        for report in &fit.state.reports {
            serde_json::to_writer(&mut text, report).map_err(|error| RunFolderError::Text(error.to_string()))?;
            text.push(b'\n');
        }
        self.write(&self.path.join(METRICS), &text)
    }

    /// Writes a checkpoint of the run as it stands, unless the newest one is of this very moment, and removes the
    /// oldest beyond those to keep. Where ranks share the run, rank 0 calls this, and the others follow.
    ///
    /// # Errors
    /// [`RunFolderError::Save`]; the checkpoints before it are untouched then.
    ///
    /// # Panics
    /// If [`RunFolder::start`] was not called.
    pub fn save(&mut self, fit: &mut Fit<'_>) -> Result<(), RunFolderError> {
        let identity = self.identity.as_ref().expect("a run folder saves the run that it started");
        let save = u64::from(self.newest != Some(mark(fit)));
        if fit.trainer.team_mut().told(save) == 0 {
            return Ok(());
        }
        let old = self.numbered()?;
        let number = old.last().map_or(1, |(number, _)| number.saturating_add(1));
        let (epoch, step) = (fit.state.epoch, fit.trainer.optimizer.step);
        let name = format!("{number:08}-epoch-{epoch}-step-{step}{SUFFIX}");
        let path = self.path.join(CHECKPOINTS).join(name);
        let storage = &*self.storage;
        let written = if fit.trainer.team().is_alone() {
            write_atomically_on(storage, &path, |out| Checkpoint::write(fit, identity, out).map_err(io::Error::from))
        } else {
            // The list comes last: without it the parts are nothing.
            let kept = parts::keep(
                fit,
                identity,
                Some(&mut |part, content| write_atomically_on(storage, &parts::file(&path, part), |out| content(out))),
            );
            kept.map_err(io::Error::from)
                .and_then(|list| write_atomically_on(storage, &path, |out| out.write_all(&list)))
        };
        let good = || old.iter().map(|(_, path)| path).filter(|path| !self.broken.contains(path));
        if let Err(error) = written {
            return Err(RunFolderError::Save { path, error, before: good().next_back().cloned() });
        }
        self.newest = Some(mark(fit));
        let good: Vec<&PathBuf> = good().collect();
        let extra = (good.len() + 1).saturating_sub(self.options.keep);
        for path in self.broken.iter().chain(good.into_iter().take(extra)) {
            self.remove(path)?;
        }
        self.broken.clear();
        self.last = Instant::now();
        Ok(())
    }
}

/// What the other ranks do while rank 0 has the run folder: they follow.
pub(crate) struct Follower(pub Identity);

impl Follower {
    /// Follows [`RunFolder::start`].
    pub fn start(&self, fit: &mut Fit<'_>) -> Result<(), CheckpointError> {
        parts::resume(fit, None, &self.0, &Allowed::ALL).map(|_| ())
    }
}

impl Keep for Follower {
    /// Follows [`RunFolder::save`].
    fn keep(&mut self, run: &mut Fit<'_>) -> Result<(), RunFolderError> {
        if run.trainer.team_mut().told(0) == 0 {
            return Ok(());
        }
        match parts::keep(run, &self.0, None) {
            Ok(_) => Ok(()),
            Err(error) => Err(RunFolderError::Text(error.to_string())),
        }
    }
}

impl Keep for RunFolder {
    fn due(&mut self) -> bool {
        self.last.elapsed() >= self.options.every
    }

    fn keep(&mut self, run: &mut Fit<'_>) -> Result<(), RunFolderError> {
        self.save(run)?;
        if run.state.position == 0 { self.write_metrics(run) } else { Ok(()) }
    }
}

/// The length of the newest checkpoint, of all its parts, in a folder that may be a run folder, 0 without one.
pub(crate) fn newest_length(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder.join(CHECKPOINTS)).into_iter().flatten().flatten();
    let checkpoints = entries.map(|entry| entry.path()).filter(|path| path.to_string_lossy().ends_with(SUFFIX));
    let length = |path: &Path| fs::metadata(path).ok().map(|metadata| metadata.len());
    let Some(newest) = checkpoints.max() else { return 0 };
    let parts = (0..).map_while(|part| length(&parts::file(&newest, part)));
    length(&newest).unwrap_or(0) + parts.sum::<u64>()
}

/// Tells one moment of a run from another.
fn mark(fit: &Fit<'_>) -> (usize, usize, usize) {
    (fit.state.epoch, fit.state.position, fit.state.halvings.len())
}
