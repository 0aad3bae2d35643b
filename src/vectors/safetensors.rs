//! Safetensors: the header's length (8 bytes), a header in JSON padded to 8 bytes, the tensors one behind the other.

use super::Table;
use serde_json::json;
use std::io::{self, Write};

/// How our headers begin.
pub(super) const START: &[u8] = br#"{"__metadata__":{"format":"dmran vectors"}"#;

pub(super) fn write(out: &mut dyn Write, table: &Table<'_>, bias: Option<&[f32]>, ids: &[u8]) -> io::Result<()> {
    let mut header = String::from_utf8_lossy(START).into_owned();
    let mut end = 0;
    let mut tensor = |name: &str, kind: &str, shape: &[usize], bytes: usize| {
        let offsets = [end, end + bytes];
        end += bytes;
        let entry = json!({ "dtype": kind, "shape": shape, "data_offsets": offsets });
        header += &format!(",\"{name}\":{entry}");
    };
    // Numbers first: they then begin at multiples of 4.
    tensor("vectors", "F32", &[table.rows, table.width], 4 * table.rows * table.width);
    if let Some(bias) = bias {
        tensor("bias", "F32", &[bias.len()], 4 * bias.len());
    }
    tensor("ids", "U8", &[ids.len()], ids.len());
    header.push('}');
    header += &" ".repeat(header.len().next_multiple_of(8) - header.len());
    out.write_all(&(header.len() as u64).to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    table.write(out)?;
    for x in bias.unwrap_or_default() {
        out.write_all(&x.to_le_bytes())?;
    }
    out.write_all(ids)
}
