//! The softmax over the whole catalogue (eq 18, 19) beside the machine's peak of multiply-adds, on one thread.
//!
//! `cargo bench --bench catalogue [-- ITEMS...]`: for each number of items, forward + backward of 256 rows of width 128, in
//! milliseconds and GFLOP/s (three products of `2 * 256 * ITEMS * 128`; exponentials are not counted), for each level of this
//! CPU, as a share of that level's peak, which is measured right before and after. Medians. First the naive twin's GFLOP/s, of one
//! block of items; at the end of each number Adam's step over such a table.

use dmran::train::catalogue::{Batch, Catalogue, ItemRows, Sizes};
use dmran::train::config::OptimizerKind;
use dmran::train::optimizer::Rule;
use dmran_kernels::cross_entropy::{self, Block, Excluded, Gradients, Rows, Running, Write, stride};
use dmran_kernels::gemm::{pack_transposed, packed_len};
use dmran_kernels::simd::{Kernel, Simd};
use dmran_kernels::{Level, naive};
use std::hint::black_box;
use std::time::Instant;

const ROWS: usize = 256;
const D: usize = 128;

/// Independent chains of multiply-adds, enough to hide their latency, in registers alone.
struct Chains<const N: usize>(usize);

impl<const N: usize> Kernel for Chains<N> {
    type Output = f32;
    #[inline(always)]
    fn run<S: Simd>(self, s: S) -> f32 {
        let (a, b) = (s.splat(black_box(0.999)), s.splat(black_box(1e-3)));
        let mut acc = [s.splat(black_box(1.0)); N];
        for _ in 0..self.0 {
            for v in &mut acc {
                *v = s.mul_add(*v, a, b);
            }
        }
        let mut sum = s.zero();
        for v in acc {
            sum = s.add(sum, v);
        }
        s.reduce_sum(sum)
    }
}

/// GFLOP/s of multiply-adds: the best of several short runs.
fn peak(level: Level) -> f64 {
    const STEPS: usize = 400_000;
    let run = || {
        let start = Instant::now();
        // A vector is two registers on AVX2 and four on smaller ones.
        let chains = if level == Level::Avx512 {
            black_box(level.dispatch(Chains::<12>(STEPS)));
            12
        } else {
            black_box(level.dispatch(Chains::<6>(STEPS)));
            6
        };
        (chains * STEPS * 16 * 2) as f64 / start.elapsed().as_secs_f64() / 1e9
    };
    (0..20).map(|_| run()).fold(0.0, f64::max)
}

/// The median of the seconds of `f`, called until a second is over, 5 times at least.
fn median(mut f: impl FnMut()) -> f64 {
    f();
    let (begin, mut times) = (Instant::now(), vec![]);
    while times.len() < 5 || begin.elapsed().as_secs_f64() < 1.0 {
        let start = Instant::now();
        f();
        times.push(start.elapsed().as_secs_f64());
    }
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn values(len: usize, scale: f32) -> Vec<f32> {
    let mut state = 1u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        ((state >> 8) as f32 / (1 << 23) as f32 - 1.0) * scale
    };
    (0..len).map(next).collect()
}

/// GFLOP/s of the naive twin over one block of items.
fn naive_twin() -> f64 {
    const ITEMS: usize = 256;
    let (items, users) = (values(ITEMS * D, 0.3), values(ROWS * D, 0.3));
    let mut packed = vec![0.0; packed_len(D, ROWS)];
    pack_transposed(&users, ROWS, D, &mut packed);
    let targets: Vec<u32> = (0..ROWS as u32).collect();
    let weights = vec![1.0 / ROWS as f32; ROWS];
    let mut scaled = vec![0.0; packed_len(ROWS, D)];
    cross_entropy::pack_scaled(Level::Portable, D, &users, &weights, &mut scaled);
    let (mut max, mut sum, mut target) = (vec![f32::NEG_INFINITY; ROWS], vec![0.0; ROWS], vec![0.0; ROWS]);
    let (mut d_users, mut d_items, mut e) =
        (vec![0.0; ROWS * D], vec![0.0; ITEMS * D], vec![0.0; ITEMS * stride(ROWS)]);
    let excluded = Excluded::default();
    let block = Block { d: D, first: 0, items: &items, bias: &[], users: &packed, targets: &targets, excluded };
    let rows = Rows { d: D, users: &users, targets: &targets, weights: &weights, scale: &weights, packed: &scaled };
    let start = Instant::now();
    let running = Running { max: &mut max, sum: &mut sum, target: &mut target, d_users: &mut d_users };
    naive::cross_entropy::forward(Level::Portable, &block, running, &mut e);
    let out = Gradients { items: &mut d_items, bias: &mut [], write: Write::Over };
    naive::cross_entropy::backward(Level::Portable, &rows, 0, &e, out);
    (3 * 2 * ROWS * ITEMS * D) as f64 / start.elapsed().as_secs_f64() / 1e9
}

fn main() {
    println!("naive twin: {:.2} GFLOP/s", naive_twin());
    let numbers: Vec<usize> = std::env::args().skip(1).filter_map(|a| a.parse().ok()).collect();
    let numbers = if numbers.is_empty() { vec![12_101, 63_001] } else { numbers };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a thread");
    for items in numbers {
        let mut table = values(items * D, 0.3);
        let (bias, users) = (values(items, 0.1), values(ROWS * D, 0.3));
        let targets: Vec<u32> = (0..ROWS).map(|b| (b * 7919 % items) as u32).collect();
        let weights = vec![1.0 / ROWS as f32; ROWS];
        let batch = Batch { users: &users, targets: &targets, weights: &weights, excluded: Excluded::default() };
        let mut d_users = vec![0.0; ROWS * D];
        let flops = (3 * 2 * ROWS * items * D) as f64;
        println!("{items} items, {ROWS} rows, d {D}:");
        for &level in Level::available().iter().rev() {
            let sizes = Sizes { items, width: D, categories: 0, category_width: 0, item_category: &[], bias: true };
            let mut catalogue = Catalogue::new(level, &sizes);
            let rows = ItemRows { items: &table, width: D, categories: None, bias: &bias };
            let before = pool.install(|| peak(level));
            let seconds = pool.install(|| {
                median(|| {
                    black_box(catalogue.loss_and_gradients(&rows, &batch, &mut d_users));
                })
            });
            let alone = pool.install(|| {
                median(|| {
                    black_box(catalogue.loss(&rows, &batch));
                })
            });
            let peak = pool.install(|| peak(level)).max(before);
            println!(
                "  {level}: forward + backward {:.1} ms, {:.0} GFLOP/s, {:.0} % of the peak of {peak:.0}; \
                 loss alone {:.1} ms; {:.0} MB held",
                seconds * 1e3,
                flops / seconds / 1e9,
                flops / seconds / 1e7 / peak,
                alone * 1e3,
                catalogue.bytes() as f64 / 1e6,
            );
        }
        let level = Level::best();
        let g = values(items * D, 1e-3);
        let mut state = [vec![0.0; items * D], vec![1e-6; items * D]];
        let rule = Rule::new(level, OptimizerKind::Adam, 1e-6, 1.0, 7);
        let seconds = pool.install(|| median(|| rule.apply_parallel(&mut table, &mut state, &g)));
        // Read: weight, gradient, two moments; written: all but the gradient.
        println!("  Adam over the table: {:.1} ms, {:.1} GB/s", seconds * 1e3, 28e-9 * (items * D) as f64 / seconds);
    }
}
