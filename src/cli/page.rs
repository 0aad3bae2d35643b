//! The page about a run (`report.html`): what the training, the log and the model give to it.

use super::failure::Failure;
use super::show::{self, Plain};
use dmran::data::Opened;
use dmran::durable::write_atomically;
use dmran::report::{Example, Named, Report, auc_by_length, examples};
use dmran::scorer::{Card, Model, Scorer, ScorerOptions};
use dmran::train::fit::{Figures, Fit, Rated};
use std::io::{self, Write};
use std::path::Path;

/// Events of an example's history that the terminal shows.
const HISTORY: usize = 4;

/// A few users with the recommendations of a model that was just trained on the log.
pub fn examples_of(model: Model, fit: &Fit<'_>, opened: &Opened) -> Result<Vec<Example>, Failure> {
    // A few users: nothing that is computed ahead would pay.
    let scorer = Scorer::with_options(model, ScorerOptions { precompute: Some(false), ..ScorerOptions::default() })?;
    Ok(examples(&scorer, &opened.log, fit.test()))
}

/// The examples on the terminal.
pub fn print(out: &mut impl Write, examples: &[Example]) -> io::Result<()> {
    if examples.is_empty() {
        return Ok(());
    }
    writeln!(out, "\nFor example: what these users had before their test event, and what the model recommends then.")?;
    for example in examples {
        writeln!(out, "\nuser {} ({} events before)", Plain(&example.user), example.history.len())?;
        for past in &example.history[example.history.len().saturating_sub(HISTORY)..] {
            writeln!(out, "  had        {}", line(&past.what))?;
        }
        for (place, advice) in (1..).zip(&example.advice) {
            let hit = if advice.hit { "   <- came next" } else { "" };
            writeln!(out, "  advice {place:>2}  {}{hit}", line(&advice.what))?;
        }
        writeln!(out, "  came next  {}", line(&example.next))?;
    }
    Ok(())
}

/// An item and its category in columns.
fn line(what: &Named) -> String {
    show::line(&what.item, what.category.as_deref())
}

/// What the page says besides the curves of the training.
pub struct Results<'a> {
    /// The final figures.
    pub figures: &'a Figures,
    /// Those of its rivals.
    pub rivals: &'a [Rated],
    /// Users with recommendations.
    pub examples: Vec<Example>,
    /// Where the model comes from.
    pub card: &'a Card,
}

/// Writes the page of a finished run to `path`.
pub fn write(path: &Path, fit: &mut Fit<'_>, opened: &Opened, results: Results<'_>) -> Result<(), Failure> {
    let Results { figures, rivals, examples, card } = results;
    let config = fit.config().clone();
    let (protocol, seed) = (config.eval.protocol, config.train.seed);
    let columns = show::columns("this model", figures, rivals);
    let rows = figures.rows().into_iter().enumerate().map(|(at, (name, _))| {
        let cells = columns.iter().map(|(_, figures)| figures.rows()[at].1.to_string());
        std::iter::once(name).chain(cells).collect()
    });
    let mut facts = vec![
        ("log".to_owned(), opened.summary()),
        ("fingerprint of the log".to_owned(), card.data_hash.clone()),
        ("command".to_owned(), card.command.clone()),
        ("made by".to_owned(), card.created_by.clone()),
        ("numbers learned".to_owned(), fit.trainer.model().params().count().to_string()),
    ];
    let seconds: f64 = fit.state.reports.iter().map(|epoch| epoch.seconds).sum();
    facts.push(("training".to_owned(), format!("{} epochs, {seconds:.0} s", fit.state.reports.len())));
    let (test, negatives) = (fit.test().to_vec(), fit.negatives().clone());
    let dataset = &opened.log.dataset;
    let count = config.eval.validation_negatives;
    let by_length = auc_by_length(&mut fit.trainer, dataset, &negatives, &test, count, seed);
    let report = Report {
        title: format!("{} on {}", config.train.model.title(), opened.name),
        facts,
        log: &opened.log,
        measured_on: protocol.picked_on(),
        epochs: &fit.state.reports,
        measured: columns.iter().map(|(name, _)| (*name).to_owned()).collect(),
        figures: rows.collect(),
        remarks: vec![
            "Mean ± standard error over users.".to_owned(),
            show::picked(protocol, fit.state.best.as_ref().map(|best| best.epoch)),
        ],
        by_length,
        examples,
        settings: card.config.clone(),
    };
    let html = report.html();
    write_atomically(path, |file| file.write_all(html.as_bytes()))
        .map_err(|error| Failure::Other(format!("cannot write {}: {error}", path.display())))
}
