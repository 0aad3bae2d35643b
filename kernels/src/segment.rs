//! Ragged batches: the rows of sample `b` are `offsets[b]..offsets[b + 1]` of one flat matrix.

/// Checks that `offsets` start at 0, never fall, and end at `rows`; gives the number of samples.
///
/// # Panics
/// If any of the three does not hold, or if `offsets` is empty.
pub(crate) fn check(offsets: &[u32], rows: usize) -> usize {
    assert!(!offsets.is_empty(), "offsets must hold one entry more than there are samples");
    assert_eq!(offsets[0], 0, "offsets must start at 0");
    assert!(offsets.windows(2).all(|w| w[0] <= w[1]), "offsets must never fall");
    let end = offsets[offsets.len() - 1] as usize;
    assert_eq!(end, rows, "offsets end at {end}, but there are {rows} rows");
    offsets.len() - 1
}

/// The row ranges of the samples, in order.
pub(crate) fn ranges(offsets: &[u32]) -> impl Iterator<Item = core::ops::Range<usize>> + '_ {
    offsets.windows(2).map(|w| w[0] as usize..w[1] as usize)
}

/// The longest segment.
pub fn longest(offsets: &[u32]) -> usize {
    ranges(offsets).map(|r| r.len()).max().unwrap_or(0)
}

/// Rows of a flat row-major matrix of width `d`.
///
/// # Panics
/// If `len` is not a multiple of `d`.
pub(crate) fn rows(len: usize, d: usize) -> usize {
    assert!(d > 0, "the width of a row must be at least 1");
    assert_eq!(len % d, 0, "{len} values are not rows of width {d}");
    len / d
}
