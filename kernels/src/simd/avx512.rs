//! AVX-512: 16 lanes are one `zmm` register.

use super::{Kernel, LANES, Sealed, Simd};
use crate::level::Level;
use std::arch::x86_64::*;

/// Proof that the CPU has AVX-512 F, VL, DQ and BW.
#[derive(Clone, Copy, Debug)]
pub struct Avx512(());

impl Avx512 {
    /// The token, if the CPU has the instructions.
    #[inline]
    pub fn new() -> Option<Self> {
        (is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma"))
        .then_some(Self(()))
    }
}

#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
fn run<K: Kernel>(s: Avx512, kernel: K) -> K::Output {
    kernel.run(s)
}

/// See [`Simd::in_order`].
#[inline]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx512bw,avx2,fma")]
fn in_order(mut a: __m512, mut b: __m512) -> (__m512, __m512) {
    // SAFETY: no instruction.
    unsafe {
        std::arch::asm!("/* {0} {1} */", inout(zmm_reg) a, inout(zmm_reg) b, options(pure, nomem, nostack, preserves_flags));
    }
    (a, b)
}

/// The mask of the first `n <= 16` lanes.
#[inline(always)]
fn first(n: usize) -> __mmask16 {
    assert!(n <= LANES);
    ((1u32 << n) - 1) as __mmask16
}

macro_rules! lanewise {
    ($($name:ident($($arg:ident),+) -> $out:ty = $intrinsic:expr;)+) => {$(
        #[inline(always)]
        fn $name(self, $($arg: __m512),+) -> $out {
            // SAFETY: the token proves AVX-512, and the intrinsics touch registers only.
            unsafe { $intrinsic($($arg),+) }
        }
    )+};
}

impl Sealed for Avx512 {}

impl Simd for Avx512 {
    type F32 = __m512;
    type Mask = __mmask16;
    const LEVEL: Level = Level::Avx512;
    const TILE_ROWS: usize = 5;
    const TILE_VECTORS: usize = 4;

