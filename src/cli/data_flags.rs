//! Flags that say how a log is read, and the reading of it.

use super::failure::Failure;
use super::say;
use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use dmran::data::{self, Column, Duplicates, Filter, Format, OnError, Opened, Quote, ReadOptions, Ties, TimeUnit};
use dmran::train::config::described::names_of;
use dmran::train::session::Note;
use serde::de::{DeserializeOwned, IntoDeserializer, value};
use std::path::PathBuf;

/// How the log is read.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Reading the log")]
pub struct DataFlags {
    /// What the file holds: auto, csv, tsv, jsonl, amazon, sequences (a user and then the items, a line) or parquet.
    /// Compression (gzip, zstd) is found by itself
    #[arg(long, value_parser = named::<Format>())]
    format: Option<Format>,
    /// Amazon's meta file beside the reviews: where categories come from
    #[arg(long, value_name = "FILE")]
    meta: Option<PathBuf>,
    /// Column of the user; auto tries user, user_id, customer_id, reviewerID and the like. A number is a place from 1; in
    /// JSON a.b is b within a
    #[arg(long, value_name = "NAME")]
    user_column: Option<Column>,
    /// Column of the item; auto tries item, item_id, asin, product_id, movieId, article_id and the like
    #[arg(long, value_name = "NAME")]
    item_column: Option<Column>,
    /// Column of the time, or none; auto tries timestamp, time, date, datetime, event_time, created_at and the like
    #[arg(long, value_name = "NAME")]
    time_column: Option<Column>,
    /// Column of the item's category, or none; auto tries category, category_id, genres and the like
    #[arg(long, value_name = "NAME")]
    category_column: Option<Column>,
    /// Column of the event's place in its user's order, or none; auto tries position
    #[arg(long, value_name = "NAME")]
    position_column: Option<Column>,
    /// What sets fields apart: ASCII characters such as ; or ::, or tab, or space
    #[arg(long, value_name = "TEXT", value_parser = delimiter, allow_hyphen_values = true)]
    delimiter: Option<String>,
    /// The first line is a row already: columns are named by their numbers, from 1
    #[arg(long)]
    no_header: bool,
    /// What quotes mean: none, or the character that encloses fields [default: " in CSV, none in TSV]
    #[arg(long, value_name = "CHAR|none", allow_hyphen_values = true)]
    quote: Option<Quote>,
    /// What makes a quote within quotes a character, beside doubling it: most often a backslash
    #[arg(long, value_name = "CHAR", allow_hyphen_values = true)]
    escape: Option<char>,
    /// What lines begin with that are no rows [default: # above the header]
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    comment: Option<String>,
    /// Only rows with this: COLUMN=VALUE, or !=, <, <=, >, >= in place of =; given again, all must hold; none for all rows
    #[arg(long = "where", value_name = "CONDITION", value_parser = condition)]
    filters: Vec<Condition>,
    /// What times count that are numbers: s, ms, us or ns since 1970
    #[arg(long, value_parser = named::<TimeUnit>())]
    time_unit: Option<TimeUnit>,
    /// How times are written, for strptime: '%d.%m.%Y %H:%M' [default: numbers, or dates as 2018-08-23T22:00:58Z]
    #[arg(long, value_name = "FORMAT")]
    time_format: Option<String>,
    /// A malformed line: fail, or skip it and count
    #[arg(long, value_parser = named::<OnError>())]
    on_error: Option<OnError>,
    /// The same item again for a user: keep-all or keep-first
    #[arg(long, value_parser = named::<Duplicates>())]
    duplicates: Option<Duplicates>,
    /// Events of one user at one time: file (its order) or random(SEED)
    #[arg(long)]
    ties: Option<Ties>,
    /// Leave out users with fewer events, and again until nothing changes
    #[arg(long, value_name = "N")]
    k_core_users: Option<u32>,
    /// Leave out items with fewer events, together with --k-core-users
    #[arg(long, value_name = "N")]
    k_core_items: Option<u32>,
    /// Longest identifier accepted
    #[arg(long, value_name = "BYTES")]
    max_id_bytes: Option<usize>,
}

