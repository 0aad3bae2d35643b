//! AVX2 with FMA: 16 lanes are two `ymm` registers.

use super::{Kernel, LANES, Sealed, Simd};
use crate::level::Level;
use std::arch::x86_64::*;

/// Proof that the CPU has AVX2 and FMA.
#[derive(Clone, Copy, Debug)]
pub struct Avx2(());

/// Sixteen lanes: the first eight, the last eight.
#[derive(Clone, Copy, Debug)]
pub struct Lanes(__m256, __m256);

impl Avx2 {
    /// The token, if the CPU has the instructions.
    #[inline]
    pub fn new() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma")).then_some(Self(()))
    }
}

#[target_feature(enable = "avx2,fma")]
fn run<K: Kernel>(s: Avx2, kernel: K) -> K::Output {
    kernel.run(s)
}

/// Loading 8 integers from index 8 - n gives a mask of the first n lanes.
static MASK: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

impl Avx2 {
    /// Masks of the first `n <= 16` of 16 lanes.
    #[inline(always)]
    fn masks(self, n: usize) -> (__m256i, __m256i) {
        let (low, high) = (n.min(8), n.saturating_sub(8).min(8));
        // SAFETY: both offsets are in 0..=8 and MASK has 16 elements, so 8 of them follow; the token proves AVX2.
        unsafe {
            (
                _mm256_loadu_si256(MASK.as_ptr().add(8 - low).cast()),
                _mm256_loadu_si256(MASK.as_ptr().add(8 - high).cast()),
            )
        }
    }
}

impl Avx2 {
    /// Rows to columns of an 8 x 8 block: pairs, then fours, then the halves of the registers.
    #[inline(always)]
    fn transpose8(self, v: [__m256; 8]) -> [__m256; 8] {
        // SAFETY: the token proves AVX.
        unsafe {
            let (mut pairs, mut fours, mut out) = (v, v, v);
            for i in 0..4 {
                pairs[2 * i] = _mm256_unpacklo_ps(v[2 * i], v[2 * i + 1]);
                pairs[2 * i + 1] = _mm256_unpackhi_ps(v[2 * i], v[2 * i + 1]);
            }
            for i in [0, 4] {
                fours[i] = _mm256_shuffle_ps::<0x44>(pairs[i], pairs[i + 2]);
                fours[i + 1] = _mm256_shuffle_ps::<0xee>(pairs[i], pairs[i + 2]);
                fours[i + 2] = _mm256_shuffle_ps::<0x44>(pairs[i + 1], pairs[i + 3]);
                fours[i + 3] = _mm256_shuffle_ps::<0xee>(pairs[i + 1], pairs[i + 3]);
            }
            for i in 0..4 {
                out[i] = _mm256_permute2f128_ps::<0x20>(fours[i], fours[i + 4]);
                out[i + 4] = _mm256_permute2f128_ps::<0x31>(fours[i], fours[i + 4]);
            }
            out
        }
    }
}

macro_rules! lanewise {
    ($($name:ident($($arg:ident),+) = $intrinsic:expr;)+) => {$(
        #[inline(always)]
        fn $name(self, $($arg: Lanes),+) -> Lanes {
            // SAFETY: the token proves AVX2 and FMA, and the intrinsics touch registers only.
            unsafe { Lanes($intrinsic($($arg.0),+), $intrinsic($($arg.1),+)) }
        }
    )+};
}

impl Sealed for Avx2 {}

impl Simd for Avx2 {
    type F32 = Lanes;
    type Mask = Lanes;
    const LEVEL: Level = Level::Avx2;
    const TILE_ROWS: usize = 6;
    const TILE_VECTORS: usize = 1;

