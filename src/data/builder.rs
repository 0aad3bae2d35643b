//! Where all readers put what they read, and where columns can be handed in that come from elsewhere.

use super::amazon::Meta;
use super::assemble::{Assembled, assemble};
use super::batch::{Batch, Cell, Interners, Kind, Oddities, SkipReport};
use super::columns::{Plan, Role, plan};
use super::error::DataError;
use super::options::{Column, Columns, OnError, ReadOptions};
use super::taken::Taken;
use super::time::{Moment, of_integer};
use super::{Log, ReadStats, TimeUnit};

/// What a reader got out of one file.
pub(crate) struct FileRead {
    pub file: String,
    /// Lines above the first batch.
    pub lines_before: u64,
    /// What its times were read as.
    pub unit: TimeUnit,
    /// The columns; `None` for files without.
    pub plan: Option<Plan>,
    /// In the order of the file.
    pub batches: Vec<Batch>,
    /// What the file is, in words.
    pub how: String,
    pub notes: Vec<String>,
}

/// An event that is handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Event<'a> {
    /// Who.
    pub user: &'a str,
    /// What.
    pub item: &'a str,
    /// When, in the options' [`time_unit`](ReadOptions::time_unit) since 1970; all events of a log have it or none.
    pub time: Option<i64>,
    /// The item's category; the first one of an item counts.
    pub category: Option<&'a str>,
}

/// Events by columns, each as long as the others.
#[derive(Debug, Clone, Copy, Default)]
pub struct EventColumns<'a> {
    /// Who.
    pub users: &'a [&'a str],
    /// What.
    pub items: &'a [&'a str],
    /// When, in the options' [`time_unit`](ReadOptions::time_unit) since 1970; `None` where the order alone is known.
    pub times: Option<&'a [i64]>,
    /// Categories of the items; empty text for none.
    pub categories: Option<&'a [&'a str]>,
}

/// Builds a [`Log`] from rows or columns; what reads files builds it here too.
///
/// ```
/// use dmran::data::{Event, LogBuilder, ReadOptions};
/// let mut builder = LogBuilder::new(ReadOptions::default());
/// for (user, item, time) in [("ann", "tea", 1_700_000_200), ("ann", "cup", 1_700_000_100)] {
///     builder.push(Event { user, item, time: Some(time), category: None })?;
/// }
/// let log = builder.finish()?;
/// assert_eq!(log.items.name(log.dataset.history(0).items[0]), "cup");
/// # Ok::<(), dmran::data::DataError>(())
/// ```
pub struct LogBuilder {
    options: ReadOptions,
    names: Interners,
    batches: Vec<Batch>,
    /// Rows that were handed in one by one and wait for their numbers.
    waiting: Batch,
    /// Rows handed in, for messages.
    handed_in: u64,
    /// Which columns rows that are handed in have: with times, with categories.
    shape: Option<bool>,
    skipped: SkipReport,
    rows: u64,
    filtered: u64,
    taken: Taken,
    first_file: Option<String>,
    /// Rows of record batches so far.
    #[cfg(feature = "parquet")]
    pub(crate) arrow_rows: u64,
}

/// Rows that wait before their names get numbers.
const WAITING: usize = 1 << 16;

/// What messages call rows that come from no file.
const HANDED_IN: &str = "rows";

impl LogBuilder {
    /// An empty log. Of the options count those that are not of the layout of files: units, duplicates, ties, k-core, the
    /// longest id, and what to do with malformed rows.
    pub fn new(options: ReadOptions) -> Self {
        Self {
            options,
            names: Interners::new(),
            batches: Vec::new(),
            waiting: Batch::default(),
            handed_in: 0,
            shape: None,
            skipped: SkipReport::default(),
            rows: 0,
            filtered: 0,
            taken: Taken::default(),
            first_file: None,
            #[cfg(feature = "parquet")]
            arrow_rows: 0,
        }
    }

    #[cfg(feature = "parquet")]
    pub(crate) fn options(&self) -> &ReadOptions {
        &self.options
    }

    #[cfg(feature = "parquet")]
    pub(crate) fn files(&self) -> usize {
        self.taken.files
    }

    #[cfg(feature = "parquet")]
    pub(crate) fn set_files(&mut self, files: usize) {
        self.taken.files = files;
    }

    pub(crate) fn names(&self) -> &Interners {
        &self.names
    }

