//! exp, tanh, sigmoid and softplus on 16 lanes.
//!
//! Only IEEE operations in a fixed order are used (no reciprocal estimates), so the FMA tiers agree bit for bit.
//! The bounds hold on every tier, against the correctly rounded result; `tests/math.rs` sweeps them.
//!
//! | function | bound | beyond |
//! |---|---|---|
//! | [`exp`] | 2 ulp | 0 where the result would be below `f32::MIN_POSITIVE`, infinity above `f32::MAX` |
//! | [`tanh`] | 4 ulp | -1 and 1 |
//! | [`sigmoid`] | 4 ulp | 0 where the result would be below 2e-38 |
//! | [`softplus`] | 4 ulp | 0 where the result would be below `f32::MIN_POSITIVE` |
//!
//! NaN gives NaN, and infinities give the limits.

use crate::level::Level;
use crate::simd::{Kernel, LANES, Simd};

/// `exp` is 0 below this: ln(2^-126).
const EXP_LOW: f32 = -87.336_54;
/// `exp` is infinite above this: ln(2^128), rounded down.
const EXP_HIGH: f32 = 88.722_83;
/// 1.5 * 2^23: adding it rounds to an integer, which then stands in the low bits.
pub(crate) const MAGIC: f32 = 12_582_912.0;
/// ln 2 in two parts; the first has few enough bits that its product with an exponent is exact.
const LN2_HIGH: f32 = 0.693_145_75;
const LN2_LOW: f32 = 1.428_606_8e-6;

/// The polynomial of degree 6 for e^r (error 8e-9), from the highest power down.
const EXP_POLYNOMIAL: [f32; 7] = [1.392_617_8e-3, 8.363_174e-3, 4.166_655_5e-2, 0.166_665_77, 0.5, 1.0, 1.0];

/// exp for `EXP_LOW <= x <= EXP_HIGH`; not specified outside, also not for NaN.
///
/// `x = n ln 2 + r` with `|r| <= ln(2) / 2`; a polynomial for e^r; n goes into the exponent bits.
#[inline(always)]
pub fn exp_in_range<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let magic = s.splat(MAGIC);
    let k = s.mul_add(x, s.splat(std::f32::consts::LOG2_E), magic);
    let n = s.sub(k, magic);
    let r = s.neg_mul_add(n, s.splat(LN2_LOW), s.neg_mul_add(n, s.splat(LN2_HIGH), x));
    let mut p = s.splat(EXP_POLYNOMIAL[0]);
    for &c in &EXP_POLYNOMIAL[1..] {
        p = s.mul_add(p, r, s.splat(c));
    }
    s.times_power(p, s.power(k, n))
}

/// exp for `x <= 0`: at most 2 ulp, 0 below [`f32::MIN_POSITIVE`], NaN for NaN.
#[inline(always)]
pub fn exp_nonpositive<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let y = exp_in_range(s, x);
    // The product with 0 carries NaN over.
    let y = if S::SCALES { y } else { s.mul_add(x, s.zero(), y) };
    s.select(s.lt(x, s.splat(EXP_LOW)), s.zero(), y)
}

/// `1 + p 2^n`, infinity where that overflows, for a polynomial p in r, and `power` from `k = MAGIC - 1 + n`.
#[inline(always)]
pub(crate) fn one_plus_power<S: Simd>(s: S, p: S::F32, power: S::F32, r: S::F32) -> S::F32 {
    let (one, y) = (s.splat(1.0), s.times_power(p, power));
    if S::SCALES {
        return s.add(y, one);
    }
    // y is half of the product. The difference, 0 or NaN, carries NaN over. No products: the multipliers are what is
    // short where this is used.
    s.add(s.add(y, y), s.add(one, s.sub(r, r)))
}

/// e^x, at most 2 ulp.
#[inline(always)]
pub fn exp<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let y = exp_nonpositive(s, x);
    s.select(s.lt(s.splat(EXP_HIGH), x), s.splat(f32::INFINITY), y)
}

