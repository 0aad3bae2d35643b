//! Each user's result as CSV, for tests of significance elsewhere.

use super::failure::Failure;
use dmran::data::Log;
use dmran::durable::write_atomically;
use dmran::metrics::Ranked;
use std::io;
use std::path::Path;

/// The columns: the rank counts from 1 and may end in .5, the middle of the places that ties leave open.
const HEAD: [&str; 5] = ["user", "item", "rank", "ranked_items", "history"];

/// Writes one line an item that was to be found; the file is there whole or not at all. `item` names the items.
pub fn write<'a>(path: &Path, ranks: &[Ranked], log: &Log, item: impl Fn(u32) -> &'a str) -> Result<(), Failure> {
    let users: Vec<&str> = log.users.names().collect();
    write_atomically(path, |file| {
        let mut out = csv::Writer::from_writer(file);
        out.write_record(HEAD).map_err(io::Error::from)?;
        for ranked in ranks {
            let rank = ranked.rank.rank() + 1.0;
            let (items, history) = (ranked.rank.others + 1, ranked.history);
            let numbers = [rank.to_string(), items.to_string(), history.to_string()];
            let names = [users[ranked.user as usize], item(ranked.target)];
            out.write_record(names.into_iter().chain(numbers.iter().map(String::as_str))).map_err(io::Error::from)?;
        }
        out.flush()
    })
    .map_err(|error| Failure::Other(format!("cannot write {}: {error}", path.display())))
}
