//! exp, tanh, sigmoid, softplus over 4096 floats.

use criterion::{BenchmarkId, Criterion, Throughput};
use dmran_kernels::{Level, math, naive};

type Over = fn(Level, &mut [f32]);

pub fn bench(c: &mut Criterion) {
    let cases: [(&str, Over, Over); 4] = [
        ("exp", math::exp_slice, naive::math::exp_slice),
        ("tanh", math::tanh_slice, naive::math::tanh_slice),
        ("sigmoid", math::sigmoid_slice, naive::math::sigmoid_slice),
        ("softplus", math::softplus_slice, naive::math::softplus_slice),
    ];
    let from: Vec<f32> = (0..4096).map(|i| (i as f32 - 2048.0) / 256.0).collect();
    for (name, kernel, twin) in cases {
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Elements(from.len() as u64));
        let mut x = from.clone();
        let mut run = |label: String, f: Over, level: Level| {
            group.bench_function(BenchmarkId::from_parameter(label), |b| {
                b.iter(|| {
                    x.copy_from_slice(&from);
                    f(level, &mut x);
                });
            });
        };
        run("naive".into(), twin, Level::Portable);
        for &level in Level::available() {
            run(level.to_string(), kernel, level);
        }
    }
}
