//! A softmax over a small catalogue, block by block, with the kernels or with their naive twins.

use crate::random::Random;
use dmran_kernels::cross_entropy::{self as fused, Block, Excluded, Gradients, Rows, Running, Write, row_loss, stride};
use dmran_kernels::gemm::{pack_transposed, packed_len};
use dmran_kernels::{Level, naive::cross_entropy as naive};

/// The problem; every slice that a kernel sees starts one float off.
#[derive(Clone)]
pub struct Problem {
    pub d: usize,
    pub block: usize,
    pub chunk: usize,
    pub items: Vec<f32>,
    pub bias: Vec<f32>,
    pub users: Vec<f32>,
    pub targets: Vec<u32>,
    pub weights: Vec<f32>,
    /// Of each row, ascending.
    pub excluded: Vec<Vec<u32>>,
}

/// All results.
pub struct Outcome {
    pub losses: Vec<f64>,
    pub d_users: Vec<f32>,
    pub d_items: Vec<f32>,
    pub d_bias: Vec<f32>,
}

impl Outcome {
    pub fn loss(&self, weights: &[f32]) -> f64 {
        self.losses.iter().zip(weights).map(|(l, &w)| l * f64::from(w)).sum()
    }
}

impl Problem {
    pub fn new(seed: u64, (rows, items, d): (usize, usize, usize), block: usize, chunk: usize) -> Self {
        let mut random = Random::new(seed);
        let scale = 3.0 / (d as f32).sqrt();
        let targets: Vec<u32> = (0..rows).map(|_| (random.next() % items as u64) as u32).collect();
        let excluded = (0..rows).map(|_| (0..items as u32).filter(|_| random.next().is_multiple_of(5)).collect());
        Self {
            d,
            block,
            chunk,
            excluded: excluded.collect(),
            items: random.vec(items * d, scale),
            bias: random.vec(items, 1.0),
            users: random.vec(rows * d, scale),
            weights: (0..rows).map(|_| 0.5 + random.float(0.4)).collect(),
            targets,
        }
    }

    /// All blocks, with the kernels of a level or without a level the twins.
    pub fn run(&self, level: Option<Level>) -> Outcome {
        let d = self.d;
        let n = self.items.len() / d;
        let mut out = Outcome {
            losses: vec![],
            d_users: vec![],
            d_items: vec![f32::NAN; 1 + n * d],
            d_bias: vec![f32::NAN; 1 + self.bias.len()],
        };
        let items = [&[0.0], &self.items[..]].concat();
        let blocks: Vec<_> = (0..n).step_by(self.block).map(|i| i..n.min(i + self.block)).collect();
        for from in (0..self.targets.len()).step_by(self.chunk) {
            let range = from..self.targets.len().min(from + self.chunk);
            let rows = range.len();
            let users = [&[0.0], &self.users[range.start * d..range.end * d]].concat();
            let mut packed = vec![f32::NAN; 1 + packed_len(d, rows)];
            pack_transposed(&users[1..], rows, d, &mut packed[1..]);
            let mut offsets = vec![0];
            let mut left_out = vec![];
            for excluded in &self.excluded[range.clone()] {
                left_out.extend(excluded);
                offsets.push(left_out.len() as u32);
            }
            let excluded = Excluded { offsets: &offsets, items: &left_out };
            let targets = &self.targets[range.clone()];
            // Each block is a run of its own every third time, so that runs are combined too.
            let mut maxima = vec![];
            let (mut run_max, mut run_sum, mut run_users) = (vec![], vec![], vec![]);
            let mut target = vec![f32::NAN; rows];
            let mut es = vec![];
            for (at, block) in blocks.iter().enumerate() {
                if at % 3 == 0 {
                    run_max.push(vec![f32::NEG_INFINITY; rows]);
                    run_sum.push(vec![0.0; rows]);
                    run_users.push(vec![0.0; 1 + rows * d]);
                }
                let mut e = vec![f32::NAN; 1 + block.len() * stride(rows)];
                let (max, sum) = (run_max.last_mut().unwrap(), run_sum.last_mut().unwrap());
                let running =
                    Running { max, sum, target: &mut target, d_users: &mut run_users.last_mut().unwrap()[1..] };
                let args = Block {
                    d,
                    first: block.start,
                    items: &items[1 + block.start * d..1 + block.end * d],
                    bias: if self.bias.is_empty() { &[] } else { &self.bias[block.clone()] },
                    users: &packed[1..],
                    targets,
                    excluded,
                };
                let kernel = if level.is_some() { fused::forward } else { naive::forward };
                kernel(level.unwrap_or(Level::Portable), &args, running, &mut e[1..]);
                maxima.push(run_max.last().unwrap().clone());
                es.push(e);
            }
            let (mut top, mut total) = (vec![f32::NAN; rows], vec![f64::NAN; rows]);
            let kernel = if level.is_some() { fused::combine } else { naive::combine };
            kernel(level.unwrap_or(Level::Portable), &run_max.concat(), &run_sum.concat(), &mut top, &mut total);
            let losses = (0..rows).map(|b| row_loss(top[b], total[b], target[b]));
            out.losses.extend(losses);
            let weights = &self.weights[range.clone()];
            let factor: Vec<f32> = weights.iter().zip(&total).map(|(&w, t)| (f64::from(w) / t) as f32).collect();
            let scales = |max: &[f32]| {
                let mut scale = vec![f32::NAN; rows];
                let kernel = if level.is_some() { fused::scales } else { naive::scales };
                kernel(level.unwrap_or(Level::Portable), max, &top, &factor, &mut scale);
                scale
            };
            let mut d_users = vec![0.0; rows * d];
            for (max, part) in run_max.iter().zip(&run_users) {
                let scale = scales(max);
                for (i, g) in d_users.iter_mut().enumerate() {
                    *g += scale[i / d] * part[1 + i];
                }
            }
            for (b, &target) in targets.iter().enumerate() {
                for t in 0..d {
                    d_users[b * d + t] -= weights[b] * self.items[target as usize * d + t];
                }
            }
            out.d_users.extend(d_users);
            for ((block, e), max) in blocks.iter().zip(&es).zip(&maxima) {
                let scale = scales(max);
                let mut packed = vec![f32::NAN; 1 + packed_len(rows, d)];
                fused::pack_scaled(level.unwrap_or(Level::Portable), d, &users[1..], &scale, &mut packed[1..]);
                let args = Rows { d, users: &users[1..], targets, weights, scale: &scale, packed: &packed[1..] };
                let write = if from == 0 { Write::Over } else { Write::Add };
                let bias = if self.bias.is_empty() { 0..0 } else { 1 + block.start..1 + block.end };
                let gradients = Gradients {
                    items: &mut out.d_items[1 + block.start * d..1 + block.end * d],
                    bias: &mut out.d_bias[bias],
                    write,
                };
                let kernel = if level.is_some() { fused::backward } else { naive::backward };
                kernel(level.unwrap_or(Level::Portable), &args, block.start, &e[1..], gradients);
            }
        }
        out.d_items.remove(0);
        out.d_bias.remove(0);
        out
    }
}
