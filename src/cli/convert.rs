//! `dmran convert`: a model file with smaller tables.

use super::failure::Failure;
use super::model_file::ModelFile;
use super::note;
use super::outputs::{Holds, Outputs};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use dmran::scorer::Precision;
use std::path::PathBuf;

/// Flags of `convert`.
#[derive(clap::Args)]
#[command(
    after_help = "bf16 halves the tables of items and categories; int8 (a scale a row) makes them four times smaller. \
                        Scores change by the rounding, which is not undone: keep the f32 file, from which training goes on. \
                        Programs from before compact tables refuse such a file."
)]
pub struct Args {
    #[command(flatten)]
    model: ModelFile,
    /// How the tables of items and categories are stored
    #[arg(long, value_name = "FORM", value_parser = forms())]
    table: Precision,
    /// Where the new model goes
    #[arg(short, long, value_name = "FILE")]
    out: PathBuf,
}

/// A form of tables by its name; help lists the names.
pub fn forms() -> impl TypedValueParser<Value = Precision> {
    PossibleValuesParser::new(Precision::NAMES).try_map(|name| name.parse())
}

/// Reads, rounds, writes.
pub fn run(args: &Args) -> Result<(), Failure> {
    let mut outputs = Outputs::beside(&[], [Some(args.model.path()), None])?;
    outputs.file("--out", &args.out, Holds::Model)?;
    let model = args.model.load()?;
    let before = model.precision();
    if before != Precision::F32 && before != args.table {
        note(format_args!("note: the tables were rounded to {before} before; what that lost is not got back"));
    }
    let model = model.with_precision(args.table);
    model.save(&args.out).map_err(|error| Failure::Other(error.to_string()))
}
