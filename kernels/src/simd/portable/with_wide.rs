//! Eight lanes from the crate `wide`.

use wide::f32x8;

/// Eight lanes; as a mask, all bits of a lane or none.
#[derive(Clone, Copy, Debug)]
pub struct Half(f32x8);

impl From<[f32; 8]> for Half {
    #[inline(always)]
    fn from(x: [f32; 8]) -> Self {
        Self(f32x8::from(x))
    }
}

macro_rules! lanewise {
    ($($name:ident($a:ident $(, $b:ident)?) = $value:expr;)+) => {$(
        #[inline(always)]
        pub fn $name(x: Self $(, y: lanewise!(@half $b))?) -> Self {
            let $a = x.0;
            $(let $b = y.0;)?
            Self($value)
        }
    )+};
    (@half $b:ident) => { Self };
}

impl Half {
    lanewise! {
        add(a, b) = a + b;
        sub(a, b) = a - b;
        mul(a, b) = a * b;
        div(a, b) = a / b;
        sqrt(a) = a.sqrt();
        abs(a) = a & f32x8::splat(f32::from_bits(0x7fff_ffff));
        lt(a, b) = a.simd_lt(b);
        le(a, b) = a.simd_le(b);
    }

    #[inline(always)]
    pub fn round(a: Self) -> Self {
        // `wide` rounds through integers on some targets and would lose large values.
        Self::map(a, f32::round_ties_even)
    }
    #[inline(always)]
    pub fn floor(a: Self) -> Self {
        Self::map(a, f32::floor)
    }
    #[inline(always)]
    pub fn copysign(magnitude: Self, sign: Self) -> Self {
        let bit = f32x8::splat(-0.0);
        Self((sign.0 & bit) | Self::abs(magnitude).0)
    }
    #[inline(always)]
    pub fn shift_exponent(y: Self, k: Self) -> Self {
        let (mut y, k) = (y.0.to_array(), k.0.to_array());
        for i in 0..8 {
            y[i] = f32::from_bits(y[i].to_bits().wrapping_add(k[i].to_bits() << 23));
        }
        Self(f32x8::from(y))
    }
    #[inline(always)]
    fn map(a: Self, f: fn(f32) -> f32) -> Self {
        let mut x = a.0.to_array();
        for x in &mut x {
            *x = f(*x);
        }
        Self(f32x8::from(x))
    }
    #[inline(always)]
    pub fn select(mask: Self, a: Self, b: Self) -> Self {
        Self(mask.0.bitselect(a.0, b.0))
    }
    #[inline(always)]
    pub fn all(self) -> bool {
        self.0.to_bitmask() == 0xff
    }
    #[inline(always)]
    pub fn to_array(self) -> [f32; 8] {
        self.0.to_array()
    }
}
