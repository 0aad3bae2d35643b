//! `dmran vectors`: vectors of items and users, for indices and other programs.

use super::data_flags::{self, DataFlags};
use super::failure::Failure;
use super::model_file::ModelFile;
use super::note;
use super::outputs::{Holds, Outputs};
use dmran::batch::{Context, Known};
use dmran::durable::write_atomically;
use dmran::model::Mapped;
use dmran::scorer::{Scorer, ScorerOptions};
use dmran::train::session::config_of;
use dmran::vectors::{self, Content, Form};
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Flags of `vectors`.
#[derive(clap::Args)]
#[command(
    after_help = "Files end in .safetensors (vectors, bias, ids as the bytes of a JSON array) or .npy (one array; a last \
                        column holds the bias of an item or 1 for a user, where the model has a bias; the rows' ids go \
                        beside it, into FILE.ids.json). With the head mean the dot product of a user and an item is the \
                        score."
)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true).args(["items", "users"]))]
pub struct Args {
    #[command(flatten)]
    model: ModelFile,
    /// The log with the users' histories, for --users; - is standard input
    files: Vec<PathBuf>,
    /// Where the vectors of the items go
    #[arg(long, value_name = "FILE")]
    items: Option<PathBuf>,
    /// Where the vectors of the log's users go, at the time of each user's last event (head mean)
    #[arg(long, value_name = "FILE")]
    users: Option<PathBuf>,
    #[command(flatten)]
    data: DataFlags,
}

/// Writes the files.
pub fn run(args: &Args) -> Result<(), Failure> {
    let model = args.model.load()?;
    let mut config = config_of(&model);
    config.data = config.data.without_cleaning();
    args.data.apply(&mut config.data);
    let mut outputs = Outputs::beside(&args.files, [Some(args.model.path()), config.data.meta.as_deref()])?;
    let [items, users] = [("--items", &args.items), ("--users", &args.users)]
        .map(|(flag, path)| path.as_deref().map(|path| Target::new(flag, path, &mut outputs)).transpose());
    let (items, users) = (items?, users?);
    let scorer = Scorer::with_options(model, ScorerOptions { precompute: Some(false), ..ScorerOptions::default() })?;
    if users.is_some() && !scorer.has_user_vectors() {
        return Err(Failure::Input(format!(
            "--users: the head {} reads a history anew for each item, so a user is no vector; train with --head mean",
            scorer.settings().head
        )));
    }
    match (&users, args.files.is_empty()) {
        (Some(_), true) => {
            let model = args.model.path().display();
            return Err(Failure::Input(format!("--users: no log was named: dmran vectors {model} LOG --users FILE")));
        }
        (None, false) => note("note: the log is not read: only --users needs one"),
        _ => {}
    }
    if let Some(target) = items {
        let ids: Vec<&str> = scorer.items().iter().collect();
        target.write(&scorer, &Content::Items, &ids)?;
    }
    let Some(target) = users else { return Ok(()) };
    let opened = data_flags::open(&args.files, &config.data)?;
    let mapped = Mapped::of(&opened.log, scorer.model())?;
    mapped.check(&opened, scorer.model())?.iter().for_each(|what| note(format_args!("note: {what}")));
    let known = Known { dataset: &mapped.dataset, now: None, include_owned: true };
    let heard: Vec<u32> = (0..mapped.dataset.users() as u32).filter(|user| known.events(*user) > 0).collect();
    let contexts: Vec<Context<'_>> = heard.iter().map(|user| known.context(*user, &[])).collect();
    let ids: Vec<&str> = heard.iter().map(|user| opened.log.users.name(*user)).collect();
    target.write(&scorer, &Content::Users(&contexts), &ids)?;
    let silent = mapped.dataset.users() - heard.len();
    if silent > 0 {
        note(format_args!("note: {silent} users are left out: they have no event that the model knows"));
    }
    Ok(())
}

/// A file of vectors, and the ids beside it where it has no place for them.
struct Target {
    form: Form,
    path: PathBuf,
    ids: Option<PathBuf>,
}

impl Target {
    fn new(flag: &str, path: &Path, outputs: &mut Outputs) -> Result<Target, Failure> {
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
        let (form, holds): (Form, fn(&[u8]) -> bool) = match extension.as_deref() {
            Some("npy") => (Form::Npy, |start| Form::Npy.is_start(start)),
            Some("safetensors") => (Form::Safetensors, |start| Form::Safetensors.is_start(start)),
            _ => {
                return Err(Failure::Input(format!(
                    "{flag} {}: its name tells no form: end it in .npy or .safetensors",
                    path.display()
                )));
            }
        };
        outputs.file(flag, path, Holds::Known(holds))?;
        let ids = (form == Form::Npy).then(|| {
            let mut name = OsString::from(path);
            name.push(".ids.json");
            PathBuf::from(name)
        });
        if let Some(ids) = &ids {
            outputs.file(flag, ids, Holds::Known(|start| start.starts_with(b"[\"") || start == b"[]"))?;
        }
        Ok(Target { form, path: path.to_owned(), ids })
    }

    fn write(&self, scorer: &Scorer, content: &Content<'_>, ids: &[&str]) -> Result<(), Failure> {
        whole(&self.path, |out| vectors::write(self.form, out, scorer, content, ids))?;
        match &self.ids {
            Some(path) => whole(path, |out| out.write_all(&vectors::json(ids)?)),
            None => Ok(()),
        }
    }
}

fn whole(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    write_atomically(path, write).map_err(|error| Failure::Other(format!("cannot write {}: {error}", path.display())))
}
