//! Names and their dense ids: ids follow the byte order of the names.

use std::hash::{BuildHasher, RandomState};

use super::error::DataError;

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

    /// All names in the order of their ids.
    pub fn names(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.len()).map(|index| self.slice(index))
    }
}

/// Gives names ids in the order in which they first appear; becomes a [`Vocabulary`] at the end.
///
/// Open addressing over one arena: no allocation per name. The hash is keyed at random, so a log
/// made to collide does not slow reading down; ids do not depend on it.
pub(crate) struct Interner {
    text: String,
    ends: Vec<usize>,
    /// Ids, or `FREE`; the length is a power of two and at most half of it is used.
    table: Vec<u32>,
    hasher: RandomState,
    what: &'static str,
    limit: usize,
}

const FREE: u32 = u32::MAX;

impl Interner {
    /// `what` names the things in the error when there are too many.
    pub(crate) fn new(what: &'static str) -> Self {
        Self::with_limit(what, FREE as usize - 1)
    }

    fn with_limit(what: &'static str, limit: usize) -> Self {
        let (text, ends) = (String::new(), Vec::new());
        Self { text, ends, table: vec![FREE; 16], hasher: RandomState::new(), what, limit }
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    pub(crate) fn name(&self, id: u32) -> &str {
        let index = id as usize;
        let start = if index == 0 { 0 } else { self.ends[index - 1] };
        &self.text[start..self.ends[index]]
    }

    /// The slot that holds `name`, or the free slot where it belongs.
    fn slot(&self, name: &str) -> usize {
        let mask = self.table.len() - 1;
        let mut slot = self.hasher.hash_one(name) as usize & mask;
        while self.table[slot] != FREE && self.name(self.table[slot]) != name {
            slot = (slot + 1) & mask;
        }
        slot
    }

    /// The id of a name that was interned before.
    pub(crate) fn get(&self, name: &str) -> Option<u32> {
        Some(self.table[self.slot(name)]).filter(|&id| id != FREE)
    }

    /// The id of `name`, a new one if it is new.
    pub(crate) fn intern(&mut self, name: &str) -> Result<u32, DataError> {
        let slot = self.slot(name);
        if self.table[slot] != FREE {
            return Ok(self.table[slot]);
        }
        if self.len() >= self.limit {
            return Err(DataError::TooMany { what: self.what, limit: self.limit });
        }
        let id = self.ends.len() as u32;
        self.text.push_str(name);
        self.ends.push(self.text.len());
        self.table[slot] = id;
        if self.ends.len() * 2 > self.table.len() {
            self.grow();
        }
        Ok(id)
    }

    fn grow(&mut self) {
        let size = self.table.len() * 2;
        self.table.clear();
        self.table.resize(size, FREE);
        for id in 0..self.ends.len() as u32 {
            let slot = self.slot(self.name(id));
            self.table[slot] = id;
        }
    }

    /// The vocabulary of the ids that `keep` accepts, and the new id of each old one
    /// (`u32::MAX` for those left out).
    pub(crate) fn into_vocabulary(self, keep: impl Fn(u32) -> bool) -> (Vocabulary, Vec<u32>) {
        let mut order: Vec<u32> = (0..self.len() as u32).filter(|&id| keep(id)).collect();
        order.sort_unstable_by(|&a, &b| self.name(a).cmp(self.name(b)));
        let mut new_ids = vec![u32::MAX; self.len()];
        let mut vocabulary = Vocabulary::default();
        for (new, &old) in order.iter().enumerate() {
            new_ids[old as usize] = new as u32;
            vocabulary.append(self.name(old));
        }
        (vocabulary, new_ids)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_byte_order_and_survive_growth() {
        let mut interner = Interner::new("users");
        let names: Vec<String> = (0..5000).rev().map(|i| format!("u{i}")).collect();
        for (i, name) in names.iter().enumerate() {
            assert_eq!(interner.intern(name).unwrap(), i as u32);
        }
        for (i, name) in names.iter().enumerate() {
            assert_eq!(interner.intern(name).unwrap(), i as u32, "a second time");
            assert_eq!(interner.get(name), Some(i as u32));
        }
        assert_eq!(interner.get("nobody"), None);
        let (vocabulary, new_ids) = interner.into_vocabulary(|_| true);
        assert_eq!(vocabulary, Vocabulary::from_names(&names));
        assert!(vocabulary.names().is_sorted());
        for (i, name) in names.iter().enumerate() {
            assert_eq!(vocabulary.id(name), Some(new_ids[i]));
            assert_eq!(vocabulary.name(new_ids[i]), name);
        }
        // "u10" comes before "u2": byte order, not numbers.
        assert!(vocabulary.id("u10") < vocabulary.id("u2"));
        assert_eq!(vocabulary.id("u5000"), None);
        assert_eq!(vocabulary.id(""), None);
    }

    #[test]
    fn names_left_out_have_no_id() {
        let mut interner = Interner::new("items");
        for name in ["c", "a", "", "b"] {
            interner.intern(name).unwrap();
        }
        let (vocabulary, new_ids) = interner.into_vocabulary(|id| id != 1);
        assert_eq!(vocabulary.names().collect::<Vec<_>>(), ["", "b", "c"]);
        assert_eq!(new_ids, [2, u32::MAX, 0, 1]);
    }

    #[test]
    fn too_many_names_is_an_error() {
        let mut interner = Interner::with_limit("items", 2);
        interner.intern("a").unwrap();
        interner.intern("b").unwrap();
        assert_eq!(interner.intern("a").unwrap(), 0, "a known name still resolves");
        let error = interner.intern("c").unwrap_err();
        assert_eq!(error.to_string(), "more than 2 items");
    }
}
