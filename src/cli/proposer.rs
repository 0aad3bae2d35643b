//! A second model file, which proposes what the first one ranks.

use super::failure::{Failure, unreadable};
use dmran::scorer::{Model, Proposer, Scorer, ScorerOptions};
use std::path::{Path, PathBuf};

/// Flags of commands that rank all items.
#[derive(clap::Args, Debug)]
pub struct ProposerFlags {
    /// A model with smaller tables, made of this one by dmran convert: it proposes items (--shortlist), and MODEL ranks
    /// these alone. With --map MODEL's tables need not stay in memory
    #[arg(long, value_name = "FILE")]
    proposer: Option<PathBuf>,
}

impl ProposerFlags {
    /// The file, where one is named.
    pub fn path(&self) -> Option<&Path> {
        self.proposer.as_deref()
    }

    /// Reads it; a shortlist of nothing is refused, with it or without.
    pub fn load(&self, shortlist: Option<usize>) -> Result<Option<Scorer>, Failure> {
        if shortlist == Some(0) {
            return Err(Failure::input("--shortlist 0 proposes nothing; give some hundred"));
        }
        let load = |path| Model::load(path).map_err(unreadable(path));
        let model = self.path().map(load).transpose()?;
        // Who proposes encodes a user a list, and is there to take little room.
        let options = ScorerOptions { precompute: Some(false), ..ScorerOptions::default() };
        Ok(model.map(|model| Scorer::with_options(model, options)).transpose()?)
    }

    /// What proposes to `exact`, which is `model`'s: `shortlist` items, or as many as is usual.
    pub fn proposer<'a>(
        &self,
        small: Option<&'a Scorer>,
        (exact, model): (&Scorer, &Path),
        shortlist: Option<usize>,
    ) -> Result<Option<Proposer<'a>>, Failure> {
        let Some((small, path)) = small.zip(self.path()) else { return Ok(None) };
        let most = shortlist.unwrap_or(Proposer::DEFAULT);
        let wrong =
            |error| Failure::Input(format!("--proposer {}: {error}, and {} was not", path.display(), model.display()));
        Proposer::new(small, exact, most).map(Some).map_err(wrong)
    }
}
