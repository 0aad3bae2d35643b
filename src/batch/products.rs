//! Blocks of users against blocks of items.

use super::item_block::ItemBlock;
use crate::pool::Pool;
use crate::scorer::item_rows::ItemRows;
use dmran_kernels::Level;
use rayon::prelude::*;

/// Users of a product.
pub(crate) const TILE: usize = 32;
/// Items of a product: packed, they stay in the second level cache.
pub(crate) const ITEMS: usize = 512;
/// Blocks of items that are packed side by side, so that no thread packs while the others wait.
const BLOCKS: usize = 8;
/// Users that a thread takes at a time; a block of items is read once for them.
const GROUP: usize = 4 * TILE;

/// Bytes of the blocks, and of the scores of `threads` threads.
pub(crate) fn bytes(items: usize, d: usize, threads: usize) -> usize {
    let blocks = items.div_ceil(ITEMS).min(BLOCKS);
    4 * (2 * blocks * items.min(ITEMS) * d + threads * TILE * items.min(ITEMS))
}

/// Scores every item (or those of the ascending list `offered`) for users with the vectors `users` `[users, d]`, and shows
/// each user's scores to its `state`: `take(state, first, scores)` with the items (or places in the list) from `first` on,
/// in ascending order. What a user is shown depends on nobody else.
pub(crate) fn each_block<T: Send>(
    level: Level,
    catalogue: &ItemRows<'_>,
    offered: Option<&[u32]>,
    users: &[f32],
    states: &mut [T],
    take: impl Fn(&mut T, u32, &mut [f32]) + Sync,
) {
    let (d, items) = (catalogue.d(), offered.map_or(catalogue.count(), <[u32]>::len));
    let mut blocks: Vec<ItemBlock> = (0..items.div_ceil(ITEMS).min(BLOCKS)).map(|_| ItemBlock::default()).collect();
    let pool = Pool::<Vec<f32>>::default();
    for start in (0..items).step_by(BLOCKS * ITEMS) {
        let many = (items - start).div_ceil(ITEMS).min(BLOCKS);
        let blocks = &mut blocks[..many];
        blocks.par_iter_mut().enumerate().for_each(|(at, block)| {
            let first = start + at * ITEMS;
            let range = first..items.min(first + ITEMS);
            match offered {
                Some(offered) => block.pack(catalogue, offered[range].iter().map(|item| *item as usize)),
                None => block.pack(catalogue, range),
            }
        });
        let blocks = &*blocks;
        users.par_chunks(GROUP * d).zip(states.par_chunks_mut(GROUP)).for_each(|(users, states)| {
            pool.with(Vec::new, |scores| {
                for (at, block) in blocks.iter().enumerate() {
                    let first = (start + at * ITEMS) as u32;
                    for (users, states) in users.chunks(TILE * d).zip(states.chunks_mut(TILE)) {
                        scores.resize(states.len() * block.len(), 0.0);
                        block.scores(level, users, d, scores);
                        let each = states.iter_mut().zip(scores.chunks_exact_mut(block.len()));
                        each.for_each(|(state, scores)| take(state, first, scores));
                    }
                }
            });
        });
    }
}