    /// Adds an event, behind those that were added before.
    ///
    /// # Errors
    /// [`DataError::Line`] for an empty or overlong id (with [`OnError::Skip`] the event is counted and left out), and for an
    /// event without a time where others have one, or the other way round.
    pub fn push(&mut self, event: Event<'_>) -> Result<(), DataError> {
        self.handed_in += 1;
        let timed = *self.shape.get_or_insert(event.time.is_some());
        if timed != event.time.is_some() {
            let which = if timed {
                "has no time, but those before it have"
            } else {
                "has a time, but those before it have none"
            };
            return Err(DataError::Options(format!("event {} {which}", self.handed_in)));
        }
        let plan = handed_in(timed);
        let moment = event.time.map_or(Moment::default(), |time| of_integer(time, self.options.time_unit));
        let time = event.time.map(|time| time.to_string()).unwrap_or_default();
        let when =
            Cell { kind: if time.is_empty() { Kind::Moment(moment) } else { Kind::Integer }, text: time.as_bytes() };
        let cell = |slot: usize| match slot {
            0 => Cell::text(event.user.as_bytes()),
            1 => Cell::text(event.item.as_bytes()),
            2 if timed => when,
            _ => Cell::text(event.category.unwrap_or_default().as_bytes()),
        };
        self.waiting.rows += 1;
        if let Err(rejected) = self.waiting.push(&self.options, &plan, self.handed_in, cell) {
            self.waiting.reject(HANDED_IN, self.handed_in, Some(&plan), rejected);
            if self.options.on_error == OnError::Fail {
                let first = self.waiting.skipped.first.pop();
                return Err(first.map_or_else(|| DataError::Options("a malformed row".into()), DataError::Line));
            }
        }
        if self.waiting.len() >= WAITING { self.flush() } else { Ok(()) }
    }

    /// Adds events by columns.
    ///
    /// # Errors
    /// As [`push`](Self::push), and for columns of different lengths.
    pub fn push_columns(&mut self, columns: &EventColumns<'_>) -> Result<(), DataError> {
        let rows = columns.users.len();
        let lengths = [
            ("items", Some(columns.items.len())),
            ("times", columns.times.map(<[i64]>::len)),
            ("categories", columns.categories.map(<[&str]>::len)),
        ];
        for (what, length) in lengths {
            if let Some(length) = length.filter(|length| *length != rows) {
                return Err(DataError::Options(format!("{length} {what} for {rows} users")));
            }
        }
        for row in 0..rows {
            self.push(Event {
                user: columns.users[row],
                item: columns.items[row],
                time: columns.times.map(|times| times[row]),
                category: columns.categories.map(|categories| categories[row]),
            })?;
        }
        Ok(())
    }

    /// Gives the rows that wait their numbers.
    fn flush(&mut self) -> Result<(), DataError> {
        let mut batch = std::mem::take(&mut self.waiting);
        if batch.rows == 0 {
            return Ok(());
        }
        batch.intern(&self.names)?;
        // Lines were counted from the first row that was handed in.
        batch.lines = 0;
        let (plan, how) = (handed_in(self.shape.unwrap_or(false)), HANDED_IN.to_owned());
        self.add(FileRead {
            file: HANDED_IN.into(),
            lines_before: 0,
            unit: self.options.time_unit,
            plan: Some(plan),
            batches: vec![batch],
            how,
            notes: Vec::new(),
        })
    }

