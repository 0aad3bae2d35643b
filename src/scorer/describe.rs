//! The model card and the tensors as text: what `dmran inspect model FILE` prints.

use std::fmt::{self, Display, Formatter};

use super::card::Card;
use super::compact::Precision;
use super::model::{Model, Tensor};
use crate::spec::layout::Shape;
use crate::spec::settings::{Block, Head, Settings};

/// The card, the settings in use and a table of the tensors. Control characters of texts from the file are written as
/// escapes, so that a hostile file cannot steer a terminal.
impl Display for Model {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let counts = self.counts();
        card_lines(f, self.card())?;
        line(f, "items", counts.items)?;
        if self.settings().categories {
            line(f, "categories", counts.categories)?;
        }
        settings_lines(f, self.settings())?;
        block(f, "config", &self.card().config)?;
        writeln!(f, "\ntensors")?;
        let mut weights = 0;
        for tensor in self.tensors() {
            weights += tensor.values().len();
            tensor_line(f, tensor)?;
        }
        let mib = weights as f64 * 4.0 / (1024.0 * 1024.0);
        writeln!(f, "  {} tensors, {weights} weights, {mib:.1} MiB", self.tensors().len())?;
        match self.precision() {
            Precision::F32 => Ok(()),
            precision => writeln!(f, "  tables of items and categories in the file: {precision}"),
        }
    }
}

fn line(f: &mut Formatter<'_>, name: &str, value: impl Display) -> fmt::Result {
    writeln!(f, "{name:<14} {value}")
}

fn card_lines(f: &mut Formatter<'_>, card: &Card) -> fmt::Result {
    line(f, "created by", Shown(&card.created_by))?;
    line(f, "command", Shown(&card.command))?;
    line(f, "seed", card.seed)?;
    line(f, "data hash", Shown(&card.data_hash))?;
    block(f, "data", &card.data_summary)?;
    if !card.metrics.is_empty() {
        writeln!(f, "metrics")?;
    }
    for metric in &card.metrics {
        write!(f, "  {:<24} {:.4}", Shown(&metric.name).to_string(), metric.value)?;
        match metric.standard_error {
            Some(error) => writeln!(f, " (standard error {error:.4})")?,
            None => writeln!(f)?,
        }
    }
    Ok(())
}

fn settings_lines(f: &mut Formatter<'_>, s: &Settings) -> fmt::Result {
    line(f, "variant", s.variant)?;
    match s.uses_time() {
        true => line(f, "time", format_args!("{} in {} buckets", s.time, s.buckets))?,
        false => line(f, "time", "none")?,
    }
    line(f, "width d", s.d)?;
    if s.has_item_attention() {
        line(f, "hops r", s.hops)?;
        line(f, "last event", s.last)?;
    }
    line(f, "history cap", s.history_cap)?;
    match (s.has_feature_attention(), s.block) {
        (false, _) => {}
        (true, Block::Plain) => line(f, "block", s.block)?,
        (true, Block::Transformer) => {
            let (width, eps) = (s.ff_width, s.block_eps);
            line(f, "block", format_args!("{} (inner width {width}, epsilon {eps:e})", s.block))?;
        }
    }
    match s.head {
        Head::Vanilla | Head::Mean | Head::Rows => line(f, "head", s.head)?,
        Head::Atrank => {
            let (heads, width, eps) = (s.heads, s.head_ff_width, s.head_eps);
            let detail = format_args!("{} ({heads} heads, inner width {width}, epsilon {eps:e})", s.head);
            line(f, "head", detail)?;
        }
    }
    line(f, "item bias", if s.item_bias { "yes" } else { "no" })
}

/// Name, shape, range and root of the mean square.
fn tensor_line(f: &mut Formatter<'_>, tensor: &Tensor) -> fmt::Result {
    let values = tensor.values();
    let low = values.iter().copied().fold(f32::INFINITY, f32::min);
    let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let squares: f64 = values.iter().map(|&v| f64::from(v) * f64::from(v)).sum();
    let rms = (squares / values.len() as f64).sqrt();
    let (name, shape): (_, Shape) = (tensor.name(), tensor.shape());
    writeln!(f, "  {name:<12} {shape:<14} min {low:<12.5} max {high:<12.5} rms {rms:.5}")
}

/// A text of several lines, indented under its name; nothing where it is empty.
fn block(f: &mut Formatter<'_>, name: &str, text: &str) -> fmt::Result {
    if text.is_empty() {
        return Ok(());
    }
    writeln!(f, "{name}")?;
    for text in text.lines() {
        writeln!(f, "  {}", Shown(text))?;
    }
    Ok(())
}

/// A text from a file with its control characters escaped.
struct Shown<'a>(&'a str);

impl Display for Shown<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c.is_control() {
                true => write!(f, "{}", c.escape_default())?,
                false => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}
