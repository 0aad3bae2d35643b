//! Whole training steps: forward, backward, update, on the shapes that `compare_torch.sh` gives PyTorch too.
//!
//! Names read `engine/threads/B,n,r`; throughput is training samples (a history, a positive and a negative) a second.
//! `cargo bench --bench step -- fused/1` runs one engine on one thread. The losses that compare with many items, and the preset
//! `everyday`, are named `loss/threads/ITEMS` (batch 256, real lengths, head `mean`, Adam).

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dmran::autograd::tape::Engine;
use dmran::data::{Dataset, Negatives, Sample};
use dmran::model::Kind;
use dmran::model::init::{initialise, normal};
use dmran::model::{Dmran, Model};
use dmran::scorer::{Block, Head, LastEvent, Settings};
use dmran::train::Trainer;
use dmran::train::config::{Config, L2Kind, OptimizerKind, TrainConfig};
use dmran::train::losses::Loss;
use dmran::train::preset::Preset;
use dmran_kernels::Level;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};
use std::time::Duration;

const ITEMS: usize = 63_001;
const DAY: i64 = 86_400;

/// Users with histories of the given lengths and one event to predict.
fn dataset(lengths: impl Iterator<Item = usize>, item_count: usize, categories: usize) -> (Dataset, Vec<Sample>) {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (mut offsets, mut items, mut times, mut samples) = (vec![0], vec![], vec![], vec![]);
    for (user, n) in lengths.enumerate() {
        items.extend((0..=n).map(|_| rng.random_range(0..item_count as u32)));
        // Gaps that fill all buckets.
        times.extend((0..=n).map(|k| DAY * (20_000 - (1i64 << (13 * (n - k) / (n + 1)))) + k as i64));
        offsets.push(items.len());
        samples.push(Sample { user: user as u32, target: n as u32 });
    }
    let of = if categories > 0 { category_of(item_count, categories) } else { vec![] };
    (Dataset::from_parts(offsets, items, times, of, item_count, categories).expect("consistent parts"), samples)
}

fn category_of(items: usize, categories: usize) -> Vec<u32> {
    (0..items).map(|item| (item * 7919 % categories) as u32).collect()
}

/// Real histories: Beauty's have 8 events in the mean; here 1 + an exponential of mean 7, capped.
fn real_lengths(count: usize, cap: usize) -> impl Iterator<Item = usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    (0..count).map(move |_| (1 + (-7.0 * (1.0 - rng.random::<f64>()).ln()) as usize).min(cap))
}

fn trainer(batch: usize, hops: usize, engine: Engine, threads: usize) -> Trainer {
    let settings = Settings { hops, history_cap: 200, head: Head::Vanilla, block: Block::Plain, ..Settings::default() };
    let config = TrainConfig {
        batch,
        engine,
        threads,
        lr: 0.1,
        clip: 0.0,
        penalty: 1e-2,
        l2: L2Kind::Weights,
        ..TrainConfig::default()
    };
    let mut model = Dmran::new(settings.clone(), ITEMS, 0, vec![]).expect("valid settings");
    initialise(model.params_mut(), 0.088, 1);
    let table = model.params().find_table("V").expect("V");
    normal(&mut ChaCha8Rng::seed_from_u64(3), 0.088, &mut model.params_mut().table_mut(table).data);
    Trainer::new(Box::new(model), settings, config, Level::current()).expect("threads")
}

/// A trainer and four batches that it takes in turn, so that a step does not find its rows in the cache.
struct Steps {
    trainer: Trainer,
    dataset: Dataset,
    samples: Vec<Sample>,
    negatives: Negatives,
    order: Vec<u32>,
    batch: usize,
    at: usize,
}

impl Steps {
    /// Histories of `n` events, or of real lengths where `n` is 0.
    fn new(batch: usize, n: usize, hops: usize, engine: Engine, threads: usize) -> Self {
        let count = 4 * batch;
        let lengths: Vec<usize> = if n == 0 { real_lengths(count, 50).collect() } else { vec![n; count] };
        let (dataset, samples) = dataset(lengths.into_iter(), ITEMS, 0);
        Self::of(trainer(batch, hops, engine, threads), dataset, samples, batch)
    }