    /// Takes what was read from a file.
    pub(crate) fn add(&mut self, read: FileRead) -> Result<(), DataError> {
        let FileRead { file, lines_before, unit, plan, batches, how, notes } = read;
        let (mut base, mut odd, mut times) =
            (lines_before, Oddities::default(), super::plausible::Plausible::default());
        let (mut kept, mut rows, mut skipped) = (0u64, 0u64, SkipReport::default());
        for mut batch in batches {
            batch.skipped.first.iter_mut().for_each(|error| error.line += base);
            let mut of_batch = std::mem::take(&mut batch.skipped);
            let malformed = of_batch.first.first().filter(|_| self.options.on_error == OnError::Fail);
            let malformed = malformed.map_or(u64::MAX, |error| error.line);
            if let Some((line, column, role)) = batch.late.take()
                && base + line < malformed
            {
                return Err(DataError::LateColumn { file, line: base + line, column, role: role.name() });
            }
            if malformed < u64::MAX {
                return Err(of_batch.first.swap_remove(0).into());
            }
            odd.append(std::mem::take(&mut batch.odd), base);
            times.append(std::mem::take(&mut batch.times), base);
            skipped.append(of_batch);
            base += batch.lines;
            rows += batch.rows;
            kept += batch.len() as u64;
            if batch.len() > 0 {
                self.batches.push(batch);
            }
        }
        if kept == 0
            && let Some(first) = skipped.first.first()
        {
            return Err(DataError::AllSkipped { file, skipped: skipped.count, first: Box::new(first.clone()) });
        }
        if kept == 0 && odd.filtered > 0 {
            let filters: Vec<String> = self.options.filters.iter().map(ToString::to_string).collect();
            let filters = filters.join(" and ");
            return Err(DataError::NothingHolds { file, rows, filters, seen: odd.filtered_first });
        }
        self.rows += rows;
        self.filtered += odd.filtered;
        self.skipped.append(skipped);
        let of_times = match plan.as_ref().and_then(|plan| plan.name(Role::Time)) {
            Some(column) => times.check(&file, column, unit)?,
            None => Vec::new(),
        };
        let name = |role: Role| plan.as_ref().and_then(|plan| plan.name(role)).unwrap_or(role.name()).to_owned();
        let names = [name(Role::User), name(Role::Item)];
        let time_kind = times.kind(unit);
        let sequences = plan.as_ref().and_then(|plan| plan.unused.iter().find(|name| name.ends_with(":token_seq")));
        let of_sequences =
            sequences.map(|name| format!("column {name:?} holds sequences and is not used: each row is one event"));
        self.same_columns(&file, plan.as_ref())?;
        let notes = notes.into_iter().chain(of_sequences).chain(of_times).chain(words(&odd, &names));
        self.taken.notes.extend(notes.map(|note| format!("{file}: {note}")));
        if odd.filtered > 0 {
            let left = rows - odd.filtered;
            let filters: Vec<String> = self.options.filters.iter().map(ToString::to_string).collect();
            self.taken.notes.push(format!("{file}: {left} of {rows} rows hold {}", filters.join(" and ")));
        }
        if self.taken.files > 0
            && self.handed_in == 0
            && names != [&*self.taken.user, &*self.taken.item]
            && plan.is_some()
        {
            let [user, item] = &names;
            self.taken
                .notes
                .push(format!("{file}: other columns than in the first file: user = {user}, item = {item}"));
        }
        if self.taken.files == 0 {
            self.take(plan, how, time_kind);
            self.first_file = Some(file);
        }
        if self.handed_in == 0 || self.taken.files == 0 {
            self.taken.files += 1;
        }
        Ok(())
    }

    /// All files of a log have times, positions and categories, or none has.
    fn same_columns(&self, file: &str, plan: Option<&Plan>) -> Result<(), DataError> {
        let Some(first) = &self.first_file else { return Ok(()) };
        let has = |role: Role| plan.is_some_and(|plan| plan.slot(role).is_some());
        let Taken { time, position, category, .. } = &self.taken;
        for (role, before) in [(Role::Time, time), (Role::Position, position), (Role::Category, category)] {
            if before.is_some() != has(role) {
                let (with, without) = if has(role) { (file, first.as_str()) } else { (first.as_str(), file) };
                let (first, second) = (with.to_owned(), without.to_owned());
                return Err(DataError::UnlikeFiles { first, second, role: role.name() });
            }
        }
        Ok(())
    }

    fn take(&mut self, plan: Option<Plan>, how: String, time_kind: String) {
        let taken = &mut self.taken;
        taken.format = how;
        taken.filters = self.options.filters.iter().map(ToString::to_string).collect();
        let Some(plan) = plan else {
            let (user, item) = super::sequences::columns();
            (taken.user, taken.item) = (user.into(), item.into());
            return;
        };
        let name = |role: Role| plan.name(role).map(str::to_owned);
        taken.user = name(Role::User).unwrap_or_default();
        taken.item = name(Role::Item).unwrap_or_default();
        taken.time = name(Role::Time);
        taken.time_kind = taken.time.is_some().then_some(time_kind);
        taken.position = name(Role::Position);
        taken.category = name(Role::Category);
        taken.not_used = plan.unused;
    }

    /// The log: names sorted, events in order.
    ///
    /// # Errors
    /// [`DataError::TooMany`], [`DataError::EmptyCore`]; and what [`push`](Self::push) may find out late.
    pub fn finish(self) -> Result<Log, DataError> {
        self.finish_with(None)
    }

