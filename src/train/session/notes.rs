//! What a session has to say on its way.

use crate::data::{BUNDLED_NAME, LineError, Opened};
use crate::train::config::Adaptation;
use crate::train::memory::Memory;
use dmran_kernels::Level;
use std::fmt;
use std::path::PathBuf;

/// Something to tell whoever trains. Its text is that of the program, without its "note: ".
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Note {
    /// Malformed lines were left out.
    Skipped {
        /// The log.
        log: String,
        /// How many.
        count: u64,
        /// The first of them.
        first: Vec<LineError>,
    },
    /// What was taken for what while the log was read.
    Choices(String),
    /// Something odd about the log, which is no error.
    Odd(String),
    /// The log in one line.
    Log(String),
    /// The model that the training goes on from knows nothing of the log.
    ForeignBase {
        /// Items of the log.
        items: usize,
        /// The log.
        log: String,
        /// The model.
        base: PathBuf,
    },
    /// The training goes on from a model.
    GoingOn {
        /// The model.
        base: PathBuf,
        /// Items that it does not know.
        new: usize,
        /// All items.
        of: usize,
    },
    /// The log does not have all items of the model that the training goes on from.
    Vanished {
        /// The model.
        base: PathBuf,
        /// How many of its items.
        items: usize,
        /// Whether they are dropped.
        dropped: bool,
    },
    /// A setting was taken back that the log has no use for.
    Adapted(Adaptation),
    /// The run begins.
    Begins {
        /// Numbers to learn.
        numbers: usize,
        /// Samples to learn from.
        samples: usize,
        /// The tier of SIMD instructions.
        level: Level,
        /// Threads.
        threads: usize,
    },
    /// Several processes share the run.
    Shared {
        /// How many.
        ranks: usize,
        /// Shards of a batch.
        shards: usize,
    },
    /// What the run will take.
    Memory(Memory),
    /// Users for whom there is no negative.
    HaveEverything {
        /// How many.
        users: usize,
    },
    /// A checkpoint does not load; an older one takes its place.
    BrokenCheckpoint {
        /// The checkpoint.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The run goes on from a checkpoint.
    Resumed {
        /// The checkpoint.
        from: PathBuf,
        /// Whether newer ones did not load.
        older: bool,
        /// Epoch under way (counted from 1), samples of it that are done, samples of an epoch; nothing where the run has
        /// no more to do.
        at: Option<(usize, usize, usize)>,
    },
}

/// How much a note matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Good to know.
    Information,
    /// Something is not as one might think.
    Warning,
    /// Something of the user's was left out or lost: to be said in any case.
    Loss,
}

impl Note {
    /// How much it matters.
    pub fn weight(&self) -> Weight {
        match self {
            Note::Skipped { .. } | Note::ForeignBase { .. } | Note::BrokenCheckpoint { .. } => Weight::Loss,
            // What `time = "auto"` came to is as was asked for.
            Note::Adapted(Adaptation::Moments { .. } | Adaptation::Days) => Weight::Information,
            Note::Odd(_) | Note::Adapted(_) | Note::HaveEverything { .. } => Weight::Warning,
            _ => Weight::Information,
        }
    }

    /// Malformed lines of a log, if any were left out.
    pub fn of_skipped(opened: &Opened) -> Option<Note> {
        let skipped = &opened.log.skipped;
        (skipped.count > 0).then(|| Note::Skipped {
            log: opened.name.clone(),
            count: skipped.count,
            first: skipped.first.clone(),
        })
    }

    /// What was taken for what, and what is odd. Of the bundled log nothing was to be chosen.
    pub fn of_choices(opened: &Opened) -> Vec<Note> {
        if opened.name == BUNDLED_NAME {
            return Vec::new();
        }
        let taken = &opened.log.taken;
        let choices = Note::Choices(format!("{}: {taken}", opened.name));
        std::iter::once(choices).chain(taken.notes.iter().cloned().map(Note::Odd)).collect()
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Note::Skipped { log, count, first } => {
                write!(f, "{log}: {count} malformed lines skipped; the first of them:")?;
                first.iter().try_for_each(|line| write!(f, "\n  {line}"))
            }
            Note::Choices(text) | Note::Odd(text) | Note::Log(text) => f.write_str(text),
            Note::ForeignBase { items, log, base } => {
                let base = base.display();
                write!(f, "not one of the {items} items of {log} is known to {base}: are ids written alike?")
            }
            Note::GoingOn { base, new, of } => {
                write!(f, "going on from {}: {new} of {of} items are new", base.display())
            }
            Note::Vanished { base, items, dropped } => {
                let what = if *dropped { "are dropped" } else { "stay (--vanished drop leaves them out)" };
                write!(f, "{items} items of {} are not in the log and {what}", base.display())
            }
            Note::Adapted(what) => what.fmt(f),
            Note::Begins { numbers, samples, level, threads } => {
                write!(f, "{numbers} numbers to learn from {samples} samples; {level} on {threads} threads")
            }
            Note::Shared { ranks, shards } => {
                write!(
                    f,
                    "{ranks} ranks share the {shards} shards of a batch and the optimiser's state; every rank holds the log and all tables"
                )
            }
            Note::Memory(memory) => write!(f, "memory: about {memory}"),
            Note::HaveEverything { users } => {
                write!(f, "{users} users have every item; there is no negative for them, so they are left out")
            }
            Note::BrokenCheckpoint { path, why } => write!(f, "{}: {why}", path.display()),
            Note::Resumed { from, older, at } => {
                let what = if *older { "going on with the one before" } else { "going on" };
                write!(f, "{what}: {}", from.display())?;
                match at {
                    Some((epoch, done, of)) => write!(f, ", epoch {epoch}, {done} of {of} samples"),
                    None => Ok(()),
                }
            }
        }
    }
}
