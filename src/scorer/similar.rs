//! Items like an item.

use dmran_kernels::loss::sum_squares;
use dmran_kernels::score::{self, Candidates};

use super::best::Selection;
use super::rules::Rules;
use super::serve::Scorer;
use super::top_k::Scored;
use super::user::ScoreError;

/// Items that are compared at a time.
const BLOCK: usize = 256;

impl Scorer {
    /// The `k` items most like `item`, best first, into `best`: by the cosine of the item vectors (eq 1), which is the score
    /// given; equal ones by their id. The item itself is left out; one whose vector is zero is like nothing (0). The bias has
    /// no part in it: it tells how wanted an item is, not what it is like.
    ///
    /// # Errors
    /// [`ScoreError::NoSuchItem`] for an index that is no item.
    pub fn similar(&self, item: u32, k: usize, rules: &Rules, best: &mut Vec<Scored>) -> Result<(), ScoreError> {
        let items = self.items().len();
        if item as usize >= items {
            return Err(ScoreError::NoSuchItem { position: 0, item, items });
        }
        let mut selection = Selection::new(k, rules, self.model());
        self.compare(item, rules, &mut selection);
        *best = selection.finish();
        Ok(())
    }

    fn compare(&self, item: u32, rules: &Rules, selection: &mut Selection<'_>) {
        let (level, rows, d) = (self.level(), self.item_rows(), self.settings().d);
        let mut own = vec![0.0; d];
        rows.gather(std::iter::once(item as usize), &mut own);
        let norm = |vector: &[f32]| sum_squares(level, vector).sqrt();
        let own_norm = norm(&own);
        let (none, mut dots, mut scratch) = ([0.0; BLOCK], [0.0; BLOCK], vec![0.0; BLOCK * d]);
        let items = rows.count();
        for start in (0..items).step_by(BLOCK) {
            let n = BLOCK.min(items - start);
            let vectors = rows.vectors(start..start + n, &mut scratch);
            score::fixed(level, &own, Candidates::from(vectors), &none[..n], &mut dots[..n]);
            for ((other, vector), dot) in (start as u32..).zip(vectors.chunks_exact(d)).zip(&dots) {
                let both = own_norm * norm(vector);
                let score = if both > 0.0 { (f64::from(*dot) / both) as f32 } else { 0.0 };
                if other != item && selection.may_take(score) && rules.offers(other) {
                    selection.offer(Scored { item: other, score });
                }
            }
        }
    }
}
