//! The string ids of items or categories: one block of text, sorted, found by binary search.

use std::error::Error;
use std::fmt;

/// Strictly sorted strings (by bytes); the index of an id is its place in the order.
///
/// Takes the bytes of the ids plus 4 for each, and no more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ids {
    /// `len + 1` byte positions: id `i` is `text[offsets[i]..offsets[i + 1]]`.
    offsets: Vec<u32>,
    text: String,
}

impl Default for Ids {
    fn default() -> Self {
        Ids { offsets: vec![0], text: String::new() }
    }
}

impl Ids {
    /// Takes ids that are already sorted by bytes, without duplicates.
    ///
    /// # Errors
    /// [`IdsError::Order`] or [`IdsError::Duplicate`] where they are not; [`IdsError::TooMuchText`] for ids of more
    /// than 4 GiB together.
    pub fn from_sorted<S: AsRef<str>>(ids: impl IntoIterator<Item = S>) -> Result<Ids, IdsError> {
        let mut text = String::new();
        let mut offsets = vec![0];
        for id in ids {
            text.push_str(id.as_ref());
            offsets.push(u32::try_from(text.len()).map_err(|_| IdsError::TooMuchText)?);
        }
        Ids::from_raw(offsets, text.into_bytes())
    }

    /// Takes the two blocks of a model file and checks every rule.
    pub(crate) fn from_raw(offsets: Vec<u32>, text: Vec<u8>) -> Result<Ids, IdsError> {
        let rises = offsets.first() == Some(&0)
            && offsets.last().map(|&end| end as usize) == Some(text.len())
            && offsets.is_sorted();
        if !rises {
            return Err(IdsError::Offsets);
        }
        let text =
            String::from_utf8(text).map_err(|error| IdsError::Utf8 { byte: error.utf8_error().valid_up_to() })?;
        if let Some(index) = offsets.iter().position(|&at| !text.is_char_boundary(at as usize)) {
            return Err(IdsError::Boundary { index });
        }
        let ids = Ids { offsets, text };
        for index in 1..ids.len() {
            match ids.get(index - 1).cmp(&ids.get(index)) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Err(IdsError::Duplicate { index }),
                std::cmp::Ordering::Greater => return Err(IdsError::Order { index }),
            }
        }
        Ok(ids)
    }

    /// How many ids there are.
    pub fn len(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Whether there is no id.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The id at `index`, or `None` past the end.
    pub fn get(&self, index: usize) -> Option<&str> {
        let start = *self.offsets.get(index)?;
        let end = *self.offsets.get(index + 1)?;
        self.text.get(start as usize..end as usize)
    }

    /// The index of `id`, found in O(log len) comparisons.
    pub fn find(&self, id: &str) -> Option<u32> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.get(middle)?.cmp(id) {
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
                // An index is below 2^32: every offset is a u32 and at most one id is empty.
                std::cmp::Ordering::Equal => return u32::try_from(middle).ok(),
            }
        }
        None
    }

    /// All ids in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        (0..self.len()).map(|index| self.get(index).unwrap_or_default())
    }

    pub(crate) fn raw(&self) -> (&[u32], &[u8]) {
        (&self.offsets, self.text.as_bytes())
    }
}

/// A rule that a list of ids breaks. Indices count from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum IdsError {
    /// The byte positions do not rise from 0 to the end of the text.
    Offsets,
    /// The text is not UTF-8.
    Utf8 {
        /// Where the valid part of the text ends.
        byte: usize,
    },
    /// An id begins in the middle of a character.
    Boundary {
        /// Which id.
        index: usize,
    },
    /// An id is smaller than the one before it.
    Order {
        /// Which id.
        index: usize,
    },
    /// An id equals the one before it.
    Duplicate {
        /// Which id.
        index: usize,
    },
    /// The ids together are longer than 4 GiB.
    TooMuchText,
    /// More than 2^32 - 1 ids.
    TooMany {
        /// How many.
        count: u64,
    },
}

impl fmt::Display for IdsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offsets => write!(f, "byte positions do not rise from 0 to the text's end"),
            Self::Utf8 { byte } => write!(f, "the text is not UTF-8 at byte {byte}"),
            Self::Boundary { index } => write!(f, "id {index} begins inside a character"),
            Self::Order { index } => write!(f, "id {index} is smaller than the one before it"),
            Self::Duplicate { index } => write!(f, "id {index} equals the one before it"),
            Self::TooMuchText => write!(f, "the ids together are longer than 4 GiB"),
            Self::TooMany { count } => write!(f, "{count} ids; the limit is {}", u32::MAX),
        }
    }
}

impl Error for IdsError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_every_id_and_nothing_else() {
        let ids = Ids::from_sorted(["", "a", "ab", "b", "ä", "日本"]).unwrap();
        assert_eq!(ids.len(), 6);
        for (index, id) in ids.iter().enumerate() {
            assert_eq!(ids.find(id), Some(index as u32));
        }
        for absent in ["aa", "0", "abc", "c", "日", "日本語"] {
            assert_eq!(ids.find(absent), None);
        }
        assert_eq!(ids.get(6), None);
        assert_eq!(Ids::default().find(""), None);
        assert_eq!(Ids::from_sorted::<&str>([]), Ok(Ids::default()));
    }

    #[test]
    fn each_broken_rule_has_its_error() {
        let raw = |offsets: &[u32], text: &[u8]| Ids::from_raw(offsets.to_vec(), text.to_vec()).unwrap_err();
        assert_eq!(Ids::from_sorted(["a", "c", "b"]), Err(IdsError::Order { index: 2 }));
        assert_eq!(Ids::from_sorted(["a", "b", "b"]), Err(IdsError::Duplicate { index: 2 }));
        assert_eq!(raw(&[], b""), IdsError::Offsets);
        assert_eq!(raw(&[1, 2], b"ab"), IdsError::Offsets);
        assert_eq!(raw(&[0, 1], b"ab"), IdsError::Offsets);
        assert_eq!(raw(&[0, 3], b"ab"), IdsError::Offsets);
        assert_eq!(raw(&[0, 2, 1, 3], b"abc"), IdsError::Offsets);
        assert_eq!(raw(&[0, 3], b"ab\xff"), IdsError::Utf8 { byte: 2 });
        // Each half of the two-byte character would be an id of its own.
        assert_eq!(raw(&[0, 1, 2], "ä".as_bytes()), IdsError::Boundary { index: 1 });
    }
}
