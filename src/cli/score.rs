//! `dmran score`: JSON Lines in, JSON Lines out, for shells and for services that keep a process open.

use super::crew::Crew;
use super::data_flags::named;
use super::failure::Failure;
use super::model_file::ModelFile;
use super::outputs::Outputs;
use super::proposer::ProposerFlags;
use dmran::data::OnError;
use dmran::score_lines::{Request, RequestError};
use serde_json::json;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};

/// Lines that are answered side by side.
const LINES: usize = 64;
/// Bytes that are read ahead: room for a few dozen lines, so that waiting lines are answered together.
const READ_AHEAD: usize = 1 << 17;
/// Longest line accepted.
const MAX_LINE: u64 = 64 << 20;

/// Flags of `score`.
#[derive(clap::Args)]
#[command(after_help = "A line of input: {\"history\": [[\"teapot\", 1700000000], \"cup\"], \"now\": 1700200000, \
                        \"k\": 5}\nor, for given items: {\"history\": [...], \"candidates\": [\"saucer\", \"spoon\"]}\n\
                        All fields: history, now, candidates, k, exclude, include_owned, allow, deny, \
                        allow_categories, deny_categories, per_category, similar, explain, id")]
pub struct Args {
    #[command(flatten)]
    model: ModelFile,
    #[command(flatten)]
    proposer: ProposerFlags,
    /// How many items the model of --proposer proposes [default: 100]
    #[arg(long, value_name = "N", requires = "proposer")]
    shortlist: Option<usize>,
    /// The requests, one JSON object a line; without it, or with -, standard input
    file: Option<PathBuf>,
    /// A line that is no request: fail, or skip it: its answer then is {"line": N, "error": "..."}
    #[arg(long, value_parser = named::<OnError>(), default_value = "fail")]
    on_error: OnError,
    /// Threads; 0 = one a core, or RAYON_NUM_THREADS. Results do not depend on it
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u16).range(..=1024))]
    threads: u16,
}

/// A line with its number, counted from 1.
struct Line {
    number: usize,
    text: Vec<u8>,
}

/// Answers each line.
pub fn run(args: &Args) -> Result<(), Failure> {
    let model = args.model.load()?;
    // It writes to standard output alone, which must not feed it with its own answers.
    Outputs::beside(&[], [Some(args.model.path()), args.proposer.path(), args.file.as_deref()])?;
    let small = args.proposer.load(args.shortlist)?;
    let crew = Crew::new(model, args.threads.into(), args.model.lean)?;
    let proposer = args.proposer.proposer(small.as_ref(), (crew.scorer(), args.model.path()), args.shortlist)?;
    let (input, name): (Box<dyn Read>, String) = match &args.file {
        Some(file) if file != Path::new("-") => {
            let cannot = |error: io::Error| Failure::Input(format!("{}: {error}", file.display()));
            (Box::new(File::open(file).map_err(cannot)?), file.display().to_string())
        }
        _ => (Box::new(io::stdin().lock()), "stdin".into()),
    };
    let mut input = BufReader::with_capacity(READ_AHEAD, input);
    refuse_compressed(&mut input, &name)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut read = 0;
    loop {
        let (lines, failed) = match waiting(&mut input, &mut read, &name) {
            Ok(lines) => (lines, None),
            Err((lines, failure)) => (lines, Some(failure)),
        };
        let answers = crew.each(&lines, |scorer, scratch, line| {
            let answer = Request::parse(&line.text)?.answer_by(scorer, proposer.as_ref(), scratch);
            serde_json::to_vec(&answer).map_err(RequestError::from)
        });
        for (line, answer) in lines.iter().zip(answers) {
            match answer {
                Ok(answer) => out.write_all(&answer)?,
                Err(error) if args.on_error == OnError::Skip => {
                    serde_json::to_writer(&mut out, &json!({ "line": line.number, "error": explain(&error) }))?;
                }
                Err(error) => {
                    out.flush()?;
                    return Err(Failure::Input(format!("{name}:{}: {}", line.number, explain(&error))));
                }
            }
            out.write_all(b"\n")?;
        }
        // Whoever waits for an answer before the next question gets it now.
        out.flush()?;
        if let Some(failure) = failed {
            return Err(failure);
        }
        if lines.is_empty() {
            return Ok(());
        }
    }
}

/// Compressed requests are named as what they are. Only what has arrived with the first byte is looked at.
fn refuse_compressed(input: &mut impl BufRead, name: &str) -> Result<(), Failure> {
    let start = input.fill_buf().map_err(|error| Failure::Input(format!("{name}: {error}")))?;
    let known = [(&b"\x1f\x8b"[..], "gzip"), (b"\x28\xb5\x2f\xfd", "zstd")];
    match known.iter().find(|(magic, _)| start.starts_with(magic)) {
        Some((_, tool)) => Err(Failure::Input(format!(
            "{name}: is compressed; `{tool} -dc FILE | dmran score MODEL` answers what is in it"
        ))),
        None => Ok(()),
    }
}

/// The message, without the "line 1" that the JSON reader knows.
fn explain(error: &RequestError) -> String {
    error.to_string().replace(" at line 1 column", " at column")
}

/// The next lines that are not blank: one, and those that have already arrived with it. None at the end of the input.
/// With a failure come the lines before it.
fn waiting(input: &mut BufReader<impl Read>, read: &mut usize, name: &str) -> Result<Vec<Line>, (Vec<Line>, Failure)> {
    let mut lines: Vec<Line> = Vec::new();
    while lines.len() < LINES && (lines.is_empty() || input.buffer().contains(&b'\n')) {
        let mut text = Vec::new();
        let got = input.by_ref().take(MAX_LINE + 1).read_until(b'\n', &mut text);
        *read += 1;
        let fail = |why: String| Failure::Input(format!("{name}:{read}: {why}"));
        match got {
            Err(error) => return Err((lines, fail(error.to_string()))),
            Ok(0) => break,
            Ok(n) if n as u64 > MAX_LINE => {
                return Err((lines, fail(format!("the line is longer than {} MiB", MAX_LINE >> 20))));
            }
            Ok(_) if text.iter().all(u8::is_ascii_whitespace) => {}
            Ok(_) => lines.push(Line { number: *read, text }),
        }
    }
    Ok(lines)
}
