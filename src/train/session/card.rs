//! The model card of a trained model. Nothing in it depends on the moment, the machine or the number of threads, so
//! that the same run gives the same file.

use crate::data::Opened;
use crate::scorer::{Card, Metric};
use crate::train::fit::{Figures, Fit};

/// How the name of the metric begins that tells the best epoch.
pub(super) const BEST_EPOCH: &str = "best epoch";

/// The settings as the card has them.
///
/// # Errors
/// For settings that no TOML can stand for.
pub fn settings(fit: &Fit<'_>) -> Result<String, toml::ser::Error> {
    let mut config = fit.config().clone();
    config.train.threads = 0;
    toml::to_string(&config)
}

/// The card of a finished run, which this command would make.
///
/// # Errors
/// As of [`settings`].
pub fn card(fit: &Fit<'_>, opened: &Opened, figures: &Figures, command: String) -> Result<Card, toml::ser::Error> {
    let config = fit.config();
    let mut data_summary = opened.summary();
    if !config.eval.protocol.measures() {
        data_summary += &format!("; every event was learned from in {} epochs, nothing was measured", fit.state.epoch);
    }
    let mut metrics = Vec::new();
    if let Some(best) = &fit.state.best {
        let set = config.eval.protocol.picked_on();
        metrics.push(Metric {
            name: format!("{BEST_EPOCH}, by {set} {}", config.train.early_stop_metric),
            value: best.epoch as f64,
            standard_error: None,
        });
        metrics.push(Metric { name: format!("{set} AUC"), value: best.auc, standard_error: None });
    }
    for (name, estimate) in figures.rows() {
        let standard_error = Some(estimate.se).filter(|se| se.is_finite());
        metrics.push(Metric { name: format!("test {name}"), value: estimate.mean, standard_error });
    }
    metrics.retain(|metric| metric.value.is_finite());
    Ok(Card {
        created_by: concat!("dmran ", env!("CARGO_PKG_VERSION")).into(),
        command,
        config: settings(fit)?,
        data_summary,
        data_hash: opened.hash(),
        seed: config.train.seed,
        metrics,
    })
}
