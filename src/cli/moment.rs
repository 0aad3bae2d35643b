//! Moments on the command line: seconds since 1970, or a date.

use dmran::data::{TimeUnit, time};

/// Reads a moment; a number that is hardly meant in seconds is refused.
pub fn moment(text: &str) -> Result<i64, String> {
    time::parse(text, TimeUnit::Seconds, None).map_err(|error| error.to_string())
}
