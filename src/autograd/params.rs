//! The trained numbers: dense weights in one flat buffer, embedding tables apart, and the packed forms of weights.

use crate::autograd::var::Var;
use crate::lines::Lines;
use dmran_kernels::Weight;
use dmran_kernels::gemm::{pack, pack_transposed, packed_len};

/// Names a dense weight of a [`Params`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParamId(pub(crate) usize);

/// How a dense weight is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Its values, and the packed forms that products of matrices read.
    Packed,
    /// Its values alone.
    Plain,
}

/// Names an embedding table of a [`Params`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TableId(pub(crate) usize);

/// A dense weight: its name, shape `[rows, cols]` and place in the flat buffer.
#[derive(Clone, Debug)]
pub struct ParamSpec {
    /// Name, as in the model file.
    pub name: String,
    /// Address and shape.
    pub var: Var,
    /// Made from other weights once a batch (see [`Params::add_derived`]); not trained, not stored.
    pub derived: bool,
    packed: Option<Packed>,
}

impl ParamSpec {
    /// Whether this is a matrix (of one row, perhaps) and not a vector: matrices are those that products run over.
    pub fn is_matrix(&self) -> bool {
        self.packed.is_some()
    }

    /// Where the weight begins in the flat buffer.
    pub fn offset(&self) -> usize {
        self.var.start
    }
}

#[derive(Clone, Copy, Debug)]
struct Packed {
    forward: usize,
    backward: usize,
}

/// An embedding table: only the rows that a batch looks up are read or written.
#[derive(Clone, Debug)]
pub struct Table {
    /// Name, as in the model file.
    pub name: String,
    /// Number of rows.
    pub rows: usize,
    /// Width of a row.
    pub cols: usize,
    /// Row-major values.
    pub data: Lines,
}

/// All weights of a model.
#[derive(Clone, Debug, Default)]
pub struct Params {
    specs: Vec<ParamSpec>,
    /// Dense weights, then derived ones.
    values: Vec<f32>,
    trained: usize,
    tables: Vec<Table>,
    packs: Vec<f32>,
    /// Whether weights have changed since their packed forms were made: the trained ones, the derived ones.
    stale: [bool; 2],
}

impl Params {
    /// Adds a dense weight of zeros, `[rows, cols]`. Matrices that fused products read are [`Form::Packed`]; call
    /// [`Params::repack`] after writing to them.
    ///
    /// # Panics
    /// If a derived weight was added before.
    pub fn add(&mut self, name: &str, rows: usize, cols: usize, form: Form) -> ParamId {
        assert_eq!(self.trained, self.values.len(), "trained weights come before derived ones");
        let id = self.push(name, rows, cols, form, false);
        self.trained = self.values.len();
        id
    }

    /// Adds room for a weight that is computed from others once a batch (for instance `W_s1 W_v`).
    pub fn add_derived(&mut self, name: &str, rows: usize, cols: usize, form: Form) -> ParamId {
        self.push(name, rows, cols, form, true)
    }

    fn push(&mut self, name: &str, rows: usize, cols: usize, form: Form, derived: bool) -> ParamId {
        let var = Var { start: self.values.len(), rows, cols };
        self.values.resize(var.start + var.len(), 0.0);
        self.stale[usize::from(derived)] |= form == Form::Packed;
        let packed = (form == Form::Packed).then(|| {
            let forward = self.packs.len();
            let backward = forward + packed_len(cols, rows);
            self.packs.resize(backward + packed_len(rows, cols), 0.0);
            Packed { forward, backward }
        });
        self.specs.push(ParamSpec { name: name.to_owned(), var, derived, packed });
        ParamId(self.specs.len() - 1)
    }

    /// Adds an embedding table of zeros.
    pub fn add_table(&mut self, name: &str, rows: usize, cols: usize) -> TableId {
        self.tables.push(Table { name: name.to_owned(), rows, cols, data: Lines::zeros(rows * cols) });
        TableId(self.tables.len() - 1)
    }

    /// Address and shape of a dense weight.
    pub fn var(&self, id: ParamId) -> Var {
        self.specs[id.0].var
    }

    /// The dense weights in order.
    pub fn specs(&self) -> &[ParamSpec] {
        &self.specs
    }

