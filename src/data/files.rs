//! The files that a path stands for: itself, those of a folder, or those that fit a pattern.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::error::DataError;

/// Files in the order of their names. Of a folder those at its top, without hidden ones and those that begin with an
/// underscore (`_SUCCESS` beside the parts of a table).
///
/// # Errors
/// If a folder or a pattern has no such file, or the pattern is none.
pub fn of(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    if path.is_dir() {
        return in_folder(path);
    }
    let text = path.to_string_lossy();
    if path.exists() || !text.contains(['*', '?', '[']) {
        return Ok(vec![path.to_owned()]);
    }
    let wrong = |error: glob::PatternError| DataError::Options(format!("{text}: {error}"));
    let mut found: Vec<PathBuf> =
        glob::glob(&text).map_err(wrong)?.filter_map(Result::ok).filter(|path| path.is_file()).collect();
    found.sort();
    if found.is_empty() { Err(DataError::NoFiles { path: path.into() }) } else { Ok(found) }
}

/// The files of several paths, in this order.
///
/// # Errors
/// As [`of`]; and where a file comes twice, by whatever name, or once more compressed: its events would count twice.
pub fn all(paths: &[impl AsRef<Path>]) -> Result<Vec<PathBuf>, DataError> {
    let mut found: Vec<PathBuf> = Vec::new();
    for path in paths {
        found.extend(of(path.as_ref())?);
    }
    let mut seen: HashMap<PathBuf, &PathBuf> = HashMap::new();
    for path in found.iter().filter(|path| path.is_file()) {
        let same = path.canonicalize().unwrap_or_else(|_| path.clone());
        let plain = match same.extension().and_then(|extension| extension.to_str()) {
            Some("gz" | "zst" | "zstd") => same.with_extension(""),
            _ => same,
        };
        if let Some(first) = seen.insert(plain, path) {
            let (first, second) = (first.display(), path.display());
            return Err(DataError::Options(format!(
                "{first} and {second} are the same log: its events would count twice"
            )));
        }
    }
    Ok(found)
}

fn in_folder(folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let failed = |source| DataError::Io { file: folder.display().to_string(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_file() && !name.starts_with(['.', '_']) && !name.ends_with(".crc") {
            found.push(path);
        }
    }
    found.sort();
    if found.is_empty() { Err(DataError::Directory { path: folder.into() }) } else { Ok(found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_and_patterns_give_their_files_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b.csv", "a.csv", "_SUCCESS", ".hidden", "c.txt", ".a.csv.crc"] {
            std::fs::write(folder.path().join(name), "x").unwrap();
        }
        let names = |path: &Path| -> Vec<String> {
            let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
            of(path).unwrap().iter().map(name).collect()
        };
        assert_eq!(names(folder.path()), ["a.csv", "b.csv", "c.txt"]);
        assert_eq!(names(&folder.path().join("*.csv")), ["a.csv", "b.csv"]);
        assert_eq!(names(&folder.path().join("c.txt")), ["c.txt"]);
        std::fs::write(folder.path().join("a.csv.gz"), "x").unwrap();
        for twice in [["a.csv", "a.csv"], ["b.csv", "*.csv"], ["a.csv.gz", "a.csv"]] {
            let message = all(&twice.map(|name| folder.path().join(name))).unwrap_err().to_string();
            assert!(message.contains("count twice"), "{message}");
        }
        assert_eq!(all(&["a.csv", "b.csv"].map(|name| folder.path().join(name))).unwrap().len(), 2);
        assert!(matches!(of(&folder.path().join("*.json")), Err(DataError::NoFiles { .. })));
    }
}
