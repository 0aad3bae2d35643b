//! A session's run: started or resumed, trained, measured, exported.

use super::card;
use super::error::SessionError;
use super::notes::Note;
use super::{Keeping, Session, Trained};
use crate::data::ReadOptions;
use crate::model::Kind;
use crate::model::export::{Labels, to_model};
use crate::scorer::{Card, Ids, Model};
use crate::train::checkpoint::Identity;
use crate::train::fit::{Figures, Fit, Keep, Rated, Snapshot, Watch};
use crate::train::ranks::{Sameness, Team};
use crate::train::run_folder::{Follower, RunFolderError, Started};
use crate::train::stamp::Stamp;
use crate::train::{Config, RunFolder};
use std::path::Path;

/// What the model that a training went on from is called among the rivals.
pub const BEFORE: &str = "before";

/// A run on its way, in a folder or without one. Made by [`Session::start`].
pub struct Run<'s> {
    /// The run itself.
    pub fit: Fit<'s>,
    session: &'s Session,
    folder: Option<RunFolder>,
    /// In place of the folder, where another rank has it.
    follows: Option<Follower>,
    notes: Vec<Note>,
}

impl<'s> Run<'s> {
    pub(super) fn new(session: &'s Session, fit: Fit<'s>, notes: Vec<Note>) -> Run<'s> {
        Run { fit, session, folder: None, follows: None, notes }
    }

    /// What there is to say since this was asked last.
    pub fn take_notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    /// Trains as one of a team from here on, before [`Run::resume`]: all its ranks do what this one does. Rank 0 alone has a
    /// run folder.
    ///
    /// # Errors
    /// [`SessionError::Unshared`] where the team cannot share a batch's shards, [`SessionError::Differs`] where the ranks do not
    /// have the same log, settings, program and SIMD tier.
    pub fn join(&mut self, mut team: Team) -> Result<(), SessionError> {
        let config = self.fit.config();
        if !team.is_alone() {
            // Results do not depend on the threads; how the log is read shows in the log, and may hold a path that is no text.
            let mut same = Config { data: ReadOptions::default(), ..config.clone() };
            same.train.threads = 0;
            let settings = toml::to_string(&same)?;
            team.agree(&Sameness::new(self.session.level, &settings, self.session.opened.hash()))?;
        }
        let (ranks, shards) = (team.count(), config.train.shard_count());
        self.fit.trainer.join(team)?;
        if ranks > 1 {
            self.notes.push(Note::Shared { ranks, shards });
        }
        Ok(())
    }

    /// Opens the run folder, if the session has one, and goes to where its run stopped.
    ///
    /// # Errors
    /// [`SessionError::Folder`]: it is no run folder, another trainer works there, or the run is another one.
    pub fn resume(&mut self) -> Result<(), SessionError> {
        let Some(keeping) = &self.session.keeping else { return Ok(()) };
        if self.fit.trainer.team().leads() {
            return self.open_folder(keeping);
        }
        let follower = Follower(Identity::of(&self.session.opened.log));
        let started = follower.start(&mut self.fit);
        self.follows = Some(follower);
        started.map_err(|error| RunFolderError::Checkpoint { path: keeping.folder.clone(), error }.into())
    }

    fn open_folder(&mut self, keeping: &Keeping) -> Result<(), SessionError> {
        let opened = &self.session.opened;
        let mut folder = RunFolder::open(&keeping.folder, keeping.options)?;
        let started = folder.start(&mut self.fit, Identity::of(&opened.log), &keeping.allow)?;
        if let Started::Resumed { from, skipped } = started {
            let older = !skipped.is_empty();
            let broken =
                skipped.into_iter().map(|(path, error)| Note::BrokenCheckpoint { path, why: error.to_string() });
            self.notes.extend(broken);
            let state = &self.fit.state;
            let at = (state.epoch + 1, state.position, self.fit.train().len());
            let at = self.fit.finish().is_none().then_some(at);
            if at.is_some() || older {
                self.notes.push(Note::Resumed { from, older, at });
            }
        }
        folder.write_stamp(&Stamp::new(self.fit.config(), &opened.log.dataset, opened.hash()))?;
        self.folder = Some(folder);
        Ok(())
    }

    /// The run's folder.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_ref().map(RunFolder::path)
    }

    /// Trains to the end, or until `watch` ends it: whether its end was reached.
    ///
    /// # Errors
    /// [`SessionError::Diverged`]; [`SessionError::Fit`], a full disk for instance.
    pub fn train(&mut self, watch: &mut (impl Watch + Send)) -> Result<bool, SessionError> {
        let result = match (&mut self.folder, &mut self.follows) {
            (Some(folder), _) => self.fit.run_keeping(watch, folder),
            (None, Some(follower)) => self.fit.run_keeping(watch, follower),
            (None, None) => self.fit.run(watch),
        };
        result.map_err(|error| {
            if !SessionError::diverged(&error) {
                return SessionError::Fit(error);
            }
            let newest = |folder: &RunFolder| folder.checkpoints().ok().and_then(|all| all.last().cloned());
            let (hint, folder) = (self.fit.state.halvings.is_empty(), self.folder.as_ref().map(newest));
            SessionError::Diverged { source: Box::new(error), hint, folder }
        })
    }

    /// Writes a checkpoint of the run as it stands, where it has a folder; of a team, all ranks do.
    ///
    /// # Errors
    /// [`SessionError::Folder`].
    pub fn keep(&mut self) -> Result<(), SessionError> {
        match (&mut self.folder, &mut self.follows) {
            (Some(folder), _) => Ok(folder.save(&mut self.fit)?),
            (None, Some(follower)) => Ok(follower.keep(&mut self.fit)?),
            (None, None) => Ok(()),
        }
    }

    /// Takes the best epoch's weights and measures them on the test set, beside all rivals. With [`Protocol::None`] it takes
    /// the last epoch's, and the figures are those of nobody. Of a team, rank 0 alone measures
    /// the rivals.
    ///
    /// [`Protocol::None`]: crate::data::Protocol::None
    ///
    /// Where the training went on from a model, that model comes first among the rivals: what it would have recommended before
    /// it learned from the newest events.
    pub fn measure(&mut self) -> (Figures, Vec<Rated>) {
        self.fit.restore_best();
        // All ranks share the ranking of the users, the rivals are one rank's.
        let leads = self.fit.trainer.team().leads();
        let (figures, mut rivals) = match leads {
            true => self.fit.test_beside_rivals(),
            false => (self.fit.test_figures(), Vec::new()),
        };
        if let Some(before) = self.session.growth.is_some().then(|| self.figures_of_base()).flatten() {
            rivals.insert(0, Rated { name: BEFORE, figures: before });
        }
        (figures, rivals)
    }

    /// The figures of the model that the training went on from, on the same test set. The weights are put back.
    fn figures_of_base(&mut self) -> Option<Figures> {
        if self.fit.test().is_empty() {
            return None;
        }
        let now = Snapshot::take(&self.fit.trainer);
        self.session.warm(&mut self.fit);
        let before = self.fit.test_figures();
        now.restore(&mut self.fit.trainer);
        Some(before)
    }

    /// The model's card.
    ///
    /// # Errors
    /// [`SessionError::Card`] for settings that no TOML can stand for.
    pub fn card(&self, figures: &Figures) -> Result<Card, SessionError> {
        Ok(card::card(&self.fit, &self.session.opened, figures, self.session.command.clone())?)
    }

    /// The model as it is written, with its card.
    ///
    /// # Errors
    /// [`SessionError::Unsaved`] for a model that is no DMRAN; [`SessionError::Ids`] and [`SessionError::Model`] for names
    /// and numbers that no file can hold.
    pub fn model(&self, card: Card) -> Result<Model, SessionError> {
        let (log, kind) = (&self.session.opened.log, self.fit.config().train.model);
        if kind != Kind::Dmran {
            return Err(SessionError::Unsaved(kind));
        }
        let labels = Labels {
            items: Ids::from_sorted(log.items.names())?,
            categories: Ids::from_sorted(log.categories.names())?,
            item_category: log.dataset.item_categories().to_vec(),
            card,
        };
        Ok(to_model(&self.fit.config().model, self.fit.trainer.model().params(), labels)?)
    }

    /// Whether a model is this very run's: of the same settings and the same log.
    pub fn made(&self, model: &Model) -> bool {
        let card = model.card();
        card::settings(&self.fit).is_ok_and(|config| card.config == config)
            && card.data_hash == self.session.opened.hash()
    }

    /// Measures the run and takes what it came to.
    ///
    /// # Errors
    /// As [`Run::card`] and [`Run::model`].
    pub fn outcome(mut self) -> Result<Trained, SessionError> {
        let (figures, rivals) = self.measure();
        let card = self.card(&figures)?;
        let kind = self.fit.config().train.model;
        let model = (kind == Kind::Dmran).then(|| self.model(card.clone())).transpose()?;
        let state = self.fit.state;
        Ok(Trained {
            kind,
            figures,
            rivals,
            card,
            model,
            best_epoch: state.best.map(|best| best.epoch),
            epochs: state.reports,
            notes: self.notes,
        })
    }
}
