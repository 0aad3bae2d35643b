//! CSV, TSV and their like: one record a row.

use super::batch::{Batch, Cell, Rejected};
use super::blocks::{self, Block};
use super::builder::{FileRead, LogBuilder};
use super::columns::Role;
use super::error::{DataError, Problem};
use super::fields::{Fields, Record, Records};
use super::layout::{self, Layout};
use super::options::{Format, ReadOptions};
use super::source::Source;

/// Reads all rows below the header.
pub(crate) fn read(
    mut source: Source<'_>,
    format: Format,
    extension: &str,
    options: &ReadOptions,
    log: &mut LogBuilder,
) -> Result<(), DataError> {
    let file = source.file().to_owned();
    let layout = layout::find(&file, options, format, extension, source.head())?;
    let options = &ReadOptions { time_unit: layout.unit, ..options.clone() };
    let (bytes, lines) = layout.skipped;
    source.skip(bytes);
    let parse = |block: &Block, batch: &mut Batch| {
        rows(&file, &layout, block, options, batch);
        Ok(())
    };
    let batches = blocks::parse_all(&mut source, lines, &layout.dialect, options, log.names(), parse)?;
    let rows: u64 = batches.iter().map(|batch| batch.rows).sum();
    if rows == 0 {
        return Err(if layout.has_header { DataError::HeaderOnly { file } } else { DataError::Empty { file } });
    }
    let how = how(&layout);
    log.add(FileRead {
        file,
        lines_before: lines,
        unit: options.time_unit,
        plan: Some(layout.plan),
        batches,
        how,
        notes: layout.notes,
    })
}

/// What the file is, in words.
fn how(layout: &Layout) -> String {
    let name = match &layout.dialect.delimiter[..] {
        b"," => "CSV".to_owned(),
        b"\t" => "TSV".to_owned(),
        b" " => "fields set apart by blanks".to_owned(),
        delimiter => format!("fields set apart by {:?}", String::from_utf8_lossy(delimiter)),
    };
    if layout.has_header { name } else { name + " without a header" }
}

/// Reads the rows of a block.
fn rows(file: &str, layout: &Layout, block: &Block, options: &ReadOptions, batch: &mut Batch) {
    let Layout { dialect, plan, header, .. } = layout;
    let text = &block.text[..];
    let mut records = Records::new(dialect, text, true);
    let mut fields = Fields::default();
    let names =
        [Role::User, Role::Item].map(|role| (plan.index(role).unwrap_or(0), plan.name(role).unwrap_or_default()));
    let mut line = 1;
    loop {
        let start = records.at();
        match records.next(dialect, &mut fields) {
            Record::End | Record::Incomplete => return,
            Record::Nothing => line += 1,
            Record::Bad(problem) => {
                batch.rows += 1;
                let shown = text[start..records.at()].trim_ascii();
                batch.reject(file, line, None, Rejected::line(problem, shown));
                line += 1;
            }
            Record::Row(inside) => {
                // A delimiter at the end of every row but not of the header.
                if fields.len() == header.len() + 1 && fields.get(text, header.len()).trim_ascii().is_empty() {
                    fields.pop();
                }
                let is_name = |(index, name): (usize, &str)| fields.get(text, index).trim_ascii() == name.as_bytes();
                if layout.has_header && names.into_iter().all(is_name) {
                    batch.odd.headers.add(line, &[]);
                    line += 1 + inside;
                    continue;
                }
                batch.rows += 1;
                if inside > 0 {
                    batch.odd.several_lines.add(line, &[]);
                }
                let pushed = if fields.len() == header.len() {
                    let cell = |slot: usize| Cell::text(fields.get(text, plan.columns[slot].index));
                    batch.push(options, plan, line, cell)
                } else {
                    let problem = Problem::FieldCount { expected: header.len(), found: fields.len() };
                    let end = memchr::memchr(b'\n', &text[start..]).map_or(text.len(), |length| start + length);
                    Err(Rejected::line(problem, text[start..end].trim_ascii()))
                };
                if let Err(rejected) = pushed {
                    batch.reject(file, line, Some(plan), rejected);
                }
                line += 1 + inside;
            }
        }
    }
}
