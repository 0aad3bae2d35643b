//! `dmran recommend`: the best items for users of a log.

use super::bundled::BundledFlag;
use super::crew::{Context, Crew};
use super::data_flags::{self, DataFlags};
use super::failure::{Failure, unreadable};
use super::moment::moment;
use super::note;
use super::outputs::Outputs;
use super::recommendations::Form;
use super::show::Names;
use dmran::data::{Dataset, Log, ReadOptions};
use dmran::model::Mapped;
use dmran::scorer::{Model, write_atomically};
use dmran::train::session::config_of;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

/// Users that are ranked and written at once.
const USERS: usize = 64;

/// Flags of `recommend`.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("who").required(true).args(["user", "all"]))]
pub struct Args {
    /// The model file
    model: PathBuf,
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
    /// How many items for each user
    #[arg(short, value_name = "N", default_value_t = 10)]
    k: usize,
    /// Also items that the user had already
    #[arg(long)]
    include_owned: bool,
    /// The moment of the recommendation, in seconds since 1970; later events are no history, but owned [default: each
    /// user's last event]
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, value_parser = moment)]
    now: Option<i64>,
    /// A file for the results, in the form that its name ends in: .csv, .jsonl or .txt. It is written whole or not at all
    #[arg(long, short, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The form of the results [default: by the name of --out, or text]
    #[arg(long, value_name = "FORM", value_enum)]
    out_format: Option<Form>,
    /// One JSON object a user and line: --out-format jsonl
    #[arg(long, conflicts_with = "out_format")]
    json: bool,
    /// Compute nothing ahead for the items: half the memory, and users are encoded more slowly. Results do not depend on it
    #[arg(long)]
    lean: bool,
    /// Threads; 0 = one a core, or RAYON_NUM_THREADS. Results do not depend on it
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=1024))]
    threads: u16,
    #[command(flatten)]
    data: DataFlags,
}

/// Ranks and writes.
pub fn run(args: &Args) -> Result<(), Failure> {
    let model = Model::load(&args.model).map_err(unreadable(&args.model))?;
    let mut config = config_of(&model);
    // Cleaning was for the training: whoever has an event that the model knows gets recommendations.
    let ReadOptions { duplicates, k_core_users, k_core_items, .. } = ReadOptions::default();
    config.data = ReadOptions { duplicates, k_core_users, k_core_items, ..config.data };
    args.data.apply(&mut config.data);
    let usage = format!("dmran recommend {} LOG", args.model.display());
    let files = args.bundled.log(&args.files, &usage)?;
    let mut outputs = Outputs::beside(&args.files, [Some(&*args.model), config.data.meta.as_deref()])?;
    let form = form(args)?;
    if let Some(out) = &args.out {
        outputs.file("--out", out, form.holds())?;
    }
    let opened = data_flags::open(files, &config.data)?;
    let users = asked_for(args, &opened.log, &opened.name)?;
    let mapped = Mapped::of(&opened.log, &model)?;
    mapped.check(&opened, &model)?.iter().for_each(|what| note(format_args!("note: {what}")));
    if args.now.is_some() && !opened.log.dataset.has_time() {
        return Err(Failure::Input(format!("{}: --now needs a log with times", opened.name)));
    }
    let crew = Crew::new(model, args.threads.into(), args.lean)?;
    let heard = |user: &u32| !context(&mapped.dataset, *user, args).items.is_empty();
    let (known, silent): (Vec<u32>, Vec<u32>) = users.into_iter().partition(heard);
    if let (Some(user), false) = (silent.first(), args.all) {
        let until = if args.now.is_some() { " up to --now" } else { "" };
        let (name, user) = (&opened.name, opened.log.users.name(*user));
        return Err(Failure::Input(format!("{name}: user {user:?} has no event{until} that the model knows")));
    }
    let write = |mut out: &mut dyn Write| {
        let names = Names(crew.model());
        form.begin(&mut out, crew.model().settings().categories)?;
        for part in known.chunks(USERS) {
            let contexts: Vec<_> = part.iter().map(|user| context(&mapped.dataset, *user, args)).collect();
            for (user, ranked) in part.iter().zip(crew.top(&contexts, args.k)) {
                form.user(&mut out, opened.log.users.name(*user), &ranked, names)?;
            }
        }
        out.flush()
    };
    match &args.out {
        Some(path) => write_atomically(path, write)
            .map_err(|error| Failure::Other(format!("cannot write {}: {error}", path.display())))?,
        None => write(&mut BufWriter::new(io::stdout().lock()))?,
    }
    if !silent.is_empty() {
        note(format_args!("note: {} users are left out: they have no event to go by", silent.len()));
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
        return Ok((0..log.users.len() as u32).collect());
    }
    let id =
        |user: &String| log.users.id(user).ok_or_else(|| Failure::Input(format!("{name}: there is no user {user:?}")));
    args.user.iter().map(id).collect()
}

/// What is known of a user at the moment asked for. What the user had later is owned, too.
fn context<'a>(dataset: &'a Dataset, user: u32, args: &Args) -> Context<'a> {
    let history = dataset.history(user);
    let end = match args.now {
        Some(now) => history.times.partition_point(|time| *time <= now),
        None => history.len(),
    };
    let events = history.before(end, usize::MAX);
    let now = args.now.or(events.times.last().copied()).unwrap_or(0);
    let exclude = if args.include_owned { &[] } else { history.items };
    Context { items: events.items, times: events.times, now, exclude }
}
