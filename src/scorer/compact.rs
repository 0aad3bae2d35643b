//! Tables of items and categories in fewer bytes than `f32`: how they are rounded and widened.
//!
//! Widening is exact, so a rounded table *is* a table of `f32` with fewer possible values: whoever reads the `f32` and
//! whoever reads the stored form compute the same bits.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;

use dmran_kernels::score::StoredRows;

use super::aligned::Aligned;
use crate::spec::UnknownName;

/// How the tables `V` and `C` stand in a model file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Precision {
    /// 4 bytes a number, as trained.
    F32,
    /// 2 bytes a number: the upper half of an `f32`, rounded to nearest, ties to even.
    Bf16,
    /// 1 byte a number and 4 a row: a whole number from -127 to 127, times the row's scale. Symmetric, so that a score
    /// needs no correction for a zero point, and 0 stays 0; a scale a row, because the norms of items differ by far more
    /// than the numbers of one item.
    Int8,
}

impl Precision {
    /// Every value, in the order of [`Self::NAMES`].
    pub const ALL: &'static [Self] = &[Self::F32, Self::Bf16, Self::Int8];
    /// The names that `FromStr` takes.
    pub const NAMES: &'static [&'static str] = &["f32", "bf16", "int8"];

    /// The name as users write it.
    pub const fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    /// Whether this tensor is rounded.
    pub(crate) fn is_table(name: &str) -> bool {
        Self::Bf16.section_of(name).is_some()
    }

    /// The section of a model file that holds this tensor in this form; `None` where that is the tensor as it is.
    pub(crate) fn section_of(self, tensor: &str) -> Option<&'static str> {
        match (self, tensor) {
            (Self::Bf16, "V") => Some("V.bf16"),
            (Self::Bf16, "C") => Some("C.bf16"),
            (Self::Int8, "V") => Some("V.int8"),
            (Self::Int8, "C") => Some("C.int8"),
            _ => None,
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Precision {
    type Err = UnknownName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let known = Self::ALL.iter().find(|precision| precision.name() == text);
        let unknown = || UnknownName { setting: "table", found: text.to_owned(), allowed: Self::NAMES };
        known.copied().ok_or_else(unknown)
    }
}

/// Rows in fewer bytes, as [`StoredRows`] has them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Compact {
    Bf16(Vec<u16>),
    Int8 { codes: Vec<i8>, scales: Vec<f32> },
}

impl Compact {
    /// Rounds finite rows of `width`; `None` for [`Precision::F32`].
    pub fn round(precision: Precision, width: usize, values: &[f32]) -> Option<Compact> {
        match precision {
            Precision::F32 => None,
            Precision::Bf16 => Some(Compact::Bf16(values.iter().map(|&x| half(x)).collect())),
            Precision::Int8 => {
                let rows = values.chunks_exact(width);
                let scales: Vec<f32> = rows.clone().map(scale).collect();
                let codes = rows.zip(&scales).flat_map(|(row, &scale)| row.iter().map(move |&x| code(x, scale)));
                Some(Compact::Int8 { codes: codes.collect(), scales })
            }
        }
    }

    pub fn precision(&self) -> Precision {
        match self {
            Compact::Bf16(_) => Precision::Bf16,
            Compact::Int8 { .. } => Precision::Int8,
        }
    }

    /// The rows as `f32`.
    pub fn widen(&self, width: usize) -> Aligned {
        match self {
            Compact::Bf16(halves) => {
                let mut wide = Aligned::with_capacity(halves.len());
                wide.extend(halves.iter().map(|&half| f32::from_bits(u32::from(half) << 16)));
                wide
            }
            Compact::Int8 { codes, scales } => {
                let mut wide = Aligned::with_capacity(codes.len());
                for (row, scale) in codes.chunks_exact(width).zip(scales) {
                    wide.extend(row.iter().map(|&code| scale * f32::from(code)));
                }
                wide
            }
        }
    }

