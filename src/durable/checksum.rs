//! The model file's 64-bit checksum: against accidents, not against forgers.
//!
//! Four lanes each take every fourth 8-byte word: `lane = rotl(lane + word * A, 31) * B` with odd A and B. A step is a
//! bijection of the word for a fixed lane and of the lane for a fixed word, and so are the steps that fold lanes,
//! tail and length into one number. Hence any damage within one aligned 8-byte word, above all any single flipped
//! bit, changes the checksum for certain; wider damage goes unnoticed with a probability near 2^-64.

const A: u64 = 0xD6E8_FEB8_6659_FD93;
const B: u64 = 0x9FB2_1C65_1E98_DF25;
const LANES: [u64; 4] = [0x2545_F491_4F6C_DD1D, 0x60BE_E2BE_E120_FC15, 0xA3B1_9535_4A39_B70D, 0x1B03_7387_12FA_D5C9];
const STRIPE: usize = 32;

/// The checksum of bytes that come in pieces. The cuts between the pieces make no difference.
pub(crate) struct Checksum {
    lanes: [u64; 4],
    /// Bytes that do not fill a stripe yet: the first `length % STRIPE`.
    pending: [u8; STRIPE],
    length: u64,
}

/// The checksum of all of `bytes`.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    let mut c = Checksum::new();
    c.update(bytes);
    c.finish()
}

#[inline(always)]
fn step(lane: u64, word: u64) -> u64 {
    lane.wrapping_add(word.wrapping_mul(A)).rotate_left(31).wrapping_mul(B)
}

#[inline(always)]
fn take_stripe(lanes: &mut [u64; 4], stripe: &[u8; STRIPE]) {
    let (words, _) = stripe.as_chunks::<8>();
    for (lane, word) in lanes.iter_mut().zip(words) {
        *lane = step(*lane, u64::from_le_bytes(*word));
    }
}

impl Checksum {
    pub(crate) fn new() -> Self {
        Checksum { lanes: LANES, pending: [0; STRIPE], length: 0 }
    }

    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        let filled = (self.length % STRIPE as u64) as usize;
        self.length = self.length.wrapping_add(bytes.len() as u64);
        if filled > 0 {
            let (head, rest) = bytes.split_at(bytes.len().min(STRIPE - filled));
            self.pending[filled..filled + head.len()].copy_from_slice(head);
            if filled + head.len() < STRIPE {
                return;
            }
            take_stripe(&mut self.lanes, &self.pending);
            bytes = rest;
        }
        let (stripes, rest) = bytes.as_chunks::<STRIPE>();
        let mut lanes = self.lanes;
        for stripe in stripes {
            take_stripe(&mut lanes, stripe);
        }
        self.lanes = lanes;
        self.pending[..rest.len()].copy_from_slice(rest);
    }

    pub(crate) fn finish(mut self) -> u64 {
        let filled = (self.length % STRIPE as u64) as usize;
        // Zeros up to the stripe's end: the length tells them from zeros of the data.
        self.pending[filled..].fill(0);
        take_stripe(&mut self.lanes, &self.pending);
        let mut sum = step(B, self.length);
        for lane in self.lanes {
            sum = step(sum, lane);
        }
        sum ^= sum >> 32;
        sum = sum.wrapping_mul(A);
        sum ^ (sum >> 29)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn sample(len: usize) -> Vec<u8> {
        (0..len).map(|i| (i * i * 37 + i * 11 + 5) as u8).collect()
    }

    #[test]
    fn is_fixed_for_good() {
        // Written files carry these numbers: a change of the function is a change of the format.
        assert_eq!(checksum(b""), 0x060C_CAA1_B413_4098);
        assert_eq!(checksum(b"DMRAN"), 0x0112_4B14_8A1B_3724);
        assert_eq!(checksum(&sample(1000)), 0xE241_CDE3_C44C_D069);
    }

    #[test]
    fn cuts_make_no_difference() {
        let bytes = sample(200);
        let whole = checksum(&bytes);
        for first in 0..=bytes.len() {
            for second in [first, (first + 1).min(200), (first + 40).min(200), 200] {
                let mut c = Checksum::new();
                c.update(&bytes[..first]);
                c.update(&bytes[first..second]);
                c.update(&bytes[second..]);
                assert_eq!(c.finish(), whole, "cut at {first} and {second}");
            }
        }
    }

    #[test]
    fn every_one_and_two_bit_error_shows() {
        // 97 bytes: three stripes, one of them shared by lanes of the tail.
        let mut bytes = sample(97);
        let bits = bytes.len() * 8;
        let mut seen = HashSet::from([checksum(&bytes)]);
        let flip = |bytes: &mut [u8], bit: usize| bytes[bit / 8] ^= 1 << (bit % 8);
        for first in 0..bits {
            flip(&mut bytes, first);
            assert!(seen.insert(checksum(&bytes)), "bit {first}");
            for second in 0..first {
                flip(&mut bytes, second);
                assert!(seen.insert(checksum(&bytes)), "bits {first} and {second}");
                flip(&mut bytes, second);
            }
            flip(&mut bytes, first);
        }
    }

    #[test]
    fn lengths_of_zeros_differ() {
        let zeros = [0; 300];
        let sums: HashSet<u64> = (0..=300).map(|n| checksum(&zeros[..n])).collect();
        assert_eq!(sums.len(), 301);
    }
}
