//! Which rows count: `event=purchase`, `rating>=4`.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A condition on one column. As text: the column, one of `=`, `!=`, `<`, `<=`, `>`, `>=`, and a value.
///
/// Where the value is a number, fields are compared with it as numbers (a field that is none holds `!=` alone);
/// otherwise as text, byte by byte, which is the order of time for dates that begin with the year.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Filter {
    /// The column's name, or its number where there is no header.
    pub column: String,
    compare: Compare,
    value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Compare {
    Equal,
    Unequal,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

impl Compare {
    /// Longer signs first.
    const SIGNS: [(&'static str, Compare); 7] = [
        ("!=", Self::Unequal),
        ("<=", Self::AtMost),
        (">=", Self::AtLeast),
        ("==", Self::Equal),
        ("=", Self::Equal),
        ("<", Self::Less),
        (">", Self::Greater),
    ];

    fn sign(self) -> &'static str {
        ["=", "!=", "<", "<=", ">", ">="][self as usize]
    }

    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::Unequal => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::AtMost => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::AtLeast => order.is_ge(),
        }
    }
}

impl FromStr for Filter {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || format!("{text:?} is no condition: COLUMN=VALUE, or !=, <, <=, >, >= in place of =");
        let at = text.find(['=', '!', '<', '>']).ok_or_else(wrong)?;
        let (sign, compare) =
            *Compare::SIGNS.iter().find(|(sign, _)| text[at..].starts_with(sign)).ok_or_else(wrong)?;
        let (column, value) = (text[..at].trim(), text[at + sign.len()..].trim());
        let value = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value);
        if column.is_empty() {
            return Err(wrong());
        }
        Ok(Self { column: column.into(), compare, value: value.into() })
    }
}

impl TryFrom<String> for Filter {
    type Error = String;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Filter> for String {
    fn from(filter: Filter) -> Self {
        filter.to_string()
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", self.column, self.compare.sign(), self.value)
    }
}

impl Filter {
    /// The condition ready to be asked of many fields.
    pub(crate) fn test(&self) -> Test {
        Test { compare: self.compare, text: self.value.clone().into_bytes(), number: number(self.value.as_bytes()) }
    }
}

/// A condition with its value parsed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Test {
    compare: Compare,
    text: Vec<u8>,
    number: Option<f64>,
}

impl Test {
    /// Whether a field passes.
    pub(crate) fn holds(&self, field: &[u8]) -> bool {
        let field = field.trim_ascii();
        match self.number {
            None => self.compare.holds(field.cmp(&self.text)),
            Some(value) => match number(field).and_then(|field| field.partial_cmp(&value)) {
                Some(order) => self.compare.holds(order),
                None => self.compare == Compare::Unequal,
            },
        }
    }
}

fn number(text: &[u8]) -> Option<f64> {
    // "nan" and "inf" are words here.
    text.last().filter(|last| last.is_ascii_digit() || **last == b'.')?;
    std::str::from_utf8(text).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(filter: &str, field: &str) -> bool {
        filter.parse::<Filter>().unwrap().test().holds(field.as_bytes())
    }

    #[test]
    fn numbers_as_numbers_and_text_as_text() {
        assert!(holds("event=purchase", " purchase ") && !holds("event=purchase", "view"));
        assert!(holds("event != view", "buy") && !holds("event!=view", "view"));
        assert!(holds("rating>=4", "4.0") && holds("rating>=4", "10") && !holds("rating>=4", "3.5"));
        assert!(holds("n>0", "5") && !holds("n>0", "-1") && !holds("n>0", "") && !holds("n>0", "many"));
        assert!(holds("n==7", "7.0") && holds("n!=7", "") && !holds("n=7", "x"));
        assert!(holds("day>=2018-05-01", "2018-10-01") && !holds("day<2018-05-01", "2018-10-01"));
        assert!(holds("who=", "") && !holds("who=", "x") && holds("who!=", "x"));
        assert!(holds("a=x=y", "x=y"));
    }

    #[test]
    fn conditions_go_both_ways_and_nonsense_is_refused() {
        for text in ["event=purchase", "rating>=4", "a b<-1.5", "who!="] {
            assert_eq!(text.parse::<Filter>().unwrap().to_string(), text);
        }
        for text in ["", "event", "=4", "a!b", "!"] {
            assert!(text.parse::<Filter>().is_err(), "{text}");
        }
    }
}
