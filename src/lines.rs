//! Buffers of floats from a cache line's border on.

/// Floats in a cache line.
const LINE: usize = 16;

/// Room for floats of which the first stands on the border of a cache line: large blocks from an allocator begin 16 bytes
/// after a page does, and every vector of a row would be in two lines.
#[derive(Debug, Default)]
pub struct Lines {
    values: Vec<f32>,
    first: usize,
    len: usize,
}

impl Lines {
    /// Zeros.
    pub fn zeros(len: usize) -> Lines {
        let mut lines = Lines::default();
        lines.room(len);
        lines
    }

    /// Exactly `len` floats of any content, in memory for the largest number so far.
    pub fn room(&mut self, len: usize) -> &mut [f32] {
        if self.first + len > self.values.len() {
            // A new block instead of a longer one: what is held is not kept, and where it begins would change.
            self.values = vec![0.0; len + LINE - 1];
            self.first = self.values.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE - 1);
        }
        self.len = len;
        self
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        4 * self.values.capacity()
    }
}

impl Clone for Lines {
    fn clone(&self) -> Lines {
        let mut lines = Lines::default();
        lines.room(self.len).copy_from_slice(self);
        lines
    }
}

impl std::ops::Deref for Lines {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.values[self.first..self.first + self.len]
    }
}

impl std::ops::DerefMut for Lines {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[self.first..self.first + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;

    #[test]
    fn the_first_float_is_on_a_line_however_often_the_room_grows() {
        let mut lines = Lines::default();
        for len in [0, 1, 300_000, 17, 300_001, 5_000_000] {
            assert_eq!(lines.room(len).len(), len);
            assert!(len == 0 || (lines.as_ptr() as usize).is_multiple_of(64));
            let copy = lines.clone();
            assert!(copy[..] == lines[..] && (len == 0 || (copy.as_ptr() as usize).is_multiple_of(64)));
        }
    }
}
