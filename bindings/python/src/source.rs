//! Where a log comes from: files, or a table.

use crate::arrow::batches;
use crate::errors::of_data;
use arrow_array::{
    ArrayRef, Float64Array, Int64Array, LargeStringArray, RecordBatch, TimestampMicrosecondArray,
    TimestampMillisecondArray, TimestampNanosecondArray, TimestampSecondArray,
};
use arrow_schema::DataType;
use dmran::data::{DataError, LogBuilder, Opened, ReadOptions, open};
use numpy::PyReadonlyArray1;
use pyo3::exceptions::{PyTypeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyTuple};
use std::path::PathBuf;
use std::sync::Arc;

/// How ids come back: as they were handed in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IdKind {
    /// As text.
    #[default]
    Text,
    /// As whole numbers.
    Integer,
}

impl IdKind {
    /// By its name in Python: `str` or `int`.
    pub fn of(name: &str) -> PyResult<IdKind> {
        match name {
            "str" => Ok(IdKind::Text),
            "int" => Ok(IdKind::Integer),
            _ => Err(PyValueError::new_err(format!("ids are \"str\" or \"int\", not {name:?}"))),
        }
    }

    /// Its name in Python.
    pub fn name(self) -> &'static str {
        match self {
            IdKind::Text => "str",
            IdKind::Integer => "int",
        }
    }

    fn of_type(kind: &DataType) -> IdKind {
        match kind {
            DataType::Dictionary(_, values) => IdKind::of_type(values),
            kind if kind.is_numeric() => IdKind::Integer,
            _ => IdKind::Text,
        }
    }

    /// A column of such ids.
    pub fn column<'a>(self, ids: impl Iterator<Item = &'a str> + Clone) -> ArrayRef {
        if self == IdKind::Integer {
            let numbers: Option<Vec<i64>> = ids.clone().map(|id| id.parse().ok()).collect();
            // Wider numbers than 64 bits stay text.
            if let Some(numbers) = numbers {
                return Arc::new(Int64Array::from(numbers));
            }
        }
        Arc::new(LargeStringArray::from_iter_values(ids))
    }
}

/// Where a log comes from.
pub enum Source {
    /// Files, folders or patterns; none for the bundled log.
    Files(Vec<PathBuf>),
    /// Rows with a name for them.
    Rows(Vec<RecordBatch>, String),
}

impl Source {
    /// From Python: a list of paths, a table that speaks Arrow, or a dict of columns as `_tables.columns` gives them.
    pub fn of(source: &Bound<'_, PyAny>, name: &str) -> PyResult<Source> {
        if let Ok(paths) = source.cast::<PyList>() {
            return Ok(Source::Files(paths.extract()?));
        }
        let rows = match source.cast::<PyDict>() {
            Ok(columns) => vec![of_columns(columns)?],
            Err(_) => batches(source)?,
        };
        Ok(Source::Rows(rows, name.to_owned()))
    }

    /// Reads the log. The kinds are those of the users' and the items' ids.
    pub fn read(self, options: &ReadOptions) -> Result<(Opened, [IdKind; 2]), DataError> {
        let (rows, name) = match self {
            Source::Files(files) => return Ok((open(&files, options)?, Default::default())),
            Source::Rows(rows, name) => (rows, name),
        };
        let schema = rows.first().map(RecordBatch::schema);
        let mut builder = LogBuilder::new(options.clone());
        for batch in rows.iter().filter(|batch| batch.num_rows() > 0) {
            builder.push_arrow_of(&name, batch)?;
        }
        let log = builder.finish()?;
        if log.dataset.events() == 0 {
            return Err(DataError::Empty { file: name });
        }
        let kind = |column: &str| {
            let field = schema.as_ref().and_then(|schema| schema.field_with_name(column).ok());
            field.map_or(IdKind::Text, |field| IdKind::of_type(field.data_type()))
        };
        let kinds = [kind(&log.taken.user), kind(&log.taken.item)];
        Ok((Opened::named(log, name), kinds))
    }

    /// As [`Source::read`], without the GIL.
    pub fn read_detached(self, py: Python<'_>, options: &ReadOptions) -> PyResult<(Opened, [IdKind; 2])> {
        py.detach(|| self.read(options)).map_err(|error| of_data(&error))
    }
}

/// A record batch of columns that numpy holds.
fn of_columns(columns: &Bound<'_, PyDict>) -> PyResult<RecordBatch> {
    let named = columns.iter().map(|(name, values)| Ok((name.extract::<String>()?, column(&values)?)));
    let named = named.collect::<PyResult<Vec<_>>>()?;
    RecordBatch::try_from_iter(named).map_err(|error| PyValueError::new_err(error.to_string()))
}

fn column(values: &Bound<'_, PyAny>) -> PyResult<ArrayRef> {
    if let Ok(texts) = values.cast::<PyList>() {
        return Ok(Arc::new(LargeStringArray::from(texts.extract::<Vec<Option<String>>>()?)));
    }
    if let Ok(pair) = values.cast::<PyTuple>() {
        let (times, unit): (PyReadonlyArray1<'_, i64>, String) = pair.extract()?;
        // Numpy's "not a time".
        let times: Vec<Option<i64>> =
            times.as_array().iter().map(|time| (*time != i64::MIN).then_some(*time)).collect();
        return Ok(match &*unit {
            "s" => Arc::new(TimestampSecondArray::from(times)),
            "ms" => Arc::new(TimestampMillisecondArray::from(times)),
            "us" => Arc::new(TimestampMicrosecondArray::from(times)),
            "ns" => Arc::new(TimestampNanosecondArray::from(times)),
            unit => return Err(PyValueError::new_err(format!("times in {unit}"))),
        });
    }
    if let Ok(numbers) = values.extract::<PyReadonlyArray1<'_, i64>>() {
        return Ok(Arc::new(Int64Array::from_iter_values(numbers.as_array().iter().copied())));
    }
    if let Ok(numbers) = values.extract::<PyReadonlyArray1<'_, f64>>() {
        let numbers = numbers.as_array();
        return Ok(Arc::new(Float64Array::from_iter(numbers.iter().map(|x| (!x.is_nan()).then_some(*x)))));
    }
    Err(PyTypeError::new_err(
        "a column is an array of int64 or float64, a pair of times and their unit, or a list of str",
    ))
}
