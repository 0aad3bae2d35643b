//! A trained model goes into the scorer's model and back, and scores to the same bits.

use dmran::autograd::tape::Engine;
use dmran::data::{Dataset, Sample};
use dmran::model::export::{Labels, from_model, to_model};
use dmran::model::{Dmran, Model as _, init};
use dmran::scorer::{Block, Card, Head, Ids, Metric, Model, ModelFileError, Settings, TimeKind, Variant};
use dmran::train::Trainer;
use dmran::train::config::TrainConfig;
use dmran_kernels::Level;

const ITEMS: usize = 7;
const ITEM_CATEGORY: [u32; ITEMS] = [0, 2, 1, 1, 0, 2, 2];

fn settings() -> Settings {
    Settings {
        d: 8,
        hops: 3,
        history_cap: 4,
        buckets: 5,
        heads: 2,
        ff_width: 3,
        head_ff_width: 5,
        ..Settings::default()
    }
}

fn dataset() -> Dataset {
    let day = 86_400;
    let times = vec![0, day, day, 9 * day, 20 * day, 5, 3 * day];
    Dataset::from_parts(vec![0, 5, 7], vec![0, 3, 6, 3, 1, 2, 5], times, ITEM_CATEGORY.to_vec(), ITEMS, 3).unwrap()
}

fn labels() -> Labels {
    Labels {
        items: Ids::from_sorted(["a", "b", "c", "d", "e", "f", "ü"]).unwrap(),
        categories: Ids::from_sorted(["x", "y", "z"]).unwrap(),
        item_category: ITEM_CATEGORY.to_vec(),
        card: Card {
            seed: 9,
            metrics: vec![Metric { name: "AUC".into(), value: 0.5, standard_error: None }],
            ..Card::default()
        },
    }
}

fn start(settings: &Settings) -> Dmran {
    let category = if settings.categories { ITEM_CATEGORY.to_vec() } else { vec![] };
    let mut model = Dmran::new(settings.clone(), ITEMS, 3, category).unwrap();
    init::initialise(model.params_mut(), 0.3, 5);
    // No value stays at a round number: every tensor must come back by itself.
    let add = |(i, x): (usize, &mut f32)| *x += 0.01 * (i as f32).sin();
    model.params_mut().trained_mut().iter_mut().enumerate().for_each(add);
    for table in model.params_mut().tables_mut() {
        table.data.iter_mut().enumerate().for_each(add);
    }
    model
}

fn scores(model: Dmran) -> Vec<u32> {
    let settings = model.settings().clone();
    let config = TrainConfig { engine: Engine::Naive, threads: 1, ..TrainConfig::default() };
    let mut trainer = Trainer::new(Box::new(model), settings, config, Level::best()).unwrap();
    let samples = [Sample { user: 0, target: 4 }, Sample { user: 0, target: 1 }, Sample { user: 1, target: 1 }];
    let candidates: Vec<u32> = (0..3).flat_map(|_| 0..ITEMS as u32).collect();
    let mut out = vec![0.0; candidates.len()];
    trainer.score(&dataset(), &samples, &candidates, &mut out);
    out.iter().map(|s| s.to_bits()).collect()
}

#[test]
fn every_kind_of_model_scores_the_same_bits_after_a_round_trip() {
    let mut seen = std::collections::HashSet::new();
    for &variant in Variant::ALL {
        for &head in Head::ALL {
            for &block in Block::ALL {
                for categories in [false, true] {
                    for (time, item_bias) in [(TimeKind::Paper, true), (TimeKind::None, false)] {
                        let settings = Settings { variant, head, block, categories, time, item_bias, ..settings() };
                        let model = start(&settings);
                        let exported = to_model(&settings, model.params(), labels()).unwrap();
                        let read = Model::from_bytes(&exported.to_bytes()).unwrap();
                        assert_eq!(read, exported);
                        assert_eq!(read.card(), &labels().card);
                        let back = from_model(&read).unwrap();
                        assert_eq!(back.settings(), &settings);
                        assert_eq!(back.params().trained(), model.params().trained());
                        let before = scores(model);
                        assert_eq!(scores(back), before, "{settings:?}");
                        assert!(before.iter().any(|s| *s != before[0]));
                        seen.insert(before);
                    }
                }
            }
        }
    }
    // All settings make different models, save that `item` has no block, and `no-time` is `time = none`.
    assert!(seen.len() > 50, "{}", seen.len());
}

#[test]
fn a_model_that_cannot_be_scored_is_refused() {
    let settings = settings();
    let mut model = start(&settings);
    let short = Labels { items: Ids::from_sorted(["a", "b"]).unwrap(), ..labels() };
    let error = to_model(&settings, model.params(), short).unwrap_err();
    assert!(matches!(error, ModelFileError::TensorLength { tensor: "V", .. }), "{error}");
    let with_time = Settings { variant: Variant::NoTime, ..settings.clone() };
    let timeless = start(&with_time);
    let error = to_model(&settings, timeless.params(), labels()).unwrap_err();
    assert!(matches!(error, ModelFileError::MissingTensor { tensor: "T" }), "{error}");
    let id = model.params().find("W_s5").unwrap();
    model.params_mut().get_mut(id)[3] = f32::NAN;
    let error = to_model(&settings, model.params(), labels()).unwrap_err();
    assert!(matches!(error, ModelFileError::NotFinite { tensor: "W_s5", index: 3, .. }), "{error}");
}
