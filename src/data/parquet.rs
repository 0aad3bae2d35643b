//! Parquet, and Arrow's record batches: columns with types.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field, Schema, TimeUnit as ArrowUnit};
use jiff::Timestamp;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use parquet::errors::ParquetError;
use parquet::file::reader::ChunkReader;
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use super::batch::{Batch, Kind};
use super::builder::{FileRead, LogBuilder};
use super::columns::{self, Plan};
use super::error::DataError;
use super::object::{Values, float};
use super::options::{OnError, ReadOptions};
use super::source;
use super::time::{Moment, TimeUnit, of_integer};
use super::time_parts::Layout;

/// Rows that are decoded at once.
const ROWS: usize = 1 << 16;

/// Rows whose values are looked at to tell a column's kind.
const SAMPLE: usize = 100;

/// How deep structures in structures are looked at.
const DEPTH: usize = 8;

/// Reads a file; groups of rows are decoded side by side, each through an opening of its own: duplicates of one opening
/// share the place that is read next.
pub(crate) fn read(file: &File, path: &Path, options: &ReadOptions, log: &mut LogBuilder) -> Result<(), DataError> {
    read_chunks(file, || source::open_file(path), &path.display().to_string(), options, log)
}

/// Reads a file that is in memory.
pub(crate) fn read_bytes(
    bytes: Vec<u8>,
    name: &str,
    options: &ReadOptions,
    log: &mut LogBuilder,
) -> Result<(), DataError> {
    let bytes = bytes::Bytes::from(bytes);
    read_chunks(&bytes, || Ok(bytes.clone()), name, options, log)
}

/// Reads what a library decodes that panics on some damaged files: those are errors here.
fn read_chunks<R: ChunkReader + 'static>(
    first: &R,
    input: impl Fn() -> Result<R, DataError> + Sync,
    name: &str,
    options: &ReadOptions,
    log: &mut LogBuilder,
) -> Result<(), DataError> {
    // Where it panics nobody gets the log.
    let decode = std::panic::AssertUnwindSafe(|| decode(first, input, name, options, log));
    std::panic::catch_unwind(decode).unwrap_or_else(|panic| {
        let reason = panic.downcast_ref::<String>().cloned();
        let reason = reason.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(DataError::Corrupt { file: name.into(), reason: reason.unwrap_or_else(|| "it cannot be decoded".into()) })
    })
}

fn decode<R: ChunkReader + 'static>(
    first: &R,
    input: impl Fn() -> Result<R, DataError> + Sync,
    name: &str,
    options: &ReadOptions,
    log: &mut LogBuilder,
) -> Result<(), DataError> {
    let damaged = |error: ParquetError| DataError::Corrupt { file: name.into(), reason: error.to_string() };
    let metadata = ArrowReaderMetadata::load(first, Default::default()).map_err(damaged)?;
    let schema = metadata.schema().clone();
    let leaves = Leaves::of(&schema);
    let names = leaves.names();
    let plan = columns::plan(name, options, &names)?;
    let reader = |columns: &BTreeSet<usize>, limit: Option<usize>, groups: Option<usize>| -> Result<_, DataError> {
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(input()?, metadata.clone());
        let mask = ProjectionMask::roots(builder.parquet_schema(), columns.iter().copied());
        let mut builder = builder.with_projection(mask).with_batch_size(ROWS);
        if let Some(limit) = limit {
            builder = builder.with_limit(limit);
        }
        if let Some(group) = groups {
            builder = builder.with_row_groups(vec![group]);
        }
        builder.build().map_err(damaged)
    };
    let all: BTreeSet<usize> = leaves.0.iter().map(|leaf| leaf.root).collect();
    let sampled = reader(&all, Some(SAMPLE), None)?.next().transpose();
    let sampled = sampled.map_err(|error| undecodable(name, &error))?;
    let Some(sampled) = sampled else { return Err(DataError::HeaderOnly { file: name.into() }) };
    refuse_unclear_time(name, options, &plan, &leaves, &sampled)?;

    let used: BTreeSet<usize> = plan.columns.iter().map(|looked| leaves.0[looked.index].root).collect();
    let group = |group: usize| -> Result<Vec<Batch>, DataError> {
        let mut batches = Vec::new();
        for rows in reader(&used, None, Some(group))? {
            let rows = rows.map_err(|error| undecodable(name, &error))?;
            let mut batch = rows_of(name, options, &plan, &leaves, &rows)?;
            batch.intern(log.names())?;
            let end = options.on_error == OnError::Fail && batch.skipped.count > 0;
            batches.push(batch);
            if end {
                break;
            }
        }
        Ok(batches)
    };
    let groups = metadata.metadata().num_row_groups();
    let read: Vec<Result<Vec<Batch>, DataError>> = (0..groups).into_par_iter().map(group).collect();
    let mut batches = Vec::new();
    for of_group in read {
        let of_group = of_group?;
        let end = options.on_error == OnError::Fail && of_group.iter().any(|batch| batch.skipped.count > 0);
        batches.extend(of_group);
        if end {
            break;
        }
    }
    if batches.is_empty() {
        return Err(DataError::HeaderOnly { file: name.into() });
    }
    let (file, how) = (name.to_owned(), "Parquet".to_owned());
    log.add(FileRead {
        file,
        lines_before: 0,
        unit: options.time_unit,
        plan: Some(plan),
        batches,
        how,
        notes: Vec::new(),
    })
}

