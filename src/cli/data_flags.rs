//! Flags that say how a log is read, and the reading of it.

use super::failure::Failure;
use super::note;
use clap::Args;
use dmran::data::{self, Column, DataReport, Duplicates, Format, Log, OnError, Protocol, ReadOptions, Ties, TimeUnit};
use serde::de::{DeserializeOwned, IntoDeserializer, value};
use std::io;
use std::path::{Path, PathBuf};

/// How the log is read.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Reading the log")]
pub struct DataFlags {
    /// What the file holds: auto, csv, tsv, jsonl or amazon. Compression (gzip, zstd) is found by itself
    #[arg(long, value_parser = named::<Format>)]
    format: Option<Format>,
    /// Amazon's meta file beside the reviews: where categories come from
    #[arg(long, value_name = "FILE")]
    meta: Option<PathBuf>,
    /// Column of the user; auto tries user, user_id, userid, reviewerID
    #[arg(long, value_name = "NAME")]
    user_column: Option<Column>,
    /// Column of the item; auto tries item, item_id, itemid, asin, product_id, movieId
    #[arg(long, value_name = "NAME")]
    item_column: Option<Column>,
    /// Column of the time, or none; auto tries timestamp, time, unixReviewTime
    #[arg(long, value_name = "NAME")]
    time_column: Option<Column>,
    /// Column of the item's category, or none; auto tries category, category_id
    #[arg(long, value_name = "NAME")]
    category_column: Option<Column>,
    /// Column of the event's place in its user's order, or none; auto tries position
    #[arg(long, value_name = "NAME")]
    position_column: Option<Column>,
    /// What sets fields apart: one ASCII character, or tab
    #[arg(long, value_name = "CHAR", value_parser = delimiter)]
    delimiter: Option<char>,
    /// What times count: seconds or milliseconds since 1970
    #[arg(long, value_parser = named::<TimeUnit>)]
    time_unit: Option<TimeUnit>,
    /// A malformed line: fail, or skip it and count
    #[arg(long, value_parser = named::<OnError>)]
    on_error: Option<OnError>,
    /// The same item again for a user: keep-all or keep-first
    #[arg(long, value_parser = named::<Duplicates>)]
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
        options.delimiter = self.delimiter.or(options.delimiter);
    }
}

/// A value by the name that it has in TOML.
pub fn named<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let text: value::StrDeserializer<'_, value::Error> = text.into_deserializer();
    T::deserialize(text).map_err(|error| error.to_string())
}

fn delimiter(text: &str) -> Result<char, String> {
    let mut chars = text.chars();
    match (text, chars.next(), chars.next()) {
        ("tab" | "\\t", ..) => Ok('\t'),
        (_, Some(c), None) => Ok(c),
        _ => Err("one character, or tab".into()),
    }
}

/// A log that was read, and what to call it.
pub struct Opened {
    /// The log.
    pub log: Log,
    /// The file's name without its folder.
    pub name: String,
}

/// Reads a log (`-` is standard input; no file is the bundled log) and tells what was left out.
pub fn open(file: Option<&Path>, options: &ReadOptions) -> Result<Opened, Failure> {
    let (log, name) = match file {
        Some(file) if file == Path::new("-") => {
            (data::read_from(io::stdin().lock(), "stdin", options)?, "stdin".into())
        }
        Some(file) => {
            let name = file.file_name().unwrap_or(file.as_os_str());
            (data::read(file, options)?, name.to_string_lossy().into_owned())
        }
        None if *options != ReadOptions::default() => {
            return Err(Failure::input("the bundled log is read as it is: settings of how a log is read need a FILE"));
        }
        None => (data::bundled()?, data::BUNDLED_NAME.into()),
    };
    if log.skipped.count > 0 {
        note(format_args!("{name}: {} malformed lines skipped; the first of them:", log.skipped.count));
        log.skipped.first.iter().for_each(|line| note(format_args!("  {line}")));
    }
    Ok(Opened { log, name })
}

/// A protocol that needs times is refused on a log without.
pub fn check_times(opened: &Opened, protocol: Protocol) -> Result<(), Failure> {
    if protocol == Protocol::Time && !opened.log.dataset.has_time() {
        let name = &opened.name;
        return Err(Failure::Input(format!(
            "{name}: --protocol time needs a log with times; this one has only an order"
        )));
    }
    Ok(())
}

impl Opened {
    /// The log's fingerprint as text.
    pub fn hash(&self) -> String {
        format!("{:016x}", self.log.hash())
    }

    /// The log in one line.
    pub fn summary(&self) -> String {
        let report = DataReport::new(&self.log);
        let mut text =
            format!("{}: {} users, {} items, {} events", self.name, report.users, report.items, report.interactions);
        if report.categories > 0 {
            text += &format!(", {} categories", report.categories);
        }
        text += &match &report.time {
            Some(time) => format!(", {} to {}", time.first_date, time.last_date),
            None => ", order only".into(),
        };
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_have_their_names_in_toml() {
        assert_eq!(named::<Format>("jsonl"), Ok(Format::Jsonl));
        let error = named::<OnError>("stop").unwrap_err();
        assert_eq!(error, "unknown variant `stop`, expected `fail` or `skip`");
    }

    #[test]
    fn delimiters() {
        assert_eq!((delimiter(";"), delimiter("tab"), delimiter("\\t")), (Ok(';'), Ok('\t'), Ok('\t')));
        assert!(delimiter("").is_err() && delimiter("ab").is_err());
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
    }
}
