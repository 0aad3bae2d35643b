//! Items like an item.

use super::border::{check, entry, handle, put, slice_mut};
use super::{dmran_scorer, no_such_item};
use crate::scorer::Rules;

/// The `k` items most like `item`: indices into `items`, cosines of their vectors into `scores` (may be null), best first;
/// `found` becomes their number.
///
/// # Safety
/// `scorer` is a living handle, `items` and (if not null) `scores` have room for the smaller of `k` and the number of items,
/// `found` may be written to; no two overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmran_scorer_similar(
    scorer: *const dmran_scorer,
    item: u32,
    k: usize,
    items: *mut u32,
    scores: *mut f32,
    found: *mut usize,
) -> i32 {
    entry(|| {
        // SAFETY: promised by this function's caller.
        let scorer = &unsafe { handle(scorer, "scorer") }?.0;
        check(found, 1, "found")?;
        let k = k.min(scorer.items().len());
        // SAFETY: promised by this function's caller.
        let items = unsafe { slice_mut(items, k, "items") }?;
        let scores = match scores.is_null() {
            true => None,
            // SAFETY: promised by this function's caller.
            false => Some(unsafe { slice_mut(scores, k, "scores") }?),
        };
        let mut best = Vec::new();
        scorer.similar(item, k, &Rules::default(), &mut best).map_err(no_such_item)?;
        items.iter_mut().zip(&best).for_each(|(item, b)| *item = b.item);
        if let Some(scores) = scores {
            scores.iter_mut().zip(&best).for_each(|(score, b)| *score = b.score);
        }
        // SAFETY: promised by this function's caller.
        unsafe { put(found, best.len(), "found") }
    })
}
