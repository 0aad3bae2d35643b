//! Going on from a trained model with a newer log: its items keep their rows, new ones start from the average of their
//! category.

use crate::autograd::params::{Params, TableId};
use crate::data::{DataError, Log, Vocabulary, remap};
use crate::durable::checksum::Checksum;
use crate::scorer::Model;
use crate::train::config::Vanished;

/// What tells a model from others: its content, in 16 digits.
pub fn fingerprint(model: &Model) -> String {
    let mut sum = Checksum::new();
    sum.update(&model.to_bytes());
    format!("{:016x}", sum.finish())
}

/// Why a log cannot follow a model.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GrowError {
    /// The model has categories, but a new item has none.
    #[error("the model has categories, but the log has none for its new items, for example {item:?}")]
    NoCategory {
        /// The first of them.
        item: String,
    },
    /// The log and the model are too large together.
    #[error(transparent)]
    Data(#[from] DataError),
}

/// Which rows of a grown model are the old model's.
#[derive(Clone, Debug)]
pub struct Growth {
    /// For each item its row in the model; `None` for new ones.
    pub items: Vec<Option<u32>>,
    /// For each category its row in the model; `None` for new ones.
    pub categories: Vec<Option<u32>>,
    /// Items of the model that the log does not have.
    pub vanished: usize,
}

impl Growth {
    /// Brings a log and a model together: the log in the ids of the model's items and categories and its own.
    ///
    /// An item's category is the log's, or the model's where the log has none. Items of the model that the log does not have
    /// stay, or are dropped with the categories that no item has any more.
    ///
    /// # Errors
    /// [`GrowError`].
    pub fn of(log: Log, model: &Model, of_vanished: Vanished) -> Result<(Log, Growth), GrowError> {
        let with_categories = model.settings().categories;
        let stays = |name: &&str| of_vanished == Vanished::Keep || log.items.id(name).is_some();
        let kept = || model.items().iter().zip(0..).filter(|(name, _)| stays(name));
        let vanished = model.items().iter().filter(|name| log.items.id(name).is_none()).count();
        let items = Vocabulary::from_names(kept().map(|(name, _)| name).chain(log.items.names()));
        let categories = if with_categories {
            // Of dropped items nothing stays, of kept ones a category may have none.
            let of_kept: Vec<&str> = match of_vanished {
                Vanished::Keep => model.categories().iter().collect(),
                Vanished::Drop => kept().filter_map(|(_, item)| model.category_of(item)).collect(),
            };
            Vocabulary::from_names(of_kept.into_iter().chain(log.categories.names()))
        } else {
            log.categories.clone()
        };
        let mut item_category = Vec::new();
        if with_categories || !log.categories.is_empty() {
            for name in items.names() {
                let in_log = log.items.id(name).and_then(|item| log.dataset.category_of(item));
                let of_log = in_log.map(|category| log.categories.name(category));
                let of_model = || model.items().find(name).and_then(|item| model.category_of(item));
                match of_log.or_else(of_model).and_then(|category| categories.id(category)) {
                    Some(category) => item_category.push(category),
                    None if with_categories => return Err(GrowError::NoCategory { item: name.to_owned() }),
                    // A model without categories asks for none.
                    None => {
                        item_category.clear();
                        break;
                    }
                }
            }
        }
        let to_union: Vec<Option<u32>> = log.items.names().map(|name| items.id(name)).collect();
        let count = if item_category.is_empty() { 0 } else { categories.len() };
        let of_union = remap::Items { items: items.len(), item_category, categories: count };
        let dataset = remap::remap(&log.dataset, &to_union, of_union)?;
        let rows = |names: &Vocabulary, find: &dyn Fn(&str) -> Option<u32>| names.names().map(find).collect();
        let of_items = rows(&items, &|name| model.items().find(name));
        let of_categories = rows(&categories, &|name| model.categories().find(name));
        let log = Log { dataset, items, categories, ..log };
        Ok((log, Growth { items: of_items, categories: of_categories, vanished }))
    }

    /// Items that the model does not have.
    pub fn new_items(&self) -> usize {
        self.items.iter().filter(|row| row.is_none()).count()
    }

    /// Puts the model's numbers into `params`, which must be those of a model of the same settings over the items of
    /// `log`, the one that [`Growth::of`] gave. A new item starts from the mean of the model's items in its category (of all of them where
    /// there are none), a new category from the mean of all categories.
    pub fn warm(&self, params: &mut Params, model: &Model, log: &Log) {
        let groups = log.categories.len();
        for tensor in model.tensors() {
            let Some(table) = params.find_table(tensor.name()) else {
                if let Some(id) = params.find(tensor.name()) {
                    params.get_mut(id).copy_from_slice(tensor.values());
                }
                continue;
            };
            match tensor.name() {
                "C" => fill(params, table, tensor.values(), &self.categories, (0, |_| None)),
                "V" | "bias" => {
                    let category = |item: usize| log.dataset.category_of(item as u32);
                    fill(params, table, tensor.values(), &self.items, (groups, category));
                }
                _ => params.table_mut(table).data.copy_from_slice(tensor.values()),
            }
        }
    }
}

/// Rows of one table; `group` names which of the `groups` a new row's average goes over.
fn fill(
    params: &mut Params,
    table: TableId,
    from: &[f32],
    rows: &[Option<u32>],
    (groups, group): (usize, impl Fn(usize) -> Option<u32>),
) {
    let table = params.table_mut(table);
    let cols = table.cols;
    // The last group is all rows together.
    let mut sums = vec![0.0f64; (groups + 1) * cols];
    let mut counts = vec![0usize; groups + 1];
    for (at, row) in rows.iter().enumerate() {
        let Some(row) = row else { continue };
        let known = &from[*row as usize * cols..][..cols];
        table.data[at * cols..][..cols].copy_from_slice(known);
        for group in group(at).map(|group| group as usize).into_iter().chain([groups]) {
            counts[group] += 1;
            let sums = &mut sums[group * cols..][..cols];
            sums.iter_mut().zip(known).for_each(|(sum, x)| *sum += f64::from(*x));
        }
    }
    for (at, _) in rows.iter().enumerate().filter(|(_, row)| row.is_none()) {
        let own = group(at).map(|group| group as usize).filter(|group| counts[*group] > 0);
        let group = own.unwrap_or(groups);
        let count = counts[group].max(1) as f64;
        let mean = sums[group * cols..][..cols].iter().map(|sum| (sum / count) as f32);
        table.data[at * cols..][..cols].iter_mut().zip(mean).for_each(|(x, mean)| *x = mean);
    }
}
