//! Vectors of items and users as files that other programs read: .npy of NumPy and .safetensors.
//!
//! With the heads `mean` and `rows` a score is a dot product, `user . item + bias`. An index that finds the largest dot products (faiss,
//! usearch, hnswlib) needs no more than these vectors; the bias goes along as one more column, which users meet with a 1
//! (see [`Form::Npy`]).

mod npy;
mod safetensors;

use crate::batch::{Context, user_vectors};
use crate::scorer::Scorer;
use std::io::{self, Write};
use std::ops::Range;

/// Rows that are in memory at a time.
const ROWS: usize = 4096;

/// A form of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// NumPy's: one array of 32-bit floats, `[rows, width]`. Where the model has a bias, the last column is the item's
    /// bias, or 1 for a user: the dot product of two rows then is the score. Ids are not in it.
    Npy,
    /// Safetensors: `vectors` `[rows, width]` (F32), for items `bias` `[rows]` where the model has one, and `ids`: the bytes
    /// (U8) of a JSON array of the rows' ids.
    Safetensors,
}

impl Form {
    /// How a file begins that is of this form.
    pub fn is_start(self, start: &[u8]) -> bool {
        match self {
            Form::Npy => start.starts_with(npy::MAGIC),
            Form::Safetensors => start.get(8..).is_some_and(|header| header.starts_with(safetensors::START)),
        }
    }
}

/// Whose vectors.
pub enum Content<'a> {
    /// Of all items.
    Items,
    /// Of users; rows of zeros for cold ones.
    Users(&'a [Context<'a>]),
}

/// A table that is made as it is written.
struct Table<'a> {
    rows: usize,
    width: usize,
    fill: &'a dyn Fn(Range<usize>, &mut [f32]),
}

impl Table<'_> {
    /// The numbers row by row, little-endian.
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut buffer = vec![0.0; ROWS.min(self.rows) * self.width];
        let mut bytes = Vec::with_capacity(4 * buffer.len());
        for start in (0..self.rows).step_by(ROWS) {
            let end = self.rows.min(start + ROWS);
            let part = &mut buffer[..(end - start) * self.width];
            (self.fill)(start..end, part);
            bytes.clear();
            bytes.extend(part.iter().flat_map(|x| x.to_le_bytes()));
            out.write_all(&bytes)?;
        }
        Ok(())
    }
}

/// Writes vectors in one of the forms. `ids` are the rows' names; the form .npy has no place for them.
///
/// # Errors
/// Of writing.
pub fn write(form: Form, out: &mut dyn Write, scorer: &Scorer, content: &Content<'_>, ids: &[&str]) -> io::Result<()> {
    let d = scorer.settings().d;
    let rows = match content {
        Content::Items => scorer.items().len(),
        Content::Users(contexts) => contexts.len(),
    };
    let vectors = |range: Range<usize>, out: &mut [f32]| match content {
        Content::Items => scorer.item_vectors(range.start as u32..range.end as u32, out),
        Content::Users(contexts) => user_vectors(scorer, &contexts[range], out),
    };
    let bias = scorer.item_biases();
    match form {
        Form::Npy => {
            let width = d + usize::from(bias.is_some());
            let fill = |range: Range<usize>, out: &mut [f32]| {
                let Some(bias) = bias else { return vectors(range, out) };
                let mut plain = vec![0.0; range.len() * d];
                vectors(range.clone(), &mut plain);
                for ((to, from), row) in out.chunks_exact_mut(width).zip(plain.chunks_exact(d)).zip(range) {
                    to[..d].copy_from_slice(from);
                    to[d] = if matches!(content, Content::Items) { bias[row] } else { 1.0 };
                }
            };
            npy::write(out, &Table { rows, width, fill: &fill })
        }
        Form::Safetensors => {
            let bias = bias.filter(|_| matches!(content, Content::Items));
            safetensors::write(out, &Table { rows, width: d, fill: &vectors }, bias, &json(ids)?)
        }
    }
}

/// The rows' ids as a JSON array: what goes beside a .npy file.
///
/// # Errors
/// None that a list of texts can cause.
pub fn json(ids: &[&str]) -> io::Result<Vec<u8>> {
    Ok(serde_json::to_vec(ids)?)
}
