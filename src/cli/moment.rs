//! Moments on the command line: seconds since 1970.

use dmran::data::unit_of;

/// Reads a moment; one that is hardly meant in seconds is refused.
pub fn moment(text: &str) -> Result<i64, String> {
    let seconds: i64 = text.trim().parse().map_err(|_| "a whole number of seconds since 1970 is needed".to_owned())?;
    match unit_of([seconds]) {
        Some((_, unit)) => Err(format!("looks like {unit}; seconds since 1970 are needed")),
        None => Ok(seconds),
    }
}
