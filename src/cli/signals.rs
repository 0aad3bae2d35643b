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
    signal(RECEIVED.load(Ordering::SeqCst) as u32)
}

/// The signal of a number, if it is one of ours.
pub fn signal(number: u32) -> Option<Signal> {
    match number as i32 {
        SIGINT => Some(Signal { name: "SIGINT", code: 130 }),
        SIGTERM => Some(Signal { name: "SIGTERM", code: 143 }),
        _ => None,
    }
}

/// The number of a signal; 0 for none.
pub fn number(signal: Option<Signal>) -> u32 {
    signal.map_or(0, |signal| u32::from(signal.code) - 128)
}

/// From here on the first signal ends the program at once, too.
pub fn end_at_once() {
    AT_ONCE.store(true, Ordering::SeqCst);
}
