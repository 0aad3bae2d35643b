//! The portable tier: two halves of eight lanes, from the crate `wide` (feature `wide`) or plain arrays.
//!
//! `wide` picks its instructions at compile time, so a baseline build of this tier uses SSE2 on x86-64.
//! [`Simd::mul_add`] rounds twice here: `a * b + c`.

#[cfg(not(feature = "wide"))]
mod plain;
#[cfg(feature = "wide")]
mod with_wide;

#[cfg(not(feature = "wide"))]
use plain::Half;
#[cfg(feature = "wide")]
use with_wide::Half;

use super::{Kernel, LANES, Sealed, Simd};
use crate::level::Level;

/// The token of the tier that every CPU has.
#[derive(Clone, Copy, Debug, Default)]
pub struct Portable;

/// Sixteen lanes: the first eight, the last eight.
#[derive(Clone, Copy, Debug)]
pub struct Lanes(Half, Half);

/// Sixteen truth values.
#[derive(Clone, Copy, Debug)]
pub struct Mask(Half, Half);

macro_rules! lanewise {
    ($($name:ident($($arg:ident),+) -> $out:ident;)+) => {$(
        #[inline(always)]
        fn $name(self, $($arg: Lanes),+) -> $out {
            $out(Half::$name($($arg.0),+), Half::$name($($arg.1),+))
        }
    )+};
}

impl Sealed for Portable {}

impl Simd for Portable {
    type F32 = Lanes;
    type Mask = Mask;
    const LEVEL: Level = Level::Portable;
    const TILE_ROWS: usize = 2;
    const TILE_VECTORS: usize = 1;

    #[inline(never)]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.run(self)
    }

    #[inline(always)]
    fn splat(self, x: f32) -> Lanes {
        Lanes(Half::from([x; 8]), Half::from([x; 8]))
    }
    #[inline(always)]
    fn load(self, x: &[f32]) -> Lanes {
        let mut full = [0.0; LANES];
        full.copy_from_slice(&x[..LANES]);
        from_array(full)
    }
    #[inline(always)]
    fn store(self, v: Lanes, out: &mut [f32]) {
        out[..LANES].copy_from_slice(&self.to_array(v));
    }
    #[inline(always)]
    fn load_partial(self, x: &[f32]) -> Lanes {
        let mut full = [0.0; LANES];
        full[..x.len()].copy_from_slice(x);
        from_array(full)
    }
    #[inline(always)]
    fn store_partial(self, v: Lanes, out: &mut [f32]) {
        let full = self.to_array(v);
        out.copy_from_slice(&full[..out.len()]);
    }
    #[inline(always)]
    unsafe fn load_ptr(self, x: *const f32) -> Lanes {
        // SAFETY: the caller gives 16 readable floats.
        from_array(unsafe { x.cast::<[f32; LANES]>().read_unaligned() })
    }
    #[inline(always)]
    unsafe fn store_ptr(self, v: Lanes, out: *mut f32) {
        // SAFETY: the caller gives 16 writable floats.
        unsafe { out.cast::<[f32; LANES]>().write_unaligned(self.to_array(v)) }
    }

    lanewise! {
        add(a, b) -> Lanes;
        sub(a, b) -> Lanes;
        mul(a, b) -> Lanes;
        div(a, b) -> Lanes;
        sqrt(a) -> Lanes;
        abs(a) -> Lanes;
        round(a) -> Lanes;
        floor(a) -> Lanes;
        copysign(magnitude, sign) -> Lanes;
        shift_exponent(y, k) -> Lanes;
        lt(a, b) -> Mask;
        le(a, b) -> Mask;
    }

    #[inline(always)]
    fn mul_add(self, a: Lanes, b: Lanes, c: Lanes) -> Lanes {
        self.add(self.mul(a, b), c)
    }
    #[inline(always)]
    fn neg_mul_add(self, a: Lanes, b: Lanes, c: Lanes) -> Lanes {
        self.sub(c, self.mul(a, b))
    }
    #[inline(always)]
    fn min(self, a: Lanes, b: Lanes) -> Lanes {
        self.select(self.lt(a, b), a, b)
    }
    #[inline(always)]
    fn max(self, a: Lanes, b: Lanes) -> Lanes {
        self.select(self.lt(b, a), a, b)
    }
    #[inline(always)]
    fn select(self, mask: Mask, a: Lanes, b: Lanes) -> Lanes {
        Lanes(Half::select(mask.0, a.0, b.0), Half::select(mask.1, a.1, b.1))
    }
    #[inline(always)]
    fn all(self, mask: Mask) -> bool {
        mask.0.all() && mask.1.all()
    }
    #[inline(always)]
    fn to_array(self, v: Lanes) -> [f32; LANES] {
        let (low, high) = (v.0.to_array(), v.1.to_array());
        let mut out = [0.0; LANES];
        out[..8].copy_from_slice(&low);
        out[8..].copy_from_slice(&high);
        out
    }
}

#[inline(always)]
fn from_array(x: [f32; LANES]) -> Lanes {
    let (mut low, mut high) = ([0.0; 8], [0.0; 8]);
    low.copy_from_slice(&x[..8]);
    high.copy_from_slice(&x[8..]);
    Lanes(Half::from(low), Half::from(high))
}
