//! Sixteen lanes of `f32` on every tier.
//!
//! A [`Simd`] value is a *token*: it exists only where the CPU supports its instructions, so the lane operations are safe to call.
//! A kernel is a struct of arguments that implements [`Kernel`]; [`Level::dispatch`](crate::Level::dispatch) runs it inside a
//! function compiled for the tier's instruction set, and everything marked `#[inline(always)]` is inlined there.
//! Closures are not inlined by force, so kernels do without them.
//!
//! The operations are the IEEE ones, in an order that does not depend on the tier. AVX-512, AVX2 and NEON fuse
//! [`Simd::mul_add`] and so agree bit for bit; the portable tier multiplies and adds with two roundings, because a fused
//! operation without the instruction is a slow call into libm.

#[cfg(target_arch = "x86_64")]
pub mod avx2;
#[cfg(target_arch = "x86_64")]
pub mod avx512;
#[cfg(target_arch = "aarch64")]
pub mod neon;
pub mod portable;
pub(crate) mod tile;

use crate::level::Level;

/// Lanes of every vector, on every tier.
pub const LANES: usize = 16;

/// A computation that is compiled once for each tier.
///
/// Mark `run` and every function that it calls `#[inline(always)]`.
pub trait Kernel {
    /// What the computation returns.
    type Output;
    /// Runs the computation with the lanes of `s`.
    fn run<S: Simd>(self, s: S) -> Self::Output;
}

mod sealed {
    pub trait Sealed {}
}
pub(crate) use sealed::Sealed;

/// Proof that the CPU has a tier's instructions, with the operations on 16 lanes of `f32`.
///
/// Comparisons with a NaN are false. Where a doc gives a scalar formula, it holds in each lane, also for NaN and signed zeros.
pub trait Simd: Copy + Send + Sync + Sealed {
    /// Sixteen lanes.
    type F32: Copy;
    /// Sixteen truth values.
    type Mask: Copy;
    /// The level that this token belongs to.
    const LEVEL: Level;
    /// Rows of the largest register tile of a matrix product.
    const TILE_ROWS: usize;
    /// Vectors in a row of the largest register tile: 1, 2 or 4.
    const TILE_VECTORS: usize;

    /// Runs `kernel` in a function of its own, compiled for this tier (to keep a big kernel's code small).
    fn call<K: Kernel>(self, kernel: K) -> K::Output;

    /// All lanes equal to `x`.
    fn splat(self, x: f32) -> Self::F32;
    /// The first 16 elements of `x`.
    ///
    /// # Panics
    /// If `x` has fewer than 16.
    fn load(self, x: &[f32]) -> Self::F32;
    /// Writes the lanes to the first 16 elements of `out`.
    ///
    /// # Panics
    /// If `out` has fewer than 16.
    fn store(self, v: Self::F32, out: &mut [f32]);
    /// All of `x` (at most 16 elements); the other lanes are 0.
    ///
    /// # Panics
    /// If `x` has more than 16 elements.
    fn load_partial(self, x: &[f32]) -> Self::F32;
    /// Writes the first `out.len()` lanes.
    ///
    /// # Panics
    /// If `out` has more than 16 elements.
    fn store_partial(self, v: Self::F32, out: &mut [f32]);
    /// Sixteen bf16 numbers (the upper halves of `f32`), widened: exact, NaN stays NaN.
    #[inline(always)]
    fn widen_bf16(self, x: &[u16; LANES]) -> Self::F32 {
        let mut wide = [0.0; LANES];
        for i in 0..LANES {
            wide[i] = f32::from_bits(u32::from(x[i]) << 16);
        }
        self.load(&wide)
    }
    /// Sixteen small integers as numbers: exact.
    #[inline(always)]
    fn widen_i8(self, x: &[i8; LANES]) -> Self::F32 {
        let mut wide = [0.0; LANES];
        for i in 0..LANES {
            wide[i] = f32::from(x[i]);
        }
        self.load(&wide)
    }
    /// Sixteen elements from `x`, which needs no alignment.
    ///
    /// # Safety
    /// `x` must be valid for reading 16 floats.
    unsafe fn load_ptr(self, x: *const f32) -> Self::F32;
    /// Writes 16 elements to `out`, which needs no alignment.
    ///
    /// # Safety
    /// `out` must be valid for writing 16 floats.
    unsafe fn store_ptr(self, v: Self::F32, out: *mut f32);

