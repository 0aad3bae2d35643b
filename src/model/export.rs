//! A trained [`Dmran`] as the scorer's [`Model`] (what the model file holds), and back: tensor by tensor, by name.

use crate::model::Dmran;
use crate::model::Model as _;
use crate::params::Params;
use crate::scorer::{Card, Counts, Ids, Model, ModelFileError, ModelParts, Settings, SettingsError, expected_tensors};

/// What a model file holds beside the trained numbers.
#[derive(Clone, Debug, Default)]
pub struct Labels {
    /// Names of the items, in the order of their rows.
    pub items: Ids,
    /// Names of the categories; left out where the settings have none.
    pub categories: Ids,
    /// Category of each item; left out where the settings have none.
    pub item_category: Vec<u32>,
    /// Where the model comes from.
    pub card: Card,
}

/// The scorer's model of some trained numbers: the values themselves, bit for bit.
///
/// # Errors
/// [`ModelFileError`] for a rule of the model file that is broken: weights that are not finite, a tensor that the
/// settings ask for and `params` lacks, labels of another length.
pub fn to_model(settings: &Settings, params: &Params, labels: Labels) -> Result<Model, ModelFileError> {
    let Labels { items, mut categories, mut item_category, card } = labels;
    if !settings.categories {
        categories = Ids::default();
        item_category.clear();
    }
    let counts = Counts { items: items.len(), categories: categories.len() };
    let values = |name: &str| match params.find_table(name) {
        Some(id) => Some(params.table(id).data.clone()),
        None => params.find(name).map(|id| params.get(id).to_vec()),
    };
    let tensors = expected_tensors(settings, counts)
        .into_iter()
        .filter_map(|spec| Some((spec.name.to_owned(), values(spec.name)?)))
        .collect();
    Model::from_parts(ModelParts { settings: settings.clone(), items, categories, item_category, card, tensors })
}

/// The trainable model with a scorer model's numbers, bit for bit.
///
/// # Errors
/// [`SettingsError`] for settings that a checked model cannot have.
pub fn from_model(model: &Model) -> Result<Dmran, SettingsError> {
    let Counts { items, categories } = model.counts();
    let mut dmran = Dmran::new(model.settings().clone(), items, categories, model.item_category().to_vec())?;
    let params = dmran.params_mut();
    for tensor in model.tensors() {
        let to = match (params.find_table(tensor.name()), params.find(tensor.name())) {
            (Some(id), _) => &mut params.table_mut(id).data[..],
            (None, Some(id)) => params.get_mut(id),
            (None, None) => continue,
        };
        to.copy_from_slice(tensor.values());
    }
    Ok(dmran)
}
