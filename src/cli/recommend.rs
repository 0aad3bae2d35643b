//! `dmran recommend`: the best items for users of a log.

use super::crew::{Context, Crew};
use super::data_flags::{self, DataFlags};
use super::failure::{Failure, unreadable};
use super::mapped;
use super::note;
use super::show::{Names, Plain};
use dmran::data::{Dataset, Log};
use dmran::scorer::{Model, Scored};
use serde::Serialize;
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
    /// The log with the users' histories; without it the bundled one
    file: Option<PathBuf>,
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
    /// The moment of the recommendation, in seconds since 1970; later events do not count [default: each user's last
    /// event]
    #[arg(long, value_name = "TIME", allow_negative_numbers = true)]
    now: Option<i64>,
    /// One JSON object a user and line
    #[arg(long)]
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

#[derive(Serialize)]
struct Line<'a> {
    user: &'a str,
    recommendations: Vec<Advice<'a>>,
}

#[derive(Serialize)]
struct Advice<'a> {
    item: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    category: Option<&'a str>,
    score: f32,
}

/// Ranks and prints.
pub fn run(args: &Args) -> Result<(), Failure> {
    let model = Model::load(&args.model).map_err(unreadable(&args.model))?;
    let mut config = mapped::config_of(&model);
    args.data.apply(&mut config.data);
    let opened = data_flags::open(args.file.as_deref(), &config.data)?;
    let users = asked_for(args, &opened.log, &opened.name)?;
    let mapped = mapped::map(&opened.log, &model)?;
    mapped::compare(&opened, &model, &mapped)?;
    if args.now.is_some() && !opened.log.dataset.has_time() {
        return Err(Failure::Input(format!("{}: --now needs a log with times", opened.name)));
    }
    let crew = Crew::new(model, args.threads.into(), args.lean)?;
    let names = Names(crew.model());

    let mut out = BufWriter::new(io::stdout().lock());
    let mut silent = 0usize;
    for part in users.chunks(USERS) {
        let known: Vec<u32> =
            part.iter().copied().filter(|user| !context(&mapped.dataset, *user, args).items.is_empty()).collect();
        silent += part.len() - known.len();
        if !args.all && known.len() < part.len() {
            let user = part.iter().find(|user| !known.contains(user)).copied().unwrap_or_default();
            let until = if args.now.is_some() { " up to --now" } else { "" };
            let user = opened.log.users.name(user);
            let name = &opened.name;
            return Err(Failure::Input(format!("{name}: user {user:?} has no event{until} that the model knows")));
        }
        let contexts: Vec<_> = known.iter().map(|user| context(&mapped.dataset, *user, args)).collect();
        let ranked = crew.top(&contexts, args.k);
        for (user, ranked) in known.iter().zip(ranked) {
            write(&mut out, args.json, opened.log.users.name(*user), &ranked, names)?;
        }
    }
    out.flush()?;
    if silent > 0 {
        note(format_args!("note: {silent} users are left out: they have no event to go by"));
    }
    Ok(())
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

/// What is known of a user at the moment asked for.
fn context<'a>(dataset: &'a Dataset, user: u32, args: &Args) -> Context<'a> {
    let history = dataset.history(user);
    let end = match args.now {
        Some(now) => history.times.partition_point(|time| *time <= now),
        None => history.len(),
    };
    let events = history.before(end, usize::MAX);
    let now = args.now.or(events.times.last().copied()).unwrap_or(0);
    let exclude = if args.include_owned { &[] } else { events.items };
    Context { items: events.items, times: events.times, now, exclude }
}

fn write(out: &mut impl Write, json: bool, user: &str, ranked: &[Scored], names: Names<'_>) -> Result<(), Failure> {
    if json {
        let advice = |best: &Scored| Advice {
            item: names.item(best.item),
            category: names.category(best.item),
            score: best.score,
        };
        serde_json::to_writer(&mut *out, &Line { user, recommendations: ranked.iter().map(advice).collect() })?;
        writeln!(out)?;
        return Ok(());
    }
    writeln!(out, "user {}", Plain(user))?;
    if ranked.is_empty() {
        writeln!(out, "  nothing: the user has every item")?;
    }
    for (place, Scored { item, score }) in ranked.iter().enumerate() {
        writeln!(out, "  {:>3}  {score:>9.4}  {}", place + 1, names.line(*item))?;
    }
    Ok(())
}
