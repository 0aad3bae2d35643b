//! The files that a command will write, checked before its work: nothing of the user's is lost, and nothing fails after
//! hours of training that could have failed before.
//!
//! A file may be written where nothing stands, where an empty file stands, or where one of ours of the same kind stands.
//! It is never one that the command reads, by whatever name; never another output; and [`rehearse`] passes: a plain file
//! in a folder that is there and can be written to.

use super::failure::Failure;
use dmran::durable::rehearse;
use dmran::report::PAGE_MARK;
use dmran::scorer::MODEL_MAGIC;
use serde_json::Value;
use std::fmt::Display;
use std::fs::{self, File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};

/// As much of a file as is looked at to tell whose it is; results are JSON as a whole and are read to the end.
const HEAD: u64 = 64 << 10;
const WHOLE: u64 = 64 << 20;

/// What a file is to hold, which tells the existing files that it may replace.
#[derive(Clone, Copy, Debug)]
pub enum Holds {
    /// A model.
    Model,
    /// The page about a run.
    Page,
    /// Something of which this tells the beginning from that of others.
    Known(fn(&[u8]) -> bool),
    /// A file whose end has to be looked at: this reads it.
    #[cfg(feature = "parquet")]
    Parquet(fn(&Path) -> bool),
    /// The report of an experiment or a search.
    Report,
    /// Its results, or its times.
    Results,
    /// One of its charts, which its report (the text) shows.
    Chart,
    /// Whatever stands there: in a folder that is ours the name says enough.
    Ours,
}

impl Holds {
    fn name(self) -> &'static str {
        match self {
            Holds::Model => "model",
            Holds::Page => "page",
            Holds::Known(_) | Holds::Results => "result",
            #[cfg(feature = "parquet")]
            Holds::Parquet(_) => "result",
            Holds::Report => "report",
            Holds::Chart => "chart",
            Holds::Ours => "file",
        }
    }

    /// Whether a file is one that we wrote.
    fn is_ours(self, path: &Path) -> std::io::Result<bool> {
        let mut bytes = Vec::new();
        let most = if matches!(self, Holds::Results) { WHOLE } else { HEAD };
        File::open(path)?.take(most).read_to_end(&mut bytes)?;
        let has = |text: &str| bytes.windows(text.len()).any(|part| part == text.as_bytes());
        Ok(bytes.is_empty()
            || match self {
                Holds::Model => bytes.starts_with(&MODEL_MAGIC),
                Holds::Page => bytes.starts_with(b"<!DOCTYPE html>") && has(PAGE_MARK),
                Holds::Known(is_ours) => is_ours(&bytes),
                #[cfg(feature = "parquet")]
                Holds::Parquet(is_ours) => is_ours(path),
                Holds::Report => bytes.starts_with(b"# ") && has("`dmran ") && has("(dmran "),
                Holds::Results => serde_json::from_slice(&bytes).is_ok_and(|value| is_results(&value)),
                Holds::Chart => has("<svg ") && is_shown(path),
                Holds::Ours => true,
            })
    }
}

fn is_results(value: &Value) -> bool {
    let has = |value: &Value, key: &str| value.get(key).is_some();
    match value {
        Value::Object(_) => has(value, "experiment") || (has(value, "trials") && has(value, "model")),
        Value::Array(all) => {
            let times = |one: &Value| (has(one, "data") && has(one, "runs")) || has(one, "seconds_of_training");
            all.iter().all(times)
        }
        _ => false,
    }
}

/// Whether a report of ours beside the chart shows it.
fn is_shown(chart: &Path) -> bool {
    let (Some(folder), Some(name)) = (chart.parent(), chart.file_name()) else { return false };
    let link = format!("({})", name.to_string_lossy());
    let beside = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut reports = beside.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    reports.any(|path| {
        Holds::Report.is_ours(&path).unwrap_or(false)
            && fs::read_to_string(&path).is_ok_and(|text| text.contains(&link))
    })
}

