//! The softmax over the catalogue: one block of 256 items and 256 rows of width 128, in multiply-adds of the products.

use super::values;
use criterion::{BenchmarkId, Criterion, Throughput};
use dmran_kernels::cross_entropy::{self as fused, Block, Excluded, Gradients, Rows, Running, Write, stride};
use dmran_kernels::gemm::{pack_transposed, packed_len};
use dmran_kernels::{Level, naive::cross_entropy as naive};

const ITEMS: usize = 256;
const ROWS: usize = 256;
const D: usize = 128;

pub fn bench(c: &mut Criterion) {
    let (items, bias, users) = (values(ITEMS * D, 0.3), values(ITEMS, 0.1), values(ROWS * D, 0.3));
    let targets: Vec<u32> = (0..ROWS as u32).collect();
    let weights = vec![1.0 / ROWS as f32; ROWS];
    let mut packed = vec![0.0; packed_len(D, ROWS)];
    pack_transposed(&users, ROWS, D, &mut packed);
    let block = Block {
        d: D,
        first: 0,
        items: &items,
        bias: &bias,
        users: &packed,
        targets: &targets,
        excluded: Excluded::default(),
    };
    let mut scaled = vec![0.0; packed_len(ROWS, D)];
    fused::pack_scaled(Level::best(), D, &users, &weights, &mut scaled);
    let rows = Rows { d: D, users: &users, targets: &targets, weights: &weights, scale: &weights, packed: &scaled };
    let (mut max, mut sum, mut target) = (vec![f32::NEG_INFINITY; ROWS], vec![0.0; ROWS], vec![0.0; ROWS]);
    let mut e = vec![0.0; ITEMS * stride(ROWS)];
    let (mut d_users, mut d_items, mut d_bias) = (vec![0.0; ROWS * D], vec![0.0; ITEMS * D], vec![0.0; ITEMS]);
    let levels = Level::available().iter().map(|&level| (level.to_string(), Some(level)));
    let levels: Vec<_> = std::iter::once(("naive".to_string(), None)).chain(levels).collect();
    for (name, products) in [("forward", 2), ("backward", 1)] {
        let mut group = c.benchmark_group(format!("cross_entropy {name}"));
        group.throughput(Throughput::Elements((products * ITEMS * ROWS * D) as u64));
        for (label, level) in &levels {
            let l = level.unwrap_or(Level::Portable);
            group.bench_function(BenchmarkId::from_parameter(label), |b| {
                b.iter(|| match name {
                    "forward" => {
                        let running =
                            Running { max: &mut max, sum: &mut sum, target: &mut target, d_users: &mut d_users };
                        let f = if level.is_some() { fused::forward } else { naive::forward };
                        f(l, &block, running, &mut e);
                    }
                    _ => {
                        let out = Gradients { items: &mut d_items, bias: &mut d_bias, write: Write::Over };
                        let f = if level.is_some() { fused::backward } else { naive::backward };
                        f(l, &rows, 0, &e, out);
                    }
                });
            });
        }
    }
}
