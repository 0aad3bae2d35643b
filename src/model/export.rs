//! A trained [`Dmran`] as the scorer's [`Model`] (what the model file holds), and back: tensor by tensor, by name.

use crate::autograd::params::Params;
use crate::model::Dmran;
use crate::model::Model as Trainable;
use crate::scorer::{
    Card, Counts, Ids, Model, ModelFileError, ModelParts, Scorer, ScorerOptions, Settings, SettingsError,
    expected_tensors,
};
use dmran_kernels::Level;

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
    let tensors = tensors(settings, counts, |name| values(params, name));
    Model::from_parts(ModelParts { settings: settings.clone(), items, categories, item_category, card, tensors })
}

/// The numbers of a table or weight.
fn values(params: &Params, name: &str) -> Option<Vec<f32>> {
    match params.find_table(name) {
        Some(id) => Some(params.table(id).data.to_vec()),
        None => params.find(name).map(|id| params.get(id).to_vec()),
    }
}

/// The tensors of a model of these settings, as far as `values` has them.
fn tensors(settings: &Settings, counts: Counts, values: impl Fn(&str) -> Option<Vec<f32>>) -> Vec<(String, Vec<f32>)> {
    expected_tensors(settings, counts)
        .into_iter()
        .filter_map(|spec| Some((spec.name.to_owned(), values(spec.name)?)))
        .collect()
}

/// A scorer of some trained numbers as they stand, only to rank with: items have no names, and their two halves are put
/// side by side once and for all instead of in every block of candidates. Its scores have the bits of any other scorer's.
///
/// `None` for numbers that no model file may hold: such as are not finite.
pub(crate) fn to_scorer(settings: &Settings, model: &dyn Trainable, level: Level) -> Option<Scorer> {
    let params = model.params();
    let catalogue = model.items().rows(params);
    let settings = Settings { categories: false, ..settings.clone() };
    let items = catalogue.count();
    let counts = Counts { items, categories: 0 };
    let tensors = tensors(&settings, counts, |name| match name {
        "V" => {
            let mut table = vec![0.0; items * catalogue.d()];
            catalogue.gather(0..items, &mut table);
            Some(table)
        }
        _ => values(params, name),
    });
    let names = Ids::from_sorted((0..items).map(|item| format!("{item:010}"))).ok()?;
    let model = Model::from_parts(ModelParts { settings, items: names, tensors, ..ModelParts::default() }).ok()?;
    // Precomputed products would take as much memory as the items themselves, for users who are encoded once.
    Scorer::with_options(model, ScorerOptions { level: Some(level), precompute: Some(false) }).ok()
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
