//! A trained model in memory: settings, ids, tensors and card, all checked.

use std::ops::Deref;

use super::aligned::Aligned;
use super::card::Card;
use super::compact::{Compact, Precision};
use super::file::ModelFileError;
use super::ids::Ids;
use crate::spec::layout::{Counts, Shape, TensorSpec, expected_tensors};
use crate::spec::settings::Settings;

/// Everything that makes a model, not yet checked. [`Model::from_parts`] checks it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ModelParts {
    /// Dimensions and choices.
    pub settings: Settings,
    /// Ids of the items.
    pub items: Ids,
    /// Ids of the categories; empty without [`Settings::categories`].
    pub categories: Ids,
    /// The category of each item; empty without [`Settings::categories`].
    pub item_category: Vec<u32>,
    /// Where the model comes from.
    pub card: Card,
    /// Name and values (row-major) of each tensor of [`expected_tensors`], in any order.
    pub tensors: Vec<(String, Vec<f32>)>,
}

/// A trained DMRAN whose every rule has been checked: all tensors are there with their shapes, all weights are finite,
/// ids are sorted, category indices exist.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    settings: Settings,
    items: Ids,
    categories: Ids,
    item_category: Vec<u32>,
    card: Card,
    /// In the order of [`expected_tensors`].
    tensors: Vec<Tensor>,
}

/// One tensor of a model.
#[derive(Debug, Clone)]
pub struct Tensor {
    spec: TensorSpec,
    weights: Weights,
    /// The stored form of the weights, where it is another than `f32`.
    compact: Option<Compact>,
}

/// Where the values of a tensor lie.
#[derive(Debug, Clone)]
pub(crate) enum Weights {
    Owned(Aligned),
    #[cfg(feature = "mmap")]
    Mapped(super::map::MappedWeights),
}

impl Weights {
    /// Whether they stand in this process's own memory.
    fn is_owned(&self) -> bool {
        matches!(self, Self::Owned(_))
    }
}

impl Deref for Weights {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match self {
            Weights::Owned(values) => values,
            #[cfg(feature = "mmap")]
            Weights::Mapped(values) => values.values(),
        }
    }
}

impl Tensor {
    pub(crate) fn new(spec: TensorSpec, weights: Weights) -> Tensor {
        Tensor { spec, weights, compact: None }
    }

    /// A table of rows in fewer bytes, with its values widened beside it.
    pub(crate) fn of_compact(spec: TensorSpec, compact: Compact) -> Tensor {
        let weights = Weights::Owned(compact.widen(row_width(spec.shape)));
        Tensor { spec, weights, compact: Some(compact) }
    }

    /// The stored form, where it is another than `f32`.
    pub(super) fn compact(&self) -> Option<&Compact> {
        self.compact.as_ref()
    }

    /// Its name, for example `W_s5`.
    pub fn name(&self) -> &'static str {
        self.spec.name
    }

    /// Its shape.
    pub fn shape(&self) -> Shape {
        self.spec.shape
    }

    /// Whether its values were copied, not mapped.
    pub(super) fn is_owned(&self) -> bool {
        self.weights.is_owned()
    }

    /// Its values, row-major.
    pub fn values(&self) -> &[f32] {
        &self.weights
    }
}

impl PartialEq for Tensor {
    fn eq(&self, other: &Self) -> bool {
        self.spec == other.spec && *self.weights == *other.weights && self.compact == other.compact
    }
}

impl Model {
    /// Checks the parts and makes a model of them.
    ///
    /// # Errors
    /// The first rule that is broken: settings, card, numbers of ids and categories, a category that does not exist, a
    /// tensor that is missing, unknown, of the wrong length or not finite.
    pub fn from_parts(parts: ModelParts) -> Result<Model, ModelFileError> {
        let ModelParts { settings, items, categories, item_category, card, tensors: mut given } = parts;
        settings.validate()?;
        card.validate()?;
        if items.is_empty() {
            return Err(ModelFileError::NoIds { section: "items" });
        }
        if settings.categories {
            if categories.is_empty() {
                return Err(ModelFileError::NoIds { section: "categories" });
            }
            check_item_category(&item_category, items.len(), categories.len())?;
        } else if !categories.is_empty() || !item_category.is_empty() {
            return Err(ModelFileError::UnexpectedCategories);
        }
        let counts = Counts { items: items.len(), categories: categories.len() };
        let mut tensors = Vec::new();
        for spec in expected_tensors(&settings, counts) {
            let tensor = spec.name;
            let at = given.iter().position(|(name, _)| name == tensor);
            let at = at.ok_or(ModelFileError::MissingTensor { tensor })?;
            let (_, values) = given.swap_remove(at);
            if spec.shape.checked_len() != Some(values.len()) {
                return Err(ModelFileError::TensorLength { tensor, expected: spec.shape, found: values.len() });
            }
            check_finite(tensor, &values)?;
            tensors.push(Tensor::new(spec, Weights::Owned(Aligned::from(&values[..]))));
        }
        if let Some((tensor, _)) = given.pop() {
            return Err(ModelFileError::UnknownTensor { tensor });
        }
        Ok(Model { settings, items, categories, item_category, card, tensors })
    }

