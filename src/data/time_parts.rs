//! Times that a log tells in parts: a year, a month and a day in columns of their own.

use super::columns::squashed;

/// What a column is a part of, by its name; `Apart` is a part that says little without the others, `Order` a
/// number that tells which event came first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Year,
    Month,
    Day,
    Hour,
    Minute,
    Second,
    Apart,
    Order,
}

const NAMES: [(Part, &[&str]); 8] = [
    (Part::Year, &["year", "yr", "yyyy", "jahr", "annee", "année", "ano", "año", "anno", "jaar", "год", "年"]),
    (Part::Month, &["month", "mon", "mm", "monat", "mois", "mes", "mês", "mese", "maand", "месяц", "月"]),
    (Part::Day, &["day", "dayofmonth", "dd", "tag", "jour", "dia", "día", "giorno", "dag", "день", "日"]),
    (Part::Hour, &["hour", "hr", "hourofday", "hh", "час", "时", "stunde", "heure", "hora", "ora", "uur"]),
    (Part::Minute, &["minute", "min", "minuto"]),
    (Part::Second, &["second", "sec", "sekunde", "seconde", "segundo"]),
    (
        Part::Apart,
        &["week", "weekday", "dayofweek", "dow", "dayofyear", "weekofyear", "quarter", "woche", "semaine", "semana"],
    ),
    (
        Part::Order,
        &[
            "yearmonth",
            "weeknumber",
            "weekno",
            "daynumber",
            "ordernumber",
            "orderindex",
            "seq",
            "seqno",
            "sequence",
            "sequencenumber",
            "step",
            "timestep",
            "visitnumber",
            "eventnumber",
            "eventindex",
            "sessionposition",
            "addtocartorder",
            "dayssincepriororder",
        ],
    ),
];

/// Names that by themselves tell that there is a time.
const ALONE: [&str; 8] = ["month", "day", "hour", "week", "weekday", "dayofweek", "dayofyear", "weekofyear"];

fn part(name: &str) -> Option<Part> {
    let name = squashed(name);
    let part = |name: &str| NAMES.iter().find(|(_, names)| names.contains(&name)).map(|(part, _)| *part);
    let rest = ["event", "order", "purchase", "transaction"].iter().find_map(|of| name.strip_prefix(of));
    part(&name).or_else(|| part(rest?))
}

/// Columns that are parts of a time: of a header from which no time was taken, those that `numeric` tells to hold whole numbers.
/// A year alone is none: films and books have one; nor is a name that alone may mean something else (a tag is a day in German).
pub(crate) fn find(header: &[&str], numeric: impl Fn(usize) -> bool) -> Vec<usize> {
    let mut parts: Vec<(Part, usize)> = (0..header.len())
        .filter_map(|index| Some((part(header[index])?, index)))
        .filter(|(_, index)| numeric(*index))
        .collect();
    parts.sort_unstable();
    match parts.as_slice() {
        [(part, only)] if *part != Part::Order && !ALONE.contains(&squashed(header[*only]).as_str()) => Vec::new(),
        _ => parts.into_iter().map(|(_, index)| index).collect(),
    }
}

/// Whether a column by its name holds the hours of another column's days.
pub(crate) fn is_hour(name: &str) -> bool {
    part(name) == Some(Part::Hour)
}

/// What to do: how a year, a month and a day become one column of a kind of file, or what else there is to say.
pub(crate) fn fix(file: &str, header: &[&str], places: &[usize], layout: Layout<'_>) -> String {
    let place = |wanted: Part| places.iter().copied().find(|place| part(header[*place]) == Some(wanted));
    let (Some(year), Some(month), Some(day)) = (place(Part::Year), place(Part::Month), place(Part::Day)) else {
        let one = header[places[0]];
        return format!(
            "write the time as one column, a date or seconds since 1970; where {one:?} alone orders the events, say --time-column none \
             --position-column {one:?}"
        );
    };
    let hour = place(Part::Hour);
    match layout {
        Layout::Lines { delimiter } => {
            let field = |place: usize| format!("${}", place + 1);
            let (format, clock) = match hour {
                Some(hour) => (" %02d:00", format!(",{}", field(hour))),
                None => ("", String::new()),
            };
            let [year, month, day] = [year, month, day].map(field);
            format!(
                "join them with awk -F'{delimiter}' -v OFS='{delimiter}' 'NR==1{{print $0,\"date\";next}} \
                 {{print $0,sprintf(\"%04d-%02d-%02d{format}\",{year},{month},{day}{clock})}}' {file} > dated.csv (where no field is in \
                 quotes), and train on dated.csv"
            )
        }
        Layout::Table { reader } => {
            let name = |place: usize| header[place].to_owned();
            let (hour, [year, month, day]) = (hour.map_or("0".into(), name), [year, month, day].map(name));
            format!(
                "join them with duckdb -c \"COPY (SELECT *, make_timestamp({year}, {month}, {day}, {hour}, 0, 0) AS date FROM \
                 {reader}('{file}')) TO 'dated.parquet'\", and train on dated.parquet"
            )
        }
    }
}

/// What kind of file the columns are in.
#[derive(Clone, Copy)]
pub(crate) enum Layout<'a> {
    /// Text, with what sets its fields apart.
    Lines { delimiter: &'a str },
    /// What a query engine reads, with the function that does.
    Table { reader: &'static str },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_found_in_their_order_and_a_year_alone_is_none() {
        let all = |_: usize| true;
        assert_eq!(find(&["user", "day", "item", "Month", "YEAR"], all), [4, 3, 1]);
        assert_eq!(find(&["user", "item", "order_dow", "order_hour_of_day"], all), [3, 2]);
        assert_eq!(find(&["user", "item", "year"], all), [0; 0]);
        assert_eq!(find(&["user", "item", "tag"], all), [0; 0]);
        assert_eq!(find(&["user", "item", "week"], all), [2]);
        assert_eq!(find(&["user", "item", "jahr", "monat"], |index| index != 3), [0; 0]);
    }

    #[test]
    fn the_command_names_the_places() {
        let header = ["user", "item", "year", "month", "day"];
        let lines = Layout::Lines { delimiter: ";" };
        let fix = fix("log.csv", &header, &[2, 3, 4], lines);
        assert!(fix.contains("awk -F';'") && fix.contains("%04d-%02d-%02d\",$3,$4,$5"), "{fix}");
        let fix = super::fix("log.csv", &["u", "i", "week"], &[2], lines);
        assert!(fix.contains("--position-column \"week\""), "{fix}");
    }
}
