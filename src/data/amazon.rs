//! Amazon 2014: which keys the reviews use, and categories from the meta file.

use super::error::{DataError, Problem};
use super::options::{Column, Columns};
use super::python;
use super::rows::{NO_CATEGORY, Rejected, Rows};
use super::source::{Lines, Source};

/// The keys of `reviews_X_5.json.gz`, wherever the caller did not ask for others.
pub(crate) fn columns(asked: &Columns) -> Columns {
    let or = |column: &Column, key: &str| match column {
        Column::Auto => Column::Named(key.into()),
        other => other.clone(),
    };
    Columns {
        user: or(&asked.user, "reviewerID"),
        item: or(&asked.item, "asin"),
        time: or(&asked.time, "unixReviewTime"),
        category: asked.category.clone(),
        position: asked.position.clone(),
    }
}

/// Gives the items read so far their categories from `meta_X.json.gz`: the last element of the last
/// list in `categories`. The first line of an item counts; items that are not in the log are
/// passed over.
pub(crate) fn read_meta(source: Source<'_>, rows: &mut Rows<'_>) -> Result<(), DataError> {
    let file = source.file().to_owned();
    let mut lines = Lines::new(source);
    let mut any = false;
    let mut entry = python::Entry::default();
    while let Some((number, line)) = lines.next_line()? {
        any = true;
        let parsed = match std::str::from_utf8(line) {
            Err(_) => Err(Problem::NotUtf8),
            Ok(text) => python::parse(text, &mut entry).map_err(Problem::Syntax),
        };
        if let Err(problem) = parsed {
            rows.reject(&file, number, None, Rejected::line(problem, line))?;
            continue;
        }
        let item = rows.items.get(entry.asin.trim());
        let category = entry.category.trim();
        if let Some(item) = item
            && !category.is_empty()
            && rows.item_category[item as usize] == NO_CATEGORY
        {
            if let Err(mut rejected) = rows.check_id(super::columns::Role::Category, category.as_bytes()) {
                rejected.role = None;
                rows.reject(&file, number, None, rejected)?;
                continue;
            }
            rows.set_category(item, category)?;
        }
    }
    if any { Ok(()) } else { Err(DataError::Empty { file }) }
}