    /// A loss against many of `items` items: [`Preset::Everyday`] as it is, or plainer, with the head `mean`, ten hops and neither
    /// the last event's row nor dropout nor categories.
    fn against_many(loss: Loss, items: usize, everyday: bool, threads: usize) -> Self {
        const BATCH: usize = 256;
        const CATEGORIES: usize = 250;
        let categories = if everyday { CATEGORIES } else { 0 };
        let (dataset, samples) = dataset(real_lengths(4 * BATCH, 50), items, categories);
        let Config { mut model, mut train, .. } = Config::of(Preset::Everyday, Kind::Dmran);
        model.categories = everyday;
        (train.loss, train.threads, train.shared_negatives) = (loss, threads, 1024);
        assert_eq!((train.batch, train.optimizer), (BATCH, OptimizerKind::Adam));
        if !everyday {
            (model.head, model.last, model.hops, train.dropout) = (Head::Mean, LastEvent::None, 10, 0.0);
        }
        // Steps are timed, not what they learn.
        train.lr = 1e-5;
        let of = if everyday { category_of(items, categories) } else { vec![] };
        let mut built = Dmran::new(model.clone(), items, categories, of).expect("valid settings");
        initialise(built.params_mut(), 0.05, 1);
        let trainer = Trainer::new(Box::new(built), model, train, Level::current()).expect("threads");
        Self::of(trainer, dataset, samples, BATCH)
    }

    fn of(trainer: Trainer, dataset: Dataset, samples: Vec<Sample>, batch: usize) -> Self {
        let negatives = Negatives::new(&dataset);
        let order = (0..samples.len() as u32).collect();
        Self { trainer, dataset, samples, negatives, order, batch, at: 0 }
    }

    fn step(&mut self) {
        let part = &self.order[self.at..self.at + self.batch];
        self.at = (self.at + self.batch) % self.order.len();
        self.trainer
            .step(&self.dataset, &self.negatives, &self.samples, part, 0, 0)
            .expect("no divergence at this learning rate");
    }
}

fn bench(c: &mut Criterion) {
    let shapes = [
        ("32,10,10", 32, 10, 10),
        ("32,50,10", 32, 50, 10),
        ("256,10,10", 256, 10, 10),
        ("256,50,10", 256, 50, 10),
        ("256,200,10", 256, 200, 10),
        ("256,50,20", 256, 50, 20),
        ("256,real,10", 256, 0, 10),
    ];
    for (engine, name) in [(Engine::Fused, "fused"), (Engine::Naive, "naive")] {
        for threads in [1, 2] {
            let mut group = c.benchmark_group(format!("{name}/{threads}"));
            for (shape, batch, n, hops) in shapes {
                // The reference is slow: a few shapes show by how much.
                if engine == Engine::Naive && !matches!(shape, "32,10,10" | "256,50,10") {
                    continue;
                }
                group.throughput(Throughput::Elements(batch as u64));
                // Made when a benchmark really runs: a filter would otherwise wait for all the others' tables.
                let mut bench = None;
                group.bench_function(BenchmarkId::from_parameter(shape), |b| {
                    let bench = bench.get_or_insert_with(|| Steps::new(batch, n, hops, engine, threads));
                    let pool = bench.trainer.pool();
                    b.iter(|| pool.install(|| bench.step()));
                });
            }
            group.finish();
        }
    }
    for threads in [1, 2] {
        for (name, loss, everyday, sizes) in [
            ("softmax", Loss::Softmax, false, &[1_000, 12_101, 63_001][..]),
            ("sampled-softmax", Loss::SampledSoftmax, false, &[1_000, 12_101, 63_001, 1_000_000]),
            ("everyday", Loss::Softmax, true, &[12_101, 63_001]),
        ] {
            let mut group = c.benchmark_group(format!("{name}/{threads}"));
            for &items in sizes {
                group.throughput(Throughput::Elements(256));
                let mut bench = None;
                group.bench_function(BenchmarkId::from_parameter(items), |b| {
                    let bench = bench.get_or_insert_with(|| Steps::against_many(loss, items, everyday, threads));
                    let pool = bench.trainer.pool();
                    b.iter(|| pool.install(|| bench.step()));
                });
            }
            group.finish();
        }
    }
}

criterion_group! {
    name = step;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(3))
        .sample_size(20);
    targets = bench
}
criterion_main!(step);
