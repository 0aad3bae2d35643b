//! The wanted fields of an object on one line: JSON, or a Python dictionary.

use std::fmt;
use std::io::Write;

use serde::de::{self, DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::batch::{Cell, Kind, Rejected};
use super::error::Problem;
use super::python;

/// Keys that are wanted, each with the place of its value; `a.b` is the key `b` of the object at `a`.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Wanted {
    keys: Vec<(String, Option<usize>, Wanted)>,
}

impl Wanted {
    pub(crate) fn new<'a>(names: impl IntoIterator<Item = &'a str>) -> Self {
        let mut wanted = Self::default();
        names.into_iter().enumerate().for_each(|(place, name)| wanted.add(name, place));
        wanted
    }

    fn add(&mut self, name: &str, place: usize) {
        self.entry(name).1 = Some(place);
        if let Some((key, rest)) = name.split_once('.')
            && !key.is_empty()
            && !rest.is_empty()
        {
            self.entry(key).2.add(rest, place);
        }
    }

    fn entry(&mut self, key: &str) -> &mut (String, Option<usize>, Wanted) {
        let at = self.keys.iter().position(|(other, ..)| other == key).unwrap_or_else(|| {
            self.keys.push((key.to_owned(), None, Wanted::default()));
            self.keys.len() - 1
        });
        &mut self.keys[at]
    }

    /// The place of a key's value, and what is wanted of it where it is an object.
    pub(crate) fn get(&self, key: &str) -> Option<(Option<usize>, &Wanted)> {
        self.keys.iter().find(|(other, ..)| other == key).map(|(_, place, inner)| (*place, inner))
    }
}

/// The values of one object, as text in buffers that are used again for the next one.
#[derive(Debug, Default)]
pub(crate) struct Values(Vec<(Kind, Vec<u8>)>);

impl Values {
    pub(crate) fn new(count: usize) -> Self {
        Self(vec![(Kind::Absent, Vec::new()); count])
    }

    fn clear(&mut self) {
        for (kind, text) in &mut self.0 {
            *kind = Kind::Absent;
            text.clear();
        }
    }

    pub(crate) fn cell(&self, place: usize) -> Cell<'_> {
        let (kind, text) = &self.0[place];
        Cell { kind: *kind, text }
    }

    pub(crate) fn set(&mut self, place: usize, kind: Kind, text: &[u8]) {
        let slot = &mut self.0[place];
        slot.0 = kind;
        slot.1.clear();
        slot.1.extend_from_slice(text);
    }
}

impl Values {
    /// What was set last is the last element of a list.
    pub(crate) fn make_last(&mut self, place: usize) {
        let kind = &mut self.0[place].0;
        if matches!(kind, Kind::Text | Kind::Integer) {
            *kind = Kind::Last;
        }
    }
}

/// What sees the keys of an object that are not wanted.
pub(crate) trait Unwanted {
    fn key(&mut self, key: &str);
}

impl Unwanted for () {
    fn key(&mut self, _: &str) {}
}

/// Reads one line. A line that is no JSON is read as a Python dictionary, which also knows `NaN`.
pub(crate) fn read(
    line: &[u8],
    wanted: &Wanted,
    values: &mut Values,
    unwanted: &mut dyn Unwanted,
) -> Result<(), Rejected> {
    let text = std::str::from_utf8(line).map_err(|_| Rejected::line(Problem::NotUtf8, line))?;
    let looks_like_json = !is_python(text);
    if looks_like_json {
        values.clear();
        match json(text, Object { wanted, values, unwanted, depth: 0 }) {
            Ok(()) => return Ok(()),
            Err(error) => {
                values.clear();
                // The second reader knows what JSON does not; where it fails too, the first one's words count.
                return match text.starts_with('{').then(|| python::read(text, wanted, values, unwanted)) {
                    Some(Ok(())) => Ok(()),
                    _ => Err(Rejected::line(Problem::Syntax(error), line)),
                };
            }
        }
    }
    values.clear();
    python::read(text, wanted, values, unwanted).map_err(|error| Rejected::line(Problem::Syntax(error), line))
}

/// Whether the first key of an object is written as only Python does.
fn is_python(text: &str) -> bool {
    let inside = text.strip_prefix('{').map(str::trim_start);
    inside.is_some_and(|inside| inside.starts_with(['\'', 'u', 'b']))
}

/// The names of an object's keys; `a.b` for those of the objects in it.
pub(crate) fn keys(line: &[u8], names: &mut Vec<String>) -> bool {
    let Ok(text) = std::str::from_utf8(line) else { return false };
    struct Add<'a>(&'a mut Vec<String>);
    impl Unwanted for Add<'_> {
        fn key(&mut self, key: &str) {
            if self.0.len() < MOST_KEYS && !self.0.iter().any(|name| name == key) {
                self.0.push(key.to_owned());
            }
        }
    }
    let mut found = Vec::new();
    let is_object =
        (!is_python(text) && json(text, Keys { names: &mut found, prefix: String::new(), depth: 0 }).is_ok()) || {
            found.clear();
            python::read(text, &Wanted::default(), &mut Values::default(), &mut Add(&mut found)).is_ok()
        };
    if is_object {
        found.iter().for_each(|key| Add(names).key(key));
    }
    is_object
}