/// A file by what it is, not by how it is called: links and other spellings are the same file.
#[derive(Clone, Debug, PartialEq)]
enum Identity {
    #[cfg(unix)]
    Inode {
        device: u64,
        inode: u64,
    },
    Place(PathBuf),
}

impl Identity {
    fn of(path: &Path, metadata: &Metadata) -> Identity {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let _ = path;
            Identity::Inode { device: metadata.dev(), inode: metadata.ino() }
        }
        #[cfg(not(unix))]
        {
            let _ = metadata;
            Identity::Place(path.canonicalize().unwrap_or_else(|_| path.to_owned()))
        }
    }

    /// Of a path where nothing may stand yet.
    fn of_output(path: &Path) -> Identity {
        if let Ok(metadata) = fs::metadata(path) {
            return Identity::of(path, &metadata);
        }
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        Identity::Place(folder.join(path.file_name().unwrap_or_default()))
    }
}

/// The outputs of one command, with what they must not be.
pub struct Outputs {
    taken: Vec<(Identity, String)>,
}

impl Outputs {
    /// Outputs of a command that reads these files (a folder: all files in it) and the standard streams.
    ///
    /// # Errors
    /// If standard output is appended to one of the files.
    ///
    /// `logs` are what a log is read from: files, folders or patterns.
    pub fn beside<'a>(
        logs: &[PathBuf],
        inputs: impl IntoIterator<Item = Option<&'a Path>>,
    ) -> Result<Outputs, Failure> {
        let mut taken = Vec::new();
        // A pattern that fits nothing, like a file that is not there, is refused by whoever reads it.
        let mut files: Vec<PathBuf> = logs.to_vec();
        files.extend(logs.iter().flat_map(|log| dmran::data::files_of(log).unwrap_or_default()));
        files.extend(inputs.into_iter().flatten().map(Path::to_owned));
        for input in files.iter().filter(|input| *input != Path::new("-")) {
            // Whoever reads it says what is wrong with it.
            let Ok(metadata) = fs::metadata(input) else { continue };
            let within = fs::read_dir(input).into_iter().flatten().flatten().map(|entry| entry.path());
            for path in within {
                if let Ok(metadata) = fs::metadata(&path) {
                    taken.push((Identity::of(&path, &metadata), format!("{}, which is read", path.display())));
                }
            }
            taken.push((Identity::of(input, &metadata), format!("{}, which is read", input.display())));
        }
        for (name, identity) in streams() {
            if let Some((_, input)) = taken.iter().find(|(one, _)| *one == identity && name == "standard output") {
                return Err(Failure::Input(format!("{name} goes to {input}: name another file")));
            }
            taken.push((identity, name.to_owned()));
        }
        Ok(Outputs { taken })
    }

    /// One file; `flag` is what asked for it.
    pub fn file(&mut self, flag: &str, path: &Path, holds: Holds) -> Result<(), Failure> {
        let wrong = |why: &dyn Display| Failure::Input(format!("{flag} {}: {why}", path.display()));
        let identity = Identity::of_output(path);
        if let Some((_, what)) = self.taken.iter().find(|(one, _)| *one == identity) {
            return Err(wrong(&format!("is {what}: choose another name")));
        }
        free(path, holds).map_err(|why| wrong(&why))?;
        self.taken.push((identity, format!("{flag} {}", path.display())));
        Ok(())
    }

    /// The folder of a run: a new or empty one, or one of an earlier run, whose files may be replaced.
    pub fn run_folder(&mut self, path: &Path) -> Result<(), Failure> {
        if !self.folder("--run", path)? {
            return Ok(());
        }
        let lock = fs::symlink_metadata(path.join("lock"));
        let is_run = lock.is_ok_and(|lock| lock.is_file() && lock.len() == 0)
            && (path.join("checkpoints").is_dir() || files(path) == 1);
        if !is_run && files(path) > 0 {
            return Err(Failure::Input(format!(
                "--run {}: is not empty and is no run folder: name a new one",
                path.display()
            )));
        }
        for name in ["lock", "config.toml", "metrics.jsonl"] {
            self.file("--run", &path.join(name), Holds::Ours)?;
        }
        Ok(())
    }

    /// The folder of an experiment's or a search's results, with the files whose names begin with `name`; `best` is one
    /// more.
    pub fn results(&mut self, path: &Path, name: &str, best: Option<(&str, Holds)>) -> Result<(), Failure> {
        if !self.folder("--out", path)? {
            return Ok(());
        }
        let runs = path.join("runs");
        if !runs.is_dir() && fs::symlink_metadata(&runs).is_ok() {
            return Err(Failure::Input(format!("--out {}: {} is no folder", path.display(), runs.display())));
        }
        let fixed = [("json", Holds::Results), ("md", Holds::Report)];
        for (extension, holds) in fixed {
            self.file("--out", &path.join(format!("{name}.{extension}")), holds)?;
        }
        self.file("--out", &path.join(format!("{name}-times.json")), Holds::Results)?;
        if let Some((best, holds)) = best {
            self.file("--out", &path.join(best), holds)?;
        }
        let charts = fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
        let is_chart = |path: &PathBuf| {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            file.starts_with(name) && file.ends_with(".svg")
        };
        let mut charts: Vec<PathBuf> = charts.filter(is_chart).collect();
        charts.sort();
        charts.iter().try_for_each(|chart| self.file("--out", chart, Holds::Chart))
    }

    /// A folder that is there, or can be made. Returns whether it is there.
    fn folder(&self, flag: &str, path: &Path) -> Result<bool, Failure> {
        let wrong = |why: &dyn Display| Failure::Input(format!("{flag} {}: {why}", path.display()));
        let there = fs::symlink_metadata(path).is_ok();
        if there && !path.is_dir() {
            return Err(wrong(&"is no folder, a folder is needed"));
        }
        // The folder itself, or the nearest one above it in which it will be made.
        let absolute = std::path::absolute(path).map_err(|error| wrong(&error))?;
        let above = absolute.ancestors().find(|above| fs::symlink_metadata(above).is_ok());
        let above = above.unwrap_or(Path::new("/"));
        rehearse(&above.join("dmran"))
            .or_else(|error| match above.join("dmran").exists() {
                // Something of that name stands there: any other does.
                true => rehearse(&above.join(format!("dmran-{}", std::process::id()))),
                false => Err(error),
            })
            .map_err(|error| wrong(&format!("cannot be written to: {error}")))?;
        Ok(there)
    }
}

