//! Eight lanes as an array: loops that the compiler may turn into vector instructions.

/// Eight lanes; as a mask, all bits of a lane or none.
#[derive(Clone, Copy, Debug)]
pub struct Half([f32; 8]);

impl From<[f32; 8]> for Half {
    #[inline(always)]
    fn from(x: [f32; 8]) -> Self {
        Self(x)
    }
}

macro_rules! lanewise {
    ($($name:ident($a:ident $(, $b:ident)?) = $value:expr;)+) => {$(
        #[inline(always)]
        pub fn $name(x: Self $(, y: lanewise!(@half $b))?) -> Self {
            let mut out = x;
            for i in 0..8 {
                let $a = x.0[i];
                $(let $b = y.0[i];)?
                out.0[i] = $value;
            }
            out
        }
    )+};
    (@half $b:ident) => { Self };
}

/// The truth value `t` as the bits of a lane.
#[inline(always)]
fn bits(t: bool) -> f32 {
    f32::from_bits(if t { u32::MAX } else { 0 })
}

impl Half {
    lanewise! {
        add(a, b) = a + b;
        sub(a, b) = a - b;
        mul(a, b) = a * b;
        div(a, b) = a / b;
        sqrt(a) = a.sqrt();
        abs(a) = a.abs();
        round(a) = a.round_ties_even();
        floor(a) = a.floor();
        copysign(a, b) = a.copysign(b);
        shift_exponent(a, b) = f32::from_bits(a.to_bits().wrapping_add(b.to_bits() << 23));
        lt(a, b) = bits(a < b);
        le(a, b) = bits(a <= b);
    }

    #[inline(always)]
    pub fn select(mask: Self, a: Self, b: Self) -> Self {
        let mut out = a;
        for i in 0..8 {
            out.0[i] = if mask.0[i].to_bits() != 0 { a.0[i] } else { b.0[i] };
        }
        out
    }
    #[inline(always)]
    pub fn all(self) -> bool {
        self.0.iter().all(|m| m.to_bits() != 0)
    }
    #[inline(always)]
    pub fn to_array(self) -> [f32; 8] {
        self.0
    }
}
