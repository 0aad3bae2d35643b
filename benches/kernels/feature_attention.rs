//! Feature attention at d = 128: batches of 32 samples, throughput in samples.

use criterion::{BenchmarkId, Criterion, Throughput};
use dmran_kernels::feature_attention::{
    Backward, BackwardWeights, Forward, Gradients, Saved, SavedMut, Weights, backward, forward, kept_len, scratch_len,
};
use dmran_kernels::gemm::{pack, pack_transposed, packed_len};
use dmran_kernels::{Level, naive::feature_attention as naive};

const D: usize = 128;
const BATCH: usize = 32;

type ForwardFn = fn(Level, &Weights<'_>, Forward<'_>);
type BackwardFn = fn(Level, &Weights<'_>, &BackwardWeights<'_>, Backward<'_>);

fn values(len: usize, scale: f32) -> Vec<f32> {
    let mut state = 1u32;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 8) as f32 / (1 << 23) as f32 - 1.0) * scale
        })
        .collect()
}

struct State {
    offsets: Vec<u32>,
    m: Vec<f32>,
    packed: Vec<f32>,
    bias: Vec<f32>,
    mhat: Vec<f32>,
    saved: [Vec<f32>; 4],
    kept: Vec<f32>,
    dm: Vec<f32>,
    dw: [Vec<f32>; 3],
    db: Vec<f32>,
    scratch: Vec<f32>,
}

impl State {
    fn new(samples: usize, r: usize) -> Self {
        let rows = samples * r;
        let w = values(D * D, 0.15);
        let len = packed_len(D, D);
        let mut packed = vec![0.0; 2 * len];
        pack_transposed(&w, D, D, &mut packed[..len]);
        pack(&w, D, D, &mut packed[len..]);
        let offsets: Vec<u32> = (0..=samples as u32).map(|b| b * r as u32).collect();
        Self {
            kept: vec![0.0; kept_len(D, &offsets)],
            offsets,
            m: values(rows * D, 1.0),
            packed,
            bias: values(D, 0.1),
            mhat: vec![0.0; rows * D],
            saved: [(); 4].map(|()| vec![0.0; rows * D]),
            dm: vec![0.0; rows * D],
            dw: [(); 3].map(|()| vec![0.0; D * D]),
            db: vec![0.0; D],
            scratch: vec![0.0; scratch_len(D, r)],
        }
    }

    fn run(&mut self, level: Level, forward: ForwardFn, backward: Option<BackwardFn>) {
        let (w, back) = self.packed.split_at(packed_len(D, D));
        let weights = Weights { d: D, w_s3: w, w_s4: w, w_s5: w, b_s2: &self.bias };
        let [p, q, shift, inverse_sum] = &mut self.saved;
        let kept = if backward.is_some() { &mut self.kept[..] } else { &mut [] };
        let saved = SavedMut { p, q, shift, inverse_sum, kept };
        let (offsets, scratch) = (&self.offsets, &mut self.scratch);
        forward(level, &weights, Forward { offsets, m: &self.m, mhat: &mut self.mhat, saved, scratch });
        let Some(backward) = backward else { return };
        let [p, q, shift, inverse_sum] = &self.saved;
        let [dw_s3, dw_s4, dw_s5] = &mut self.dw;
        let args = Backward {
            offsets,
            m: &self.m,
            mhat: &self.mhat,
            saved: Saved { p, q, shift, inverse_sum, kept: &self.kept },
            dmhat: &self.m,
            gradients: Gradients { dm: &mut self.dm, dw_s3, dw_s4, dw_s5, db_s2: &mut self.db },
            scratch: &mut self.scratch,
        };
        backward(level, &weights, &BackwardWeights { w_s3: back, w_s4: back, w_s5: back }, args);
    }
}

pub fn bench(c: &mut Criterion) {
    for r in [10, 20] {
        for with_backward in [false, true] {
            let what = if with_backward { "forward+backward" } else { "forward" };
            let mut group = c.benchmark_group(format!("feature_attention {what} r={r}"));
            let mut run = |label: String, level: Level, samples: usize, f: ForwardFn, b: BackwardFn| {
                let mut state = State::new(samples, r);
                let b = with_backward.then_some(b);
                group.throughput(Throughput::Elements(samples as u64));
                group.bench_function(BenchmarkId::from_parameter(label), |bench| {
                    bench.iter(|| state.run(level, f, b));
                });
            };
            // The twin's hundreds of milliseconds a batch would be too long a run.
            run("naive".into(), Level::Portable, 1, naive::forward, naive::backward);
            for &level in Level::available() {
                run(level.to_string(), level, BATCH, forward, backward);
            }
        }
    }
}
