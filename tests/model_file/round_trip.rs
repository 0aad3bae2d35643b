//! What is written comes back, for every kind of model; and nothing that breaks a rule is written.

use std::fs;

use crate::support::model_file::{card, parts, small_file, small_model, small_settings};
use dmran::scorer::{
    Block, CardError, Event, Head, Ids, LastEvent, Level, Metric, Model, ModelFileError, ModelParts, Precision, Scorer,
    Scratch, Settings, SettingsError, Shape, TimeKind, Variant,
};

fn all_settings() -> Vec<Settings> {
    let mut all = Vec::new();
    for &variant in Variant::ALL {
        for &head in Head::ALL {
            for &block in Block::ALL {
                for &time in TimeKind::ALL {
                    for flags in 0..4 {
                        all.push(Settings {
                            variant,
                            head,
                            block,
                            time,
                            categories: flags & 1 > 0,
                            item_bias: flags & 2 > 0,
                            last: if flags == 3 { LastEvent::Row } else { LastEvent::None },
                            ..small_settings()
                        });
                    }
                }
            }
        }
    }
    all
}

#[test]
fn every_kind_of_model_comes_back() {
    for settings in all_settings() {
        let model = Model::from_parts(parts(settings.clone())).unwrap();
        let file = model.to_bytes();
        assert_eq!(file.len() % 64, 0);
        let read = Model::from_bytes(&file).unwrap();
        assert_eq!(read, model, "{settings:?}");
        assert_eq!(read.to_bytes(), file, "the same model gives the same bytes");
    }
}

#[test]
fn the_parts_are_what_was_given() {
    let read = Model::from_bytes(&small_file()).unwrap();
    let parts = parts(small_settings());
    assert_eq!(*read.settings(), parts.settings);
    assert_eq!(*read.items(), parts.items);
    assert_eq!(*read.categories(), parts.categories);
    assert_eq!(read.item_category(), parts.item_category);
    assert_eq!(*read.card(), card());
    assert_eq!(read.items().find("日本"), Some(5));
    assert_eq!(read.tensors().len(), parts.tensors.len());
    for (name, values) in &parts.tensors {
        assert_eq!(read.tensor(name), Some(values.as_slice()), "{name}");
    }
    assert_eq!(read.tensor("W_x"), None);
}

/// The bytes themselves are the format: files written today must be readable for good.
#[test]
fn the_format_does_not_move() {
    let file = small_file();
    assert_eq!(&file[..16], b"\x89DMRAN\r\n\x04\x03\x02\x01\x01\0\0\0");
    assert_eq!(crate::support::model_file::get_u64(&file, 16), file.len() as u64);
    assert_eq!(&file[40..46], b"dmran\0");
    assert_eq!(&file[64..73], b"settings\0");
    let order = ["settings", "items", "categories", "item_category", "card", "V", "C", "bias", "T", "W_v"];
    for (place, name) in order.iter().enumerate() {
        assert_eq!(crate::support::model_file::section(&file, name), place);
        assert_eq!(crate::support::model_file::start(&file, name) % 64, 0);
    }
    let v = crate::support::model_file::start(&file, "V");
    let first = small_model().tensor("V").unwrap()[0];
    assert_eq!(file[v..v + 4], first.to_le_bytes());
    // Checksum of the header, which covers the index, whose entries cover the sections.
    assert_eq!(crate::support::model_file::get_u64(&file, 56), 0x48C2_86E5_6BC6_9155);
}

/// The largest distance of a number from what it was, over the largest number of its row.
fn worst_rounding(exact: &[f32], rounded: &[f32], width: usize) -> f32 {
    let rows = exact.chunks(width).zip(rounded.chunks(width));
    rows.fold(0.0, |worst, (exact, rounded)| {
        let largest = exact.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
        exact.iter().zip(rounded).fold(worst, |worst, (x, y)| worst.max((x - y).abs() / largest))
    })
}

