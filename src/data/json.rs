//! JSON Lines, and lines of Python dictionaries: one object a line; the columns are its keys.

use super::amazon;
use super::batch::{Batch, Rejected};
use super::blocks::{self, Block};
use super::builder::{FileRead, LogBuilder};
use super::columns::{self, Plan, Role};
use super::error::{DataError, Problem, shown};
use super::object::{self, Unwanted, Values, Wanted};
use super::options::{Column, ReadOptions};
use super::source::Source;
use super::time::TimeUnit;
use super::time_parts::Layout;

/// Objects whose values are looked at to tell a column's kind.
const SAMPLE: usize = 100;

/// Reads all lines. The keys of the objects at the beginning decide which column is which; one that comes later and would
/// have been taken is an error.
pub(crate) fn read(mut source: Source<'_>, options: &ReadOptions, log: &mut LogBuilder) -> Result<(), DataError> {
    let file = source.file().to_owned();
    if source.first_line().is_none() && source.head().1 {
        return Err(DataError::Empty { file });
    }
    refuse_other_layouts(&file, &source)?;
    let mut keys: Vec<String> = Vec::new();
    let mut objects: Vec<Vec<u8>> = Vec::new();
    let (head, whole) = source.head();
    let mut lines: Vec<&[u8]> = head.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).collect();
    if !whole {
        lines.pop();
    }
    for line in lines.into_iter().filter(|line| !line.is_empty()) {
        if object::keys(line, &mut keys) && objects.len() < SAMPLE {
            objects.push(line.to_vec());
        }
    }
    let planned = if keys.is_empty() { None } else { Some(plan(&file, options, &keys, &objects)?) };
    let (plan, unit) = planned.map_or((None, options.time_unit), |(plan, unit)| (Some(plan), unit));
    let options = &ReadOptions { time_unit: unit, ..options.clone() };
    let wanted = Wanted::new(plan.iter().flat_map(|plan| plan.columns.iter().map(|looked| looked.name.as_str())));

    let parse = |block: &Block, batch: &mut Batch| {
        let count = plan.as_ref().map_or(0, |plan| plan.columns.len());
        let (mut values, mut late) = (Values::new(count), Late { known: &keys, next: 0, new: None });
        for (number, line) in block.text.split(|byte| *byte == b'\n').enumerate() {
            let (number, line) = (number as u64 + 1, line.trim_ascii());
            if line.is_empty() {
                continue;
            }
            batch.rows += 1;
            late.next = 0;
            let read = object::read(line, &wanted, &mut values, &mut late);
            let pushed = match (&plan, read) {
                (_, Err(rejected)) => Err(rejected),
                (None, Ok(())) => Err(Rejected::line(Problem::Syntax("no object among the first ones".into()), line)),
                (Some(plan), Ok(())) => batch.push(options, plan, number, |slot| values.cell(slot)),
            };
            if let Err(rejected) = pushed {
                batch.reject(&file, number, plan.as_ref(), rejected);
            }
            let Some((plan, key)) = plan.as_ref().zip(late.new.take()) else { continue };
            if let Some(role) = columns::would_be_taken(plan, options, &key) {
                batch.late.get_or_insert((number, key, role));
            }
        }
        Ok(())
    };
    let batches = blocks::parse_all(&mut source, 0, &blocks::Lines, options, log.names(), parse)?;
    let how = "one object a line".to_owned();
    log.add(FileRead { file, lines_before: 0, unit: options.time_unit, plan, batches, how, notes: Vec::new() })
}

