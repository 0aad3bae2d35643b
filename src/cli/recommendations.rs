//! The forms in which `recommend` gives its results: all that there is to know of one stands here.

use super::failure::Failure;
use super::outputs::Holds;
use super::show::{Names, Plain};
use dmran::scorer::Scored;
use serde::Serialize;
use std::io::{self, Write};
use std::path::Path;

#[cfg(feature = "parquet")]
mod columns;

/// A form of the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Form {
    /// For people.
    Text,
    /// A row an item: user, rank, item, category (where the model has categories), score, cold (with --cold).
    Csv,
    /// A JSON object a user.
    Jsonl,
    /// Apache Parquet, with the columns of csv.
    #[cfg(feature = "parquet")]
    Parquet,
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
            #[cfg(feature = "parquet")]
            Some("parquet") => Ok(Form::Parquet),
            Some("txt") => Ok(Form::Text),
            _ => Err(Failure::Input(format!(
                "--out {}: its name tells no form: end it in .csv, .jsonl, .parquet or .txt, or give --out-format csv, jsonl, \
                 parquet or text",
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
            #[cfg(feature = "parquet")]
            Form::Parquet => return Holds::Parquet(columns::is_ours),
        })
    }
}

/// Whom or what lists are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Users get recommendations.
    User,
    /// Items have items like them.
    Item,
}

impl Subject {
    fn name(self) -> &'static str {
        match self {
            Subject::User => "user",
            Subject::Item => "item",
        }
    }
}

/// Results that are being written.
pub struct Sheet<'a> {
    form: Form,
    subject: Subject,
    out: &'a mut dyn Write,
    names: Names<'a>,
    /// Whether it is told who is cold.
    tells_cold: bool,
    #[cfg(feature = "parquet")]
    columns: Option<columns::Columns>,
}

impl<'a> Sheet<'a> {
    /// Writes what stands before the first user.
    pub fn begin(
        form: Form,
        subject: Subject,
        out: &'a mut dyn Write,
        names: Names<'a>,
        tells_cold: bool,
    ) -> io::Result<Sheet<'a>> {
        let categories = names.0.settings().categories;
        if form == Form::Csv {
            let [category, cold] =
                [(categories, "category,"), (tells_cold, ",cold")].map(|(is, name)| if is { name } else { "" });
            writeln!(out, "{CSV_START}{category}score{cold}")?;
        }
        Ok(Sheet {
            form,
            subject,
            out,
            names,
            tells_cold,
            #[cfg(feature = "parquet")]
            columns: (form == Form::Parquet).then(|| columns::Columns::new(categories, tells_cold)).transpose()?,
        })
    }

    /// A user with the best items, best first; `cold` where they are not by what the user had.
    pub fn user(&mut self, user: &str, ranked: &[Scored], cold: bool) -> io::Result<()> {
        match self.form {
            Form::Text => self.text(user, ranked, cold),
            Form::Csv => self.csv(user, ranked, cold),
            Form::Jsonl => self.jsonl(user, ranked, cold),
            #[cfg(feature = "parquet")]
            Form::Parquet => match &mut self.columns {
                Some(columns) => columns.user(&mut *self.out, user, ranked, cold, self.names),
                None => Ok(()),
            },
        }
    }

    /// Writes what stands after the last user.
    pub fn finish(self) -> io::Result<()> {
        #[cfg(feature = "parquet")]
        if let Some(columns) = self.columns {
            columns.finish(&mut *self.out)?;
        }
        self.out.flush()
    }

    fn text(&mut self, user: &str, ranked: &[Scored], cold: bool) -> io::Result<()> {
        writeln!(
            self.out,
            "{} {}{}",
            self.subject.name(),
            Plain(user),
            if cold && self.tells_cold { " (cold)" } else { "" }
        )?;
        if ranked.is_empty() {
            writeln!(self.out, "{NOTHING}")?;
        }
        for (place, Scored { item, score }) in ranked.iter().enumerate() {
            writeln!(self.out, "  {:>3}  {score:>9.4}  {}", place + 1, self.names.line(*item))?;
        }
        Ok(())
    }

    fn csv(&mut self, user: &str, ranked: &[Scored], cold: bool) -> io::Result<()> {
        let mut rows = csv::Writer::from_writer(Vec::new());
        for (place, Scored { item, score }) in ranked.iter().enumerate() {
            let (rank, score) = ((place + 1).to_string(), score.to_string());
            let cold = self.tells_cold.then_some(if cold { "true" } else { "false" });
            let fields =
                [Some(user), Some(&rank), Some(self.names.item(*item)), self.names.category(*item), Some(&score), cold];
            rows.write_record(fields.into_iter().flatten())?;
        }
        self.out.write_all(&rows.into_inner().map_err(|error| error.into_error())?)
    }

    fn jsonl(&mut self, user: &str, ranked: &[Scored], cold: bool) -> io::Result<()> {
        #[derive(Serialize)]
        struct Line<'a> {
            #[serde(skip_serializing_if = "Option::is_none")]
            user: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            item: Option<&'a str>,
            #[serde(skip_serializing_if = "Option::is_none")]
            recommendations: Option<&'a [Advice<'a>]>,
            #[serde(skip_serializing_if = "Option::is_none")]
            similar: Option<&'a [Advice<'a>]>,
            #[serde(skip_serializing_if = "Option::is_none")]
            cold: Option<bool>,
        }
        #[derive(Serialize)]
        struct Advice<'a> {
            item: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            category: Option<&'a str>,
            score: f32,
        }
        let names = self.names;
        let advice = |best: &Scored| Advice {
            item: names.item(best.item),
            category: names.category(best.item),
            score: best.score,
        };
        let advice: Vec<Advice<'_>> = ranked.iter().map(advice).collect();
        let (is_user, cold) = (self.subject == Subject::User, self.tells_cold.then_some(cold));
        let line = Line {
            user: is_user.then_some(user),
            item: (!is_user).then_some(user),
            recommendations: is_user.then_some(&advice),
            similar: (!is_user).then_some(&advice),
            cold,
        };
        self.out.write_all(&serde_json::to_vec(&line)?)?;
        self.out.write_all(b"\n")
    }
}