    /// Takes parts that the reader has checked already.
    pub(crate) fn from_checked(
        settings: Settings,
        items: Ids,
        categories: Ids,
        item_category: Vec<u32>,
        card: Card,
        tensors: Vec<Tensor>,
    ) -> Model {
        Model { settings, items, categories, item_category, card, tensors }
    }

    /// Dimensions and choices.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Ids of the items; an item's index is its row in `V`.
    pub fn items(&self) -> &Ids {
        &self.items
    }

    /// Ids of the categories; empty without [`Settings::categories`].
    pub fn categories(&self) -> &Ids {
        &self.categories
    }

    /// The category of each item; empty without [`Settings::categories`].
    pub fn item_category(&self) -> &[u32] {
        &self.item_category
    }

    /// The category of an item, where the model has categories and the item exists.
    pub fn category_of(&self, item: u32) -> Option<&str> {
        let category = *self.item_category().get(item as usize)?;
        self.categories().get(category as usize)
    }

    /// Where the model comes from.
    pub fn card(&self) -> &Card {
        &self.card
    }

    /// Numbers of items and categories.
    pub fn counts(&self) -> Counts {
        Counts { items: self.items.len(), categories: self.categories.len() }
    }

    /// All tensors in the order of [`expected_tensors`].
    pub fn tensors(&self) -> &[Tensor] {
        &self.tensors
    }

    /// The values of one tensor, row-major; `None` where the model has no tensor of that name.
    pub fn tensor(&self, name: &str) -> Option<&[f32]> {
        let tensor = self.tensors.iter().find(|tensor| tensor.name() == name);
        tensor.map(Tensor::values)
    }
}

impl Model {
    /// How the tables of items and categories are stored.
    pub fn precision(&self) -> Precision {
        self.compact("V").map_or(Precision::F32, Compact::precision)
    }

    /// The model with the tables `V` and `C` rounded to `precision` and everything else as it is. Numbers that were
    /// rounded before do not become finer again: from a compact model, [`Precision::F32`] keeps its values.
    pub fn with_precision(mut self, precision: Precision) -> Model {
        for tensor in &mut self.tensors {
            if Precision::is_table(tensor.name()) && tensor.compact().map(Compact::precision) != Some(precision) {
                match Compact::round(precision, row_width(tensor.shape()), tensor.values()) {
                    Some(compact) => *tensor = Tensor::of_compact(tensor.spec, compact),
                    None => tensor.compact = None,
                }
            }
        }
        self
    }

    /// The stored form of a table, where it is another than `f32`.
    pub(super) fn compact(&self, name: &str) -> Option<&Compact> {
        self.tensors.iter().find(|tensor| tensor.name() == name)?.compact()
    }
}

fn row_width(shape: Shape) -> usize {
    match shape {
        Shape::Vector(_) => 1,
        Shape::Matrix(_, columns) => columns,
    }
}

/// One category for each item, each of them existing.
pub(crate) fn check_item_category(
    item_category: &[u32],
    items: usize,
    categories: usize,
) -> Result<(), ModelFileError> {
    if item_category.len() != items {
        return Err(ModelFileError::CategoryCount { items, found: item_category.len() });
    }
    let missing = |&category: &u32| category as usize >= categories;
    match item_category.iter().position(missing) {
        None => Ok(()),
        Some(item) => Err(ModelFileError::CategoryIndex { item, category: item_category[item], categories }),
    }
}

/// No NaN, no infinity.
pub(crate) fn check_finite(tensor: &'static str, values: &[f32]) -> Result<(), ModelFileError> {
    // Without an early exit inside a block, so that the loop is done in vectors.
    const BLOCK: usize = 1024;
    for (block, values) in values.chunks(BLOCK).enumerate() {
        if !values.iter().fold(true, |ok, v| ok & v.is_finite()) {
            let within = values.iter().position(|v| !v.is_finite()).unwrap_or(0);
            return Err(ModelFileError::NotFinite { tensor, index: block * BLOCK + within, value: values[within] });
        }
    }
    Ok(())
}
