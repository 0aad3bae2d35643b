//! Reading a model takes no more memory than the file's length and 64 KiB, whatever the file says.

#[path = "support/model_file.rs"]
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use dmran::scorer::{Model, repair_checksums};
use support::{ENTRY, HEADER, Mmix, get_u32, parts, put, small_file, small_settings};

thread_local! {
    /// Bytes allocated by this thread and not freed; and the most there were.
    static HELD: Cell<(isize, isize)> = const { Cell::new((0, 0)) };
}

struct Counting;

fn count(change: isize) {
    // While a thread ends its locals are gone: nothing is measured there.
    let _ = HELD.try_with(|held| {
        let (now, most) = held.get();
        let now = now + change;
        held.set((now, most.max(now)));
    });
}

// SAFETY: every call is handed on unchanged to the system's allocator; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller keeps `dealloc`'s contract, and the pointer is from `System`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SPARE: isize = 64 * 1024;

/// The most that `work` held at once beyond what was held before it.
fn most_held(work: impl FnOnce()) -> isize {
    let before = HELD.with(|held| {
        let (now, _) = held.get();
        held.set((now, now));
        now
    });
    work();
    HELD.with(|held| held.get().1) - before
}

#[test]
fn a_good_file_takes_its_length() {
    let mut parts = parts(small_settings());
    // Large enough that twice the length would show: one long text, one large table.
    parts.card.config = "x".repeat(300_000);
    parts.settings.ff_width = 20_000;
    for (name, values) in &mut parts.tensors {
        match name.as_str() {
            "block.W_1" | "block.W_2" => values.resize(4 * 20_000, 0.5),
            "block.b_1" => values.resize(20_000, 0.5),
            _ => {}
        }
    }
    let file = Model::from_parts(parts).unwrap().to_bytes();
    let limit = file.len() as isize + SPARE;
    let held = most_held(|| drop(Model::from_bytes(&file).unwrap()));
    assert!(held > 600_000 && held <= limit, "{held} for {limit}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model");
    std::fs::write(&path, &file).unwrap();
    let held = most_held(|| drop(Model::load(&path).unwrap()));
    assert!(held <= limit, "{held} for {limit}");
}

/// The settings, header and index fields at random values, with repaired checksums.
#[test]
fn a_hostile_file_takes_no_more_than_its_length() {
    let file = small_file();
    let index_end = HEADER + ENTRY * get_u32(&file, 24) as usize;
    let mut random = Mmix(4);
    let mut refused = 0;
    for round in 0..20_000 {
        let mut damaged = file.clone();
        for _ in 0..=random.below(2) {
            // Mostly where counts and lengths stand, at the granularity of their fields.
            let end = if round % 2 == 0 { index_end + 1000 } else { file.len() };
            let at = 16 + 4 * random.below((end - 16) / 4);
            let value = match random.below(4) {
                0 => random.next(),
                1 => 1 << random.below(32),
                2 => u32::MAX,
                _ => random.next() & 0xff,
            };
            put(&mut damaged, at, &value.to_le_bytes());
        }
        repair_checksums(&mut damaged);
        let held = most_held(|| refused += usize::from(Model::from_bytes(&damaged).is_err()));
        assert!(held <= damaged.len() as isize + SPARE, "round {round}: {held}");
    }
    assert!(refused > 1000, "{refused} of 20,000 were refused");
}

/// The largest index that a header may state is read without the heap.
#[test]
fn a_file_of_zeros_with_a_good_header_is_refused_cheaply() {
    let mut file = small_file();
    file[HEADER..].fill(0);
    repair_checksums(&mut file);
    let held = most_held(|| assert!(Model::from_bytes(&file).is_err()));
    assert!(held <= 16 * 1024, "{held}");
}
