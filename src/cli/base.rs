//! `train --from`: going on from a trained model with a newer log.

use super::data_flags::DataFlags;
use super::failure::{Failure, unreadable};
use super::moment::moment;
use super::settings::{Everything, SettingsFlags, apply_all};
use dmran::model::Kind;
use dmran::scorer::Model;
use dmran::train::Config;
use dmran::train::session::{Base, SessionError};
use std::path::PathBuf;

/// What the training goes on from.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Going on from a model")]
pub struct BaseFlags {
    /// Go on from this model: its items keep what they have learned, new ones start from the average of their category.
    /// Settings are the model's; one epoch at the learning rate of its last one, unless --epochs and --lr say otherwise
    #[arg(long, value_name = "FILE", conflicts_with_all = ["config", "preset"])]
    pub from: Option<PathBuf>,
    /// Learn to predict only events after this time, in seconds since 1970; earlier ones are history
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = moment)]
    pub since: Option<i64>,
}

impl BaseFlags {
    /// Reads the model, if one is named.
    pub fn load(&self, kind: Option<Kind>) -> Result<Option<Base>, Failure> {
        let Some(path) = &self.from else { return Ok(None) };
        if let Some(kind) = kind.filter(|kind| *kind != Kind::Dmran) {
            return Err(Failure::Input(format!("--from {}: holds dmran, not {kind}", path.display())));
        }
        let model = Model::load(path).map_err(unreadable(path))?;
        Ok(Some(Base::new(path, model)))
    }
}

/// The model's settings with the flags over them.
pub fn config(base: &Base, data: &DataFlags, flags: &SettingsFlags<Everything>) -> Result<Config, Failure> {
    let mut config = base.config();
    apply_all(&mut config, data, flags)?;
    base.check(&config.model).map_err(SessionError::from)?;
    Ok(config)
}
