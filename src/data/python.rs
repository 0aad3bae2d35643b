//! Objects as Python writes them, and as its JSON does: enough of a parser to find some keys' values, and to pass over
//! everything else without keeping it.
//!
//! Understood: strings in single or double quotes with Python's escapes (and a `u` or `b` in front), numbers, `None`, `True`,
//! `False`, `NaN`, `Infinity`, lists, tuples and dictionaries. JSON objects parse too, with half surrogate pairs as well.

use super::batch::Kind;
use super::object::{Unwanted, Values, Wanted, float};

/// Deepest nesting accepted; a line of brackets must not exhaust the stack.
const MAX_DEPTH: usize = 64;

/// Parses one line; the error says what was expected at which byte.
pub(crate) fn read(
    line: &str,
    wanted: &Wanted,
    values: &mut Values,
    unwanted: &mut dyn Unwanted,
) -> Result<(), String> {
    let mut parser = Parser { text: line, at: 0, broken: false };
    parser.space();
    parser.object(wanted, values, unwanted, 0)?;
    parser.space();
    if parser.at < line.len() {
        return Err(parser.expected("the end of the line"));
    }
    Ok(())
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    /// Whether the string that was read last has half a surrogate pair.
    broken: bool,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn space(&mut self) {
        while self.peek().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    fn expected(&self, what: &str) -> String {
        format!("expected {what} at byte {}", self.at + 1)
    }

    fn accept(&mut self, byte: u8) -> bool {
        let accepted = self.peek() == Some(byte);
        self.at += usize::from(accepted);
        accepted
    }

    fn expect(&mut self, byte: u8) -> Result<(), String> {
        if self.accept(byte) { Ok(()) } else { Err(self.expected(&format!("'{}'", byte as char))) }
    }

    /// A dictionary. Its unwanted keys are told at the top alone.
    fn object(
        &mut self,
        wanted: &Wanted,
        values: &mut Values,
        unwanted: &mut dyn Unwanted,
        depth: usize,
    ) -> Result<(), String> {
        self.deep(depth)?;
        self.expect(b'{')?;
        let mut key = String::new();
        self.sequence(b'}', |parser| {
            // Keys of no interest need not be strings.
            match parser.peek() {
                Some(b'\'' | b'"' | b'u' | b'b') => parser.string(&mut key)?,
                _ => {
                    key.clear();
                    parser.skip(depth + 1)?;
                }
            }
            parser.space();
            parser.expect(b':')?;
            parser.space();
            match wanted.get(&key) {
                Some((place, inner)) => parser.value(place, inner, values, depth + 1),
                None => {
                    if depth == 0 {
                        unwanted.key(&key);
                    }
                    parser.skip(depth + 1)
                }
            }
        })
    }

    /// A value that is wanted at a place, or in which something is wanted.
    fn value(&mut self, place: Option<usize>, inner: &Wanted, values: &mut Values, depth: usize) -> Result<(), String> {
        let set = |values: &mut Values, kind: Kind, text: &str| {
            if let Some(place) = place {
                values.set(place, kind, text.as_bytes());
            }
        };
        match self.peek() {
            Some(b'{') => {
                set(values, Kind::Other, "{...}");
                self.object(inner, values, &mut (), depth)
            }
            Some(b'[' | b'(') => {
                self.deep(depth)?;
                let close = self.open().ok_or_else(|| self.expected("a list"))?;
                set(values, Kind::Absent, "");
                self.sequence(close, |parser| parser.value(place, &Wanted::default(), values, depth + 1))?;
                if let Some(place) = place {
                    values.make_last(place);
                }
                Ok(())
            }
            Some(b'\'' | b'"' | b'u' | b'b') => {
                let mut text = String::new();
                self.string(&mut text)?;
                set(values, if self.broken { Kind::Broken } else { Kind::Text }, &text);
                Ok(())
            }
            _ => {
                let start = self.at;
                self.word()?;
                let word = self.text[start..self.at].trim_end_matches(['L', 'l']);
                let (kind, text) = match word {
                    "None" | "null" | "nan" | "NaN" | "Infinity" | "-Infinity" | "inf" | "-inf" => {
                        (Kind::Absent, String::new())
                    }
                    "True" | "False" | "true" | "false" => (Kind::Other, word.to_owned()),
                    _ if word.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-') => {
                        (Kind::Integer, word.to_owned())
                    }
                    _ => float(word.parse().unwrap_or(f64::NAN)),
                };
                set(values, kind, &text);
                Ok(())
            }
        }
    }

    fn deep(&self, depth: usize) -> Result<(), String> {
        if depth > MAX_DEPTH {
            return Err(format!("nested deeper than {MAX_DEPTH} at byte {}", self.at + 1));
        }
        Ok(())
    }

    /// Elements with commas between them (one may trail) up to the closing bracket.
    fn sequence(&mut self, close: u8, mut element: impl FnMut(&mut Self) -> Result<(), String>) -> Result<(), String> {
        loop {
            self.space();
            if self.accept(close) {
                return Ok(());
            }
            element(self)?;
            self.space();
            if !self.accept(b',') {
                return self.expect(close);
            }
        }
    }

    /// The bracket that closes the one here, which is stepped over.
    fn open(&mut self) -> Option<u8> {
        let close = match self.peek()? {
            b'[' => b']',
            b'(' => b')',
            b'{' => b'}',
            _ => return None,
        };
        self.at += 1;
        Some(close)
    }

    /// Passes over any value.
    fn skip(&mut self, depth: usize) -> Result<(), String> {
        self.deep(depth)?;
        match self.peek() {
            Some(b'{') => {
                self.at += 1;
                self.sequence(b'}', |parser| {
                    parser.skip(depth + 1)?;
                    parser.space();
                    parser.expect(b':')?;
                    parser.space();
                    parser.skip(depth + 1)
                })
            }
            Some(b'[' | b'(') => {
                let close = self.open().ok_or_else(|| self.expected("a list"))?;
                self.sequence(close, |parser| parser.skip(depth + 1))
            }
            Some(b'\'' | b'"' | b'u' | b'b') => self.string(&mut String::new()),
            _ => self.word(),
        }
    }

    /// A number or a constant.
    fn word(&mut self) -> Result<(), String> {
        let rest = &self.text[self.at..];
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || "+-._".contains(c))).unwrap_or(rest.len());
        let word = &rest[..end];
        let constant =
            ["None", "True", "False", "null", "true", "false", "nan", "inf", "-inf", "NaN", "Infinity", "-Infinity"];
        if constant.contains(&word) || word.trim_end_matches(['L', 'l']).parse::<f64>().is_ok() {
            self.at += end;
            Ok(())
        } else {
            Err(self.expected("a value"))
        }
    }

    fn string(&mut self, out: &mut String) -> Result<(), String> {
        out.clear();
        self.broken = false;
        let start = self.at;
        let _ = self.accept(b'u') || self.accept(b'b');
        let quote = match self.peek() {
            Some(quote @ (b'\'' | b'"')) => quote,
            _ => {
                self.at = start;
                return Err(self.expected("a string"));
            }
        };
        self.at += 1;
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.bytes().position(|byte| byte == quote || byte == b'\\');
            let Some(plain) = plain else {
                self.at = start;
                return Err(format!("the string at byte {} has no end", start + 1));
            };
            out.push_str(&rest[..plain]);
            self.at += plain + 1;
            if rest.as_bytes()[plain] == quote {
                return Ok(());
            }
            self.escape(out)?;
        }
    }

    /// What follows a backslash.
    fn escape(&mut self, out: &mut String) -> Result<(), String> {
        let Some(c) = self.text[self.at..].chars().next() else {
            return Err(self.expected("an escape"));
        };
        self.at += c.len_utf8();
        let code = match c {
            'n' => b'\n'.into(),
            't' => b'\t'.into(),
            'r' => b'\r'.into(),
            'a' => 7,
            'b' => 8,
            'v' => 11,
            'f' => 12,
            '\\' | '\'' | '"' | '/' => c.into(),
            'x' => self.hex(2)?,
            'u' => self.pair()?,
            'U' => self.hex(8)?,
            '0'..='7' => {
                self.at -= 1;
                let rest = self.text[self.at..].bytes().take(3);
                let digits = rest.take_while(|byte| (b'0'..=b'7').contains(byte));
                let (count, code) = digits.fold((0, 0), |(n, code), b| (n + 1, code * 8 + u32::from(b - b'0')));
                self.at += count;
                code
            }
            // Python leaves escapes that it does not know as they are.
            other => {
                out.push('\\');
                other.into()
            }
        };
        self.broken |= (0xd800..0xe000).contains(&code);
        out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
        Ok(())
    }

    /// `\u` and four digits, or a surrogate pair of them.
    fn pair(&mut self) -> Result<u32, String> {
        let high = self.hex(4)?;
        if (0xd800..0xdc00).contains(&high) && self.text[self.at..].starts_with("\\u") {
            let back = self.at;
            self.at += 2;
            let low = self.hex(4)?;
            if (0xdc00..0xe000).contains(&low) {
                return Ok(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00));
            }
            self.at = back;
        }
        Ok(high)
    }

    fn hex(&mut self, digits: usize) -> Result<u32, String> {
        let text = self.text.get(self.at..self.at + digits);
        let text = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let code = text.and_then(|text| u32::from_str_radix(text, 16).ok());
        self.at += if code.is_some() { digits } else { 0 };
        code.ok_or_else(|| self.expected(&format!("{digits} hexadecimal digits")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<(String, String), String> {
        let wanted = Wanted::new(["asin", "categories"]);
        let mut values = Values::new(2);
        read(line, &wanted, &mut values, &mut ())?;
        let text = |place| String::from_utf8(values.cell(place).text.to_vec()).unwrap();
        Ok((text(0), text(1)))
    }

    fn ok(asin: &str, category: &str) -> Result<(String, String), String> {
        Ok((asin.into(), category.into()))
    }

    #[test]
    fn the_last_element_of_the_last_list() {
        let line = r#"{'asin': '00013', 'salesRank': {'Beauty': 12}, 'price': 9.5, "title": "It's", 'related': {'also_bought': ['A', 'B'], 'x': None}, 'categories': [['Beauty', 'Hair'], ['Beauty', 'Skin', "Men's Care"]], 'new': True, 3: b'x'}"#;
        assert_eq!(of(line), ok("00013", "Men's Care"));
        assert_eq!(of("{'categories': [['a']], 'asin': 'x'}"), ok("x", "a"), "any order of keys");
        assert_eq!(of("{'asin': 'x', 'categories': ['a', 'b']}"), ok("x", "b"), "a flat list");
        assert_eq!(of("{'asin': 'x', 'categories': [['a'], []]}"), ok("x", ""));
        assert_eq!(of("{'asin': 'x', 'categories': []}"), ok("x", ""));
        assert_eq!(of("{'asin': 'x', 'categories': None,}"), ok("x", ""));
        assert_eq!(of("{'asin': 'x'}"), ok("x", ""));
        assert_eq!(of("{'asin': 5L, 'categories': (1, 2.0)}"), ok("5", "2"));
    }

    #[test]
    fn escapes_as_python_reads_them() {
        let line = r"{'asin': 'a\'b\x41\u00e9\U0001F600\n\t\\\101\q', 'categories': [[u'\ud83d\ude00']]}";
        assert_eq!(of(line), ok("a'bAé😀\n\t\\A\\q", "😀"));
        assert_eq!(of(r"{'asin': '\ud83d'}"), ok("\u{fffd}", ""), "half a pair");
        assert_eq!(of(r#"{"asin": "é\"", "x": [1, -2.5e3, 12L, null, true, (1, 2)]}"#), ok("é\"", ""));
    }

    #[test]
    fn what_does_not_parse_is_placed() {
        for (line, want) in [
            ("", "expected '{' at byte 1"),
            ("[]", "expected '{' at byte 1"),
            ("{'asin': 'x'", "expected '}' at byte 13"),
            ("{'asin': 'x", "the string at byte 10 has no end"),
            ("{'asin': 'x'} y", "expected the end of the line at byte 15"),
            ("{'asin': 'x', 'p': $5}", "expected a value at byte 20"),
            (r"{'asin': '\xg1'}", "expected 2 hexadecimal digits at byte 13"),
            (r"{'asin': 'x\", "the string at byte 10 has no end"),
        ] {
            let got = of(line);
            assert!(got.is_err(), "{line}");
            if !line.ends_with('\\') {
                assert_eq!(got, Err(want.to_string()), "{line}");
            }
        }
    }

    #[test]
    fn deep_nesting_is_an_error_and_not_a_crash() {
        for open in ["[", "{'a':", "("] {
            for key in ["categories", "x"] {
                let line = format!("{{'asin': 'x', '{key}': {}", open.repeat(1_000_000));
                assert!(of(&line).unwrap_err().contains("nested deeper"), "{key} {open}");
            }
        }
    }
}