#[test]
fn compact_tables_come_back_and_only_they_are_rounded() {
    for settings in all_settings() {
        let exact = Model::from_parts(parts(settings.clone())).unwrap();
        assert_eq!(exact.precision(), Precision::F32);
        for (precision, version, bound) in [(Precision::Bf16, 2, 1.0 / 256.0), (Precision::Int8, 2, 1.0 / 253.0)] {
            let rounded = exact.clone().with_precision(precision);
            let file = rounded.to_bytes();
            assert_eq!((u32::from(file[12]), file.len() % 64), (version, 0));
            let read = Model::from_bytes(&file).unwrap();
            assert_eq!(read.precision(), precision);
            assert_eq!(read, rounded, "{settings:?}");
            assert_eq!(read.to_bytes(), file, "the same model gives the same bytes");
            for (tensor, before) in read.tensors().iter().zip(exact.tensors()) {
                let width = match tensor.shape() {
                    Shape::Matrix(_, columns) => columns,
                    Shape::Vector(_) => 1,
                };
                match tensor.name() {
                    "V" | "C" => assert!(worst_rounding(before.values(), tensor.values(), width) <= bound),
                    name => assert_eq!(tensor.values(), before.values(), "{name}"),
                }
            }
            // As f32 the rounded values stay, in a file of version 1, and rounding them again changes nothing.
            let widened = Model::from_bytes(&rounded.clone().with_precision(Precision::F32).to_bytes()).unwrap();
            assert_eq!((widened.precision(), widened.tensor("V")), (Precision::F32, rounded.tensor("V")));
            assert_eq!(widened.with_precision(precision), rounded);
        }
    }
}

#[test]
fn a_damaged_compact_table_is_refused() {
    for (precision, name) in [(Precision::Bf16, "V.bf16"), (Precision::Int8, "V.int8")] {
        let mut file = small_model().with_precision(precision).to_bytes();
        let start = crate::support::model_file::start(&file, name);
        file[start] ^= 1;
        let error = Model::from_bytes(&file).unwrap_err();
        assert!(matches!(error, ModelFileError::SectionChecksum { section, .. } if section == name), "{error}");
        // Infinite: the first half, or the first scale.
        let infinite = if precision == Precision::Bf16 { &[0x80, 0x7f][..] } else { &[0, 0, 0x80, 0x7f] };
        file[start..start + infinite.len()].copy_from_slice(infinite);
        dmran::scorer::repair_checksums(&mut file);
        let error = Model::from_bytes(&file).unwrap_err();
        assert!(matches!(error, ModelFileError::NotFinite { tensor: "V", index: 0, .. }), "{error}");
    }
}

#[test]
fn scores_from_compact_rows_have_the_bits_of_the_widened_ones() {
    for head in [Head::Mean, Head::Rows, Head::Vanilla, Head::Atrank] {
        for categories in [false, true] {
            let settings = Settings { head, categories, ..small_settings() };
            for precision in [Precision::Bf16, Precision::Int8] {
                let compact = Model::from_parts(parts(settings.clone())).unwrap().with_precision(precision);
                let widened = compact.clone().with_precision(Precision::F32);
                let history = [Event { item: 1, time: 5 }, Event { item: 3, time: 9 }];
                for &level in Level::available() {
                    let [from_compact, from_widened] = [&compact, &widened].map(|model| {
                        let scorer = Scorer::with_level(model.clone(), level).unwrap();
                        let (mut scratch, mut all) = (Scratch::new(), vec![0.0; model.items().len()]);
                        let mut listed = all.clone();
                        let mut user = scorer.encode(&history, 11, &mut scratch);
                        user.score_all(&mut all).unwrap();
                        let ids: Vec<u32> = (0..all.len() as u32).collect();
                        user.score(&ids, &mut listed).unwrap();
                        let bits = |scores: &[f32]| scores.iter().map(|score| score.to_bits()).collect::<Vec<_>>();
                        assert_eq!(bits(&all), bits(&listed), "{level} {head} {precision}");
                        bits(&all)
                    });
                    assert_eq!(from_compact, from_widened, "{level} {head} {precision}");
                }
            }
        }
    }
}

#[test]
fn save_and_load_replace_the_old_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.dmran");
    fs::write(&path, "something older").unwrap();
    small_model().save(&path).unwrap();
    assert_eq!(Model::load(&path).unwrap(), small_model());
    assert_eq!(fs::read(&path).unwrap(), small_file());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    let absent = small_model().save(folder.path().join("absent/model.dmran"));
    assert!(matches!(absent, Err(ModelFileError::Io { action: "write", .. })));
}

#[cfg(feature = "mmap")]
#[test]
fn a_mapped_compact_model_equals_a_copied_one() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.dmran");
    for precision in [Precision::Bf16, Precision::Int8] {
        let model = small_model().with_precision(precision);
        model.save(&path).unwrap();
        assert_eq!(Model::map(&path).unwrap(), model);
    }
}

