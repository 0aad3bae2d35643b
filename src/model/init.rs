//! Starting values, drawn from a named generator in the order of the weights.

use crate::autograd::params::Params;
use rand::rngs::ChaCha8Rng;
use rand::{RngExt, SeedableRng};

/// Fills all weights: tables and `T` normal with standard deviation `table_std` (the item bias starts at 0), matrices
/// uniform after Glorot, layer norm gains 1, every other vector 0.
pub fn initialise(params: &mut Params, table_std: f32, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    for table in params.tables_mut() {
        if table.cols > 1 {
            normal(&mut rng, table_std, &mut table.data);
        }
    }
    let specs: Vec<_> = params.specs().iter().filter(|s| !s.derived).cloned().collect();
    for spec in specs {
        let values = &mut params.trained_mut()[spec.var.range()];
        if spec.name == "T" {
            normal(&mut rng, table_std, values);
        } else if spec.name.ends_with(".g") {
            values.fill(1.0);
        } else if spec.var.rows > 1 || spec.name.rsplit('.').next().is_some_and(|name| name.starts_with("W_")) {
            let bound = (6.0 / (spec.var.rows + spec.var.cols) as f32).sqrt();
            values.iter_mut().for_each(|x| *x = rng.random_range(-bound..bound));
        }
    }
}

/// Normal numbers with mean 0 (Box and Muller's transform, both numbers of each pair used).
pub fn normal(rng: &mut ChaCha8Rng, std: f32, out: &mut [f32]) {
    for pair in out.chunks_mut(2) {
        let u: f64 = 1.0 - rng.random::<f64>();
        let angle = std::f64::consts::TAU * rng.random::<f64>();
        let radius = f64::from(std) * (-2.0 * u.ln()).sqrt();
        pair[0] = (radius * angle.cos()) as f32;
        if let Some(second) = pair.get_mut(1) {
            *second = (radius * angle.sin()) as f32;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::autograd::params::Form;

    #[test]
    fn normal_numbers_have_their_moments() {
        let mut x = vec![0.0; 100_001];
        normal(&mut ChaCha8Rng::seed_from_u64(3), 0.5, &mut x);
        let n = x.len() as f64;
        let mean = x.iter().map(|x| f64::from(*x)).sum::<f64>() / n;
        let var = x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / n - mean * mean;
        let kurtosis = x.iter().map(|x| (f64::from(*x) - mean).powi(4)).sum::<f64>() / n / var / var;
        assert!(
            mean.abs() < 0.01 && (var - 0.25).abs() < 0.005 && (kurtosis - 3.0).abs() < 0.1,
            "{mean} {var} {kurtosis}"
        );
    }

    #[test]
    fn each_kind_of_weight_has_its_start() {
        let mut params = Params::default();
        let w = params.add("W_s1", 64, 32, Form::Packed);
        let hop = params.add("W_s2", 1, 8, Form::Packed);
        let g = params.add("block.ln1.g", 1, 8, Form::Plain);
        let b = params.add("b_d", 1, 8, Form::Plain);
        let v = params.add_table("V", 100, 8);
        let bias = params.add_table("bias", 100, 1);
        initialise(&mut params, 0.01, 1);
        let bound = 0.25;
        assert!(params.get(w).iter().all(|x| x.abs() <= bound) && params.get(w).iter().any(|x| x.abs() > 0.9 * bound));
        assert!(params.get(hop).iter().all(|x| *x != 0.0), "a matrix of one row is a matrix");
        assert_eq!(params.get(g), [1.0; 8]);
        assert_eq!(params.get(b), [0.0; 8]);
        assert!(params.table(bias).data.iter().all(|x| *x == 0.0));
        assert!(params.table(v).data.iter().all(|x| *x != 0.0 && x.abs() < 0.06));
    }
}
