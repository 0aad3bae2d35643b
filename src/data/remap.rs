//! A log's events in other ids of items.

use super::{DataError, Dataset};

/// Items of the new ids.
#[derive(Debug, Clone, Default)]
pub struct Items {
    /// How many there are.
    pub items: usize,
    /// The category of each; empty without categories.
    pub item_category: Vec<u32>,
    /// How many categories there are.
    pub categories: usize,
}

/// The data set with `to` in place of each item's id; events of items without a new id are left out. Users keep their ids,
/// those without an event left among them.
///
/// # Errors
/// If the new ids and categories do not fit together.
///
/// # Panics
/// If `to` is shorter than the data set has items.
pub fn remap(from: &Dataset, to: &[Option<u32>], items: Items) -> Result<Dataset, DataError> {
    let (mut offsets, mut events, mut times) = (vec![0], Vec::with_capacity(from.events()), Vec::new());
    for user in 0..from.users() as u32 {
        let history = from.history(user);
        for (at, item) in history.items.iter().enumerate() {
            if let Some(item) = to[*item as usize] {
                events.push(item);
                times.extend(history.times.get(at));
            }
        }
        offsets.push(events.len());
    }
    let Items { items, item_category, categories } = items;
    Dataset::from_parts(offsets, events, times, item_category, items, categories)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_get_their_new_ids_and_users_keep_theirs() {
        let from = Dataset::from_parts(vec![0, 3, 4], vec![0, 1, 2, 1], vec![5, 6, 7, 8], vec![], 3, 0).unwrap();
        let items = || Items { items: 9, ..Items::default() };
        let to = remap(&from, &[Some(8), None, Some(0)], items()).unwrap();
        assert_eq!((to.users(), to.items(), to.events()), (2, 9, 2));
        assert_eq!((to.history(0).items, to.history(0).times), (&[8, 0][..], &[5, 7][..]));
        assert!(to.history(1).items.is_empty());
        assert!(remap(&from, &[Some(9), None, None], items()).is_err());
    }
}
