//! The tape: reverse-mode differentiation over one flat address space.
//!
//! A forward pass runs through a [`Graph`], which computes at once and pushes one [`Op`] for each operation;
//! [`Graph::backward`] walks them in reverse. All storage belongs to the [`Tape`] and is reused from step to step:
//! once it has seen its largest batch, a training step allocates nothing. Even the boxes of the ops are recycled,
//! since the same model pushes the same kinds of op in the same order each time.

use crate::autograd::params::{ParamId, Params, TableId};
use crate::autograd::var::{Index, Saved, Var};
use dmran_kernels::Level;
use ndarray::ArrayView2;
use std::any::Any;

/// How a graph computes: on the fused kernels, or composed of primitives as the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// The fused SIMD kernels.
    #[default]
    Fused,
    /// Compositions of primitive ops over `ndarray` and `matrixmultiply`: slow, and the yardstick.
    Naive,
}

/// One recorded operation.
pub trait Op: Any + Send + Sync {
    /// Adds this operation's share to the gradients of its inputs.
    fn backward(&self, values: Values<'_>, grads: &mut Grads<'_>, scratch: &mut Vec<f32>);
}

/// A lookup of table rows: the trainer turns its gradient into sparse row updates.
#[derive(Clone, Copy, Debug)]
pub struct Gathered {
    /// The table that was read.
    pub table: TableId,
    /// Row ids, one for each row of `var`.
    pub ids: Index,
    /// Where the rows went.
    pub var: Var,
    /// First column of `var` that this table fills.
    pub column: usize,
}

/// What a tape needs while a pass is computed, and no longer: tapes that are computed one after the other can share it.
#[derive(Default)]
pub struct Workspace {
    /// Gradients of the dense weights.
    weight_grads: Vec<f32>,
    /// Gradients of the activations.
    grads: Vec<f32>,
    scratch: Vec<f32>,
    /// Where ops record what they compute now and again in the backward pass.
    aside: Option<Box<Tape>>,
}

impl Workspace {
    /// Gradients of the dense weights that the last pass left here.
    pub(crate) fn weight_grads(&self) -> &[f32] {
        &self.weight_grads
    }

    /// The same, to be taken for other room.
    pub(crate) fn weight_grads_mut(&mut self) -> &mut Vec<f32> {
        &mut self.weight_grads
    }

    /// Bytes held, for memory accounts.
    pub fn bytes(&self) -> usize {
        let aside = self.aside.as_ref().map_or(0, |tape| tape.bytes());
        4 * (self.weight_grads.capacity() + self.grads.capacity() + self.scratch.capacity()) + aside
    }
}

/// Storage of one shard's forward and backward pass.
#[derive(Default)]
pub struct Tape {
    acts: Vec<f32>,
    acts_top: usize,
    saved: Vec<f32>,
    saved_top: usize,
    indices: Vec<u32>,
    workspace: Workspace,
    ops: Vec<Box<dyn Op>>,
    ops_top: usize,
    gathered: Vec<Gathered>,
    base: usize,
}

impl Tape {
    /// The lookups of the last forward pass.
    pub fn gathered(&self) -> &[Gathered] {
        &self.gathered
    }

    /// Exchanges the tape's workspace for another: to lend it one for the time of a pass, and to take it back.
    pub fn exchange(&mut self, workspace: &mut Workspace) {
        std::mem::swap(&mut self.workspace, workspace);
    }

    /// The gradient of an activation after [`Graph::backward`].
    pub fn grad(&self, var: Var) -> &[f32] {
        &self.workspace.grads[var.start - self.base..][..var.len()]
    }

    /// Sets the gradients of all dense weights to zero.
    pub fn forget_weight_grads(&mut self, params: &Params) {
        let grads = &mut self.workspace.weight_grads;
        grads.clear();
        // No more than is needed, and all there at once.
        grads.reserve_exact(params.values().len());
        grads.resize(params.values().len(), 0.0);
    }

    /// Gradients of all dense weights, derived ones included.
    pub fn weight_grads(&self) -> &[f32] {
        &self.workspace.weight_grads
    }

    /// The value of an activation of the last forward pass.
    pub fn activation(&self, var: Var) -> &[f32] {
        &self.acts[var.start - self.base..][..var.len()]
    }

