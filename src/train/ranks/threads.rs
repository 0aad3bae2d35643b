//! Ranks that are threads of one process: what the exchange comes to, without MPI.

use super::Ranks;
use std::sync::{Arc, Barrier, Mutex};

/// What the threads lay out for each other.
struct Table {
    barrier: Barrier,
    /// For each rank a part for each.
    parts: Vec<Mutex<Vec<Vec<u32>>>>,
}

/// One of them.
pub struct Thread {
    rank: usize,
    table: Arc<Table>,
}

impl Thread {
    /// So many ranks.
    pub fn ranks(count: usize) -> Vec<Thread> {
        let parts = (0..count).map(|_| Mutex::default()).collect();
        let table = Arc::new(Table { barrier: Barrier::new(count), parts });
        (0..count).map(|rank| Thread { rank, table: Arc::clone(&table) }).collect()
    }
}

impl Ranks for Thread {
    fn rank(&self) -> usize {
        self.rank
    }

    fn count(&self) -> usize {
        self.table.parts.len()
    }

    fn all_to_all(&self, send: &[u32], to: &[usize], receive: &mut [u32], from: &[usize]) {
        assert_eq!((send.len(), receive.len()), (to.iter().sum(), from.iter().sum()), "lengths of rank {}", self.rank);
        let mut left = send;
        let part = |len: &usize| {
            let (part, rest) = left.split_at(*len);
            left = rest;
            part.to_vec()
        };
        *self.table.parts[self.rank].lock().unwrap() = to.iter().map(part).collect();
        self.table.barrier.wait();
        let mut left = receive;
        for (rank, len) in from.iter().enumerate() {
            let (part, rest) = left.split_at_mut(*len);
            part.copy_from_slice(&self.table.parts[rank].lock().unwrap()[self.rank]);
            left = rest;
        }
        self.table.barrier.wait();
    }

    fn all_gather(&self, mine: &[u32], parts: &[usize], all: &mut [u32]) {
        let send = mine.repeat(self.count());
        self.all_to_all(&send, &vec![mine.len(); self.count()], all, parts);
    }
}
