//! Item level attention and its penalty against the naive twins; the twins' gradients against finite differences.

#[path = "support/layers.rs"]
mod layers;
#[path = "support/random.rs"]
mod random;

use dmran_kernels::gemm::{self, Matrix, MatrixMut, gemm};
use dmran_kernels::item_attention::{
    Gradients, ItemAttention, Output, Saved, backward, forward, forward_from_g, g_of_items, linear_time,
    linear_time_backward, penalty, penalty_backward, penalty_scratch_len, scratch_len,
};
use dmran_kernels::{Level, naive};
use layers::{Layer, check_gradient, inner, offsets, to_largest};
use random::{Random, bits, worst};

/// Sums of up to 128 products of numbers around 1, softmaxed and summed again.
const BOUND: f32 = 2e-5;

struct Case {
    d: usize,
    r: usize,
    buckets: usize,
    x: Vec<f32>,
    bucket: Vec<u32>,
    offsets: Vec<u32>,
    t1: Vec<f32>,
    t2: Vec<f32>,
    w_c: Layer,
    w_s2: Layer,
    w_v: Layer,
}

impl Case {
    fn new(seed: u64, d: usize, r: usize, buckets: usize, lengths: &[usize]) -> Self {
        let mut random = Random::new(seed);
        let events = lengths.iter().sum::<usize>();
        Self {
            d,
            r,
            buckets,
            x: random.vec(1 + events * d, 1.0),
            bucket: (0..events).map(|_| (random.next() % buckets as u64) as u32).collect(),
            offsets: offsets(lengths),
            t1: random.vec(1 + buckets * d, 1.0),
            t2: random.vec(1 + buckets * d, 1.0),
            w_c: Layer::random(&mut random, d, d),
            w_s2: Layer::random(&mut random, r, d),
            w_v: Layer::random(&mut random, d, d),
        }
    }

    fn args(&self) -> ItemAttention<'_> {
        ItemAttention {
            d: self.d,
            r: self.r,
            x: &self.x[1..],
            bucket: &self.bucket,
            offsets: &self.offsets,
            t1: &self.t1[1..],
            t2: &self.t2[1..],
            w_c: self.w_c.weight(),
            w_s2: self.w_s2.weight(),
            w_v: self.w_v.weight(),
        }
    }

    fn events(&self) -> usize {
        self.bucket.len()
    }

    fn samples(&self) -> usize {
        self.offsets.len() - 1
    }

    fn scratch(&self) -> Vec<f32> {
        // Not zeros: nothing may rely on what scratch holds.
        vec![7.5; scratch_len(self.d, self.r, self.events(), self.samples(), self.buckets)]
    }

    fn forward(&self, level: Option<Level>) -> Forward {
        let (d, r) = (self.d, self.r);
        let mut f = Forward {
            g: vec![1.0; self.events() * d],
            a: vec![1.0; self.events() * r],
            ax: vec![1.0; self.samples() * r * d],
            m: vec![1.0; self.samples() * r * d],
        };
        let mut out = Output { g: &mut f.g, a: &mut f.a, ax: &mut f.ax, m: &mut f.m };
        match level {
            Some(level) => forward(level, &self.args(), &mut out, &mut self.scratch()),
            None => naive::item_attention::forward(Level::Portable, &self.args(), &mut out, &mut []),
        }
        f
    }

    fn backward(&self, level: Option<Level>, f: &Forward, dm: &[f32], da: &[f32]) -> Grads {
        let (d, r) = (self.d, self.r);
        // Start values other than 0: gradients are added.
        let mut g = Grads {
            dx: vec![0.25; self.events() * d],
            dt1: vec![0.25; self.buckets * d],
            dt2: vec![0.25; self.buckets * d],
            dw_c: vec![0.25; d * d],
            dw_s2: vec![0.25; r * d],
            dw_v: vec![0.25; d * d],
        };
        let saved = Saved { g: &f.g, a: &f.a, ax: &f.ax };
        let mut out = Gradients {
            dx: &mut g.dx,
            dt1: &mut g.dt1,
            dt2: &mut g.dt2,
            dw_c: &mut g.dw_c,
            dw_s2: &mut g.dw_s2,
            dw_v: &mut g.dw_v,
        };
        match level {
            Some(level) => backward(level, &self.args(), &saved, dm, da, &mut out, &mut self.scratch()),
            None => {
                naive::item_attention::backward(Level::Portable, &self.args(), &saved, dm, da, &mut out, &mut []);
            }
        }
        g
    }
}

