//! Equations 18 and 19 over the whole catalogue: loss and gradients of a batch against every item, on rayon's threads.
//!
//! The catalogue is cut into runs of blocks of items, the batch into chunks of rows; neither depends on the number of
//! threads, and all sums go through them in order. For each chunk:
//!
//! ```text
//! all runs, side by side:  cross_entropy::forward over the run's blocks, which leaves their exponentials
//! together:                totals, losses, the users' gradients (a sum over the runs)
//! all runs, side by side:  cross_entropy::backward over the blocks: the items' gradients
//! ```
//!
//! Of several ranks each takes some of the runs; between the passes all get what the others' came to, and at the end their items'
//! gradients.
//!
//! Memory is that of the dense gradients and of `items * ROWS` exponentials, whatever the batch is. All of it is kept, so
//! a step after the first allocates nothing.

mod added;
mod items;
mod parts;
mod share;

use crate::lines::Lines;
pub use crate::model::items::{Categories, ItemRows};
use crate::train::ranks::Team;

use dmran_kernels::Level;
use dmran_kernels::cross_entropy::{self, Block, Excluded, Gradients, Rows, Running, Write, row_loss, stride};
use dmran_kernels::gemm::{pack_transposed, packed_len};
use dmran_kernels::loss::sum_squares;
use dmran_kernels::optim::add_scaled;
use items::Members;
use parts::{Part, Parts, Run};
use rayon::prelude::*;
use std::ops::Range;

/// Items of a block: its exponentials, vectors and gradients together stay in a second level cache.
pub const BLOCK: usize = 256;
/// Most rows of a chunk: the tables are read and their gradients written once a chunk.
pub const ROWS: usize = 256;
/// Blocks of a run, where the catalogue is small.
const RUN_BLOCKS: usize = 4;
/// Most runs: each holds gradients of a chunk's users.
const MOST_RUNS: usize = 32;

/// Sizes of a catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Sizes<'a> {
    /// Number of items.
    pub items: usize,
    /// Width of an item's own vector.
    pub width: usize,
    /// Number of categories, 0 without.
    pub categories: usize,
    /// Width of a category's vector, 0 without.
    pub category_width: usize,
    /// The category of each item; empty without.
    pub item_category: &'a [u32],
    /// Whether items have a bias.
    pub bias: bool,
}

/// Rows of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// `[B, d]`: the users' vectors.
    pub users: &'a [f32],
    /// `[B]`: each row's item.
    pub targets: &'a [u32],
    /// `[B]`: what each row's loss is multiplied by: 1 / B for the mean.
    pub weights: &'a [f32],
    /// Items that a row's softmax leaves out. A target stays in, whatever this says.
    pub excluded: Excluded<'a>,
}

impl<'a> Batch<'a> {
    fn chunk(&self, from: usize, to: usize, d: usize) -> Batch<'a> {
        let offsets = self.excluded.offsets;
        let offsets = if offsets.is_empty() { offsets } else { &offsets[from..=to] };
        Batch {
            users: &self.users[from * d..to * d],
            targets: &self.targets[from..to],
            weights: &self.weights[from..to],
            excluded: Excluded { offsets, ..self.excluded },
        }
    }
}

/// The softmax over a catalogue, with the gradients of its tables.
pub struct Catalogue {
    level: Level,
    items: usize,
    width: usize,
    category_width: usize,
    members: Members,
    /// Items of a run, a multiple of [`BLOCK`].
    run: usize,
    runs: Vec<Run>,
    packed: Lines,
    exponentials: Lines,
    /// `[blocks, rows of the chunk]`: maxima that the exponentials are relative to.
    maxima: Vec<f32>,
    chunk: Chunk,
    losses: Vec<f64>,
    d_items: Lines,
    /// `[I, category_width]`: gradients of the items' second parts, before their sum over each category.
    d_parts: Vec<f32>,
    d_categories: Vec<f32>,
    d_bias: Vec<f32>,
    squares: Squares,
}

/// What is known of a chunk's rows once all runs are through.
#[derive(Debug, Default)]
struct Chunk {
    max: Vec<f32>,
    sum: Vec<f64>,
    top: Vec<f32>,
    total: Vec<f64>,
    /// weight / total
    factor: Vec<f32>,
}