fn plan(
    file: &str,
    options: &ReadOptions,
    keys: &[String],
    objects: &[Vec<u8>],
) -> Result<(Plan, TimeUnit), DataError> {
    let mut names: Vec<&str> = keys.iter().map(String::as_str).collect();
    // The names of a Python dictionary's inner keys are not among those that were collected.
    let of = &options.columns;
    for column in [&of.user, &of.item, &of.time, &of.category, &of.position] {
        if let Column::Named(name) = column
            && !names.contains(&name.as_str())
            && name.split_once('.').is_some_and(|(key, _)| names.contains(&key))
        {
            names.push(name);
        }
    }
    let plan = columns::plan(file, options, &names)?;
    let mut values = Values::new(names.len());
    let wanted = Wanted::new(names.iter().copied());
    let rows: Vec<Vec<Vec<u8>>> = objects
        .iter()
        .filter_map(|line| {
            object::read(line, &wanted, &mut values, &mut ()).ok()?;
            Some((0..names.len()).map(|place| values.cell(place).text.to_vec()).collect())
        })
        .collect();
    let sampled = |index: usize| rows.iter().map(|row| &row[index][..]).collect();
    let table = Layout::Table { reader: "read_json" };
    columns::refuse_unclear_time(file, (&plan, options), &names, table, sampled)?;
    let when = plan.index(Role::Time).unwrap_or(names.len());
    let unit = amazon::unit(options, &plan, rows.iter().filter_map(|row| row.get(when)).map(Vec::as_slice));
    Ok((plan, unit))
}

/// JSON that is not one object a line: an array, an object over several lines, or one object of columns.
fn refuse_other_layouts(file: &str, source: &Source<'_>) -> Result<(), DataError> {
    let refused = |what, fix: String| Err(DataError::Container { file: file.into(), what, fix });
    let first = source.first_line().unwrap_or_default();
    let (head, whole) = source.head();
    let slurp = format!("write one object a line: jq -c '.[]' {file} > log.jsonl");
    match first {
        b"[" => return refused("a JSON array", slurp),
        [b'[', rest @ ..] if rest.trim_ascii_start().starts_with(b"{") => return refused("a JSON array", slurp),
        [b'[', rest @ ..] => {
            let each = if rest.trim_ascii_start().starts_with(b"[") { "'.[] | @csv'" } else { "@csv" };
            return refused("JSON arrays of values", format!("write CSV: jq -r {each} {file} > log.csv"));
        }
        b"{" => {
            return refused("JSON over several lines", format!("write one object a line: jq -c . {file} > log.jsonl"));
        }
        _ => {}
    }
    // {"user": {"0": ..., "1": ...}, ...} or {"user": [...], ...}: one line alone.
    let others = head.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
    let start = &first[..first.len().min(4096)];
    let opens = memchr::memchr(b':', start).map(|at| start[at + 1..].trim_ascii_start());
    let of_columns = opens.is_some_and(|value| value.starts_with(b"{\"0\":") || value.starts_with(b"{\"0\" :"));
    // {"data": [{...}, ...]}
    if let Some(value) = opens.filter(|value| others == 1 && whole && value.starts_with(b"[{")) {
        let key = start[..start.len() - value.len()].split(|byte| *byte == b'"').nth(1).unwrap_or_default();
        let fix = format!("write one object a line: jq -c '.{}[]' {file} > log.jsonl", String::from_utf8_lossy(key));
        if start.ends_with(b"]}") || start.len() == 4096 {
            return refused("a JSON object around a list", fix);
        }
    }
    let of_lists =
        others == 1 && (!whole || first.len() > 64 << 10) && opens.is_some_and(|value| value.starts_with(b"["));
    if others == 1 && (of_columns || of_lists) {
        let fix = "write it with DataFrame.to_json(FILE, orient=\"records\", lines=True)".to_owned();
        return refused("a JSON object of columns", fix);
    }
    if start.starts_with(b"{\"schema\":") {
        let fix = "write it with DataFrame.to_json(FILE, orient=\"records\", lines=True)".to_owned();
        return refused("a JSON table with a schema", fix);
    }
    Ok(())
}

/// Notices keys that were not there at the beginning. Keys come in the same order most of the time.
struct Late<'a> {
    known: &'a [String],
    next: usize,
    new: Option<String>,
}

impl Unwanted for Late<'_> {
    fn key(&mut self, key: &str) {
        let ahead = &self.known[self.next.min(self.known.len())..];
        // An object's keys are known by longer names.
        let is = |known: &String| {
            known == key || (known.len() > key.len() && known.starts_with(key) && known.as_bytes()[key.len()] == b'.')
        };
        if let Some(found) = ahead.iter().position(is) {
            self.next += found + 1;
        } else if !self.known.iter().any(is) && self.new.is_none() && key.len() <= 100 {
            self.new = Some(shown(key.as_bytes()));
        }
    }
}

/// What a late key is for, with its line.
pub(crate) type LateKey = (u64, String, Role);
