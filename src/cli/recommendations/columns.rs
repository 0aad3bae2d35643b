//! Recommendations as Parquet.

use crate::cli::show::Names;
use arrow_array::{ArrayRef, BooleanArray, Float32Array, RecordBatch, StringArray, UInt32Array};
use arrow_schema::{DataType, Field, Schema};
use dmran::scorer::Scored;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use std::fs::File;
use std::io::{self, Write};
use std::mem::take;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// Rows of a group.
const ROWS: usize = 1 << 17;
/// The entry of the file's metadata by which we know our own files.
const MARK: (&str, &str) = ("dmran", "recommendations");

/// What the Parquet writer has written and the file has not got yet: the writer wants an output that may go to other
/// threads, which the file is not.
#[derive(Clone, Default)]
struct Pending(Arc<Mutex<Vec<u8>>>);

impl Write for Pending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Pending {
    fn give(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Rows that are being collected for the next group.
pub struct Columns {
    writer: ArrowWriter<Pending>,
    pending: Pending,
    schema: Arc<Schema>,
    user: Vec<String>,
    rank: Vec<u32>,
    item: Vec<String>,
    category: Option<Vec<String>>,
    score: Vec<f32>,
    cold: Option<Vec<bool>>,
}

impl Columns {
    /// Before the first row.
    pub fn new(categories: bool, tells_cold: bool) -> io::Result<Columns> {
        let field = |name: &str, kind: DataType| Field::new(name, kind, false);
        let mut fields =
            vec![field("user", DataType::Utf8), field("rank", DataType::UInt32), field("item", DataType::Utf8)];
        fields.extend(categories.then(|| field("category", DataType::Utf8)));
        fields.push(field("score", DataType::Float32));
        fields.extend(tells_cold.then(|| field("cold", DataType::Boolean)));
        let (schema, pending) = (Arc::new(Schema::new(fields)), Pending::default());
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_key_value_metadata(Some(vec![KeyValue::new(MARK.0.into(), String::from(MARK.1))]))
            .build();
        let writer = ArrowWriter::try_new(pending.clone(), schema.clone(), Some(properties)).map_err(other)?;
        let (user, item) = (Vec::new(), Vec::new());
        let (category, cold) = (categories.then(Vec::new), tells_cold.then(Vec::new));
        Ok(Columns { writer, pending, schema, user, rank: Vec::new(), item, category, score: Vec::new(), cold })
    }

    /// Adds a user's rows.
    pub fn user(
        &mut self,
        out: &mut dyn Write,
        user: &str,
        ranked: &[Scored],
        cold: bool,
        names: Names<'_>,
    ) -> io::Result<()> {
        for (rank, one) in (1..).zip(ranked) {
            self.user.push(user.to_owned());
            self.rank.push(rank);
            self.item.push(names.item(one.item).to_owned());
            if let Some(category) = &mut self.category {
                category.push(names.category(one.item).unwrap_or_default().to_owned());
            }
            self.score.push(one.score);
            if let Some(all) = &mut self.cold {
                all.push(cold);
            }
        }
        if self.rank.len() >= ROWS { self.group(out) } else { Ok(()) }
    }

    /// Writes the rows that are there as a group.
    fn group(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if self.rank.is_empty() {
            return Ok(());
        }
        let strings = |all: &mut Vec<String>| Arc::new(StringArray::from(take(all))) as ArrayRef;
        let mut arrays = vec![strings(&mut self.user), Arc::new(UInt32Array::from(take(&mut self.rank)))];
        arrays.push(strings(&mut self.item));
        arrays.extend(self.category.as_mut().map(strings));
        arrays.push(Arc::new(Float32Array::from(take(&mut self.score))));
        arrays.extend(self.cold.as_mut().map(|all| Arc::new(BooleanArray::from(take(all))) as ArrayRef));
        let batch = RecordBatch::try_new(self.schema.clone(), arrays).map_err(io::Error::other)?;
        self.writer.write(&batch).map_err(other)?;
        self.writer.flush().map_err(other)?;
        self.pending.give(out)
    }

    /// After the last row.
    pub fn finish(mut self, out: &mut dyn Write) -> io::Result<()> {
        self.group(out)?;
        self.writer.finish().map_err(other)?;
        self.pending.give(out)
    }
}

fn other(error: ParquetError) -> io::Error {
    io::Error::other(error)
}

/// Whether a file is one that we wrote.
pub fn is_ours(path: &Path) -> bool {
    let Ok(Ok(file)) = File::open(path).map(SerializedFileReader::new) else { return false };
    let marks = file.metadata().file_metadata().key_value_metadata();
    marks.is_some_and(|marks| marks.iter().any(|one| one.key == MARK.0 && one.value.as_deref() == Some(MARK.1)))
}