/// Sums of squares of the gradients.
#[derive(Debug, Default)]
struct Squares {
    items: f64,
    bias: f64,
    /// Of each category.
    categories: Vec<f64>,
}

/// Which gradients of items all ranks of a team have in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gathered {
    /// Those of all items.
    All,
    /// Of the items' own vectors and biases those of a rank's [own](Catalogue::bounds); of their categories all.
    Own,
}

/// Which table of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableOf {
    /// The items' own vectors.
    Items,
    /// The categories'.
    Categories,
}

impl Catalogue {
    /// A catalogue of these sizes, with room for its gradients.
    ///
    /// # Panics
    /// If there are categories but not one for each item, or one beyond their number.
    pub fn new(level: Level, sizes: &Sizes) -> Catalogue {
        let Sizes { items, width, categories, category_width, item_category, bias } = *sizes;
        let members = Members::new(items, categories, item_category);
        let blocks = items.div_ceil(BLOCK);
        let run_blocks = run_blocks(items);
        Catalogue {
            level,
            items,
            width,
            category_width,
            run: run_blocks * BLOCK,
            runs: (0..blocks.div_ceil(run_blocks)).map(|_| Run::default()).collect(),
            packed: Lines::default(),
            exponentials: Lines::default(),
            maxima: Vec::new(),
            chunk: Chunk::default(),
            losses: Vec::new(),
            d_items: Lines::zeros(items * width),
            d_parts: vec![0.0; items * category_width],
            d_categories: vec![0.0; categories * category_width],
            d_bias: vec![0.0; if bias { items } else { 0 }],
            squares: Squares { categories: vec![0.0; categories], ..Squares::default() },
            members,
        }
    }

    /// Bytes that a catalogue of these sizes comes to hold with batches of `rows` rows, about.
    pub fn estimate(sizes: &Sizes, rows: usize) -> u64 {
        let rows = rows.min(ROWS);
        let d = sizes.width + sizes.category_width;
        let an_item = d + usize::from(sizes.bias) + stride(rows) + 1;
        // A run has sums of the users' gradients, and a block's vectors where they are put together.
        let run = rows * (2 * d + 6) + if sizes.category_width > 0 { BLOCK * d } else { 0 };
        let runs = sizes.items.div_ceil(BLOCK).div_ceil(run_blocks(sizes.items));
        4 * (sizes.items * an_item + sizes.categories * sizes.category_width + runs * run) as u64
    }

    /// Equation 19: the sum of the weighted losses, the gradient of the users' vectors, written to `d_users` `[B, d]`, and
    /// those of the tables, kept here until the next call. Runs on the current pool of threads.
    ///
    /// # Panics
    /// If lengths do not fit the catalogue's sizes or each other, or a target is no item.
    pub fn loss_and_gradients(&mut self, rows: &ItemRows, batch: &Batch, d_users: &mut [f32]) -> f64 {
        self.shared_loss_and_gradients(&mut Team::default(), Gathered::All, rows, batch, d_users)
    }

    /// [`Catalogue::loss_and_gradients`] by a team, of whose ranks each computes a part of the items; to the bits of one. All have
    /// the loss and the users' gradients, and of the items' those that are asked for.
    ///
    /// # Panics
    /// As there.
    pub(crate) fn shared_loss_and_gradients(
        &mut self,
        team: &mut Team,
        gathered: Gathered,
        rows: &ItemRows,
        batch: &Batch,
        d_users: &mut [f32],
    ) -> f64 {
        let own = team.part(self.runs.len());
        let d = self.width + self.category_width;
        assert_eq!(d_users.len(), batch.users.len(), "users and their gradients differ in length");
        self.begin(rows, batch);
        let count = batch.targets.len();
        if count == 0 {
            self.d_items.fill(0.0);
            self.d_parts.fill(0.0);
            self.d_bias.fill(0.0);
            self.runs.iter_mut().for_each(|run| run.squares = [0.0; 2]);
        }
        for from in (0..count).step_by(ROWS) {
            let to = count.min(from + ROWS);
            let chunk = batch.chunk(from, to, d);
            self.forward(rows, &chunk, true, own.clone());
            self.share_runs(team, &own, chunk.targets.len());
            self.finish_rows(&chunk);
            self.finish_users(rows, &chunk, &mut d_users[from * d..to * d]);
            let write = if from == 0 { Write::Over } else { Write::Add };
            self.backward(&chunk, write, to == count, own.clone());
        }
        self.share_gradients(team, gathered, &own);
        self.finish_tables();
        self.weighted(batch)
    }

