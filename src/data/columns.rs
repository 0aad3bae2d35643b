//! Which columns of a log play which role.

use super::batch::is_nothing;
use super::error::{DataError, shown};
use super::filter::Test;
use super::hints;
use super::lookalikes::unseen;
use super::options::{Column, ReadOptions};
use super::time_parts;
use super::usual_names;

/// What a column is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    User,
    Item,
    Time,
    Category,
    Position,
}

impl Role {
    pub(crate) const ALL: [Role; 5] = [Role::User, Role::Item, Role::Time, Role::Category, Role::Position];

    pub(crate) fn name(self) -> &'static str {
        ["user", "item", "time", "category", "position"][self as usize]
    }

    fn of(self, options: &ReadOptions) -> &Column {
        match self {
            Role::User => &options.columns.user,
            Role::Item => &options.columns.item,
            Role::Time => &options.columns.time,
            Role::Category => &options.columns.category,
            Role::Position => &options.columns.position,
        }
    }
}

/// A name without what spellings differ in: case, white space, dashes, dots, underscores, and a type behind a colon.
pub(crate) fn squashed(name: &str) -> String {
    let letters = untyped(name).chars().filter(|c| !c.is_whitespace() && !"_-.".contains(*c) && !unseen(*c));
    letters.flat_map(char::to_lowercase).collect()
}

/// A name without its type: `timestamp` of `timestamp:float`.
fn untyped(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((name, kind)) if !name.is_empty() && kind.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_') => name,
        _ => name,
    }
}

/// A column that is looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Looked {
    pub name: String,
    /// Its place in the header, from 0.
    pub index: usize,
}

/// The columns that are looked at, and what for.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Plan {
    /// Each once, whatever it is for.
    pub columns: Vec<Looked>,
    /// For each role the place of its column in `columns`.
    role: [Option<usize>; 5],
    /// Conditions on columns.
    pub tests: Vec<(usize, Test)>,
    /// Names of the other columns.
    pub unused: Vec<String>,
}

impl Plan {
    /// Place of a role's column in `columns`.
    pub(crate) fn slot(&self, role: Role) -> Option<usize> {
        self.role[role as usize]
    }

    /// Name of a role's column.
    pub(crate) fn name(&self, role: Role) -> Option<&str> {
        self.slot(role).map(|slot| self.columns[slot].name.as_str())
    }

    /// Place of a role's column in the header.
    pub(crate) fn index(&self, role: Role) -> Option<usize> {
        self.slot(role).map(|slot| self.columns[slot].index)
    }

    fn look(&mut self, header: &[&str], index: usize) -> usize {
        if let Some(slot) = self.columns.iter().position(|looked| looked.index == index) {
            return slot;
        }
        self.columns.push(Looked { name: header[index].to_owned(), index });
        self.columns.len() - 1
    }
}

/// Finds every role's column in a header.
pub(crate) fn plan(file: &str, options: &ReadOptions, header: &[&str]) -> Result<Plan, DataError> {
    let mut plan = Plan { columns: Vec::new(), role: [None; 5], tests: Vec::new(), unused: Vec::new() };
    for role in Role::ALL {
        let asked = role.of(options);
        let place = match asked {
            Column::Ignore => None,
            Column::Named(name) => named(file, header, name, role.name())?,
            Column::Auto => usual(file, header, role)?,
        };
        let needed = match asked {
            Column::Named(_) => true,
            Column::Auto | Column::Ignore => matches!(role, Role::User | Role::Item),
        };
        if needed && place.is_none() {
            return Err(missing(file, role, asked, header));
        }
        plan.role[role as usize] = place.map(|index| plan.look(header, index));
    }
    for filter in &options.filters {
        let Some(index) = named(file, header, &filter.column, "user")? else {
            return Err(DataError::Options(format!(
                "{file}: --where {filter}: there is no column {:?}; the columns are {}",
                filter.column,
                some(header).join(", ")
            )));
        };
        let slot = plan.look(header, index);
        plan.tests.push((slot, filter.test()));
    }
    let used = |index: &usize| plan.columns.iter().any(|looked| looked.index == *index);
    plan.unused = (0..header.len()).filter(|index| !used(index)).map(|index| header[index].to_owned()).collect();
    Ok(plan)
}

