//! `dmran inspect`: what is in a log, what is in a model.

use super::bundled::Piped;
use super::data_flags::{self, DataFlags};
use super::failure::{Failure, unreadable};
use dmran::data::{DataReport, ReadOptions};
use dmran::scorer::Model;
use std::io::{self, Write};
use std::path::PathBuf;

/// Arguments of `inspect`.
#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// The data report of a log: users, items, lengths, times, ties, duplicates, malformed lines.
    Data {
        /// The log: files, folders or patterns, as one; - is standard input. Without it the bundled one
        files: Vec<PathBuf>,
        /// One JSON object instead of a table
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        data: Box<DataFlags>,
    },
    /// The card of a model, its settings and its tensors.
    Model {
        /// The model file
        file: PathBuf,
    },
}

/// Reads and prints.
pub fn run(args: &Args) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match &args.what {
        What::Data { files, json, data } => {
            if files.is_empty() {
                Piped::watch("dmran inspect data").refuse(Piped::WAIT)?;
            }
            let mut options = ReadOptions::default();
            data.apply(&mut options);
            let opened = data_flags::open_silently(files, &options)?;
            let report = DataReport::new(&opened.log);
            if *json {
                serde_json::to_writer(&mut out, &report)?;
                writeln!(out)?;
            } else {
                write!(out, "{report}")?;
            }
        }
        What::Model { file } => write!(out, "{}", Model::load(file).map_err(unreadable(file))?)?,
    }
    Ok(())
}