    /// Equation 19 without gradients; those of an earlier call stay.
    ///
    /// # Panics
    /// As [`Catalogue::loss_and_gradients`].
    pub fn loss(&mut self, rows: &ItemRows, batch: &Batch) -> f64 {
        let d = self.width + self.category_width;
        self.begin(rows, batch);
        let count = batch.targets.len();
        for from in (0..count).step_by(ROWS) {
            let chunk = batch.chunk(from, count.min(from + ROWS), d);
            self.forward(rows, &chunk, false, 0..self.runs.len());
            self.finish_rows(&chunk);
        }
        self.weighted(batch)
    }

    /// The loss of each row of the last batch, without its weight.
    pub fn row_losses(&self) -> &[f64] {
        &self.losses
    }

    /// `[I, width]`: the gradient of the items' own vectors.
    pub fn d_items(&self) -> &[f32] {
        &self.d_items
    }

    /// `[K, category_width]`: the gradient of the categories' vectors.
    pub fn d_categories(&self) -> &[f32] {
        &self.d_categories
    }

    /// `[I]`: the gradient of the biases; empty without.
    pub fn d_bias(&self) -> &[f32] {
        &self.d_bias
    }

    /// Adds gradients `[rows.len(), width]` of single rows of a table that were read elsewhere (a history's items), each
    /// row at most once. By how much each changes the sum of all squares comes into `changes`; see
    /// [`Catalogue::sum_squares`].
    ///
    /// # Panics
    /// If the lengths do not fit or there is no such row.
    pub fn add_rows(&mut self, table: TableOf, rows: &[u32], grads: &[f32], changes: &mut [f64]) {
        let (dense, width) = match table {
            TableOf::Items => (&mut *self.d_items, self.width),
            TableOf::Categories => (&mut *self.d_categories, self.category_width),
        };
        added::add_rows(self.level, (dense, width), rows, grads, changes);
    }

    /// The sum of the squares of all gradients of the tables, without what [`Catalogue::add_rows`] has added.
    pub fn sum_squares(&self) -> f64 {
        let Squares { items, bias, categories } = &self.squares;
        items + bias + categories.iter().sum::<f64>()
    }

    /// Bytes held, for memory accounts.
    pub fn bytes(&self) -> usize {
        let lines = [&self.packed, &self.exponentials, &self.d_items].into_iter().map(Lines::bytes).sum::<usize>();
        let floats = [&self.maxima, &self.d_parts, &self.d_categories];
        lines
            + 4 * (floats.iter().map(|v| v.capacity()).sum::<usize>() + self.d_bias.capacity())
            + self.runs.iter().map(Run::bytes).sum::<usize>()
            + self.members.bytes()
    }

    /// Checks a batch, and forgets the one before.
    fn begin(&mut self, rows: &ItemRows, batch: &Batch) {
        let (d, count) = (self.width + self.category_width, batch.targets.len());
        rows.check(self.items, self.width, self.category_width, self.members.count(), !self.d_bias.is_empty());
        assert_eq!(batch.users.len(), count * d, "vectors of {count} users of width {d}");
        assert_eq!(batch.weights.len(), count, "weights of {count} rows");
        if let Some(target) = batch.targets.iter().find(|&&t| t as usize >= self.items) {
            panic!("target {target} of a catalogue of {} items", self.items);
        }
        self.losses.clear();
    }