#[cfg(feature = "mmap")]
#[test]
fn a_mapped_model_equals_a_copied_one_and_outlives_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.dmran");
    small_model().save(&path).unwrap();
    let mapped = Model::map(&path).unwrap();
    let other = Settings { head: Head::Mean, ..small_settings() };
    Model::from_parts(parts(other)).unwrap().save(&path).unwrap();
    assert_eq!(mapped, small_model());
    let clone = mapped.clone();
    fs::remove_file(&path).unwrap();
    drop(mapped);
    assert_eq!(clone, small_model());
    // Its tables are shared with whoever else maps the file: none is made beside them.
    assert!(!dmran::scorer::Scorer::new(clone).unwrap().is_precomputed());
}

#[test]
fn the_description_shows_card_and_tensors_and_no_control_characters() {
    let mut parts = parts(small_settings());
    parts.card.command = "dmran train \u{1b}[2J".to_owned();
    let text = Model::from_parts(parts).unwrap().to_string();
    for part in [
        "created by     dmran test\n",
        "seed           42\n",
        "test AUC                 0.8125 (standard error 0.0024)\n",
        "HR@10                    0.1250\n",
        "command        dmran train \\u{1b}[2J\n",
        "time           paper in 5 buckets\n",
        "head           atrank (2 heads, inner width 2, epsilon 1e-8)\n",
        "  variant = \"full\"\n",
        "  V            [7, 2] ",
        "  hhat.ln2.b   [4] ",
    ] {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
    assert!(text.chars().all(|c| c == '\n' || !c.is_control()));
}

fn not_built(change: impl FnOnce(&mut ModelParts)) -> ModelFileError {
    let mut parts = parts(small_settings());
    change(&mut parts);
    Model::from_parts(parts).expect_err("should not be built")
}

#[test]
fn nothing_that_breaks_a_rule_is_built() {
    use ModelFileError as E;
    let values = |p: &mut ModelParts, name: &str| p.tensors.iter().position(|t| t.0 == name).unwrap();
    assert!(matches!(not_built(|p| p.settings.d = 0), E::Settings(SettingsError::Zero { setting: "d" })));
    assert!(matches!(not_built(|p| p.items = Ids::default()), E::NoIds { section: "items" }));
    assert!(matches!(not_built(|p| p.categories = Ids::default()), E::NoIds { section: "categories" }));
    assert!(matches!(not_built(|p| p.settings.categories = false), E::UnexpectedCategories));
    assert!(matches!(not_built(|p| p.item_category.truncate(6)), E::CategoryCount { items: 7, found: 6 }));
    assert!(matches!(not_built(|p| p.item_category[4] = 3), E::CategoryIndex { item: 4, category: 3, categories: 3 }));
    assert!(matches!(
        not_built(|p| {
            let at = values(p, "W_t");
            p.tensors.remove(at);
        }),
        E::MissingTensor { tensor: "W_t" }
    ));
    assert!(matches!(
        not_built(|p| p.tensors.push(("W_x".to_owned(), vec![]))),
        E::UnknownTensor { tensor } if tensor == "W_x"
    ));
    assert!(matches!(
        not_built(|p| p.tensors.push(p.tensors[0].clone())),
        E::UnknownTensor { tensor } if tensor == "V"
    ));
    assert!(matches!(
        not_built(|p| {
            let at = values(p, "W_s2");
            p.tensors[at].1.pop();
        }),
        E::TensorLength { tensor: "W_s2", expected: Shape::Matrix(3, 4), found: 11 }
    ));
    assert!(matches!(
        not_built(|p| {
            let at = values(p, "C");
            p.tensors[at].1[5] = f32::INFINITY;
        }),
        E::NotFinite { tensor: "C", index: 5, value } if value == f32::INFINITY
    ));
    assert!(matches!(not_built(|p| p.card.metrics[1].value = f64::NAN), E::Card(CardError::Metric { index: 1 })));
    assert!(matches!(
        not_built(|p| p.card.metrics[0].standard_error = Some(-1.0)),
        E::Card(CardError::StandardError { index: 0 })
    ));
    let metric = Metric { name: String::new(), value: 0.0, standard_error: None };
    assert!(matches!(
        not_built(|p| p.card.metrics = vec![metric; 257]),
        E::Card(CardError::TooManyMetrics { count: 257 })
    ));
}