/// tanh x, at most 4 ulp.
///
/// Below 0.6 an odd polynomial (error 1e-8), above it `1 - 2 / (e^{2|x|} + 1)`.
#[inline(always)]
pub fn tanh<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let a = s.abs(x);
    let one = s.splat(1.0);
    // e^{18} already saturates; NaN passes as the second operand.
    let bounded = s.min(s.splat(9.1), a);
    let e = exp_in_range(s, s.add(bounded, bounded));
    let large = s.sub(one, s.div(s.splat(2.0), s.add(e, one)));
    let z = s.mul(x, x);
    let mut p = s.splat(-6.269_12e-3);
    for c in [2.111_096e-2, -5.387_395e-2, 0.133_329_15, -0.333_333_3] {
        p = s.mul_add(p, z, s.splat(c));
    }
    let small = s.mul_add(s.mul(p, z), x, x);
    // NaN compares false with the threshold's complement, so it takes the polynomial, which keeps it.
    s.copysign(s.select(s.le(s.splat(0.6), a), large, small), x)
}

/// 1 / (1 + e^{-x}), at most 4 ulp.
///
/// As [`exp`] of `-x`, whose sign is taken over by the constants.
#[inline(always)]
pub fn sigmoid<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let magic = s.splat(MAGIC - 1.0);
    // e^{89.4} is between 1 and 2 times `f32::MAX`; e^{-80} is nothing beside 1.
    let bounded = s.max(s.splat(-89.4), s.min(s.splat(80.0), x));
    let k = s.neg_mul_add(bounded, s.splat(std::f32::consts::LOG2_E), magic);
    let n = s.sub(k, magic);
    // -r of `exp_in_range`.
    let r = s.mul_add(n, s.splat(LN2_LOW), s.mul_add(n, s.splat(LN2_HIGH), bounded));
    let mut p = s.splat(EXP_POLYNOMIAL[0]);
    for &c in &EXP_POLYNOMIAL[1..] {
        p = s.neg_mul_add(p, r, s.splat(c));
    }
    s.div(s.splat(1.0), one_plus_power(s, p, s.power(k, n), r))
}

/// ln(1 + e^x) = max(x, 0) + ln(1 + e^{-|x|}), at most 4 ulp.
///
/// With `u = e^{-|x|}`: `ln(1 + u) = 2 atanh(u / (2 + u))`, whose argument is at most 1/3.
#[inline(always)]
pub fn softplus<S: Simd>(s: S, x: S::F32) -> S::F32 {
    let u = exp_nonpositive(s, s.sub(s.zero(), s.abs(x)));
    let t = s.div(u, s.add(s.splat(2.0), u));
    let y = s.mul(t, t);
    let mut p = s.splat(0.116_121_64);
    for c in [0.108_532_88, 0.142_961_79, 0.199_998_53, 0.333_333_34] {
        p = s.mul_add(p, y, s.splat(c));
    }
    let twice = s.add(t, t);
    let log = s.mul_add(s.mul(p, y), twice, twice);
    s.add(s.relu(x), log)
}

macro_rules! over_slices {
    ($($(#[$doc:meta])* $slice:ident, $kernel:ident, $lanes:ident;)+) => {$(
        struct $kernel<'a>(&'a mut [f32]);
        impl Kernel for $kernel<'_> {
            type Output = ();
            #[inline(always)]
            fn run<S: Simd>(self, s: S) {
                let (full, rest) = self.0.as_chunks_mut::<LANES>();
                for x in full {
                    let y = $lanes(s, s.load(x));
                    s.store(y, x);
                }
                let y = $lanes(s, s.load_partial(rest));
                s.store_partial(y, rest);
            }
        }
        $(#[$doc])*
        ///
        /// # Panics
        /// If this CPU lacks `level`.
        pub fn $slice(level: Level, x: &mut [f32]) {
            level.dispatch($kernel(x));
        }
    )+};
}

over_slices! {
    /// Replaces each element by its [`exp`].
    exp_slice, ExpSlice, exp;
    /// Replaces each element by its [`tanh`].
    tanh_slice, TanhSlice, tanh;
    /// Replaces each element by its [`sigmoid`].
    sigmoid_slice, SigmoidSlice, sigmoid;
    /// Replaces each element by its [`softplus`].
    softplus_slice, SoftplusSlice, softplus;
}