    /// The values of one dense weight.
    pub fn get(&self, id: ParamId) -> &[f32] {
        &self.values[self.var(id).range()]
    }

    /// The values of one dense weight, to write; its packed form is out of date from then on.
    pub fn get_mut(&mut self, id: ParamId) -> &mut [f32] {
        let range = self.var(id).range();
        self.stale[usize::from(self.specs[id.0].derived)] = true;
        &mut self.values[range]
    }

    /// Finds a dense weight by its name.
    pub fn find(&self, name: &str) -> Option<ParamId> {
        self.specs.iter().position(|s| s.name == name).map(ParamId)
    }

    /// Finds a table by its name.
    pub fn find_table(&self, name: &str) -> Option<TableId> {
        self.tables.iter().position(|t| t.name == name).map(TableId)
    }

    /// One table.
    pub fn table(&self, id: TableId) -> &Table {
        &self.tables[id.0]
    }

    /// One table, to write.
    pub fn table_mut(&mut self, id: TableId) -> &mut Table {
        &mut self.tables[id.0]
    }

    /// All tables.
    pub fn tables(&self) -> &[Table] {
        &self.tables
    }

    /// All tables, to write.
    pub fn tables_mut(&mut self) -> &mut [Table] {
        &mut self.tables
    }

    /// All dense values, derived ones at the end.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The trained dense values (no derived ones).
    pub fn trained(&self) -> &[f32] {
        &self.values[..self.trained]
    }

    /// The trained dense values, to write; the packed forms are out of date from then on.
    pub fn trained_mut(&mut self) -> &mut [f32] {
        self.stale[0] = true;
        &mut self.values[..self.trained]
    }

    /// The name of the dense weight that holds position `at` of the flat buffer.
    pub fn name_at(&self, at: usize) -> &str {
        let spec = self.specs.iter().rev().find(|s| s.var.start <= at);
        spec.map_or("", |s| &s.name)
    }

    /// Number of trained numbers, tables included.
    pub fn count(&self) -> usize {
        self.trained + self.tables.iter().map(|t| t.data.len()).sum::<usize>()
    }

    /// Bytes held: dense weights, derived and packed forms, tables.
    pub fn bytes(&self) -> usize {
        let tables: usize = self.tables.iter().map(|t| t.data.len()).sum();
        4 * (self.values.len() + self.packs.len() + tables)
    }

    /// Brings the packed forms of the trained weights up to date with their values: once a step, after they have changed.
    pub fn repack(&mut self) {
        self.repack_of(false);
    }

    /// The same for the derived weights, after they were computed.
    pub fn repack_derived(&mut self) {
        self.repack_of(true);
    }

    fn repack_of(&mut self, derived: bool) {
        self.stale[usize::from(derived)] = false;
        for spec in self.specs.iter().filter(|s| s.derived == derived) {
            if let Some(at) = spec.packed {
                let (n_out, n_in) = (spec.var.rows, spec.var.cols);
                let w = &self.values[spec.var.range()];
                let forward = at.forward..at.forward + packed_len(n_in, n_out);
                let backward = at.backward..at.backward + packed_len(n_out, n_in);
                pack_transposed(w, n_out, n_in, &mut self.packs[forward]);
                pack(w, n_out, n_in, &mut self.packs[backward]);
            }
        }
    }

    /// A dense weight in all the forms that the kernels read: `W [n, k]`.
    ///
    /// # Panics
    /// If the weight was added as [`Form::Plain`], or weights have changed since [`Params::repack`]: products would go on with
    /// the old ones.
    pub fn weight(&self, id: ParamId) -> Weight<'_> {
        let spec = &self.specs[id.0];
        let at = spec.packed.unwrap_or_else(|| panic!("{} is not packed", spec.name));
        let stale = self.stale[usize::from(spec.derived)];
        assert!(!stale, "weights have changed since {} was packed: call Params::repack first", spec.name);
        let (n, k) = (spec.var.rows, spec.var.cols);
        Weight {
            n,
            k,
            rows: &self.values[spec.var.range()],
            transposed: &self.packs[at.forward..at.forward + packed_len(k, n)],
            straight: &self.packs[at.backward..at.backward + packed_len(n, k)],
        }
    }
}
