//! Candidates that many users share (eq 14 to 17, head `vanilla`) against float64 PyTorch
//! (`shared_candidates/make_shared.py`): scores, and the gradients of everything that they come from, on every tier.

use crate::support::oracle::Case;
use dmran_kernels::Level;
use dmran_kernels::score::Feature;
use dmran_kernels::shared::{self, FeatureGradients, Gradients, Users};

const CASES: [&str; 7] = ["one", "two-candidates", "plain", "odd", "wide", "saturated", "saturated-plain"];

/// Within `bound` of the largest entry.
fn close(what: &str, got: &[f32], want: &[f64], bound: f64) {
    assert_eq!(got.len(), want.len(), "{what}");
    let largest = want.iter().fold(0.0f64, |m, w| m.max(w.abs()));
    for (i, (g, w)) in got.iter().zip(want).enumerate() {
        let error = (f64::from(*g) - w).abs();
        assert!(error <= bound * largest, "{what}[{i}] is {g}, PyTorch has {w} (largest {largest})");
    }
}

#[test]
fn scores_and_gradients_are_those_of_pytorch_in_double_precision() {
    for name in CASES {
        let case = Case::read(&format!("shared_candidates/{name}.safetensors"));
        let f32s = |key: &str| -> Vec<f32> { case.f64(key).into_iter().map(|x| x as f32).collect() };
        let (d, offsets, m) = (case.meta("d"), case.ids("in/offsets"), f32s("in/m"));
        let (c, bias, dscore) = (f32s("in/c"), f32s("in/bias"), f32s("in/dscore"));
        let tables = ["in/mhat", "in/gate_m", "in/gate_mhat", "in/gate_bias"];
        let side = case.flag("feature").then(|| tables.map(f32s));
        let feature =
            side.as_ref().map(|[mhat, gate_m, gate_mhat, gate_bias]| Feature { mhat, gate_m, gate_mhat, gate_bias });
        let users = Users { d, offsets: &offsets, m: &m, feature };
        // Logits of 1e4 err by 1e-3, and by as much of itself does a weight.
        let bound = if name.starts_with("saturated") { 3e-3 } else { 5e-6 };
        for &level in Level::available() {
            let what = |part: &str| format!("{name}, {level}: {part}");
            let mut scores = vec![f32::NAN; dscore.len()];
            shared::forward(level, &users, &c, &bias, &mut scores, &mut vec![f32::NAN; users.scratch_len()]);
            close(&what("scores"), &scores, &case.f64("out/scores"), bound);

            let (mut dm, mut dc) = (vec![0.0; m.len()], vec![0.0; c.len()]);
            let mut dside = [m.len(), m.len(), m.len(), d].map(|len| vec![0.0; len]);
            let [mhat, gate_m, gate_mhat, gate_bias] = &mut dside;
            let feature = side.is_some().then_some(FeatureGradients { mhat, gate_m, gate_mhat, gate_bias });
            let out = Gradients { m: &mut dm, feature, c: &mut dc };
            shared::backward(level, &users, &c, &dscore, out, &mut vec![f32::NAN; users.backward_scratch_len()]);
            close(&what("m"), &dm, &case.f64("grad/m"), bound);
            close(&what("c"), &dc, &case.f64("grad/c"), bound);
            if side.is_some() {
                for (table, got) in tables.iter().zip(&dside) {
                    let table = table.replace("in/", "grad/");
                    close(&what(&table), got, &case.f64(&table), bound);
                }
            }
        }
    }
}
