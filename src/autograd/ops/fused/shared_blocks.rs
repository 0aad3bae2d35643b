//! Scores of candidates that all users share, by what a model reads for each of them: in blocks, which the backward pass
//! computes again.
//!
//! A block is one user with some hundred candidates, recorded on a tape aside. What it reads is copied there, and of its
//! gradients what belongs to it is added to those out here; nothing else is kept. So memory does not grow with users times
//! candidates times the width, and sums go over users in their order and over blocks in theirs.

use crate::autograd::tape::{Engine, Grads, Graph, Op, Tape, Values, grow};
use crate::autograd::var::{Index, Var};
use std::ops::Range;

/// Candidates of a block: matrices of a row each then stay in the second level cache.
const BLOCK: usize = 256;

/// Matrices of a user, or of the candidates; the order is the reader's.
pub type Parts = [Option<Var>; 4];

/// How a model scores candidates of one user.
pub trait Reader: Copy + Send + Sync + 'static {
    /// Records the scores `[n, 1]` of `n` candidates, whose parts have a row each, for a user, all rows of whose parts are
    /// its own. Table rows are not looked up here: they are parts.
    fn read(&self, g: &mut Graph<'_>, user: Parts, candidates: Parts) -> Var;
}

struct Blocks<R> {
    reader: R,
    users: Parts,
    rows: Index,
    candidates: Parts,
    engine: Engine,
    y: Var,
}

/// A part out here, where what was copied of it begins, and the copy.
type Copied = Option<(Var, usize, Var)>;

impl<R: Reader> Blocks<R> {
    /// Users and blocks of candidates, in the order of all sums.
    fn each(&self, offsets: &[u32]) -> impl Iterator<Item = (usize, Range<usize>, Range<usize>)> {
        let (users, n) = (offsets.len() - 1, self.y.cols);
        (0..users).flat_map(move |user| {
            let rows = offsets[user] as usize..offsets[user + 1] as usize;
            (0..n).step_by(BLOCK).map(move |at| (user, rows.clone(), at..(at + BLOCK).min(n)))
        })
    }

    /// Records a block on a tape aside: its scores and what it copied.
    fn record(
        &self,
        g: &mut Graph<'_>,
        v: Values<'_>,
        rows: &Range<usize>,
        block: &Range<usize>,
    ) -> (Var, [[Copied; 4]; 2]) {
        let mut copy = |parts: Parts, rows: &Range<usize>| {
            parts.map(|part| {
                part.map(|part| {
                    let at = rows.start * part.cols;
                    let from = &v.get(part)[at..rows.end * part.cols];
                    (part, at, g.constant(rows.len(), part.cols, |to| to.copy_from_slice(from)))
                })
            })
        };
        let copied = [copy(self.users, rows), copy(self.candidates, block)];
        let [user, candidates] = copied.map(|parts| parts.map(|part| part.map(|(_, _, var)| var)));
        (self.reader.read(g, user, candidates), copied)
    }
}

impl<R: Reader> Op for Blocks<R> {
    fn backward(&self, v: Values<'_>, grads: &mut Grads<'_>, scratch: &mut Vec<f32>) {
        let mut aside = grads.take_aside();
        for (user, rows, block) in self.each(v.ids(self.rows)) {
            let tape: &mut Tape = &mut aside;
            let mut g = Graph::new(v.params, tape, self.engine, v.level);
            let (scores, copied) = self.record(&mut g, v, &rows, &block);
            let dy = grow(scratch, block.len());
            let first = user * self.y.cols + block.start;
            dy.copy_from_slice(&grads.of(self.y)[first..first + block.len()]);
            grads.through(&mut g, |inner| inner.of(scores).copy_from_slice(dy));
            for (part, at, var) in copied.into_iter().flatten().flatten() {
                let to = &mut grads.of(part)[at..at + var.len()];
                to.iter_mut().zip(aside.grad(var)).for_each(|(to, g)| *to += g);
            }
        }
        grads.put_aside(aside);
    }
}

/// The scores `[users, n]` that `reader` gives `n` candidates, whose parts have a row each, for each user: `rows` are the
/// segments of the users' parts.
///
/// # Panics
/// If the shapes do not fit.
pub fn shared_blocks<R: Reader>(g: &mut Graph<'_>, reader: R, users: Parts, rows: Index, candidates: Parts) -> Var {
    let n = candidates.iter().flatten().next().map_or(0, |part| part.rows);
    let y = g.alloc(rows.len - 1, n);
    let op = Blocks { reader, users, rows, candidates, engine: g.engine, y };
    let mut aside = g.take_aside();
    g.compute(y, None, |v, out| {
        for (user, rows, block) in op.each(v.ids(rows)) {
            let tape: &mut Tape = &mut aside;
            let mut inner = Graph::new(v.params, tape, op.engine, v.level);
            let (scores, _) = op.record(&mut inner, v, &rows, &block);
            let first = user * n + block.start;
            out.y[first..first + block.len()].copy_from_slice(inner.value(scores));
        }
    });
    g.put_aside(aside);
    g.push(op);
    y
}

#[cfg(test)]
mod tests {
    use super::{Parts, Reader, shared_blocks};
    use crate::autograd::ops::{row_dot, select_rows};
    use crate::autograd::params::ParamId;
    use crate::autograd::tape::{Engine, Graph, Tape};
    use crate::autograd::var::Var;
    use crate::autograd::{check, reference};
    use dmran_kernels::Level;

    /// The head `vanilla` without a gate, and a weight behind it.
    #[derive(Clone, Copy)]
    struct Example(ParamId);

    impl Reader for Example {
        fn read(&self, g: &mut Graph<'_>, [user, ..]: Parts, [c, ..]: Parts) -> Var {
            let (user, c) = (user.unwrap(), c.unwrap());
            let (rows, candidates) = (g.index([0, user.rows as u32]), g.index([0, c.rows as u32]));
            let h = reference::pool_vanilla(g, user, c, rows, candidates);
            let h = crate::autograd::ops::linear(g, h, g.param(self.0), None);
            row_dot(g, h, c)
        }
    }

    const SHAPES: [[usize; 2]; 3] = [[4, 3], [5, 3], [3, 3]];

    fn scores(g: &mut Graph<'_>, x: &[ParamId]) -> Var {
        let rows = g.index([0, 3, 4]);
        let (user, c) = (Some(g.param(x[0])), Some(g.param(x[1])));
        shared_blocks(g, Example(x[2]), [user, None, None, None], rows, [c, None, None, None])
    }

    #[test]
    fn gradients() {
        check::gradients(&SHAPES, Engine::Naive, |g, x| vec![scores(g, x)]);
    }

    #[test]
    fn several_blocks_have_the_values_of_candidates_one_by_one() {
        let (params, x) = check::inputs(&SHAPES, 3);
        let mut tape = Tape::default();
        let g = &mut Graph::new(&params, &mut tape, Engine::Naive, Level::best());
        let few = scores(g, &x);
        let few = g.value(few).to_vec();
        let ids = g.index((0..600).map(|i| i % 5));
        let c = select_rows(g, g.param(x[1]), ids);
        let rows = g.index([0, 3, 4]);
        let user = Some(g.param(x[0]));
        let many = shared_blocks(g, Example(x[2]), [user, None, None, None], rows, [Some(c), None, None, None]);
        for (i, got) in g.value(many).iter().enumerate() {
            assert!((got - few[i / 600 * 5 + i % 600 % 5]).abs() < 1e-6, "{i}");
        }
    }
}
