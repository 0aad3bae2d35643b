//! Kernels alone: the naive twin beside every level of this CPU.
//!
//! `cargo bench --bench kernels -- feature` runs one group. Throughput is per element, multiply-add pair or sample, as named.

#[path = "kernels/feature_attention.rs"]
mod feature_attention;
#[path = "kernels/gemm.rs"]
mod gemm;
#[path = "kernels/math.rs"]
mod math;

use criterion::{Criterion, criterion_group, criterion_main};
use std::time::Duration;

fn short() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_millis(1500))
        .sample_size(30)
}

criterion_group! {
    name = kernels;
    config = short();
    targets = math::bench, gemm::bench, feature_attention::bench
}
criterion_main!(kernels);
