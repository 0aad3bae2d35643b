//! Results as text.

use dmran::data::Protocol;
use dmran::scorer::Model;
use dmran::train::fit::{Figures, Rated};
use std::fmt;

/// A name from a file with its control characters escaped, so that it cannot steer a terminal.
pub struct Plain<'a>(pub &'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.0.chars().any(char::is_control) {
            return f.pad(self.0);
        }
        let escaped: String =
            self.0.chars().flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] }).collect();
        f.pad(&escaped)
    }
}

/// Names of a model's items and of their categories.
#[derive(Clone, Copy)]
pub struct Names<'a>(pub &'a Model);

impl<'a> Names<'a> {
    /// Name of an item.
    pub fn item(self, item: u32) -> &'a str {
        self.0.items().get(item as usize).unwrap_or_default()
    }

    /// Name of an item's category, where the model has categories.
    pub fn category(self, item: u32) -> Option<&'a str> {
        self.0.category_of(item)
    }

    /// An item and its category in columns.
    pub fn line(self, item: u32) -> String {
        line(self.item(item), self.category(item))
    }
}

/// An item and its category in columns.
pub fn line(item: &str, category: Option<&str>) -> String {
    let name = Plain(item);
    match category {
        Some(category) => format!("{name:<14} {}", Plain(category)),
        None => name.to_string(),
    }
}

/// A model and its rivals, as columns of a table.
pub fn columns<'a>(title: &'a str, figures: &'a Figures, rivals: &'a [Rated]) -> Vec<(&'a str, &'a Figures)> {
    let rivals = rivals.iter().map(|rival| (rival.name, &rival.figures));
    std::iter::once((title, figures)).chain(rivals).collect()
}

/// The figures of models, one a column under its name.
pub fn table(columns: &[(&str, &Figures)]) -> String {
    let line = |first: &str, cells: Vec<String>| {
        let cells: String = cells.iter().map(|cell| format!(" {cell:<18}")).collect();
        format!("{first:<18}{cells}").trim_end().to_owned() + "\n"
    };
    let mut out = line("", columns.iter().map(|(name, _)| (*name).to_owned()).collect());
    let Some((_, first)) = columns.first() else { return out };
    for (at, (name, _)) in first.rows().iter().enumerate() {
        out += &line(name, columns.iter().map(|(_, figures)| figures.rows()[at].1.to_string()).collect());
    }
    let (one, all) = (first.auc.n, first.ranking.users());
    out += &format!("mean ± standard error over {one} users (the first row) and {all} users (full ranking)\n");
    out
}

/// How the model was picked, in words that do not promise too much.
pub fn picked(protocol: Protocol, epoch: Option<usize>) -> String {
    match (protocol, epoch) {
        (Protocol::None, _) => "Every event was learned from, so there are no figures: nothing was held out.".into(),
        (_, None) => "No epoch could be measured: the figures are those of the last one.".into(),
        (Protocol::Honest, Some(epoch)) => {
            format!(
                "Epoch {epoch} was picked on the validation set; the test set was not looked at before.\n\
                 (What others did after a user's test event was learned from: --protocol time does without.)"
            )
        }
        (Protocol::Time, Some(epoch)) => format!(
            "Epoch {epoch} was picked on events before the moment of the test, which nothing had seen anything behind."
        ),
        (Protocol::Paper, Some(epoch)) => format!(
            "Epoch {epoch} was picked on the test set itself, as the paper does: its figures are too good by a little."
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_steer_a_terminal() {
        assert_eq!(Plain("a\u{1b}[2Jb\n").to_string(), "a\\u{1b}[2Jb\\n");
        assert_eq!(format!("{:<4}|", Plain("ä")), "ä   |");
    }
}