struct Forward {
    g: Vec<f32>,
    a: Vec<f32>,
    ax: Vec<f32>,
    m: Vec<f32>,
}

impl Forward {
    fn parts(&self) -> [&[f32]; 4] {
        [&self.g, &self.a, &self.ax, &self.m]
    }
}

struct Grads {
    dx: Vec<f32>,
    dt1: Vec<f32>,
    dt2: Vec<f32>,
    dw_c: Vec<f32>,
    dw_s2: Vec<f32>,
    dw_v: Vec<f32>,
}

impl Grads {
    fn parts(&self) -> [&[f32]; 6] {
        [&self.dx, &self.dt1, &self.dt2, &self.dw_c, &self.dw_s2, &self.dw_v]
    }
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    let shapes: [(usize, usize, usize, &[usize]); 11] = [
        (1, 1, 1, &[1]),
        (6, 1, 3, &[4, 1, 2]),
        (17, 3, 5, &[7, 0, 1, 19]),
        (100, 10, 14, &[3, 50, 1]),
        (128, 10, 14, &[8, 13, 14, 2, 30]),
        (128, 20, 14, &[5, 17]),
        (32, 33, 2, &[2, 3]),
        (16, 4, 3, &[]),
        (5, 2, 4, &[0, 0]),
        // Whole vectors and more than one tile of hops, without a term to sum.
        (48, 7, 4, &[0, 3, 0]),
        (16, 33, 4, &[0]),
    ];
    for (i, (d, r, buckets, lengths)) in shapes.into_iter().enumerate() {
        cases.push(Case::new(i as u64, d, r, buckets, lengths));
    }
    cases
}

#[test]
fn both_directions_match_the_naive_twin() {
    for case in cases() {
        let mut random = Random::new(9);
        let truth = case.forward(None);
        let dm = random.vec(truth.m.len(), 1.0);
        let da = random.vec(truth.a.len(), 1.0);
        let truth_grads = case.backward(None, &truth, &dm, &da);
        for &level in Level::available() {
            let ours = case.forward(Some(level));
            for (i, (a, b)) in ours.parts().iter().zip(truth.parts()).enumerate() {
                let error = worst(a, b);
                assert!(error <= BOUND, "{level} d={} r={} output {i}: {error}", case.d, case.r);
            }
            let grads = case.backward(Some(level), &ours, &dm, &da);
            for (i, (a, b)) in grads.parts().iter().zip(truth_grads.parts()).enumerate() {
                let error = to_largest(a, b);
                assert!(error <= BOUND, "{level} d={} r={} gradient {i}: {error}", case.d, case.r);
            }
        }
    }
}

#[test]
fn fma_levels_agree_bit_for_bit() {
    if ![Level::Avx2, Level::Avx512].iter().all(|l| l.is_available()) {
        println!("skipped: this CPU lacks AVX2 or AVX-512");
        return;
    }
    for case in cases() {
        let (a, b) = (case.forward(Some(Level::Avx2)), case.forward(Some(Level::Avx512)));
        for (a, b) in a.parts().iter().zip(b.parts()) {
            assert_eq!(bits(a), bits(b));
        }
        let dm = Random::new(3).vec(a.m.len(), 1.0);
        let da = vec![0.0; a.a.len()];
        let x = case.backward(Some(Level::Avx2), &a, &dm, &da);
        let y = case.backward(Some(Level::Avx512), &a, &dm, &da);
        for (x, y) in x.parts().iter().zip(y.parts()) {
            assert_eq!(bits(x), bits(y));
        }
    }
}

