//! Dropout: `y = x * mask / (1 - rate)`, where each entry of the mask is 0 with probability `rate`, else 1.

use crate::autograd::tape::{Grads, Graph, Op, Values};
use crate::autograd::var::{Saved, Var};
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// How much is dropped, and which mask is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Share of entries that are dropped, at least 0 and below 1.
    pub rate: f32,
    /// Seed of the mask.
    pub seed: u64,
}

impl Rate {
    /// The same rate with a mask of its own for each number: for models that drop in several places.
    pub fn stream(self, number: u64) -> Rate {
        // The generator mixes its seed, so seeds apart by any odd number share nothing.
        Rate { seed: self.seed.wrapping_add(number.wrapping_mul(0x9E37_79B9_7F4A_7C15)), ..self }
    }
}

struct Dropout {
    x: Var,
    /// 0 or `1 / (1 - rate)`.
    mask: Saved,
    y: Var,
}

impl Op for Dropout {
    fn backward(&self, v: Values<'_>, grads: &mut Grads<'_>, _: &mut Vec<f32>) {
        let (dy, [dx]) = grads.pull(self.y, [self.x]);
        dx.iter_mut().zip(dy).zip(v.saved(self.mask)).for_each(|((dx, dy), mask)| *dx += dy * mask);
    }
}

/// Drops entries of `x`; the mask depends on the seed and the shape alone.
pub fn dropout(g: &mut Graph<'_>, x: Var, rate: Rate) -> Var {
    let y = g.alloc(x.rows, x.cols);
    let mask = g.save(x.len());
    g.compute(y, Some(mask), |v, out| {
        let mut rng = ChaCha8Rng::seed_from_u64(rate.seed);
        let keep = 1.0 / (1.0 - rate.rate);
        out.saved.iter_mut().for_each(|m| *m = if rng.random::<f32>() < rate.rate { 0.0 } else { keep });
        out.y.iter_mut().zip(v.get(x)).zip(out.saved).for_each(|((y, x), mask)| *y = x * *mask);
    });
    g.push(Dropout { x, mask, y });
    y
}

#[cfg(test)]
mod tests {
    use super::{Rate, dropout};
    use crate::autograd::check;
    use crate::autograd::tape::Engine;

    #[test]
    fn values_and_gradients() {
        let rate = |rate| Rate { rate, seed: 5 };
        let ones = vec![1.0; 10_000];
        let got = check::forward(&[[100, 100]], &ones, Engine::Naive, |g, x| dropout(g, g.param(x[0]), rate(0.2)));
        assert!(got.iter().all(|y| *y == 0.0 || (y - 1.25).abs() < 1e-6));
        let other =
            check::forward(&[[100, 100]], &ones, Engine::Naive, |g, x| dropout(g, g.param(x[0]), rate(0.2).stream(1)));
        let both = got.iter().zip(&other).filter(|(a, b)| **a == 0.0 && **b == 0.0).count();
        assert!((300..500).contains(&both), "{both} of 10,000 dropped by two streams, each at a rate of 0.2");
        let dropped = got.iter().filter(|y| **y == 0.0).count();
        assert!((1800..2200).contains(&dropped), "{dropped} of 10,000 dropped at a rate of 0.2");
        check::gradients(&[[3, 5]], Engine::Naive, |g, x| vec![dropout(g, g.param(x[0]), rate(0.4))]);
    }
}
