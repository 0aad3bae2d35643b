//! What may be meant by text that is no time, and text that may be one.

use super::time::{TimeUnit, by_format, date, whole_number};

/// What may help with a value that is no time: a format, if its parts tell one.
pub(crate) fn hint(text: &str) -> String {
    if text.contains(',') && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b',') {
        return match text.rsplit_once(',') {
            Some((_, end)) if end.len() != 3 => "; the decimal comma must be a point".into(),
            _ => "; the separators between thousands must go".into(),
        };
    }
    if is_clock(text) {
        return "; it is a time of day without its day: join both into one column, as 2018-08-23 22:00:58".into();
    }
    if text.starts_with("9999-") {
        return "; dates so far off usually stand for none: leave those rows out with --where".into();
    }
    match formats(text).as_slice() {
        [] => String::new(),
        [only] => format!("; --time-format '{only}' reads it"),
        [first, second, ..] => {
            format!("; --time-format '{first}' reads it, or '{second}' if that part comes first")
        }
    }
}

/// Whether text is hours and minutes and nothing else.
fn is_clock(text: &str) -> bool {
    let text = text.trim_end_matches([' ', 'a', 'p', 'm', 'A', 'P', 'M']);
    let parts: Vec<&str> = text.split(':').collect();
    let number = |part: &&str| !part.is_empty() && part.len() <= 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    let last = parts.last().map_or("", |last| last.split('.').next().unwrap_or_default());
    (2..=3).contains(&parts.len()) && parts[..parts.len() - 1].iter().all(number) && number(&last)
}

/// Formats that read `text`, of those that are common.
fn formats(text: &str) -> Vec<String> {
    const DATES: [&str; 14] = [
        "%m/%d/%Y",
        "%d/%m/%Y",
        "%d.%m.%Y",
        "%m-%d-%Y",
        "%d-%m-%Y",
        "%m/%d/%y",
        "%d/%m/%y",
        "%d %b %Y",
        "%b %d, %Y",
        "%m %d, %Y",
        "%d-%b-%Y",
        "%d/%b/%Y",
        "%d-%b-%y",
        "%d %B %Y",
    ];
    const CLOCKS: [&str; 9] = [
        "",
        " %H:%M",
        " %H:%M:%S",
        " %H:%M:%S%.f",
        " %I:%M %p",
        " %I:%M:%S %p",
        ":%H:%M:%S %z",
        ", %H:%M",
        "T%H:%M:%S",
    ];
    const WHOLE: [&str; 10] = [
        "%Y%m%d %H:%M:%S",
        "%Y-%m-%d %I:%M:%S %p",
        "%Y-%m-%d-%H.%M.%S",
        "%Y年%m月%d日",
        "%Y%m%dT%H%M%S",
        "%Y%m%dT%H%M%SZ",
        "%Y%m%dT%H%M%S%z",
        "%a %b %d %H:%M:%S %z %Y",
        "%a %b %d %H:%M:%S %Y",
        "%a %b %d %H:%M:%S UTC %Y",
    ];
    if text.len() > 64 || !text.bytes().any(|byte| byte.is_ascii_digit()) {
        return Vec::new();
    }
    let dated = DATES.iter().flat_map(|date| CLOCKS.iter().map(move |clock| format!("{date}{clock}")));
    // `%Y` reads "18" as a year of the Romans, and `%.f` a fraction that is not there.
    let plausible = |format: &String| by_format(text, format).is_some_and(|read| read.seconds >= 0);
    let fraction = text.rsplit_once(':').is_some_and(|(_, end)| end.contains('.'));
    let dated = dated.filter(|format| fraction || !format.ends_with("%.f"));
    dated.chain(WHOLE.map(String::from)).filter(plausible).take(2).collect()
}

/// Whether text looks like a time, by itself: a date in any common form, or a number that is a moment since 2000 in some
/// unit.
pub(crate) fn looks_like_one(text: &[u8]) -> bool {
    let text = text.trim_ascii();
    match whole_number(text) {
        Some(number) => {
            let recent = |unit: TimeUnit| number.div_euclid(unit.per_second()) >= 946_684_800;
            text[0] != b'0' && TimeUnit::fitting(number).is_some_and(recent)
        }
        None => date(text).is_some() || std::str::from_utf8(text).is_ok_and(|text| !formats(text).is_empty()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_names_the_format_that_reads_the_year_rightly() {
        for (text, format) in [
            ("23-Aug-18", "%d-%b-%y"),
            ("23-Aug-2018", "%d-%b-%Y"),
            ("23 August 2018", "%d %B %Y"),
            ("20180823 22:00:58", "%Y%m%d %H:%M:%S"),
            ("2018-08-23-22.00.58", "%Y-%m-%d-%H.%M.%S"),
            ("2018-08-23 10:00:58 PM", "%Y-%m-%d %I:%M:%S %p"),
            ("2018年08月23日", "%Y年%m月%d日"),
            ("23.08.2018 22:00:58", "%d.%m.%Y %H:%M:%S"),
        ] {
            assert_eq!(formats(text), [format], "{text}");
        }
        assert!(hint("12:30:05").contains("without its day") && hint("9:05 PM").contains("without its day"));
        assert!(hint("9999-12-31").contains("--where"));
        assert!(hint("1535061658,0").contains("decimal comma"));
        assert!(hint("1,535,061,658").contains("thousands"));
    }

    #[test]
    fn what_looks_like_a_time() {
        for text in ["1535061658", "1535061658826", "2018-08-23", "8/23/2018", "1535061658.5"] {
            assert!(looks_like_one(text.as_bytes()), "{text}");
        }
        for text in ["", "5", "0345451164", "c1", "B000000012", "345451164", "Song 1"] {
            assert!(!looks_like_one(text.as_bytes()), "{text}");
        }
    }
}