fn undecodable(file: &str, error: &ArrowError) -> DataError {
    DataError::Corrupt { file: file.into(), reason: error.to_string() }
}

impl LogBuilder {
    /// Adds the rows of a record batch, whose columns are found as those of a file are. Lines in messages are rows of all
    /// batches, counted from 1.
    ///
    /// # Errors
    /// As of [`read`](super::read).
    pub fn push_arrow(&mut self, rows: &RecordBatch) -> Result<(), DataError> {
        self.push_arrow_of("record batch", rows)
    }

    /// [`LogBuilder::push_arrow`] with what messages call the rows.
    ///
    /// # Errors
    /// As there.
    pub fn push_arrow_of(&mut self, name: &str, rows: &RecordBatch) -> Result<(), DataError> {
        let leaves = Leaves::of(&rows.schema());
        let options = self.options().clone();
        let plan = columns::plan(name, &options, &leaves.names())?;
        refuse_unclear_time(name, &options, &plan, &leaves, &rows.slice(0, rows.num_rows().min(SAMPLE)))?;
        let part = |at: usize| -> Result<Batch, DataError> {
            let slice = rows.slice(at, ROWS.min(rows.num_rows() - at));
            let mut batch = rows_of(name, &options, &plan, &leaves, &slice)?;
            batch.intern(self.names())?;
            Ok(batch)
        };
        let starts: Vec<usize> = (0..rows.num_rows()).step_by(ROWS).collect();
        let batches = starts.into_par_iter().map(part).collect::<Result<Vec<_>, _>>()?;
        let (file, how) = (name.to_owned(), "Arrow record batches".to_owned());
        let (lines_before, files) = (self.arrow_rows, self.files());
        self.arrow_rows += rows.num_rows() as u64;
        self.add(FileRead {
            file,
            lines_before,
            unit: options.time_unit,
            plan: Some(plan),
            batches,
            how,
            notes: Vec::new(),
        })?;
        // All of them together are one source.
        self.set_files(if lines_before == 0 { files + 1 } else { files });
        Ok(())
    }
}

/// A column that is no structure.
struct Leaf {
    /// Its name, with those of the structures around it: `user.id`.
    name: String,
    /// Which top column it is in.
    root: usize,
    /// The names from the top column to it.
    path: Vec<String>,
}

struct Leaves(Vec<Leaf>);

impl Leaves {
    fn of(schema: &Schema) -> Self {
        let mut leaves = Vec::new();
        for (root, field) in schema.fields().iter().enumerate() {
            Self::add(&mut leaves, root, Vec::new(), field);
        }
        Self(leaves)
    }

    fn add(leaves: &mut Vec<Leaf>, root: usize, mut path: Vec<String>, field: &Field) {
        path.push(field.name().clone());
        match field.data_type() {
            DataType::Struct(fields) if path.len() < DEPTH => {
                fields.iter().for_each(|inner| Self::add(leaves, root, path.clone(), inner));
            }
            _ => leaves.push(Leaf { name: path.join("."), root, path }),
        }
    }

    fn names(&self) -> Vec<&str> {
        self.0.iter().map(|leaf| leaf.name.as_str()).collect()
    }
}