    /// Entries of the index buffer.
    pub fn ids(&self, index: Index) -> &[u32] {
        &self.indices[index.start..index.start + index.len]
    }

    /// Lengths of activations, saved values and indices; then of the workspace's gradients of weights and of activations, and
    /// of its working memory.
    pub(crate) fn lengths(&self) -> [f64; 6] {
        let Tape { acts, saved, indices, workspace: Workspace { weight_grads, grads, scratch, aside }, .. } = self;
        // What is recorded aside is working memory too.
        let scratch = scratch.len() + aside.as_ref().map_or(0, |tape| tape.bytes() / 4);
        [acts.len(), saved.len(), indices.len(), weight_grads.len(), grads.len(), scratch].map(|n| n as f64)
    }

    /// Bytes held, for memory accounts.
    pub fn bytes(&self) -> usize {
        4 * (self.acts.capacity() + self.saved.capacity() + self.indices.capacity()) + self.workspace.bytes()
    }
}

/// What an op may read: weights, activations below its own outputs, saved values and indices.
#[derive(Clone, Copy)]
pub struct Values<'a> {
    /// Weights and tables.
    pub params: &'a Params,
    /// The SIMD tier to compute on.
    pub level: Level,
    acts: &'a [f32],
    saved: &'a [f32],
    indices: &'a [u32],
    base: usize,
}

impl<'a> Values<'a> {
    /// Elements of a variable, row-major.
    pub fn get(&self, var: Var) -> &'a [f32] {
        if var.start < self.base {
            &self.params.values()[var.range()]
        } else {
            &self.acts[var.start - self.base..][..var.len()]
        }
    }

    /// A variable as a matrix.
    pub fn view(&self, var: Var) -> ArrayView2<'a, f32> {
        var.view(self.get(var))
    }

    /// Entries of an index.
    pub fn ids(&self, index: Index) -> &'a [u32] {
        &self.indices[index.start..index.start + index.len]
    }

    /// What the forward pass saved.
    pub fn saved(&self, saved: Saved) -> &'a [f32] {
        &self.saved[saved.start..saved.start + saved.len]
    }
}

/// The gradients of everything, borrowed for one op.
pub struct Grads<'a> {
    weights: &'a mut [f32],
    acts: &'a mut [f32],
    aside: &'a mut Option<Box<Tape>>,
}

impl Grads<'_> {
    /// A tape to record on aside, to be [put back](Grads::put_aside) for the next op.
    pub(crate) fn take_aside(&mut self) -> Box<Tape> {
        self.aside.take().unwrap_or_default()
    }

    pub(crate) fn put_aside(&mut self, tape: Box<Tape>) {
        *self.aside = Some(tape);
    }

    /// The backward pass of what was recorded aside, from gradients that `seed` writes: those of weights are added to these,
    /// those of activations stay on the tape aside.
    pub(crate) fn through(&mut self, aside: &mut Graph<'_>, seed: impl FnOnce(&mut Grads<'_>)) {
        aside.walk(self.weights, seed);
    }

    /// The gradient of one variable.
    pub fn of(&mut self, var: Var) -> &mut [f32] {
        let base = self.weights.len();
        if var.start < base { &mut self.weights[var.range()] } else { &mut self.acts[var.start - base..][..var.len()] }
    }

    /// The gradient of an output beside the gradients of inputs to add to.
    ///
    /// # Panics
    /// If two inputs overlap or an input does not lie below the output; primitives that may take the same variable
    /// twice ask for one input at a time.
    pub fn pull<const N: usize>(&mut self, out: Var, inputs: [Var; N]) -> (&[f32], [&mut [f32]; N]) {
        let base = self.weights.len();
        let (below, above) = self.acts.split_at_mut(out.start - base);
        let distinct = "inputs are distinct and below the output";
        // Each input is in one of the two buffers; in the other it is empty.
        let is_weight = inputs.map(|v| v.start < base);
        let at: [usize; N] = std::array::from_fn(|i| i);
        let of_weights = at.map(|i| if is_weight[i] { inputs[i].range() } else { 0..0 });
        let of_acts = at.map(|i| {
            let from = inputs[i].start.wrapping_sub(base);
            if is_weight[i] { 0..0 } else { from..from + inputs[i].len() }
        });
        let mut grads = self.weights.get_disjoint_mut(of_weights).expect(distinct);
        let acts = below.get_disjoint_mut(of_acts).expect(distinct);
        for ((grad, act), is_weight) in grads.iter_mut().zip(acts).zip(is_weight) {
            if !is_weight {
                *grad = act;
            }
        }
        (&above[..out.len()], grads)
    }
}

