//! Records and fields of delimited text.
//!
//! Stricter than CSV libraries are: a quote that is never closed, text behind a closing quote, and quoted fields that have
//! swallowed rows are told from good records, because a log that is read wrongly looks like one that is read rightly.

use memchr::{memchr, memchr2, memmem};

use super::blocks::Cut;
use super::error::Problem;
use super::time::{self, TimeUnit};

/// How fields and records are told apart.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Dialect {
    /// What separates fields; a single blank stands for any run of blanks.
    pub delimiter: Vec<u8>,
    pub quote: Option<u8>,
    /// What makes a quote within quotes a character, beside doubling it.
    pub escape: Option<u8>,
    /// What begins a line that is no record.
    pub comment: Option<Vec<u8>>,
    /// What rows look like, where quoted fields are to be searched for them.
    pub rows: Option<RowShape>,
}

/// What a row looks like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct RowShape {
    /// Fields of a row.
    pub fields: usize,
    /// Which of them is the time.
    pub time: Option<usize>,
}

/// Where the fields of a record are.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    /// Begin, end, and whether in `unescaped` rather than in the text.
    ranges: Vec<(usize, usize, bool)>,
    unescaped: Vec<u8>,
}

impl Fields {
    pub(crate) fn len(&self) -> usize {
        self.ranges.len()
    }

    pub(crate) fn get<'a>(&'a self, text: &'a [u8], index: usize) -> &'a [u8] {
        match self.ranges.get(index) {
            Some((from, to, false)) => &text[*from..*to],
            Some((from, to, true)) => &self.unescaped[*from..*to],
            None => &[],
        }
    }

    pub(crate) fn all<'a>(&'a self, text: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        (0..self.len()).map(move |index| self.get(text, index))
    }

    /// Leaves out the last field.
    pub(crate) fn pop(&mut self) {
        self.ranges.pop();
    }

    fn clear(&mut self) {
        self.ranges.clear();
        self.unescaped.clear();
    }
}

/// What was found.
#[derive(Debug, PartialEq)]
pub(crate) enum Record {
    /// Fields, with so many line breaks within quotes.
    Row(u64),
    /// A blank line or a comment.
    Nothing,
    /// A line that is no record.
    Bad(Problem),
    /// The record goes on behind the text.
    Incomplete,
    /// There is no more text.
    End,
}

/// Goes through the records of a text.
pub(crate) struct Records<'t> {
    text: &'t [u8],
    at: usize,
    /// How far the text was looked at to tell what the last record is.
    seen: usize,
    /// Whether nothing follows the text.
    last: bool,
    any_quotes: bool,
}

impl<'t> Records<'t> {
    pub(crate) fn new(dialect: &Dialect, text: &'t [u8], last: bool) -> Self {
        let any_quotes = dialect.quote.is_some_and(|quote| memchr(quote, text).is_some());
        Self { text, at: 0, seen: 0, last, any_quotes }
    }

    /// Where the next record begins.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// The next record; its fields go into `fields`. A bad record is its first line alone, so that what follows it is not
    /// lost.
    pub(crate) fn next(&mut self, dialect: &Dialect, fields: &mut Fields) -> Record {
        fields.clear();
        if self.at >= self.text.len() {
            return Record::End;
        }
        let start = self.at;
        let line_end = memchr(b'\n', &self.text[start..]).map_or(self.text.len(), |length| start + length);
        self.at = (line_end + 1).min(self.text.len());
        self.seen = self.at;
        let line = &self.text[start..line_end];
        if line.is_empty() || line.trim_ascii().is_empty() {
            return Record::Nothing;
        }
        if dialect.comment.as_ref().is_some_and(|comment| line.starts_with(comment)) {
            return Record::Nothing;
        }
        let quoted = self.any_quotes && dialect.quote.is_some_and(|quote| memchr(quote, line).is_some());
        if !quoted {
            dialect.split(line, start, fields);
            return Record::Row(0);
        }
        match dialect.split_quoted(self.text, start, self.last, fields) {
            Split::Done(end) => {
                self.seen = end;
                let inside = &self.text[start..end.saturating_sub(1).max(start)];
                let lines = memchr::memchr_iter(b'\n', inside).count() as u64;
                self.at = end;
                if lines > 0 && dialect.rows.is_some_and(|shape| dialect.swallows_rows(shape, self.text, fields)) {
                    self.at = (line_end + 1).min(self.text.len());
                    return Record::Bad(Problem::SwallowedRows { lines });
                }
                Record::Row(lines)
            }
            Split::Bad(problem, seen) => {
                self.seen = seen;
                Record::Bad(problem)
            }
            Split::Incomplete => {
                self.at = start;
                Record::Incomplete
            }
        }
    }
}

