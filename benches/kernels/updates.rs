//! Tables: gathering and scattering rows of 128, and the optimisers' steps on 2,000 rows of a table of 63,001.

use super::values;
use criterion::{BenchmarkId, Criterion, Throughput};
use dmran_kernels::optim::{Adagrad, Adam, Sgd, Target};
use dmran_kernels::rows::{Columns, gather, scatter_add};
use dmran_kernels::{Level, naive, optim};

const D: usize = 128;
const ITEMS: usize = 63_001;
const ROWS: usize = 2000;

pub fn bench(c: &mut Criterion) {
    let mut table = values(ITEMS * D, 0.1);
    let ids: Vec<u32> = (0..ROWS).map(|i| (i * 7919 % ITEMS) as u32).collect();
    let mut g = values(ROWS * D, 0.1);
    let (mut m, mut v) = (vec![0.1; ITEMS * D], vec![0.1; ITEMS * D]);
    let at = Columns::all(D);
    let target = Target::Rows { ids: &ids, width: D };
    let sgd = Sgd { lr: 1e-3, scale: 1.0 };
    let adagrad = Adagrad { lr: 1e-3, eps: 1e-8, scale: 1.0 };
    let adam = Adam { lr: 1e-3, beta1: 0.9, beta2: 0.999, eps: 1e-8, scale: 1.0, step: 7 };

    for name in ["gather", "scatter_add", "sgd", "adagrad", "adam"] {
        let mut group = c.benchmark_group(format!("rows {name}"));
        group.throughput(Throughput::Elements(ROWS as u64));
        let levels = Level::available().iter().map(|&level| (level.to_string(), Some(level)));
        for (label, level) in std::iter::once(("naive".to_string(), None)).chain(levels) {
            group.bench_function(BenchmarkId::from_parameter(label), |b| {
                b.iter(|| match (name, level) {
                    ("gather", Some(l)) => gather(l, &table, D, &ids, &mut g, at),
                    ("gather", None) => naive::rows::gather(Level::Portable, &table, D, &ids, &mut g, at),
                    ("scatter_add", Some(l)) => scatter_add(l, &g, at, &ids, D, &mut table),
                    ("scatter_add", None) => {
                        naive::rows::scatter_add(Level::Portable, &g, at, &ids, D, &mut table);
                    }
                    ("sgd", Some(l)) => optim::sgd(l, &sgd, target, &mut table, &g),
                    ("sgd", None) => naive::optim::sgd(Level::Portable, &sgd, target, &mut table, &g),
                    ("adagrad", Some(l)) => optim::adagrad(l, &adagrad, target, &mut table, &g, &mut m),
                    ("adagrad", None) => {
                        naive::optim::adagrad(Level::Portable, &adagrad, target, &mut table, &g, &mut m);
                    }
                    (_, Some(l)) => optim::adam(l, &adam, target, &mut table, &g, &mut m, &mut v),
                    (_, None) => {
                        naive::optim::adam(Level::Portable, &adam, target, &mut table, &g, &mut m, &mut v);
                    }
                });
            });
        }
    }
}
