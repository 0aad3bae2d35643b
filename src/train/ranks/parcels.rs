//! Bytes from one rank to another, in pieces, while all ranks take part.

use super::{PIECE, Team, halves, wholes};
use std::io::{self, Write};

/// Bytes of a piece.
const BYTES: usize = 4 * PIECE;

impl Team {
    /// The number that rank 0 has.
    pub fn told(&mut self, mine: u64) -> u64 {
        self.told_by(0, mine)
    }

    /// The number that a rank has.
    pub fn told_by(&mut self, rank: usize, mine: u64) -> u64 {
        wholes(&self.gather_words(&halves(mine)).0).nth(rank).unwrap_or(mine)
    }

    /// Where this rank writes `length` bytes that are for rank `to`; all others call [`Team::passes`].
    pub fn sends(&mut self, to: usize, length: u64) -> Outgoing<'_> {
        Outgoing { team: self, to, buffer: Vec::new(), left: length }
    }

    /// Takes part while rank `from` sends `length` bytes to rank `to`, which finds them with `take`.
    ///
    /// # Errors
    /// What `take` answers: the ranks are no longer at one then, and have to end.
    pub fn passes(
        &mut self,
        (from, to): (usize, usize),
        mut length: u64,
        mut take: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut bytes = Vec::new();
        while length > 0 {
            let piece = length.min(BYTES as u64) as usize;
            self.piece((from, to), &[], piece);
            if self.rank() == to {
                bytes.clear();
                bytes.extend(self.receive.iter().flat_map(|word| word.to_le_bytes()));
                take(&bytes[..piece])?;
            }
            length -= piece as u64;
        }
        Ok(())
    }

    /// One piece of so many bytes, which rank `from` has.
    fn piece(&mut self, (from, to): (usize, usize), bytes: &[u8], length: usize) {
        let (rank, words) = (self.rank(), length.div_ceil(4));
        let mut sends = vec![0; self.count()];
        let mut gets = sends.clone();
        self.send.clear();
        if rank == from {
            sends[to] = words;
            self.send.extend(bytes.chunks(4).map(|chunk| {
                let mut word = [0; 4];
                word[..chunk.len()].copy_from_slice(chunk);
                u32::from_le_bytes(word)
            }));
        }
        if rank == to {
            gets[from] = words;
        }
        self.receive.resize(gets.iter().sum(), 0);
        self.traffic.sends(&sends, rank);
        self.ranks.all_to_all(&self.send, &sends, &mut self.receive, &gets);
    }
}

/// Bytes on their way to another rank.
pub struct Outgoing<'a> {
    team: &'a mut Team,
    to: usize,
    buffer: Vec<u8>,
    left: u64,
}

impl Write for Outgoing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = self.left.min(BYTES as u64) as usize;
        let taken = bytes.len().min(piece - self.buffer.len());
        self.buffer.extend_from_slice(&bytes[..taken]);
        if taken > 0 && self.buffer.len() == piece {
            self.team.piece((self.team.rank(), self.to), &self.buffer, piece);
            self.left -= piece as u64;
            self.buffer.clear();
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