#[test]
fn g_from_the_products_of_all_items_has_the_bits_of_forward() {
    for case in cases() {
        let (d, events) = (case.d, case.events());
        // Items in another order than events, some of them had twice.
        let items = events.div_ceil(2);
        let item: Vec<u32> = (0..events).map(|e| (e * 7 % items) as u32).collect();
        let mut case = case;
        let table = case.x[1..1 + items * d].to_vec();
        for (x, &i) in case.x[1..].chunks_exact_mut(d).zip(&item) {
            x.copy_from_slice(&table[i as usize * d..][..d]);
        }
        for &level in Level::available() {
            let p = case.args();
            let mut wx = vec![9.0; items * d];
            let (x, y) = (Matrix::new(&table, items, d), MatrixMut::new(&mut wx, items, d));
            gemm(level, x, p.w_c.transposed, y, gemm::Output::OVERWRITE);
            let (mut ours, mut twin) = (vec![8.0; events * d], vec![8.0; events * d]);
            g_of_items(level, d, &wx, &item, p.t2, p.bucket, &mut ours);
            naive::item_attention::g_of_items(level, d, &wx, &item, p.t2, p.bucket, &mut twin);
            assert_eq!(ours, twin, "{level} d={d}");

            let whole = case.forward(Some(level));
            assert_eq!(bits(&ours), bits(&whole.g), "{level} d={d}");
            let mut f = case.forward(None);
            f.g = ours;
            let mut out = Output { g: &mut f.g, a: &mut f.a, ax: &mut f.ax, m: &mut f.m };
            forward_from_g(level, &p, &mut out, &mut case.scratch());
            for (a, b) in f.parts().iter().zip(whole.parts()) {
                assert_eq!(bits(a), bits(b), "{level} d={d}");
            }
        }
    }
}

#[test]
fn a_history_has_the_same_bits_alone_and_in_a_batch() {
    let lengths = [8, 1, 13, 14, 50, 2];
    let case = Case::new(5, 100, 10, 14, &lengths);
    for &level in Level::available() {
        let whole = case.forward(Some(level));
        for b in 0..lengths.len() {
            let events = case.offsets[b] as usize..case.offsets[b + 1] as usize;
            let mut alone = Case::new(5, 100, 10, 14, &lengths);
            alone.x = case.x[events.start * 100..1 + events.end * 100].to_vec();
            alone.bucket = case.bucket[events.clone()].to_vec();
            alone.offsets = vec![0, events.len() as u32];
            let alone = alone.forward(Some(level));
            assert_eq!(bits(&alone.a), bits(&whole.a[events.start * 10..events.end * 10]), "{level} {b}");
            assert_eq!(bits(&alone.m), bits(&whole.m[b * 1000..(b + 1) * 1000]), "{level} {b}");
        }
    }
}

#[test]
fn one_event_takes_all_attention() {
    let case = Case::new(4, 17, 3, 2, &[1]);
    for &level in Level::available() {
        let f = case.forward(Some(level));
        assert_eq!(f.a, vec![1.0; 3]);
        assert_eq!(f.m[..17], f.m[17..34]);
    }
}

#[test]
fn nan_comes_out_of_its_own_history_only() {
    let mut case = Case::new(4, 17, 3, 2, &[2, 3]);
    case.x[1 + 3 * 17] = f32::NAN;
    for &level in Level::available() {
        let f = case.forward(Some(level));
        assert!(f.m[..3 * 17].iter().all(|v| v.is_finite()), "{level}");
        assert!(f.m[3 * 17..].iter().all(|v| v.is_nan()), "{level}");
    }
}

