//! The rows of Table 2: a model, and for DMRAN one of its variants.

use crate::model::Kind;
use crate::scorer::Variant;
use crate::train::Config;
use std::fmt;
use std::str::FromStr;

/// A model or a variant of DMRAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    /// The model.
    pub kind: Kind,
    /// DMRAN's variant; of no meaning for the others.
    pub variant: Variant,
}

/// The paper's order: baselines (with those that it does not have behind them), DMRAN's variants, the whole model; what is
/// not trained before them all.
pub fn all() -> Vec<Row> {
    let of =
        |trained: bool| Kind::ALL.into_iter().filter(move |kind| *kind != Kind::Dmran && kind.is_trained() == trained);
    let rivals = of(false).chain(of(true)).map(|kind| Row { kind, variant: Variant::Full });
    let variants = [Variant::NoTime, Variant::Item, Variant::Feature, Variant::Full];
    rivals.chain(variants.map(|variant| Row { kind: Kind::Dmran, variant })).collect()
}

/// What `slices` sets side by side unless it is told otherwise.
pub const COMPARED: [Row; 3] =
    [FULL, Row { kind: Kind::Sasrec, variant: Variant::Full }, Row { kind: Kind::Atrank, variant: Variant::Full }];

/// DMRAN as it is.
pub const FULL: Row = Row { kind: Kind::Dmran, variant: Variant::Full };

impl Row {
    /// The row that settings belong to.
    pub fn of(config: &Config) -> Row {
        let kind = config.train.model;
        Row { kind, variant: if kind == Kind::Dmran { config.model.variant } else { Variant::Full } }
    }

    /// The name in `--models`: a model's, or `dmran-no-time`, `dmran-item`, `dmran-feature`.
    pub fn name(self) -> String {
        match self.variant {
            Variant::Full => self.kind.name().into(),
            variant => format!("{}-{variant}", self.kind),
        }
    }

    /// The name in tables, as the paper has it.
    pub fn title(self) -> String {
        match self.variant {
            Variant::Full => self.kind.title().into(),
            Variant::NoTime => "DMRAN_No_Time".into(),
            Variant::Item => "DMRAN_Item".into(),
            Variant::Feature => "DMRAN_Feature".into(),
        }
    }

    /// Settings of this row's model, turned into those of the row.
    pub fn apply(self, config: &mut Config) {
        if self.kind == Kind::Dmran {
            config.model.variant = self.variant;
        }
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name())
    }
}

impl FromStr for Row {
    type Err = String;
    fn from_str(text: &str) -> Result<Row, String> {
        let all = all();
        let names = || all.iter().map(|row| row.name()).collect::<Vec<_>>().join(", ");
        let found = all.iter().find(|row| row.name() == text).copied();
        found.ok_or_else(|| format!("there is no model {text:?}; choose among: {}", names()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back() {
        for row in all() {
            assert_eq!(row.name().parse(), Ok(row));
            let mut config = Config::of(Default::default(), row.kind);
            row.apply(&mut config);
            assert_eq!(Row::of(&config), row);
        }
        assert!("dmran-full".parse::<Row>().unwrap_err().contains("dmran-no-time"));
    }
}
