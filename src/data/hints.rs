//! What may be meant by text that is no time, and text that may be one.

use super::time::{Moment, TimeUnit, by_format, date, whole_number};

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
    if super::batch::is_nothing(text.replace("\\\\", "\\").as_bytes()) {
        return "; it stands for none: --on-error skip leaves such lines out, as does --where with the column's name and !=".into();
    }
    // Messages show quotes with a backslash.
    let between =
        |quote: &str| text.len() > 1 && text.trim_start_matches('\\').starts_with(quote) && text.ends_with(quote);
    if between("\"") || between("'") {
        let flag = if between("'") { "\"'\"" } else { "'\"'" };
        return format!("; quotes are in the way: --quote {flag}");
    }
    if let Some(milliseconds) = text.strip_prefix("/Date(").and_then(|rest| rest.split([')', '+', '-']).next()) {
        return format!("; the number in it is milliseconds: write {milliseconds} alone and say --time-unit ms");
    }
    if text.starts_with("9999-") {
        return "; dates so far off usually stand for none: leave those rows out with --where".into();
    }
    match formats(text).as_slice() {
        [] => {
            "; --time-format FORMAT tells how another date is written, --time-column none goes by the order of the file"
                .into()
        }
        [only] => format!("; --time-format '{only}' reads it"),
        [first, second, ..] => {
            format!("; --time-format '{first}' reads it, or '{second}' if that part comes first")
        }
    }
}

/// Whether text is hours and minutes and nothing else.
pub(crate) fn is_clock(text: &str) -> bool {
    let text = text.trim_end_matches([' ', 'a', 'p', 'm', 'A', 'P', 'M']);
    let parts: Vec<&str> = text.split(':').collect();
    let number = |part: &&str| !part.is_empty() && part.len() <= 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    let last = parts.last().map_or("", |last| last.split('.').next().unwrap_or_default());
    (2..=3).contains(&parts.len()) && parts[..parts.len() - 1].iter().all(number) && number(&last)
}

/// Formats that read `text`, of those that are common.
fn formats(text: &str) -> Vec<String> {
    // Those without blanks first: a blank in a format reads none, too.
    const DATES: [&str; 32] = [
        "%Y%m%d",
        "%d%b%Y",
        "%m/%d/%Y",
        "%d/%m/%Y",
        "%d.%m.%Y",
        "%m-%d-%Y",
        "%d-%m-%Y",
        "%m/%d/%y",
        "%d/%m/%y",
        "%d %b %Y",
        "%d %B %Y",
        "%d. %B %Y",
        "%b %d, %Y",
        "%B %d, %Y",
        "%b %d %Y",
        "%B %d %Y",
        "%m %d, %Y",
        "%d-%b-%Y",
        "%d/%b/%Y",
        "%d-%b-%y",
        "%Y-%b-%d",
        "%Y-%m-%d",
        "%Y/%m/%d",
        "%Y_%m_%d",
        "%Y %m %d",
        "%Y. %m. %d.",
        "%Y年%m月%d日",
        "%A %d %B %Y",
        "%A, %d %B %Y",
        "%A, %B %d, %Y",
        "%a %d %b %Y",
        "%a, %d %b %Y",
    ];
    const CLOCKS: [&str; 22] = [
        "",
        " %H:%M",
        " %H:%M:%S",
        " %H:%M:%S%.f",
        " %H:%M:%S %z",
        " %I:%M %p",
        " %I:%M:%S %p",
        " %p %I:%M",
        ":%H:%M:%S",
        ":%H:%M:%S %z",
        ", %H:%M",
        ", %H:%M:%S",
        ", %I:%M %p",
        ", %I:%M:%S %p",
        "T%H:%M:%S",
        "T%H%M%S",
        "T%H%M%SZ",
        "T%H%M%S%z",
        " %H%M%S",
        "-%H:%M:%S",
        "-%H-%M-%S",
        "-%H.%M.%S",
    ];
    const WHOLE: [&str; 9] = [
        "%a %b %d %H:%M:%S %z %Y",
        "%a %b %d %H:%M:%S %Y",
        "%a %b %d %H:%M:%S UTC %Y",
        "%a %b %d %Y %H:%M:%S GMT%z",
        "[%d/%b/%Y:%H:%M:%S %z]",
        "%d-%b-%y %I.%M.%S%.f %p",
        "%H:%M %d/%m/%Y",
        "%H:%M:%S %d/%m/%Y",
        "%G-W%V-%u",
    ];
    if text.len() > 64 || !text.bytes().any(|byte| byte.is_ascii_digit()) {
        return Vec::new();
    }
    let dated = DATES.iter().flat_map(|date| CLOCKS.iter().map(move |clock| format!("{date}{clock}")));
    // `%Y` reads "18" as a year of the Romans, and `%.f` a fraction that is not there.
    let read = |format: String| by_format(text, &format).filter(|read| read.seconds >= 0).map(|read| (format, read));
    let fraction = text.rsplit_once(':').is_some_and(|(_, end)| end.contains('.'));
    let dated = dated.filter(|format| fraction || !format.ends_with("%.f"));
    // Two that read the same are one.
    let mut found: Vec<(String, Moment)> = Vec::new();
    for (format, moment) in dated.chain(WHOLE.map(String::from)).filter_map(read) {
        if found.iter().all(|(_, known)| *known != moment) {
            found.push((format, moment));
        }
        if found.len() == 2 {
            break;
        }
    }
    found.into_iter().map(|(format, _)| format).collect()
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
            ("2018-8-23", "%Y-%m-%d"),
            ("2018年08月23日 22:00:58", "%Y年%m月%d日 %H:%M:%S"),
            ("[23/Aug/2018:22:00:58 +0000]", "[%d/%b/%Y:%H:%M:%S %z]"),
            ("August 23, 2018 10:00 PM", "%B %d, %Y %I:%M %p"),
            ("23-Aug-18 10.00.58.000000 PM", "%d-%b-%y %I.%M.%S%.f %p"),
            ("22:00 23/08/2018", "%H:%M %d/%m/%Y"),
        ] {
            assert_eq!(formats(text), [format], "{text}");
        }
        assert!(hint("12:30:05").contains("without its day") && hint("9:05 PM").contains("without its day"));
        assert!(hint("'2018-08-23'").contains("--quote \"'\"") && hint("\\\"1535061658\\\"").contains("--quote '\"'"));
        assert!(hint("NaT").contains("stands for none") && hint("/Date(1535061658000)/").contains("--time-unit ms"));
        assert!(hint("Q3 2018").contains("--time-format FORMAT"));
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
