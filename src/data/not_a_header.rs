//! What stands where a header is expected and is none: a row, a title, a ruler, Excel's word for the delimiter.

use super::columns::{Plan, Role};
use super::layout::{first_line, is_value};

/// Lines that are searched for a header below other text.
const SEARCHED: usize = 30;

/// What makes a log of a table that is drawn with dashes and bars; FILE stands for its name.
pub(crate) const RULED: &str = "the table is drawn with dashes and bars: write it as CSV (psql --csv, mysql --batch), or take \
     them off: sed -E '/^[-+|=: ]*$/d; /^\\([0-9]+ rows?\\)/d; s/^ *\\| *//; s/ *\\| *$//' FILE > log.txt";

fn rules(text: &[u8]) -> bool {
    text.iter().all(|byte| b"-+|=: ".contains(byte))
}

/// Whether a row is a line under the names of columns.
pub(crate) fn is_ruler(row: &[String]) -> bool {
    row.iter().all(|field| rules(field.as_bytes())) && row.iter().any(|field| field.contains("--"))
}

/// Whether the first line's fields that would be names of columns are values: then it is a row.
pub(crate) fn holds_values(plan: &Plan, header: &[String]) -> bool {
    let numbered = |from: usize| {
        let mut names = header.iter().filter(|name| !name.is_empty()).enumerate();
        names.all(|(at, name)| *name == (at + from).to_string())
    };
    // pandas names columns 0, 1, 2 that have no names.
    if numbered(0) || numbered(1) {
        return false;
    }
    let named = |role: Role| plan.index(role).map(|index| header[index].as_str());
    let mut ids = [Role::User, Role::Item].into_iter().filter_map(named);
    named(Role::Time).is_some_and(is_value) || ids.all(is_value)
}

/// What to do about lines that stand above a header, which `makes_columns` finds.
pub(crate) fn lines_above(text: &[u8], from: usize, makes_columns: impl Fn(&[u8]) -> bool) -> Option<String> {
    let first = first_line(text, from);
    if first.len() > 3 && rules(first) {
        return Some(RULED.into());
    }
    let sign = ["%", ";", "//", "--", "!", "*"].into_iter().find(|sign| first.starts_with(sign.as_bytes()));
    let above = text[..from].iter().filter(|byte| **byte == b'\n').count();
    let mut lines = text[from..].split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).take(SEARCHED).skip(1);
    let at = lines.position(|line| !line.is_empty() && makes_columns(line))?;
    let or = sign.map_or(String::new(), |sign| format!("say --comment '{sign}', or "));
    Some(format!("the header seems to be line {0}: {or}tail -n +{0} FILE > log.csv", above + at + 2))
}

/// What a line such as `sep=;` says, in quotes or not.
pub(crate) fn said_delimiter(text: &[u8], at: usize) -> Option<String> {
    let rest = &text[at..];
    let line = memchr::memchr(b'\n', rest).map_or(rest, |end| &rest[..end]);
    let line = std::str::from_utf8(line).ok()?.trim_end_matches('\r').trim_matches('"');
    let (_, said) = line.split_once('=').filter(|(name, _)| name.trim().eq_ignore_ascii_case("sep"))?;
    match [said, said.trim()].into_iter().find(|said| said.len() == 1) {
        Some(one) => Some(one.to_owned()),
        None => (said.trim() == "\\t").then(|| "\t".to_owned()),
    }
}

/// What else may be wrong where a column is missing, of delimited text or something else.
pub(crate) fn what_else(names: &[String], delimited: bool) -> &'static str {
    const LISTS: [&str; 8] =
        ["items", "item_ids", "products", "history", "sequence", "item_sequence", "basket", "item_id_list"];
    if names.iter().any(|name| LISTS.iter().any(|list| name.eq_ignore_ascii_case(list))) {
        return " (of lists write a row an event, as pandas' DataFrame.explode does)";
    }
    match (delimited, names.len()) {
        (false, _) => "",
        (true, 1) => ", or say how fields are set apart with --delimiter TEXT",
        (true, _) => ", or say --no-header if the first line is a row",
    }
}
