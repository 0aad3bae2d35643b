//! Floats from a cache line's border on.

use std::ops::Deref;

/// Floats in a cache line.
const LINE: usize = 16;

/// Values of which the first stands on the border of a cache line. Rows whose width is a multiple of 16 then lie in
/// the fewest lines: large blocks from an allocator begin 16 bytes after a page does, and every vector would be in two.
#[derive(Debug)]
pub(crate) struct Aligned {
    values: Vec<f32>,
    first: usize,
}

impl Aligned {
    /// None yet, with room for `length`.
    pub fn with_capacity(length: usize) -> Self {
        let mut values: Vec<f32> = Vec::with_capacity(length + LINE - 1);
        let first = values.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE - 1);
        values.resize(first, 0.0);
        Self { values, first }
    }

    /// Adds values: no more than there is room for, or they may come to stand elsewhere.
    pub fn extend(&mut self, values: impl Iterator<Item = f32>) {
        self.values.extend(values);
    }
}

impl From<&[f32]> for Aligned {
    fn from(values: &[f32]) -> Self {
        let mut aligned = Self::with_capacity(values.len());
        aligned.values.extend_from_slice(values);
        aligned
    }
}

impl Deref for Aligned {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[self.first..]
    }
}

impl Clone for Aligned {
    fn clone(&self) -> Self {
        Self::from(&**self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_and_the_first_is_on_a_line() {
        for length in [0, 1, 15, 16, 17, 1000, 300_000] {
            let values: Vec<f32> = (0..length).map(|i| i as f32).collect();
            let mut pushed = Aligned::with_capacity(length);
            pushed.extend(values.iter().copied());
            for copy in [&pushed, &pushed.clone()] {
                assert_eq!(**copy, values);
                assert_eq!(copy.as_ptr() as usize % 64, 0);
            }
        }
    }
}
