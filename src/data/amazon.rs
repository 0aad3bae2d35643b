//! Amazon's reviews of 2014, 2018 and 2023: which keys they use, and categories from their meta files.

use super::batch::{Kind, Rejected, SkipReport, id};
use super::columns::{Plan, Role};
use super::error::{DataError, LineError, Problem};
use super::interner::{Interner, NONE};
use super::object::{self, Values, Wanted};
use super::options::{Column, Columns, OnError, ReadOptions};
use super::source::{Lines, Source};
use super::time::{self, TimeUnit};
use super::vocabulary::Vocabulary;

/// The keys of the reviews, wherever the caller did not ask for others; `first_line` tells the year.
pub(crate) fn columns(asked: &Columns, first_line: &[u8]) -> Columns {
    let of_2023 = memchr::memmem::find(first_line, b"\"parent_asin\"").is_some();
    let or = |column: &Column, keys: [&str; 2]| match column {
        Column::Auto => Column::Named(keys[usize::from(of_2023)].into()),
        other => other.clone(),
    };
    Columns {
        user: or(&asked.user, ["reviewerID", "user_id"]),
        item: or(&asked.item, ["asin", "parent_asin"]),
        time: or(&asked.time, ["unixReviewTime", "timestamp"]),
        category: asked.category.clone(),
        position: asked.position.clone(),
    }
}

/// The unit of the times: Amazon's reviews of 2023 have milliseconds, as `sampled` must show.
pub(crate) fn unit<'a>(options: &ReadOptions, plan: &Plan, mut sampled: impl Iterator<Item = &'a [u8]>) -> TimeUnit {
    let of_2023 = plan.name(Role::Item) == Some("parent_asin") && plan.name(Role::Time) == Some("timestamp");
    let is_milliseconds =
        |text: &[u8]| time::integer(text).is_ok_and(|number| TimeUnit::fitting(number) == Some(TimeUnit::Milliseconds));
    let by_default = options.time_unit == TimeUnit::Seconds && options.time_format.is_none();
    if by_default && of_2023 && sampled.all(is_milliseconds) { TimeUnit::Milliseconds } else { options.time_unit }
}

/// A meta file: one object a line with an item's name and its categories, of which the last one counts (the last element of
/// the last list).
pub(crate) struct Meta<'a> {
    source: Option<Source<'a>>,
    options: &'a ReadOptions,
    pub skipped: SkipReport,
    /// Items of the log that the file has.
    matched: usize,
    /// What to say of the file.
    pub note: Option<String>,
}

impl<'a> Meta<'a> {
    pub(crate) fn new(source: Source<'a>, options: &'a ReadOptions) -> Self {
        Self { source: Some(source), options, skipped: SkipReport::default(), matched: 0, note: None }
    }

    /// Gives items their categories. The first line of an item counts; items that are not in the log are passed over.
    pub(crate) fn give(
        &mut self,
        items: &Vocabulary,
        of_item: &mut [u32],
        categories: &Interner,
    ) -> Result<(), DataError> {
        let Some(source) = self.source.take() else { return Ok(()) };
        let file = source.file().to_owned();
        let mut lines = Lines::new(source);
        let wanted = Wanted::new(["parent_asin", "asin", "categories", "category", "main_category"]);
        let mut values = Values::new(5);
        let mut entries = 0;
        let mut matched = vec![false; items.len()];
        while let Some((number, line)) = lines.next_line()? {
            entries += 1;
            match entry(line, &wanted, &mut values, self.options, items) {
                Err(rejected) => self.reject(&file, number, rejected)?,
                Ok((Some(item), category)) => {
                    matched[item as usize] = true;
                    if !category.is_empty() && of_item[item as usize] == NONE {
                        of_item[item as usize] = categories.intern_one(category)?;
                    }
                }
                Ok((None, _)) => {}
            }
        }
        self.matched = matched.iter().filter(|matched| **matched).count();
        if entries == 0 {
            return Err(DataError::Empty { file });
        }
        self.note = match (self.matched, items.names().next()) {
            (0, Some(first)) => Some(format!(
                "{file}: not one of its {entries} entries is an item of the log (whose first is {first:?}): is it the meta \
                 file of another log?"
            )),
            (matched, _) if matched < items.len() => {
                Some(format!("{file}: has {matched} of the {} items of the log", items.len()))
            }
            _ => None,
        };
        Ok(())
    }

    fn reject(&mut self, file: &str, line: u64, rejected: Rejected) -> Result<(), DataError> {
        let Rejected { problem, value, .. } = rejected;
        let error = LineError { file: file.into(), line, column: None, problem, value };
        match self.options.on_error {
            OnError::Fail => Err(error.into()),
            OnError::Skip => {
                self.skipped.add(error);
                Ok(())
            }
        }
    }
}

/// The item of a line, where the log has it, and its category; empty if it has none.
fn entry<'v>(
    line: &[u8],
    wanted: &Wanted,
    values: &'v mut Values,
    options: &ReadOptions,
    items: &Vocabulary,
) -> Result<(Option<u32>, &'v str), Rejected> {
    object::read(line, wanted, values, &mut ())?;
    let names = [0, 1].map(|place| values.cell(place));
    let names = names.map(|cell| std::str::from_utf8(cell.text.trim_ascii()).unwrap_or_default());
    if names.iter().all(|name| name.is_empty()) {
        return Err(Rejected::line(Problem::Syntax("no asin".into()), line));
    }
    let item = names.into_iter().filter(|name| !name.is_empty()).find_map(|name| items.id(name));
    let mut category = "";
    if item.is_some() {
        let cells = [2, 3, 4].map(|place| values.cell(place)).into_iter();
        let found = cells.filter(|cell| !cell.text.trim_ascii().is_empty()).find(|cell| cell.kind != Kind::Other);
        if let Some(cell) = found {
            category = id(options, Role::Category, cell)?;
        }
    }
    Ok((item, category))
}
