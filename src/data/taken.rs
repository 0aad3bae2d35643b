//! What was taken for what while a log was read: choices that would otherwise stay unseen.

use std::fmt;

use serde::Serialize;

/// The choices that reading a log made. Prints as one line.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Taken {
    /// How many files the log was read from.
    pub files: usize,
    /// What they are: `CSV`, `one object a line`.
    pub format: String,
    /// The column of the user.
    pub user: String,
    /// The column of the item.
    pub item: String,
    /// The column of the time, `None` where the order alone is known.
    pub time: Option<String>,
    /// What its values are: `seconds`, `milliseconds`, `dates`.
    pub time_kind: Option<String>,
    /// The column of the position.
    pub position: Option<String>,
    /// The column (or the meta file) of the categories.
    pub category: Option<String>,
    /// The columns that play no role.
    pub not_used: Vec<String>,
    /// The conditions that rows had to hold.
    pub filters: Vec<String>,
    /// What is worth a word although it is no error.
    pub notes: Vec<String>,
}

/// Columns that are named; of more the number is told.
const NAMED: usize = 12;

/// A name within the line: as it is, without what could steer a terminal.
fn plain(name: &str) -> String {
    super::error::shown(name.as_bytes())
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user = {}, item = {}, time = ", plain(&self.user), plain(&self.item))?;
        match (&self.time, &self.time_kind) {
            (Some(time), Some(kind)) => write!(f, "{} ({kind})", plain(time))?,
            (Some(time), None) => write!(f, "{}", plain(time))?,
            (None, _) => f.write_str("none (the order of the file)")?,
        }
        if let Some(position) = &self.position {
            write!(f, ", position = {}", plain(position))?;
        }
        write!(f, ", category = {}", self.category.as_deref().map_or_else(|| "none".into(), plain))?;
        if !self.filters.is_empty() {
            write!(f, "; where {}", self.filters.join(" and "))?;
        }
        if !self.not_used.is_empty() {
            let named: Vec<String> = self
                .not_used
                .iter()
                .take(NAMED)
                .map(|name| match name.as_str() {
                    "" => "\"\"".to_owned(),
                    name => plain(name),
                })
                .collect();
            write!(f, "; not used: {}", named.join(", "))?;
            if self.not_used.len() > NAMED {
                write!(f, " and {} more", self.not_used.len() - NAMED)?;
            }
        }
        write!(f, "; read as {}", self.format)?;
        if self.files > 1 {
            write!(f, " from {} files", self.files)?;
        }
        Ok(())
    }
}

impl Taken {
    /// The flags that read such a log again whatever else the choices would fall on.
    pub fn flags(&self) -> Vec<String> {
        let quoted = |name: &str| match name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.:".contains(&b)) {
            true => name.to_owned(),
            false => format!("'{}'", name.replace('\'', "'\\''")),
        };
        let mut flags = Vec::new();
        for (role, column) in [("user", Some(&self.user)), ("item", Some(&self.item)), ("time", self.time.as_ref())] {
            flags.push(format!("--{role}-column {}", column.map_or_else(|| "none".into(), |name| quoted(name))));
        }
        flags
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_tells_every_choice() {
        let taken = Taken {
            files: 1,
            format: "CSV".into(),
            user: "customer_id".into(),
            item: "article_id".into(),
            time: Some("t_dat".into()),
            time_kind: Some("dates".into()),
            not_used: vec!["price".into(), "channel".into()],
            ..Taken::default()
        };
        assert_eq!(
            taken.to_string(),
            "user = customer_id, item = article_id, time = t_dat (dates), category = none; not used: price, channel; read as CSV"
        );
        let many = Taken { not_used: (0..40).map(|i| format!("f{i}")).collect(), time: None, files: 3, ..taken };
        let line = many.to_string();
        assert!(line.contains("time = none (the order of the file)"), "{line}");
        assert!(line.contains("f11 and 28 more; read as CSV from 3 files"), "{line}");
    }
}
