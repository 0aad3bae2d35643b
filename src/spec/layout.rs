//! Which tensors a model has, in which order and with which shapes: the one place that knows.

use std::fmt;

use super::settings::{Head, Settings};

/// One or two dimensions of an `f32` tensor, row-major.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum Shape {
    /// A vector of so many numbers.
    Vector(usize),
    /// Rows and columns.
    Matrix(usize, usize),
}

impl Shape {
    /// The dimensions as a list; a vector has one row.
    pub fn rows_columns(self) -> (usize, usize) {
        match self {
            Shape::Vector(columns) => (1, columns),
            Shape::Matrix(rows, columns) => (rows, columns),
        }
    }

    /// How many numbers the tensor has, or `None` where that overflows.
    pub fn checked_len(self) -> Option<usize> {
        let (rows, columns) = self.rows_columns();
        rows.checked_mul(columns)
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Vector(n) => f.pad(&format!("[{n}]")),
            Shape::Matrix(rows, columns) => f.pad(&format!("[{rows}, {columns}]")),
        }
    }
}

impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Name and shape of one tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TensorSpec {
    /// The paper's symbol, with the part of the model before it where there are several: `W_s5`, `block.ln1.g`,
    /// `hhat.W_q`.
    pub name: &'static str,
    /// Its shape. A matrix `W` is `[out, in]`: it is applied as `y = W x`.
    pub shape: Shape,
}

/// How many rows the embedding tables have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// I, the number of items.
    pub items: usize,
    /// The number of categories; read only with [`Settings::categories`].
    pub categories: usize,
}

/// What a candidate attends over: the rows of `M` or those of `Mhat'`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// `M`, whose reading is h (eq 14).
    H,
    /// `Mhat'`, whose reading is hhat (eq 15).
    HHat,
}

/// The names of the tensors of [`Head::Atrank`] for one stream.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)] // each field is named as the tensor is
pub struct HeadNames {
    pub w_q: &'static str,
    pub b_q: &'static str,
    pub w_k: &'static str,
    pub b_k: &'static str,
    pub w_u: &'static str,
    pub b_u: &'static str,
    pub ln1_g: &'static str,
    pub ln1_b: &'static str,
    pub w_1: &'static str,
    pub b_1: &'static str,
    pub w_2: &'static str,
    pub b_2: &'static str,
    pub ln2_g: &'static str,
    pub ln2_b: &'static str,
}

macro_rules! head_names {
    ($prefix:literal) => {
        HeadNames {
            w_q: concat!($prefix, ".W_q"),
            b_q: concat!($prefix, ".b_q"),
            w_k: concat!($prefix, ".W_k"),
            b_k: concat!($prefix, ".b_k"),
            w_u: concat!($prefix, ".W_u"),
            b_u: concat!($prefix, ".b_u"),
            ln1_g: concat!($prefix, ".ln1.g"),
            ln1_b: concat!($prefix, ".ln1.b"),
            w_1: concat!($prefix, ".W_1"),
            b_1: concat!($prefix, ".b_1"),
            w_2: concat!($prefix, ".W_2"),
            b_2: concat!($prefix, ".b_2"),
            ln2_g: concat!($prefix, ".ln2.g"),
            ln2_b: concat!($prefix, ".ln2.b"),
        }
    };
}

impl Stream {
    /// The tensor names of this stream's head.
    pub const fn head_names(self) -> HeadNames {
        match self {
            Stream::H => head_names!("h"),
            Stream::HHat => head_names!("hhat"),
        }
    }
}

impl Settings {
    /// The streams that the variant reads, in the order of their tensors.
    pub fn streams(&self) -> &'static [Stream] {
        match (self.has_item_attention(), self.has_feature_attention()) {
            (true, false) => &[Stream::H],
            (false, _) => &[Stream::HHat],
            (true, true) => &[Stream::H, Stream::HHat],
        }
    }
}