/// The column of the first usual name that is there.
fn usual(file: &str, header: &[&str], role: Role) -> Result<Option<usize>, DataError> {
    let spelled: Vec<String> = header.iter().map(|name| squashed(name)).collect();
    for usual in usual_names::of(role) {
        let usual = squashed(usual);
        let place = only(file, header, role.name(), |index| spelled[index] == usual)?;
        if place.is_some() {
            return Ok(place);
        }
    }
    Ok(None)
}

/// The column of exactly this name, with or without its type; or else of this number, counted from 1.
fn named(file: &str, header: &[&str], name: &str, role: &'static str) -> Result<Option<usize>, DataError> {
    for exact in [true, false] {
        let fits = |index: usize| header[index] == name || (!exact && untyped(header[index]) == name);
        let place = only(file, header, role, fits)?;
        if place.is_some() {
            return Ok(place);
        }
    }
    let number = name.parse::<usize>().ok().and_then(|number| number.checked_sub(1));
    Ok(number.filter(|index| *index < header.len()))
}

/// Whether a column was asked for by its number: none has the number as its name.
pub(crate) fn is_by_number(options: &ReadOptions, header: &[&str]) -> bool {
    Role::ALL.into_iter().any(|role| match role.of(options) {
        Column::Named(name) => !header.iter().any(|known| known == name || untyped(known) == name),
        Column::Auto | Column::Ignore => false,
    })
}

/// Whether a name is one that is usual for a role.
pub(crate) fn is_usual(role: Role, name: &str) -> bool {
    place_among_usual(role, &squashed(name)).is_some()
}

/// How many usual names of a role come before this one, which is [`squashed`].
fn place_among_usual(role: Role, spelled: &str) -> Option<usize> {
    usual_names::of(role).iter().position(|usual| squashed(usual) == spelled)
}

/// The one column that fits, if any.
fn only(
    file: &str,
    header: &[&str],
    role: &'static str,
    fits: impl Fn(usize) -> bool,
) -> Result<Option<usize>, DataError> {
    let mut places = (0..header.len()).filter(|&index| fits(index));
    let first = places.next();
    let (Some(one), Some(other)) = (first, places.next()) else { return Ok(first) };
    let (file, name) = (file.to_owned(), |index: usize| shown(header[index].as_bytes()));
    if header[one] == header[other] {
        return Err(DataError::AmbiguousColumn { file, column: name(one), role, place: one + 1 });
    }
    Err(DataError::TwoCandidates { file, role, first: name(one), second: name(other) })
}

/// Names for a message.
fn some(header: &[&str]) -> Vec<String> {
    header.iter().take(50).map(|name| shown(name.as_bytes())).collect()
}

fn missing(file: &str, role: Role, column: &Column, header: &[&str]) -> DataError {
    let wanted = match column {
        Column::Named(name) => format!("{name:?}"),
        Column::Ignore => "nothing (users and items cannot be left out)".into(),
        Column::Auto => {
            let names = usual_names::of(role);
            let few: Vec<String> = names.iter().take(8).map(|name| format!("{name:?}")).collect();
            few.join(", ") + if names.len() > 8 { " and the like" } else { "" }
        }
    };
    let (found, role) = (some(header), role.name());
    let hint = super::not_a_header::what_else(&found, false);
    DataError::MissingColumn { file: file.into(), role, wanted, found, hint }
}