enum Split {
    /// The record ends before this place.
    Done(usize),
    /// The text up to this place tells that it is none.
    Bad(Problem, usize),
    Incomplete,
}

impl Dialect {
    fn blanks(&self) -> bool {
        self.delimiter == b" "
    }

    /// Whether a blank of this kind separates fields, other than as one of a run of them.
    fn begins_with(&self, blank: u8) -> bool {
        !self.blanks() && self.delimiter.first() == Some(&blank)
    }

    /// Where fields of a line without quotes are.
    fn split(&self, line: &[u8], offset: usize, fields: &mut Fields) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let mut from = 0;
        let ranges = &mut fields.ranges;
        let mut field = |from: usize, to: usize| ranges.push((offset + from, offset + to, false));
        if self.blanks() {
            while from < line.len() {
                let Some(skipped) = line[from..].iter().position(|byte| !byte.is_ascii_whitespace()) else { break };
                from += skipped;
                let length = line[from..].iter().position(u8::is_ascii_whitespace).unwrap_or(line.len() - from);
                field(from, from + length);
                from += length;
            }
            return;
        }
        if let [delimiter] = self.delimiter[..] {
            for at in memchr::memchr_iter(delimiter, line) {
                field(from, at);
                from = at + 1;
            }
        } else {
            for at in memmem::find_iter(line, &self.delimiter) {
                field(from, at);
                from = at + self.delimiter.len();
            }
        }
        field(from, line.len());
    }

    /// Where fields of a record are that begins at `start` and may have quotes.
    fn split_quoted(&self, text: &[u8], start: usize, last: bool, fields: &mut Fields) -> Split {
        let Some(quote) = self.quote else { return Split::Done(start) };
        let mut at = start;
        loop {
            let blanks = text[at..].iter().take_while(|byte| matches!(byte, b' ' | b'\t') && !self.begins_with(**byte));
            let behind = at + blanks.count();
            // Many write a blank behind each comma; a quote after it is as good as one right behind the comma.
            if self.blanks() || text.get(behind) == Some(&quote) {
                at = behind;
            }
            if text.get(at) == Some(&quote) {
                match self.quoted_field(text, at, quote, fields) {
                    Some(end) => at = end,
                    None if last => return Split::Bad(Problem::OpenQuote, text.len()),
                    None => return Split::Incomplete,
                }
                while text.get(at).is_some_and(|byte| matches!(byte, b' ' | b'\t' | b'\r'))
                    && !text[at..].starts_with(&self.delimiter)
                {
                    at += 1;
                }
            } else {
                let end = memchr(b'\n', &text[at..]).map_or(text.len(), |length| at + length);
                let end = match self.delimiter[..] {
                    [delimiter] => memchr(delimiter, &text[at..end]),
                    _ => memmem::find(&text[at..end], &self.delimiter),
                }
                .map_or(end, |length| at + length);
                let to = if text.get(end).is_none_or(|byte| *byte == b'\n') && text[at..end].ends_with(b"\r") {
                    end - 1
                } else {
                    end
                };
                fields.ranges.push((at, to, false));
                at = end;
            }
            match text.get(at) {
                None if last => return Split::Done(at),
                None => return Split::Incomplete,
                Some(b'\n') => return Split::Done(at + 1),
                Some(_) if text[at..].starts_with(&self.delimiter) => at += self.delimiter.len(),
                // A delimiter of several characters may be cut.
                Some(_) if !last && self.delimiter.starts_with(&text[at..]) => return Split::Incomplete,
                Some(_) => {
                    return Split::Bad(Problem::TextAfterQuote, (at + self.delimiter.len()).min(text.len()));
                }
            }
        }
    }

    /// A field that begins with a quote; gives the place behind its closing quote.
    fn quoted_field(&self, text: &[u8], start: usize, quote: u8, fields: &mut Fields) -> Option<usize> {
        let (mut from, mut at) = (start + 1, start + 1);
        let kept = fields.unescaped.len();
        let mut escaped = false;
        loop {
            let found = match self.escape {
                Some(escape) => memchr2(quote, escape, &text[at..]),
                None => memchr(quote, &text[at..]),
            };
            at += found?;
            let is_quote = text[at] == quote;
            let doubled = is_quote && text.get(at + 1) == Some(&quote);
            if is_quote && !doubled {
                break;
            }
            // The character behind it is taken as it is.
            fields.unescaped.extend_from_slice(&text[from..at]);
            fields.unescaped.push(*text.get(at + 1)?);
            escaped = true;
            at += 2;
            from = at;
        }
        if escaped {
            fields.unescaped.extend_from_slice(&text[from..at]);
            fields.ranges.push((kept, fields.unescaped.len(), true));
        } else {
            fields.ranges.push((from, at, false));
        }
        Some(at + 1)
    }

    /// Whether a field over several lines holds what would be the end of its row, whole rows, and the beginning of one: then
    /// its two quotes belong to two rows, and each pairs with nothing.
    fn swallows_rows(&self, shape: RowShape, text: &[u8], fields: &Fields) -> bool {
        let RowShape { fields: count, time } = shape;
        let parts = |line: &[u8]| {
            let mut of_line = Fields::default();
            self.split(line, 0, &mut of_line);
            of_line
        };
        let is_time = |of_line: &Fields, line: &[u8], index: usize| {
            time::read(of_line.get(line, index), TimeUnit::Seconds, None).is_ok()
        };
        (0..fields.len().min(count)).any(|place| {
            let mut lines = fields.get(text, place).split(|byte| *byte == b'\n').peekable();
            let Some(first) = lines.next() else { return false };
            if lines.peek().is_none() {
                return false;
            }
            let of_first = parts(first);
            let first_fits = of_first.len() == count - place
                && time.is_none_or(|time| time <= place || is_time(&of_first, first, time - place));
            if !first_fits {
                return false;
            }
            while let Some(line) = lines.next() {
                let of_line = parts(line);
                let fits = match lines.peek() {
                    Some(_) => of_line.len() == count && time.is_none_or(|time| is_time(&of_line, line, time)),
                    None => {
                        of_line.len() == place + 1
                            && time.is_none_or(|time| time >= place || is_time(&of_line, line, time))
                    }
                };
                if !fits {
                    return false;
                }
            }
            true
        })
    }
}