    /// Neighbouring rows of `width`.
    pub fn rows(&self, range: Range<usize>, width: usize) -> StoredRows<'_> {
        let numbers = range.start * width..range.end * width;
        match self {
            Compact::Bf16(halves) => StoredRows::Bf16(&halves[numbers]),
            Compact::Int8 { codes, scales } => StoredRows::Int8 { codes: &codes[numbers], scales: &scales[range] },
        }
    }
}

/// The nearest bf16 of a finite number, ties to even; the largest one where that would be infinite.
fn half(x: f32) -> u16 {
    const LARGEST: u32 = 0x7f7f;
    let (sign, magnitude) = (x.to_bits() & 0x8000_0000, x.to_bits() & 0x7fff_ffff);
    let rounded = (magnitude + 0x7fff + (magnitude >> 16 & 1)) >> 16;
    (sign >> 16 | rounded.min(LARGEST)) as u16
}

/// The scale of a row, for which the largest number's code is 127 or -127: with seven bits less than an `f32` has, so that
/// a code times its scale is exact and rounding a widened row again changes nothing. 0 for a row whose numbers are all
/// below 2^-100, where that would not hold.
fn scale(row: &[f32]) -> f32 {
    const BITS: u32 = 0x7f;
    let largest = row.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
    if largest < 2.0f32.powi(-100) {
        return 0.0;
    }
    let exact = (largest / 127.0).to_bits();
    let above = f32::from_bits((exact + BITS) & !BITS);
    if (above * 127.0).is_finite() { above } else { f32::from_bits(exact & !BITS) }
}

fn code(x: f32, scale: f32) -> i8 {
    if scale == 0.0 { 0 } else { (x / scale).round_ties_even().clamp(-127.0, 127.0) as i8 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<f32> {
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u32 << 23) as f32 - 1.0
        };
        // Rows of 7 with norms from 2^-120 to 2^119, and rows that are hard.
        let mut values: Vec<f32> = (0..240).flat_map(|e| [0; 7].map(|_| next() * 2.0f32.powi(e - 120))).collect();
        values.extend([0.0; 7]);
        values.extend([f32::MAX, -f32::MAX, 1.0, 0.0, -0.0, f32::MIN_POSITIVE, 1e-45]);
        values
    }

    #[test]
    fn rounding_is_within_half_a_step_and_finite() {
        let values = rows();
        let (bf16, int8) = (Compact::round(Precision::Bf16, 7, &values), Compact::round(Precision::Int8, 7, &values));
        let (bf16, int8) = (bf16.unwrap().widen(7), int8.unwrap().widen(7));
        for (at, row) in values.chunks(7).enumerate() {
            let largest = row.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
            for (i, &x) in row.iter().enumerate() {
                let (half, code) = (bf16[7 * at + i], int8[7 * at + i]);
                assert!(half.is_finite() && code.is_finite());
                assert!((half - x).abs() <= x.abs() / 256.0 + 1e-40, "{x} {half}");
                assert!((code - x).abs() <= largest / 253.0 + 2.0f32.powi(-100), "{x} {code} {largest}");
            }
        }
    }

    #[test]
    fn rounding_a_rounded_table_changes_nothing() {
        for precision in [Precision::Bf16, Precision::Int8] {
            let once = Compact::round(precision, 7, &rows()).unwrap();
            assert_eq!(Compact::round(precision, 7, &once.widen(7)).as_ref(), Some(&once), "{precision}");
        }
    }

    #[test]
    fn halves_are_rounded_to_nearest_with_ties_to_even() {
        let of = |bits: u32| half(f32::from_bits(bits));
        assert_eq!(
            [of(0x3f80_8000), of(0x3f81_8000), of(0x3f80_8001), of(0xbf80_7fff)],
            [0x3f80, 0x3f82, 0x3f81, 0xbf80]
        );
    }
}
