//! Logs from which nothing can be learned.

use crate::data::{Opened, Protocol, Sample};

/// Why nothing can be learned from a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{log}: nothing to learn from: {why}")]
pub struct NothingToLearn {
    /// The log.
    pub log: String,
    /// Why.
    pub why: String,
}

/// A log from which nothing can be learned is bad input.
///
/// # Errors
/// If there is no sample.
pub fn check_samples(
    train: &[Sample],
    protocol: Protocol,
    since: Option<i64>,
    opened: &Opened,
) -> Result<(), NothingToLearn> {
    if !train.is_empty() {
        return Ok(());
    }
    Err(NothingToLearn { log: opened.name.clone(), why: why(protocol, since, opened) })
}

fn why(protocol: Protocol, since: Option<i64>, opened: &Opened) -> String {
    if let Some(since) = since {
        return format!("no event to learn is after --since {since}");
    }
    let dataset = &opened.log.dataset;
    let longest = (0..dataset.users() as u32).map(|user| dataset.history(user).len()).max().unwrap_or(0);
    let needed = match protocol {
        Protocol::Paper => 3,
        Protocol::Honest => 4,
        Protocol::None => 2,
        Protocol::Time => {
            return "nobody has two events before the moment at which the validation begins; a later --split-at leaves \
                    more"
                .into();
        }
    };
    if longest >= needed {
        return "every user who has events to learn from has every item, so there is nothing to tell apart".into();
    }
    if protocol == Protocol::None {
        return "no user has two events, one to start from and one to learn from".into();
    }
    let hint = if longest == 3 { "; with --protocol paper 3 are enough" } else { "" };
    format!(
        "the longest history has {longest} events, but the protocol \"{}\" needs {needed}: one or more to start from, one \
         to learn from, and the held out ones{hint}",
        protocol.name()
    )
}
