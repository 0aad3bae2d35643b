//! A log in a model's item ids: what the model does not know is left out and counted.

use super::data_flags::Opened;
use super::failure::{Failure, unreadable};
use super::note;
use dmran::data::{Dataset, Log};
use dmran::scorer::Model;
use dmran::train::Config;
use std::path::{Path, PathBuf};

/// A log's events in the ids of a model. Users keep the ids that they have in the log.
pub struct Mapped {
    /// The events that the model knows.
    pub dataset: Dataset,
    /// Events of items that the model does not know.
    pub unknown_events: usize,
    /// Items of the log that the model does not know.
    pub unknown_items: usize,
}

/// Which model a command uses, and how it is held.
#[derive(clap::Args, Debug)]
pub struct ModelFlags {
    /// The model file
    model: PathBuf,
    /// Map the file into memory instead of copying it: processes then share its tables, and nothing is computed ahead. It
    /// must not be changed in place meanwhile; train replaces it as a whole, which does no harm
    #[arg(long)]
    map: bool,
    /// Compute nothing ahead for the items: half the memory, and users are encoded more slowly. Results do not depend on it
    #[arg(long)]
    pub lean: bool,
}

impl ModelFlags {
    /// The file.
    pub fn path(&self) -> &Path {
        &self.model
    }

    /// Reads or maps it.
    pub fn load(&self) -> Result<Model, Failure> {
        let model = if self.map { Model::map(&self.model) } else { Model::load(&self.model) };
        model.map_err(unreadable(&self.model))
    }
}

/// Looks the log's items up in the model, by name.
pub fn map(log: &Log, model: &Model) -> Result<Mapped, Failure> {
    let to_model: Vec<Option<u32>> = log.items.names().map(|name| model.items().find(name)).collect();
    let (from, events) = (&log.dataset, log.dataset.events());
    let (mut offsets, mut items, mut times) = (vec![0], Vec::with_capacity(events), Vec::new());
    for user in 0..from.users() as u32 {
        let history = from.history(user);
        for (at, item) in history.items.iter().enumerate() {
            if let Some(item) = to_model[*item as usize] {
                items.push(item);
                times.extend(history.times.get(at));
            }
        }
        offsets.push(items.len());
    }
    let unknown_events = events - items.len();
    let counts = model.counts();
    let category = model.item_category().to_vec();
    let dataset = Dataset::from_parts(offsets, items, times, category, counts.items, counts.categories)?;
    Ok(Mapped { dataset, unknown_events, unknown_items: to_model.iter().filter(|item| item.is_none()).count() })
}

/// The settings that a model was trained with, as its card tells them; defaults where the card does not.
pub fn config_of(model: &Model) -> Config {
    let mut config = Config::from_toml(&model.card().config).unwrap_or_default();
    config.model = model.settings().clone();
    // The model has its categories, and a model file names no other files.
    config.data.meta = None;
    config
}

/// Reports what does not fit between a log and a model, and whether the model was trained on another log. Returns whether
/// it was trained on this very one.
pub fn compare(opened: &Opened, model: &Model, mapped: &Mapped) -> Result<bool, Failure> {
    let (hash, trained_on) = (opened.hash(), &model.card().data_hash);
    if hash != *trained_on {
        note(format_args!(
            "note: this is not the log that the model was trained on (fingerprint {hash}, trained on {})",
            if trained_on.is_empty() { "an unknown one" } else { trained_on }
        ));
    }
    tell_unknown(opened, model, mapped)?;
    Ok(hash == *trained_on)
}

/// Reports what does not fit between a log and a model.
pub fn tell_unknown(opened: &Opened, model: &Model, mapped: &Mapped) -> Result<(), Failure> {
    if mapped.dataset.events() == 0 {
        return Err(Failure::Input(format!(
            "{}: not one of its {} items is known to the model (for example {:?})",
            opened.name,
            opened.log.items.len(),
            opened.log.items.names().next().unwrap_or_default()
        )));
    }
    if mapped.unknown_events > 0 {
        note(format_args!(
            "note: {} of {} events are left out: the model does not know their {} items",
            mapped.unknown_events,
            opened.log.dataset.events(),
            mapped.unknown_items
        ));
    }
    if model.settings().reads_times() && !opened.log.dataset.has_time() {
        note("note: the model uses time, but the log has none: every event counts as one of today");
    }
    Ok(())
}
