//! How a log is to be read. Everything has a default that suits a CSV with the usual names.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::filter::Filter;
use super::time::TimeUnit;

/// Which column plays a role. As text: `auto`, `none`, or the column's name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Column {
    /// The first of the usual names that is there, in any case of letters, with or without spaces, dashes and
    /// underscores. The user and the item must be found; time, category and position may be absent.
    #[default]
    Auto,
    /// Exactly this name; it must be there. Where no column has it and it is a number, the column at that place,
    /// counted from 1. In JSON, `a.b` is the key `b` of the object at the key `a`.
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
    /// Who. Auto: `user`, `user_id`, `customer_id`, `reviewerID`, `visitorid` and the like.
    pub user: Column,
    /// What. Auto: `item`, `item_id`, `parent_asin`, `asin`, `product_id`, `movieId`, `article_id` and the like.
    pub item: Column,
    /// When: numbers in [`TimeUnit`]s since 1970, or dates. Auto: `timestamp`, `time`, `unixReviewTime`, `date`,
    /// `datetime`, `event_time`, `created_at`, `t_dat` and the like.
    pub time: Column,
    /// Category of the item. Auto: `category`, `category_id`, `genres` and the like.
    pub category: Column,
    /// Order of the events of a user, an integer. Auto: `position`.
    pub position: Column,
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
    /// Amazon reviews of 2014, 2018 or 2023: JSON lines.
    Amazon,
    /// One user a line: the user, then the items in order.
    Sequences,
    /// Parquet.
    Parquet,
}

/// Whether quotes mean anything in a CSV or TSV. As text: `none`, or the character.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Quote {
    /// They are characters like all others.
    None,
    /// A field may stand between two of these, an ASCII character; within them, line breaks and delimiters count as text.
    Char(u8),
}

impl FromStr for Quote {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.as_bytes() {
            b"none" => Ok(Self::None),
            [byte] if byte.is_ascii_graphic() => Ok(Self::Char(*byte)),
            _ => Err(format!("quotes are none or one ASCII character, not {text:?}")),
        }
    }
}

impl TryFrom<String> for Quote {
    type Error = String;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Quote> for String {
    fn from(quote: Quote) -> Self {
        match quote {
            Quote::None => "none".into(),
            Quote::Char(byte) => char::from(byte).into(),
        }
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
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
    /// What separates fields, of ASCII characters; by default found from the extension and the header.
    pub delimiter: Option<String>,
    /// Whether the first line is a row already; columns then have numbers for names.
    #[serde(skip_serializing_if = "is_default")]
    pub no_header: bool,
    /// What quotes mean; by default `"` in CSV, nothing in TSV. Given, it also stands for records over several lines that
    /// look as if quotes did not pair.
    #[serde(skip_serializing_if = "is_default")]
    pub quote: Option<Quote>,
    /// What makes a quote within quotes a character, beside doubling it; an ASCII character, most often a backslash.
    #[serde(skip_serializing_if = "is_default")]
    pub escape: Option<char>,
    /// What lines begin with that are no rows; by default `#`, above the header alone.
    #[serde(skip_serializing_if = "is_default")]
    pub comment: Option<String>,
    /// How times are written, for strptime: `%d.%m.%Y %H:%M`. By default numbers, or dates in their usual forms.
    #[serde(skip_serializing_if = "is_default")]
    pub time_format: Option<String>,
    /// Rows count only where all of these hold.
    #[serde(rename = "where", skip_serializing_if = "is_default")]
    pub filters: Vec<Filter>,
    /// What times count that are numbers.
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
    /// Amazon's meta file beside the reviews: where categories come from.
    pub meta: Option<PathBuf>,
}

impl ReadOptions {
    /// These options without the cleaning (duplicates, k-core), which was for a training: whoever has an event that a model
    /// knows can be recommended to.
    #[must_use]
    pub fn without_cleaning(self) -> ReadOptions {
        let ReadOptions { duplicates, k_core_users, k_core_items, .. } = ReadOptions::default();
        ReadOptions { duplicates, k_core_users, k_core_items, ..self }
    }
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            format: Format::default(),
            columns: Columns::default(),
            delimiter: None,
            no_header: false,
            quote: None,
            escape: None,
            comment: None,
            time_format: None,
            filters: Vec::new(),
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
            delimiter: Some("::".into()),
            meta: Some("meta.json.gz".into()),
            quote: Some(Quote::None),
            filters: vec!["rating>=4".parse().unwrap()],
            ..ReadOptions::default()
        };
        let text = toml::to_string(&options).unwrap();
        assert_eq!(toml::from_str::<ReadOptions>(&text).unwrap(), options);
        let text = "on_error = \"skip\"\ncolumns = { time = \"none\", user = \"who\" }";
        let options: ReadOptions = toml::from_str(text).unwrap();
        assert_eq!(options.on_error, OnError::Skip);
        assert_eq!(options.columns.time, Column::Ignore);
        let units = ["seconds", "s", "ms", "us", "ns"].map(|unit| format!("time_unit = \"{unit}\""));
        let units = units.map(|text| toml::from_str::<ReadOptions>(&text).unwrap().time_unit.short());
        assert_eq!(units, ["s", "s", "ms", "us", "ns"]);
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
