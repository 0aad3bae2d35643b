//! A small log with something to learn in it.

use dmran::data::Dataset;

/// Users who walk around a ring of items: what comes next follows from what came before.
pub fn ring(users: u32, items: u32) -> Dataset {
    let walk = |u: u32| (0..6 + u % 7).map(|k| (u * 7 + k * (1 + u % 3)) % items).collect::<Vec<_>>();
    let histories: Vec<Vec<u32>> = (0..users).map(walk).collect();
    let slices: Vec<&[u32]> = histories.iter().map(Vec::as_slice).collect();
    Dataset::from_histories(&slices, items as usize).unwrap()
}
