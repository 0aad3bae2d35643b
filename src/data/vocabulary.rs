//! Names and their dense ids: ids follow the byte order of the names.

use rayon::slice::ParallelSliceMut;

/// A sorted set of names; the id of a name is its place in byte order.
///
/// All names lie in one byte buffer, so a vocabulary costs the names plus 8 bytes each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Vocabulary {
    text: String,
    /// Where each name ends in `text`.
    ends: Vec<usize>,
}

impl Vocabulary {
    /// The vocabulary of the given names: sorted, each once.
    ///
    /// # Panics
    /// If there are 2^32 - 1 distinct names or more.
    pub fn from_names<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Self {
        let mut names: Vec<S> = names.into_iter().collect();
        names.sort_unstable_by(|a, b| a.as_ref().cmp(b.as_ref()));
        names.dedup_by(|a, b| a.as_ref() == b.as_ref());
        assert!(names.len() < u32::MAX as usize, "too many names for 32-bit ids");
        let mut vocabulary = Self::default();
        for name in &names {
            vocabulary.append(name.as_ref());
        }
        vocabulary
    }

    /// The caller appends in ascending order.
    fn append(&mut self, name: &str) {
        self.text.push_str(name);
        self.ends.push(self.text.len());
    }

    /// How many names there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no name.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Whether no name has a character beyond ASCII.
    pub(crate) fn is_ascii(&self) -> bool {
        self.text.is_ascii()
    }

    /// The id of a name, by binary search.
    pub fn id(&self, name: &str) -> Option<u32> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.slice(middle).cmp(name) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                std::cmp::Ordering::Equal => return Some(middle as u32),
            }
        }
        None
    }

    /// The name of an id.
    ///
    /// # Panics
    /// If `id` is not below [`len`](Self::len).
    pub fn name(&self, id: u32) -> &str {
        self.slice(id as usize)
    }

    fn slice(&self, index: usize) -> &str {
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.text[start..self.ends[index]]
    }

    /// The vocabulary of the names that are used, and the new id of each (`u32::MAX` for those that are not).
    pub(crate) fn keep(self, used: &[bool]) -> (Vocabulary, Vec<u32>) {
        if used.iter().all(|used| *used) {
            let ids = (0..self.len() as u32).collect();
            return (self, ids);
        }
        let (mut kept, mut ids) = (Vocabulary::default(), vec![u32::MAX; self.len()]);
        for (id, name) in self.names().enumerate() {
            if used[id] {
                ids[id] = kept.len() as u32;
                kept.append(name);
            }
        }
        (kept, ids)
    }

    /// All names in the order of their ids.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.len()).map(|index| self.slice(index))
    }
}

/// Sorts names in parallel; the vocabulary of them, which must be distinct. What comes with a name goes with it.
pub(crate) fn sorted(names: &mut Vec<(&str, u32)>) -> Vocabulary {
    // The first eight bytes decide nearly always, without a look at the text.
    let head = |name: &str| {
        let mut bytes = [0; 8];
        let some = &name.as_bytes()[..name.len().min(8)];
        bytes[..some.len()].copy_from_slice(some);
        u64::from_be_bytes(bytes)
    };
    let mut keyed: Vec<(u64, &str, u32)> = names.iter().map(|(name, number)| (head(name), *name, *number)).collect();
    keyed.par_sort_unstable_by(|a, b| a.0.cmp(&b.0).then_with(|| a.1.cmp(b.1)));
    names.clear();
    names.extend(keyed.iter().map(|(_, name, number)| (*name, *number)));
    let mut vocabulary = Vocabulary::default();
    vocabulary.text.reserve_exact(names.iter().map(|(name, _)| name.len()).sum());
    vocabulary.ends.reserve_exact(names.len());
    names.iter().for_each(|(name, _)| vocabulary.append(name));
    vocabulary
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_byte_order_and_found_again() {
        let names = ["u2", "", "u10", "prefixes are equal", "prefixes are alike", "u2"];
        let vocabulary = Vocabulary::from_names(names);
        assert_eq!(vocabulary.len(), 5);
        let mut distinct: Vec<(&str, u32)> = names[..5].iter().zip(0..).map(|(name, n)| (*name, n)).collect();
        assert_eq!(sorted(&mut distinct), vocabulary);
        assert_eq!(distinct.iter().map(|(_, n)| *n).collect::<Vec<_>>(), [1, 4, 3, 2, 0]);
        assert_eq!(vocabulary.id("u10"), Some(3), "byte order, not numbers");
        assert_eq!(vocabulary.id("u3"), None);
        assert_eq!(vocabulary.id(""), Some(0));
    }

    #[test]
    fn keeping_some_gives_new_ids() {
        let vocabulary = Vocabulary::from_names(["a", "b", "c"]);
        let (kept, ids) = vocabulary.keep(&[true, false, true]);
        assert_eq!(kept.names().collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(ids, [0, u32::MAX, 1]);
    }
}