    #[inline(always)]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        // SAFETY: the token proves AVX-512.
        unsafe { run(self, kernel) }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> __m512 {
        // SAFETY: the token proves AVX-512.
        unsafe { _mm512_set1_ps(x) }
    }
    #[inline(always)]
    fn load(self, x: &[f32]) -> __m512 {
        let x = &x[..LANES];
        // SAFETY: the slice has 16 elements.
        unsafe { self.load_ptr(x.as_ptr()) }
    }
    #[inline(always)]
    fn store(self, v: __m512, out: &mut [f32]) {
        let out = &mut out[..LANES];
        // SAFETY: the slice has 16 elements.
        unsafe { self.store_ptr(v, out.as_mut_ptr()) }
    }
    #[inline(always)]
    fn load_partial(self, x: &[f32]) -> __m512 {
        // SAFETY: the mask covers exactly the elements of the slice, and masked-out lanes are not read.
        unsafe { _mm512_maskz_loadu_ps(first(x.len()), x.as_ptr()) }
    }
    #[inline(always)]
    fn store_partial(self, v: __m512, out: &mut [f32]) {
        // SAFETY: the mask covers exactly the elements of the slice, and masked-out lanes are not written.
        unsafe { _mm512_mask_storeu_ps(out.as_mut_ptr(), first(out.len()), v) }
    }
    #[inline(always)]
    fn widen_bf16(self, x: &[u16; LANES]) -> __m512 {
        // SAFETY: the array has the 32 bytes that are read, unaligned; the token proves AVX-512.
        unsafe {
            let x = _mm256_loadu_si256(x.as_ptr().cast());
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(x)))
        }
    }
    #[inline(always)]
    fn widen_i8(self, x: &[i8; LANES]) -> __m512 {
        // SAFETY: the array has the 16 bytes that are read, unaligned; the token proves AVX-512.
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(x.as_ptr().cast()))) }
    }
    #[inline(always)]
    unsafe fn load_ptr(self, x: *const f32) -> __m512 {
        // SAFETY: the caller gives 16 readable floats; unaligned load.
        unsafe { _mm512_loadu_ps(x) }
    }
    #[inline(always)]
    unsafe fn store_ptr(self, v: __m512, out: *mut f32) {
        // SAFETY: the caller gives 16 writable floats; unaligned store.
        unsafe { _mm512_storeu_ps(out, v) }
    }

    lanewise! {
        add(a, b) -> __m512 = _mm512_add_ps;
        sub(a, b) -> __m512 = _mm512_sub_ps;
        mul(a, b) -> __m512 = _mm512_mul_ps;
        div(a, b) -> __m512 = _mm512_div_ps;
        mul_add(a, b, c) -> __m512 = _mm512_fmadd_ps;
        neg_mul_add(a, b, c) -> __m512 = _mm512_fnmadd_ps;
        sqrt(a) -> __m512 = _mm512_sqrt_ps;
        min(a, b) -> __m512 = _mm512_min_ps;
        max(a, b) -> __m512 = _mm512_max_ps;
        abs(a) -> __m512 = _mm512_abs_ps;
        round(a) -> __m512 = _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>;
        floor(a) -> __m512 = _mm512_roundscale_ps::<{ _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC }>;
        lt(a, b) -> __mmask16 = _mm512_cmp_ps_mask::<_CMP_LT_OQ>;
        le(a, b) -> __mmask16 = _mm512_cmp_ps_mask::<_CMP_LE_OQ>;
    }

    #[inline(always)]
    fn in_order(self, a: __m512, b: __m512) -> (__m512, __m512) {
        // SAFETY: the token proves AVX-512.
        unsafe { in_order(a, b) }
    }
    #[inline(always)]
    fn copysign(self, magnitude: __m512, sign: __m512) -> __m512 {
        let m = self.abs(magnitude);
        // SAFETY: the token proves AVX-512 F and DQ.
        unsafe { _mm512_or_ps(m, _mm512_and_ps(_mm512_set1_ps(-0.0), sign)) }
    }
    #[inline(always)]
    fn shift_exponent(self, y: __m512, k: __m512) -> __m512 {
        // SAFETY: the token proves AVX-512.
        unsafe {
            _mm512_castsi512_ps(_mm512_add_epi32(
                _mm512_castps_si512(y),
                _mm512_slli_epi32::<23>(_mm512_castps_si512(k)),
            ))
        }
    }
    const SCALES: bool = true;
    #[inline(always)]
    fn power(self, _: __m512, n: __m512) -> __m512 {
        n
    }
    #[inline(always)]
    fn times_power(self, y: __m512, power: __m512) -> __m512 {
        // SAFETY: the token proves AVX-512.
        unsafe { _mm512_scalef_ps(y, power) }
    }
    #[inline(always)]
    fn select(self, mask: __mmask16, a: __m512, b: __m512) -> __m512 {
        // SAFETY: the token proves AVX-512.
        unsafe { _mm512_mask_blend_ps(mask, b, a) }
    }
    #[inline(always)]
    fn all(self, mask: __mmask16) -> bool {
        mask == 0xffff
    }
    #[inline(always)]
    fn to_array(self, v: __m512) -> [f32; LANES] {
        let mut out = [0.0; LANES];
        self.store(v, &mut out);
        out
    }
    // The trait's way through memory compiles to gathers from stack addresses here.
    #[inline(always)]
    fn transpose(self, v: [__m512; LANES]) -> [__m512; LANES] {
        // SAFETY: the token proves AVX-512, and the intrinsics touch registers only.
        unsafe {
            // Quarter l of fours[4 g + c] is column 4 l + c of rows 4 g to 4 g + 3.
            let (mut fours, mut out) = (v, v);
            for g in [0, 4, 8, 12] {
                let (low, high) = (_mm512_unpacklo_ps(v[g], v[g + 1]), _mm512_unpackhi_ps(v[g], v[g + 1]));
                let (low_2, high_2) = (_mm512_unpacklo_ps(v[g + 2], v[g + 3]), _mm512_unpackhi_ps(v[g + 2], v[g + 3]));
                fours[g] = _mm512_shuffle_ps::<0x44>(low, low_2);
                fours[g + 1] = _mm512_shuffle_ps::<0xee>(low, low_2);
                fours[g + 2] = _mm512_shuffle_ps::<0x44>(high, high_2);
                fours[g + 3] = _mm512_shuffle_ps::<0xee>(high, high_2);
            }
            // 0x88 takes the even quarters of both operands, 0xdd the odd ones.
            for c in 0..4 {
                let [a, b, x, y] = [fours[c], fours[4 + c], fours[8 + c], fours[12 + c]];
                let (even, even_2) = (_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0x88>(x, y));
                let (odd, odd_2) = (_mm512_shuffle_f32x4::<0xdd>(a, b), _mm512_shuffle_f32x4::<0xdd>(x, y));
                out[c] = _mm512_shuffle_f32x4::<0x88>(even, even_2);
                out[4 + c] = _mm512_shuffle_f32x4::<0x88>(odd, odd_2);
                out[8 + c] = _mm512_shuffle_f32x4::<0xdd>(even, even_2);
                out[12 + c] = _mm512_shuffle_f32x4::<0xdd>(odd, odd_2);
            }
            out
        }
    }
    #[inline(always)]
    fn reduce_sum(self, v: __m512) -> f32 {
        // SAFETY: the token proves AVX-512 F and DQ. The order is that of the trait.
        unsafe {
            let v = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps::<1>(v));
            let v = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let v = _mm_add_ps(v, _mm_movehl_ps(v, v));
            _mm_cvtss_f32(_mm_add_ss(v, _mm_shuffle_ps::<1>(v, v)))
        }
    }
    #[inline(always)]
    fn reduce_max(self, v: __m512) -> f32 {
        // SAFETY: the token proves AVX-512 F and DQ. The order is that of the trait.
        unsafe {
            let v = _mm256_max_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps::<1>(v));
            let v = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let v = _mm_max_ps(v, _mm_movehl_ps(v, v));
            _mm_cvtss_f32(_mm_max_ss(v, _mm_shuffle_ps::<1>(v, v)))
        }
    }
}