fn refuse_unclear_time(
    file: &str,
    options: &ReadOptions,
    plan: &Plan,
    leaves: &Leaves,
    sampled: &RecordBatch,
) -> Result<(), DataError> {
    let mut texts: Vec<Vec<Vec<u8>>> = Vec::new();
    let mut values = Values::new(1);
    for leaf in &leaves.0 {
        let column = Column::of(sampled, leaf).map_err(|error| undecodable(file, &error))?;
        let text = (0..sampled.num_rows()).map(|row| {
            column.put(row, 0, true, &mut values);
            values.cell(0).text.to_vec()
        });
        texts.push(text.collect());
    }
    let fields = |index: usize| texts[index].iter().map(Vec::as_slice).collect();
    let table = Layout::Table { reader: "read_parquet" };
    columns::refuse_unclear_time(file, (plan, options), &leaves.names(), table, fields)
}

/// The rows of a record batch, without numbers for names yet.
fn rows_of(
    file: &str,
    options: &ReadOptions,
    plan: &Plan,
    leaves: &Leaves,
    rows: &RecordBatch,
) -> Result<Batch, DataError> {
    let mut batch = Batch::default();
    let columns: Result<Vec<Column>, ArrowError> =
        plan.columns.iter().map(|looked| Column::of(rows, &leaves.0[looked.index])).collect();
    let columns = columns.map_err(|error| undecodable(file, &error))?;
    let tested = |slot: usize| plan.tests.iter().any(|(other, _)| *other == slot);
    let tested: Vec<bool> = (0..columns.len()).map(tested).collect();
    let mut values = Values::new(columns.len());
    for row in 0..rows.num_rows() {
        for (slot, column) in columns.iter().enumerate() {
            column.put(row, slot, tested[slot], &mut values);
        }
        let line = row as u64 + 1;
        batch.rows += 1;
        if let Err(rejected) = batch.push(options, plan, line, |slot| values.cell(slot)) {
            batch.reject(file, line, Some(plan), rejected);
        }
    }
    batch.lines = rows.num_rows() as u64;
    Ok(batch)
}

/// A column in one of few types.
struct Column {
    /// The structures around it: where one of them is null, so is the value.
    around: Vec<ArrayRef>,
    values: Typed,
}

enum Typed {
    Nothing,
    /// LargeUtf8; numbers that were cast to text are told as such.
    Text(ArrayRef, bool),
    /// LargeBinary.
    Bytes(ArrayRef),
    /// Int64.
    Integer(ArrayRef),
    /// Int64: moments in a unit, with how many of them one value is.
    Moment(ArrayRef, TimeUnit, i64),
    /// Float64.
    Float(ArrayRef),
    /// LargeUtf8 of what is neither an id nor a time.
    Other(ArrayRef),
    /// A list, by the begins and ends of its rows in the values.
    List(Vec<(usize, usize)>, ArrayRef, Box<Typed>),
}

impl Column {
    /// The column of a leaf; a batch may hold some of the schema's columns alone.
    fn of(rows: &RecordBatch, leaf: &Leaf) -> Result<Self, ArrowError> {
        let missing = || ArrowError::SchemaError(format!("no column {}", leaf.name));
        let (first, inner) = leaf.path.split_first().ok_or_else(missing)?;
        let mut array = rows.column_by_name(first).ok_or_else(missing)?.clone();
        let mut around = Vec::new();
        for name in inner {
            let next = array.as_struct_opt().and_then(|parts| parts.column_by_name(name)).cloned();
            around.push(array);
            array = next.ok_or_else(missing)?;
        }
        Ok(Self { around, values: Typed::of(&array)? })
    }

    /// Writes the value of a row to a place.
    fn put(&self, row: usize, place: usize, with_text: bool, values: &mut Values) {
        if self.around.iter().any(|array| array.is_null(row)) {
            values.set(place, Kind::Absent, b"");
        } else {
            self.values.put(row, place, with_text, values);
        }
    }
}

