//! exp, tanh, sigmoid and softplus against `f64`, on every level of this CPU.

use dmran_kernels::{Level, math, naive};

type Over = fn(Level, &mut [f32]);

/// A value's place among all floats, so that neighbours differ by 1.
fn place(x: f32) -> i64 {
    let bits = i64::from(x.to_bits() & 0x7fff_ffff);
    if x.is_sign_negative() { -bits } else { bits }
}

/// Every `step`-th float (as bits) of both signs up to `limit`, and the neighbourhood of every power of two.
fn sweep(limit: f32, step: usize) -> Vec<f32> {
    let mut out: Vec<f32> = (0..limit.to_bits()).step_by(step).map(f32::from_bits).collect();
    for e in 0..250u32 {
        for near in -40i32..40 {
            let x = f32::from_bits(((e << 23) as i32 + near).max(0) as u32);
            if x <= limit {
                out.push(x);
            }
        }
    }
    let negative: Vec<f32> = out.iter().map(|x| -x).collect();
    out.extend(negative);
    out
}

fn worst_ulp(kernel: Over, twin: Over, xs: &[f32], level: Level, floor: f32) -> (i64, f32) {
    let (mut ours, mut truth) = (xs.to_vec(), xs.to_vec());
    kernel(level, &mut ours);
    twin(level, &mut truth);
    let mut worst = (0, 0.0);
    for ((&x, &a), &b) in xs.iter().zip(&ours).zip(&truth) {
        if b.abs() < floor {
            assert!(a.abs() <= floor * 1.001, "{level}: f({x}) = {a}, expected {b}, below {floor}");
            continue;
        }
        let ulp = (place(a) - place(b)).abs();
        if ulp > worst.0 {
            worst = (ulp, x);
        }
    }
    worst
}

#[test]
fn functions_keep_their_bounds() {
    let cases: [(&str, Over, Over, i64, f32, f32); 4] = [
        ("exp", math::exp_slice, naive::math::exp_slice, 2, 150.0, f32::MIN_POSITIVE),
        ("tanh", math::tanh_slice, naive::math::tanh_slice, 4, 200.0, f32::MIN_POSITIVE),
        ("sigmoid", math::sigmoid_slice, naive::math::sigmoid_slice, 4, 200.0, 2e-38),
        ("softplus", math::softplus_slice, naive::math::softplus_slice, 4, 200.0, f32::MIN_POSITIVE),
    ];
    for &level in Level::available() {
        for (name, kernel, twin, bound, limit, floor) in cases {
            let (ulp, at) = worst_ulp(kernel, twin, &sweep(limit, 509), level, floor);
            println!("{level} {name}: {ulp} ulp at {at}");
            assert!(ulp <= bound, "{level}: {name}({at}) is {ulp} ulp off");
        }
    }
}

#[test]
fn limits_and_nan() {
    let inf = f32::INFINITY;
    // All 2^9 patterns of the low bits: a NaN's payload must not leak into an exponent.
    let nans: Vec<f32> =
        (0..512).flat_map(|p| [0x7fc0_0000, 0xffc0_0000, 0x7f80_0001].map(|b| f32::from_bits(b | p))).collect();
    let cases: [(&str, Over, [f32; 4]); 4] = [
        ("exp", math::exp_slice, [0.0, inf, 0.0, inf]),
        ("tanh", math::tanh_slice, [-1.0, 1.0, -1.0, 1.0]),
        ("sigmoid", math::sigmoid_slice, [0.0, 1.0, 0.0, 1.0]),
        ("softplus", math::softplus_slice, [0.0, inf, 0.0, 1e4]),
    ];
    for &level in Level::available() {
        for (name, kernel, expected) in cases {
            let mut x = [-inf, inf, -1e4, 1e4];
            kernel(level, &mut x);
            assert_eq!(x, expected, "{level}: {name}");
            let mut x = nans.clone();
            kernel(level, &mut x);
            assert!(x.iter().all(|x| x.is_nan()), "{level}: {name} of NaN");
        }
        let mut zero = [0.0f32, -0.0];
        math::tanh_slice(level, &mut zero);
        assert_eq!(zero.map(f32::to_bits), [0.0f32, -0.0].map(f32::to_bits));
    }
}

#[test]
fn every_length_and_alignment_gives_the_same_bits() {
    for &level in Level::available() {
        for kernel in [math::exp_slice, math::tanh_slice, math::sigmoid_slice, math::softplus_slice] {
            let all: Vec<f32> = (0..70).map(|i| (i as f32 - 35.0) / 7.0).collect();
            let mut one_by_one = all.clone();
            one_by_one.iter_mut().for_each(|x| kernel(level, std::slice::from_mut(x)));
            for start in 0..3 {
                for end in start..all.len() {
                    let mut x = all.clone();
                    kernel(level, &mut x[start..end]);
                    assert_eq!(x[..start], all[..start]);
                    assert_eq!(x[start..end], one_by_one[start..end]);
                    assert_eq!(x[end..], all[end..]);
                }
            }
        }
    }
}

#[test]
fn fused_levels_agree_bit_for_bit() {
    let fused: Vec<Level> = Level::available().iter().copied().filter(|&l| l != Level::Portable).collect();
    let mut xs = sweep(200.0, 10_007);
    // Where results leave the normal numbers.
    for edge in [-87.336_54f32, 88.722_83, 43.668_27, 44.361_42] {
        xs.extend((0..8192).map(|i| f32::from_bits(edge.to_bits() - 4096 + i)).flat_map(|x| [x, -x]));
    }
    for kernel in [math::exp_slice, math::tanh_slice, math::sigmoid_slice, math::softplus_slice] {
        for pair in fused.windows(2) {
            let (mut a, mut b) = (xs.clone(), xs.clone());
            kernel(pair[0], &mut a);
            kernel(pair[1], &mut b);
            assert!(a.iter().zip(&b).all(|(a, b)| a.to_bits() == b.to_bits()), "{} and {}", pair[0], pair[1]);
        }
    }
}
