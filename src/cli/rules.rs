//! Flags that say which items may be recommended.

use super::data_flags;
use super::failure::Failure;
use super::note;
use dmran::data::{Log, ReadOptions};
use dmran::scorer::{Ids, Model, Rules};
use std::path::{Path, PathBuf};

/// Rules for every list.
#[derive(clap::Args, Debug, Default)]
#[command(next_help_heading = "What may be recommended")]
pub struct RuleFlags {
    /// Only these items: a file with an id a line
    #[arg(long, value_name = "FILE")]
    allow: Option<PathBuf>,
    /// None of these items: a file with an id a line
    #[arg(long, value_name = "FILE")]
    deny: Option<PathBuf>,
    /// Only items of these categories
    #[arg(long, value_name = "NAME", num_args = 1..)]
    allow_category: Vec<String>,
    /// No items of these categories
    #[arg(long, value_name = "NAME", num_args = 1..)]
    deny_category: Vec<String>,
    /// At most so many items of one category
    #[arg(long, value_name = "N")]
    per_category: Option<usize>,
}

impl RuleFlags {
    /// The files that are read.
    pub fn files(&self) -> [Option<&Path>; 2] {
        [self.allow.as_deref(), self.deny.as_deref()]
    }

    /// The rules for a model.
    pub fn rules(&self, model: &Model) -> Result<Rules, Failure> {
        let mut rules = Rules::default();
        let categories = !self.allow_category.is_empty() || !self.deny_category.is_empty();
        let flag = if self.per_category.is_some() { "--per-category" } else { "--allow-category, --deny-category" };
        if (categories || self.per_category.is_some()) && !model.settings().categories {
            return Err(Failure::Input(format!(
                "{flag}: the model has no categories; train it on a log with categories"
            )));
        }
        if self.per_category == Some(0) {
            return Err(Failure::input("--per-category 0 leaves nothing to recommend; give 1 or more"));
        }
        if let Some(path) = &self.allow {
            rules = rules.only(model, items("--allow", path, model)?);
        }
        if let Some(path) = &self.deny {
            rules = rules.without(model, items("--deny", path, model)?);
        }
        if !self.allow_category.is_empty() {
            rules = rules.only_categories(model, &named("--allow-category", &self.allow_category, model.categories())?);
        }
        if !self.deny_category.is_empty() {
            rules =
                rules.without_categories(model, &named("--deny-category", &self.deny_category, model.categories())?);
        }
        if let Some(most) = self.per_category {
            rules = rules.at_most(most);
        }
        match rules.offered() {
            Some([]) => Err(Failure::input(
                "nothing is left to recommend: no item passes --allow, --deny, --allow-category and --deny-category together",
            )),
            _ => Ok(rules),
        }
    }
}

/// The items of a file with an id a line; those that the model does not know are told.
fn items(flag: &str, path: &Path, model: &Model) -> Result<Vec<u32>, Failure> {
    let wrong = |why: String| Failure::Input(format!("{flag} {}: {why}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(error.to_string()))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let ids: Vec<&str> = text.lines().map(str::trim).filter(|id| !id.is_empty()).collect();
    let known: Vec<u32> = ids.iter().filter_map(|id| model.items().find(id)).collect();
    match (ids.first(), known.is_empty()) {
        (None, _) => Err(wrong("there is no id in it; a file with an id a line is needed".into())),
        (Some(first), true) => Err(wrong(format!(
            "the model knows none of its {} items (for example {first:?}); an id a line is needed, as in the log",
            ids.len()
        ))),
        _ => {
            if known.len() < ids.len() {
                let unknown = ids.len() - known.len();
                note(format_args!("note: {flag}: the model does not know {unknown} of {} items", ids.len()));
            }
            Ok(known)
        }
    }
}

/// Categories by their names.
fn named(flag: &str, names: &[String], categories: &Ids) -> Result<Vec<u32>, Failure> {
    let find = |name: &String| {
        categories.find(name).ok_or_else(|| {
            let first = categories.get(0).unwrap_or_default();
            Failure::Input(format!("{flag} {name:?}: the model has no such category (it has {first:?}, for example)"))
        })
    };
    names.iter().map(find).collect()
}

/// What single users are not to get: a log of users and items.
#[derive(Default)]
pub struct Excluded(Vec<Vec<u32>>);

impl Excluded {
    /// Reads a file like a log: columns user and item are enough. What an earlier `recommend --out` wrote is one.
    pub fn read(path: &Path, log: &Log, model: &Model) -> Result<Excluded, Failure> {
        let files = [path.to_owned()];
        let opened = data_flags::open_silently(&files, &ReadOptions::default())?;
        let mut all = vec![Vec::new(); log.users.len()];
        let to_model: Vec<Option<u32>> = opened.log.items.names().map(|name| model.items().find(name)).collect();
        for user in 0..opened.log.users.len() as u32 {
            if let Some(id) = log.users.id(opened.log.users.name(user)) {
                let items = opened.log.dataset.history(user).items;
                all[id as usize].extend(items.iter().filter_map(|item| to_model[*item as usize]));
            }
        }
        if all.iter().all(Vec::is_empty) {
            return Err(Failure::Input(format!(
                "--exclude {}: none of its users has an item that the model knows; columns user and item are needed, with \
                 ids as in the log",
                path.display()
            )));
        }
        Ok(Excluded(all))
    }

    /// The items that a user is not to get.
    pub fn of(&self, user: u32) -> &[u32] {
        self.0.get(user as usize).map_or(&[], Vec::as_slice)
    }
}