impl Cut for Dialect {
    fn whole(&self, text: &[u8], last: bool) -> usize {
        let mut records = Records::new(self, text, last);
        if last || !records.any_quotes {
            return super::blocks::Lines.whole(text, last);
        }
        let mut fields = Fields::default();
        let (mut end, mut seen) = (0, 0);
        loop {
            match records.next(self, &mut fields) {
                Record::Incomplete | Record::End => return end,
                // The last line may go on behind the text.
                _ if records.at() == text.len() && text.last() != Some(&b'\n') => return end,
                _ => {
                    // What is bad because of what follows on later lines must stay together with them.
                    seen = records.seen.max(seen);
                    if seen <= records.at() {
                        end = records.at();
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dialect(delimiter: &str) -> Dialect {
        let quote = (delimiter != "\t").then_some(b'"');
        Dialect { delimiter: delimiter.into(), quote, escape: None, comment: None, rows: None }
    }

    /// Fields with `|` between them, and what is no row by its name.
    fn records(dialect: &Dialect, text: &str) -> Vec<String> {
        let mut records = Records::new(dialect, text.as_bytes(), true);
        let (mut fields, mut out) = (Fields::default(), Vec::new());
        loop {
            match records.next(dialect, &mut fields) {
                Record::End => return out,
                Record::Row(_) => {
                    let all = fields.all(text.as_bytes()).map(String::from_utf8_lossy);
                    out.push(all.collect::<Vec<_>>().join("|"));
                }
                Record::Nothing => {}
                other => out.push(format!("{other:?}")),
            }
        }
    }

    #[test]
    fn fields_with_and_without_quotes() {
        let csv = dialect(",");
        assert_eq!(records(&csv, "a,b,\n,\"x,\"\"y\"\"\" ,c\r\n\n \nd"), ["a|b|", "|x,\"y\"|c", "d"]);
        assert_eq!(records(&csv, "a \"b\" c,\"two\nlines\",\"\"\n"), ["a \"b\" c|two\nlines|"]);
        assert_eq!(records(&dialect("::"), "1::2:3::4\n\"a::b\"::c\n"), ["1|2:3|4", "a::b|c"]);
        assert_eq!(records(&dialect(" "), "  1 2   3 \n\"a b\" c\n"), ["1|2|3", "a b|c"]);
        assert_eq!(records(&csv, "a, \"b, c\",  \"d\" ,e\n \"x\", y\n"), ["a|b, c|d|e", "x| y"]);
        let tabs = Dialect { quote: Some(b'"'), ..dialect("\t") };
        assert_eq!(records(&tabs, "a\t\t \"b\tc\"\n"), ["a||b\tc"]);
        assert_eq!(records(&dialect("\t"), "\"a\" b\t\"c\n"), ["\"a\" b|\"c"]);
        let escape = Dialect { escape: Some(b'\\'), ..dialect(",") };
        assert_eq!(records(&escape, "\"2\\\" pipe\",x\n"), ["2\" pipe|x"]);
        let comment = Dialect { comment: Some(b"#".into()), ..dialect(",") };
        assert_eq!(records(&comment, "#x\na,#b\n"), ["a|#b"]);
    }

    #[test]
    fn bad_quotes_cost_one_line() {
        let csv = dialect(",");
        assert_eq!(records(&csv, "a,b\nc,\"d\ne,f\n"), ["a|b", "Bad(OpenQuote)", "e|f"]);
        assert_eq!(records(&csv, "a,\"b\" c\ne,f\n"), ["Bad(TextAfterQuote)", "e|f"]);
        assert_eq!(records(&csv, "a, \"b\ne,f\n"), ["Bad(OpenQuote)", "e|f"]);
        assert_eq!(records(&csv, "a,\"b\ne,\"f\"\n"), ["Bad(TextAfterQuote)", "e|f"]);
    }

    #[test]
    fn rows_within_quotes_are_seen_and_text_within_quotes_is_left_alone() {
        let shape = |fields, time| Dialect { rows: Some(RowShape { fields, time }), ..dialect(",") };
        let last = "u,i,1,\"Heroes\nv,j,2,Song\nw,k,3,Live 12\"\nx,l,4,y\n";
        let want = ["Bad(SwallowedRows { lines: 2 })", "v|j|2|Song", "w|k|3|Live 12\"", "x|l|4|y"];
        assert_eq!(records(&shape(4, Some(2)), last), want);
        let middle = "u,\"He,i,1\nv,Song 12\",j,2\n";
        assert_eq!(records(&shape(4, Some(3)), middle)[0], "Bad(SwallowedRows { lines: 1 })");
        assert_eq!(records(&shape(3, Some(2)), "\"u\",\"item, \"\"No.\"\"\n12\",15\n"), ["u|item, \"No.\"\n12|15"]);
        assert_eq!(
            records(&shape(4, Some(1)), "u,5,i,\"some text\na, b, c, d\"\n").len(),
            1,
            "no time where one would be"
        );
    }

    #[test]
    fn text_is_cut_behind_whole_records() {
        let csv = dialect(",");
        let text = b"a,b\nc,\"d\ne\",f\ng,\"h\ni";
        assert_eq!(csv.whole(text, false), b"a,b\nc,\"d\ne\",f\n".len());
        assert_eq!(csv.whole(text, true), text.len());
        assert_eq!(csv.whole(b"a,\"b", false), 0);
        assert_eq!(csv.whole(b"a,b\nc,d", false), 4);
        // Wherever it is cut, the same records come out.
        let text = "u,\"a\n\"\"b\"\n\nv,c\n\"w\",  \"d, e\"\n".repeat(5);
        let whole = records(&csv, &text);
        for size in 1..text.len() {
            let (mut out, mut from) = (Vec::new(), 0);
            while from < text.len() {
                let mut to = (from + size).min(text.len());
                let mut end = csv.whole(&text.as_bytes()[from..to], to == text.len());
                while end == 0 {
                    to = (to + size).min(text.len());
                    end = csv.whole(&text.as_bytes()[from..to], to == text.len());
                }
                out.extend(records(&csv, &text[from..from + end]));
                from += end;
            }
            assert_eq!(out, whole, "{size}");
        }
    }
}
