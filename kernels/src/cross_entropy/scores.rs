//! Logits with the bits of the scorer.

use crate::simd::tile::{self, with_tile};
use crate::simd::{Kernel, LANES, Simd, store_at};

pub(super) struct Scores<'a> {
    pub d: usize,
    pub items: &'a [f32],
    pub bias: &'a [f32],
    pub users: &'a [f32],
    pub rows: usize,
    pub out: &'a mut [f32],
    pub stride: usize,
}

/// The order in which [`Simd::reduce_sum`] meets its lanes, if each sum is made as soon as both of its terms are there.
const ORDER: [usize; LANES] = [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15];

impl Kernel for Scores<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        let n = self.items.len() / self.d;
        let panels = self.rows.div_ceil(LANES);
        // Items that stay in half of a first level cache while the panels pass.
        let block = (4096 / self.d).clamp(S::TILE_ROWS, 240).next_multiple_of(S::TILE_ROWS);
        for item in (0..n).step_by(block) {
            let count = block.min(n - item);
            let mut panel = 0;
            while panel < panels {
                let vectors = tile::vectors::<S>(count, panels - panel);
                for (first, items) in tile::row_tiles::<S>(count) {
                    with_tile!(S, items, vectors, score_tile(s, &mut self, item + first, panel));
                }
                panel += vectors;
            }
        }
    }
}

/// `R` items from `item` and `16 C` rows from panel `panel`.
#[inline(always)]
fn score_tile<S: Simd, const R: usize, const C: usize>(s: S, all: &mut Scores<'_>, item: usize, panel: usize) {
    let d = all.d;
    let (x, w) = (&all.items[item * d..], &all.users[panel * d * LANES..]);
    // Finished sums of 1, 2, 4 and 8 partial sums that wait for their other halves.
    let mut waiting = [[[s.zero(); C]; R]; 4];
    let mut total = [[s.zero(); C]; R];
    for (i, first) in ORDER.into_iter().enumerate() {
        // Short vectors have empty sums, which are 0.
        let mut sum = [[s.zero(); C]; R];
        if first < d {
            let terms = (d - first).div_ceil(LANES);
            let (x, w) = (&x[first..], &w[first * LANES..]);
            sum = tile::packed_every::<S, R, C>(s, (x, d, LANES), (w, d * LANES), terms, sum);
        }
        let merges = (i + 1).trailing_zeros() as usize;
        for other in &waiting[..merges] {
            for (sum, other) in sum.iter_mut().flatten().zip(other.iter().flatten()) {
                *sum = s.add(*other, *sum);
            }
        }
        match waiting.get_mut(merges) {
            Some(place) => *place = sum,
            None => total = sum,
        }
    }
    for (r, total) in total.into_iter().enumerate() {
        let bias = s.splat(all.bias.get(item + r).copied().unwrap_or(0.0));
        let line = &mut all.out[(item + r) * all.stride..][..all.rows];
        for (c, v) in total.into_iter().enumerate() {
            store_at(s, s.add(v, bias), line, (panel + c) * LANES);
        }
    }
}
