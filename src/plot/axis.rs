//! The range of an axis and the text of its labels.

use std::ops::Range;

/// A range of finite numbers that is not empty.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Axis {
    from: f64,
    to: f64,
}

/// Beyond this plotting has no meaning, and differences of coordinates could overflow.
const LARGEST: f64 = 1e100;

impl Axis {
    /// The range of some finite numbers with a margin; 0 to 1 without any.
    pub fn of(values: impl Iterator<Item = f64>) -> Axis {
        let (from, to) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
        if from > to {
            return Axis { from: 0.0, to: 1.0 };
        }
        let (from, to) = (from.max(-LARGEST), to.min(LARGEST));
        let margin = match 0.04 * (to - from) {
            m if m > 1e-9 * from.abs().max(to.abs()) && m > 0.0 => m,
            _ => (0.05 * from.abs()).max(1e-6),
        };
        Axis { from: from - margin, to: to + margin }
    }

    pub fn range(self) -> Range<f64> {
        self.from..self.to
    }

    pub fn span(self) -> f64 {
        self.to - self.from
    }

    /// A tick's value with as many decimals as the range needs.
    pub fn label(self, value: f64) -> String {
        shown(value, self.span())
    }
}

/// A number in short: with the decimals that a range of `span` needs, or with two significant digits where that is 0.
pub(super) fn shown(value: f64, span: f64) -> String {
    let scale = if span > 0.0 { span / 20.0 } else { value.abs() / 3.0 };
    if value.abs() >= 1e7 || (value != 0.0 && value.abs() < 1e-5) {
        return format!("{value:.1e}");
    }
    let decimals = if scale > 0.0 { (-scale.log10()).ceil().clamp(0.0, 8.0) as usize } else { 0 };
    let text = format!("{value:.decimals$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    if text == "-0" { "0".into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_hold_their_numbers_and_are_never_empty() {
        for values in [&[0.5][..], &[0.0], &[1.0, 2.0], &[-1e300, 1e300], &[1e-12, 1e-12], &[]] {
            let axis = Axis::of(values.iter().copied());
            assert!(axis.from < axis.to && axis.span().is_finite(), "{values:?}: {axis:?}");
            assert!(values.iter().all(|v| v.abs() > LARGEST || (axis.from..=axis.to).contains(v)));
        }
    }

    #[test]
    fn labels_are_short() {
        let got = [(0.815, 0.05), (0.8, 0.05), (3.0, 9.0), (2.5, 3.0), (12000.0, 20000.0), (-0.0, 1.0)];
        let got = got.map(|(value, span)| shown(value, span));
        assert_eq!(got, ["0.815", "0.8", "3", "2.5", "12000", "0"]);
        assert_eq!([0.001, 0.0316, 1.0, 20.0].map(|value| shown(value, 0.0)), ["0.001", "0.03", "1", "20"]);
    }
}
