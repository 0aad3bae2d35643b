//! An allocator that counts: calls and bytes of each thread, and calls of all threads that ask for it (the harness
//! allocates on its own when it likes).
#![allow(unsafe_code)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

static COUNTED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Allocations by this thread.
    static HERE: Cell<u64> = const { Cell::new(0) };
    /// Bytes allocated by this thread and not freed; and the most there were.
    static HELD: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
    static COUNTS: Cell<bool> = const { Cell::new(false) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The system's allocator with counters of allocations and reallocations.
struct Counting;

fn count() {
    // While a thread ends its locals are gone: nothing is measured there.
    let _ = HERE.try_with(|n| n.set(n.get() + 1));
    if COUNTS.try_with(Cell::get) == Ok(true) {
        COUNTED.fetch_add(1, Ordering::Relaxed);
    }
}

fn hold(change: isize) {
    let _ = HELD.try_with(|held| {
        let (now, most) = held.get();
        let now = now + change;
        held.set((now, most.max(now)));
    });
}

// SAFETY: every call goes to the system's allocator unchanged; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        hold(layout.size() as isize);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        hold(-(layout.size() as isize));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // Where the block has to move both are held for a moment.
        hold(size as isize);
        hold(-(layout.size() as isize));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// Allocations by the calling thread so far.
pub fn allocations_here() -> u64 {
    HERE.get()
}

/// The most bytes that `work` held at once, on this thread, beyond what was held before it.
pub fn most_held(work: impl FnOnce()) -> isize {
    let (before, _) = HELD.get();
    HELD.set((before, before));
    work();
    HELD.get().1 - before
}

/// From now on what the calling thread allocates is counted in [`allocations`].
pub fn count_this_thread() {
    COUNTS.set(true);
}

/// Allocations so far by threads that asked to be counted.
pub fn allocations() -> u64 {
    COUNTED.load(Ordering::Relaxed)
}
