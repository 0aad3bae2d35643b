//! Eq 1's item vector: `i = V[item]`, or `[V[item] ; C[category]]`: table rows side by side.

use crate::autograd::params::TableId;
use crate::autograd::tape::{Gathered, Graph};
use crate::autograd::var::{Index, Var};
use dmran_kernels::simd::{AHEAD, prefetch};

/// Looks up rows of one or more tables and sets them side by side: `[n, sum of the tables' widths]`.
///
/// The gradient is not spread over the tables: it stays at the result, and the lookup is listed in
/// [`Tape::gathered`](crate::autograd::tape::Tape::gathered), from which the trainer updates only the rows that were read.
///
/// # Panics
/// If the indices differ in length or name a row that a table does not have.
pub fn embed(g: &mut Graph<'_>, parts: &[(TableId, Index)]) -> Var {
    let rows = parts[0].1.len;
    let cols = parts.iter().map(|(t, _)| g.params.table(*t).cols).sum();
    let y = g.alloc(rows, cols);
    let mut column = 0;
    for (table, ids) in parts {
        assert_eq!(ids.len, rows, "embed: indices of one length");
        g.push_gathered(Gathered { table: *table, ids: *ids, var: y, column });
        column += g.params.table(*table).cols;
    }
    g.compute(y, None, |v, out| {
        let mut column = 0;
        for (table, ids) in parts {
            let table = v.params.table(*table);
            let d = table.cols;
            let ids = v.ids(*ids);
            let of = |id: &u32| &table.data[*id as usize * d..][..d];
            for (i, (row, id)) in out.y.chunks_mut(cols).zip(ids).enumerate() {
                if let Some(id) = ids.get(i + AHEAD) {
                    prefetch(of(id));
                }
                row[column..column + d].copy_from_slice(of(id));
            }
            column += d;
        }
    });
    y
}

#[cfg(test)]
mod tests {
    use crate::autograd::params::Params;
    use crate::autograd::tape::{Engine, Graph, Tape};
    use dmran_kernels::Level;

    #[test]
    fn rows_side_by_side_and_their_gradient_left_in_place() {
        let mut params = Params::default();
        let v = params.add_table("V", 3, 2);
        let c = params.add_table("C", 2, 1);
        params.table_mut(v).data.copy_from_slice(&[1., 2., 3., 4., 5., 6.]);
        params.table_mut(c).data.copy_from_slice(&[10., 20.]);
        let mut tape = Tape::default();
        let mut g = Graph::new(&params, &mut tape, Engine::Naive, Level::best());
        let (items, categories) = (g.index([2, 0]), g.index([0, 1]));
        let x = super::embed(&mut g, &[(v, items), (c, categories)]);
        assert_eq!(g.value(x), [5., 6., 10., 1., 2., 20.]);
        let y = crate::autograd::ops::sum_squares(&mut g, x, 0.5);
        g.backward(&[(y, 1.0)]);
        assert_eq!(tape.grad(x), [5., 6., 10., 1., 2., 20.]);
        let at: Vec<_> = tape.gathered().iter().map(|g| (g.table, g.column, tape.ids(g.ids).to_vec())).collect();
        assert_eq!(at, [(v, 0, vec![2, 0]), (c, 2, vec![0, 1])]);
    }
}
