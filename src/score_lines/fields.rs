//! The fields of a request, read from the text that they stand in: numbers to their last digit.

use crate::data::{TimeUnit, time};
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

/// An event of a request.
#[derive(Debug, Clone, PartialEq)]
pub struct PastEvent {
    /// The item's id.
    pub item: String,
    /// When, in seconds since 1970.
    pub time: Option<i64>,
}

/// A JSON value as it was written, to the last digit and space.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Verbatim(Box<RawValue>);

impl Verbatim {
    /// The text.
    pub fn get(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for Verbatim {
    fn eq(&self, other: &Verbatim) -> bool {
        self.get() == other.get()
    }
}

/// A value that is there, `null` among them.
pub(super) fn verbatim<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Verbatim>, D::Error> {
    Verbatim::deserialize(deserializer).map(Some)
}

/// A moment, or `null` for none.
pub(super) fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<i64>, D::Error> {
    time_of(&Box::<RawValue>::deserialize(deserializer)?).map_err(D::Error::custom)
}

/// Ids of items.
pub(super) fn ids<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let all = Vec::<Box<RawValue>>::deserialize(deserializer)?;
    all.iter().map(|raw| id_of(raw)).collect::<Result<_, _>>().map_err(D::Error::custom)
}

/// Ids of items, or `null` for none.
pub(super) fn optional_ids<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<String>>, D::Error> {
    let all = Option::<Vec<Box<RawValue>>>::deserialize(deserializer)?;
    all.map(|all| all.iter().map(|raw| id_of(raw)).collect()).transpose().map_err(D::Error::custom)
}

/// An id of an item, or `null` for none.
pub(super) fn optional_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let id = Option::<Box<RawValue>>::deserialize(deserializer)?;
    id.map(|raw| id_of(&raw)).transpose().map_err(D::Error::custom)
}

/// An item's id: a string without the white space around it, or a whole number.
fn id_of(raw: &RawValue) -> Result<String, String> {
    let text = raw.get();
    let wrong = |why: &str| format!("{} is no item's id: {why}", shown(text));
    if text.starts_with('"') {
        let id: String = serde_json::from_str(text).map_err(|error| error.to_string())?;
        return match id.trim_ascii() {
            "" => Err(wrong("it is empty")),
            trimmed if trimmed.len() == id.len() => Ok(id),
            trimmed => Ok(trimmed.to_owned()),
        };
    }
    let whole = match text.split_once('.') {
        Some((whole, zeros)) if zeros.bytes().all(|b| b == b'0') => whole,
        _ => text,
    };
    let digits = whole.strip_prefix('-').unwrap_or(whole);
    match !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        true => Ok(whole.to_owned()),
        false => Err(wrong("a string or a whole number is needed")),
    }
}

/// A time by the rules of the log: a number or a string that holds one, rounded down to seconds.
fn time_of(raw: &RawValue) -> Result<Option<i64>, String> {
    let wrong = |why: &str| format!("{} is no time: it {why}", shown(raw.get()));
    let text = match raw.get() {
        "null" => return Ok(None),
        text if text.starts_with('"') => serde_json::from_str(text).map_err(|error| error.to_string())?,
        text => text.to_owned(),
    };
    match time::read(text.as_bytes(), TimeUnit::Seconds, None) {
        Ok(moment) => Ok(Some(moment.seconds)),
        Err(problem) => Err(wrong(&problem.to_string())),
    }
}

/// A value as messages show it: not all of a long one.
fn shown(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text.to_owned(),
    }
}

impl<'de> Deserialize<'de> for PastEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<PastEvent, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Fields {
            item: Box<RawValue>,
            #[serde(default)]
            time: Option<Box<RawValue>>,
        }
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let inner = |error: serde_json::Error| {
            // Its place is one within the event.
            let message = error.to_string();
            D::Error::custom(message.split(" at line ").next().unwrap_or_default())
        };
        let text = raw.get();
        let (item, time) = match text.as_bytes().first() {
            Some(b'[') => match <[Box<RawValue>; 2]>::deserialize(&mut serde_json::Deserializer::from_str(text)) {
                Ok([item, time]) => (item, Some(time)),
                Err(_) => return Err(D::Error::custom(no_event(text))),
            },
            Some(b'{') => {
                let Fields { item, time } = serde_json::from_str(text).map_err(inner)?;
                (item, time)
            }
            Some(b'"' | b'-' | b'0'..=b'9') => (raw, None),
            _ => return Err(D::Error::custom(no_event(text))),
        };
        let time = time.as_deref().map_or(Ok(None), time_of).map_err(D::Error::custom)?;
        Ok(PastEvent { item: id_of(&item).map_err(D::Error::custom)?, time })
    }
}

fn no_event(text: &str) -> String {
    format!(r#"{} is no event: "item", ["item", time] or {{"item": "item", "time": time}} is needed"#, shown(text))
}
