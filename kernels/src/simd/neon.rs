//! NEON: 16 lanes are four 128-bit registers.

use super::{Kernel, LANES, Sealed, Simd};
use crate::level::Level;
use std::arch::aarch64::*;

/// Proof that the CPU has NEON.
#[derive(Clone, Copy, Debug)]
pub struct Neon(());

/// Sixteen lanes: four at a time.
#[derive(Clone, Copy, Debug)]
pub struct Lanes([float32x4_t; 4]);

/// Sixteen truth values: all bits of a lane, or none.
#[derive(Clone, Copy, Debug)]
pub struct Mask([uint32x4_t; 4]);

impl Neon {
    /// The token, if the CPU has the instructions.
    #[inline]
    pub fn new() -> Option<Self> {
        std::arch::is_aarch64_feature_detected!("neon").then_some(Self(()))
    }
}

#[target_feature(enable = "neon")]
fn run<K: Kernel>(s: Neon, kernel: K) -> K::Output {
    kernel.run(s)
}

macro_rules! lanewise {
    ($($name:ident($($arg:ident),+) -> $out:ident = $intrinsic:expr;)+) => {$(
        #[inline(always)]
        fn $name(self, $($arg: Lanes),+) -> $out {
            // SAFETY: the token proves NEON, and the intrinsics touch registers only.
            unsafe {
                $out([
                    $intrinsic($($arg.0[0]),+),
                    $intrinsic($($arg.0[1]),+),
                    $intrinsic($($arg.0[2]),+),
                    $intrinsic($($arg.0[3]),+),
                ])
            }
        }
    )+};
}

impl Sealed for Neon {}

impl Simd for Neon {
    type F32 = Lanes;
    type Mask = Mask;
    const LEVEL: Level = Level::Neon;
    const TILE_ROWS: usize = 5;
    const TILE_VECTORS: usize = 1;

    #[inline(always)]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        // SAFETY: the token proves NEON.
        unsafe { run(self, kernel) }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> Lanes {
        // SAFETY: the token proves NEON.
        Lanes([unsafe { vdupq_n_f32(x) }; 4])
    }
    #[inline(always)]
    fn load(self, x: &[f32]) -> Lanes {
        let x = &x[..LANES];
        // SAFETY: the slice has 16 elements.
        unsafe { self.load_ptr(x.as_ptr()) }
    }
    #[inline(always)]
    fn store(self, v: Lanes, out: &mut [f32]) {
        let out = &mut out[..LANES];
        // SAFETY: the slice has 16 elements.
        unsafe { self.store_ptr(v, out.as_mut_ptr()) }
    }
    #[inline(always)]
    fn load_partial(self, x: &[f32]) -> Lanes {
        let mut full = [0.0; LANES];
        full[..x.len()].copy_from_slice(x);
        self.load(&full)
    }
    #[inline(always)]
    fn store_partial(self, v: Lanes, out: &mut [f32]) {
        let full = self.to_array(v);
        out.copy_from_slice(&full[..out.len()]);
    }
    #[inline(always)]
    unsafe fn load_ptr(self, x: *const f32) -> Lanes {
        // SAFETY: the caller gives 16 readable floats.
        unsafe { Lanes([vld1q_f32(x), vld1q_f32(x.add(4)), vld1q_f32(x.add(8)), vld1q_f32(x.add(12))]) }
    }
    #[inline(always)]
    unsafe fn store_ptr(self, v: Lanes, out: *mut f32) {
        // SAFETY: the caller gives 16 writable floats.
        unsafe {
            vst1q_f32(out, v.0[0]);
            vst1q_f32(out.add(4), v.0[1]);
            vst1q_f32(out.add(8), v.0[2]);
            vst1q_f32(out.add(12), v.0[3]);
        }
    }

    lanewise! {
        add(a, b) -> Lanes = vaddq_f32;
        sub(a, b) -> Lanes = vsubq_f32;
        mul(a, b) -> Lanes = vmulq_f32;
        div(a, b) -> Lanes = vdivq_f32;
        sqrt(a) -> Lanes = vsqrtq_f32;
        abs(a) -> Lanes = vabsq_f32;
        round(a) -> Lanes = vrndnq_f32;
        floor(a) -> Lanes = vrndmq_f32;
        lt(a, b) -> Mask = vcltq_f32;
        le(a, b) -> Mask = vcleq_f32;
    }

    #[inline(always)]
    fn mul_add(self, a: Lanes, b: Lanes, c: Lanes) -> Lanes {
        let mut out = c;
        for i in 0..4 {
            // SAFETY: the token proves NEON. The first operand is the addend.
            out.0[i] = unsafe { vfmaq_f32(c.0[i], a.0[i], b.0[i]) };
        }
        out
    }
    #[inline(always)]
    fn neg_mul_add(self, a: Lanes, b: Lanes, c: Lanes) -> Lanes {
        let mut out = c;
        for i in 0..4 {
            // SAFETY: the token proves NEON. The first operand is the one subtracted from.
            out.0[i] = unsafe { vfmsq_f32(c.0[i], a.0[i], b.0[i]) };
        }
        out
    }
    // NEON's own minimum and maximum return NaN if either operand is NaN; the trait asks for the second operand.
    #[inline(always)]
    fn min(self, a: Lanes, b: Lanes) -> Lanes {
        self.select(self.lt(a, b), a, b)
    }
    #[inline(always)]
    fn max(self, a: Lanes, b: Lanes) -> Lanes {
        self.select(self.lt(b, a), a, b)
    }
    #[inline(always)]
    fn copysign(self, magnitude: Lanes, sign: Lanes) -> Lanes {
        let mut out = magnitude;
        for i in 0..4 {
            // SAFETY: the token proves NEON.
            out.0[i] = unsafe { vbslq_f32(vdupq_n_u32(0x8000_0000), sign.0[i], magnitude.0[i]) };
        }
        out
    }
    #[inline(always)]
    fn shift_exponent(self, y: Lanes, k: Lanes) -> Lanes {
        let mut out = y;
        for i in 0..4 {
            // SAFETY: the token proves NEON.
            out.0[i] = unsafe {
                vreinterpretq_f32_u32(vaddq_u32(
                    vreinterpretq_u32_f32(y.0[i]),
                    vshlq_n_u32::<23>(vreinterpretq_u32_f32(k.0[i])),
                ))
            };
        }
        out
    }
    #[inline(always)]
    fn select(self, mask: Mask, a: Lanes, b: Lanes) -> Lanes {
        let mut out = a;
        for i in 0..4 {
            // SAFETY: the token proves NEON.
            out.0[i] = unsafe { vbslq_f32(mask.0[i], a.0[i], b.0[i]) };
        }
        out
    }
    #[inline(always)]
    fn all(self, mask: Mask) -> bool {
        // SAFETY: the token proves NEON.
        unsafe {
            let low = vandq_u32(mask.0[0], mask.0[1]);
            let high = vandq_u32(mask.0[2], mask.0[3]);
            vminvq_u32(vandq_u32(low, high)) != 0
        }
    }
    #[inline(always)]
    fn to_array(self, v: Lanes) -> [f32; LANES] {
        let mut out = [0.0; LANES];
        self.store(v, &mut out);
        out
    }
}
