//! Users cut into parts that depend on their ids alone, so that many processes share the work without a word.

use std::fmt;
use std::str::FromStr;

/// One of `of` parts, counted from 1: `3/16`.
///
/// A user is in part `1 + hash(id) % of`. The hash is fixed for ever: the 64-bit FNV-1a of the id's bytes (UTF-8), whose
/// upper half is then folded on its lower one: `h ^ (h >> 32)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    number: u64,
    of: u64,
}

/// Why a text names no part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{found:?} is no part: i/N is needed, with i from 1 to N, for example 3/16")]
pub struct PartError {
    /// The text.
    pub found: String,
}

/// The hash of an id that tells its part.
pub fn hash(id: &str) -> u64 {
    let fnv = |h: u64, byte: &u8| (h ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
    let h = id.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, fnv);
    h ^ (h >> 32)
}

impl Part {
    /// Whether a user is in this part.
    pub fn has(self, user: &str) -> bool {
        hash(user) % self.of == self.number - 1
    }
}

impl FromStr for Part {
    type Err = PartError;

    fn from_str(text: &str) -> Result<Part, PartError> {
        let wrong = || PartError { found: text.to_owned() };
        let (number, of) = text.split_once('/').ok_or_else(wrong)?;
        let whole = |text: &str| text.trim().parse::<u32>().map(u64::from).map_err(|_| wrong());
        let part = Part { number: whole(number)?, of: whole(of)? };
        if (1..=part.of).contains(&part.number) { Ok(part) } else { Err(wrong()) }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_the_documented_one_for_ever() {
        // FNV-1a's published values for "" and "foobar", folded.
        for (id, fnv) in [("", 0xcbf2_9ce4_8422_2325u64), ("foobar", 0x8594_4171_f739_67e8)] {
            assert_eq!(hash(id), fnv ^ (fnv >> 32));
        }
    }

    #[test]
    fn every_user_is_in_one_part_and_parts_are_of_a_size() {
        for of in [1u64, 2, 3, 16, 100] {
            let mut sizes = vec![0u32; of as usize];
            for user in 0..10_000 {
                let id = format!("u{user}");
                let within: Vec<u64> = (1..=of).filter(|number| Part { number: *number, of }.has(&id)).collect();
                assert_eq!(within.len(), 1);
                sizes[within[0] as usize - 1] += 1;
            }
            let fair = 10_000.0 / of as f64;
            assert!(sizes.iter().all(|size| (f64::from(*size) - fair).abs() < 6.0 * fair.sqrt()), "{of}: {sizes:?}");
        }
    }

    #[test]
    fn a_part_is_read_as_it_is_written() {
        let part: Part = "3/16".parse().unwrap();
        assert_eq!((part, part.to_string()), (Part { number: 3, of: 16 }, "3/16".to_owned()));
        for text in ["", "3", "0/4", "5/4", "1/0", "-1/4", "a/b", "1/4/2", "1.5/4"] {
            assert_eq!(text.parse::<Part>(), Err(PartError { found: text.to_owned() }));
        }
    }
}
