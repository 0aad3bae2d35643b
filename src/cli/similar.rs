//! `dmran similar`: the items most like an item.

use super::failure::Failure;
use super::model_file::ModelFile;
use super::recommendations::{Form, Sheet, Subject};
use super::rules::RuleFlags;
use super::show::Names;
use dmran::scorer::{Scorer, ScorerOptions};
use std::io::{self, BufWriter};

/// Flags of `similar`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelFile,
    /// The items, by their ids
    #[arg(required = true, value_name = "ITEM")]
    items: Vec<String>,
    /// How many like each
    #[arg(short, value_name = "N", default_value_t = 10)]
    k: usize,
    /// One JSON object an item and line
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    rules: RuleFlags,
}

/// Compares and prints.
pub fn run(args: &Args) -> Result<(), Failure> {
    let model = args.model.load()?;
    let rules = args.rules.rules(&model)?;
    let find = |id: &String| {
        let first = model.items().get(0).unwrap_or_default();
        let unknown = || Failure::Input(format!("the model has no item {id:?} (it has {first:?}, for example)"));
        model.items().find(id.trim()).ok_or_else(unknown)
    };
    let items: Vec<u32> = args.items.iter().map(find).collect::<Result<_, _>>()?;
    let scorer = Scorer::with_options(model, ScorerOptions { precompute: Some(false), ..ScorerOptions::default() })?;
    let mut out = BufWriter::new(io::stdout().lock());
    let form = if args.json { Form::Jsonl } else { Form::Text };
    let mut sheet = Sheet::begin(form, Subject::Item, &mut out, Names(scorer.model()), false)?;
    let mut best = Vec::new();
    for item in items {
        scorer.similar(item, args.k, &rules, &mut best).map_err(|error| Failure::Other(error.to_string()))?;
        sheet.user(scorer.items().get(item as usize).unwrap_or_default(), &best, false)?;
    }
    Ok(sheet.finish()?)
}