/// Refuses a column that looks like times in every one of some rows although none was taken, and columns that are parts of
/// one. `fields` gives the values of a column by its place in the header; `layout` is what they stand in.
pub(crate) fn refuse_unclear_time<'a>(
    file: &str,
    (plan, options): (&Plan, &ReadOptions),
    header: &[&str],
    layout: time_parts::Layout<'_>,
    fields: impl Fn(usize) -> Vec<&'a [u8]>,
) -> Result<(), DataError> {
    if options.columns.time != Column::Auto || plan.slot(Role::Position).is_some() {
        return Ok(());
    }
    let values = |index: usize| -> Vec<&'a [u8]> {
        fields(index).into_iter().filter(|value| !value.trim_ascii().is_empty()).collect()
    };
    let unused = |index: usize| plan.columns.iter().all(|looked| looked.index != index);
    // An unused column all of whose values are such.
    let holds = |index: usize, is: &dyn Fn(&[u8]) -> bool| {
        let values = if unused(index) { values(index) } else { Vec::new() };
        !values.is_empty() && values.iter().all(|value| is(value))
    };
    // A few may be no times: gaps that are written as NA, NULL or 0.
    let times = |index: &usize| {
        let mut values = if unused(*index) { values(*index) } else { Vec::new() };
        values.retain(|value| {
            let value = value.trim_ascii();
            !is_nothing(value) && !matches!(value, b"0" | b"0.0" | b"-1")
        });
        let looking = |values: &[&[u8]]| values.iter().filter(|value| hints::looks_like_one(value)).count();
        let some = &values[..values.len().min(10)];
        looking(some) > 0 && 10 * looking(&values) >= 9 * values.len()
    };
    if let Some(taken) = plan.index(Role::Time) {
        let first = values(taken);
        let same = first.len() > 2 && first.iter().all(|value| *value == first[0]);
        if let Some(index) = (0..header.len()).find(|index| same && times(index)) {
            let (column, other) = (header[taken].to_owned(), header[index]);
            let what = format!("{} in all of the first rows, where {other:?} looks like times, too", shown(first[0]));
            let fix = format!("say --time-column {other:?}, or --time-column {column:?} if that is right");
            return Err(DataError::OddTimes { file: file.into(), column, what, fix });
        }
        return refuse_days_alone(file, header, taken, &first, holds);
    }
    if let Some(index) = (0..header.len()).find(times) {
        let (file, column) = (file.into(), header[index].into());
        return Err(DataError::UnclearTime {
            file,
            column,
            example: shown(values(index).into_iter().find(|value| hints::looks_like_one(value)).unwrap_or_default()),
        });
    }
    let parts = time_parts::find(header, |index| holds(index, &is_whole));
    if parts.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = parts.iter().map(|part| format!("{:?}", header[*part])).collect();
    let fix = time_parts::fix(file, header, &parts, layout);
    Err(DataError::TimeParts { file: file.into(), columns: names.join(", "), fix })
}

/// Refuses days, the values of the column `taken`, whose time of day stands in another column.
fn refuse_days_alone(
    file: &str,
    header: &[&str],
    taken: usize,
    days: &[&[u8]],
    holds: impl Fn(usize, &dyn Fn(&[u8]) -> bool) -> bool,
) -> Result<(), DataError> {
    let only_day = |day: &&[u8]| day.contains(&b'-') && !day.iter().any(|byte| b":T".contains(byte));
    let Some(day) = days.first().filter(|_| days.iter().all(only_day)) else { return Ok(()) };
    let is_clock = |value: &[u8]| std::str::from_utf8(value).is_ok_and(|text| hints::is_clock(text.trim_ascii()));
    // 3:45 may as well be how long a song is.
    let lasts = |name: &str| ["dur", "len", "run"].iter().any(|long| squashed(name).contains(long));
    let of_day = |index: &usize| {
        let name = header[*index];
        time_parts::is_hour(name) && holds(*index, &is_whole) || !lasts(name) && holds(*index, &is_clock)
    };
    let Some(index) = (0..header.len()).find(of_day) else { return Ok(()) };
    let column = header[taken];
    let what = format!("{} has no time of day, which stands in {:?}", shown(day), header[index]);
    let fix = format!(
        "write both in one column, as 2018-08-23 22:00:58, or say --time-column {column:?} to go by days alone"
    );
    Err(DataError::OddTimes { file: file.into(), column: column.into(), what, fix })
}

fn is_whole(value: &[u8]) -> bool {
    super::time::whole_number(value.trim_ascii()).is_some()
}

