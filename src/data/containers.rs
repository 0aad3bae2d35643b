//! Kinds of files that are no text, told by their first bytes.

use super::error::DataError;

/// What Zstandard begins with.
pub(crate) const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// What gzip begins with.
pub(crate) const GZIP: &[u8] = &[0x1f, 0x8b];

/// Whether this is compressed in a way that is read.
pub(crate) fn is_compressed(head: &[u8]) -> bool {
    head.starts_with(ZSTD) || head.starts_with(GZIP)
}

const FEATHER: &str = "write it as Parquet or CSV: pandas.read_feather('FILE').to_csv('log.csv', index=False)";
const PICKLE: &str = "write it as CSV: pandas.read_pickle('FILE').to_csv('log.csv', index=False)";
const R: &str = "write it as CSV in R: write.csv(log, 'log.csv', row.names = FALSE)";
const SQL: &str = "load it into its database and write the table as CSV";

/// How to get at the text in a kind of file.
struct Kind {
    what: &'static str,
    at: usize,
    magic: &'static [u8],
    fix: &'static str,
}

const KINDS: [Kind; 40] = [
    Kind {
        what: "a zip archive (or an Excel workbook)",
        at: 0,
        magic: b"PK\x03\x04",
        fix: "unpack it: unzip -p FILE | dmran COMMAND - (an .xlsx: save it as CSV)",
    },
    Kind { what: "an empty zip archive", at: 0, magic: b"PK\x05\x06", fix: "there is nothing in it" },
    Kind { what: "compressed with bzip2", at: 0, magic: b"BZh", fix: "unpack it: bzcat FILE | dmran COMMAND -" },
    Kind { what: "compressed with xz", at: 0, magic: b"\xfd7zXZ\0", fix: "unpack it: xzcat FILE | dmran COMMAND -" },
    Kind {
        what: "compressed with LZ4",
        at: 0,
        magic: b"\x04\x22\x4d\x18",
        fix: "unpack it: lz4 -dc FILE | dmran COMMAND -",
    },
    Kind { what: "compressed with compress", at: 0, magic: b"\x1f\x9d", fix: "unpack it: zcat FILE | dmran COMMAND -" },
    Kind {
        what: "compressed with Snappy",
        at: 0,
        magic: b"\xff\x06\0\0sNaPpY",
        fix: "unpack it: snzip -dc FILE | dmran COMMAND -",
    },
    Kind {
        what: "a 7z archive",
        at: 0,
        magic: b"7z\xbc\xaf\x27\x1c",
        fix: "unpack it: 7z x -so FILE | dmran COMMAND -",
    },
    Kind { what: "a RAR archive", at: 0, magic: b"Rar!", fix: "unpack it: unrar p -inul FILE | dmran COMMAND -" },
    Kind { what: "a tar archive", at: 257, magic: b"ustar", fix: "unpack it: tar -xOf FILE MEMBER | dmran COMMAND -" },
    Kind {
        what: "an SQLite database",
        at: 0,
        magic: b"SQLite format 3\0",
        fix: "write the table as CSV: sqlite3 -header -csv FILE 'select * from TABLE' > log.csv",
    },
    Kind {
        what: "an old Excel workbook",
        at: 0,
        magic: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        fix: "save it as CSV (UTF-8)",
    },
    Kind {
        what: "an ORC file",
        at: 0,
        magic: b"ORC",
        fix: "write it as Parquet or CSV: pandas.read_orc('FILE').to_csv('log.csv', index=False)",
    },
    Kind {
        what: "an Avro file",
        at: 0,
        magic: b"Obj\x01",
        fix: "write it as JSON Lines: avro-tools tojson FILE > log.jsonl",
    },
    Kind { what: "an Arrow (Feather) file", at: 0, magic: b"ARROW1", fix: FEATHER },
    Kind { what: "an old Feather file", at: 0, magic: b"FEA1", fix: FEATHER },
    Kind {
        what: "an HDF5 file",
        at: 0,
        magic: b"\x89HDF\r\n\x1a\n",
        fix: "write it as CSV: pandas.read_hdf('FILE').to_csv('log.csv', index=False)",
    },
    Kind {
        what: "a NumPy array",
        at: 0,
        magic: b"\x93NUMPY",
        fix: "write it as CSV with a header: numpy.savetxt('log.csv', array, fmt='%s', delimiter=',', header='user,item,timestamp', comments='')",
    },
    Kind { what: "a Python pickle", at: 0, magic: b"\x80\x04\x95", fix: PICKLE },
    Kind { what: "a Python pickle", at: 0, magic: b"\x80\x05\x95", fix: PICKLE },
    Kind { what: "a Python pickle", at: 0, magic: b"\x80\x03", fix: PICKLE },
    Kind { what: "a Python pickle", at: 0, magic: b"\x80\x02", fix: PICKLE },
    Kind { what: "R's data", at: 0, magic: b"RDX", fix: R },
    Kind { what: "R's data", at: 0, magic: b"X\n\0\0\0", fix: R },
    Kind {
        what: "a Stata file",
        at: 0,
        magic: b"<stata_dta>",
        fix: "write it as CSV: pandas.read_stata('FILE').to_csv('log.csv', index=False)",
    },
    Kind {
        what: "an SPSS file",
        at: 0,
        magic: b"$FL2",
        fix: "write it as CSV: pandas.read_spss('FILE').to_csv('log.csv', index=False)",
    },
    Kind {
        what: "a DuckDB database",
        at: 8,
        magic: b"DUCK",
        fix: "write the table as CSV: duckdb FILE -csv -c 'from TABLE' > log.csv",
    },
    Kind { what: "an SQL dump", at: 0, magic: b"INSERT INTO ", fix: SQL },
    Kind { what: "an SQL dump", at: 0, magic: b"CREATE TABLE ", fix: SQL },
    Kind { what: "an SQL dump", at: 0, magic: b"--\n-- PostgreSQL", fix: SQL },
    Kind { what: "an SQL dump", at: 0, magic: b"COPY ", fix: SQL },
    Kind { what: "an SQL dump", at: 0, magic: b"-- MySQL dump", fix: SQL },
    Kind {
        what: "Weka's ARFF",
        at: 0,
        magic: b"@relation",
        fix: "write the names of its attributes as one line above its data",
    },
    Kind {
        what: "a sparse matrix",
        at: 0,
        magic: b"%%MatrixMarket",
        fix: "its rows are users and items by number: grep -v '^%' FILE | tail -n +2 | dmran COMMAND - --no-header \
              --delimiter space --user-column 1 --item-column 2",
    },
    Kind { what: "a model of dmran's", at: 0, magic: b"\x89DMRAN", fix: "a log is needed in its place" },
    Kind { what: "a PDF", at: 0, magic: b"%PDF-", fix: "it is no log" },
    Kind { what: "a web page", at: 0, magic: b"<!DOCTYPE", fix: "the download went wrong: it is no log" },
    Kind { what: "a web page", at: 0, magic: b"<html", fix: "the download went wrong: it is no log" },
    Kind { what: "an XML file", at: 0, magic: b"<?xml", fix: "write its rows as CSV" },
    Kind {
        what: "a pointer of Git LFS",
        at: 0,
        magic: b"version https://git-lfs",
        fix: "fetch the file itself: git lfs pull",
    },
];