    /// The runs, each with its part of all that is cut like the catalogue; `kept` exponentials a run, in items.
    fn parts(&mut self, rows: usize, kept: usize) -> Parts<'_> {
        let blocks = self.items.div_ceil(BLOCK);
        self.exponentials.room(self.items.min(self.runs.len() * kept) * stride(rows));
        grow(&mut self.maxima, blocks * rows);
        let parts = Part {
            items: 0..self.items,
            runs: &mut self.runs,
            e: &mut self.exponentials,
            maxima: &mut self.maxima[..blocks * rows],
            d_items: &mut self.d_items,
            d_parts: &mut self.d_parts,
            d_bias: &mut self.d_bias,
        };
        Parts { part: parts, run: self.run, e: kept * stride(rows), maxima: self.run / BLOCK * rows }
    }

    /// The runs `own` over their items. Exponentials are kept if they are for gradients.
    fn forward(&mut self, rows: &ItemRows, chunk: &Batch, for_gradients: bool, own: Range<usize>) {
        let kept = if for_gradients { self.run } else { BLOCK };
        let (level, d, count) = (self.level, self.width + self.category_width, chunk.targets.len());
        let mut packed = std::mem::take(&mut self.packed);
        let users = packed.room(packed_len(d, count));
        pack_transposed(chunk.users, count, d, users);
        let users = &*users;
        let scratch = if self.category_width > 0 { BLOCK.min(self.items) * d } else { 0 };
        self.parts(count, kept).among(own, &|part| {
            let [run] = part.runs else { unreachable!("one run at a time") };
            run.begin(count, if for_gradients { d } else { 0 }, scratch);
            for (at, max) in (part.items.clone()).step_by(BLOCK).zip(part.maxima.chunks_exact_mut(count)) {
                let n = BLOCK.min(part.items.end - at);
                let items = rows.vectors(at..at + n, &mut run.vectors);
                let place = if for_gradients { (at - part.items.start) * stride(count) } else { 0 };
                let block = Block {
                    d,
                    first: at,
                    items,
                    bias: rows.bias.get(at..at + n).unwrap_or(&[]),
                    users,
                    targets: chunk.targets,
                    excluded: chunk.excluded,
                };
                let running = Running {
                    max: &mut run.max,
                    sum: &mut run.sum,
                    target: &mut run.target,
                    d_users: &mut run.d_users,
                };
                cross_entropy::forward(level, &block, running, &mut part.e[place..][..n * stride(count)]);
                max.copy_from_slice(&run.max);
            }
        });
        self.packed = packed;
    }

    /// Totals, losses, and what makes probabilities of exponentials.
    fn finish_rows(&mut self, chunk: &Batch) {
        let Chunk { max, sum, top, total, factor } = &mut self.chunk;
        let count = chunk.targets.len();
        max.clear();
        sum.clear();
        for run in &self.runs {
            max.extend_from_slice(&run.max);
            sum.extend_from_slice(&run.sum);
        }
        top.resize(count, 0.0);
        total.resize(count, 0.0);
        cross_entropy::combine(self.level, max, sum, top, total);
        factor.clear();
        factor.extend(chunk.weights.iter().zip(&*total).map(|(&w, total)| (f64::from(w) / total) as f32));
        for (row, &target) in chunk.targets.iter().enumerate() {
            let target = self.runs[target as usize / self.run].target[row];
            self.losses.push(row_loss(top[row], total[row], target));
        }
    }

    /// The gradients of the chunk's users: the runs' sums, less the targets.
    fn finish_users(&mut self, rows: &ItemRows, chunk: &Batch, d_users: &mut [f32]) {
        let (level, d, width) = (self.level, self.width + self.category_width, self.width);
        let Chunk { top, factor, .. } = &self.chunk;
        for run in &mut self.runs {
            cross_entropy::scales(level, &run.max, top, factor, &mut run.scale);
        }
        let runs = &self.runs;
        d_users.par_chunks_exact_mut(d).enumerate().with_min_len(8).for_each(|(row, g)| {
            g.fill(0.0);
            for run in runs {
                add_scaled(level, g, run.scale[row], &run.d_users[row * d..][..d]);
            }
            let (own, category) = g.split_at_mut(width);
            let (item, weight) = (chunk.targets[row] as usize, chunk.weights[row]);
            add_scaled(level, own, -weight, rows.own(item));
            add_scaled(level, category, -weight, rows.category(item));
        });
    }

    /// The gradients of the items of the runs `own` from the chunk's exponentials.
    fn backward(&mut self, chunk: &Batch, write: Write, last: bool, own: Range<usize>) {
        let (level, width, count) = (self.level, self.width, chunk.targets.len());
        let d = width + self.category_width;
        let known = std::mem::take(&mut self.chunk);
        self.parts(count, self.run).among(own, &|part| {
            let [run] = part.runs else { unreachable!("one run at a time") };
            run.squares = [0.0; 2];
            let starts = part.items.clone().step_by(BLOCK).zip(part.maxima.chunks_exact(count));
            for (at, max) in starts {
                let (n, place) = (BLOCK.min(part.items.end - at), at - part.items.start);
                cross_entropy::scales(level, max, &known.top, &known.factor, &mut run.scale);
                let packed = &mut run.packed[..packed_len(count, d)];
                // What a block's exponentials are relative to is mostly that of the block before.
                if at == part.items.start || run.scale != run.packed_scale {
                    cross_entropy::pack_scaled(level, d, chunk.users, &run.scale, packed);
                    run.packed_scale.clone_from(&run.scale);
                }
                let Batch { users, targets, weights, .. } = *chunk;
                let rows = Rows { d, users, targets, weights, scale: &run.scale, packed };
                let e = &part.e[place * stride(count)..][..n * stride(count)];
                let bias = if part.d_bias.is_empty() { &mut [] } else { &mut part.d_bias[place..place + n] };
                let own = &mut part.d_items[place * width..][..n * width];
                if d == width {
                    let out = Gradients { items: own, bias, write };
                    cross_entropy::backward(level, &rows, at, e, out);
                } else {
                    let vectors = &mut run.vectors[..n * d];
                    let sums = &mut run.bias[..bias.len()];
                    let out = Gradients { items: vectors, bias: sums, write: Write::Over };
                    cross_entropy::backward(level, &rows, at, e, out);
                    let parts = &mut part.d_parts[place * (d - width)..][..n * (d - width)];
                    items::split(level, vectors, width, write, own, parts);
                    items::put(level, write, sums, bias);
                }
                if last {
                    // While they are in the cache.
                    let bias = part.d_bias.get(place..place + n).unwrap_or(&[]);
                    let own = &part.d_items[place * width..][..n * width];
                    run.squares[0] += sum_squares(level, own);
                    run.squares[1] += sum_squares(level, bias);
                }
            }
        });
        self.chunk = known;
    }

    /// Sums over each category, and the sums of squares.
    fn finish_tables(&mut self) {
        let (level, width) = (self.level, self.category_width);
        if width > 0 {
            let (members, parts) = (&self.members, &self.d_parts);
            let sums = self.d_categories.par_chunks_exact_mut(width).zip(&mut self.squares.categories);
            sums.enumerate().for_each(|(category, (sum, squares))| {
                sum.fill(0.0);
                for &item in members.of(category) {
                    add_scaled(level, sum, 1.0, &parts[item as usize * width..][..width]);
                }
                *squares = sum_squares(level, sum);
            });
        }
        self.squares.items = self.runs.iter().map(|run| run.squares[0]).sum();
        self.squares.bias = self.runs.iter().map(|run| run.squares[1]).sum();
    }

    fn weighted(&self, batch: &Batch) -> f64 {
        self.losses.iter().zip(batch.weights).map(|(loss, &w)| loss * f64::from(w)).sum()
    }
}

/// Blocks of a run, so that also a small catalogue has some runs.
fn run_blocks(items: usize) -> usize {
    let blocks = items.div_ceil(BLOCK);
    (blocks / 8).clamp(1, RUN_BLOCKS).max(blocks.div_ceil(MOST_RUNS))
}

/// Makes room for at least `len` elements, and no more than that.
fn grow(buffer: &mut Vec<f32>, len: usize) {
    if buffer.len() < len {
        buffer.reserve_exact(len - buffer.len());
        buffer.resize(len, 0.0);
    }
}