    pub(crate) fn finish_with(mut self, mut meta: Option<Meta<'_>>) -> Result<Log, DataError> {
        self.flush()?;
        let assembled = assemble(self.batches, self.names, &self.options, meta.as_mut())?;
        let Assembled { dataset, users, items, categories, duplicates_dropped, core_dropped, category_conflicts } =
            assembled;
        for (what, names) in [("users", &users), ("items", &items)] {
            self.taken.notes.extend(super::lookalikes::note(what, names));
            self.taken.notes.extend(super::lookalikes::note_of_case(what, names));
        }
        if let Some(meta) = meta {
            self.skipped.append(meta.skipped);
            self.taken.notes.extend(meta.note);
            self.taken.category = self.options.meta.as_ref().map(|path| path.display().to_string());
        }
        let (rows, filtered) = (self.rows, self.filtered);
        if category_conflicts > 0 {
            self.taken.notes.push(format!(
                "{category_conflicts} of {rows} rows have another category than their item had first: the first one counts"
            ));
        }
        let stats = ReadStats { rows, filtered, duplicates_dropped, core_dropped, category_conflicts };
        Ok(Log { dataset, users, items, categories, skipped: self.skipped, stats, taken: self.taken })
    }
}

/// The columns of rows that are handed in.
fn handed_in(timed: bool) -> Plan {
    let named = |name: &str| Column::Named(name.into());
    let columns = Columns {
        user: named("user"),
        item: named("item"),
        time: if timed { named("time") } else { Column::Ignore },
        category: named("category"),
        position: Column::Ignore,
    };
    let options = ReadOptions { columns, ..ReadOptions::default() };
    let names: &[&str] = if timed { &["user", "item", "time", "category"] } else { &["user", "item", "category"] };
    plan(HANDED_IN, &options, names).unwrap_or_else(|_| Plan::default())
}

/// What is odd about a file, in words.
fn words(odd: &Oddities, columns: &[String; 2]) -> Vec<String> {
    let mut words = Vec::new();
    for ((what, column), seen) in ["user", "item"].into_iter().zip(columns).zip(&odd.nothing) {
        if let Some((line, value)) = &seen.first {
            let count = seen.count;
            words.push(format!(
                "{count} events are of the {what} {value:?} (line {line}), which seems to stand for nothing: \
                 --where '{column}!={value}' leaves them out"
            ));
        }
    }
    if let Some((line, value)) = &odd.quoted.first {
        let count = odd.quoted.count;
        let fix = match value.trim_start_matches('\\').chars().next() {
            Some('"') => "--quote '\"' if the quotes are no part of them (of a CSV they were quoted twice)",
            Some('\'') => "--quote \"'\" if the quotes are no part of them",
            _ => "take them off if they are no part of the ids",
        };
        words.push(format!("{count} ids begin and end with a quote ({value}, line {line}): {fix}"));
    }
    if let Some((line, value)) = &odd.damaged.first {
        let count = odd.damaged.count;
        words.push(format!(
            "{count} ids have the character that stands for an unreadable one ({value}, line {line}): different ids may have \
             become one; write the file again in UTF-8"
        ));
    }
    if let Some((line, value)) = &odd.floats.first {
        let count = odd.floats.count;
        words.push(format!(
            "{count} ids end in .0 ({value}, line {line}), as pandas writes whole numbers of a column with gaps: they are \
             other ids than those without"
        ));
    }
    if let Some((line, value)) = &odd.lists.first {
        let count = odd.lists.count;
        words.push(format!(
            "{count} ids look like lists ({value}, line {line}): each is one id; for one event an element write one row \
             each (pandas: DataFrame.explode)"
        ));
    }
    if let Some((line, value)) = &odd.glued.first {
        let count = odd.glued.count;
        words.push(format!(
            "{count} items end in a colon and a number ({value}, line {line}): each is one item as it stands, so 11:5 and \
             11:6 are two; if the number is a time, a count or a rating, take it off: \
             sed -E 's/:[0-9.eE+-]+([[:space:]]|$)/\\1/g' FILE > plain.txt"
        ));
    }
    if let Some((line, _)) = &odd.headers.first {
        words.push(format!("{} lines repeat the header (line {line}) and were left out", odd.headers.count));
    }
    if let Some((line, _)) = &odd.several_lines.first {
        let count = odd.several_lines.count;
        words.push(format!("{count} records go over several lines (the first from line {line}), as quoted fields may"));
    }
    words
}
