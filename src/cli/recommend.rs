//! `dmran recommend`: the best items for users of a log.

use super::bundled::BundledFlag;
use super::crew::Crew;
use super::data_flags::{self, DataFlags};
use super::failure::Failure;
use super::model_file::ModelFile;
use super::moment::moment;
use super::note;
use super::outputs::Outputs;
use super::proposer::ProposerFlags;
use super::recommendations::{Form, Sheet, Subject};
use super::rules::{Excluded, RuleFlags};
use super::show::Names;
use super::watch::users_bar;
use dmran::batch::part::Part;
use dmran::batch::{Known, List, Options, Recommender, popular};
use dmran::data::Log;
use dmran::durable::write_atomically;
use dmran::model::Mapped;
use dmran::train::session::config_of;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

/// Flags of `recommend`.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("who").required(true).args(["user", "all"]))]
pub struct Args {
    #[command(flatten)]
    model: ModelFile,
    /// The log with the users' histories; - is standard input
    files: Vec<PathBuf>,
    #[command(flatten)]
    bundled: BundledFlag,
    /// For these users
    #[arg(long, value_name = "ID", num_args = 1..)]
    user: Vec<String>,
    /// For every user of the log
    #[arg(long)]
    all: bool,
    /// Only the users of one of N parts, i/N with i from 1: by a hash of their ids, so that N processes do all the work
    #[arg(long, value_name = "i/N", requires = "all")]
    part: Option<Part>,
    /// How many items for each user
    #[arg(short, value_name = "N", default_value_t = 10)]
    k: usize,
    /// Also items that the user had already
    #[arg(long)]
    include_owned: bool,
    /// For users without an event that the model knows: leave them out (skip), the items that most events of this log are
    /// about (popular), or those with the largest bias (bias). The results then say who they are
    #[arg(long, value_name = "FALLBACK", value_enum, default_value_t = Cold::Skip)]
    cold: Cold,
    /// Rank only N items, proposed by products of vectors with the heads vanilla and atrank, or with any head by the model
    /// of --proposer [there: 100]: faster, and not exact
    #[arg(long, value_name = "N")]
    shortlist: Option<usize>,
    #[command(flatten)]
    proposer: ProposerFlags,
    /// The moment of the recommendation, in seconds since 1970; later events are no history, but owned [default: each
    /// user's last event]
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = moment)]
    now: Option<i64>,
    /// A file for the results, in the form that its name ends in: .csv, .jsonl, .parquet or .txt. It is written whole or
    /// not at all
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The form of the results [default: by the name of --out, or text]
    #[arg(long, value_name = "FORM", value_enum)]
    out_format: Option<Form>,
    /// One JSON object a user and line: --out-format jsonl
    #[arg(long, conflicts_with = "out_format")]
    json: bool,
    /// Threads; 0 = one a core, or RAYON_NUM_THREADS. Results do not depend on it
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=1024))]
    threads: u16,
    #[command(flatten)]
    rules: RuleFlags,
    /// What single users are not to get: a file like a log, with columns user and item. What recommend wrote is one
    #[arg(long, value_name = "FILE", help_heading = "What may be recommended")]
    exclude: Option<PathBuf>,
    #[command(flatten)]
    data: DataFlags,
}

/// What users get of whom nothing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Cold {
    Skip,
    Popular,
    Bias,
}

