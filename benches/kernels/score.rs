//! All 63,001 items for one user, d = 128: the head `vanilla` with r = 10, and a fixed h_c (the head `mean`).

use super::values;
use criterion::{BenchmarkId, Criterion, Throughput};
use dmran_kernels::score::{Candidates, Feature, Vanilla, fixed, vanilla};
use dmran_kernels::{Level, naive::score as naive};
use std::hint::black_box;

const D: usize = 128;
const R: usize = 10;
const ITEMS: usize = 63_001;

type VanillaFn = fn(Level, &Vanilla, Candidates, &[f32], &mut [f32], &mut [f32]);
type FixedFn = fn(Level, &[f32], Candidates, &[f32], &mut [f32]);

pub fn bench(c: &mut Criterion) {
    let table = values(ITEMS * D, 0.1);
    let bias = values(ITEMS, 0.1);
    let rows = values(R * D, 1.0);
    let feature = Feature { mhat: &rows, gate_m: &rows, gate_mhat: &rows, gate_bias: &rows[..D] };
    let user = Vanilla { d: D, m: &rows, feature: Some(feature) };
    let mut scratch = vec![0.0; user.scratch_len()];
    let mut score = vec![0.0; ITEMS];

    for n in [1, 1000, ITEMS] {
        let mut group = c.benchmark_group(format!("score vanilla {n}"));
        let mut run = |label: &str, level: Level, n: usize, f: VanillaFn| {
            group.throughput(Throughput::Elements(n as u64));
            group.bench_function(BenchmarkId::from_parameter(label), |bench| {
                bench.iter(|| {
                    f(level, &user, table[..n * D].into(), &bias[..n], &mut score[..n], &mut scratch);
                    black_box(&score);
                });
            });
        };
        run("naive", Level::Portable, n.min(1000), naive::vanilla);
        for &level in Level::available() {
            run(&level.to_string(), level, n, vanilla);
        }
    }

    let mut group = c.benchmark_group(format!("score fixed {ITEMS}"));
    group.throughput(Throughput::Elements(ITEMS as u64));
    let mut run = |label: &str, level: Level, f: FixedFn| {
        group.bench_function(BenchmarkId::from_parameter(label), |bench| {
            bench.iter(|| {
                f(level, &rows[..D], table[..].into(), &bias, &mut score);
                black_box(&score);
            });
        });
    };
    run("naive", Level::Portable, naive::fixed);
    for &level in Level::available() {
        run(&level.to_string(), level, fixed);
    }
    // The limit of `fixed`: the table read once.
    group.bench_function("read the table", |bench| {
        bench.iter(|| dmran_kernels::loss::sum_squares(Level::best(), black_box(&table)));
    });
}
