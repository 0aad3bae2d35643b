//! What the baselines share: layers on either engine, starting values.

use super::init::normal;
use super::{Batch, Items, Sizes, Start};
use crate::autograd::ops;
use crate::autograd::params::{Form, ParamId, Params, TableId};
use crate::autograd::tape::{Engine, Graph};
use crate::autograd::var::Var;
use crate::scorer::Settings;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// Adds weights and fills each at once; the order of adding is the order of drawing.
pub(super) struct Builder {
    pub params: Params,
    rng: ChaCha8Rng,
    table_std: Option<f32>,
}

/// A dense layer's weights.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layer {
    w: ParamId,
    b: ParamId,
}

impl Builder {
    pub fn new(start: Start) -> Builder {
        let Start { seed, table_std } = start;
        Builder { params: Params::default(), rng: ChaCha8Rng::seed_from_u64(seed), table_std }
    }

    /// A table that starts uniform after Glorot over its whole shape, or normal where the start says so.
    pub fn table(&mut self, name: &str, rows: usize, cols: usize) -> TableId {
        let id = self.params.add_table(name, rows, cols);
        let values = &mut self.params.table_mut(id).data;
        match self.table_std {
            Some(std) => normal(&mut self.rng, std, values),
            None => uniform(&mut self.rng, rows + cols, values),
        }
        id
    }

    /// A matrix that starts uniform after Glorot, where it is a part of a matrix of `fan` rows and columns together.
    pub fn matrix(&mut self, name: &str, rows: usize, cols: usize, fan: usize) -> ParamId {
        let id = self.params.add(name, rows, cols, Form::Packed);
        uniform(&mut self.rng, fan, self.params.get_mut(id));
        id
    }

    /// A matrix that starts normal with a standard deviation of `std`, cut off at two of them.
    pub fn truncated_normal(&mut self, name: &str, rows: usize, cols: usize, std: f32) -> ParamId {
        let id = self.params.add(name, rows, cols, Form::Packed);
        for x in self.params.get_mut(id) {
            let mut drawn = [f32::INFINITY];
            while drawn[0].abs() > 2.0 * std {
                normal(&mut self.rng, std, &mut drawn);
            }
            *x = drawn[0];
        }
        id
    }

    /// A vector of equal numbers.
    pub fn vector(&mut self, name: &str, len: usize, value: f32) -> ParamId {
        let id = self.params.add(name, 1, len, Form::Plain);
        self.params.get_mut(id).fill(value);
        id
    }

    /// `W_name` `[n, k]` and `b_name`.
    pub fn layer(&mut self, name: &str, n: usize, k: usize) -> Layer {
        self.layer_of("", name, n, k)
    }

    /// As [`Builder::layer`], with the name of a part of the model before both.
    pub fn layer_of(&mut self, part: &str, name: &str, n: usize, k: usize) -> Layer {
        let w = self.matrix(&format!("{part}W_{name}"), n, k, n + k);
        Layer { w, b: self.vector(&format!("{part}b_{name}"), n, 0.0) }
    }
}

/// Uniform numbers whose bound is `sqrt(6 / fan)`.
fn uniform(rng: &mut ChaCha8Rng, fan: usize, out: &mut [f32]) {
    let bound = (6.0 / fan as f32).sqrt();
    out.iter_mut().for_each(|x| *x = rng.random_range(-bound..bound));
}

/// Tables of the items: `V` (d wide, or d/2 beside a `C` of d/2 where items have categories) and `bias`, which starts
/// at 0.
///
/// # Panics
/// If the settings ask for categories and `sizes` does not name one for each item.
pub(super) fn items(builder: &mut Builder, settings: &Settings, sizes: &Sizes) -> Items {
    let d = settings.d;
    let mut item_category = vec![];
    if settings.categories {
        let of = &sizes.item_category;
        assert_eq!(of.len(), sizes.items, "one category for each item");
        assert!(of.iter().all(|c| (*c as usize) < sizes.categories), "categories below {}", sizes.categories);
        item_category.clone_from(of);
        builder.table("V", sizes.items, d / 2);
        builder.table("C", sizes.categories, d / 2);
    } else {
        builder.table("V", sizes.items, d);
    }
    if settings.item_bias {
        builder.params.add_table("bias", sizes.items, 1);
    }
    Items::of(&builder.params, item_category).expect("V was just added")
}

impl Layer {
    /// `x W^T + b`.
    pub fn apply(self, g: &mut Graph<'_>, x: Var) -> Var {
        match g.engine {
            Engine::Fused => ops::dense(g, x, self.w, Some(self.b), false),
            Engine::Naive => ops::linear(g, x, g.param(self.w), Some(g.param(self.b))),
        }
    }

    /// `relu(x W^T + b)`.
    pub fn apply_relu(self, g: &mut Graph<'_>, x: Var) -> Var {
        match g.engine {
            Engine::Fused => ops::dense(g, x, self.w, Some(self.b), true),
            Engine::Naive => {
                let y = self.apply(g, x);
                ops::relu(g, y)
            }
        }
    }
}

/// ATRank's first layer: `W_v x + T[bucket] + b`, a dense layer of the item vector and the one-hot time bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeLayer {
    items: Layer,
    buckets: Option<ParamId>,
}

impl TimeLayer {
    pub fn new(builder: &mut Builder, settings: &Settings) -> TimeLayer {
        let d = settings.d;
        let one_hot = if settings.uses_time() { settings.buckets } else { 0 };
        let w = builder.matrix("W_v", d, d, 2 * d + one_hot);
        let buckets = settings.uses_time().then(|| {
            // Rows of W^T: not packed, as no product is taken with them.
            let id = builder.params.add("T", one_hot, d, Form::Plain);
            uniform(&mut builder.rng, 2 * d + one_hot, builder.params.get_mut(id));
            id
        });
        TimeLayer { items: Layer { w, b: builder.vector("b_v", d, 0.0) }, buckets }
    }

    pub fn apply(&self, g: &mut Graph<'_>, x: Var, batch: &Batch<'_>) -> Var {
        let h = self.items.apply(g, x);
        match self.buckets {
            Some(t) => {
                let bucket = g.index(batch.buckets.iter().copied());
                let rows = ops::select_rows(g, g.param(t), bucket);
                ops::add(g, h, rows)
            }
            None => h,
        }
    }
}
