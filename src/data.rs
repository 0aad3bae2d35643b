//! Logs of events: reading, vocabularies, histories, splits and negatives. Knows nothing of models.
//!
//! A log is rows of (user, item, time or position, category). [`read`] takes it from a file,
//! [`LogBuilder`] from whoever hands rows or columns in, [`bundled`] from this program itself. The result is a [`Log`]: a [`Dataset`] of dense ids, one
//! flat array in which a history is a slice, and a [`Vocabulary`] each for users, items and
//! categories. [`train_samples`], [`validation_samples`] and [`test_samples`] say which events are
//! predicted, [`Negatives`] draws what a user never had, [`DataReport`] tells what is in a log.
//!
//! ```
//! use dmran::data::{self, Protocol};
//! let log = data::bundled()?;
//! let test = data::test_samples(&log.dataset, Protocol::Honest);
//! let history = log.dataset.history(test[0].user).before(test[0].target as usize, 100);
//! assert!(!history.is_empty());
//! # Ok::<(), data::DataError>(())
//! ```

mod amazon;
mod assemble;
mod batch;
mod blocks;
mod builder;
mod clocks;
mod columns;
mod containers;
#[cfg(test)]
mod cut_anywhere;
mod dataset;
mod date_digits;
mod delimited;
mod error;
mod fields;
mod files;
mod filter;
mod hints;
mod interner;
mod json;
mod layout;
mod lookalikes;
mod moment;
mod negatives;
mod not_a_header;
mod numbers;
mod object;
mod opened;
mod options;
#[cfg(feature = "parquet")]
mod parquet;
mod plausible;
mod python;
mod read;
pub mod remap;
mod report;
mod sequences;
mod source;
mod split;
mod taken;
pub mod time;
mod time_parts;
mod units;
mod usual_names;
mod vocabulary;

pub use batch::SkipReport;
pub use builder::{Event, EventColumns, LogBuilder};
pub use dataset::{Dataset, Events};
pub use error::{DataError, LineError, Problem};
pub use files::of as files_of;
pub use filter::Filter;
pub use moment::{SplitAt, SplitAtError};
pub use negatives::Negatives;
pub use opened::{Opened, open};
pub use options::{Column, Columns, Duplicates, Format, OnError, Quote, ReadOptions, Ties};
pub use read::{read, read_all, read_from};
pub use report::{DataReport, LengthBin, Lengths, TimeRange};
pub(crate) use report::{date, grouped};
pub use split::{
    Moments, Protocol, Sample, Split, known_events, last_of_each_user, learned_events, test_samples, train_samples,
    validation_samples,
};
pub use taken::Taken;
pub use time::TimeUnit;
pub use units::{LooksLike, unit_of};
pub use vocabulary::Vocabulary;

/// A log that was read: events, names, and what happened on the way.
///
/// Two logs are equal if their events, names, malformed lines and figures are, whatever files they were read from.
#[derive(Debug, Clone)]
pub struct Log {
    /// All events, in dense ids.
    pub dataset: Dataset,
    /// The users' names.
    pub users: Vocabulary,
    /// The items' names.
    pub items: Vocabulary,
    /// The categories' names; empty if items have none.
    pub categories: Vocabulary,
    /// Malformed lines that were left out, of the log and of a meta file.
    pub skipped: SkipReport,
    /// What reading did besides.
    pub stats: ReadStats,
    /// What was taken for what.
    pub taken: Taken,
}

impl PartialEq for Log {
    fn eq(&self, other: &Self) -> bool {
        let Self { dataset, users, items, categories, skipped, stats, taken: _ } = self;
        (dataset, users, items) == (&other.dataset, &other.users, &other.items)
            && (categories, skipped, stats) == (&other.categories, &other.skipped, &other.stats)
    }
}

impl Eq for Log {}

impl Log {
    /// A fingerprint of events and names: equal on every machine and in every run. See
    /// [`Dataset::hash`] for what it is good for.
    pub fn hash(&self) -> u64 {
        let mut hash = dataset::Fnv::new();
        hash.write(&self.dataset.hash().to_le_bytes());
        for vocabulary in [&self.users, &self.items, &self.categories] {
            for name in vocabulary.names() {
                hash.write(&(name.len() as u64).to_le_bytes());
                hash.write(name.as_bytes());
            }
        }
        hash.finish()
    }
}

/// What reading a log did besides collecting its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct ReadStats {
    /// Rows in the log, malformed ones included; lines of a meta file are not counted.
    pub rows: u64,
    /// Rows that the filters left out.
    pub filtered: u64,
    /// Events dropped by [`Duplicates::KeepFirst`].
    pub duplicates_dropped: u64,
    /// Events dropped by the k-core.
    pub core_dropped: u64,
    /// Rows whose category is not the one that their item had first; the first one counts.
    pub category_conflicts: u64,
}

/// The name of the bundled log in messages.
pub const BUNDLED_NAME: &str = "household-goods.csv.zst";

static BUNDLED: &[u8] = include_bytes!("data/bundled/household-goods.csv.zst");

/// The log in this program: first purchases of household goods, 64,291 events of 2,024 users over
/// one year, 2,619 items in 71 categories. Where it comes from: `src/data/bundled/NOTICE`.
///
/// # Errors
/// None that a user can cause; the type is that of [`read`].
pub fn bundled() -> Result<Log, DataError> {
    read_from(BUNDLED, BUNDLED_NAME, &ReadOptions::default())
}
