//! Which sections a model file has, in which order, with which dimensions; and the section of settings.

use super::super::compact::Precision;
use super::super::ids::IdsError;
use super::error::ModelFileError;
use super::header::{Entry, VERSION_F32};
use crate::spec::layout::{Counts, Shape, TensorSpec, expected_tensors};
use crate::spec::settings::{Block, Head, LastEvent, Settings, SettingsError, TimeKind, Variant};

/// What a section holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Content {
    /// `u32` fields; dimensions: their number.
    Settings,
    /// Byte positions (`u32`, one more than ids), then the text; dimensions: ids, bytes of text.
    Items,
    /// As items.
    Categories,
    /// One `u32` an item; dimensions: items.
    ItemCategory,
    /// Dimensions: bytes.
    Card,
    /// `f32`; dimensions: the tensor's.
    Tensor(TensorSpec),
    /// A table of items or categories in fewer bytes; dimensions: the tensor's.
    Compact(TensorSpec, Precision),
}

/// A section that a model must have at its place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Section {
    pub(crate) content: Content,
    /// Unused dimensions are 0.
    pub(crate) dims: [u64; 2],
}

impl Section {
    pub(crate) fn name(&self) -> &'static str {
        match self.content {
            Content::Settings => "settings",
            Content::Items => "items",
            Content::Categories => "categories",
            Content::ItemCategory => "item_category",
            Content::Card => "card",
            Content::Tensor(spec) => spec.name,
            Content::Compact(spec, precision) => precision.section_of(spec.name).unwrap_or(spec.name),
        }
    }

    /// The bytes that the dimensions take, without padding; `None` on overflow.
    pub(crate) fn bytes(&self) -> Option<u64> {
        let [first, second] = self.dims;
        match self.content {
            Content::Items | Content::Categories => first.checked_add(1)?.checked_mul(4)?.checked_add(second),
            Content::Settings | Content::ItemCategory => first.checked_mul(4),
            Content::Card => Some(first),
            Content::Tensor(TensorSpec { shape: Shape::Vector(_), .. }) => first.checked_mul(4),
            Content::Tensor(_) => first.checked_mul(second)?.checked_mul(4),
            Content::Compact(_, Precision::Int8) => first.checked_mul(second.checked_add(4)?),
            Content::Compact(..) => first.checked_mul(second)?.checked_mul(2),
        }
    }
}

fn tensor_section(spec: TensorSpec, precision: Precision) -> Section {
    let dims = match spec.shape {
        Shape::Vector(n) => [n as u64, 0],
        Shape::Matrix(rows, columns) => [rows as u64, columns as u64],
    };
    let content = match precision.section_of(spec.name) {
        Some(_) => Content::Compact(spec, precision),
        None => Content::Tensor(spec),
    };
    Section { content, dims }
}

pub(crate) const SETTINGS_SECTION: Section = Section { content: Content::Settings, dims: [SETTINGS_FIELDS as u64, 0] };

/// Dimensions that settings do not imply.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FreeDims {
    /// Number of items, bytes of their ids.
    pub(crate) items: [u64; 2],
    /// Number of categories, bytes of their ids.
    pub(crate) categories: [u64; 2],
    /// Bytes of the card.
    pub(crate) card: u64,
}

/// The sections before the tensors.
fn leading_sections(settings: &Settings, free: &FreeDims) -> Vec<Section> {
    let section = |content, dims| Section { content, dims };
    let mut sections = vec![SETTINGS_SECTION, section(Content::Items, free.items)];
    if settings.categories {
        sections.push(section(Content::Categories, free.categories));
        sections.push(section(Content::ItemCategory, [free.items[0], 0]));
    }
    sections.push(section(Content::Card, [free.card, 0]));
    sections
}

/// All sections of a model in the order of the file.
pub(crate) fn expected_sections(
    settings: &Settings,
    counts: Counts,
    free: &FreeDims,
    precision: Precision,
) -> Vec<Section> {
    let mut sections = leading_sections(settings, free);
    let tensors = expected_tensors(settings, counts);
    sections.extend(tensors.into_iter().map(|spec| tensor_section(spec, precision)));
    sections
}

/// How a file of `version` keeps its tables: the section of `V` tells by its name.
fn precision_of(version: u32, entries: &[Entry]) -> Precision {
    let is_int8 = |entry: &Entry| Precision::Int8.section_of("V").is_some_and(|name| entry.is_named(name));
    match version {
        VERSION_F32 => Precision::F32,
        _ if entries.iter().any(is_int8) => Precision::Int8,
        _ => Precision::Bf16,
    }
}

