//! For users of whom nothing is known.

use crate::scorer::best::Selection;
use crate::scorer::{Model, Rules, Scored};

/// The `k` most popular items, best first: by `counts`, how often each item occurs, which is the score given; equal ones by
/// their id. Items that the rules do not offer, that are in `exclude` or that occur nowhere are left out.
///
/// # Panics
/// If there is not one count for each item.
pub fn popular(model: &Model, counts: &[u32], k: usize, rules: &Rules, exclude: &[u32]) -> Vec<Scored> {
    assert_eq!(counts.len(), model.items().len(), "a count for each item");
    let mut selection = Selection::new(k, rules, model);
    for (item, &count) in (0..).zip(counts) {
        let score = count as f32;
        if count > 0 && selection.may_take(score) && rules.offers(item) && !exclude.contains(&item) {
            selection.offer(Scored { item, score });
        }
    }
    selection.finish()
}
