//! When the bundled log is read: where somebody asks for it, or types `dmran train` and nothing that hints at a log of
//! their own. It never stands in for one that was forgotten.

use super::failure::Failure;
use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

/// The flag that asks for the bundled log.
#[derive(clap::Args, Clone, Copy, Debug, Default)]
pub struct BundledFlag {
    /// Read the bundled household-goods log, in place of a log of one's own
    #[arg(long)]
    bundled: bool,
}

impl BundledFlag {
    /// Whether it was given.
    pub fn is_set(self) -> bool {
        self.bundled
    }

    /// The log of a command that must be told which one: its files, none of them for the bundled log. `usage` is the
    /// command with a log in it.
    pub fn log<'a>(self, files: &'a [PathBuf], usage: &str) -> Result<&'a [PathBuf], Failure> {
        match (files.first(), self.bundled) {
            (Some(file), true) => {
                Err(Failure::Input(format!("{} and --bundled name two logs: one of them is needed", file.display())))
            }
            (None, false) => Err(Failure::Input(format!(
                "no log was named: {usage} (LOG is a file, or - for standard input; --bundled is the household-goods \
                 log in this program)"
            ))),
            _ => Ok(files),
        }
    }
}

/// Something on standard input, though no log was named.
pub struct Piped {
    found: Option<Receiver<()>>,
    command: &'static str,
}

impl Piped {
    /// How long the first byte may take. An open pipe in which nothing comes is not waited for any longer.
    pub const WAIT: Duration = Duration::from_millis(500);

    /// Nothing, without a look.
    pub fn nothing() -> Piped {
        Piped { found: None, command: "" }
    }

    /// Looks at standard input from now on, unless it is a terminal; `command` reads a log where one is named.
    pub fn watch(command: &'static str) -> Piped {
        if io::stdin().is_terminal() {
            return Piped::nothing();
        }
        let (found, receiver) = channel();
        // Reading from an open pipe in which nothing comes never ends: so does this thread, with the process.
        std::thread::spawn(move || {
            if let Ok(1..) = io::stdin().lock().read(&mut [0]) {
                let _ = found.send(());
            }
        });
        Piped { found: Some(receiver), command }
    }

    /// Refuses to go on if something has come, or comes while it waits.
    pub fn refuse(&self, wait: Duration) -> Result<(), Failure> {
        match self.found.as_ref().map(|receiver| receiver.recv_timeout(wait)) {
            None | Some(Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected)) => Ok(()),
            Some(Ok(())) => Err(Failure::Input(format!(
                "there is something on standard input, but no log was named: `{command} -` reads it from there, and \
                 `{command} < /dev/null` the bundled log",
                command = self.command
            ))),
        }
    }
}
