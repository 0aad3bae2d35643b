//! How far two ways of summing a score can be apart, and so which items may be among the best.

use crate::scorer::Scored;
use crate::scorer::item_rows::ItemRows;
use rayon::prelude::*;

/// Items whose lengths are taken by one task.
const ITEMS: usize = 1024;
/// The largest `|u| |c|` for which nothing can overflow on the way.
const REACH: f64 = 1e30;

/// The largest item of a catalogue, which bounds all errors.
///
/// A dot product of width d, summed in any order, is off by at most `d e |u| |c|` with `e = 2^-24` the rounding unit (up to a
/// factor `1 + d e`), and adding the bias b by another `e (|u| |c| + |b|)`. Two ways of summing are apart by twice that:
/// `s = 2 e ((d + 1) |u| |c| + |b|)`. Let p be the `k`-th best score by the one way. Then k items have at least `p - s` by the
/// other, so what is among its best k has at least `p - s` there, and at least `p - 2 s` here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slack {
    d: usize,
    vector: f64,
    bias: f64,
}

impl Slack {
    /// Of the items of a list, or of all.
    pub fn of(rows: &ItemRows<'_>, offered: Option<&[u32]>) -> Slack {
        let squares = |x: &[f32]| x.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>();
        let categories = rows.categories.map_or(Vec::new(), |c| c.table.chunks_exact(c.width).map(squares).collect());
        let largest = |items: &mut dyn Iterator<Item = usize>| {
            let of = |item: usize| {
                let category = rows.categories.map_or(0.0, |c| categories[c.of[item] as usize]);
                (squares(rows.own(item)) + category, f64::from(rows.bias_of(item).abs()))
            };
            items.map(of).fold((0.0, 0.0), |(v, b): (f64, f64), (of, bias)| (v.max(of), b.max(bias)))
        };
        let either = |(v, b): (f64, f64), (w, c): (f64, f64)| (v.max(w), b.max(c));
        let (vector, bias) = match offered {
            Some(items) => items
                .par_chunks(ITEMS)
                .map(|items| largest(&mut items.iter().map(|item| *item as usize)))
                .reduce(|| (0.0, 0.0), either),
            None => (0..rows.count().div_ceil(ITEMS))
                .into_par_iter()
                .map(|at| largest(&mut (at * ITEMS..rows.count().min((at + 1) * ITEMS))))
                .reduce(|| (0.0, 0.0), either),
        };
        Slack { d: rows.d(), vector: vector.sqrt(), bias }
    }

    /// Of what is best by one way, best first, all that may be among the best `k` by the other; `None` where something else
    /// may be, too: unless `is_whole`, there are items behind the last.
    pub fn candidates<'b>(&self, best: &'b [Scored], is_whole: bool, k: usize, user: &[f32]) -> Option<&'b [Scored]> {
        let reach = user.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt() * self.vector;
        // The comparison is false for NaN, too.
        if !(reach < REACH && self.bias < REACH) {
            return None;
        }
        let unit = f64::from(f32::EPSILON) / 2.0;
        // A hundredth for what is rounded in these lines and for the factor 1 + d e; the smallest numbers for underflow.
        let apart = 2.02 * unit * ((self.d + 2) as f64 * reach + self.bias) + 1e-38;
        let Some(last) = k.checked_sub(1).and_then(|at| best.get(at)) else { return is_whole.then_some(best) };
        let least = f64::from(last.score) - 2.0 * apart;
        let count = best.partition_point(|one| f64::from(one.score) >= least);
        (is_whole || count < best.len()).then_some(&best[..count])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slack() -> Slack {
        let rows = ItemRows { items: &[3.0, 4.0, 0.0, 1.0], width: 2, categories: None, bias: &[0.0, -2.0] };
        Slack::of(&rows, None)
    }

    #[test]
    fn the_largest_vector_and_bias_bound_the_error() {
        let slack = slack();
        assert_eq!((slack.d, slack.vector, slack.bias), (2, 5.0, 2.0));
        let best: Vec<Scored> =
            [9.0, 8.0, 7.999_999, 7.0].iter().zip(0..).map(|(score, item)| Scored { item, score: *score }).collect();
        let found = |k, whole, user: f32| slack.candidates(&best, whole, k, &[user, 0.0]).map(<[Scored]>::len);
        assert_eq!(found(1, false, 1.0), Some(1));
        assert_eq!(found(2, false, 1.0), Some(3), "what rounding may lift is looked at");
        assert_eq!(found(4, false, 1.0), None, "there may be more behind the last");
        assert_eq!(found(4, true, 1.0), Some(4));
        assert_eq!(found(9, true, 1.0), Some(4));
        assert_eq!(found(1, false, 1e7), None, "with a long vector everything may be the best");
        assert_eq!(found(1, true, f32::INFINITY), None);
        assert_eq!(found(1, true, f32::NAN), None);
    }
}