/// Names that are kept of one object.
const MOST_KEYS: usize = 500;

/// How deep objects in objects are looked at.
const DEPTH: usize = 3;

/// Parses one whole line; the error is without a line number, which would be taken for one of the file.
fn json<'de, S: DeserializeSeed<'de>>(text: &'de str, seed: S) -> Result<S::Value, String> {
    let mut parser = serde_json::Deserializer::from_str(text);
    let syntax = |error: serde_json::Error| {
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        format!("{message} at byte {}", error.column())
    };
    let value = seed.deserialize(&mut parser).map_err(syntax)?;
    parser.end().map_err(syntax)?;
    Ok(value)
}

/// Collects the names of keys.
struct Keys<'a> {
    names: &'a mut Vec<String>,
    prefix: String,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Keys<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, parser: D) -> Result<(), D::Error> {
        // Only the whole line must be an object.
        if self.depth == 0 { parser.deserialize_map(self) } else { parser.deserialize_any(self) }
    }
}

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if self.depth >= DEPTH {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        while let Some(key) = map.next_key::<String>()? {
            let name = if self.prefix.is_empty() { key } else { format!("{}.{key}", self.prefix) };
            let before = self.names.len();
            if before < MOST_KEYS {
                map.next_value_seed(Keys { names: self.names, prefix: name.clone(), depth: self.depth + 1 })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
            // An object stands for its keys.
            if self.names.len() == before && before < MOST_KEYS {
                self.names.push(name);
            }
        }
        Ok(())
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(())
    }
    fn visit_str<E: de::Error>(self, _: &str) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E: de::Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E: de::Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E: de::Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_bool<E: de::Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        Ok(())
    }
}

/// Fills the values from an object; what is not wanted is passed over without being kept.
struct Object<'a> {
    wanted: &'a Wanted,
    values: &'a mut Values,
    unwanted: &'a mut dyn Unwanted,
    depth: usize,
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
        let Object { wanted, values, unwanted, depth } = self;
        while let Some(found) = map.next_key_seed(Key { wanted, unwanted: &mut *unwanted, top: depth == 0 })? {
            match found {
                None => drop(map.next_value::<IgnoredAny>()?),
                Some((place, inner)) => {
                    let unwanted = &mut *unwanted;
                    map.next_value_seed(Value { place, inner, values: &mut *values, unwanted, depth })?;
                }
            }
        }
        Ok(())
    }
}

/// Looks a key up, without keeping it.
struct Key<'w, 'u> {
    wanted: &'w Wanted,
    unwanted: &'u mut dyn Unwanted,
    top: bool,
}

impl<'de, 'w> DeserializeSeed<'de> for Key<'w, '_> {
    type Value = Option<(Option<usize>, &'w Wanted)>;
    fn deserialize<D: Deserializer<'de>>(self, parser: D) -> Result<Self::Value, D::Error> {
        parser.deserialize_identifier(self)
    }
}

impl<'w> Visitor<'_> for Key<'w, '_> {
    type Value = Option<(Option<usize>, &'w Wanted)>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }
    fn visit_str<E: de::Error>(self, key: &str) -> Result<Self::Value, E> {
        let found = self.wanted.get(key);
        if found.is_none() && self.top {
            self.unwanted.key(key);
        }
        Ok(found)
    }
}

/// Writes a value to its place: a string, a number, or the last element of a list.
struct Value<'a> {
    place: Option<usize>,
    inner: &'a Wanted,
    values: &'a mut Values,
    unwanted: &'a mut dyn Unwanted,
    depth: usize,
}

impl Value<'_> {
    fn set<E: de::Error>(self, kind: Kind, value: fmt::Arguments<'_>) -> Result<(), E> {
        let Some(place) = self.place else { return Ok(()) };
        let (slot, text) = &mut self.values.0[place];
        *slot = kind;
        text.clear();
        text.write_fmt(value).map_err(E::custom)
    }
}