impl DataFlags {
    /// Puts the flags that were given over `options`.
    pub fn apply(&self, options: &mut ReadOptions) {
        super::settings::over!(self => options;
            format, time_unit, on_error, duplicates, ties, k_core_users, k_core_items, max_id_bytes);
        let columns = &mut options.columns;
        for (flag, column) in [
            (&self.user_column, &mut columns.user),
            (&self.item_column, &mut columns.item),
            (&self.time_column, &mut columns.time),
            (&self.category_column, &mut columns.category),
            (&self.position_column, &mut columns.position),
        ] {
            if let Some(flag) = flag {
                *column = flag.clone();
            }
        }
        if self.meta.is_some() {
            options.meta.clone_from(&self.meta);
        }
        if !self.filters.is_empty() {
            options.filters = self.filters.iter().filter_map(|condition| condition.0.clone()).collect();
        }
        options.no_header |= self.no_header;
        for (flag, option) in [
            (&self.delimiter, &mut options.delimiter),
            (&self.comment, &mut options.comment),
            (&self.time_format, &mut options.time_format),
        ] {
            if flag.is_some() {
                option.clone_from(flag);
            }
        }
        options.quote = self.quote.or(options.quote);
        options.escape = self.escape.or(options.escape);
    }
}

/// A value by the name that it has in TOML; help lists the names.
pub fn named<T: DeserializeOwned + Clone + Send + Sync + 'static>() -> impl TypedValueParser<Value = T> {
    PossibleValuesParser::new(names_of::<T>()).try_map(|text| {
        let text: value::StringDeserializer<value::Error> = text.into_deserializer();
        T::deserialize(text)
    })
}

fn delimiter(text: &str) -> Result<String, String> {
    match text {
        "tab" | "\\t" => Ok("\t".into()),
        "space" => Ok(" ".into()),
        "comma" => Ok(",".into()),
        "" => Err("one character or more, or tab, or space".into()),
        text => Ok(text.into()),
    }
}

/// A condition on rows; the word none stands for no condition, to take back those of a model's training.
#[derive(Debug, Clone)]
struct Condition(Option<Filter>);

fn condition(text: &str) -> Result<Condition, String> {
    if text == "none" { Ok(Condition(None)) } else { text.parse().map(|filter| Condition(Some(filter))) }
}

/// Reads a log (`-` is standard input; no file is the bundled log) and tells what was taken for what and what was left out.
pub fn open(files: &[PathBuf], options: &ReadOptions) -> Result<Opened, Failure> {
    let opened = open_silently(files, options)?;
    tell_choices(&opened);
    Ok(opened)
}

/// As [`open`], telling of malformed lines alone.
pub fn open_silently(files: &[PathBuf], options: &ReadOptions) -> Result<Opened, Failure> {
    let opened = data::open(files, options)?;
    Note::of_skipped(&opened).iter().for_each(say);
    Ok(opened)
}

/// Says what was taken for what, and what is odd.
pub fn tell_choices(opened: &Opened) {
    Note::of_choices(opened).iter().for_each(say);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_names_in_toml() {
        let command = DataFlags::augment_args(clap::Command::new("dmran").no_binary_name(true));
        let read = |given: &[&str]| {
            let matches = command.clone().try_get_matches_from(given).map_err(|error| error.to_string())?;
            <DataFlags as clap::FromArgMatches>::from_arg_matches(&matches).map_err(|error| error.to_string())
        };
        assert_eq!(read(&["--format", "jsonl"]).unwrap().format, Some(Format::Jsonl));
        let error = read(&["--on-error", "stop"]).unwrap_err();
        assert!(error.contains("stop") && error.contains("fail, skip"), "{error}");
    }

    #[test]
    fn delimiters() {
        for (text, want) in [(";", ";"), ("::", "::"), ("tab", "\t"), ("\\t", "\t"), ("space", " ")] {
            assert_eq!(delimiter(text).as_deref(), Ok(want));
        }
        assert!(delimiter("").is_err());
    }

    #[test]
    fn flags_win_over_options() {
        let flags =
            DataFlags { k_core_users: Some(5), item_column: Some("thing".to_owned().into()), ..Default::default() };
        let mut options = ReadOptions { k_core_items: 3, k_core_users: 2, ..ReadOptions::default() };
        flags.apply(&mut options);
        assert_eq!((options.k_core_users, options.k_core_items), (5, 3));
        assert_eq!(options.columns.item, Column::Named("thing".into()));
        assert_eq!(options.columns.user, Column::Auto);
        let mut options = ReadOptions { filters: vec!["a=b".parse().unwrap()], ..ReadOptions::default() };
        DataFlags { filters: vec![condition("none").unwrap()], ..Default::default() }.apply(&mut options);
        assert!(options.filters.is_empty());
        DataFlags { filters: vec![condition("c>1").unwrap()], ..Default::default() }.apply(&mut options);
        assert_eq!(options.filters[0].to_string(), "c>1");
    }
}
