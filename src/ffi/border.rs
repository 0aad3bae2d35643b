//! What stands between C and the library: pointers checked, panics caught, messages kept.

use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{DMRAN_ERROR_ARGUMENT, DMRAN_ERROR_PANIC, DMRAN_ERROR_POINTER, DMRAN_OK};

/// A status and its message.
pub(super) struct Failure(pub i32, pub String);

thread_local! {
    /// The message of this thread's last failure.
    pub(super) static LAST: RefCell<CString> = RefCell::default();
}

fn remember(message: String) {
    let message = CString::new(message.replace('\0', "\\0")).unwrap_or_default();
    // Fails only while the thread ends: then nobody will ask.
    let _ = LAST.try_with(|last| last.replace(message));
}

/// Runs an entry: its status, with the message remembered.
pub(super) fn entry(work: impl FnOnce() -> Result<(), Failure>) -> i32 {
    let (status, message) = match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(())) => return DMRAN_OK,
        Ok(Err(Failure(status, message))) => (status, message),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            let message = format!("a defect of dmran: {text}");
            // A payload whose drop panics must not unwind from here.
            std::mem::forget(panic);
            (DMRAN_ERROR_PANIC, message)
        }
    };
    remember(message);
    status
}

pub(super) fn pointer(name: &str, is_null: bool) -> Failure {
    Failure(DMRAN_ERROR_POINTER, format!("{name} is {}", if is_null { "null" } else { "not aligned" }))
}

/// Checks a pointer to `len` values.
pub(super) fn check<T>(at: *const T, len: usize, name: &str) -> Result<(), Failure> {
    if at.is_null() || !at.is_aligned() {
        return Err(pointer(name, at.is_null()));
    }
    match len.checked_mul(size_of::<T>()) {
        Some(bytes) if isize::try_from(bytes).is_ok() => Ok(()),
        _ => Err(Failure(DMRAN_ERROR_ARGUMENT, format!("{len} values of {name} overflow the address space"))),
    }
}

/// `len` values to read; none where `len` is 0, whatever the pointer.
///
/// # Safety
/// Where `len` is not 0, `at` is null, not aligned, or points to `len` values that stay unchanged for `'a`.
pub(super) unsafe fn slice<'a, T>(at: *const T, len: usize, name: &str) -> Result<&'a [T], Failure> {
    if len == 0 {
        return Ok(&[]);
    }
    check(at, len, name)?;
    // SAFETY: not null, aligned, and not longer than the address space (checked); the rest is the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts(at, len) })
}

/// As [`slice`], to write.
///
/// # Safety
/// Where `len` is not 0, `at` is null, not aligned, or points to `len` initialised values that nobody else uses
/// for `'a`.
pub(super) unsafe fn slice_mut<'a, T>(at: *mut T, len: usize, name: &str) -> Result<&'a mut [T], Failure> {
    if len == 0 {
        return Ok(&mut []);
    }
    check(at, len, name)?;
    // SAFETY: as in `slice`; that nobody else uses the values is the caller's promise.
    Ok(unsafe { std::slice::from_raw_parts_mut(at, len) })
}

/// Writes one value where the pointer may be null.
///
/// # Safety
/// `to` is null, not aligned, or may be written to.
pub(super) unsafe fn put<T>(to: *mut T, value: T, name: &str) -> Result<(), Failure> {
    check(to, 1, name)?;
    // SAFETY: not null and aligned (checked); that it may be written to is the caller's promise.
    unsafe { to.write(value) };
    Ok(())
}

/// A handle to read.
///
/// # Safety
/// `at` is null or was given out by this library and not freed, and nobody changes it for `'a`.
pub(super) unsafe fn handle<'a, T>(at: *const T, name: &str) -> Result<&'a T, Failure> {
    check(at, 1, name)?;
    // SAFETY: not null and aligned (checked); the rest is the caller's promise.
    Ok(unsafe { &*at })
}

/// A handle to change.
///
/// # Safety
/// `at` is null or was given out by this library and not freed, and nobody else uses it for `'a`.
pub(super) unsafe fn handle_mut<'a, T>(at: *mut T, name: &str) -> Result<&'a mut T, Failure> {
    check(at, 1, name)?;
    // SAFETY: not null and aligned (checked); the rest is the caller's promise.
    Ok(unsafe { &mut *at })
}

/// A text of C.
///
/// # Safety
/// `at` is null or points to a text that ends with a zero and stays unchanged for `'a`.
pub(super) unsafe fn text<'a>(at: *const c_char, name: &str) -> Result<&'a str, Failure> {
    if at.is_null() {
        return Err(pointer(name, true));
    }
    // SAFETY: not null (checked); that it ends with a zero and stays unchanged is the caller's promise.
    let text = unsafe { CStr::from_ptr(at) };
    text.to_str().map_err(|_| Failure(DMRAN_ERROR_ARGUMENT, format!("{name} is not UTF-8")))
}