/// A number as text, and whether it is whole: 7.0 is 7.
pub(crate) fn float(value: f64) -> (Kind, String) {
    if value.fract() == 0.0 && value.abs() < 9e15 {
        (Kind::Integer, format!("{}", value as i64))
    } else if value.is_nan() {
        (Kind::Absent, String::new())
    } else {
        (Kind::Float, format!("{value}"))
    }
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, parser: D) -> Result<(), D::Error> {
        parser.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }
    fn visit_str<E: de::Error>(self, value: &str) -> Result<(), E> {
        if let Some(place) = self.place {
            self.values.set(place, Kind::Text, value.as_bytes());
        }
        Ok(())
    }
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<(), E> {
        self.set(Kind::Integer, format_args!("{value}"))
    }
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<(), E> {
        self.set(Kind::Integer, format_args!("{value}"))
    }
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<(), E> {
        let (kind, text) = float(value);
        self.set(kind, format_args!("{text}"))
    }
    fn visit_bool<E: de::Error>(self, value: bool) -> Result<(), E> {
        self.set(Kind::Other, format_args!("{value}"))
    }
    fn visit_unit<E: de::Error>(self) -> Result<(), E> {
        self.set(Kind::Absent, format_args!(""))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let Value { place, inner: _, values, unwanted, depth } = self;
        let nothing = Wanted::default();
        let mut any = false;
        loop {
            let (values, unwanted) = (&mut *values, &mut *unwanted);
            if seq.next_element_seed(Value { place, inner: &nothing, values, unwanted, depth })?.is_none() {
                break;
            }
            any = true;
        }
        if let Some(place) = place {
            if any {
                values.make_last(place);
            } else {
                values.set(place, Kind::Absent, b"");
            }
        }
        Ok(())
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Value { place, inner, values, unwanted, depth } = self;
        if let Some(place) = place {
            values.set(place, Kind::Other, b"{...}");
        }
        Object { wanted: inner, values, unwanted, depth: depth + 1 }.visit_map(map)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str, names: &[&str]) -> Result<Vec<(Kind, String)>, String> {
        let wanted = Wanted::new(names.iter().copied());
        let mut values = Values::new(names.len());
        read(line.as_bytes(), &wanted, &mut values, &mut ()).map_err(|rejected| rejected.problem.to_string())?;
        let cell = |place| {
            let Cell { kind, text } = values.cell(place);
            (kind, String::from_utf8(text.to_vec()).unwrap())
        };
        Ok((0..names.len()).map(cell).collect())
    }

    fn text(line: &str, name: &str) -> (Kind, String) {
        of(line, &[name]).unwrap().remove(0)
    }

    #[test]
    fn values_of_every_kind_in_both_languages() {
        for (value, want) in [
            ("\"x\"", (Kind::Text, "x")),
            ("12", (Kind::Integer, "12")),
            ("-3", (Kind::Integer, "-3")),
            ("7.0", (Kind::Integer, "7")),
            ("7.5", (Kind::Float, "7.5")),
            ("1.5e1", (Kind::Integer, "15")),
            ("[]", (Kind::Absent, "")),
            ("[1, \"a\"]", (Kind::Last, "a")),
            ("[[\"a\"], [\"b\", \"c\"]]", (Kind::Last, "c")),
            ("[[\"a\"], []]", (Kind::Absent, "")),
            ("NaN", (Kind::Absent, "")),
        ] {
            let want = (want.0, want.1.to_owned());
            assert_eq!(text(&format!("{{\"a\": {value}, \"b\": 1}}"), "a"), want, "{value}");
            assert_eq!(text(&format!("{{'b': None, u'a': {value}}}"), "a"), want, "{value}");
        }
        assert_eq!(text("{\"a\": null}", "a").0, Kind::Absent);
        assert_eq!(text("{'a': None}", "a").0, Kind::Absent);
        assert_eq!(text("{\"a\": true}", "a").0, Kind::Other);
        assert_eq!(text("{'a': True}", "a").0, Kind::Other);
        assert_eq!(text("{\"a\": \"x\\ud83d\"}", "a").0, Kind::Broken);
        assert_eq!(text("{\"a\": 1, \"b\": \"\\ud83d\"}", "a"), (Kind::Integer, "1".into()));
        assert_eq!(text("{\"a\": 1, \"b\": [NaN, {\"c\": -Infinity}]}", "a"), (Kind::Integer, "1".into()));
    }

    #[test]
    fn names_with_dots_reach_into_objects() {
        let line = r#"{"user": {"id": 7, "name": "x"}, "a.b": 1, "t": {"s": {"u": "deep"}}}"#;
        let python = line.replace('"', "'");
        let names = ["user.id", "a.b", "t.s.u", "user.no"];
        let want = [(Kind::Integer, "7"), (Kind::Integer, "1"), (Kind::Text, "deep"), (Kind::Absent, "")];
        let want = want.map(|(kind, text)| (kind, text.to_owned()));
        assert_eq!(of(line, &names).unwrap(), want);
        assert_eq!(of(&python, &names).unwrap(), want);
        let mut found = Vec::new();
        assert!(keys(line.as_bytes(), &mut found));
        assert_eq!(found, ["user.id", "user.name", "a.b", "t.s.u"]);
        assert!(!keys(b"[1]", &mut found));
    }

    #[test]
    fn what_does_not_parse_is_placed() {
        assert!(of("{\"a\": 1", &["a"]).unwrap_err().contains("EOF"));
        assert!(of("{\"a\": $}", &["a"]).unwrap_err().contains("expected value at byte 7"));
        assert!(of("{'a': $}", &["a"]).unwrap_err().contains("expected a value at byte 7"));
        assert!(of("user,item", &["a"]).is_err());
    }
}
