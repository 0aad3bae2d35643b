//! The C ABI over the scorer (feature `capi`); `include/dmran.h` is its documentation for C.
//!
//! Every entry takes opaque handles and checked pointers, gives a status and never lets a panic pass the border: the
//! message of the last failure is kept per thread ([`dmran_last_error`]).
#![allow(unsafe_code)]
#![allow(non_camel_case_types)] // the names of the header

mod border;
mod similar;

use std::ffi::c_char;
use std::sync::Arc;

use border::{Failure, LAST, check, entry, handle, handle_mut, put, slice, slice_mut, text};

pub use similar::dmran_scorer_similar;

use crate::scorer::{Event, Model, ModelFileError, Scored, Scorer, ScorerOptions, Scratch, User};

/// Success.
pub const DMRAN_OK: i32 = 0;
/// A pointer that must not be null is null or not aligned.
pub const DMRAN_ERROR_POINTER: i32 = 1;
/// A length overflows, an id is not UTF-8, or a buffer is too small.
pub const DMRAN_ERROR_ARGUMENT: i32 = 2;
/// The model file cannot be read or breaks a rule, or `DMRAN_SIMD` names no level of this CPU.
pub const DMRAN_ERROR_MODEL: i32 = 3;
/// An item does not exist.
pub const DMRAN_ERROR_NO_SUCH_ITEM: i32 = 4;
/// A defect of this library: a panic was caught.
pub const DMRAN_ERROR_PANIC: i32 = 5;
/// What [`dmran_scorer_find`] gives for an id that the model does not know; an event of this item is skipped.
pub const DMRAN_NO_ITEM: u32 = u32::MAX;
/// The version of this interface; the header has the same number.
pub const DMRAN_ABI_VERSION: u32 = 1;
/// Flag: computes nothing ahead for the items ([`ScorerOptions::precompute`]).
pub const DMRAN_LEAN: u32 = 1;

/// A loaded model; may be used by many threads at once.
pub struct dmran_scorer(Arc<Scorer>);

/// An encoded user and the buffers for it; for one thread at a time. Keeps its model alive.
pub struct dmran_user {
    scorer: Arc<Scorer>,
    scratch: Scratch,
    events: Vec<Event>,
    best: Vec<Scored>,
}

/// One event of a history.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct dmran_event {
    /// Index of the item.
    pub item: u32,
    /// Seconds since 1970 (UTC).
    pub time: i64,
}

/// An event's part in a score.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct dmran_event_share {
    /// Where the event stands in the history.
    pub position: usize,
    /// Index of its item.
    pub item: u32,
    /// Its share; all shares sum to 1.
    pub share: f32,
}

fn model_failure(error: impl std::fmt::Display) -> Failure {
    Failure(DMRAN_ERROR_MODEL, error.to_string())
}

fn no_such_item(error: impl std::fmt::Display) -> Failure {
    Failure(DMRAN_ERROR_NO_SUCH_ITEM, error.to_string())
}

impl dmran_user {
    fn user(&mut self) -> User<'_> {
        User::resume(&self.scorer, &mut self.scratch)
    }

    fn encode(&mut self, now: i64) -> usize {
        self.scorer.encode(&self.events, now, &mut self.scratch).unknown()
    }
}

/// A handle of the model that `load` gives, made ready as `flags` say.
fn make_ready(flags: u32, load: impl FnOnce() -> Result<Model, ModelFileError>) -> Result<*mut dmran_scorer, Failure> {
    if flags & !DMRAN_LEAN != 0 {
        return Err(Failure(DMRAN_ERROR_ARGUMENT, format!("unknown flags: {flags:#x}")));
    }
    let precompute = (flags & DMRAN_LEAN != 0).then_some(false);
    let options = ScorerOptions { precompute, ..ScorerOptions::default() };
    let scorer = Scorer::with_options(load().map_err(model_failure)?, options).map_err(model_failure)?;
    Ok(Box::into_raw(Box::new(dmran_scorer(Arc::new(scorer)))))
}

/// The version of this interface.
#[unsafe(no_mangle)]
pub extern "C" fn dmran_abi_version() -> u32 {
    DMRAN_ABI_VERSION
}

/// The message of the last failure of this thread, empty if there was none; valid until the thread's next failure.
#[unsafe(no_mangle)]
pub extern "C" fn dmran_last_error() -> *const c_char {
    LAST.try_with(|last| last.borrow().as_ptr()).unwrap_or(c"".as_ptr())
}

/// Loads a model file.
///
/// # Safety
/// `path` is a text that ends with a zero; `scorer` may be written to. Null is refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmran_scorer_load(path: *const c_char, scorer: *mut *mut dmran_scorer) -> i32 {
    // SAFETY: promised by this function's caller.
    unsafe { dmran_scorer_load_with(path, 0, scorer) }
}

