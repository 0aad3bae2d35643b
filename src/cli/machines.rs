//! A training of several processes, which a launcher of MPI has started: how they come together and part.

use super::failure::Failure;
use dmran::train::ranks::Team;

/// What launchers tell a process: how many it is one of, or at least its number.
const SIZES: [&str; 2] = ["OMPI_COMM_WORLD_SIZE", "PMI_SIZE"];
#[cfg(feature = "mpi")]
const NUMBERS: [&str; 2] = ["PMI_RANK", "PMIX_RANK"];

/// How many processes the launcher says that there are.
fn said() -> Option<usize> {
    SIZES.iter().find_map(|name| std::env::var(name).ok()?.parse().ok())
}

/// The connection between the processes.
pub struct Machines {
    #[cfg(feature = "mpi")]
    world: Option<dmran::train::ranks::mpi::World>,
    rank: usize,
}

#[cfg(not(feature = "mpi"))]
impl Machines {
    /// A single process. Several that know nothing of each other would all write the same files.
    pub fn join() -> Result<(Machines, Team), Failure> {
        match said() {
            Some(count) if count > 1 => Err(Failure::Input(format!(
                "this is one of {count} processes, but the program was built without MPI, so each would train by itself: \
                 cargo install dmran --features mpi (see docs/machines.md)"
            ))),
            _ => Ok((Machines { rank: 0 }, Team::default())),
        }
    }

    /// The end of a process: that of its work.
    pub fn leave(self, result: Result<(), Failure>) -> Result<(), Failure> {
        debug_assert_eq!(self.rank, 0);
        result
    }
}

#[cfg(feature = "mpi")]
mod with_mpi {
    use super::{Failure, Machines, NUMBERS, Team, said};
    use dmran::train::ranks::Ranks;
    use dmran::train::ranks::mpi::{World, end_all};
    use std::io::{self, Write};
    use std::time::Duration;

    /// How long a rank waits with an error of its own: mostly it is that of all, and rank 0 has said it by then.
    const PATIENCE: Duration = Duration::from_secs(2);

    impl Machines {
        /// The processes that were started together; a single one where nobody has started several.
        pub fn join() -> Result<(Machines, Team), Failure> {
            let launched = said().is_some() || NUMBERS.iter().any(|name| std::env::var_os(name).is_some());
            if !launched {
                return Ok((Machines { world: None, rank: 0 }, Team::default()));
            }
            let world = World::join().map_err(|error| Failure::Other(error.to_string()))?;
            let ranks = world.ranks();
            // The others would wait forever for one that has panicked.
            let usual = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                usual(panic);
                end_all(101);
            }));
            Ok((Machines { world: Some(world), rank: ranks.rank() }, Team::new(Box::new(ranks))))
        }

        /// The end of a process: with its work done it waits for the others; with an error it ends them all.
        pub fn leave(self, result: Result<(), Failure>) -> Result<(), Failure> {
            let Machines { world: Some(world), rank } = self else { return result };
            let failure = match result {
                Ok(()) | Err(Failure::Closed) => {
                    drop(world);
                    return Ok(());
                }
                Err(failure) => failure,
            };
            if let Failure::Stopped { code, .. } = failure {
                // All stop alike. The launcher ends those that are left when the first one is gone with such a code, so that
                // one must not go before rank 0 has written and said everything.
                if rank == 0 {
                    failure.tell();
                }
                drop(world);
                std::process::exit(code.into());
            }
            if rank > 0 {
                std::thread::sleep(PATIENCE);
                let _ = write!(io::stderr(), "rank {rank}: ");
            }
            end_all(failure.tell());
        }
    }
}
