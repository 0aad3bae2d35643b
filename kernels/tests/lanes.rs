//! The lane operations of every level, one by one, against scalar code.

#[path = "support/random.rs"]
mod random;

use dmran_kernels::Level;
use dmran_kernels::simd::{Kernel, LANES, Simd};
use random::Random;

const SPECIAL: [f32; 16] = [
    0.0,
    -0.0,
    1.0,
    -1.5,
    f32::NAN,
    f32::INFINITY,
    f32::NEG_INFINITY,
    1e-40,
    -1e-40,
    f32::MAX,
    f32::MIN,
    0.5,
    2.5,
    -2.5,
    8_388_609.0,
    1e10,
];

struct Check<'a> {
    a: &'a [f32; LANES],
    b: &'a [f32; LANES],
    c: &'a [f32; LANES],
}

fn same(name: &str, level: Level, got: [f32; LANES], expected: [f32; LANES]) {
    for i in 0..LANES {
        let equal = got[i].to_bits() == expected[i].to_bits() || (got[i].is_nan() && expected[i].is_nan());
        assert!(equal, "{level} {name}: lane {i} is {}, expected {}", got[i], expected[i]);
    }
}

impl Kernel for Check<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let (x, y, z) = (self.a, self.b, self.c);
        let (a, b, c) = (s.load(x), s.load(y), s.load(z));
        let each = |f: &dyn Fn(usize) -> f32| std::array::from_fn::<f32, LANES, _>(f);
        let check = |name: &str, got, f: &dyn Fn(usize) -> f32| same(name, S::LEVEL, s.to_array(got), each(f));
        let fused = S::LEVEL != Level::Portable;
        check("add", s.add(a, b), &|i| x[i] + y[i]);
        check("sub", s.sub(a, b), &|i| x[i] - y[i]);
        check("mul", s.mul(a, b), &|i| x[i] * y[i]);
        check("div", s.div(a, b), &|i| x[i] / y[i]);
        check("mul_add", s.mul_add(a, b, c), &|i| {
            if fused { x[i].mul_add(y[i], z[i]) } else { x[i] * y[i] + z[i] }
        });
        check("neg_mul_add", s.neg_mul_add(a, b, c), &|i| {
            if fused { (-x[i]).mul_add(y[i], z[i]) } else { z[i] - x[i] * y[i] }
        });
        let (a_still, b_still) = s.in_order(a, b);
        check("in_order", a_still, &|i| x[i]);
        check("in_order", b_still, &|i| y[i]);
        check("sqrt", s.sqrt(a), &|i| x[i].sqrt());
        check("min", s.min(a, b), &|i| {
            if x[i] < y[i] { x[i] } else { y[i] }
        });
        check("max", s.max(a, b), &|i| {
            if x[i] > y[i] { x[i] } else { y[i] }
        });
        check("abs", s.abs(a), &|i| x[i].abs());
        check("round", s.round(a), &|i| x[i].round_ties_even());
        check("floor", s.floor(a), &|i| x[i].floor());
        check("copysign", s.copysign(a, b), &|i| x[i].copysign(y[i]));
        check("relu", s.relu(a), &|i| {
            if 0.0 > x[i] { 0.0 } else { x[i] }
        });
        check("select lt", s.select(s.lt(a, b), a, c), &|i| {
            if x[i] < y[i] { x[i] } else { z[i] }
        });
        check("select le", s.select(s.le(a, b), a, c), &|i| {
            if x[i] <= y[i] { x[i] } else { z[i] }
        });
        check("select gt", s.select(s.gt(a, b), a, c), &|i| {
            if x[i] > y[i] { x[i] } else { z[i] }
        });
        assert_eq!(s.all(s.lt(a, b)), (0..LANES).all(|i| x[i] < y[i]));
        assert!(s.all(s.lt(s.splat(-1.0), s.splat(0.5))));
        for n in -126..=127 {
            let k = s.splat(12_582_912.0 + n as f32);
            check("shift_exponent", s.shift_exponent(s.splat(1.5), k), &|_| 1.5 * 2f64.powi(n) as f32);
        }
        let tree = |f: fn(f32, f32) -> f32| {
            let mut t = *x;
            for half in [8, 4, 2, 1] {
                for i in 0..half {
                    t[i] = f(t[i], t[i + half]);
                }
            }
            t[0]
        };
        same("reduce_sum", S::LEVEL, [s.reduce_sum(a); LANES], [tree(|p, q| p + q); LANES]);
        if x.iter().all(|x| !x.is_nan()) {
            let max = tree(|p, q| if p > q { p } else { q });
            same("reduce_max", S::LEVEL, [s.reduce_max(a); LANES], [max; LANES]);
        }
        for n in 0..=LANES {
            let partial = s.load_partial(&x[..n]);
            check("load_partial", partial, &|i| if i < n { x[i] } else { 0.0 });
            let mut out = [7.0; LANES];
            s.store_partial(a, &mut out[..n]);
            same("store_partial", S::LEVEL, out, each(&|i| if i < n { x[i] } else { 7.0 }));
        }
    }
}

#[test]
fn every_operation_matches_scalar_code() {
    let mut random = Random::new(1);
    for &level in Level::available() {
        for turn in 0..LANES {
            let mut rotated = SPECIAL;
            rotated.rotate_left(turn);
            level.dispatch(Check { a: &SPECIAL, b: &rotated, c: &std::array::from_fn(|_| random.float(3.0)) });
            let mut draw = || std::array::from_fn(|_| random.float(100.0));
            let (a, b, c) = (draw(), draw(), draw());
            level.dispatch(Check { a: &a, b: &b, c: &c });
        }
    }
}

struct Load<'a>(&'a [f32]);

impl Kernel for Load<'_> {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        s.load(self.0);
    }
}

#[test]
fn a_short_slice_is_refused() {
    for &level in Level::available() {
        let x = [0.0; 15];
        assert!(std::panic::catch_unwind(|| level.dispatch(Load(&x))).is_err(), "{level}");
    }
}

struct Transpose;

impl Kernel for Transpose {
    type Output = ();
    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let mut v = [s.zero(); LANES];
        for (i, v) in v.iter_mut().enumerate() {
            *v = s.load(&std::array::from_fn::<f32, LANES, _>(|j| (100 * i + j) as f32));
        }
        for (j, column) in s.transpose(v).into_iter().enumerate() {
            same("transpose", S::LEVEL, s.to_array(column), std::array::from_fn(|i| (100 * i + j) as f32));
        }
    }
}

#[test]
fn rows_become_columns() {
    for &level in Level::available() {
        level.dispatch(Transpose);
    }
}
