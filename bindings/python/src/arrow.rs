//! Tables by the Arrow PyCapsule interface, in and out.
#![allow(unsafe_code)]

use arrow_array::ffi_stream::{FFI_ArrowArrayStream, RecordBatchStreamReader};
use arrow_array::{RecordBatch, RecordBatchIterator};
use arrow_schema::ArrowError;
use pyo3::exceptions::{PyImportError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyCapsule, PyDict, PyList};
use std::ffi::CStr;

const STREAM: &CStr = c"arrow_array_stream";

fn wrong(error: ArrowError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// All rows of a table that speaks the interface.
pub fn batches(table: &Bound<'_, PyAny>) -> PyResult<Vec<RecordBatch>> {
    let capsule = table.call_method0("__arrow_c_stream__")?.cast_into::<PyCapsule>()?;
    let pointer = capsule.pointer_checked(Some(STREAM))?;
    // SAFETY: by the interface a capsule of this name holds a valid ArrowArrayStream, which whoever takes the capsule may
    // move out once: what stays behind has been marked as released.
    let stream = unsafe { FFI_ArrowArrayStream::from_raw(pointer.as_ptr().cast()) };
    let reader = RecordBatchStreamReader::try_new(stream).map_err(wrong)?;
    // The stream may want the GIL for itself.
    table.py().detach(|| reader.collect::<Result<Vec<_>, _>>()).map_err(wrong)
}

/// A table of results. Any library that speaks Arrow takes it as it is: `polars.DataFrame(table)`, `pyarrow.table(table)`.
#[pyclass(frozen, module = "dmran")]
pub struct Table(RecordBatch);

impl Table {
    /// Of columns with their names, which are equally long.
    pub fn new(batch: Result<RecordBatch, ArrowError>) -> PyResult<Table> {
        batch.map(Table).map_err(wrong)
    }
}

#[pymethods]
impl Table {
    /// The Arrow PyCapsule interface.
    #[pyo3(signature = (requested_schema = None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        // Whoever asks for another schema casts: the interface leaves that to the producer's choice.
        let _ = requested_schema;
        let reader = RecordBatchIterator::new([Ok(self.0.clone())], self.0.schema());
        PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(Box::new(reader)), STREAM)
    }

    /// Numbers of rows and columns.
    #[getter]
    fn shape(&self) -> (usize, usize) {
        (self.0.num_rows(), self.0.num_columns())
    }

    /// Names of the columns.
    #[getter]
    fn column_names(&self) -> Vec<String> {
        self.0.schema().fields().iter().map(|field| field.name().clone()).collect()
    }

    fn __len__(&self) -> usize {
        self.0.num_rows()
    }

    fn __repr__(&self) -> String {
        format!("<dmran.Table: {} rows of {}>", self.0.num_rows(), self.column_names().join(", "))
    }

    /// As a `pyarrow.Table`.
    fn to_pyarrow<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("pyarrow")?.call_method1("table", (slf,))
    }

    /// As a `polars.DataFrame`.
    fn to_polars<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        slf.py().import("polars")?.call_method1("DataFrame", (slf,))
    }

    /// As a `pandas.DataFrame`; without pyarrow as well.
    fn to_pandas<'py>(slf: &Bound<'py, Self>) -> PyResult<Bound<'py, PyAny>> {
        let py = slf.py();
        match py.import("pyarrow") {
            Ok(arrow) => arrow.call_method1("table", (slf,))?.call_method0("to_pandas"),
            Err(error) if error.is_instance_of::<PyImportError>(py) => {
                py.import("pandas")?.call_method1("DataFrame", (slf.get().to_pydict(py)?,))
            }
            Err(error) => Err(error),
        }
    }

    /// As a dict of lists, one a column.
    fn to_pydict<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyDict>> {
        let columns = PyDict::new(py);
        for (field, column) in self.0.schema().fields().iter().zip(self.0.columns()) {
            columns.set_item(field.name(), list(py, column)?)?;
        }
        Ok(columns)
    }

    /// As a list of dicts, one a row.
    fn to_pylist<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let columns = self.0.columns().iter().map(|column| list(py, column)).collect::<PyResult<Vec<_>>>()?;
        let names = self.column_names();
        let rows = (0..self.0.num_rows()).map(|row| {
            let cells = PyDict::new(py);
            for (name, column) in names.iter().zip(&columns) {
                cells.set_item(name, column.get_item(row)?)?;
            }
            Ok(cells)
        });
        PyList::new(py, rows.collect::<PyResult<Vec<_>>>()?)
    }
}

/// The values of a column of one of the types that results have.
fn list<'py>(py: Python<'py>, column: &arrow_array::ArrayRef) -> PyResult<Bound<'py, PyList>> {
    use arrow_array::cast::AsArray;
    use arrow_array::types::{Float32Type, Float64Type, Int32Type, Int64Type};
    use arrow_schema::DataType;
    match column.data_type() {
        DataType::LargeUtf8 => PyList::new(py, column.as_string::<i64>().iter().collect::<Vec<_>>()),
        DataType::Int64 => PyList::new(py, column.as_primitive::<Int64Type>().iter().collect::<Vec<_>>()),
        DataType::Int32 => PyList::new(py, column.as_primitive::<Int32Type>().iter().collect::<Vec<_>>()),
        DataType::Float32 => PyList::new(py, column.as_primitive::<Float32Type>().iter().collect::<Vec<_>>()),
        DataType::Float64 => PyList::new(py, column.as_primitive::<Float64Type>().iter().collect::<Vec<_>>()),
        other => Err(PyValueError::new_err(format!("a column of type {other}"))),
    }
}
