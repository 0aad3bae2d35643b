//! SIGINT and SIGTERM: the first asks the training to stop after its step, a second one ends the program at once.

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// The first signal; 0 before it.
static RECEIVED: AtomicUsize = AtomicUsize::new(0);
/// Whether a signal ends the program at once.
static AT_ONCE: AtomicBool = AtomicBool::new(false);

/// A signal that asked the program to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signal {
    /// As `kill -l` calls it.
    pub name: &'static str,
    /// The exit code that tells of it.
    pub code: u8,
}

/// From here on signals are noticed.
pub fn install() -> io::Result<()> {
    for signal in [SIGINT, SIGTERM] {
        // Actions run in the order of their registration: the flag is set by the first signal for the second.
        flag::register_conditional_shutdown(signal, 128 + signal, &AT_ONCE)?;
        flag::register(signal, &AT_ONCE)?;
        flag::register_usize(signal, &RECEIVED, signal as usize)?;
    }
    Ok(())
}

/// The signal that has come, if one has.
pub fn received() -> Option<Signal> {
    match RECEIVED.load(Ordering::SeqCst) as i32 {
        SIGINT => Some(Signal { name: "SIGINT", code: 130 }),
        SIGTERM => Some(Signal { name: "SIGTERM", code: 143 }),
        _ => None,
    }
}

/// From here on the first signal ends the program at once, too.
pub fn end_at_once() {
    AT_ONCE.store(true, Ordering::SeqCst);
}
