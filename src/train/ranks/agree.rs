//! What must be the same on all ranks before they begin: where one differs, the bits would, too.

use super::Team;

/// What a rank computes with and from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sameness {
    /// Each thing with its name.
    pub things: Vec<(&'static str, String)>,
}

/// A rank that is not like rank 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("rank {rank} of {ranks} differs from rank 0 in {what}: {theirs} there, {leads} on rank 0; {}", fix(.what))]
pub struct Differs {
    /// The rank.
    pub rank: usize,
    /// How many there are.
    pub ranks: usize,
    /// In what.
    pub what: String,
    /// What it has.
    pub theirs: String,
    /// What rank 0 has.
    pub leads: String,
}

/// The tier of instructions, by the name under which ranks compare it.
const TIER: &str = "SIMD tier";

fn fix(what: &str) -> &'static str {
    if what == TIER {
        "DMRAN_SIMD=avx2 on all machines, for instance, makes them alike (mpirun -x DMRAN_SIMD=avx2)"
    } else {
        "all ranks need the same program, the same command and the same log"
    }
}

impl Sameness {
    /// Of this program with these settings, as TOML, on a log with this fingerprint, on a SIMD tier.
    pub fn new(level: dmran_kernels::Level, settings: &str, log: String) -> Sameness {
        let version = concat!(env!("CARGO_PKG_VERSION"), " ", env!("CARGO_PKG_NAME")).to_owned();
        let mut things = vec![("program's version", version), (TIER, level.to_string()), ("log's fingerprint", log)];
        things.extend(settings.lines().filter(|line| line.contains('=')).map(|line| ("settings", line.to_owned())));
        Sameness { things }
    }
}

impl Team {
    /// Compares with all ranks; all come to the same answer.
    ///
    /// # Errors
    /// [`Differs`], with the first rank that does.
    pub fn agree(&mut self, own: &Sameness) -> Result<(), Differs> {
        if self.is_alone() {
            return Ok(());
        }
        let text: Vec<String> = own.things.iter().map(|(what, is)| format!("{what}\t{is}")).collect();
        let all = self.gather_bytes(text.join("\n").as_bytes());
        let all: Vec<Vec<String>> =
            all.iter().map(|text| String::from_utf8_lossy(text).lines().map(str::to_owned).collect()).collect();
        for (rank, theirs) in all.iter().enumerate() {
            let most = theirs.len().max(all[0].len());
            let at = |of: &[String], at: usize| of.get(at).cloned().unwrap_or_else(|| "settings\tnothing".to_owned());
            let first = (0..most).map(|i| (at(&all[0], i), at(theirs, i))).find(|(leads, theirs)| leads != theirs);
            if let Some((leads, theirs)) = first {
                let split = |line: String| line.split_once('\t').map(|(a, b)| (a.to_owned(), b.to_owned()));
                let ((what, leads), (_, theirs)) =
                    (split(leads).unwrap_or_default(), split(theirs).unwrap_or_default());
                return Err(Differs { rank, ranks: all.len(), what, theirs, leads });
            }
        }
        Ok(())
    }
}
