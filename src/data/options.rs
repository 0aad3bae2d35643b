//! How a log is to be read. Everything has a default that suits a CSV with the usual names.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Which column plays a role. As text: `auto`, `none`, or the column's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Column {
    /// The first of the usual names that is there, in any case of letters. The user and the item
    /// must be found; time, category and position may be absent.
    #[default]
    Auto,
    /// Exactly this name; it must be there.
    Named(String),
    /// Do without, even if a usual name is there.
    Ignore,
}

impl From<String> for Column {
    fn from(text: String) -> Self {
        match text.as_str() {
            "auto" => Self::Auto,
            "none" => Self::Ignore,
            _ => Self::Named(text),
        }
    }
}

impl FromStr for Column {
    type Err = std::convert::Infallible;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(text.to_owned().into())
    }
}

impl From<Column> for String {
    fn from(column: Column) -> Self {
        column.to_string()
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Named(name) => name,
            Self::Ignore => "none",
        })
    }
}

/// The columns of a log.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Columns {
    /// Who. Auto: `user`, `user_id`, `userid`, `reviewerID`.
    pub user: Column,
    /// What. Auto: `item`, `item_id`, `itemid`, `asin`, `product_id`, `movieId`.
    pub item: Column,
    /// When, in [`TimeUnit`]s since 1970. Auto: `timestamp`, `time`, `unixReviewTime`.
    pub time: Column,
    /// Category of the item. Auto: `category`, `category_id`.
    pub category: Column,
    /// Order of the events of a user, an integer. Auto: `position`.
    pub position: Column,
}

/// What the numbers in the time column count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TimeUnit {
    /// Seconds since 1970; decimals order events within a second.
    #[default]
    Seconds,
    /// Milliseconds since 1970.
    Milliseconds,
}

/// What to do with a malformed line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// Stop with an error that names it.
    #[default]
    Fail,
    /// Leave it out, count it, and keep the first ten for the report.
    Skip,
}

/// What to do when a user has the same item more than once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Duplicates {
    /// Keep every event.
    #[default]
    KeepAll,
    /// Keep only the earliest event of each (user, item) pair.
    KeepFirst,
}

/// The order of events of one user with the same time. As text: `file` or `random(SEED)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Ties {
    /// As in the file.
    #[default]
    File,
    /// Shuffled; the same seed gives the same order.
    Random(u64),
}

impl FromStr for Ties {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let seed = text.strip_prefix("random(").and_then(|rest| rest.strip_suffix(')'));
        match (text, seed.map(|seed| seed.trim().parse())) {
            ("file", _) => Ok(Self::File),
            (_, Some(Ok(seed))) => Ok(Self::Random(seed)),
            _ => Err(format!("ties are \"file\" or \"random(SEED)\", not {text:?}")),
        }
    }
}

impl TryFrom<String> for Ties {
    type Error = String;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Ties> for String {
    fn from(ties: Ties) -> Self {
        ties.to_string()
    }
}

impl fmt::Display for Ties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => f.write_str("file"),
            Self::Random(seed) => write!(f, "random({seed})"),
        }
    }
}

/// What a file holds. Compression is found by itself and is no part of this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// By the first line, and by the extension where that leaves a choice.
    #[default]
    Auto,
    /// Fields set apart by commas (or [`delimiter`](ReadOptions::delimiter)), a header first.
    Csv,
    /// Fields set apart by tabs, a header first.
    Tsv,
    /// One JSON object a line.
    Jsonl,
    /// Amazon 2014 reviews: JSON lines with `reviewerID`, `asin` and `unixReviewTime`.
    Amazon,
}

/// How to read a log.
///
/// ```
/// use dmran::data::{Column, ReadOptions};
/// let mut options = ReadOptions::default();
/// options.columns.item = Column::Named("product".into());
/// options.k_core_users = 5;
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReadOptions {
    /// What the file holds.
    pub format: Format,
    /// The columns' names.
    pub columns: Columns,
    /// What separates fields, an ASCII character; by default found from the extension and the
    /// header.
    pub delimiter: Option<char>,
    /// What times count.
    pub time_unit: TimeUnit,
    /// What to do with malformed lines.
    pub on_error: OnError,
    /// What to do with repeated (user, item) pairs.
    pub duplicates: Duplicates,
    /// The order of events at the same time.
    pub ties: Ties,
    /// Fewest events a user may have; 0 and 1 keep everybody. Cut together with
    /// `k_core_items`, again and again until nothing changes, after duplicates are dropped.
    pub k_core_users: u32,
    /// Fewest events an item may have.
    pub k_core_items: u32,
    /// Longest identifier (user, item or category) in bytes.
    pub max_id_bytes: usize,
    /// `meta_X.json.gz` beside Amazon's reviews: where categories come from.
    pub meta: Option<PathBuf>,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            format: Format::default(),
            columns: Columns::default(),
            delimiter: None,
            time_unit: TimeUnit::default(),
            on_error: OnError::default(),
            duplicates: Duplicates::default(),
            ties: Ties::default(),
            k_core_users: 0,
            k_core_items: 0,
            max_id_bytes: 64 << 10,
            meta: None,
        }
    }
}

/// The extension that tells the format, in lower case: `tsv` for `log.TSV.gz`.
pub(crate) fn inner_extension(path: &Path) -> String {
    let lower = |path: &Path| path.extension().map(|e| e.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    match lower(path).as_str() {
        "gz" | "zst" => lower(Path::new(path.file_stem().unwrap_or_default())),
        other => other.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_forms_go_both_ways() {
        for text in ["file", "random(7)"] {
            assert_eq!(text.parse::<Ties>().unwrap().to_string(), text);
        }
        for text in ["random", "random()", "random(-1)", "7", ""] {
            assert!(text.parse::<Ties>().is_err(), "{text}");
        }
        for text in ["auto", "none", "user id"] {
            assert_eq!(Column::from(text.to_owned()).to_string(), text);
        }
    }

    #[test]
    fn options_survive_toml() {
        let options = ReadOptions {
            ties: Ties::Random(3),
            delimiter: Some(';'),
            meta: Some("meta.json.gz".into()),
            ..ReadOptions::default()
        };
        let text = toml::to_string(&options).unwrap();
        assert_eq!(toml::from_str::<ReadOptions>(&text).unwrap(), options);
        let text = "on_error = \"skip\"\ncolumns = { time = \"none\", user = \"who\" }";
        let options: ReadOptions = toml::from_str(text).unwrap();
        assert_eq!(options.on_error, OnError::Skip);
        assert_eq!(options.columns.time, Column::Ignore);
        assert!(toml::from_str::<ReadOptions>("on_eror = \"skip\"").is_err());
    }

    #[test]
    fn extensions_look_through_compression() {
        for (path, want) in
            [("a.csv", "csv"), ("a.TSV.gz", "tsv"), ("x.y/a.jsonl.zst", "jsonl"), ("a.gz", ""), ("a", "")]
        {
            assert_eq!(inner_extension(Path::new(path)), want, "{path}");
        }
    }
}