#[test]
fn gradients_match_finite_differences() {
    let (d, r, buckets) = (6, 3, 3);
    let lengths = [4, 1, 7];
    let case = Case::new(21, d, r, buckets, &lengths);
    let f = case.forward(None);
    let mut random = Random::new(8);
    let dm = random.vec(f.m.len(), 1.0);
    let da = random.vec(f.a.len(), 1.0);
    let mut grads = case.backward(None, &f, &dm, &da);
    for g in [&mut grads.dx, &mut grads.dt1, &mut grads.dt2, &mut grads.dw_c, &mut grads.dw_s2, &mut grads.dw_v] {
        g.iter_mut().for_each(|v| *v -= 0.25);
    }
    let loss = |change: &dyn Fn(&mut Case)| {
        let mut case = Case::new(21, d, r, buckets, &lengths);
        change(&mut case);
        let f = case.forward(None);
        inner(&f.m, &dm) + inner(&f.a, &da)
    };
    check_gradient("x", &case.x[1..], &grads.dx, |v| loss(&|c| c.x[1..].copy_from_slice(v)));
    check_gradient("t1", &case.t1[1..], &grads.dt1, |v| loss(&|c| c.t1[1..].copy_from_slice(v)));
    check_gradient("t2", &case.t2[1..], &grads.dt2, |v| loss(&|c| c.t2[1..].copy_from_slice(v)));
    check_gradient("w_c", &case.w_c.rows, &grads.dw_c, |v| loss(&|c| c.w_c = Layer::new(d, d, v.to_vec())));
    check_gradient("w_s2", &case.w_s2.rows, &grads.dw_s2, |v| loss(&|c| c.w_s2 = Layer::new(r, d, v.to_vec())));
    check_gradient("w_v", &case.w_v.rows, &grads.dw_v, |v| loss(&|c| c.w_v = Layer::new(d, d, v.to_vec())));
}

#[test]
fn linear_time_matches_the_naive_twin() {
    for case in cases() {
        let args = case.args().linear_time();
        let n = case.events() * case.d;
        let mut truth = vec![3.0; n];
        naive::item_attention::linear_time(Level::Portable, &args, &mut truth);
        let dh = Random::new(2).vec(n, 1.0);
        let zeros = || (vec![0.5; n], vec![0.5; case.d * case.d], vec![0.5; case.buckets * case.d]);
        let (mut dx, mut dw, mut dt) = zeros();
        naive::item_attention::linear_time_backward(Level::Portable, &args, &dh, &mut dx, &mut dw, &mut dt);
        for &level in Level::available() {
            let mut h = vec![4.0; n];
            linear_time(level, &args, &mut h);
            assert!(worst(&h, &truth) <= BOUND, "{level} d={}", case.d);
            let (mut dx2, mut dw2, mut dt2) = zeros();
            linear_time_backward(level, &args, &dh, &mut dx2, &mut dw2, &mut dt2);
            assert!(worst(&dx2, &dx) <= BOUND && worst(&dw2, &dw) <= BOUND && worst(&dt2, &dt) <= BOUND, "{level}");
        }
    }
}

#[test]
fn penalty_matches_the_naive_twin_and_finite_differences() {
    for case in cases() {
        let r = case.r;
        let a = case.forward(None).a;
        let mut scratch = vec![3.0; penalty_scratch_len(r)];
        let truth = naive::item_attention::penalty(Level::Portable, r, &case.offsets, &a, &mut []);
        let mut truth_da = vec![0.5; a.len()];
        naive::item_attention::penalty_backward(Level::Portable, r, &case.offsets, &a, 0.3, &mut truth_da, &mut []);
        for &level in Level::available() {
            let ours = penalty(level, r, &case.offsets, &a, &mut scratch);
            assert!((ours - truth).abs() <= 1e-5 * truth.max(1.0), "{level} r={r}: {ours}, not {truth}");
            let mut da = vec![0.5; a.len()];
            penalty_backward(level, r, &case.offsets, &a, 0.3, &mut da, &mut scratch);
            assert!(worst(&da, &truth_da) <= BOUND, "{level} r={r}");
        }
    }
    let (r, offsets) = (3, offsets(&[4, 1, 7]));
    let a = Random::new(6).vec(12 * r, 0.5);
    let mut da = vec![0.0; a.len()];
    naive::item_attention::penalty_backward(Level::Portable, r, &offsets, &a, 0.5, &mut da, &mut []);
    check_gradient("a", &a, &da, |a| 0.5 * naive::item_attention::penalty(Level::Portable, r, &offsets, a, &mut []));
}

#[test]
#[should_panic(expected = "bucket 2, but there are only 2")]
fn a_bucket_out_of_range_is_refused() {
    let mut case = Case::new(4, 17, 3, 2, &[2, 3]);
    case.bucket[1] = 2;
    case.forward(Some(Level::Portable));
}