/// Where an op's forward pass writes.
pub struct Output<'a> {
    /// The output's elements.
    pub y: &'a mut [f32],
    /// Values kept for the backward pass.
    pub saved: &'a mut [f32],
    /// Working memory of any content; grown with [`grow`].
    pub scratch: &'a mut Vec<f32>,
}

/// A slice of `len` elements of a scratch vector, grown when it is too short. The content is arbitrary.
pub fn grow(scratch: &mut Vec<f32>, len: usize) -> &mut [f32] {
    if scratch.len() < len {
        // Not twice as long as it was: such vectors are most of what a training holds, and soon as long as they get.
        scratch.reserve_exact(len - scratch.len());
        scratch.resize(len, 0.0);
    }
    &mut scratch[..len]
}

/// A forward pass in progress: weights to read and a tape to record on.
pub struct Graph<'a> {
    /// Weights and tables.
    pub params: &'a Params,
    /// The tape that records.
    pub tape: &'a mut Tape,
    /// How to compute.
    pub engine: Engine,
    /// The SIMD tier.
    pub level: Level,
}

impl<'a> Graph<'a> {
    /// Starts a forward pass on an emptied tape.
    pub fn new(params: &'a Params, tape: &'a mut Tape, engine: Engine, level: Level) -> Self {
        tape.acts_top = 0;
        tape.saved_top = 0;
        tape.indices.clear();
        tape.ops_top = 0;
        tape.gathered.clear();
        tape.base = params.values().len();
        Graph { params, tape, engine, level }
    }

    /// Goes on with a tape whose forward pass ended earlier, to run its backward pass.
    pub fn resume(params: &'a Params, tape: &'a mut Tape, engine: Engine, level: Level) -> Self {
        Graph { params, tape, engine, level }
    }

    /// A dense weight as a variable.
    pub fn param(&self, id: ParamId) -> Var {
        self.params.var(id)
    }

    /// The value of a variable.
    pub fn value(&self, var: Var) -> &[f32] {
        self.values().get(var)
    }

    /// Entries of an index.
    pub fn indices(&self, index: Index) -> &[u32] {
        self.tape.ids(index)
    }