/// Holds an index against the version and the settings: names, order, dimensions, lengths. Gives the sections that stand
/// there.
pub(crate) fn check_index(
    version: u32,
    settings: &Settings,
    entries: &[Entry],
) -> Result<Vec<Section>, ModelFileError> {
    let unknown = FreeDims { items: [0; 2], categories: [0; 2], card: 0 };
    let mut free = unknown;
    for (position, section) in leading_sections(settings, &unknown).iter().enumerate() {
        let entry = named(entries, position, section.name())?;
        match section.content {
            Content::Items => free.items = entry.dims,
            Content::Categories => free.categories = entry.dims,
            Content::Card => free.card = entry.dims[0],
            _ => {}
        }
    }
    let counts = Counts {
        items: id_count("items", free.items)?,
        categories: match settings.categories {
            true => id_count("categories", free.categories)?,
            false => 0,
        },
    };
    let sections = expected_sections(settings, counts, &free, precision_of(version, entries));
    for (position, section) in sections.iter().enumerate() {
        let name = section.name();
        let entry = named(entries, position, name)?;
        if entry.dims != section.dims {
            return Err(ModelFileError::SectionShape {
                section: name,
                expected: section.dims.to_vec(),
                found: entry.dims.to_vec(),
            });
        }
        let expected = section.bytes().ok_or(ModelFileError::Overflow { section: name })?;
        if entry.length != expected {
            return Err(ModelFileError::SectionLength { section: name, expected, found: entry.length });
        }
        if usize::try_from(expected).is_err() {
            return Err(ModelFileError::TooLarge { section: name, bytes: expected });
        }
    }
    match entries.get(sections.len()) {
        None => Ok(sections),
        Some(extra) => {
            Err(ModelFileError::SectionName { section: sections.len(), expected: "nothing", found: extra.name() })
        }
    }
}

fn named<'a>(entries: &'a [Entry], section: usize, expected: &'static str) -> Result<&'a Entry, ModelFileError> {
    match entries.get(section) {
        Some(entry) if entry.is_named(expected) => Ok(entry),
        other => Err(ModelFileError::SectionName {
            section,
            expected,
            found: other.map_or_else(|| "nothing".to_owned(), Entry::name),
        }),
    }
}

/// Number of ids, bounded so that an index fits a `u32`; the text so that a position in it does.
fn id_count(section: &'static str, [count, text]: [u64; 2]) -> Result<usize, ModelFileError> {
    let ids = |error| ModelFileError::Ids { section, error };
    if count == 0 {
        return Err(ModelFileError::NoIds { section });
    }
    if text > u64::from(u32::MAX) {
        return Err(ids(IdsError::TooMuchText));
    }
    match u32::try_from(count) {
        Ok(count) if count < u32::MAX => Ok(count as usize),
        _ => Err(ids(IdsError::TooMany { count })),
    }
}

const SETTINGS_FIELDS: usize = 16;
pub(crate) const SETTINGS_BYTES: usize = 4 * SETTINGS_FIELDS;

/// The settings as `u32` fields. Valid settings have no size above 2^24.
pub(crate) fn encode_settings(s: &Settings) -> [u8; SETTINGS_BYTES] {
    let fields: [u32; SETTINGS_FIELDS] = [
        s.d as u32,
        s.hops as u32,
        s.history_cap as u32,
        s.buckets as u32,
        s.time.code(),
        s.variant.code(),
        s.block.code(),
        s.head.code(),
        s.heads as u32,
        s.ff_width as u32,
        s.head_ff_width as u32,
        u32::from(s.item_bias),
        u32::from(s.categories),
        s.block_eps.to_bits(),
        s.head_eps.to_bits(),
        s.last.code(),
    ];
    let mut out = [0; SETTINGS_BYTES];
    for (bytes, field) in out.as_chunks_mut::<4>().0.iter_mut().zip(fields) {
        *bytes = field.to_le_bytes();
    }
    out
}

/// Reads and validates what [`encode_settings`] wrote.
pub(crate) fn decode_settings(bytes: &[u8; SETTINGS_BYTES]) -> Result<Settings, SettingsError> {
    let mut fields = [0; SETTINGS_FIELDS];
    for (field, bytes) in fields.iter_mut().zip(bytes.as_chunks::<4>().0) {
        *field = u32::from_le_bytes(*bytes);
    }
    let [
        d,
        hops,
        history_cap,
        buckets,
        time,
        variant,
        block,
        head,
        heads,
        ff_width,
        head_ff_width,
        bias,
        categories,
        block_eps,
        head_eps,
        last,
    ] = fields;
    let unknown = |setting, code| SettingsError::Code { setting, code };
    let flag = |setting, code| match code {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(unknown(setting, code)),
    };
    let settings = Settings {
        d: d as usize,
        hops: hops as usize,
        history_cap: history_cap as usize,
        buckets: buckets as usize,
        time: TimeKind::from_code(time).ok_or(unknown("time", time))?,
        variant: Variant::from_code(variant).ok_or(unknown("variant", variant))?,
        last: LastEvent::from_code(last).ok_or(unknown("last", last))?,
        block: Block::from_code(block).ok_or(unknown("block", block))?,
        head: Head::from_code(head).ok_or(unknown("head", head))?,
        heads: heads as usize,
        layers: Settings::default().layers,
        ff_width: ff_width as usize,
        head_ff_width: head_ff_width as usize,
        item_bias: flag("item_bias", bias)?,
        categories: flag("categories", categories)?,
        block_eps: f32::from_bits(block_eps),
        head_eps: f32::from_bits(head_eps),
    };
    settings.validate()?;
    Ok(settings)
}