/// Refuses what is no text by its first bytes, with what makes a log of it.
pub(crate) fn refuse(file: &str, head: &[u8]) -> Result<(), DataError> {
    let found = KINDS.iter().find(|kind| head.get(kind.at..).is_some_and(|rest| rest.starts_with(kind.magic)));
    let refused = |what, fix: String| Err(DataError::Container { file: file.into(), what, fix });
    if let Some(kind) = found {
        return refused(kind.what, kind.fix.replace("FILE", file));
    }
    let utf16 = |name: &str| refused("UTF-16 text", format!("convert it: iconv -f {name} -t UTF-8 {file} > new.csv"));
    match head {
        [0xff, 0xfe, 0, 0, ..] | [0, 0, 0xfe, 0xff, ..] => {
            refused("UTF-32 text", format!("convert it: iconv -f UTF-32 -t UTF-8 {file} > new.csv"))
        }
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => utf16("UTF-16"),
        // Without a mark: every other byte of a line of ASCII is zero.
        [a, 0, b, 0, c, 0, ..] if a.is_ascii_graphic() && b.is_ascii_graphic() && c.is_ascii() => utf16("UTF-16LE"),
        [0, a, 0, b, 0, c, ..] if a.is_ascii_graphic() && b.is_ascii_graphic() && c.is_ascii() => utf16("UTF-16BE"),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_text_is_named_with_the_way_out() {
        for (head, what, fix) in [
            (&b"PK\x03\x04rest"[..], "zip", "unzip -p log.x"),
            (b"BZh91AY", "bzip2", "bzcat log.x"),
            (b"\xfd7zXZ\0\0", "xz", "xzcat log.x"),
            (b"\xff\xfeu\0s\0", "UTF-16", "iconv -f UTF-16"),
            (b"u\0s\0e\0r\0", "UTF-16", "UTF-16LE"),
            (b"<!DOCTYPE html>", "web page", "download"),
        ] {
            let message = refuse("log.x", head).unwrap_err().to_string();
            assert!(message.contains(what) && message.contains(fix), "{message}");
        }
        for head in [&b""[..], b"user,item", b"\xef\xbb\xbfuser", b"{\"a\": 1}", b"1::2", b"\x00\x00\x00\x00\x00\x00"] {
            assert!(refuse("log", head).is_ok());
        }
    }
}
