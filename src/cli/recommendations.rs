//! The forms in which `recommend` gives its results: all that there is to know of one stands here.

use super::failure::Failure;
use super::outputs::Holds;
use super::show::{Names, Plain};
use dmran::scorer::Scored;
use serde::Serialize;
use std::io::{self, Write};
use std::path::Path;

/// A form of the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// For people.
    Text,
    /// A row an item: user, rank, item, category (where the model has categories), score.
    Csv,
    /// A JSON object a user.
    Jsonl,
}

/// For a user to whom nothing is left to recommend.
const NOTHING: &str = "  nothing: the user has every item";
/// How our CSV begins.
const CSV_START: &str = "user,rank,item,";

impl Form {
    /// The form that a file's name asks for.
    pub fn of(path: &Path) -> Result<Form, Failure> {
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
        match extension.as_deref() {
            Some("csv") => Ok(Form::Csv),
            Some("jsonl" | "ndjson") => Ok(Form::Jsonl),
            Some("txt") => Ok(Form::Text),
            _ => Err(Failure::Input(format!(
                "--out {}: its name tells no form: end it in .csv, .jsonl or .txt, or give --out-format csv, jsonl or text",
                path.display()
            ))),
        }
    }

    /// What a file of this form holds. Logs begin with the word "user", too: more than that must be there.
    pub fn holds(self) -> Holds {
        fn lines(start: &[u8]) -> [&[u8]; 2] {
            let mut lines = start.split(|b| *b == b'\n');
            [lines.next().unwrap_or_default(), lines.next().unwrap_or_default()]
        }
        Holds::Known(match self {
            Form::Text => |start| {
                let [first, second] = lines(start);
                let advice = second.starts_with(b"  ") && second.trim_ascii().starts_with(b"1  ");
                first.starts_with(b"user ") && (advice || second == NOTHING.as_bytes())
            },
            Form::Csv => |start| start.starts_with(CSV_START.as_bytes()),
            Form::Jsonl => |start| {
                let key = b",\"recommendations\":[";
                let [first, _] = lines(start);
                first.starts_with(b"{\"user\":") && first.windows(key.len()).any(|part| part == key)
            },
        })
    }

    /// What stands before the first user.
    pub fn begin(self, out: &mut (impl Write + ?Sized), categories: bool) -> io::Result<()> {
        match self {
            Form::Csv if categories => writeln!(out, "{CSV_START}category,score"),
            Form::Csv => writeln!(out, "{CSV_START}score"),
            Form::Text | Form::Jsonl => Ok(()),
        }
    }

    /// A user with the best items, best first.
    pub fn user(
        self,
        out: &mut (impl Write + ?Sized),
        user: &str,
        ranked: &[Scored],
        names: Names<'_>,
    ) -> io::Result<()> {
        match self {
            Form::Text => text(out, user, ranked, names),
            Form::Csv => csv(out, user, ranked, names),
            Form::Jsonl => jsonl(out, user, ranked, names),
        }
    }
}

fn text(out: &mut (impl Write + ?Sized), user: &str, ranked: &[Scored], names: Names<'_>) -> io::Result<()> {
    writeln!(out, "user {}", Plain(user))?;
    if ranked.is_empty() {
        writeln!(out, "{NOTHING}")?;
    }
    for (place, Scored { item, score }) in ranked.iter().enumerate() {
        writeln!(out, "  {:>3}  {score:>9.4}  {}", place + 1, names.line(*item))?;
    }
    Ok(())
}

fn csv(out: &mut (impl Write + ?Sized), user: &str, ranked: &[Scored], names: Names<'_>) -> io::Result<()> {
    let mut rows = csv::Writer::from_writer(Vec::new());
    for (place, Scored { item, score }) in ranked.iter().enumerate() {
        let (rank, score) = ((place + 1).to_string(), score.to_string());
        match names.category(*item) {
            Some(category) => rows.write_record([user, &rank, names.item(*item), category, &score])?,
            None => rows.write_record([user, &rank, names.item(*item), &score])?,
        }
    }
    out.write_all(&rows.into_inner().map_err(|error| error.into_error())?)
}

fn jsonl(out: &mut (impl Write + ?Sized), user: &str, ranked: &[Scored], names: Names<'_>) -> io::Result<()> {
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
    let advice =
        |best: &Scored| Advice { item: names.item(best.item), category: names.category(best.item), score: best.score };
    let line = Line { user, recommendations: ranked.iter().map(advice).collect() };
    out.write_all(&serde_json::to_vec(&line)?)?;
    out.write_all(b"\n")
}