/// [`dmran_scorer_load`] with flags: 0 or [`DMRAN_LEAN`].
///
/// # Safety
/// As there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmran_scorer_load_with(
    path: *const c_char,
    flags: u32,
    scorer: *mut *mut dmran_scorer,
) -> i32 {
    entry(|| {
        check(scorer, 1, "scorer")?;
        // SAFETY: promised by this function's caller.
        let path = unsafe { text(path, "path") }?;
        let ready = make_ready(flags, || Model::load(path))?;
        // SAFETY: promised by this function's caller.
        unsafe { put(scorer, ready, "scorer") }
    })
}

/// Loads a model from the bytes of its file.
///
/// # Safety
/// `bytes` points to `length` bytes; `scorer` may be written to. Null is refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmran_scorer_from_bytes(
    bytes: *const u8,
    length: usize,
    scorer: *mut *mut dmran_scorer,
) -> i32 {
    // SAFETY: promised by this function's caller.
    unsafe { dmran_scorer_from_bytes_with(bytes, length, 0, scorer) }
}

/// [`dmran_scorer_from_bytes`] with flags: 0 or [`DMRAN_LEAN`].
///
/// # Safety
/// As there.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmran_scorer_from_bytes_with(
    bytes: *const u8,
    length: usize,
    flags: u32,
    scorer: *mut *mut dmran_scorer,
) -> i32 {
    entry(|| {
        check(scorer, 1, "scorer")?;
        // SAFETY: promised by this function's caller.
        let bytes = unsafe { slice(bytes, length, "bytes") }?;
        let ready = make_ready(flags, || Model::from_bytes(bytes))?;
        // SAFETY: promised by this function's caller.
        unsafe { put(scorer, ready, "scorer") }
    })
}

/// Frees a model; users of it stay valid. Null is ignored.
///
/// # Safety
/// `scorer` is null or was given out by this library and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmran_scorer_free(scorer: *mut dmran_scorer) {
    entry(|| {
        if !scorer.is_null() {
            // SAFETY: it came from `Box::into_raw` and is freed once: promised by this function's caller.
            drop(unsafe { Box::from_raw(scorer) });
        }
        Ok(())
    });
}

/// The number of items; 0 for null.
///
/// # Safety
/// `scorer` is null or a living handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmran_scorer_items(scorer: *const dmran_scorer) -> usize {
    // SAFETY: promised by this function's caller.
    unsafe { handle(scorer, "scorer") }.map_or(0, |s| s.0.items().len())
}

/// The index of an item's id; [`DMRAN_NO_ITEM`] and success where the model does not know it.
///
/// # Safety
/// `scorer` is a living handle, `id` a text that ends with a zero, `item` may be written to. Null is refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmran_scorer_find(scorer: *const dmran_scorer, id: *const c_char, item: *mut u32) -> i32 {
    entry(|| {
        // SAFETY: promised by this function's caller.
        let (scorer, id) = unsafe { (handle(scorer, "scorer")?, text(id, "id")?) };
        let found = scorer.0.items().find(id).unwrap_or(DMRAN_NO_ITEM);
        // SAFETY: promised by this function's caller.
        unsafe { put(item, found, "item") }
    })
}

/// Copies an item's id and a zero behind it to `id`; `length` (may be null) becomes the id's length without the zero,
/// also where `capacity` is too small for it.
///
/// # Safety
/// `scorer` is a living handle, `id` has room for `capacity` bytes, `length` is null or may be written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmran_scorer_item_id(
    scorer: *const dmran_scorer,
    item: u32,
    id: *mut c_char,
    capacity: usize,
    length: *mut usize,
) -> i32 {
    entry(|| {
        // SAFETY: promised by this function's caller.
        let scorer = unsafe { handle(scorer, "scorer") }?;
        let items = scorer.0.items();
        let missing = || no_such_item(format_args!("item {item}; the model has {} items", items.len()));
        let text = items.get(item as usize).ok_or_else(missing)?;
        if !length.is_null() {
            // SAFETY: promised by this function's caller.
            unsafe { put(length, text.len(), "length") }?;
        }
        if capacity <= text.len() {
            let message = format!("the id takes {} bytes and a zero; there is room for {capacity}", text.len());
            return Err(Failure(DMRAN_ERROR_ARGUMENT, message));
        }
        check(id, capacity, "id")?;
        // SAFETY: not null (checked), with room for more bytes than the text has (promised and checked); a text of
        // this library overlaps no buffer of the caller.
        unsafe {
            std::ptr::copy_nonoverlapping(text.as_ptr().cast(), id, text.len());
            id.add(text.len()).write(0);
        }
        Ok(())
    })
}