    #[inline(always)]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        // SAFETY: the token proves AVX2 and FMA.
        unsafe { run(self, kernel) }
    }

    #[inline(always)]
    fn splat(self, x: f32) -> Lanes {
        // SAFETY: the token proves AVX.
        let v = unsafe { _mm256_set1_ps(x) };
        Lanes(v, v)
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
        assert!(x.len() <= LANES);
        let (low, high) = self.masks(x.len());
        // SAFETY: the masks cover exactly the elements of the slice, and masked-out lanes are not read.
        // `wrapping_add` makes no claim about the address.
        unsafe { Lanes(_mm256_maskload_ps(x.as_ptr(), low), _mm256_maskload_ps(x.as_ptr().wrapping_add(8), high)) }
    }
    #[inline(always)]
    fn store_partial(self, v: Lanes, out: &mut [f32]) {
        assert!(out.len() <= LANES);
        let (low, high) = self.masks(out.len());
        let out = out.as_mut_ptr();
        // SAFETY: the masks cover exactly the elements of the slice, and masked-out lanes are not written.
        unsafe {
            _mm256_maskstore_ps(out, low, v.0);
            _mm256_maskstore_ps(out.wrapping_add(8), high, v.1);
        }
    }
    #[inline(always)]
    fn widen_bf16(self, x: &[u16; LANES]) -> Lanes {
        // SAFETY: the array has the 32 bytes that are read, unaligned; the token proves AVX2.
        unsafe {
            let low = _mm256_cvtepu16_epi32(_mm_loadu_si128(x.as_ptr().cast()));
            let high = _mm256_cvtepu16_epi32(_mm_loadu_si128(x.as_ptr().add(8).cast()));
            Lanes(_mm256_castsi256_ps(_mm256_slli_epi32::<16>(low)), _mm256_castsi256_ps(_mm256_slli_epi32::<16>(high)))
        }
    }
    #[inline(always)]
    fn widen_i8(self, x: &[i8; LANES]) -> Lanes {
        // SAFETY: the array has the 16 bytes that are read, unaligned; the token proves AVX2.
        unsafe {
            let x = _mm_loadu_si128(x.as_ptr().cast());
            let (low, high) = (_mm256_cvtepi8_epi32(x), _mm256_cvtepi8_epi32(_mm_srli_si128::<8>(x)));
            Lanes(_mm256_cvtepi32_ps(low), _mm256_cvtepi32_ps(high))
        }
    }
    #[inline(always)]
    unsafe fn load_ptr(self, x: *const f32) -> Lanes {
        // SAFETY: the caller gives 16 readable floats; unaligned loads.
        unsafe { Lanes(_mm256_loadu_ps(x), _mm256_loadu_ps(x.add(8))) }
    }
    #[inline(always)]
    unsafe fn store_ptr(self, v: Lanes, out: *mut f32) {
        // SAFETY: the caller gives 16 writable floats; unaligned stores.
        unsafe {
            _mm256_storeu_ps(out, v.0);
            _mm256_storeu_ps(out.add(8), v.1);
        }
    }

    lanewise! {
        add(a, b) = _mm256_add_ps;
        sub(a, b) = _mm256_sub_ps;
        mul(a, b) = _mm256_mul_ps;
        div(a, b) = _mm256_div_ps;
        mul_add(a, b, c) = _mm256_fmadd_ps;
        neg_mul_add(a, b, c) = _mm256_fnmadd_ps;
        sqrt(a) = _mm256_sqrt_ps;
        min(a, b) = _mm256_min_ps;
        max(a, b) = _mm256_max_ps;
        round(a) = _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>;
        floor(a) = _mm256_floor_ps;
        lt(a, b) = _mm256_cmp_ps::<_CMP_LT_OQ>;
        le(a, b) = _mm256_cmp_ps::<_CMP_LE_OQ>;
    }

    #[inline(always)]
    fn abs(self, a: Lanes) -> Lanes {
        // SAFETY: the token proves AVX.
        unsafe {
            let sign = _mm256_set1_ps(-0.0);
            Lanes(_mm256_andnot_ps(sign, a.0), _mm256_andnot_ps(sign, a.1))
        }
    }
    #[inline(always)]
    fn copysign(self, magnitude: Lanes, sign: Lanes) -> Lanes {
        let m = self.abs(magnitude);
        // SAFETY: the token proves AVX.
        unsafe {
            let bit = _mm256_set1_ps(-0.0);
            Lanes(_mm256_or_ps(m.0, _mm256_and_ps(bit, sign.0)), _mm256_or_ps(m.1, _mm256_and_ps(bit, sign.1)))
        }
    }
    #[inline(always)]
    fn shift_exponent(self, y: Lanes, k: Lanes) -> Lanes {
        // SAFETY: the token proves AVX2.
        unsafe {
            let (low, high) = (_mm256_castps_si256(k.0), _mm256_castps_si256(k.1));
            let low = _mm256_add_epi32(_mm256_castps_si256(y.0), _mm256_slli_epi32::<23>(low));
            let high = _mm256_add_epi32(_mm256_castps_si256(y.1), _mm256_slli_epi32::<23>(high));
            Lanes(_mm256_castsi256_ps(low), _mm256_castsi256_ps(high))
        }
    }
    #[inline(always)]
    fn select(self, mask: Lanes, a: Lanes, b: Lanes) -> Lanes {
        // SAFETY: the token proves AVX.
        unsafe { Lanes(_mm256_blendv_ps(b.0, a.0, mask.0), _mm256_blendv_ps(b.1, a.1, mask.1)) }
    }
    #[inline(always)]
    fn all(self, mask: Lanes) -> bool {
        // SAFETY: the token proves AVX.
        unsafe { _mm256_movemask_ps(_mm256_and_ps(mask.0, mask.1)) == 0xff }
    }
    #[inline(always)]
    fn to_array(self, v: Lanes) -> [f32; LANES] {
        let mut out = [0.0; LANES];
        self.store(v, &mut out);
        out
    }
    #[inline(always)]
    fn transpose(self, v: [Lanes; LANES]) -> [Lanes; LANES] {
        let mut out = v;
        for half in [0, 8] {
            let (mut left, mut right) = ([v[half].0; 8], [v[half].1; 8]);
            for (i, v) in v[half..half + 8].iter().enumerate() {
                (left[i], right[i]) = (v.0, v.1);
            }
            let (left, right) = (self.transpose8(left), self.transpose8(right));
            for i in 0..8 {
                if half == 0 {
                    (out[i].0, out[8 + i].0) = (left[i], right[i]);
                } else {
                    (out[i].1, out[8 + i].1) = (left[i], right[i]);
                }
            }
        }
        out
    }
    #[inline(always)]
    fn reduce_sum(self, v: Lanes) -> f32 {
        // SAFETY: the token proves AVX. The order is that of the trait.
        unsafe {
            let v = _mm256_add_ps(v.0, v.1);
            let v = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let v = _mm_add_ps(v, _mm_movehl_ps(v, v));
            _mm_cvtss_f32(_mm_add_ss(v, _mm_shuffle_ps::<1>(v, v)))
        }
    }
    #[inline(always)]
    fn reduce_max(self, v: Lanes) -> f32 {
        // SAFETY: the token proves AVX. The order is that of the trait.
        unsafe {
            let v = _mm256_max_ps(v.0, v.1);
            let v = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let v = _mm_max_ps(v, _mm_movehl_ps(v, v));
            _mm_cvtss_f32(_mm_max_ss(v, _mm_shuffle_ps::<1>(v, v)))
        }
    }
}
