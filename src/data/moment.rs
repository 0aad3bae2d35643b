//! A moment at which a log is cut in two: a share of its events, a date or a time.

use super::time::{self, TimeUnit};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The share before the moment where none is given.
const SHARE: f64 = 0.9;

/// Where the protocol `time` cuts. As text: a share between 0 and 1, a date (`2014-01-31`, its first second in UTC), or
/// seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Text", into = "Text")]
pub enum SplitAt {
    /// This share of all events is earlier (events at one time stay together, so that it may be less).
    Share(f64),
    /// Seconds since 1970 (UTC).
    Time(i64),
}

impl Default for SplitAt {
    fn default() -> Self {
        SplitAt::Share(SHARE)
    }
}

impl SplitAt {
    /// The moment among times that ascend; `None` where there are none.
    pub fn among(self, times: &[i64]) -> Option<i64> {
        match self {
            SplitAt::Share(share) => times.get((share * times.len() as f64) as usize).copied(),
            SplitAt::Time(time) => (!times.is_empty()).then_some(time),
        }
    }

    /// The share that cuts what comes before the moment once more.
    pub fn quantile(self) -> SplitAt {
        match self {
            SplitAt::Share(_) => self,
            SplitAt::Time(_) => SplitAt::default(),
        }
    }
}

/// Not a share, a date or a time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither a share between 0 and 1, nor a date like 2014-01-31, nor whole seconds since 1970")]
pub struct SplitAtError(String);

impl FromStr for SplitAt {
    type Err = SplitAtError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || SplitAtError(text.into());
        if let Ok(time) = text.parse::<i64>() {
            // 0 and 1 are taken for shares that are none.
            return if time == 0 || time == 1 { Err(wrong()) } else { Ok(SplitAt::Time(time)) };
        }
        match text.parse::<f64>() {
            Ok(share) if share > 0.0 && share < 1.0 => Ok(SplitAt::Share(share)),
            Ok(_) => Err(wrong()),
            Err(_) => time::parse(text, TimeUnit::Seconds, None).map(SplitAt::Time).map_err(|_| wrong()),
        }
    }
}

impl fmt::Display for SplitAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SplitAt::Share(share) => share.fmt(f),
            SplitAt::Time(time) => time.fmt(f),
        }
    }
}

/// As it stands in TOML: a text or a number.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Text {
    Time(i64),
    Share(f64),
    Word(String),
}

impl TryFrom<Text> for SplitAt {
    type Error = SplitAtError;

    fn try_from(text: Text) -> Result<Self, Self::Error> {
        match text {
            Text::Time(time) => time.to_string().parse(),
            Text::Share(share) => share.to_string().parse(),
            Text::Word(text) => text.parse(),
        }
    }
}

impl From<SplitAt> for Text {
    fn from(at: SplitAt) -> Text {
        match at {
            SplitAt::Share(share) => Text::Share(share),
            SplitAt::Time(time) => Text::Time(time),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_dates_and_times_are_read_and_all_else_is_refused() {
        for (text, want) in [
            ("0.9", SplitAt::Share(0.9)),
            ("1970-01-02", SplitAt::Time(86_400)),
            ("1404172800", SplitAt::Time(1_404_172_800)),
            ("2014-07-01", SplitAt::Time(1_404_172_800)),
            ("-5", SplitAt::Time(-5)),
        ] {
            assert_eq!(text.parse(), Ok(want), "{text}");
            assert_eq!(want.to_string().parse(), Ok(want));
        }
        for text in ["", "0", "1", "1.5", "-0.1", "NaN", "inf", "2014-02-30", "2014-1-1", "yesterday"] {
            assert!(text.parse::<SplitAt>().unwrap_err().to_string().contains("date"), "{text}");
        }
    }

    #[test]
    fn a_share_is_the_time_of_the_first_event_behind_it() {
        let at = |share: f64| SplitAt::Share(share).among(&[10, 20, 20, 30, 40]);
        assert_eq!([at(0.1), at(0.2), at(0.5), at(0.8), at(0.99)], [10, 20, 20, 40, 40].map(Some));
        assert_eq!(SplitAt::default().among(&[]), None);
        assert_eq!((SplitAt::Time(7).among(&[1]), SplitAt::Time(7).quantile()), (Some(7), SplitAt::default()));
    }
}
