//! The model card: what made the model and how good it was.

use std::error::Error;
use std::fmt;

/// How many metrics a card may list.
pub const MAX_METRICS: usize = 256;

/// Where a model comes from and what it reached. Carried along; the scores do not depend on it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Card {
    /// Program and version that wrote the file.
    pub created_by: String,
    /// The training command.
    pub command: String,
    /// The whole training configuration as text (TOML).
    pub config: String,
    /// The training data in words: users, items, events, time range.
    pub data_summary: String,
    /// A hash of the training data, in the form the trainer gives it.
    pub data_hash: String,
    /// The seed of all random draws.
    pub seed: u64,
    /// What the model reached, in the order to show it.
    pub metrics: Vec<Metric>,
}

/// One measured figure.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// For example `test AUC`.
    pub name: String,
    /// The figure; finite.
    pub value: f64,
    /// Its standard error where one is known; finite, not negative.
    pub standard_error: Option<f64>,
}

impl Card {
    /// Checks the rules that a card must keep to be written.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn validate(&self) -> Result<(), CardError> {
        if self.metrics.len() > MAX_METRICS {
            return Err(CardError::TooManyMetrics { count: self.metrics.len() as u64 });
        }
        for (index, metric) in self.metrics.iter().enumerate() {
            if !metric.value.is_finite() {
                return Err(CardError::Metric { index });
            }
            if metric.standard_error.is_some_and(|e| !(e.is_finite() && e >= 0.0)) {
                return Err(CardError::StandardError { index });
            }
        }
        for text in self.texts() {
            if u32::try_from(text.len()).is_err() {
                return Err(CardError::TextTooLong);
            }
        }
        Ok(())
    }

    /// Every text of the card in the order of the file.
    fn texts(&self) -> impl Iterator<Item = &String> {
        [&self.created_by, &self.command, &self.config, &self.data_summary, &self.data_hash]
            .into_iter()
            .chain(self.metrics.iter().map(|metric| &metric.name))
    }

    /// Seed, number of metrics, texts (each with its length before it), then value, flag and standard error of each
    /// metric. The caller has called [`Card::validate`].
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend(self.seed.to_le_bytes());
        out.extend((self.metrics.len() as u32).to_le_bytes());
        for text in self.texts() {
            out.extend((text.len() as u32).to_le_bytes());
            out.extend(text.as_bytes());
        }
        for metric in &self.metrics {
            out.extend(metric.value.to_le_bytes());
            out.extend(u32::from(metric.standard_error.is_some()).to_le_bytes());
            out.extend(metric.standard_error.unwrap_or(0.0).to_le_bytes());
        }
        out
    }

    /// Reads what [`Card::encode`] wrote. `source` refuses to read past the section's end, and knows how much is
    /// left, so that no text is allocated that could not be there.
    pub(crate) fn decode<E: From<CardError>>(source: &mut impl CardSource<Error = E>) -> Result<Card, E> {
        let seed = u64::from_le_bytes(array(source)?);
        let count = u32::from_le_bytes(array(source)?);
        if count as usize > MAX_METRICS {
            return Err(CardError::TooManyMetrics { count: u64::from(count) }.into());
        }
        let mut card = Card {
            created_by: text(source, "created_by")?,
            command: text(source, "command")?,
            config: text(source, "config")?,
            data_summary: text(source, "data_summary")?,
            data_hash: text(source, "data_hash")?,
            seed,
            metrics: Vec::with_capacity(count as usize),
        };
        for _ in 0..count {
            card.metrics.push(Metric { name: text(source, "metric")?, value: 0.0, standard_error: None });
        }
        for (index, metric) in card.metrics.iter_mut().enumerate() {
            metric.value = f64::from_le_bytes(array(source)?);
            let flag = u32::from_le_bytes(array(source)?);
            let error = f64::from_le_bytes(array(source)?);
            metric.standard_error = match flag {
                0 if error.to_bits() == 0 => None,
                1 => Some(error),
                _ => return Err(CardError::StandardError { index }.into()),
            };
        }
        match source.left() {
            0 => {}
            bytes => return Err(CardError::Trailing { bytes }.into()),
        }
        card.validate()?;
        Ok(card)
    }
}

/// The bytes of a card's section, read in order.
pub(crate) trait CardSource {
    type Error: From<CardError>;
    /// How many bytes are left.
    fn left(&self) -> u64;
    /// Fills `buffer`, which is at most [`CardSource::left`] long.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Self::Error>;
}

fn array<const N: usize, S: CardSource>(source: &mut S) -> Result<[u8; N], S::Error> {
    if source.left() < N as u64 {
        return Err(CardError::CutShort { field: "a number" }.into());
    }
    let mut bytes = [0; N];
    source.fill(&mut bytes)?;
    Ok(bytes)
}

fn text<S: CardSource>(source: &mut S, field: &'static str) -> Result<String, S::Error> {
    let length = u32::from_le_bytes(array(source)?);
    if u64::from(length) > source.left() {
        return Err(CardError::CutShort { field }.into());
    }
    let mut bytes = vec![0; length as usize];
    source.fill(&mut bytes)?;
    String::from_utf8(bytes).map_err(|_| CardError::Utf8 { field }.into())
}

/// A rule that a model card breaks.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CardError {
    /// The card ends before this field does.
    CutShort {
        /// The field.
        field: &'static str,
    },
    /// Bytes follow the card's last field.
    Trailing {
        /// How many.
        bytes: u64,
    },
    /// A text is not UTF-8.
    Utf8 {
        /// The field.
        field: &'static str,
    },
    /// A text is longer than 4 GiB.
    TextTooLong,
    /// More than [`MAX_METRICS`] metrics.
    TooManyMetrics {
        /// How many.
        count: u64,
    },
    /// A metric's value is not finite.
    Metric {
        /// Which metric, from 0.
        index: usize,
    },
    /// A metric's standard error is negative, not finite, or there without its flag.
    StandardError {
        /// Which metric, from 0.
        index: usize,
    },
}

impl fmt::Display for CardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CutShort { field } => write!(f, "ends inside {field}"),
            Self::Trailing { bytes } => write!(f, "{bytes} bytes follow its last field"),
            Self::Utf8 { field } => write!(f, "{field} is not UTF-8"),
            Self::TextTooLong => write!(f, "a text is longer than 4 GiB"),
            Self::TooManyMetrics { count } => {
                write!(f, "{count} metrics; the limit is {MAX_METRICS}")
            }
            Self::Metric { index } => write!(f, "metric {index} is not finite"),
            Self::StandardError { index } => {
                write!(f, "the standard error of metric {index} must be finite and not negative")
            }
        }
    }
}

impl Error for CardError {}