/// Makes a user of a model, cold until it is encoded.
///
/// # Safety
/// `scorer` is a living handle; `user` may be written to. Null is refused.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmran_user_new(scorer: *const dmran_scorer, user: *mut *mut dmran_user) -> i32 {
    entry(|| {
        check(user, 1, "user")?;
        // SAFETY: promised by this function's caller.
        let scorer = Arc::clone(&unsafe { handle(scorer, "scorer") }?.0);
        let made = dmran_user { scorer, scratch: Scratch::new(), events: Vec::new(), best: Vec::new() };
        // SAFETY: promised by this function's caller.
        unsafe { put(user, Box::into_raw(Box::new(made)), "user") }
    })
}

/// Frees a user. Null is ignored.
///
/// # Safety
/// `user` is null or was given out by this library and not freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmran_user_free(user: *mut dmran_user) {
    entry(|| {
        if !user.is_null() {
            // SAFETY: it came from `Box::into_raw` and is freed once: promised by this function's caller.
            drop(unsafe { Box::from_raw(user) });
        }
        Ok(())
    });
}

/// Encodes a history, oldest event first; `unknown` (may be null) becomes the number of skipped events.
///
/// # Safety
/// `user` is a living handle that no other thread uses, `events` points to `count` events, `unknown` is null or may be
/// written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmran_user_encode(
    user: *mut dmran_user,
    events: *const dmran_event,
    count: usize,
    now: i64,
    unknown: *mut usize,
) -> i32 {
    entry(|| {
        // SAFETY: promised by this function's caller.
        let (user, events) = unsafe { (handle_mut(user, "user")?, slice(events, count, "events")?) };
        user.events.clear();
        user.events.extend(events.iter().map(|&dmran_event { item, time }| Event { item, time }));
        let skipped = user.encode(now);
        if unknown.is_null() {
            return Ok(());
        }
        // SAFETY: promised by this function's caller.
        unsafe { put(unknown, skipped, "unknown") }
    })
}

/// As [`dmran_user_encode`], with string ids; `times` may be null for models without time.
///
/// # Safety
/// As there; `ids` points to `count` texts that end with a zero, `times` is null or points to `count` numbers.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmran_user_encode_ids(
    user: *mut dmran_user,
    ids: *const *const c_char,
    times: *const i64,
    count: usize,
    now: i64,
    unknown: *mut usize,
) -> i32 {
    entry(|| {
        // SAFETY: promised by this function's caller.
        let (user, ids) = unsafe { (handle_mut(user, "user")?, slice(ids, count, "ids")?) };
        let reads_times = user.scorer.settings().reads_times();
        let times = match times.is_null() && !reads_times {
            true => None,
            // SAFETY: promised by this function's caller.
            false => Some(unsafe { slice(times, count, "times") }?),
        };
        user.events.clear();
        for (at, &id) in ids.iter().enumerate() {
            // SAFETY: promised by this function's caller.
            let id = unsafe { text(id, "an id of the history") }?;
            let item = user.scorer.items().find(id).unwrap_or(DMRAN_NO_ITEM);
            user.events.push(Event { item, time: times.map_or(0, |times| times[at]) });
        }
        let skipped = user.encode(now);
        if unknown.is_null() {
            return Ok(());
        }
        // SAFETY: promised by this function's caller.
        unsafe { put(unknown, skipped, "unknown") }
    })
}

/// Scores candidates.
///
/// # Safety
/// `user` is a living handle that no other thread uses, `candidates` points to `count` indices, `scores` to `count`
/// numbers that nobody else uses; they do not overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmran_user_score(
    user: *mut dmran_user,
    candidates: *const u32,
    count: usize,
    scores: *mut f32,
) -> i32 {
    entry(|| {
        // SAFETY: promised by this function's caller.
        let (user, candidates) = unsafe { (handle_mut(user, "user")?, slice(candidates, count, "candidates")?) };
        // SAFETY: promised by this function's caller.
        let scores = unsafe { slice_mut(scores, count, "scores") }?;
        user.user().score(candidates, scores).map_err(no_such_item)
    })
}