    /// `a + b`
    fn add(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a - b`
    fn sub(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a * b`
    fn mul(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a / b`, correctly rounded.
    fn div(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `a * b + c`, rounded once (twice on the portable tier).
    fn mul_add(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;
    /// `c - a * b`, rounded once (twice on the portable tier).
    fn neg_mul_add(self, a: Self::F32, b: Self::F32, c: Self::F32) -> Self::F32;
    /// `a` and `b` as they are; but where it is worth it (AVX-512), the compiler leaves what makes both before what uses either.
    #[inline(always)]
    fn in_order(self, a: Self::F32, b: Self::F32) -> (Self::F32, Self::F32) {
        (a, b)
    }
    /// `sqrt(a)`, correctly rounded.
    fn sqrt(self, a: Self::F32) -> Self::F32;
    /// `if a < b { a } else { b }`: the second operand if either is NaN.
    fn min(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// `if a > b { a } else { b }`: the second operand if either is NaN.
    fn max(self, a: Self::F32, b: Self::F32) -> Self::F32;
    /// The sign bit cleared.
    fn abs(self, a: Self::F32) -> Self::F32;
    /// The nearest integer, ties to even.
    fn round(self, a: Self::F32) -> Self::F32;
    /// The largest integer not above `a`.
    fn floor(self, a: Self::F32) -> Self::F32;
    /// The magnitude of `magnitude` with the sign bit of `sign`.
    fn copysign(self, magnitude: Self::F32, sign: Self::F32) -> Self::F32;
    /// Adds the integer bits of `k`, shifted left by 23, to the bits of `y`.
    ///
    /// With `k = 12582912.0 + n` (so that `n` stands in the low bits of `k`) this is `y * 2^n`,
    /// provided that `y` and the result are normal numbers.
    fn shift_exponent(self, y: Self::F32, k: Self::F32) -> Self::F32;

    /// Whether [`Simd::times_power`] is one operation, which also keeps NaN and overflows to infinity.
    const SCALES: bool = false;
    /// What [`Simd::times_power`] takes for n: `k` as for [`Simd::shift_exponent`], or `n` itself.
    #[inline(always)]
    fn power(self, k: Self::F32, n: Self::F32) -> Self::F32 {
        let _ = n;
        k
    }
    /// `y * 2^n`, provided that `y` and the result are normal numbers.
    #[inline(always)]
    fn times_power(self, y: Self::F32, power: Self::F32) -> Self::F32 {
        self.shift_exponent(y, power)
    }

    /// `a < b`
    fn lt(self, a: Self::F32, b: Self::F32) -> Self::Mask;
    /// `a <= b`
    fn le(self, a: Self::F32, b: Self::F32) -> Self::Mask;
    /// `a > b`
    #[inline(always)]
    fn gt(self, a: Self::F32, b: Self::F32) -> Self::Mask {
        self.lt(b, a)
    }
    /// `if mask { a } else { b }`
    fn select(self, mask: Self::Mask, a: Self::F32, b: Self::F32) -> Self::F32;
    /// Whether the mask holds in all lanes.
    fn all(self, mask: Self::Mask) -> bool;

    /// The lanes as an array.
    fn to_array(self, v: Self::F32) -> [f32; LANES];

    /// All lanes 0.
    #[inline(always)]
    fn zero(self) -> Self::F32 {
        self.splat(0.0)
    }
    /// The sum of the lanes, in the same order on every tier: lane i with lane i + 8, then + 4, + 2, + 1.
    #[inline(always)]
    fn reduce_sum(self, v: Self::F32) -> f32 {
        let mut a = self.to_array(v);
        for half in [8, 4, 2, 1] {
            for i in 0..half {
                a[i] += a[i + half];
            }
        }
        a[0]
    }
    /// The largest lane, compared as [`Simd::max`] does in the order of [`Simd::reduce_sum`].
    ///
    /// The result with a NaN among the lanes is not specified.
    #[inline(always)]
    fn reduce_max(self, v: Self::F32) -> f32 {
        let mut a = self.to_array(v);
        for half in [8, 4, 2, 1] {
            for i in 0..half {
                a[i] = if a[i] > a[i + half] { a[i] } else { a[i + half] };
            }
        }
        a[0]
    }
    /// Rows to columns: lane j of vector i becomes lane i of vector j.
    #[inline(always)]
    fn transpose(self, v: [Self::F32; LANES]) -> [Self::F32; LANES] {
        let mut columns = [[0.0; LANES]; LANES];
        for (i, v) in v.into_iter().enumerate() {
            let v = self.to_array(v);
            for j in 0..LANES {
                columns[j][i] = v[j];
            }
        }
        let mut out = v;
        for j in 0..LANES {
            out[j] = self.load(&columns[j]);
        }
        out
    }
    /// `if 0 > a { 0 } else { a }`: NaN stays NaN, and -0 stays -0.
    #[inline(always)]
    fn relu(self, a: Self::F32) -> Self::F32 {
        // The second operand wins if unordered.
        self.max(self.zero(), a)
    }
}

/// Loads 16 lanes from `x[at..]`, or as many as there are (the other lanes are 0).
#[inline(always)]
pub fn load_at<S: Simd>(s: S, x: &[f32], at: usize) -> S::F32 {
    let x = &x[at..];
    if x.len() >= LANES { s.load(x) } else { s.load_partial(x) }
}

/// How many rows ahead [`prefetch`] is to ask.
pub const AHEAD: usize = 4;

/// Asks for the cache lines of `x` ahead of time: rows at random places of a large table are otherwise waited for.
#[inline(always)]
pub fn prefetch(x: &[f32]) {
    for at in (0..x.len()).step_by(LANES) {
        #[cfg(target_arch = "x86_64")]
        request::<{ std::arch::x86_64::_MM_HINT_T0 }>(x, at);
        #[cfg(not(target_arch = "x86_64"))]
        let _ = at;
    }
}

/// [`prefetch`] of the line of `x[at]`, which may lie beyond `x`.
#[inline(always)]
pub fn prefetch_line(x: &[f32], at: usize) {
    #[cfg(target_arch = "x86_64")]
    request::<{ std::arch::x86_64::_MM_HINT_T0 }>(x, at);
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (x, at);
}

/// [`prefetch`] of the line of `x[at]`, if there is one, which is read once: it does not drive the model's weights, which
/// the next user needs, from the cache.
#[inline(always)]
pub fn prefetch_once(x: &[f32], at: usize) {
    #[cfg(target_arch = "x86_64")]
    request::<{ std::arch::x86_64::_MM_HINT_NTA }>(x, at);
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (x, at);
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn request<const HINT: i32>(x: &[f32], at: usize) {
    // SAFETY: part of every x86-64 CPU; it reads nothing, and no address is a fault.
    unsafe { std::arch::x86_64::_mm_prefetch::<HINT>(x.as_ptr().wrapping_add(at).cast()) };
}

/// Stores lanes to `out[at..]`: 16, or as many as fit.
#[inline(always)]
pub fn store_at<S: Simd>(s: S, v: S::F32, out: &mut [f32], at: usize) {
    let out = &mut out[at..];
    if out.len() >= LANES { s.store(v, out) } else { s.store_partial(v, out) }
}