/// The tensors of a model with these settings, in the order of the model file.
///
/// | tensors | shape | when |
/// |---|---|---|
/// | `V` | `[I, d]` | no categories |
/// | `V`, `C` | `[I, d/2]`, `[categories, d/2]` | categories |
/// | `bias` | `[I]` | item bias |
/// | `T`; `W_t` | `[K, d]`; `[d, d]` | the model uses time |
/// | `W_v`, `b_d` | `[d, d]`, `[d]` | always (eq 1, `W_d = [W_v W_t]`) |
/// | `W_s1`, `W_s2` | `[d, d]`, `[r, d]` | item level attention (eq 7) |
/// | `W_s3`, `W_s4`, `b_s2`, `W_s5` | `[d, d]`, `b_s2` `[d]` | feature level attention (eq 9) |
/// | `W_f1`, `W_f2`, `b_f` | `[d, d]`, `[d, d]`, `[d]` | gate (eq 16): both attentions |
/// | `W_r` | `[d, R d]`, R the rows of M | head `rows` and item level attention |
/// | `block.*` | `W_1` `[ff, d]`, `W_2` `[d, ff]` | block `transformer` and feature level attention |
/// | `h.*`, `hhat.*` | `W_1` `[head_ff, d]`, `W_2` `[d, head_ff]` | head `atrank`, each stream of the variant |
pub fn expected_tensors(settings: &Settings, counts: Counts) -> Vec<TensorSpec> {
    use Shape::{Matrix, Vector};
    let d = settings.d;
    let square = Matrix(d, d);
    let mut specs = Vec::with_capacity(48);
    let mut add = |name, shape| specs.push(TensorSpec { name, shape });

    if settings.categories {
        add("V", Matrix(counts.items, d / 2));
        add("C", Matrix(counts.categories, d / 2));
    } else {
        add("V", Matrix(counts.items, d));
    }
    if settings.item_bias {
        add("bias", Vector(counts.items));
    }
    if settings.uses_time() {
        add("T", Matrix(settings.buckets, d));
    }
    add("W_v", square);
    if settings.uses_time() {
        add("W_t", square);
    }
    add("b_d", Vector(d));
    if settings.has_item_attention() {
        add("W_s1", square);
        add("W_s2", Matrix(settings.hops, d));
    }
    if settings.has_feature_attention() {
        add("W_s3", square);
        add("W_s4", square);
        add("b_s2", Vector(d));
        add("W_s5", square);
    }
    if settings.has_gate() {
        add("W_f1", square);
        add("W_f2", square);
        add("b_f", Vector(d));
    }
    if settings.has_row_map() {
        add("W_r", Matrix(d, settings.rows() * d));
    }
    if settings.has_block() {
        add("block.ln1.g", Vector(d));
        add("block.ln1.b", Vector(d));
        add("block.W_1", Matrix(settings.ff_width, d));
        add("block.b_1", Vector(settings.ff_width));
        add("block.W_2", Matrix(d, settings.ff_width));
        add("block.b_2", Vector(d));
        add("block.ln2.g", Vector(d));
        add("block.ln2.b", Vector(d));
    }
    if settings.head == Head::Atrank {
        for stream in settings.streams() {
            let names = stream.head_names();
            add(names.w_q, square);
            add(names.b_q, Vector(d));
            add(names.w_k, square);
            add(names.b_k, Vector(d));
            add(names.w_u, square);
            add(names.b_u, Vector(d));
            add(names.ln1_g, Vector(d));
            add(names.ln1_b, Vector(d));
            add(names.w_1, Matrix(settings.head_ff_width, d));
            add(names.b_1, Vector(settings.head_ff_width));
            add(names.w_2, Matrix(d, settings.head_ff_width));
            add(names.b_2, Vector(d));
            add(names.ln2_g, Vector(d));
            add(names.ln2_b, Vector(d));
        }
    }
    specs
}

#[cfg(test)]
mod tests {
    use super::super::settings::{Block, TimeKind, Variant};
    use super::*;

    const COUNTS: Counts = Counts { items: 9, categories: 4 };

    fn names(settings: &Settings) -> Vec<&'static str> {
        let specs = expected_tensors(settings, COUNTS);
        specs.iter().map(|spec| spec.name).collect()
    }

    #[test]
    fn the_full_model_has_them_all() {
        let settings = Settings { categories: true, ..Settings::default() };
        let specs = expected_tensors(&settings, COUNTS);
        assert_eq!(specs.len(), 16 + 8 + 2 * 14);
        let shape = |name| specs.iter().find(|s| s.name == name).map(|s| s.shape);
        assert_eq!(shape("V"), Some(Shape::Matrix(9, 64)));
        assert_eq!(shape("C"), Some(Shape::Matrix(4, 64)));
        assert_eq!(shape("T"), Some(Shape::Matrix(14, 128)));
        assert_eq!(shape("W_s2"), Some(Shape::Matrix(10, 128)));
        assert_eq!(shape("hhat.W_2"), Some(Shape::Matrix(128, 32)));
        let mut sorted: Vec<_> = specs.iter().map(|s| s.name).collect();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), specs.len(), "each name stands once");
    }

    #[test]
    fn ablations_leave_out_their_parts() {
        let bare = Settings { head: Head::Vanilla, block: Block::Plain, item_bias: false, ..Settings::default() };
        let with = |variant| Settings { variant, ..bare.clone() };
        assert_eq!(names(&with(Variant::Item)), ["V", "T", "W_v", "W_t", "b_d", "W_s1", "W_s2"]);
        assert_eq!(names(&with(Variant::Feature)), ["V", "T", "W_v", "W_t", "b_d", "W_s3", "W_s4", "b_s2", "W_s5"]);
        assert_eq!(
            names(&with(Variant::NoTime)),
            ["V", "W_v", "b_d", "W_s1", "W_s2", "W_s3", "W_s4", "b_s2", "W_s5", "W_f1", "W_f2", "b_f"]
        );
        let timeless = Settings { time: TimeKind::None, ..bare.clone() };
        assert_eq!(names(&timeless), names(&with(Variant::NoTime)));
    }

    #[test]
    fn ablations_with_block_and_heads() {
        let with = |variant| names(&Settings { variant, ..Settings::default() });
        let count = |names: &[&str], start: &str| names.iter().filter(|n| n.starts_with(start)).count();
        let item = with(Variant::Item);
        assert_eq!([count(&item, "block."), count(&item, "h."), count(&item, "hhat.")], [0, 14, 0]);
        let feature = with(Variant::Feature);
        assert_eq!([count(&feature, "block."), count(&feature, "h."), count(&feature, "hhat.")], [8, 0, 14]);
    }
}