/// The best `k` of all items without those in `exclude`: indices into `items`, scores into `scores` (may be null), best
/// first; `found` becomes their number.
///
/// # Safety
/// `user` is a living handle that no other thread uses, `exclude` points to `excluded` indices, `items` and (if not
/// null) `scores` have room for the smaller of `k` and the number of items, `found` may be written to; no two overlap.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmran_user_top_k(
    user: *mut dmran_user,
    k: usize,
    exclude: *const u32,
    excluded: usize,
    items: *mut u32,
    scores: *mut f32,
    found: *mut usize,
) -> i32 {
    entry(|| {
        // SAFETY: promised by this function's caller.
        let (user, exclude) = unsafe { (handle_mut(user, "user")?, slice(exclude, excluded, "exclude")?) };
        check(found, 1, "found")?;
        let k = k.min(user.scorer.items().len());
        // SAFETY: promised by this function's caller.
        let items = unsafe { slice_mut(items, k, "items") }?;
        let scores = match scores.is_null() {
            true => None,
            // SAFETY: promised by this function's caller.
            false => Some(unsafe { slice_mut(scores, k, "scores") }?),
        };
        let mut best = std::mem::take(&mut user.best);
        user.user().top_k(k, exclude, &mut best);
        items.iter_mut().zip(&best).for_each(|(item, b)| *item = b.item);
        if let Some(scores) = scores {
            scores.iter_mut().zip(&best).for_each(|(score, b)| *score = b.score);
        }
        let number = best.len();
        user.best = best;
        // SAFETY: promised by this function's caller.
        unsafe { put(found, number, "found") }
    })
}

/// The events that carried an item's score, the largest share first: at most `capacity` of them into `shares`; `count`
/// becomes the number of all.
///
/// # Safety
/// `user` is a living handle that no other thread uses, `shares` has room for `capacity` entries, `count` may be
/// written to.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dmran_user_explain(
    user: *mut dmran_user,
    item: u32,
    shares: *mut dmran_event_share,
    capacity: usize,
    count: *mut usize,
) -> i32 {
    entry(|| {
        // SAFETY: promised by this function's caller.
        let (user, shares) = unsafe { (handle_mut(user, "user")?, slice_mut(shares, capacity, "shares")?) };
        check(count, 1, "count")?;
        let events = user.user().explain(item).map_err(no_such_item)?.events;
        for (to, event) in shares.iter_mut().zip(&events) {
            *to = dmran_event_share { position: event.position, item: event.item, share: event.share };
        }
        // SAFETY: promised by this function's caller.
        unsafe { put(count, events.len(), "count") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    #[test]
    fn a_panic_becomes_a_status() {
        assert_eq!(entry(|| panic!("zero\0inside {}", 1)), DMRAN_ERROR_PANIC);
        // SAFETY: the message lives until this thread's next failure.
        let message = unsafe { CStr::from_ptr(dmran_last_error()) };
        assert_eq!(message, c"a defect of dmran: zero\\0inside 1");
    }

    #[test]
    fn null_unaligned_and_overflowing_arguments_are_refused() {
        let mut scorer = std::ptr::null_mut();
        let (mut found, null) = (0usize, std::ptr::null_mut());
        // SAFETY: null and unaligned pointers and impossible lengths are refused before anything is read.
        unsafe {
            assert_eq!(dmran_scorer_load(std::ptr::null(), &mut scorer), DMRAN_ERROR_POINTER);
            assert_eq!(dmran_scorer_load(c"x".as_ptr(), std::ptr::null_mut()), DMRAN_ERROR_POINTER);
            assert_eq!(dmran_scorer_load(c"no such file".as_ptr(), &mut scorer), DMRAN_ERROR_MODEL);
            assert_eq!(dmran_scorer_load(c"\xff".as_ptr(), &mut scorer), DMRAN_ERROR_ARGUMENT);
            assert_eq!(dmran_scorer_from_bytes(b"".as_ptr(), 0, &mut scorer), DMRAN_ERROR_MODEL);
            assert_eq!(dmran_scorer_from_bytes([1].as_ptr(), usize::MAX, &mut scorer), DMRAN_ERROR_ARGUMENT);
            assert!(scorer.is_null());
            assert_eq!(dmran_scorer_items(std::ptr::null()), 0);
            assert_eq!(dmran_user_new(std::ptr::null(), &mut std::ptr::null_mut()), DMRAN_ERROR_POINTER);
            assert_eq!(dmran_user_score(null, std::ptr::null(), 0, std::ptr::null_mut()), DMRAN_ERROR_POINTER);
            let unaligned = std::ptr::without_provenance::<u32>(2);
            assert!(matches!(slice(unaligned, 1, "x"), Err(Failure(DMRAN_ERROR_POINTER, _))));
            assert!(matches!(slice(&1u32, usize::MAX / 4, "x"), Err(Failure(DMRAN_ERROR_ARGUMENT, _))));
            assert_eq!(slice(unaligned, 0, "x").map(<[u32]>::len).ok(), Some(0));
            let (items, none) = (std::ptr::null_mut(), std::ptr::null());
            let status = dmran_user_top_k(null, 1, none, 0, items, std::ptr::null_mut(), &mut found);
            assert_eq!(status, DMRAN_ERROR_POINTER);
            dmran_scorer_free(std::ptr::null_mut());
            dmran_user_free(null);
        }
    }
}
