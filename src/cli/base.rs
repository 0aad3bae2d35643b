//! `train --from`: going on from a trained model with a newer log.

use super::data_flags::DataFlags;
use super::failure::{Failure, unreadable};
use super::moment::moment;
use super::settings::{Everything, SettingsFlags, apply_all};
use dmran::model::Kind;
use dmran::scorer::Model;
use dmran::train::Config;
use dmran::train::session::{Base, SessionError, config_like};
use std::path::PathBuf;

/// What the training goes on from.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Going on from a model")]
pub struct BaseFlags {
    /// Go on from this model: its items keep what they have learned, new ones start from the average of their category.
    /// Settings are the model's; one epoch at the learning rate of its last one, unless --epochs and --lr say otherwise
    #[arg(long, value_name = "FILE", conflicts_with_all = ["config", "preset"])]
    pub from: Option<PathBuf>,
    /// Train as this model was trained (a model file, or the folder of a finished run): its settings, and as many epochs as its
    /// best one took; flags win over them. With --protocol none: the model that goes into use
    #[arg(long, value_name = "RUN_OR_MODEL", conflicts_with_all = ["config", "preset", "from", "model"])]
    pub like: Option<PathBuf>,
    /// Learn to predict only events after this time, in seconds since 1970; earlier ones are history
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = moment)]
    pub since: Option<i64>,
}

impl BaseFlags {
    /// The file of the model whose training this one is to be like.
    pub fn like(&self) -> Option<PathBuf> {
        self.like.as_ref().map(|path| if path.is_dir() { path.join("model.dmran") } else { path.clone() })
    }

    /// The settings of that training.
    pub fn config_like(&self) -> Result<Option<Config>, Failure> {
        let Some(path) = self.like() else { return Ok(None) };
        let wrong = |why: &dyn std::fmt::Display| Failure::Input(format!("--like {}: {why}", path.display()));
        if self.like.as_deref() != Some(&path) && !path.exists() {
            return Err(wrong(&"the run has no model yet: finish it first, or name a model file"));
        }
        let model = Model::load(&path).map_err(unreadable(&path))?;
        config_like(&model).map(Some).map_err(|error| wrong(&error))
    }

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
