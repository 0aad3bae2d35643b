//! CNN+Pooling: convolutions of widths 1 to 10 over the history, maximum over time.

use super::baseline::{self, Builder, Layer, TimeLayer};
use super::recipes::{RIVAL, SOFTMAX};
use super::registry::{Entry, Kind, Recipes};
use super::{Batch, Items, Model, Output, Sizes, Start, Users};
use crate::autograd::ops;
use crate::autograd::params::{ParamId, Params};
use crate::autograd::tape::Graph;
use crate::scorer::Settings;

/// What the program knows of it beside the network.
pub const ENTRY: Entry = Entry {
    kind: Kind::CnnPooling,
    name: "cnn-pooling",
    title: "CNN+Pooling",
    help: "convolutions over the history, maximum over time",
    build: Some(|settings, sizes, start| Ok(Box::new(CnnPooling::new(settings, sizes, start)))),
    recipes: Recipes { everyday: &[SOFTMAX], ..RIVAL },
    paper: [Some(0.8804), Some(0.6696)],
};

/// The widest convolution; there is one of each width from 1 on.
pub const WIDTHS: usize = 10;
/// Filters of each width.
pub const FILTERS: usize = 32;
/// The taps' start: normal, cut off at twice this standard deviation. ATRank's code has the same, and [`BIAS`].
const STD: f32 = 0.1;
/// The filters' bias at the start.
const BIAS: f32 = 0.1;

/// `u = W_u conv_max(h) + b_u` with `h_t = W_v x_t + T[bucket_t] + b_v`; see [`conv_max`](mod@crate::autograd::ops::conv_max)
/// for how histories shorter than a filter are treated.
///
/// The l2 term counts `u` once for each candidate, as ATRank's code does, which has a row for each of them.
#[derive(Clone, Debug)]
pub struct CnnPooling {
    params: Params,
    items: Items,
    first: TimeLayer,
    taps: [ParamId; WIDTHS],
    bias: ParamId,
    out: Layer,
    uses_time: bool,
}

impl CnnPooling {
    /// The model with its starting values.
    ///
    /// # Panics
    /// If the settings ask for categories and `sizes` does not name one for each item.
    pub fn new(settings: &Settings, sizes: &Sizes, start: Start) -> CnnPooling {
        CnnPooling::with_filters(settings, sizes, start, FILTERS)
    }

    /// As [`CnnPooling::new`], with another number of filters of each width.
    ///
    /// # Panics
    /// As [`CnnPooling::new`].
    pub fn with_filters(settings: &Settings, sizes: &Sizes, start: Start, filters: usize) -> CnnPooling {
        let d = settings.d;
        let mut builder = Builder::new(start);
        let items = baseline::items(&mut builder, settings, sizes);
        let first = TimeLayer::new(&mut builder, settings);
        let taps = std::array::from_fn(|tap| {
            builder.truncated_normal(&format!("conv.{tap}"), (WIDTHS - tap) * filters, d, STD)
        });
        let bias = builder.vector("conv.b", WIDTHS * filters, BIAS);
        let out = builder.layer("u", d, WIDTHS * filters);
        CnnPooling { params: builder.params, items, first, taps, bias, out, uses_time: settings.uses_time() }
    }

    /// The user vectors: what the filters find in each history.
    fn read(&self, g: &mut Graph<'_>, batch: &Batch<'_>) -> Users {
        let history = g.index(batch.history.iter().copied());
        let offsets = g.index(batch.offsets.iter().copied());
        let x = self.items.vectors(g, history);
        let x = batch.dropout.map_or(x, |rate| ops::dropout(g, x, rate));
        let h = self.first.apply(g, x, batch);
        let steps = ops::steps(g, offsets, false);
        let pooled = ops::conv_max(g, h, self.taps, self.bias, steps);
        let u = self.out.apply(g, pooled);
        Users { u, attention: None, looked_up: Some(x) }
    }
}

impl Model for CnnPooling {
    fn name(&self) -> &'static str {
        "cnn-pooling"
    }

    fn params(&self) -> &Params {
        &self.params
    }

    fn params_mut(&mut self) -> &mut Params {
        &mut self.params
    }

    fn items(&self) -> &Items {
        &self.items
    }

    fn forward(&self, g: &mut Graph<'_>, batch: &Batch<'_>) -> Output {
        let users = self.read(g, batch);
        self.items.forward(g, batch, users)
    }

    fn users(&self, g: &mut Graph<'_>, batch: &Batch<'_>) -> Option<Users> {
        Some(self.read(g, batch))
    }

    fn has_user_vectors(&self) -> bool {
        true
    }

    fn uses_time(&self) -> bool {
        self.uses_time
    }
}
