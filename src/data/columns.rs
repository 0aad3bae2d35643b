//! Finding the columns of a log by name.

use super::error::{DataError, shown};
use super::options::{Column, Columns};

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

    fn name(self) -> &'static str {
        ["user", "item", "time", "category", "position"][self as usize]
    }

    /// The names that [`Column::Auto`] tries, in this order.
    fn usual_names(self) -> &'static [&'static str] {
        match self {
            Role::User => &["user", "user_id", "userid", "reviewerID"],
            Role::Item => &["item", "item_id", "itemid", "asin", "product_id", "movieId"],
            Role::Time => &["timestamp", "time", "unixReviewTime"],
            Role::Category => &["category", "category_id"],
            Role::Position => &["position"],
        }
    }

    fn of(self, columns: &Columns) -> &Column {
        match self {
            Role::User => &columns.user,
            Role::Item => &columns.item,
            Role::Time => &columns.time,
            Role::Category => &columns.category,
            Role::Position => &columns.position,
        }
    }
}

/// The place and the name of the column of every role that has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found([Option<(usize, String)>; 5]);

impl Found {
    /// Place of the column among those of the header.
    pub(crate) fn index(&self, role: Role) -> Option<usize> {
        self.0[role as usize].as_ref().map(|(index, _)| *index)
    }

    /// Name of the column.
    pub(crate) fn name(&self, role: Role) -> Option<&str> {
        self.0[role as usize].as_ref().map(|(_, name)| name.as_str())
    }
}

/// Finds every role's column in a header.
pub(crate) fn find(file: &str, columns: &Columns, header: &[&str]) -> Result<Found, DataError> {
    let mut found = Found(Default::default());
    for role in Role::ALL {
        let place = match role.of(columns) {
            Column::Ignore => None,
            Column::Named(name) => only(file, header, |column| column == name)?,
            Column::Auto => {
                let mut place = None;
                for usual in role.usual_names() {
                    place = only(file, header, |column| column.eq_ignore_ascii_case(usual))?;
                    if place.is_some() {
                        break;
                    }
                }
                place
            }
        };
        let needed = match role.of(columns) {
            Column::Named(_) => true,
            Column::Auto | Column::Ignore => matches!(role, Role::User | Role::Item),
        };
        if needed && place.is_none() {
            return Err(missing(file, role, role.of(columns), header));
        }
        found.0[role as usize] = place.map(|index| (index, header[index].to_owned()));
    }
    Ok(found)
}

/// The one column that fits, if any.
fn only(file: &str, header: &[&str], fits: impl Fn(&str) -> bool) -> Result<Option<usize>, DataError> {
    let mut places = (0..header.len()).filter(|&index| fits(header[index]));
    let first = places.next();
    match places.next() {
        None => Ok(first),
        Some(second) => Err(DataError::AmbiguousColumn { file: file.into(), column: header[second].into() }),
    }
}

fn missing(file: &str, role: Role, column: &Column, header: &[&str]) -> DataError {
    let wanted = match column {
        Column::Named(name) => format!("{name:?}"),
        Column::Ignore => "nothing (users and items cannot be left out)".into(),
        Column::Auto => {
            let names: Vec<String> = role.usual_names().iter().map(|name| format!("{name:?}")).collect();
            names.join(", ")
        }
    };
    let found = header.iter().take(50).map(|name| shown(name.as_bytes())).collect();
    DataError::MissingColumn { file: file.into(), role: role.name(), wanted, found }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_names_in_any_case_and_in_their_order() {
        let header = ["Rating", "userId", "movieId", "TIMESTAMP", "time"];
        let found = find("f", &Columns::default(), &header).unwrap();
        assert_eq!(found.index(Role::User), Some(1));
        assert_eq!(found.index(Role::Item), Some(2));
        assert_eq!(found.index(Role::Time), Some(3), "timestamp goes before time");
        assert_eq!(found.index(Role::Category), None);
        assert_eq!(found.name(Role::Time), Some("TIMESTAMP"));
    }

    #[test]
    fn names_are_exact_and_none_is_left_out() {
        let columns = Columns { user: Column::Named("who".into()), time: Column::Ignore, ..Columns::default() };
        let found = find("f", &columns, &["user", "who", "item", "time"]).unwrap();
        assert_eq!(found.index(Role::User), Some(1));
        assert_eq!(found.index(Role::Time), None);
        let error = find("f", &columns, &["user", "Who", "item"]).unwrap_err().to_string();
        let want = "f: no column for the user: looked for \"who\"; \
                    the columns are \"user\", \"Who\", \"item\"";
        assert_eq!(error, want);
    }

    #[test]
    fn two_columns_of_one_name_are_refused() {
        let error = find("f", &Columns::default(), &["user", "item", "Item"]).unwrap_err();
        assert_eq!(error.to_string(), "f: two columns are named \"Item\"");
    }
}