/// Whether a file may be written, apart from what else the command reads and writes: asked again after long work, in
/// which something else may have got that name.
pub fn free(path: &Path, holds: Holds) -> Result<(), String> {
    rehearse(path).map_err(|error| match error.raw_os_error() {
        Some(_) => format!("cannot be written: {error}"),
        None => error.to_string(),
    })?;
    if path.exists() && !holds.is_ours(path).map_err(|error| error.to_string())? {
        let what = holds.name();
        return Err(format!("exists and is no {what} of dmran's: remove it first or choose another name"));
    }
    Ok(())
}

/// How many things there are in a folder.
fn files(path: &Path) -> usize {
    fs::read_dir(path).map_or(0, Iterator::count)
}

/// The standard streams that are plain files.
fn streams() -> Vec<(&'static str, Identity)> {
    #[cfg(unix)]
    {
        use std::io::{stderr, stdin, stdout};
        use std::os::fd::AsFd;
        let (input, out, err) = (stdin(), stdout(), stderr());
        let all =
            [("standard input", input.as_fd()), ("standard output", out.as_fd()), ("standard error", err.as_fd())];
        let identity = |fd: std::os::fd::BorrowedFd<'_>| {
            let metadata = File::from(fd.try_clone_to_owned().ok()?).metadata().ok()?;
            metadata.is_file().then(|| Identity::of(Path::new(""), &metadata))
        };
        all.into_iter().filter_map(|(name, fd)| Some((name, identity(fd)?))).collect()
    }
    #[cfg(not(unix))]
    Vec::new()
}
