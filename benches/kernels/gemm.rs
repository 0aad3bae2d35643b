//! Products of the shapes of a training step, in multiply-add pairs a second.

use criterion::{BenchmarkId, Criterion, Throughput};
use dmran_kernels::gemm::{Matrix, MatrixMut, Output, gemm, gemm_tn, pack_transposed, packed_len};
use dmran_kernels::{Level, naive};

type Gemm = fn(Level, Matrix<'_>, &[f32], MatrixMut<'_>, Output<'_>);
type GemmTn = fn(Level, Matrix<'_>, Matrix<'_>, MatrixMut<'_>, bool);

fn levels<F: Copy>(kernel: F, twin: F) -> Vec<(String, F, Level)> {
    let ours = Level::available().iter().map(|&l| (l.to_string(), kernel, l));
    std::iter::once(("naive".to_owned(), twin, Level::Portable)).chain(ours).collect()
}

pub fn bench(c: &mut Criterion) {
    for (rows, k, n) in [(1, 128, 128), (10, 128, 128), (100, 128, 128), (2560, 128, 128), (100, 100, 100)] {
        let (x, w) = (vec![0.5; rows * k], vec![0.25; n * k]);
        let mut packed = vec![0.0; packed_len(k, n)];
        pack_transposed(&w, n, k, &mut packed);
        let mut y = vec![0.0; rows * n];
        let mut group = c.benchmark_group(format!("gemm {rows}x{k}x{n}"));
        group.throughput(Throughput::Elements((rows * k * n) as u64));
        for (label, f, level) in levels(gemm as Gemm, naive::gemm::gemm) {
            group.bench_function(BenchmarkId::from_parameter(label), |b| {
                b.iter(|| {
                    let (x, y) = (Matrix::new(&x, rows, k), MatrixMut::new(&mut y, rows, n));
                    f(level, x, &packed, y, Output::OVERWRITE);
                });
            });
        }
    }
    for (rows, m, n) in [(60, 128, 128), (2560, 128, 128)] {
        let (x, y) = (vec![0.5; rows * m], vec![0.25; rows * n]);
        let mut out = vec![0.0; m * n];
        let mut group = c.benchmark_group(format!("gemm_tn {m}x{rows}x{n}"));
        group.throughput(Throughput::Elements((rows * m * n) as u64));
        for (label, f, level) in levels(gemm_tn as GemmTn, naive::gemm::gemm_tn) {
            group.bench_function(BenchmarkId::from_parameter(label), |b| {
                b.iter(|| {
                    let (x, y) = (Matrix::new(&x, rows, m), Matrix::new(&y, rows, n));
                    f(level, x, y, MatrixMut::new(&mut out, m, n), false);
                });
            });
        }
    }
}