impl Typed {
    fn of(array: &ArrayRef) -> Result<Self, ArrowError> {
        let to = |kind: &DataType| arrow_cast::cast(array, kind);
        Ok(match array.data_type() {
            DataType::Null => Self::Nothing,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text(to(&DataType::LargeUtf8)?, false),
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => {
                Self::Bytes(to(&DataType::LargeBinary)?)
            }
            DataType::Int8
            | DataType::Int16
            | DataType::Int32
            | DataType::Int64
            | DataType::UInt8
            | DataType::UInt16
            | DataType::UInt32 => Self::Integer(to(&DataType::Int64)?),
            DataType::UInt64
            | DataType::Decimal32(..)
            | DataType::Decimal64(..)
            | DataType::Decimal128(..)
            | DataType::Decimal256(..) => Self::Text(to(&DataType::LargeUtf8)?, true),
            DataType::Float16 | DataType::Float32 | DataType::Float64 => Self::Float(to(&DataType::Float64)?),
            DataType::Date32 => {
                let days = arrow_cast::cast(&to(&DataType::Int32)?, &DataType::Int64)?;
                Self::Moment(days, TimeUnit::Seconds, 86_400)
            }
            DataType::Date64 => Self::Moment(to(&DataType::Int64)?, TimeUnit::Milliseconds, 1),
            DataType::Timestamp(unit, _) => {
                let unit = match unit {
                    ArrowUnit::Second => TimeUnit::Seconds,
                    ArrowUnit::Millisecond => TimeUnit::Milliseconds,
                    ArrowUnit::Microsecond => TimeUnit::Microseconds,
                    ArrowUnit::Nanosecond => TimeUnit::Nanoseconds,
                };
                Self::Moment(to(&DataType::Int64)?, unit, 1)
            }
            DataType::Dictionary(_, values) => Self::of(&to(values)?)?,
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                let ends = list.value_offsets().windows(2).map(|pair| (pair[0] as usize, pair[1] as usize)).collect();
                Self::List(ends, array.clone(), Box::new(Self::of(list.values())?))
            }
            DataType::LargeList(_) => {
                let list = array.as_list::<i64>();
                let ends = list.value_offsets().windows(2).map(|pair| (pair[0] as usize, pair[1] as usize)).collect();
                Self::List(ends, array.clone(), Box::new(Self::of(list.values())?))
            }
            other if arrow_cast::can_cast_types(other, &DataType::LargeUtf8) => Self::Other(to(&DataType::LargeUtf8)?),
            _ => Self::Nothing,
        })
    }

    fn put(&self, row: usize, place: usize, with_text: bool, values: &mut Values) {
        let nothing = |values: &mut Values| values.set(place, Kind::Absent, b"");
        let array = match self {
            Self::Nothing => return nothing(values),
            Self::Text(array, _)
            | Self::Bytes(array)
            | Self::Integer(array)
            | Self::Moment(array, ..)
            | Self::Float(array)
            | Self::Other(array)
            | Self::List(_, array, _) => array,
        };
        if array.is_null(row) {
            return nothing(values);
        }
        match self {
            Self::Nothing => nothing(values),
            Self::Text(array, false) => values.set(place, Kind::Text, array.as_string::<i64>().value(row).as_bytes()),
            Self::Text(array, true) => {
                let text = array.as_string::<i64>().value(row);
                let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text };
                let kind = if text.contains('.') { Kind::Float } else { Kind::Integer };
                values.set(place, kind, text.as_bytes());
            }
            Self::Bytes(array) => values.set(place, Kind::Text, array.as_binary::<i64>().value(row)),
            Self::Integer(array) => {
                let mut text = [0u8; 24];
                let mut rest = &mut text[..];
                // A number of 64 bits has 20 characters at most.
                let _ = write!(rest, "{}", array.as_primitive::<Int64Type>().value(row));
                let length = 24 - rest.len();
                values.set(place, Kind::Integer, &text[..length]);
            }
            Self::Moment(array, unit, factor) => {
                let number = array.as_primitive::<Int64Type>().value(row).saturating_mul(*factor);
                let moment = of_integer(number, *unit);
                let text = if with_text { as_text(moment) } else { String::new() };
                values.set(place, Kind::Moment(moment), text.as_bytes());
            }
            Self::Float(array) => {
                let (kind, text) = float(array.as_primitive::<Float64Type>().value(row));
                values.set(place, kind, text.as_bytes());
            }
            Self::Other(array) => values.set(place, Kind::Other, array.as_string::<i64>().value(row).as_bytes()),
            Self::List(ends, _, inner) => {
                let (from, to) = ends[row];
                if from == to {
                    return nothing(values);
                }
                inner.put(to - 1, place, with_text, values);
                values.make_last(place);
            }
        }
    }
}

/// A moment as conditions see it: `2018-08-23T22:00:58Z`.
fn as_text(moment: Moment) -> String {
    Timestamp::new(moment.seconds, moment.nanos as i32).map(|stamp| stamp.to_string()).unwrap_or_default()
}