    fn values(&self) -> Values<'_> {
        Values {
            params: self.params,
            level: self.level,
            acts: &self.tape.acts[..self.tape.acts_top],
            saved: &self.tape.saved[..self.tape.saved_top],
            indices: &self.tape.indices,
            base: self.tape.base,
        }
    }

    /// Copies ids, buckets or offsets onto the tape.
    pub fn index(&mut self, entries: impl IntoIterator<Item = u32>) -> Index {
        let start = self.tape.indices.len();
        self.tape.indices.extend(entries);
        Index { start, len: self.tape.indices.len() - start }
    }

    /// Makes an index from others by `f(all indices so far, push)`.
    pub fn index_from(&mut self, f: impl FnOnce(&mut Vec<u32>)) -> Index {
        let start = self.tape.indices.len();
        f(&mut self.tape.indices);
        Index { start, len: self.tape.indices.len() - start }
    }

    /// Room for an op's output; its content is arbitrary until the op has run.
    pub fn alloc(&mut self, rows: usize, cols: usize) -> Var {
        let tape = &mut *self.tape;
        let var = Var { start: tape.base + tape.acts_top, rows, cols };
        tape.acts_top += var.len();
        grow(&mut tape.acts, tape.acts_top);
        var
    }

    /// Room for values that the backward pass needs.
    pub fn save(&mut self, len: usize) -> Saved {
        let tape = &mut *self.tape;
        let saved = Saved { start: tape.saved_top, len };
        tape.saved_top += len;
        grow(&mut tape.saved, tape.saved_top);
        saved
    }

    /// A constant: a leaf whose gradient nobody asks for, but which is kept all the same.
    pub fn constant(&mut self, rows: usize, cols: usize, fill: impl FnOnce(&mut [f32])) -> Var {
        let var = self.alloc(rows, cols);
        let at = var.start - self.tape.base;
        fill(&mut self.tape.acts[at..at + var.len()]);
        var
    }

    /// Runs an op's forward pass into `out`, with everything below `out` to read.
    pub fn compute(&mut self, out: Var, saved: Option<Saved>, f: impl FnOnce(Values<'_>, Output<'_>)) {
        let tape = &mut *self.tape;
        let (below, above) = tape.acts.split_at_mut(out.start - tape.base);
        let saved = match saved {
            Some(s) => &mut tape.saved[s.start..s.start + s.len],
            None => &mut [][..],
        };
        let values = Values {
            params: self.params,
            level: self.level,
            acts: below,
            saved: &[],
            indices: &tape.indices,
            base: tape.base,
        };
        f(values, Output { y: &mut above[..out.len()], saved, scratch: &mut tape.workspace.scratch });
    }

    /// A tape to record on aside, to be [put back](Graph::put_aside) for the next op.
    pub(crate) fn take_aside(&mut self) -> Box<Tape> {
        self.tape.workspace.aside.take().unwrap_or_default()
    }

    pub(crate) fn put_aside(&mut self, tape: Box<Tape>) {
        self.tape.workspace.aside = Some(tape);
    }

    /// Records an op for the backward pass.
    pub fn push<O: Op>(&mut self, op: O) {
        let tape = &mut *self.tape;
        match tape.ops.get_mut(tape.ops_top) {
            Some(slot) => match (&mut **slot as &mut dyn Any).downcast_mut::<O>() {
                Some(old) => *old = op,
                None => *slot = Box::new(op),
            },
            None => tape.ops.push(Box::new(op)),
        }
        tape.ops_top += 1;
    }

    /// Records a lookup whose gradient becomes row updates.
    pub fn push_gathered(&mut self, gathered: Gathered) {
        self.tape.gathered.push(gathered);
    }

    /// Gradients of the sum over `seeds` of `weight * sum of the variable's entries`.
    pub fn backward(&mut self, seeds: &[(Var, f32)]) {
        self.tape.forget_weight_grads(self.params);
        self.backward_adding(seeds);
    }

    /// As [`Graph::backward`], but the gradients of weights are added to those of earlier passes on this tape, back to
    /// the last [`Tape::forget_weight_grads`].
    pub fn backward_adding(&mut self, seeds: &[(Var, f32)]) {
        self.walk_own(|grads| {
            for (var, weight) in seeds {
                grads.of(*var).fill(*weight);
            }
        });
    }

    /// Gradients from output gradients that `seed` writes into the zeroed gradients.
    pub fn backward_from(&mut self, seed: impl FnOnce(&mut Grads<'_>)) {
        self.tape.forget_weight_grads(self.params);
        self.walk_own(seed);
    }

    fn walk_own(&mut self, seed: impl FnOnce(&mut Grads<'_>)) {
        let mut weights = std::mem::take(&mut self.tape.workspace.weight_grads);
        self.walk(&mut weights[..self.tape.base], seed);
        self.tape.workspace.weight_grads = weights;
    }

    /// The backward pass, with the gradients of weights added to `weights`.
    fn walk(&mut self, weights: &mut [f32], seed: impl FnOnce(&mut Grads<'_>)) {
        let tape = &mut *self.tape;
        let Workspace { grads, scratch, aside, .. } = &mut tape.workspace;
        let acts = grow(grads, tape.acts_top);
        acts.fill(0.0);
        let mut grads = Grads { weights, acts, aside };
        seed(&mut grads);
        let values = Values {
            params: self.params,
            level: self.level,
            acts: &tape.acts[..tape.acts_top],
            saved: &tape.saved[..tape.saved_top],
            indices: &tape.indices,
            base: tape.base,
        };
        for op in tape.ops[..tape.ops_top].iter().rev() {
            op.backward(values, &mut grads, scratch);
        }
    }
}
