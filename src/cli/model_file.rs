//! The model file that a command reads.

use super::failure::{Failure, unreadable};
use dmran::scorer::Model;
use std::path::{Path, PathBuf};

/// Which model a command uses, and how it is held.
#[derive(clap::Args, Debug)]
pub struct ModelFile {
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

impl ModelFile {
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
