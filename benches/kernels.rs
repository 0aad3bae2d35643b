//! Kernels alone: the naive twin beside every level of this CPU.
//!
//! `cargo bench --bench kernels -- feature` runs one group. Throughput is per element, multiply-add pair or sample, as named.

#[path = "kernels/cross_entropy.rs"]
mod cross_entropy;
#[path = "kernels/feature_attention.rs"]
mod feature_attention;
#[path = "kernels/gemm.rs"]
mod gemm;
#[path = "kernels/head.rs"]
mod head;
#[path = "kernels/item_attention.rs"]
mod item_attention;
#[path = "kernels/math.rs"]
mod math;
#[path = "kernels/score.rs"]
mod score;
#[path = "kernels/updates.rs"]
mod updates;

use criterion::{Criterion, criterion_group, criterion_main};
use std::time::Duration;

/// Reproducible values in [-scale, scale).
fn values(len: usize, scale: f32) -> Vec<f32> {
    let mut state = 1u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 8) as f32 / (1 << 23) as f32 - 1.0) * scale
    };
    (0..len).map(next).collect()
}

fn short() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1500))
        .sample_size(30)
}

criterion_group! {
    name = kernels;
    config = short();
    targets = math::bench, gemm::bench, feature_attention::bench, item_attention::bench, head::bench,
        score::bench, updates::bench, cross_entropy::bench
}
criterion_main!(kernels);