/// Whether a name that was not there before would have been taken for a role, with what it is then for.
pub(crate) fn would_be_taken(plan: &Plan, options: &ReadOptions, name: &str) -> Option<Role> {
    let spelled = squashed(name);
    Role::ALL.into_iter().filter(|role| *role.of(options) == Column::Auto).find(|&role| {
        let Some(new) = place_among_usual(role, &spelled) else { return false };
        plan.name(role).and_then(|taken| place_among_usual(role, &squashed(taken))).is_none_or(|taken| new < taken)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Columns;

    fn found(header: &[&str]) -> Plan {
        plan("f", &ReadOptions::default(), header).unwrap()
    }

    #[test]
    fn usual_names_in_any_spelling_and_in_their_order() {
        let found = found(&["Rating", "userId", "movieId", "TIMESTAMP", "time"]);
        let index = |role| found.index(role);
        assert_eq!(index(Role::User), Some(1));
        assert_eq!(index(Role::Item), Some(2));
        assert_eq!(index(Role::Time), Some(3), "timestamp goes before time");
        assert_eq!(index(Role::Category), None);
        assert_eq!(found.name(Role::Time), Some("TIMESTAMP"));
        assert_eq!(found.unused, ["Rating", "time"]);
        for header in [
            ["user_id:token", "item_id:token", "timestamp:float"],
            ["User ID", "Item-ID", "Time Stamp"],
            ["customer_id", "article_id", "t_dat"],
            ["USER_ID", "ITEM_ID", "Event Time"],
            ["user.id", "product", "created_at"],
        ] {
            let found = super::plan("f", &ReadOptions::default(), &header).unwrap();
            let places = [Role::User, Role::Item, Role::Time].map(|role| found.index(role));
            assert_eq!(places, [Some(0), Some(1), Some(2)], "{header:?}");
        }
    }

    #[test]
    fn names_are_exact_and_none_is_left_out() {
        let columns = Columns { user: Column::Named("who".into()), time: Column::Ignore, ..Columns::default() };
        let options = ReadOptions { columns, ..ReadOptions::default() };
        let found = plan("f", &options, &["user", "who", "item", "time"]).unwrap();
        assert_eq!(found.index(Role::User), Some(1));
        assert_eq!(found.index(Role::Time), None);
        let error = plan("f", &options, &["user", "Who", "item"]).unwrap_err().to_string();
        let want = "f: no column for the user: looked for \"who\"; the columns are \"user\", \"Who\", \"item\"; \
                    name it with --user-column NAME";
        assert_eq!(error, want);
    }

    #[test]
    fn a_number_names_a_column_that_no_name_does() {
        let mut options = ReadOptions::default();
        options.columns.time = Column::Named("4".into());
        let header = ["user", "item", "timestamp", "timestamp"];
        assert_eq!(plan("f", &options, &header).unwrap().index(Role::Time), Some(3));
        let error = plan("f", &ReadOptions::default(), &header).unwrap_err().to_string();
        assert!(error.contains("two columns are named \"timestamp\"") && error.contains("--time-column 3"), "{error}");
        assert_eq!(plan("f", &options, &["user", "item", "4"]).unwrap().index(Role::Time), Some(2));
        assert!(plan("f", &options, &["user", "item", "x"]).is_err());
    }

    #[test]
    fn two_columns_that_could_be_meant_are_refused() {
        let error = plan("f", &ReadOptions::default(), &["user", "item", "Item"]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "f: \"item\" and \"Item\" could both be the item: say which with --item-column NAME"
        );
    }

    #[test]
    fn times_that_were_not_taken_are_noticed() {
        let header = ["user", "item", "at", "n"];
        let rows = [["u", "i", "1535061658", "5"], ["u", "j", "", "1535061658"]];
        let fields = |index: usize| rows.iter().map(|row| row[index].as_bytes()).collect();
        let options = ReadOptions::default();
        let lines = time_parts::Layout::Lines { delimiter: "," };
        let unclear = refuse_unclear_time("f", (&found(&header), &options), &header, lines, fields).unwrap_err();
        assert!(
            matches!(unclear, DataError::UnclearTime { column, example, .. } if column == "at" && example == "1535061658")
        );
        let mut options = options;
        options.columns.time = Column::Ignore;
        let plan = plan("f", &options, &header).unwrap();
        assert!(refuse_unclear_time("f", (&plan, &options), &header, lines, fields).is_ok());
    }

    #[test]
    fn late_names_count_where_they_would_have_been_taken() {
        let options = ReadOptions::default();
        let plan = found(&["user_id", "item", "time"]);
        assert_eq!(would_be_taken(&plan, &options, "timestamp"), Some(Role::Time));
        assert_eq!(would_be_taken(&plan, &options, "category"), Some(Role::Category));
        assert_eq!(would_be_taken(&plan, &options, "date"), None);
        assert_eq!(would_be_taken(&plan, &options, "price"), None);
    }
}
