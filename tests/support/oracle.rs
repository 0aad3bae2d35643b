//! Reads the oracle's safetensors files: eight bytes of header length, a JSON header, then the tensors.

use serde_json::Value;
use std::path::Path;

/// The cases under `tests/golden/`.
pub const CASES: [&str; 12] =
    ["n1", "n4", "n4pad", "n7pad", "n7post", "n7cat", "n7catpost", "n7big", "n5odd", "n19d32", "last", "rows"];

/// One case.
pub struct Case {
    header: Value,
    data: Vec<u8>,
}

impl Case {
    /// Reads a case by its name.
    pub fn load(name: &str) -> Case {
        Case::read(&format!("golden/golden_{name}.safetensors"))
    }

    /// Reads a file below `tests/`.
    pub fn read(file: &str) -> Case {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(file);
        let bytes = std::fs::read(path).unwrap();
        let len = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        Case { header: serde_json::from_slice(&bytes[8..8 + len]).unwrap(), data: bytes[8 + len..].to_vec() }
    }

    fn raw(&self, key: &str) -> (&str, &[u8]) {
        let entry = &self.header[key];
        let at = |i: usize| entry["data_offsets"][i].as_u64().unwrap_or_else(|| panic!("no {key}")) as usize;
        (entry["dtype"].as_str().unwrap(), &self.data[at(0)..at(1)])
    }

    /// A tensor of 64-bit floats.
    pub fn f64(&self, key: &str) -> Vec<f64> {
        let (dtype, bytes) = self.raw(key);
        assert_eq!(dtype, "F64", "{key}");
        bytes.chunks(8).map(|b| f64::from_le_bytes(b.try_into().unwrap())).collect()
    }

    /// A tensor of ids.
    pub fn ids(&self, key: &str) -> Vec<u32> {
        let (dtype, bytes) = self.raw(key);
        assert_eq!(dtype, "I64", "{key}");
        bytes.chunks(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as u32).collect()
    }

    /// A number of the case's description.
    pub fn number(&self, key: &str) -> f64 {
        self.text(key).parse().unwrap()
    }

    /// A size of the case's description.
    pub fn meta(&self, key: &str) -> usize {
        self.number(key) as usize
    }

    /// A text of the case's description.
    pub fn text(&self, key: &str) -> &str {
        self.header["__metadata__"][key].as_str().unwrap_or_else(|| panic!("no {key}"))
    }

    /// A text that not every case's description has.
    pub fn maybe(&self, key: &str) -> Option<&str> {
        self.header["__metadata__"][key].as_str()
    }

    /// A yes or no of the case's description.
    pub fn flag(&self, key: &str) -> bool {
        self.header["__metadata__"][key] == "true"
    }
}
