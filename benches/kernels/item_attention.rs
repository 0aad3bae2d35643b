//! Item level attention at d = 128, r = 10: batches of 256 histories of mean length 8 (Beauty's) or of 50 events.

use super::values;
use criterion::{BenchmarkId, Criterion, Throughput};
use dmran_kernels::gemm::{pack, pack_transposed, packed_len};
use dmran_kernels::item_attention::{Gradients, ItemAttention, Output, Saved, backward, forward, scratch_len};
use dmran_kernels::{Level, Weight, naive::item_attention as naive};

const D: usize = 128;
const R: usize = 10;
const BUCKETS: usize = 14;

type ForwardFn = fn(Level, &ItemAttention, &mut Output, &mut [f32]);
type BackwardFn = fn(Level, &ItemAttention, &Saved, &[f32], &[f32], &mut Gradients, &mut [f32]);

struct State {
    x: Vec<f32>,
    bucket: Vec<u32>,
    offsets: Vec<u32>,
    t: Vec<f32>,
    w: Vec<f32>,
    packed: Vec<f32>,
    small: Vec<f32>,
    out: [Vec<f32>; 4],
    grads: [Vec<f32>; 6],
    scratch: Vec<f32>,
}

impl State {
    fn new(lengths: &[usize]) -> Self {
        let (samples, events) = (lengths.len(), lengths.iter().sum::<usize>());
        let mut offsets = vec![0];
        for n in lengths {
            offsets.push(offsets[offsets.len() - 1] + *n as u32);
        }
        let w = values(D * D, 0.15);
        let (len, small) = (packed_len(D, D), packed_len(D, R));
        let mut packed = vec![0.0; 2 * len];
        pack_transposed(&w, D, D, &mut packed[..len]);
        pack(&w, D, D, &mut packed[len..]);
        let mut small = vec![0.0; small + packed_len(R, D)];
        pack_transposed(&w[..R * D], R, D, &mut small[..packed_len(D, R)]);
        pack(&w[..R * D], R, D, &mut small[packed_len(D, R)..]);
        let sizes = [events * D, events * R, samples * R * D, samples * R * D];
        let gradients = [events * D, BUCKETS * D, BUCKETS * D, D * D, R * D, D * D];
        Self {
            x: values(events * D, 1.0),
            bucket: (0..events).map(|e| (e % 7 * 2) as u32).collect(),
            offsets,
            t: values(BUCKETS * D, 1.0),
            w,
            packed,
            small,
            out: sizes.map(|n| vec![0.0; n]),
            grads: gradients.map(|n| vec![0.0; n]),
            scratch: vec![0.0; scratch_len(D, R, events, samples, BUCKETS)],
        }
    }

    fn run(&mut self, level: Level, forward: ForwardFn, backward: Option<BackwardFn>) {
        let (transposed, straight) = self.packed.split_at(packed_len(D, D));
        let square = Weight { n: D, k: D, rows: &self.w, transposed, straight };
        let (transposed, straight) = self.small.split_at(packed_len(D, R));
        let p = ItemAttention {
            d: D,
            r: R,
            x: &self.x,
            bucket: &self.bucket,
            offsets: &self.offsets,
            t1: &self.t,
            t2: &self.t,
            w_c: square,
            w_s2: Weight { n: R, k: D, rows: &self.w[..R * D], transposed, straight },
            w_v: square,
        };
        let [g, a, ax, m] = &mut self.out;
        forward(level, &p, &mut Output { g, a, ax, m }, &mut self.scratch);
        let Some(backward) = backward else { return };
        let [g, a, ax, m] = &self.out;
        let [dx, dt1, dt2, dw_c, dw_s2, dw_v] = &mut self.grads;
        let mut grads = Gradients { dx, dt1, dt2, dw_c, dw_s2, dw_v };
        backward(level, &p, &Saved { g, a, ax }, m, a, &mut grads, &mut self.scratch);
    }
}

pub fn bench(c: &mut Criterion) {
    let beauty: Vec<usize> = (0..256).map(|b| [1, 2, 3, 4, 5, 7, 12, 30][b % 8]).collect();
    for (name, lengths) in [("n~8", beauty), ("n=50", vec![50; 256])] {
        for with_backward in [false, true] {
            let what = if with_backward { "forward+backward" } else { "forward" };
            let mut group = c.benchmark_group(format!("item_attention {what} {name}"));
            let mut run = |label: &str, level: Level, lengths: &[usize], f: ForwardFn, b: BackwardFn| {
                let mut state = State::new(lengths);
                group.throughput(Throughput::Elements(lengths.len() as u64));
                group.bench_function(BenchmarkId::from_parameter(label), |bench| {
                    bench.iter(|| state.run(level, f, with_backward.then_some(b)));
                });
            };
            run("naive", Level::Portable, &lengths[..8], naive::forward, naive::backward);
            for &level in Level::available() {
                run(&level.to_string(), level, &lengths, forward, backward);
            }
        }
    }
}
