//! What a request lets be recommended.

use super::Request;
use crate::scorer::{Ids, Model, Rules, Scored};

impl Request {
    /// The rules of the request for a model. Ids and names that the model does not know change nothing, but in `allow` they
    /// are nothing to recommend.
    pub(super) fn rules(&self, model: &Model) -> Rules {
        let found =
            |names: &[String], ids: &Ids| -> Vec<u32> { names.iter().filter_map(|name| ids.find(name)).collect() };
        let mut rules = Rules::default();
        if let Some(allow) = &self.allow {
            rules = rules.only(model, found(allow, model.items()));
        }
        if !self.deny.is_empty() {
            rules = rules.without(model, found(&self.deny, model.items()));
        }
        if let Some(categories) = &self.allow_categories {
            rules = rules.only_categories(model, &found(categories, model.categories()));
        }
        if !self.deny_categories.is_empty() {
            rules = rules.without_categories(model, &found(&self.deny_categories, model.categories()));
        }
        self.per_category.into_iter().fold(rules, Rules::at_most)
    }
}

/// Strikes what breaks a rule from a sorted list.
pub(super) fn strike(ranked: &mut Vec<Scored>, rules: &Rules, model: &Model) {
    let mut counts = vec![0; model.categories().len()];
    ranked.retain(|one| {
        let category = model.item_category().get(one.item as usize);
        let (Some(cap), Some(category)) = (rules.per_category(), category) else { return rules.offers(one.item) };
        let count = &mut counts[*category as usize];
        let fits = rules.offers(one.item) && *count < cap;
        *count += usize::from(fits);
        fits
    });
}
