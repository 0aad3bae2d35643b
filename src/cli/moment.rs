//! Moments on the command line: seconds since 1970, or a date.

use dmran::data::{TimeUnit, time, unit_of};

/// Reads a moment; a number that is hardly meant in seconds is refused.
pub fn moment(text: &str) -> Result<i64, String> {
    let text = text.trim();
    let seconds = time::parse(text, TimeUnit::Seconds, None).map_err(|error| error.to_string())?;
    match unit_of([seconds]) {
        Some((_, unit)) => Err(format!("looks like {unit}; seconds since 1970 or a date are needed")),
        None => Ok(seconds),
    }
}
