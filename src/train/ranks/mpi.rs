//! Ranks that are processes of MPI, on one machine or many.

use super::Ranks;
use ::mpi::Threading;
use ::mpi::datatype::{Partition, PartitionMut};
use ::mpi::environment::{self, Universe};
use ::mpi::topology::SimpleCommunicator;
use ::mpi::traits::{Communicator, CommunicatorCollectives};

/// The connection with the other processes; it ends, for all together, when this is dropped.
pub struct World {
    _universe: Universe,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum MpiError {
    /// MPI was started before.
    #[error("MPI cannot be started a second time in a process")]
    Twice,
    /// This MPI can only be called from the thread that started it.
    #[error(
        "this MPI library allows calls from the main thread alone ({0:?}); it has to allow them from any, one at a time"
    )]
    Threads(Threading),
}

impl World {
    /// Joins the other processes that the launcher started.
    ///
    /// # Errors
    /// [`MpiError`].
    pub fn join() -> Result<World, MpiError> {
        let (universe, threading) =
            environment::initialize_with_threading(Threading::Serialized).ok_or(MpiError::Twice)?;
        if threading < Threading::Serialized {
            return Err(MpiError::Threads(threading));
        }
        Ok(World { _universe: universe })
    }

    /// The processes, as a training wants them.
    pub fn ranks(&self) -> Processes {
        let world = SimpleCommunicator::world();
        Processes { rank: world.rank() as usize, count: world.size() as usize }
    }
}

/// Ends all processes, with this exit code.
pub fn end_all(code: u8) -> ! {
    SimpleCommunicator::world().abort(code.into())
}

/// The processes of a [`World`] that lives.
#[derive(Clone, Copy, Debug)]
pub struct Processes {
    rank: usize,
    count: usize,
}

/// Lengths as MPI counts, and where each part begins.
///
/// # Panics
/// If together they are 2^31 words (8 GiB) or more, which MPI's counts do not hold.
fn counts(lengths: &[usize]) -> (Vec<i32>, Vec<i32>) {
    let mut first = 0usize;
    let count = |n: usize| i32::try_from(n).expect("a message of less than 2^31 words");
    let mut starts = Vec::with_capacity(lengths.len());
    for length in lengths {
        starts.push(count(first));
        first += length;
    }
    count(first);
    (lengths.iter().map(|length| *length as i32).collect(), starts)
}

impl Ranks for Processes {
    fn rank(&self) -> usize {
        self.rank
    }

    fn count(&self) -> usize {
        self.count
    }

    fn all_to_all(&self, send: &[u32], to: &[usize], receive: &mut [u32], from: &[usize]) {
        let ((to, to_starts), (from, from_starts)) = (counts(to), counts(from));
        let send = Partition::new(send, to, to_starts);
        let mut receive = PartitionMut::new(receive, from, from_starts);
        SimpleCommunicator::world().all_to_all_varcount_into(&send, &mut receive);
    }

    fn all_gather(&self, mine: &[u32], parts: &[usize], all: &mut [u32]) {
        let (parts, starts) = counts(parts);
        let mut all = PartitionMut::new(all, parts, starts);
        SimpleCommunicator::world().all_gather_varcount_into(mine, &mut all);
    }
}