/// Ranks and writes.
pub fn run(args: &Args) -> Result<(), Failure> {
    let model = args.model.load()?;
    let mut config = config_of(&model);
    config.data = config.data.without_cleaning();
    args.data.apply(&mut config.data);
    let usage = format!("dmran recommend {} LOG", args.model.path().display());
    let files = args.bundled.log(&args.files, &usage)?;
    let [allow, deny] = args.rules.files();
    let [meta, exclude] = [&config.data.meta, &args.exclude].map(|path| path.as_deref());
    let inputs = [Some(args.model.path()), args.proposer.path(), meta, exclude, allow, deny];
    let mut outputs = Outputs::beside(&args.files, inputs)?;
    let form = form(args)?;
    if let Some(out) = &args.out {
        outputs.file("--out", out, form.holds())?;
    }
    if args.cold == Cold::Bias && model.tensor("bias").is_none() {
        return Err(Failure::input("--cold bias: the model has no item bias; --cold popular needs none"));
    }
    // Clap waives what a flag requires where that excludes another one.
    if args.part.is_some() && !args.all {
        return Err(Failure::input("--part is a part of all users: give --all in place of --user"));
    }
    let small = args.proposer.load(args.shortlist)?;
    let rules = args.rules.rules(&model)?;
    let opened = data_flags::open(files, &config.data)?;
    let users = asked_for(args, &opened.log, &opened.name)?;
    let mapped = Mapped::of(&opened.log, &model)?;
    mapped.check(&opened, &model)?.iter().for_each(|what| note(format_args!("note: {what}")));
    if args.now.is_some() && !opened.log.dataset.has_time() {
        return Err(Failure::Input(format!("{}: --now needs a log with times", opened.name)));
    }
    let excluded = match &args.exclude {
        Some(path) => Excluded::read(path, &opened.log, &model)?,
        None => Excluded::default(),
    };
    let crew = Crew::new(model, args.threads.into(), args.model.lean)?;
    let known = Known { dataset: &mapped.dataset, now: args.now, include_owned: args.include_owned };
    let silent: Vec<u32> = users.iter().copied().filter(|user| known.events(*user) == 0).collect();
    if let (Some(user), false, Cold::Skip) = (silent.first(), args.all, args.cold) {
        let until = if args.now.is_some() { " up to --now" } else { "" };
        let (name, user) = (&opened.name, opened.log.users.name(*user));
        return Err(Failure::Input(format!(
            "{name}: user {user:?} has no event{until} that the model knows; --cold popular gives the most popular items"
        )));
    }
    let options = Options { k: args.k, rules, shortlist: args.shortlist };
    let proposer = args.proposer.proposer(small.as_ref(), (crew.scorer(), args.model.path()), args.shortlist)?;
    let recommender = crew.install(|| Recommender::proposed_by(proposer.as_ref(), crew.scorer(), options.clone()));
    if args.shortlist.is_some() && proposer.is_none() && crew.scorer().has_user_vectors() {
        note(
            "note: --shortlist: the model's head is mean, which ranks all items as fast as it proposes some; all are ranked",
        );
    }
    let counts = (args.cold == Cold::Popular).then(|| known.counts());
    let bar = users_bar(users.len(), args.out.is_some());
    let write = |out: &mut dyn Write| {
        let names = Names(crew.model());
        let mut sheet = Sheet::begin(form, Subject::User, out, names, args.cold != Cold::Skip)?;
        for part in users.chunks(recommender.users_at_once()) {
            let asked: Vec<u32> =
                part.iter().copied().filter(|user| args.cold != Cold::Skip || known.events(*user) > 0).collect();
            let more: Vec<Vec<u32>> =
                asked.iter().map(|user| [known.owned(*user), excluded.of(*user)].concat()).collect();
            let contexts: Vec<_> =
                asked.iter().zip(&more).map(|(user, exclude)| known.context(*user, exclude)).collect();
            let mut lists = crew.install(|| recommender.recommend(&contexts));
            if let Some(counts) = &counts {
                for (List { best, .. }, context) in lists.iter_mut().zip(&contexts).filter(|(list, _)| list.cold) {
                    *best = popular(crew.model(), counts, options.k, &options.rules, context.exclude);
                }
            }
            for (user, list) in asked.iter().zip(&lists) {
                sheet.user(opened.log.users.name(*user), &list.best, list.cold)?;
            }
            bar.inc(part.len() as u64);
        }
        sheet.finish()
    };
    match &args.out {
        Some(path) => write_atomically(path, write)
            .map_err(|error| Failure::Other(format!("cannot write {}: {error}", path.display())))?,
        None => write(&mut BufWriter::new(io::stdout().lock()))?,
    }
    bar.finish_and_clear();
    match (silent.len(), args.cold) {
        (0, _) => {}
        (n, Cold::Skip) => note(format_args!(
            "note: {n} users are left out: they have no event to go by (--cold popular gives them the most popular items)"
        )),
        (n, Cold::Popular) => {
            note(format_args!("note: {n} users have no event to go by: they get the most popular items"))
        }
        (n, Cold::Bias) => {
            note(format_args!("note: {n} users have no event to go by: they get the items by their bias"))
        }
    }
    Ok(())
}

/// The form of the results: as asked, or as the file's name says; for people on standard output.
fn form(args: &Args) -> Result<Form, Failure> {
    match (args.out_format, args.json, &args.out) {
        (Some(form), ..) => Ok(form),
        (None, true, _) => Ok(Form::Jsonl),
        (None, false, Some(out)) => Form::of(out),
        (None, false, None) => Ok(Form::Text),
    }
}

/// The users of the command line, in its order.
fn asked_for(args: &Args, log: &Log, name: &str) -> Result<Vec<u32>, Failure> {
    if args.all {
        let mine = |user: &u32| args.part.is_none_or(|part| part.has(log.users.name(*user)));
        return Ok((0..log.users.len() as u32).filter(mine).collect());
    }
    let id =
        |user: &String| log.users.id(user).ok_or_else(|| Failure::Input(format!("{name}: there is no user {user:?}")));
    args.user.iter().map(id).collect()
}
