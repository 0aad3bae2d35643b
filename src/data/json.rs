//! JSON Lines: one object a line; the columns are its keys.

use std::fmt;
use std::io::Write;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::columns::{self, Found, Role};
use super::error::{DataError, Problem};
use super::options::Columns;
use super::rows::{Rejected, Row, Rows};
use super::source::{Lines, Source};

/// Reads all lines. The keys of the first object decide which column is which.
pub(crate) fn read(source: Source<'_>, columns: &Columns, rows: &mut Rows<'_>) -> Result<(), DataError> {
    let file = source.file().to_owned();
    let mut lines = Lines::new(source);
    let mut found: Option<Found> = None;
    let mut fields = Fields::default();
    let mut any = false;
    while let Some((number, line)) = lines.next_line()? {
        any = true;
        if found.is_none()
            && let Ok(keys) = parse(line, Keys)
        {
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            found = Some(columns::find(&file, columns, &keys)?);
        }
        let pushed = match &found {
            // Not an object: say what is wrong with it.
            None => parse(line, Keys).map(drop),
            Some(found) => {
                fields.clear();
                match parse(line, Object { found, fields: &mut fields }).and_then(|()| fields.row(found)) {
                    Ok(row) => rows.push(&row)?,
                    Err(rejected) => Err(rejected),
                }
            }
        };
        if let Err(rejected) = pushed {
            rows.reject(&file, number, found.as_ref(), rejected)?;
        }
    }
    if any { Ok(()) } else { Err(DataError::Empty { file }) }
}

/// Parses one whole line.
fn parse<'de, S: DeserializeSeed<'de>>(line: &'de [u8], seed: S) -> Result<S::Value, Rejected> {
    let text = std::str::from_utf8(line).map_err(|_| Rejected::line(Problem::NotUtf8, line))?;
    let mut parser = serde_json::Deserializer::from_str(text);
    let syntax = |error: serde_json::Error| {
        // The parser's own "at line 1" would be taken for a line of the file.
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        let message = format!("{message} at byte {}", error.column());
        Rejected::line(Problem::Syntax(message), line)
    };
    let value = seed.deserialize(&mut parser).map_err(syntax)?;
    parser.end().map_err(syntax)?;
    Ok(value)
}

/// What kind of value a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Kind {
    #[default]
    Absent,
    Text,
    Integer,
    Float,
    Other,
}

/// The fields of one object, as text in buffers that are used again for the next one.
#[derive(Default)]
struct Fields([(Kind, Vec<u8>); 5]);

impl Fields {
    fn clear(&mut self) {
        for (kind, text) in &mut self.0 {
            *kind = Kind::Absent;
            text.clear();
        }
    }

    /// The row, with `Some` for every column that the log has.
    fn row(&self, found: &Found) -> Result<Row<'_>, Rejected> {
        for role in Role::ALL {
            let (kind, text) = &self.0[role as usize];
            let problem = match (role, kind) {
                (Role::Time, Kind::Other) => Problem::NotATime,
                (Role::Position, Kind::Other) => Problem::NotAnInteger,
                (Role::User | Role::Item | Role::Category, Kind::Other | Kind::Float) => Problem::NotAnId,
                _ => continue,
            };
            return Err(Rejected::new(role, problem, text));
        }
        let text = |role: Role| self.0[role as usize].1.as_slice();
        let optional = |role: Role| found.index(role).map(|_| text(role));
        Ok(Row {
            user: text(Role::User),
            item: text(Role::Item),
            time: optional(Role::Time),
            position: optional(Role::Position),
            category: optional(Role::Category),
        })
    }
}

/// Collects the keys of an object.
struct Keys;

impl<'de> DeserializeSeed<'de> for Keys {
    type Value = Vec<String>;
    fn deserialize<D: Deserializer<'de>>(self, parser: D) -> Result<Self::Value, D::Error> {
        parser.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Keys {
    type Value = Vec<String>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut keys: Vec<String> = Vec::new();
        while let Some((key, IgnoredAny)) = map.next_entry()? {
            if !keys.contains(&key) {
                keys.push(key);
            }
        }
        Ok(keys)
    }
}

/// Fills the fields from an object; other keys are passed over without being kept.
struct Object<'a> {
    found: &'a Found,
    fields: &'a mut Fields,
}

impl<'de> DeserializeSeed<'de> for Object<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, parser: D) -> Result<(), D::Error> {
        parser.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(roles) = map.next_key_seed(Key(self.found))? {
            let mut roles = Role::ALL.into_iter().filter(|&role| roles[role as usize]);
            match roles.next() {
                None => drop(map.next_value::<IgnoredAny>()?),
                Some(first) => {
                    map.next_value_seed(Scalar(&mut self.fields.0[first as usize]))?;
                    // One column may play two roles.
                    for role in roles {
                        self.fields.0[role as usize] = self.fields.0[first as usize].clone();
                    }
                }
            }
        }
        Ok(())
    }
}

/// Tells which roles a key plays, without keeping it.
struct Key<'a>(&'a Found);

impl<'de> DeserializeSeed<'de> for Key<'_> {
    type Value = [bool; 5];
    fn deserialize<D: Deserializer<'de>>(self, parser: D) -> Result<[bool; 5], D::Error> {
        parser.deserialize_identifier(self)
    }
}

impl Visitor<'_> for Key<'_> {
    type Value = [bool; 5];
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E: de::Error>(self, key: &str) -> Result<[bool; 5], E> {
        Ok(Role::ALL.map(|role| self.0.name(role) == Some(key)))
    }
}

/// Writes a string or a number into a buffer.
struct Scalar<'a>(&'a mut (Kind, Vec<u8>));

impl Scalar<'_> {
    fn set<E: de::Error>(self, kind: Kind, value: fmt::Arguments<'_>) -> Result<(), E> {
        let (slot, text) = self.0;
        *slot = kind;
        text.clear();
        text.write_fmt(value).map_err(E::custom)
    }
}

impl<'de> DeserializeSeed<'de> for Scalar<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, parser: D) -> Result<(), D::Error> {
        parser.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Scalar<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_str<E: de::Error>(self, value: &str) -> Result<(), E> {
        let (kind, text) = self.0;
        *kind = Kind::Text;
        text.clear();
        text.extend_from_slice(value.as_bytes());
        Ok(())
    }
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.set(Kind::Integer, format_args!("{value}"))
    }
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        self.set(Kind::Integer, format_args!("{value}"))
    }
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        self.set(Kind::Float, format_args!("{value}"))
    }
    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.set(Kind::Other, format_args!("{value}"))
    }
    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.set(Kind::Absent, format_args!(""))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        self.set(Kind::Other, format_args!("[...]"))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        self.set(Kind::Other, format_args!("{{...}}"))
    }
}
