//! NumPy's file of one array, version 1.0: a magic number, a header in Python's syntax padded to 64 bytes, the numbers.

use super::Table;
use std::io::{self, Write};

/// How such a file begins.
pub(super) const MAGIC: &[u8] = b"\x93NUMPY";
/// Magic number, version and the header's length.
const FIXED: usize = 10;

pub(super) fn write(out: &mut dyn Write, table: &Table<'_>) -> io::Result<()> {
    let (rows, width) = (table.rows, table.width);
    let mut header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {width}), }}");
    let padded = (FIXED + header.len() + 1).next_multiple_of(64) - FIXED;
    header += &" ".repeat(padded - header.len() - 1);
    header.push('\n');
    out.write_all(MAGIC)?;
    out.write_all(&[1, 0])?;
    // Two short numbers and some words: far below 2^16.
    out.write_all(&(header.len() as u16).to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    table.write(out)
}
